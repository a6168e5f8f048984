"""Detectable differences against statsmodels' power of the t test."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from sercue.errors import InputError
from sercue.statistics.contrasts import compare, detectable_difference, detectable_differences
from sercue.statistics.measures import LABELS, example_predictions


@pytest.mark.parametrize("speakers", [4, 8, 24, 51])
@pytest.mark.parametrize(("power", "alpha"), [(0.8, 0.05), (0.9, 0.05)])
def test_same_as_statsmodels(speakers, power, alpha):
    """A paired t test of so many speakers, with the standard error sd / sqrt(speakers)."""
    effect = TTestPower().solve_power(nobs=speakers, alpha=alpha, power=power)
    found = detectable_difference(0.02, speakers - 1, power=power, alpha=alpha)
    assert found == pytest.approx(effect * 0.02 * np.sqrt(speakers), rel=1e-4)


def test_few_speakers_and_a_strict_level():
    """Where statsmodels runs into NaN: half a million t statistics with 3 degrees of freedom."""
    rng = np.random.default_rng(0)
    effect = detectable_difference(1.0, 3, power=0.9, alpha=0.01)
    t = (effect + rng.normal(size=500_000)) / np.sqrt(rng.chisquare(3, size=500_000) / 3)
    assert np.mean(np.abs(t) > stats.t.ppf(0.995, 3)) == pytest.approx(0.9, abs=0.002)


def test_holms_strictest_step_and_what_cannot_be_shown():
    """A family of two halves alpha; without degrees of freedom nothing can be shown."""
    table = pd.DataFrame(
        {"condition": ["a", "b"], "reference": "none", "difference": 0.0, "se": [0.01, np.inf],
         "df": [20.0, 0.0]}
    )  # fmt: skip
    found = detectable_differences(table)
    expected = detectable_difference(0.01, 20, alpha=0.025)
    assert found["detectable_holm"].to_list() == [expected, np.inf]


def test_takes_what_compare_returns():
    """More speakers, smaller differences."""
    found = [
        detectable_differences(compare(example_predictions(speakers=n), LABELS))["detectable"][0]
        for n in (5, 40)
    ]
    assert found[1] < found[0]


def test_bad_input_is_named():
    with pytest.raises(InputError, match="unknown column 'se'"):
        detectable_differences(pd.DataFrame(columns=["condition", "reference", "difference"]))
    table = pd.DataFrame(columns=["condition", "reference", "difference", "se", "df"])
    with pytest.raises(InputError, match="alpha < power"):
        detectable_differences(table, power=0.01)
