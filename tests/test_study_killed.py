"""Whatever ends a run, what was answered stays, and the finished study is the undisturbed one."""

import io
import multiprocessing
import random
import signal
import time
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from study_by_hash import BATCH, ask, write_corpus

from sercue.storage.tables import append_part, part_files, read_parts
from sercue.study.store import ROW

UTTERANCES = 64
KILLS = 8


@pytest.fixture(scope="module")
def processes():
    """Processes that have imported all before they begin, so that they are killed at work."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["study_by_hash", "pyarrow.parquet", "scipy.special"])
    return context


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed") / "corpus"
    write_corpus(folder, UTTERANCES)
    return folder


@pytest.fixture(scope="module")
def undisturbed(recordings, tmp_path_factory):
    return ask(recordings, None, tmp_path_factory.mktemp("undisturbed") / "log")


def in_bytes(predictions: pd.DataFrame) -> bytes:
    """A table as bytes, its rows sorted and its texts as they read."""
    plain = predictions.astype(dict.fromkeys(predictions.select_dtypes("category"), object))
    file = io.BytesIO()
    plain.attrs, columns = {}, sorted(plain)
    plain[columns].sort_values(ROW, ignore_index=True).to_parquet(file)
    return file.getvalue()


def asked(log: Path) -> int:
    """Utterances that models were asked about so far."""
    return sum(map(int, log.read_text().split()))


def wait_for(log: Path, number: int, process) -> None:
    while asked(log) < number and process.is_alive():
        time.sleep(0.001)


def test_killed_at_eight_instants_it_ends_as_if_it_had_not_been(
    processes, recordings, undisturbed, tmp_path
):
    """At most one batch is lost each time, and no number differs in its last digit."""
    store, log = tmp_path / "predictions", tmp_path / "log"
    log.touch()
    instants, lost = random.Random(3), []
    for _ in range(KILLS):
        before = asked(log)
        process = processes.Process(target=ask, args=(recordings, store, log, 0.02))
        process.start()
        wait_for(log, before + BATCH * instants.randint(0, 5), process)
        time.sleep(instants.uniform(0, 0.04))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, "it was at work"
        kept = read_parts(store)
        lost.append(asked(log) - (kept["utterance"].nunique() if len(kept) else 0))
    finished = ask(recordings, store, log)
    assert in_bytes(finished) == in_bytes(undisturbed)
    assert in_bytes(read_parts(store)) == in_bytes(undisturbed)
    each = [after - before for before, after in pairwise([0, *lost])]
    assert set(each) <= {0, BATCH}
    assert asked(log) == UTTERANCES + lost[-1]


def test_two_runs_at_once_leave_each_row_once(processes, recordings, undisturbed, tmp_path):
    store, log = tmp_path / "predictions", tmp_path / "log"
    runs = [
        processes.Process(target=ask, args=(recordings, store, log, 0.01 * number))
        for number in (1, 2)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert [run.exitcode for run in runs] == [0, 0]
    assert in_bytes(read_parts(store)) == in_bytes(undisturbed)
    # Either takes over what the other has answered.
    assert asked(log) < 2 * UTTERANCES


def test_one_of_two_runs_is_killed_and_the_other_finishes(
    processes, recordings, undisturbed, tmp_path
):
    store, log = tmp_path / "predictions", tmp_path / "log"
    first, second = (
        processes.Process(target=ask, args=(recordings, store, log, 0.02)) for _ in range(2)
    )
    first.start()
    second.start()
    time.sleep(0.5)
    first.kill()
    second.join()
    assert second.exitcode == 0
    assert in_bytes(read_parts(store)) == in_bytes(undisturbed)


def test_a_run_killed_while_it_merges_parts_leaves_rows_twice_and_the_next_once(
    recordings, undisturbed, tmp_path
):
    """New parts are written before the old ones go: here the old ones are still there."""
    store, log = tmp_path / "predictions", tmp_path / "log"
    ask(recordings, store, log)
    append_part(store, undisturbed.iloc[:100])
    assert len(read_parts(store)) == len(undisturbed) + 100
    log.unlink()
    again = ask(recordings, store, log)
    assert not log.exists(), "nothing is asked again"
    assert in_bytes(again) == in_bytes(undisturbed)
    assert in_bytes(read_parts(store)) == in_bytes(undisturbed)


def test_a_torn_part_costs_its_own_rows_alone(recordings, undisturbed, tmp_path):
    store, log = tmp_path / "predictions", tmp_path / "log"
    half = len(undisturbed) // 2
    append_part(store, undisturbed.iloc[:half])
    torn = append_part(store, undisturbed.iloc[half:])
    torn.write_bytes(torn.read_bytes()[:1000])
    again = ask(recordings, store, log)
    assert asked(log) == UTTERANCES // 2
    assert in_bytes(again) == in_bytes(undisturbed)
    assert len(part_files(store)) == 1


def test_parts_with_few_and_with_many_names_are_read_together(undisturbed, tmp_path):
    """Of a part with few different texts each has a short number, too short for those of all."""
    names = [f"{number:05d}.wav" for number in range(1000)]
    many = undisturbed.iloc[[0] * 1000].assign(utterance=pd.Categorical(names))
    for rows in (undisturbed.iloc[:8], many, undisturbed.iloc[8:16]):
        append_part(tmp_path, rows)
    assert read_parts(tmp_path)["utterance"].nunique() == 1000 + 2
    # As do readers that know nothing of sercue.
    assert pd.read_parquet(tmp_path)["utterance"].nunique() == 1000 + 2
