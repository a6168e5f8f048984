"""Inference on the answers of a study: intervals and tests that hold for few speakers.

Paired throughout, since the same utterances are answered under every condition; the speaker is
the unit, since utterances of one speaker are alike. What each function holds for was simulated
(``tests/calibration``), and where a usual choice fails its docstring says so.
"""

from sercue.significance.contrasts import (
    compare,
    planned_contrasts,
    uar_differences,
    uar_intervals,
)
from sercue.significance.correctness_tests import cochran_test, gee_tests, mcnemar_tests
from sercue.significance.detectable import detectable_difference, detectable_differences
from sercue.significance.dose_trend import dose_trends
from sercue.significance.equivalence import collapse_tests, equivalence_tests
from sercue.significance.prompt_sensitivity import gain_by, uar_components
from sercue.significance.resampling import bootstrap_differences, bootstrap_uar
from sercue.significance.shift_tests import shift_tests
from sercue.significance.split_gain import split_gain

__all__ = [
    "bootstrap_differences",
    "bootstrap_uar",
    "cochran_test",
    "collapse_tests",
    "compare",
    "detectable_difference",
    "detectable_differences",
    "dose_trends",
    "equivalence_tests",
    "gain_by",
    "gee_tests",
    "mcnemar_tests",
    "planned_contrasts",
    "shift_tests",
    "split_gain",
    "uar_components",
    "uar_differences",
    "uar_intervals",
]
