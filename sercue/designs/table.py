"""The table of binning designs as a report prints it."""

from __future__ import annotations

import numpy as np
import pandas as pd


def readable_designs(designs: pd.DataFrame) -> pd.DataFrame:
    """The table of designs as a report prints it: eight narrow columns.

    Args:
        designs: as ``compare_binnings`` or ``measure_binning`` returns them

    Returns:
        DataFrame of text: ``words`` and ``ceiling`` (UAR of the words and of all functionals),
        ``gain`` (in UAR of the words over the first design), each with its standard error;
        ``bits`` (of six words together; the mean of one word in brackets), ``balance`` and
        ``fullest`` (share of the fullest bin; on the test speakers in brackets, where known),
        ``stable`` (agreement), ``overlap`` (redundancy)

    Examples:
        >>> row = {"tokens_uar": 0.5, "tokens_se": 0.04, "functionals_uar": 0.7, "information": 0.2}
        >>> row |= {"functionals_se": 0.1, "against_first": -0.1, "against_first_se": 0.02}
        >>> row |= {"joint_information": 1, "entropy": 1, "largest_share": 0.4, "agreement": 0.9}
        >>> table = readable_designs(pd.DataFrame([row | {"redundancy": 0.3}], index=["3 width"]))
        >>> table.loc["3 width", ["words", "gain", "balance"]].tolist()
        ['.50 ± .04', '−.10 ± .02', '1.00']
    """
    tested = {name: f"test_{name}" for name in ("entropy", "largest_share")}
    return pd.DataFrame(
        {
            "words": _joined(designs, "tokens_uar", " ± ", "tokens_se"),
            "ceiling": _joined(designs, "functionals_uar", " ± ", "functionals_se"),
            "gain": _joined(designs, "against_first", " ± ", "against_first_se"),
            "bits": _joined(designs, "joint_information", " (", "information", ")"),
            "balance": _joined(designs, "entropy", " (", tested["entropy"], ")"),
            "fullest": _joined(designs, "largest_share", " (", tested["largest_share"], ")"),
            "stable": _joined(designs, "agreement"),
            "overlap": _joined(designs, "redundancy"),
        }
    ).rename(index=lambda name: str(name).replace("centred by", "by"))


def _joined(
    table: pd.DataFrame, first: str, between: str = "", second: str = "", last: str = ""
) -> pd.Series:
    """One number or two in a cell; the second is left out where it is not known."""
    text = table[first].map(_two_digits)
    if second not in table:
        return text
    more = table[second].map(lambda value: between + _two_digits(value) + last)
    return text + more.where(table[second].notna(), "")


def _two_digits(value: float) -> str:
    """As ``.50``, with a minus sign that is one.

    Examples:
        >>> _two_digits(-0.104), _two_digits(1.0), _two_digits(-0.001)
        ('−.10', '1.00', '.00')
    """
    if np.isnan(value):
        return "–"
    # Adding zero takes the sign off a negative zero.
    text = f"{round(value, 2) + 0.0:.2f}"
    return (text.replace("0.", ".") if abs(float(text)) < 1 else text).replace("-", "−")
