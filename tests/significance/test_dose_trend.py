"""Trends against numpy's line, scipy's t test and scipy's test of Page."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import balanced_accuracy_score

from sercue.errors import InputError
from sercue.statistics.contrasts import dose_trends, spearman
from sercue.statistics.measures import LABELS, example_predictions
from sercue.tokens.catalogue import doses_of, facts_by_name

FALLING = {"aligned": 0.8, "corrupted(0.25)": 0.7, "corrupted(0.5)": 0.6, "corrupted(1)": 0.3}
DOSES = [0, 0.25, 0.5, 1]


def uar_of_speakers(rows, conditions):
    """UAR of shape (speakers, conditions), by scikit-learn."""
    table = rows.groupby(["speaker", "condition"])[["truth", "prediction"]].apply(
        lambda part: balanced_accuracy_score(part["truth"], part["prediction"])
    )
    return table.unstack()[list(conditions)].to_numpy()


def test_equal_speakers_give_a_t_test_of_their_slopes():
    """With as many utterances of each class from all: a line per speaker, then one t test."""
    rows = example_predictions(FALLING, speakers=7, utterances=12, seed=3)
    by_speaker = uar_of_speakers(rows, FALLING)
    slopes = np.polyfit(DOSES, by_speaker.T, 1)[0]
    expected = stats.ttest_1samp(slopes, 0)
    found = dose_trends(rows, LABELS, resamples=99).loc[0]
    assert found["slope"] == pytest.approx(slopes.mean())
    assert found["p"] == pytest.approx(expected.pvalue)
    ends = expected.confidence_interval()
    assert found[["low", "high"]].to_list() == pytest.approx([ends.low, ends.high])
    page = stats.page_trend_test(by_speaker[:, ::-1], method="asymptotic")
    assert found["page_p"] == pytest.approx(2 * page.pvalue)
    assert found["permutation_p"] == 1 / 100


def test_every_family_and_the_order_of_its_doses():
    """Doses are ordered as numbers, not as they were asked; aligned is dose 0 of each family.

    What is only there in full, such as replaced(1), has no trend.
    """
    names = ["masked(0.5)", "corrupted(0.75)", "corrupted(0.5)", "aligned", "only(pitch)", "none"]
    assert doses_of(facts_by_name([*names, "replaced(1)"])) == {
        "masked": {"aligned": 0, "masked(0.5)": 0.5},
        "corrupted": {"aligned": 0, "corrupted(0.5)": 0.5, "corrupted(0.75)": 0.75},
    }
    rows = example_predictions({**FALLING, "masked(0.5)": 0.5, "only(pitch)": 0.4})
    found = dose_trends(rows, LABELS, resamples=99).set_index("family")
    assert found["doses"].to_dict() == {"corrupted": 4, "masked": 2}
    assert np.isnan(found.loc["masked", "page_p"])


def test_a_trend_need_not_fall_throughout():
    """The slope is negative though UAR rises at one step."""
    accuracy = {"aligned": 1.0, "corrupted(0.25)": 0.2, "corrupted(0.5)": 0.6, "corrupted(1)": 0.0}
    found = dose_trends(example_predictions(accuracy, speakers=20), LABELS, resamples=99).loc[0]
    assert found["slope"] < 0
    assert not found["falls_throughout"]


def test_spearman_is_scipys_over_the_uar_of_the_conditions():
    """One point per dose, each the UAR of all answers."""
    rows = example_predictions(FALLING, speakers=7, utterances=12, seed=3)
    uar = uar_of_speakers(rows, FALLING).mean(axis=0)
    expected = stats.spearmanr(DOSES, uar)
    found = dose_trends(rows, LABELS, resamples=99).loc[0]
    assert found["spearman_rho"] == pytest.approx(expected.statistic)
    assert found["spearman_p"] == pytest.approx(expected.pvalue)


@pytest.mark.parametrize(("order", "as_extreme"), [((5, 4, 3, 2, 1), 1), ((5, 4, 3, 1, 2), 5)])
def test_few_doses_have_few_orders(order, as_extreme):
    """Of the 120 orders of five, 1 has rho = -1 and 4 have -.9; scipy's p-value is far smaller."""
    rho, p, exact_p = spearman([0, 0.25, 0.5, 0.75, 1], order)
    assert rho == pytest.approx(stats.spearmanr(range(5), order).statistic)
    assert exact_p == pytest.approx(2 * as_extreme / 120)
    assert p < exact_p / 2


def test_a_correlation_that_cannot_be_computed_is_no_number():
    """Two points are always in order, and equal ones in none."""
    for dose, uar in (([0, 1], [0.5, 0.4]), ([0, 0.5, 1], [0.4, 0.4, 0.4]), ([], [])):
        assert np.isnan(spearman(dose, uar)).all()


def test_without_two_doses_there_is_no_trend():
    with pytest.raises(InputError, match="found no two doses"):
        dose_trends(example_predictions({"corrupted(0.5)": 0.5, "none": 0.4}), LABELS)
