"""Work on several processes: the same numbers, each batch once, and plain words when it fails."""

import socket
import threading
import time

import pandas as pd
import pytest
from conftest import connected_to, local_cluster
from distributed import Client
from hashing_model import HashingModel, calls, digest, processes

from sercue.corpora.audio import read_utterance
from sercue.distributed import connection
from sercue.distributed import connection as spreading
from sercue.distributed.connection import Call, connect, spread
from sercue.errors import DecodingError, InputError, ServerError
from sercue.storage.tables import part_files, read_parts
from sercue.study import run_study

CONDITIONS = ["none", "aligned", "shuffled", "conflicting"]


def run(corpus, tokens, model, **options):
    options = {"conditions": CONDITIONS, "templates": ["plain"], "progress": False} | options
    return run_study(corpus, tokens, model, **options)


@pytest.fixture
def impatient(monkeypatch):
    """Seconds of waiting that nothing comes of."""
    monkeypatch.setattr(connection, "SECONDS_WITHOUT_WORKERS", 1.5)
    monkeypatch.setattr(spreading, "SECONDS_BETWEEN_LOOKS", 0.1)


@pytest.mark.parametrize("decoding", ["score", "generate"])
def test_predictions_are_those_of_this_machine(client, corpus, tokens, asked, tmp_path, decoding):
    """To the last bit, in the same order, from the same batches, each asked once."""
    here = tmp_path / "here"
    here.mkdir()
    options = {"decoding": decoding, "orders": 2, "replicates": 2}
    expected = run(corpus, tokens, HashingModel(here), **options)
    store = tmp_path / "store"
    found = run(corpus, tokens, HashingModel(asked, pause=0.05), client=client, store=store,
                **options)  # fmt: skip
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    assert calls(asked) == calls(here)
    assert len(calls(here)) == 4
    assert len(read_parts(store)) == len(expected)
    assert len(set(processes(asked, "call"))) == 2


def test_other_audio_is_heard_on_workers_as_it_is_here(client, corpus, tokens, asked, tmp_path):
    """Also that of partners, whose own answers may come from another worker meanwhile."""
    here = tmp_path / "here"
    here.mkdir()
    crossed = ["none", "aligned @ swapped", "none @ swapped", "none @ spliced", "aligned @ silent"]
    expected = run(corpus, tokens, HashingModel(here), conditions=crossed)
    found = run(corpus, tokens, HashingModel(asked), conditions=crossed, client=client)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_a_worker_loads_a_model_once(client, corpus, tokens, asked):
    """However many studies ask it; another model takes its place."""
    for seed in (0, 1):
        run(corpus, tokens, HashingModel(asked, pause=0.05), client=client, seed=seed)
    loaded = processes(asked, "load")
    assert len(loaded) == len(set(loaded)) == 2
    run(corpus, tokens, HashingModel(asked, pause=0.05, version=2), client=client)
    run(corpus, tokens, HashingModel(asked, pause=0.05), client=client)
    assert len(processes(asked, "load")) == 6


def test_what_is_stored_is_not_asked_again(client, corpus, tokens, asked, tmp_path):
    run(corpus, tokens, HashingModel(asked), client=client, store=tmp_path / "store")
    before = len(calls(asked))
    run(corpus, tokens, HashingModel(asked), client=client, store=tmp_path / "store")
    assert len(calls(asked)) == before


def test_a_killed_worker_costs_its_batch_and_no_more(
    mortal_client, corpus, tokens, asked, tmp_path
):
    """SIGKILL in the middle of a batch: it alone is asked twice, and the study is complete."""
    expected = run(corpus, tokens, HashingModel(tmp_path))
    planned = len(calls(tmp_path))
    store = tmp_path / "store"
    model = HashingModel(asked, kills=1, pause=0.05)
    found = run(corpus, tokens, model, client=mortal_client, store=store)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    assert len(processes(asked, "killed")) == 1
    assert len(calls(asked)) == planned + 1
    assert sorted(set(calls(asked))) == calls(tmp_path)
    assert len(read_parts(store)) == len(expected)


def test_a_batch_that_ends_every_worker_is_named(mortal_client, corpus, tokens, asked, tmp_path):
    """The others are answered and stored; the study does not go on for ever."""
    deadly = corpus.rows("test").index[4]
    model = HashingModel(asked, kills=99, deadly=digest(read_utterance(corpus, deadly)))
    with pytest.raises(ServerError) as error:
        run(corpus, tokens, model, client=mortal_client, store=tmp_path / "store")
    assert "several ended, one after the other" in str(error.value)
    assert deadly[0] in str(error.value)
    assert "run again" in str(error.value)
    assert deadly[0] not in set(read_parts(tmp_path / "store")["utterance"])


@pytest.mark.parametrize(
    ("fails", "kind", "message"),
    [
        ("input", InputError, "labels: found nothing, valid is something"),
        ("decoding", DecodingError, "which this server cannot do"),
        ("refused", InputError, "refused the request: status 400"),
    ],
)
def test_an_error_on_a_worker_is_the_error_here(
    client, corpus, tokens, asked, fails, kind, message
):
    """The last has arguments of its own, with which it cannot be sent."""
    with pytest.raises(kind, match=message):
        run(corpus, tokens, HashingModel(asked, fails=fails), client=client)


def test_what_is_under_way_when_one_fails_is_kept(client):
    """On many machines a failure would else cost a batch of each."""
    numbers = [Call(n, (n,), [f"utterance {n}"]) for n in (1, 0, 2, 3, *range(4, 40))]
    done = {}
    with pytest.raises(ZeroDivisionError):
        # A dictionary is filled as far as its source goes.
        done.update(spread(client, one_over, numbers))
    assert done[1] == 1
    assert len(done) < 39


def one_over(number):
    return 1 / number


def test_calls_are_drawn_as_workers_become_free(client):
    """A study of a million prompts must not lie in memory at once."""
    drawn, most = 0, 0

    def numbers():
        nonlocal drawn
        for n in range(1, 30):
            drawn += 1
            yield Call(n, (n,), [])

    for done, _ in enumerate(spread(client, one_over, numbers()), start=1):
        most = max(most, drawn - done)
    assert drawn == done == 29
    assert most <= 2 * 2


class DesertedClient:
    """A client that sees no worker any more once ``deserted``: the last one has just ended."""

    deserted = False

    def __init__(self, client):
        self._client = client

    def __getattr__(self, name):
        return getattr(self._client, name)

    def nthreads(self):
        return {} if self.deserted else self._client.nthreads()


def test_calls_wait_for_a_worker_to_come_where_the_last_one_has_gone(client):
    """What was under way came back, and nothing else was: the rest is not left undone."""
    seen, done = DesertedClient(client), {}
    for about, result in spread(seen, one_over, [Call(n, (n,), []) for n in range(1, 30)]):
        seen.deserted = True
        done[about] = result
    assert done == {n: 1 / n for n in range(1, 30)}


def test_a_scheduler_is_asked_nothing_once_all_is_under_way(client):
    """It may end with the last answer, as the job in which it runs does: all is done."""
    seen, done = DesertedClient(client), []
    for number, _ in spread(seen, one_over, [Call(n, (n,), []) for n in (1, 2, 3)]):
        seen.nthreads = None
        done.append(number)
    assert sorted(done) == [1, 2, 3]


def test_a_scheduler_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setattr(connection, "SECONDS_TO_CONNECT", 1.0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(
            InputError, match=r"no scheduler of dask answers at 'tcp://127\.0\.0\.1:"
        ):
            connect(address)
        free.listen()  # somebody is there, and never says a word
        with pytest.raises(
            InputError, match=r"no scheduler of dask answers at 'tcp://127\.0\.0\.1:"
        ):
            connect(address)


@pytest.mark.parametrize("address", ["tls://127.0.0.1:1", "udp://127.0.0.1:1", "tcp://:x"])
def test_an_address_that_cannot_be_used_is_told(address, monkeypatch):
    """Without certificates there is no tls."""
    monkeypatch.setattr(connection, "SECONDS_TO_CONNECT", 1.0)
    with pytest.raises(InputError, match=r"scheduler: .*valid is tcp://HOST:PORT"):
        connect(address)


def test_a_password_in_an_address_is_not_repeated():
    with pytest.raises(InputError) as error:
        connect("tcp://me:secret@127.0.0.1:1")
    assert "secret" not in str(error.value)


def test_a_scheduler_without_workers_is_told(corpus, tokens, asked, impatient, caplog):
    told = r"no worker connected within 1\.5 s; start some"
    with (
        local_cluster(n_workers=0) as empty,
        Client(empty, set_as_default=False) as client,
        pytest.raises(InputError, match=told),
    ):
        run(corpus, tokens, HashingModel(asked), client=client)
    assert "no worker is connected yet" in caplog.text


def test_workers_that_go_for_good_end_the_study(corpus, tokens, asked, impatient, tmp_path):
    """What was answered before is stored; run again elsewhere, it goes on from there."""
    store, model = tmp_path / "store", HashingModel(asked, pause=0.3)
    with local_cluster() as doomed, connected_to(doomed) as client:

        def end_all():
            while not part_files(store):
                time.sleep(0.02)
            doomed.scale(0)

        ending = threading.Thread(target=end_all)
        ending.start()
        with pytest.raises(ServerError, match="none has been connected for"):
            run(corpus, tokens, model, client=client, store=store)
        ending.join()
    kept = read_parts(store)
    assert len(kept)
    found = run(corpus, tokens, HashingModel(tmp_path), store=store)
    assert len(calls(tmp_path)) == 4 - kept["utterance"].nunique() // 2
    assert len(found) == 8 * len(CONDITIONS)


def test_a_scheduler_that_goes_is_told(corpus, tokens, asked):
    doomed = local_cluster(n_workers=1)
    client = Client(doomed.scheduler_address, timeout=5, set_as_default=False)
    client.wait_for_workers(1, timeout=300)
    model = HashingModel(asked, pause=0.3)

    def end():
        while not calls(asked):
            time.sleep(0.02)
        doomed.close()

    ending = threading.Thread(target=end)
    ending.start()
    with pytest.raises(ServerError, match="the connection to it is lost"):
        run(corpus, tokens, model, client=client)
    ending.join()
    client.close()
