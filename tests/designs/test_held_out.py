"""Who is held out, and what is counted of the answers: scikit-learn and loops as oracles."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, log_loss

from sercue.corpora.corpus import example_corpus
from sercue.errors import InputError
from sercue.statistics.designs import Answers, evaluated_views, held_out_training, jackknife_error


@pytest.fixture
def corpus():
    corpus = example_corpus(speakers=9, utterances=6, labels=3)
    partition = ["train"] * 42 + ["dev"] * 6 + ["test"] * 6
    return corpus.with_table(corpus.table.assign(partition=partition))


def answers(rng, speakers=7, size=140):
    truth = rng.choice(list("abc"), size, p=[0.6, 0.3, 0.1])
    prediction = np.where(rng.random(size) < 0.6, truth, rng.choice(list("abc"), size))
    table = pd.DataFrame({"truth": truth, "prediction": prediction})
    return Answers(table.assign(speaker=rng.integers(0, speakers, size).astype(str), log_p=-1.0))


def test_no_evaluated_speaker_is_seen(corpus):
    """A design chosen on held-out training speakers must never have met a test or dev speaker."""
    views = evaluated_views(corpus)
    assert len(views) == 5
    tested = pd.concat([view.rows("test") for view in views.values()])
    assert tested.index.sort_values().equals(corpus.rows("train").index.sort_values())
    for view in views.values():
        train, test = (set(view.rows(name)["speaker"]) for name in ("train", "test"))
        assert not train & test
        assert train | test == set(corpus.rows("train")["speaker"])


def test_a_partition_is_answered_by_all_training_speakers(corpus):
    """Development rows take no part when the test is answered."""
    (view,) = evaluated_views(corpus, "test").values()
    assert set(view.rows("train")["speaker"]) == set(corpus.rows("train")["speaker"])
    assert view.rows("test").index.equals(corpus.rows("test").index)
    (dev,) = evaluated_views(corpus, "dev").values()
    assert dev.rows("test").index.equals(corpus.rows("dev").index)


def test_folds_stay_as_they_are(corpus):
    """A cross-validated corpus has its own held-out groups."""
    folded = corpus.with_table(
        corpus.table.assign(partition="test", fold=corpus.table["speaker"].str[1].astype(int) % 3)
    )
    folded.table["fold"] = folded.table["fold"].astype(str)
    assert held_out_training(folded) is folded
    assert list(evaluated_views(folded, "test")) == ["0", "1", "2"]


def test_one_training_speaker_cannot_be_held_out(corpus):
    alone = corpus.with_table(corpus.table[corpus.table["speaker"].isin(["s0", "s8"])])
    with pytest.raises(InputError, match="found 1 training speakers"):
        evaluated_views(alone)
    with pytest.raises(InputError, match="unknown partition 'dev'"):
        evaluated_views(alone, "dev")


def test_uar_and_its_jackknife_equal_a_loop():
    """Scikit-learn's balanced accuracy, again with the rows of each speaker removed."""
    found = answers(np.random.default_rng(0))
    table = found.table
    assert found.uar == pytest.approx(balanced_accuracy_score(table["truth"], table["prediction"]))
    for speaker, uar in zip(sorted(table["speaker"].unique()), found.uar_without_each, strict=True):
        left = table[table["speaker"] != speaker]
        expected = balanced_accuracy_score(left["truth"], left["prediction"])
        assert uar == pytest.approx(expected)


def test_the_jackknife_of_a_mean_is_its_standard_error():
    """For a mean the jackknife gives s / sqrt(n), exactly."""
    x = np.random.default_rng(1).normal(size=30)
    without = (x.sum() - x) / 29
    assert jackknife_error(without) == pytest.approx(x.std(ddof=1) / np.sqrt(30))
    assert np.isnan(jackknife_error(np.array([0.5])))


def test_the_interval_of_two_errors_covers_the_truth():
    """Over corpora whose speakers differ, 95 % intervals cover the expected UAR about as often.

    400 corpora of 15 speakers; the true recall is the mean over speakers. With 15 speakers the
    normal interval is a little short: 90 to 97 % is asked for.
    """
    rng = np.random.default_rng(2)
    covered = []
    for _ in range(400):
        recall = np.clip(rng.normal(0.6, 0.15, (15, 2)), 0, 1)
        truth = np.tile(np.repeat(["a", "b"], 20), 15)
        speaker = np.repeat(np.arange(15), 40)
        right = rng.random(600) < recall[speaker, (truth == "b").astype(int)]
        wrong = np.where(truth == "a", "b", "a")
        table = pd.DataFrame({"truth": truth, "prediction": np.where(right, truth, wrong)})
        found = Answers(table.assign(speaker=speaker.astype(str), log_p=-1.0))
        half = norm.ppf(0.975) * jackknife_error(found.uar_without_each)
        covered.append(abs(found.uar - 0.6) < half)
    assert 0.90 <= np.mean(covered) <= 0.97


def test_information_is_entropy_less_log_loss(corpus):
    """With equally frequent classes: log2 K less the log loss of scikit-learn, in bits."""
    rng = np.random.default_rng(3)
    rows = corpus.table
    values = pd.get_dummies(rows["emotion"]).to_numpy(float) + rng.normal(size=(54, 3))
    inputs = pd.DataFrame(values, index=rows.index)
    classifier = LogisticRegression().fit(inputs, rows["emotion"])
    found = Answers.of(classifier, inputs, rows)
    loss = log_loss(rows["emotion"], classifier.predict_proba(inputs)) / np.log(2)
    assert found.information == pytest.approx(np.log2(3) - loss)
    assert found.table["prediction"].tolist() == classifier.predict(inputs).tolist()


def test_a_class_that_was_not_trained_on_leaves_the_information_open(corpus):
    """Its probability is 0; minus infinity bits would be no statement about the words."""
    rows = corpus.table
    inputs = pd.DataFrame({"x": np.arange(54.0)}, index=rows.index)
    known = (rows["emotion"] != "sad").to_numpy()
    classifier = LogisticRegression().fit(inputs[known], rows.loc[known, "emotion"])
    found = Answers.of(classifier, inputs, rows)
    assert np.isnan(found.information)
    assert 0 <= found.uar <= 1
