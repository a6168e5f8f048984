"""Cross-validation: each fold is tested by what was fitted on all others, and by nothing else."""

import numpy as np
import pandas as pd
import pytest

from sercue.corpora.corpus import check_partitions, example_corpus, select_fold
from sercue.errors import InputError
from sercue.statistics.designs import threshold_stability
from sercue.statistics.measures import uar
from sercue.study import run_study
from sercue.tokens.binning import FoldBinning, fit_bins
from sercue.tokens.concepts import Concept

LOUD = [Concept("energy", {"loudness": 1})]


@pytest.fixture
def corpus():
    """Three folds of two speakers each."""
    corpus = example_corpus(speakers=6, utterances=4)
    number = corpus.table["speaker"].str[1].astype(int)
    return select_fold(
        corpus.with_table(corpus.table.assign(fold=(number // 2 + 1).astype(str))), "all"
    )


@pytest.fixture
def features(corpus):
    values = np.random.default_rng(0).normal(size=len(corpus.table))
    return pd.DataFrame({"loudness": values}, index=corpus.table.index)


def test_a_fold_is_tested_and_the_others_train(corpus):
    assert corpus.folds == ["1", "2", "3"]
    one = corpus.in_fold("2")
    assert one.rows("test")["speaker"].unique().tolist() == ["s2", "s3"]
    assert one.rows("train")["speaker"].unique().tolist() == ["s0", "s1", "s4", "s5"]
    assert one.folds == []


def test_a_study_may_name_one_fold_by_number_or_text(corpus):
    for fold in (3, "3"):
        tested = select_fold(corpus, fold).rows("test")["speaker"]
        assert tested.unique().tolist() == ["s4", "s5"]


def test_folds_that_are_not_there_are_named(corpus):
    with pytest.raises(InputError, match=r"unknown fold '4'.*1, 2, 3, all"):
        select_fold(corpus, 4)
    with pytest.raises(InputError, match=r"unknown fold '1'.*speaker 1, speaker 2, speaker 3, all"):
        select_fold(example_corpus(), 1)


def test_without_folds_each_speaker_is_one():
    """Also those of a corpus with partitions of its own: train, dev and test are all evaluated."""
    corpus = example_corpus()
    everybody = select_fold(corpus, "all")
    assert set(corpus.table["partition"]) == {"train", "dev", "test"}
    assert set(everybody.table["partition"]) == {"test"}
    assert dict(zip(everybody.table["speaker"], everybody.table["fold"], strict=True)) == {
        "s0": "speaker 1", "s1": "speaker 2", "s2": "speaker 3",
    }  # fmt: skip
    assert select_fold(corpus, "speaker 2").rows("test")["speaker"].unique().tolist() == ["s1"]


def test_a_speaker_in_two_folds_is_named(corpus):
    corpus.table.loc[corpus.table.index[0], "fold"] = "3"
    with pytest.raises(InputError, match=r"speaker 's0' is in the folds 1 and 3; folds must not"):
        check_partitions(corpus)


def test_a_single_fold_is_not_enough(corpus):
    single = corpus.with_table(corpus.table[corpus.table["fold"] == "1"])
    with pytest.raises(InputError, match="found the fold '1' alone, valid are two or more"):
        check_partitions(single)


def test_thresholds_never_see_the_fold_that_they_bin(corpus, features):
    """The terciles of a fold's tokens are numpy's of the other folds' robust z-scores, by hand."""
    binning = fit_bins(features, corpus, concepts=LOUD)
    assert isinstance(binning, FoldBinning)
    tokens = binning.transform(features, corpus)["energy"]
    assert tokens.index.equals(corpus.table.index)
    for fold in corpus.folds:
        tested = (corpus.table["fold"] == fold).to_numpy()
        others = features["loudness"].to_numpy()[~tested]
        low, high = np.quantile(others, [1 / 3, 2 / 3])
        # Robust scaling is monotone: the terciles of the scores are those of the values.
        values = features["loudness"].to_numpy()[tested]
        expected = np.where(values < low, "low", np.where(values < high, "mid", "high"))
        assert tokens[tested].tolist() == expected.tolist()


def test_a_change_in_the_tested_fold_changes_no_threshold(corpus, features):
    before = fit_bins(features, corpus, concepts=LOUD).of_fold["1"]
    features.loc[corpus.table["fold"] == "1"] += 100
    after = fit_bins(features, corpus, concepts=LOUD).of_fold["1"]
    assert before == after


def test_stability_leaves_out_each_fold(corpus, features):
    table = threshold_stability(features, corpus, concepts=LOUD)
    assert table["left_out"].tolist() == ["nobody", "1", "2", "3"]
    binning = fit_bins(features, corpus, concepts=LOUD)
    for fold, edges in zip(corpus.folds, binning.edges("energy"), strict=True):
        row = table[table["left_out"] == fold].iloc[0]
        assert (row["threshold_1"], row["threshold_2"]) == edges[1]


class FoldModel:
    """A model of one fold: it answers the label that it was given, whatever it hears."""

    device, dtype, batch_size, sampling_rate, max_seconds = "cpu", "float32", 2, 16000, np.inf

    def __init__(self, fold, place):
        self.name = self.identity = f"model of fold {fold}"
        self.place, self.asked = place, 0

    def score(self, audios, prompts, labels):
        self.asked += len(audios)
        row = np.full(len(labels), -9.0)
        row[self.place] = -0.1
        return [np.tile(row, (len(texts), 1)) for texts in prompts]


@pytest.fixture
def study(corpus, features, monkeypatch):
    """The arguments of a study whose recordings are all silent; no model here listens."""
    silence = np.zeros(1600, dtype=np.float32)
    monkeypatch.setattr("sercue.study.read_utterance", lambda *_: silence)
    tokens = fit_bins(features, corpus, concepts=LOUD).transform(features, corpus)
    digests = pd.Series([f"{i:032x}" for i in range(len(tokens))], index=tokens.index)
    return {"corpus": corpus, "tokens": tokens, "digests": digests, "templates": ["plain"]}


def test_each_fold_is_answered_by_its_own_model(corpus, study):
    models = {"1": FoldModel("1", 0), "2": FoldModel("2", 1), "3": FoldModel("3", 0)}
    table = run_study(model=models, conditions=["none", "aligned"], **study)
    fold_of = corpus.table.groupby("speaker")["fold"].first()
    for fold, rows in table.groupby(table["speaker"].map(fold_of)):
        assert set(rows["model"]) == {f"model of fold {fold}"}
        assert set(rows["prediction"]) == {corpus.labels[models[fold].place]}
    assert [model.asked for model in models.values()] == [8, 8, 8]
    # Half of the utterances are of either class, and each fold knows one class only: UAR is 1/2.
    assert uar(table["truth"], table["prediction"], corpus.labels) == 0.5


def test_stored_answers_of_all_folds_are_found_again(study, tmp_path):
    models = {fold: FoldModel(fold, 0) for fold in "123"}
    first = run_study(model=models, conditions=["none"], store=tmp_path / "p", **study)
    again = run_study(model=models, conditions=["none"], store=tmp_path / "p", **study)
    assert [model.asked for model in models.values()] == [8, 8, 8]
    pd.testing.assert_frame_equal(first, again)


def test_a_fold_without_a_model_is_an_error(study):
    with pytest.raises(
        InputError, match=r"found one each for 1; corpus 'example' has the folds 1,"
    ):
        run_study(model={"1": FoldModel("1", 0)}, conditions=["none"], **study)
