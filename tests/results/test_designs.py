"""What notebook 02 shows beside the study's own tokens: left out with its reason, never fatal."""

import numpy as np
import pandas as pd
import pytest

from sercue import results
from sercue.corpora.corpus import example_corpus
from sercue.errors import ServerError, StorageError
from sercue.results.reasons import or_none, or_why_not
from sercue.run import Run
from sercue.settings import Settings
from sercue.tables.exhibits import FigureExhibit, TableExhibit
from sercue.tokens.concepts import CONCEPTS

EXHIBITS = ("stability_figure", "stability_table", "designs_figure", "designs_table",
            "own_design_table")  # fmt: skip


def run_of(folder, *, speakers, utterances, training):
    """A run on random functionals, with so many of the speakers to train."""
    corpus = example_corpus(speakers, utterances)
    numbers = corpus.table["speaker"].str[1:].astype(int)
    corpus.table["partition"] = np.where(numbers < training, "train", "test")
    # Of one utterance per speaker, all speakers together have each class.
    corpus.table["emotion"] = np.resize(["angry", "neutral"], len(corpus.table))
    names = sorted({name for concept in CONCEPTS for name in concept.functionals})
    random = np.random.default_rng(0).normal(size=(len(corpus.table), len(names)))
    features = pd.DataFrame(random, corpus.table.index, names)
    run = Run(Settings(out=str(folder)))
    run.__dict__.update(corpus=corpus, features=features, content="made")
    return run


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    """Twelve speakers train and twelve test, each with one utterance."""
    return run_of(tmp_path_factory.mktemp("single"), speakers=24, utterances=1, training=12)


def test_with_one_utterance_per_speaker_centring_by_speaker_is_left_out(single):
    """Each functional is its own median: nothing is left of it."""
    left_out = single.designs.attrs["left_out"]
    assert single.designs["centre"].tolist() == ["none"] * 4
    assert list(left_out) == [
        f"{bins} {method}, centred by speaker"
        for bins in (3, 5)
        for method in ("quantile", "width")
    ]
    told = results.designs_table(single)
    assert "Left out: 3 quantile, centred by speaker, " in told.caption
    assert told.caption.count("its functionals do not vary there") == 1


@pytest.mark.parametrize("name", EXHIBITS)
def test_all_else_is_shown(single, name):
    assert isinstance(getattr(results, name)(single), FigureExhibit | TableExhibit)


def test_the_summary_tells_of_all(single):
    told = " ".join(results.binning_conclusions(single))
    for words in ("fullest bin", "One token tells", "Leaving one training speaker out",
                  "of the design of this study", "of 4 designs"):  # fmt: skip
        assert words in told


def test_of_a_single_training_speaker_nobody_can_be_left_out(tmp_path):
    run = run_of(tmp_path, speakers=4, utterances=12, training=1)
    for name in EXHIBITS[:-1]:
        assert getattr(results, name)(run) == (
            "Not to be had from this study: corpus 'example': found 1 training speakers, need 2."
        )
    own = results.own_design_table(run)
    assert np.isnan(own.data["agreement"].item())
    assert own.data["tokens_uar"].notna().all()
    assert len(results.binning_conclusions(run)) == 3


def test_training_speakers_of_one_class_are_no_end(tmp_path):
    """With either of two held out, scikit-learn has one class to learn from."""
    run = run_of(tmp_path, speakers=4, utterances=12, training=2)
    run.corpus.table["emotion"] = np.where(run.corpus.table["speaker"] == "s0", "angry", "neutral")
    assert results.designs_table(run).startswith("Not to be had from this study: ")


@pytest.mark.parametrize("error", [KeyError("x"), ZeroDivisionError("by zero"), IndexError("none")])
def test_whatever_is_raised_beside_the_main_line_becomes_a_sentence(error):
    def make(_):
        raise error

    said = or_why_not(make)(None)
    assert said.startswith(f"Not to be had from this study: {type(error).__name__}: ")
    assert or_none(lambda: make(None)) is None


@pytest.mark.parametrize("error", [StorageError("full"), ServerError("gone"), MemoryError()])
def test_a_disk_or_server_that_fails_still_ends_the_notebook(error):
    def make(_):
        raise error

    with pytest.raises(type(error)):
        or_why_not(make)(None)
    with pytest.raises(type(error)):
        or_none(lambda: make(None))
