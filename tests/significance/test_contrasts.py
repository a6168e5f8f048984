"""Contrasts against Student's t and scikit-learn, Holm by hand, the family fixed beforehand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_1samp
from sklearn.metrics import balanced_accuracy_score
from statsmodels.stats.multitest import multipletests

from sercue.errors import InputError
from sercue.statistics.contrasts import (
    compare,
    corrected_p,
    flips_decide,
    planned_contrasts,
    uar_intervals,
)
from sercue.statistics.correctness_tests import mcnemar_tests
from sercue.statistics.measures import example_predictions

LABELS = ["angry", "neutral", "sad"]
CONDITIONS = {"none": 0.5, "aligned": 0.7, "shuffled": 0.4}


def uar_of_speakers(rows, condition):
    """UAR of each speaker, by scikit-learn."""
    part = rows[rows["condition"] == condition]
    return np.array(
        [balanced_accuracy_score(s["truth"], s["prediction"]) for _, s in part.groupby("speaker")]
    )


def test_equal_speakers_give_the_paired_t_test():
    """With as many utterances of each class from all speakers: scipy's t test of their UAR."""
    rows = example_predictions(CONDITIONS, speakers=7, utterances=12, seed=5)
    found = compare(rows, LABELS, [("aligned", "none")], confidence=0.9).loc[0]
    by_speaker = uar_of_speakers(rows, "aligned") - uar_of_speakers(rows, "none")
    expected = ttest_1samp(by_speaker, 0)
    ends = expected.confidence_interval(0.9)
    assert found["difference"] == pytest.approx(by_speaker.mean())
    assert found[["low", "high"]].to_list() == pytest.approx([ends.low, ends.high])
    assert found["p"] == pytest.approx(expected.pvalue)
    level = uar_intervals(rows, LABELS, confidence=0.9).set_index("condition").loc["none"]
    ends = ttest_1samp(uar_of_speakers(rows, "none"), 0).confidence_interval(0.9)
    assert level[["low", "high"]].to_list() == pytest.approx([ends.low, ends.high])


@settings(max_examples=4)
@given(seed=st.integers(0, 10_000), speakers=st.integers(2, 8))
def test_difference_is_antisymmetric(seed, speakers):
    """Swapping the two conditions mirrors the difference and its interval and keeps every p."""
    rows = example_predictions({"none": 0.4, "aligned": 0.6}, speakers=speakers, seed=seed)
    one = compare(rows, LABELS, [("aligned", "none")]).loc[0]
    two = compare(rows, LABELS, [("none", "aligned")]).loc[0]
    assert one["difference"] == pytest.approx(-two["difference"])
    assert one["low"] == pytest.approx(-two["high"])
    assert one["high"] == pytest.approx(-two["low"])
    assert one["discordant_better"] == two["discordant_worse"]
    for column in ("p", "permutation_p", "mcnemar_p"):
        assert one[column] == pytest.approx(two[column])


@settings(max_examples=4)
@given(seed=st.integers(0, 10_000))
def test_a_condition_equal_to_its_reference_differs_by_nothing(seed):
    """Under identical answers the paired interval has no width at all and every p is 1."""
    rows = example_predictions({"none": 0.5}, seed=seed)
    both = pd.concat([rows, rows.assign(condition="aligned")], ignore_index=True)
    found = compare(both, LABELS).loc[0]
    assert found[["difference", "low", "high"]].to_list() == pytest.approx([0, 0, 0])
    assert found[["p", "permutation_p", "mcnemar_p"]].to_list() == [1, 1, 1]
    assert np.isnan(found["odds_ratio"])


@settings(max_examples=4)
@given(seed=st.integers(0, 10_000))
def test_interval_and_p_say_the_same(seed):
    """The interval holds zero just where p is at least 1 - confidence."""
    rows = example_predictions(CONDITIONS, speakers=6, utterances=9, seed=seed)
    table = compare(rows, LABELS, confidence=0.9)
    holds = (table["low"] <= 0) & (table["high"] >= 0)
    assert holds.to_list() == (table["p"] >= 0.1).to_list()


def test_the_primary_contrast_is_tested_by_itself_and_the_others_by_holm():
    """Its p stays; of the others, sorted p times 3, 2, 1, never falling; at most 1."""
    pairs = [("shuffled", "none"), ("aligned", "none"), ("a", "none"), ("b", "aligned")]
    found = corrected_p(pairs, [0.02, 0.04, 0.011, 0.6])
    np.testing.assert_allclose(found, [0.04, 0.04, 0.033, 0.6])
    np.testing.assert_allclose(corrected_p(pairs[:1], [0.3]), [0.3])
    assert corrected_p([], []).shape == (0,)


@pytest.mark.parametrize(
    ("speakers", "resamples", "primary", "family"),
    [
        (5, 10_000, False, False),  # 2 / 2^5 = .0625
        (6, 10_000, True, False),  # .03125 is below .05, but not below .05 / 6
        (8, 10_000, True, True),  # .0078 < .0083
        (40, 10_000, True, True),  # drawn: 1 / 10,001
        (40, 100, True, False),  # 1 / 101 = .0099
    ],
)
def test_flips_decide_wherever_their_smallest_p_allows_it(speakers, resamples, primary, family):
    """By itself, and among six, where the strictest step is .05 / 6 = .0083."""
    found = flips_decide(np.array([1, 6]), speakers, resamples)
    assert found.tolist() == [primary, family]


@pytest.mark.parametrize(("speakers", "by", "p"), [(9, "flips", "permutation_p"), (5, "t", "p")])
def test_the_deciding_p_values_are_corrected(speakers, by, p):
    """Holm's correction is that of statsmodels, over the three contrasts after the primary one."""
    accuracy = {**CONDITIONS, "conflicting": 0.3}
    rows = example_predictions(accuracy, speakers=speakers, utterances=9)
    family = [("shuffled", "none"), ("aligned", "none"), ("conflicting", "none")]
    table = compare(rows, LABELS, [*family, ("shuffled", "aligned")])
    first = table["condition"] == "aligned"
    assert table["step"].tolist() == ["family", "primary", "family", "family"]
    assert set(table["decided_by"]) == {by}
    assert table.loc[first, "holm_p"].item() == table.loc[first, p].item()
    expected = multipletests(table.loc[~first, p], method="holm")[1]
    np.testing.assert_allclose(table.loc[~first, "holm_p"], expected)


def test_flips_find_what_the_t_test_misses_where_one_speaker_has_half_of_the_data():
    """Ten speakers who all gain: 2 of 1024 patterns are as extreme; Student's t has df near 1."""
    sizes = [90, *(9 * [10])]
    parts = []
    for number, size in enumerate(sizes):
        truth = np.repeat(["angry", "neutral"], size // 2)
        hits = np.arange(size) % 5
        for condition, wrong in (("none", 2), ("aligned", 1)):
            other = np.where(truth == "angry", "neutral", "angry")
            parts.append(
                pd.DataFrame(
                    {
                        "utterance": [f"s{number}_{u}" for u in range(size)],
                        "speaker": f"s{number}", "truth": truth, "condition": condition,
                        "replicate": 0, "template": "plain", "label_order": 0,
                        "prediction": np.where(hits < wrong, other, truth), "valid": True,
                    }
                )
            )  # fmt: skip
    rows = pd.concat(parts, ignore_index=True)
    # All gain a fifth; what differs a little must differ for the t test to have an error at all.
    rows.loc[(rows["speaker"] == "s1") & (rows["condition"] == "aligned"), "prediction"] = "angry"
    found = compare(rows, ["angry", "neutral"]).loc[0]
    assert found["df"] < 4
    assert found["decided_by"] == "flips"
    assert found["holm_p"] == found["permutation_p"] < 0.01 < found["p"]


def test_an_interval_stays_where_uar_can_be():
    """UAR is cut at 0 and 1, a difference at -1 and 1."""
    rows = example_predictions({"none": 0.05, "aligned": 0.97}, speakers=2, seed=4)
    level, table = uar_intervals(rows, LABELS), compare(rows, LABELS)
    assert level["low"].min() >= 0
    assert level["high"].max() <= 1
    assert (table["low"].min(), table["high"].max()) >= (-1, -1)
    assert table["high"].max() <= 1


def test_a_class_of_one_speaker_leaves_the_interval_open():
    """Nothing is known of how others would say it: 0 to 1, -1 to 1, and p is 1."""
    rows = example_predictions({"none": 0.3, "aligned": 0.9}, speakers=4, utterances=9)
    lone = rows[(rows["truth"] != "sad") | (rows["speaker"] == "s0")]
    level, found = uar_intervals(lone, LABELS), compare(lone, LABELS).loc[0]
    assert (level["low"].max(), level["high"].min()) == (0, 1)
    assert found[["low", "high", "p"]].to_list() == [-1, 1, 1]


def test_repeated_rows_shrink_nothing():
    """Templates, orders and replicates of the same answers are no further utterances."""
    rows = example_predictions(CONDITIONS, speakers=5)
    copies = [
        rows.assign(template=template, label_order=order, replicate=replicate)
        for template in ("plain", "long")
        for order in (0, 1)
        for replicate in (0, 1)
    ]
    many = compare(pd.concat(copies, ignore_index=True), LABELS)
    pd.testing.assert_frame_equal(compare(rows, LABELS), many)


def test_mcnemar_columns_are_those_of_its_own_table():
    rows = example_predictions(CONDITIONS, speakers=6)
    family = planned_contrasts(CONDITIONS)
    single = mcnemar_tests(rows, family)
    table = compare(rows, LABELS)
    for column in single.columns[2:]:
        pd.testing.assert_series_equal(table[column], single[column])
    expected = multipletests(single["independent_p"], method="holm")[1]
    np.testing.assert_allclose(table["independent_holm_p"], expected)


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


def test_bad_input_is_named():
    """Too few speakers, unpaired utterances, unknown conditions, numbers out of range."""
    rows = example_predictions(CONDITIONS, speakers=5)
    with pytest.raises(InputError, match="speakers: found 1"):
        uar_intervals(rows[rows["speaker"] == "s0"], LABELS)
    with pytest.raises(InputError, match="found 1 utterances under one of the two only"):
        compare(rows.drop(index=0), LABELS, [("aligned", "none")])
    with pytest.raises(InputError, match="did you mean 'aligned'"):
        compare(rows, LABELS, [("alinged", "none")])
    with pytest.raises(InputError, match="confidence: found 95"):
        uar_intervals(rows, LABELS, confidence=95)
    with pytest.raises(InputError, match="resamples: found 0"):
        compare(rows, LABELS, resamples=0)


def test_no_contrast_gives_an_empty_table():
    """A study of one condition has nothing to compare and gets a table without rows."""
    table = compare(example_predictions({"none": 0.5}), LABELS)
    assert table.empty
    assert "holm_p" in table
