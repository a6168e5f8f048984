"""The two parts of a gain add up, and Fieller's ends are where a t test says so."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sercue.errors import InputError
from sercue.statistics.contrasts import compare, split_gain
from sercue.statistics.measures import LABELS, example_predictions
from sercue.statistics.speakers import speaker_counts

ACCURACY = {"aligned": 0.9, "shuffled_within_class": 0.7, "shuffled": 0.5}


@settings(max_examples=10)
@given(seed=st.integers(0, 10_000))
def test_parts_add_up_to_the_whole(seed):
    """In UAR exactly; and their shares to one."""
    rows = example_predictions(ACCURACY, speakers=15, utterances=12, seed=seed)
    table = split_gain(rows, LABELS).set_index("part")
    whole, parts = table.loc["whole"], table.loc[["utterance", "label"]]
    assert parts["difference"].sum() == pytest.approx(whole["difference"])
    if not np.isnan(whole["share"]):
        assert parts["share"].sum() == pytest.approx(1)
        assert whole[["share", "share_low", "share_high"]].to_list() == pytest.approx([1, 1, 1])


def test_intervals_are_those_of_the_contrasts():
    rows = example_predictions(ACCURACY, speakers=10, utterances=12)
    table = split_gain(rows, LABELS)
    pairs = list(zip(table["condition"], table["reference"], strict=True))
    expected = compare(rows, LABELS, pairs)
    for column in ("difference", "low", "high", "p"):
        np.testing.assert_allclose(table[column], expected[column])


def test_fiellers_ends_are_the_shares_that_a_t_test_just_rejects():
    """At either end theta, part - theta x whole is just t standard errors away from zero."""
    rows = example_predictions(ACCURACY, speakers=10, utterances=12, seed=1)
    found = split_gain(rows, LABELS).set_index("part").loc["label"]
    counted = speaker_counts(rows, LABELS)
    for theta in found[["share_low", "share_high"]]:
        weights = counted.contrast_weights(
            [("shuffled_within_class", "shuffled"), ("aligned", "shuffled")]
        )
        left = counted.uar.combine([[1, -theta] @ weights])
        t = abs(left.estimate[0]) / left.se[0]
        assert t == pytest.approx(stats.t.ppf(0.975, left.df[0]))


def test_nothing_to_share_out_without_a_gain():
    """Where the whole may be zero, a share of it means nothing."""
    rows = example_predictions(dict.fromkeys(ACCURACY, 0.5), speakers=5)
    assert split_gain(rows, LABELS)["share"].isna().all()


def test_a_missing_condition_is_named():
    with pytest.raises(InputError, match="unknown condition 'shuffled_within_class'"):
        split_gain(example_predictions({"aligned": 0.9, "shuffled": 0.5}), LABELS)
