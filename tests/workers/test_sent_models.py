"""What is sent to a worker: a model without weights and keys, an excerpt of the corpus."""

import pickle
import threading
import time

import numpy as np
import pytest
from hashing_model import HashingModel, processes

from sercue.distributed import worker
from sercue.distributed.study import excerpt, sent_model
from sercue.errors import InputError
from sercue.models import load_model
from sercue.models.tiny import TinyModel

SMALL = {"width": 32, "heads": 2, "mel_bins": 16, "audio_layers": 1, "text_layers": 1, "epochs": 1}
NOISE = np.random.default_rng(0).normal(0, 0.1, 1600).astype(np.float32)


@pytest.fixture
def trained(corpus, tokens, cache):
    model = TinyModel(corpus, tokens, SMALL)
    model.train()
    return model


def test_a_loaded_model_travels_without_its_weights(trained):
    """It is the same model where it arrives: by identity, and by its answers."""
    model = load_model(f"hf:{trained.folder}", dtype="float32")
    question = [NOISE], [["How does the speaker feel?"]], ["angry", "sad"]
    before = model.score(*question)
    sent = pickle.dumps(model)
    weights = (trained.folder / "model.safetensors").stat().st_size
    assert len(sent) < 2000 < weights / 50
    arrived = pickle.loads(sent)
    assert arrived.identity == model.identity
    np.testing.assert_array_equal(arrived.score(*question), before)


def test_the_precision_is_decided_where_the_study_is_run_from(trained):
    """And the device where the model answers: a head node has no GPU, its workers have."""
    model = load_model(f"hf:{trained.folder}", dtype="auto", device="auto")
    make, arguments = model.__reduce__()
    assert arguments == ()
    assert make.keywords["dtype"] == model.dtype == "float32"
    assert make.keywords["device"] == "auto"


def test_long_audio_travels_too(trained):
    model = load_model(f"hf:{trained.folder}", options={"long_audio": "windows"})
    arrived = pickle.loads(pickle.dumps(model))
    assert arrived.identity == model.identity == f"{model.model.identity}+windows"


def test_of_a_model_trained_here_only_the_checkpoint_is_sent(trained):
    """Neither the corpus nor the tokens: they would travel with each batch."""
    sent = sent_model(trained)
    assert len(sent.pickled) < 2000
    assert b"Corpus" not in sent.pickled
    question = [NOISE], [["How does the speaker feel?"]], ["angry", "sad"]
    with worker.holding(sent) as model:
        np.testing.assert_array_equal(model.score(*question), trained.score(*question))


def test_the_key_of_a_server_is_not_sent(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted")
    model = load_model("endpoint:served", options={"base_url": "http://127.0.0.1:9/v1"})
    sent = sent_model(model)
    assert b"sk-planted" not in sent.pickled
    with worker.holding(sent) as arrived:
        assert arrived.identity == model.identity


def test_another_model_at_the_same_path_is_refused(trained, tmp_path):
    """The worker's disk may hold another training under the same name."""
    model = load_model(f"hf:{trained.folder}")
    sent = worker.SentModel(model.name, "sercue-tiny@0123/float32", pickle.dumps(model))
    with pytest.raises(InputError, match="sercue-tiny@0123/float32 where the study is run"):
        holding(sent)


def test_a_folder_that_is_not_there_is_told_with_the_worker(trained, tmp_path):
    gone = trained.folder.rename(tmp_path / "moved")
    model = load_model(f"hf:{gone}")
    sent = sent_model(model)
    gone.rename(trained.folder)
    with pytest.raises(InputError, match=r"no folder at .*moved.*\(on worker .*every machine\)"):
        holding(sent)


def holding(sent):
    with worker.holding(sent) as model:
        return model


def test_threads_of_a_worker_ask_a_model_in_turn(asked):
    """It is loaded once, and no two of them are inside it."""
    sent = sent_model(HashingModel(asked))
    inside, most = 0, 0

    def ask():
        nonlocal inside, most
        with worker.holding(sent) as model:
            inside += 1
            most = max(most, inside)
            model.score([NOISE], [["?"]], ["a"])
            time.sleep(0.01)
            inside -= 1

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert len(processes(asked, "call")) == 5
    assert len(processes(asked, "load")) == 1


def test_memory_is_made_for_one_large_model_and_many_small_ones(trained, asked):
    """The models of all folds stay; a second of seven billion parameters would not fit."""
    first, second = (sent_model(HashingModel(asked, version=n)) for n in (1, 2))
    held = [holding(first), holding(first), holding(second), holding(first)]
    assert held[0] is held[1]
    assert held[0] is not held[3]
    assert held[2] is not held[3]
    small = sent_model(trained)
    other = worker.SentModel(small.name, small.identity, pickle.dumps(trained.answering, 4))
    assert small.pickled != other.pickled
    kept = holding(small)
    holding(other)
    assert holding(small) is kept


def test_an_excerpt_holds_paths_for_other_machines_and_nothing_else(corpus, monkeypatch):
    monkeypatch.chdir(corpus.root.parent)
    near = type(corpus)(
        "made", corpus.root.relative_to(corpus.root.parent), corpus.table, corpus.labels,
        "neutral", "none", files={"s2_0.wav": corpus.root / "s2_1.wav"},
    )  # fmt: skip
    part = excerpt(near, np.array([16, 20]))
    assert part.table.index.get_level_values("file").tolist() == ["s2_0.wav", "s2_4.wav"]
    assert part.path("s2_0.wav") == corpus.root / "s2_1.wav"
    assert part.path("s2_4.wav") == corpus.root / "s2_4.wav"
    assert part.labels == corpus.labels
    assert list(part.files) == ["s2_0.wav"]


def test_versions_that_differ_are_both_named():
    told = worker.difference({"torch": "2.12.0", "sercue": "1"}, {"torch": "2.13.0", "sercue": "1"})
    assert told == "found torch 2.12.0, but 2.13.0 where the study is run from"
