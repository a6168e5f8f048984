"""The bootstrap against a slow loop, McNemar against the binomial test, Holm by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, chi2
from sklearn.metrics import balanced_accuracy_score

from sercue.errors import InputError
from sercue.measures import example_predictions
from sercue.significance import bootstrap_uar, compare, planned_contrasts, primary_cell

LABELS = ["angry", "neutral", "sad"]
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
def test_difference_is_paired(unbalanced):
    """The difference is taken within each resample, not between two independent ones."""
    table = compare(unbalanced, LABELS, [("shuffled", "aligned")], resamples=100, seed=9)
    draws = drawn_speakers(unbalanced["speaker"].unique(), 100, seed=9)
    slow = [
        slow_uar(unbalanced, "shuffled", draw) - slow_uar(unbalanced, "aligned", draw)
        for draw in draws
    ]
    expected = np.percentile(slow, [5, 95])
    narrow = compare(
        unbalanced, LABELS, [("shuffled", "aligned")], resamples=100, seed=9, confidence=0.9
    )
    np.testing.assert_allclose(narrow.loc[0, ["low", "high"]].astype(float), expected)
    assert table.loc[0, "low"] <= narrow.loc[0, "low"]


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


def test_same_seed_same_interval_whatever_the_other_conditions(unbalanced):
    """An interval may depend on its seed, but not on which other conditions are in the table."""
    whole = bootstrap_uar(unbalanced, LABELS, resamples=2500, seed=1)
    alone = bootstrap_uar(
        unbalanced[unbalanced["condition"] == "aligned"], LABELS, resamples=2500, seed=1
    )
    expected = whole[whole["condition"] == "aligned"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, expected)
    other = bootstrap_uar(unbalanced, LABELS, resamples=2500, seed=2)
    assert not other[["low", "high"]].equals(whole[["low", "high"]])


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), speakers=st.integers(2, 8))
def test_difference_is_antisymmetric(seed, speakers):
    """Swapping the two conditions mirrors the difference, its interval and the odds ratio."""
    rows = example_predictions({"none": 0.4, "aligned": 0.6}, speakers=speakers, seed=seed)
    options = {"resamples": 200, "seed": seed}
    one = compare(rows, LABELS, [("aligned", "none")], **options).loc[0]
    two = compare(rows, LABELS, [("none", "aligned")], **options).loc[0]
    assert one["difference"] == pytest.approx(-two["difference"])
    assert one["low"] == pytest.approx(-two["high"])
    assert one["high"] == pytest.approx(-two["low"])
    assert one["discordant_better"] == two["discordant_worse"]
    assert one["mcnemar_p"] == two["mcnemar_p"]


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_condition_equal_to_its_reference_differs_by_nothing(seed):
    """Under identical answers the paired interval has no width at all and p is 1."""
    rows = example_predictions({"none": 0.5}, seed=seed)
    both = pd.concat([rows, rows.assign(condition="aligned")], ignore_index=True)
    found = compare(both, LABELS, resamples=100, seed=seed).loc[0]
    assert (found["difference"], found["low"], found["high"]) == (0, 0, 0)
    assert found["mcnemar_p"] == 1
    assert np.isnan(found["odds_ratio"])


def answers_with(better, worse, both=10):
    """Two speakers; ``better`` utterances right only under aligned, ``worse`` only under none."""
    right = {
        "aligned": [True] * better + [False] * worse + [True] * both,
        "none": [False] * better + [True] * worse + [True] * both,
    }
    parts = [
        pd.DataFrame(
            {
                "utterance": [f"u{u}" for u in range(len(flags))],
                "speaker": [f"s{u % 2}" for u in range(len(flags))],
                "truth": "sad",
                "condition": condition,
                "prediction": ["sad" if flag else None for flag in flags],
            }
        )
        for condition, flags in right.items()
    ]
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize(("better", "worse"), [(9, 2), (12, 12), (0, 5), (3, 3)])
def test_exact_mcnemar_is_the_binomial_test(better, worse):
    """With few discordant pairs the p-value is that of a fair coin, as scipy has it."""
    found = compare(answers_with(better, worse), LABELS, resamples=50).loc[0]
    assert (found["discordant_better"], found["discordant_worse"]) == (better, worse)
    assert found["mcnemar_p"] == pytest.approx(binomtest(better, better + worse).pvalue)


def test_mcnemar_with_many_discordant_pairs():
    """From 25 discordant pairs on: (|b - c| - 1)^2 / (b + c) against chi-squared(1)."""
    found = compare(answers_with(30, 12), LABELS, resamples=50).loc[0]
    assert found["mcnemar_p"] == pytest.approx(chi2.sf((30 - 12 - 1) ** 2 / 42, 1))
    assert found["odds_ratio"] == 2.5


def test_odds_ratio_without_worse_pairs_is_infinite():
    """b / 0 is written as infinity, not as an error."""
    assert compare(answers_with(4, 0), LABELS, resamples=50).loc[0, "odds_ratio"] == np.inf


def test_holm_worked_by_hand():
    """Three contrasts: sorted p times 3, 2, 1.

    Aligned is always right; the others are wrong on 8, 6 and 3 utterances. The exact p of n
    discordant pairs that all point one way is 2 / 2^n.
    """
    wrong = {"shuffled": 8, "masked(0.5)": 3, "conflicting": 6}
    right = answers_with(0, 0, both=20).query("condition == 'aligned'")
    parts = [right]
    for condition, number in wrong.items():
        answers = right["prediction"].where(np.arange(20) >= number, "angry")
        parts.append(right.assign(condition=condition, prediction=answers))
    found = compare(pd.concat(parts), LABELS, resamples=50).set_index("condition")
    raw = {name: 2 / 2**number for name, number in wrong.items()}
    assert found["mcnemar_p"].to_dict() == pytest.approx(raw)
    expected = {
        "shuffled": 3 * 2 / 2**8,
        "conflicting": 2 * 2 / 2**6,
        "masked(0.5)": 1 * 2 / 2**3,
    }
    assert found["holm_p"].to_dict() == pytest.approx(expected)


def test_mcnemar_counts_an_utterance_once():
    """Repeating every row over templates, orders and replicates must not shrink the p-value."""
    rows = answers_with(9, 2).assign(replicate=0, template="plain", label_order=0)
    alone = compare(rows, LABELS, resamples=50).loc[0]
    copies = [
        rows.assign(template=template, label_order=order, replicate=replicate)
        for template in ("plain", "long")
        for order in (0, 1)
        for replicate in (0, 1)
    ]
    many = compare(pd.concat(copies, ignore_index=True), LABELS, resamples=50).loc[0]
    pd.testing.assert_series_equal(alone, many)


def test_planned_family():
    """The family is fixed by the names of the conditions, baseline contrast first."""
    names = ["none", "aligned", "shuffled", "corrupted(0.5)"]
    assert planned_contrasts(names) == [
        ("aligned", "none"),
        ("shuffled", "aligned"),
        ("corrupted(0.5)", "aligned"),
        ("shuffled", "none"),
        ("corrupted(0.5)", "none"),
    ]
    assert planned_contrasts(["none", "shuffled"]) == [("shuffled", "none")]
    assert planned_contrasts(["shuffled", "conflicting"]) == []


def test_bad_input_is_named(unbalanced):
    """Too few speakers, unpaired utterances, unknown conditions, repeated rows."""
    with pytest.raises(InputError, match="speakers: found 1"):
        bootstrap_uar(unbalanced[unbalanced["speaker"] == "s0"], LABELS)
    with pytest.raises(InputError, match="found 1 utterances under one of the two only"):
        compare(unbalanced.drop(index=0), LABELS, [("aligned", "none")], resamples=10)
    with pytest.raises(InputError, match="did you mean 'aligned'"):
        compare(unbalanced, LABELS, [("alinged", "none")], resamples=10)
    with pytest.raises(InputError, match="occurs twice under condition"):
        primary_cell(pd.concat([unbalanced, unbalanced]))
    with pytest.raises(InputError, match="confidence: found 95"):
        bootstrap_uar(unbalanced, LABELS, confidence=95)
    with pytest.raises(InputError, match="resamples: found 0"):
        compare(unbalanced, LABELS, resamples=0)
    none = unbalanced[unbalanced["condition"] == "none"]
    partial = pd.concat([unbalanced, none.assign(template="b")])
    first = partial["utterance"] == "s0_1.wav"
    partial = partial[
        ~(first & (partial["template"] == "plain") & (partial["condition"] == "none"))
    ]
    with pytest.raises(InputError, match="primary cell"):
        compare(partial, LABELS, [("aligned", "none")], resamples=10)


def test_no_contrast_gives_an_empty_table():
    """A study of one condition has nothing to compare and gets a table without rows."""
    table = compare(example_predictions({"none": 0.5}), LABELS, resamples=10)
    assert table.empty
    assert "holm_p" in table
