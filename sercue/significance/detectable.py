"""How large a difference in UAR would have to be for this corpus to show it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import optimize, stats

from sercue.errors import InputError, unknown


def detectable_differences(
    contrasts: pd.DataFrame, *, power: float = 0.8, alpha: float = 0.05
) -> pd.DataFrame:
    r"""The smallest true difference that would be found significant with a stated probability.

    With the standard error over speakers and its degrees of freedom as observed, the difference
    :math:`\delta` at which a two-sided t test with noncentrality :math:`\delta / \text{se}`
    rejects with probability ``power``. It says what the corpus can tell, not what the model does:
    an observed difference below it may be significant, and one above it need not be. The standard
    error is itself an estimate, a rough one with few speakers.

    Args:
        contrasts: as ``compare`` returns them; all rows together are the family
        power: probability of finding the difference, between ``alpha`` and 1
        alpha: two-sided level

    Returns:
        DataFrame, one row a contrast: ``condition``, ``reference``, ``difference``, ``se``, ``df``,
        ``detectable`` (of this contrast alone), ``detectable_holm`` (if it has to pass the
        strictest step of Holm's correction, alpha / contrasts); infinite where no difference can
        be shown

    Raises:
        InputError: if a column is missing or a parameter is not valid

    Examples:
        >>> table = pd.DataFrame(
        ...     {"condition": ["aligned"], "reference": "none", "difference": 0.03,
        ...      "se": 0.01, "df": 23.0}
        ... )
        >>> detectable_differences(table)["detectable"].round(4).item()
        0.0293
    """
    needed = ["condition", "reference", "difference", "se", "df"]
    for column in needed:
        if column not in contrasts:
            raise unknown("column", column, contrasts.columns)
    if not 0 < alpha < power < 1:
        raise InputError(
            f"alpha and power: found {alpha} and {power}, valid are 0 < alpha < power < 1"
        )
    table = contrasts[needed].reset_index(drop=True)
    for column, level in (
        ("detectable", alpha),
        ("detectable_holm", alpha / max(len(table), 1)),
    ):
        table[column] = [
            detectable_difference(se, df, power=power, alpha=level)
            for se, df in zip(table["se"], table["df"], strict=True)
        ]
    return table


def detectable_difference(
    se: float, df: float, *, power: float = 0.8, alpha: float = 0.05
) -> float:
    """As ``detectable_differences``, for one standard error.

    Args:
        se: standard error of the difference
        df: its degrees of freedom
        power: probability of finding the difference
        alpha: two-sided level

    Returns:
        the difference, in the unit of ``se``; infinite without degrees of freedom
    """
    if not (np.isfinite(se) and df > 0):
        return float("inf")
    bound = stats.t.ppf(1 - alpha / 2, df)

    def missing(noncentrality: float) -> float:
        # scipy has NaN for the tail on the far side once it is too small to matter.
        wrong_side = np.nan_to_num(stats.nct.cdf(-bound, df, noncentrality))
        return float(stats.nct.sf(bound, df, noncentrality) + wrong_side - power)

    enough = bound
    while missing(enough) < 0:
        enough *= 2
    return float(optimize.brentq(missing, 0, enough) * se)
