"""McNemar against the binomial test, Cochran against McNemar, GEE against pooled odds."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, chi2

from sercue.errors import InputError
from sercue.statistics.correctness_tests import cochran_test, gee_tests, mcnemar_tests
from sercue.statistics.measures import example_predictions

PAIR = [("aligned", "none")]


def answers_with(better, worse, both=10, speakers=2):
    """``better`` utterances right only under aligned, ``worse`` only under none."""
    right = {
        "aligned": [True] * better + [False] * worse + [True] * both,
        "none": [False] * better + [True] * worse + [True] * both,
    }
    parts = [
        pd.DataFrame(
            {
                "utterance": [f"u{u}" for u in range(len(flags))],
                "speaker": [f"s{u % speakers}" for u in range(len(flags))],
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
    found = mcnemar_tests(answers_with(better, worse), PAIR).loc[0]
    assert (found["discordant_better"], found["discordant_worse"]) == (better, worse)
    assert found["independent_p"] == pytest.approx(binomtest(better, better + worse).pvalue)


@pytest.mark.parametrize(("better", "worse"), [(8, 2), (6, 6), (0, 5)])
def test_with_an_utterance_a_speaker_the_clustered_test_is_the_usual_one(better, worse):
    """Then nothing is clustered: flipping speakers is flipping fair coins."""
    rows = answers_with(better, worse, both=0, speakers=1000)
    found = mcnemar_tests(rows, PAIR).loc[0]
    assert found["mcnemar_p"] == pytest.approx(binomtest(better, better + worse).pvalue)


def test_many_utterances_of_few_speakers_are_no_strong_evidence():
    """Four speakers who all gain: 2 / 2^4 at best, however many utterances they spoke."""
    found = mcnemar_tests(answers_with(400, 0, speakers=4), PAIR).loc[0]
    assert found["mcnemar_p"] == 2 / 16
    assert found["independent_p"] < 1e-20


def test_mcnemar_with_many_discordant_pairs():
    """From 25 discordant pairs on: (|b - c| - 1)^2 / (b + c) against chi-squared(1)."""
    found = mcnemar_tests(answers_with(30, 12), PAIR).loc[0]
    assert found["independent_p"] == pytest.approx(chi2.sf((30 - 12 - 1) ** 2 / 42, 1))
    assert found["odds_ratio"] == 2.5


def test_the_difference_in_accuracy_is_that_of_the_paired_answers():
    """30 + 10 right of 52, against 12 + 10: by hand."""
    found = mcnemar_tests(answers_with(30, 12), PAIR).loc[0]
    assert found["accuracy_difference"] == pytest.approx(40 / 52 - 22 / 52)


def test_odds_ratio_without_worse_pairs_is_infinite():
    """b / 0 is written as infinity, not as an error."""
    assert mcnemar_tests(answers_with(4, 0), PAIR).loc[0, "odds_ratio"] == np.inf


def test_cochran_of_two_conditions_is_mcnemar_uncorrected():
    """Q = (b - c)^2 / (b + c), on one degree of freedom."""
    found = cochran_test(answers_with(14, 5))
    assert found["q"] == pytest.approx((14 - 5) ** 2 / 19)
    assert found["independent_p"] == pytest.approx(chi2.sf(81 / 19, 1))


def test_cochran_worked_by_hand():
    """Four utterances under three conditions: rows 110, 110, 100, 011.

    Columns add up to 3, 3, 1, rows to 2, 2, 1, 2, seven in all:
    Q = 2 (3 (9 + 9 + 1) - 49) / (3 * 7 - 13) = 2.
    """
    right = {"none": "1110", "aligned": "1101", "shuffled": "0001"}
    rows = pd.DataFrame(
        [
            (f"u{u}", f"s{u}", "sad", condition, "sad" if flag == "1" else "angry")
            for condition, flags in right.items()
            for u, flag in enumerate(flags)
        ],
        columns=["utterance", "speaker", "truth", "condition", "prediction"],
    )
    found = cochran_test(rows)
    assert found["q"] == pytest.approx(2)
    assert found["df"] == 2


def test_cochran_finds_what_is_there_and_nothing_where_all_answers_agree():
    rows = example_predictions({"a": 0.9, "b": 0.5, "c": 0.3}, speakers=12, utterances=12)
    assert cochran_test(rows, resamples=999)["cochran_p"] == 1 / 1000
    same = pd.concat([rows[rows["condition"] == "a"].assign(condition=c) for c in "ab"])
    found = cochran_test(same)
    assert (found["q"], found["cochran_p"], found["independent_p"]) == (0, 1, 1)


def test_gee_with_equal_speakers_gives_pooled_odds():
    """Clusters of one size weigh the same, so that the odds are those of all answers together."""
    rows = example_predictions({"none": 0.4, "aligned": 0.7}, speakers=10, utterances=12)
    right = (rows["truth"] == rows["prediction"]).groupby(rows["condition"]).mean()
    odds = right / (1 - right)
    found = gee_tests(rows, PAIR).loc[0]
    assert found["gee_odds_ratio"] == pytest.approx(odds["aligned"] / odds["none"], rel=1e-5)
    mirrored = gee_tests(rows, [("none", "aligned")]).loc[0]
    assert mirrored["gee_low"] == pytest.approx(1 / found["gee_high"], rel=1e-5)
    assert mirrored["gee_p"] == pytest.approx(found["gee_p"], rel=1e-4)


def test_gee_has_no_odds_where_all_answers_are_right():
    """Infinite odds are reported as missing, not as a number of the last iteration."""
    rows = example_predictions({"none": 0.4, "aligned": 1.0}, speakers=6)
    assert gee_tests(rows, PAIR)[["gee_odds_ratio", "gee_low", "gee_p"]].isna().all(axis=None)


def test_unpaired_and_unknown_conditions_are_named():
    rows = example_predictions()
    with pytest.raises(InputError, match="unknown condition 'shuffled'"):
        mcnemar_tests(rows, [("shuffled", "none")])
    with pytest.raises(InputError, match="that none lacks"):
        cochran_test(rows.drop(index=0))
