"""The bootstrap against a slow loop over rows."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score

from sercue.errors import InputError
from sercue.statistics.measures import LABELS, example_predictions
from sercue.statistics.resampling import bootstrap_differences, bootstrap_uar

CONDITIONS = {"none": 0.5, "aligned": 0.7, "shuffled": 0.4}


def drawn_speakers(speakers, resamples, seed):
    """The draws that ``seed`` stands for, as lists of speakers with repetitions."""
    names = sorted(speakers)
    rng = np.random.default_rng(seed)
    shares = np.full(len(names), 1 / len(names))
    for weights in rng.multinomial(len(names), shares, size=resamples):
        yield [name for name, times in zip(names, weights, strict=True) for _ in range(times)]


def slow_uar(predictions, condition, speakers):
    """UAR of a resample the long way: pick the rows, ask scikit-learn."""
    rows = predictions[predictions["condition"] == condition].fillna({"prediction": "-"})
    picked = pd.concat([rows[rows["speaker"] == speaker] for speaker in speakers])
    return balanced_accuracy_score(picked["truth"], picked["prediction"])


@pytest.fixture(scope="module")
def unbalanced():
    """Speakers with unequal numbers of utterances; one class is missing for one speaker."""
    table = example_predictions(CONDITIONS, speakers=5, utterances=9, seed=2)
    number = table["utterance"].str.extract(r"_(\d+)")[0].astype(int)
    short = (table["speaker"] == "s1") & (number > 4)
    lacking = (table["speaker"] == "s3") & (table["truth"] == "sad")
    table = table[~short & ~lacking].reset_index(drop=True)
    table.loc[table.index % 17 == 0, "prediction"] = None
    return table


@pytest.mark.filterwarnings("ignore:y_pred contains classes")
def test_interval_equals_a_plain_loop(unbalanced):
    """Weighted counts must give what resampling rows and scoring them anew gives."""
    table = bootstrap_uar(unbalanced, LABELS, resamples=100, seed=4).set_index("condition")
    draws = list(drawn_speakers(unbalanced["speaker"].unique(), 100, seed=4))
    for condition in CONDITIONS:
        slow = [slow_uar(unbalanced, condition, draw) for draw in draws]
        expected = np.percentile(slow, [2.5, 97.5])
        np.testing.assert_allclose(table.loc[condition, ["low", "high"]].astype(float), expected)
        whole = slow_uar(unbalanced, condition, sorted(unbalanced["speaker"].unique()))
        assert table.loc[condition, "uar"] == pytest.approx(whole)


@pytest.mark.filterwarnings("ignore:y_pred contains classes")
def test_differences_of_all_pairs_are_paired(unbalanced):
    """The difference is taken within each resample, not between two independent ones."""
    table = bootstrap_differences(
        unbalanced, LABELS, resamples=100, seed=9, confidence=0.9
    ).set_index(["condition", "reference"])
    draws = list(drawn_speakers(unbalanced["speaker"].unique(), 100, seed=9))
    slow = {name: np.array([slow_uar(unbalanced, name, d) for d in draws]) for name in CONDITIONS}
    assert len(table) == 3
    for condition, reference in table.index:
        expected = np.percentile(slow[condition] - slow[reference], [5, 95])
        found = table.loc[(condition, reference), ["low", "high"]].astype(float)
        np.testing.assert_allclose(found, expected)


def test_studentised_interval_equals_a_plain_loop(unbalanced):
    """Each resample's error by its own linearised standard error, speakers entered repeatedly."""
    counted = pd.crosstab(
        [unbalanced["condition"], unbalanced["speaker"]], unbalanced["truth"]
    ).astype(float)
    right = unbalanced[unbalanced["truth"] == unbalanced["prediction"]]
    hits = pd.crosstab([right["condition"], right["speaker"]], right["truth"])
    hits = hits.reindex(index=counted.index, columns=counted.columns, fill_value=0)
    h, n = hits.loc["none"], counted.loc["none"]

    def estimate_and_error(names):
        h_drawn, n_drawn = h.loc[names], n.loc[names]
        occurs = n_drawn.sum() > 0
        recall = (h_drawn.sum() / n_drawn.sum())[occurs]
        left = (h_drawn - n_drawn * recall)[recall.index] / n_drawn.sum()[occurs]
        return recall.mean(), np.sqrt((left.mean(axis=1) ** 2).sum())

    estimate, error = estimate_and_error(sorted(h.index))
    t = []
    for names in drawn_speakers(h.index, 200, seed=1):
        value, own = estimate_and_error(names)
        if own > 1e-12:
            t.append(abs(value - estimate) / own)
    half = np.quantile(t, 0.9) * error
    options = {"resamples": 200, "seed": 1, "confidence": 0.9, "method": "studentised"}
    found = bootstrap_uar(unbalanced, LABELS, **options).set_index("condition").loc["none"]
    assert found["low"] == pytest.approx(max(estimate - half, 0))
    assert found["high"] == pytest.approx(min(estimate + half, 1))


def test_class_absent_from_a_resample_is_left_out():
    """A class that only one speaker has: resamples without it average the other classes.

    Two speakers, one of them alone with 'sad'. Of the resamples, a quarter holds only s0 (recall
    1 for angry: UAR 1), a quarter only s1 (recall 0 for sad: UAR 0), half both (UAR 1/2).
    """
    rows = pd.DataFrame(
        {
            "utterance": ["a", "b"],
            "speaker": ["s0", "s1"],
            "truth": ["angry", "sad"],
            "condition": "none",
            "prediction": ["angry", "angry"],
        }
    )
    for confidence, low, high in [(0.4, 0.5, 0.5), (0.6, 0, 1)]:
        table = bootstrap_uar(rows, LABELS, resamples=4000, confidence=confidence)
        assert table.loc[0, ["uar", "low", "high"]].tolist() == [0.5, low, high]


@pytest.mark.parametrize("method", ["percentile", "studentised"])
def test_same_seed_same_interval_whatever_the_other_conditions(method):
    """An interval may depend on its seed, but not on which other conditions are in the table."""
    rows = example_predictions(CONDITIONS, speakers=20)
    options = {"resamples": 2500, "method": method}
    whole = bootstrap_uar(rows, LABELS, seed=1, **options)
    aligned = rows[rows["condition"] == "aligned"]
    alone = bootstrap_uar(aligned, LABELS, seed=1, **options)
    expected = whole[whole["condition"] == "aligned"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, expected)
    other = bootstrap_uar(rows, LABELS, seed=2, **options)
    assert not other[["low", "high"]].equals(whole[["low", "high"]])


def test_bad_parameters_are_named(unbalanced):
    with pytest.raises(InputError, match="confidence: found 95"):
        bootstrap_uar(unbalanced, LABELS, confidence=95)
    with pytest.raises(InputError, match="resamples: found 0"):
        bootstrap_differences(unbalanced, LABELS, resamples=0)
    with pytest.raises(InputError, match="did you mean 'studentised'"):
        bootstrap_uar(unbalanced, LABELS, method="studentized")
    with pytest.raises(InputError, match="speakers: found 1"):
        bootstrap_uar(unbalanced[unbalanced["speaker"] == "s0"], LABELS)
