"""The result table of a paper: one row a study, one column a condition, intervals beneath."""

from __future__ import annotations

import math

import pandas as pd

from sercue.comparison.studies import KEYS, PUBLISHED, difference_columns, ordered_conditions

GAIN = "UAR+ − UAR−"
DAGGER = "†"
_NAMES = {"none": "UAR−", "aligned": "UAR+"}
_HEADS = {"model": "Model", "corpus": "Corpus", "study": "Study"}
_UAR = ["uar", "low", "high"]


def result_table(table: pd.DataFrame) -> pd.DataFrame:
    """The numbers, unrounded: one row a study, three columns a condition.

    Args:
        table: as ``compare_studies`` returns it

    Returns:
        DataFrame by ``model``, ``corpus``, ``study`` and ``source``; columns ``fixture``,
        ``classes``, of each condition ``<name>``, ``<name> low``, ``<name> high``, and
        ``gain`` (UAR+ − UAR−) with its ends
    """
    rows = table.groupby(list(KEYS), sort=False)
    wide = rows[["fixture", "classes"]].first()
    for name in ordered_conditions(table["condition"]):
        wide[_three(name)] = _of_condition(table, name, _UAR)
        if name == "aligned":
            wide[_three("gain")] = _of_condition(table, name, difference_columns("none"))
    return wide


def printed_table(table: pd.DataFrame) -> pd.DataFrame:
    """The same as a paper prints it: each cell a number and its interval.

    Args:
        table: as ``compare_studies`` returns it

    Returns:
        DataFrame of texts by study, published rows marked
    """
    return _printed(table, [(name, "uar") for name in ordered_conditions(table["condition"])])


def printed_losses(table: pd.DataFrame) -> pd.DataFrame:
    """Differences of all perturbed conditions to ``aligned``, printed as ``printed_table`` does.

    Args:
        table: as ``compare_studies`` returns it

    Returns:
        DataFrame of texts by study, without those that have no such difference; it may be empty
    """
    rows = table[table["to_aligned"].notna()]
    return _printed(rows, [(name, "to_aligned") for name in ordered_conditions(rows["condition"])])


def number(value: float, *, signed: bool = False) -> str:
    """A value of UAR, or a difference, without the zero before the point.

    Examples:
        >>> number(0.7764), number(-0.0312, signed=True), number(1)
        ('.776', '−.031', '1.000')
    """
    text = f"{abs(value):.3f}".removeprefix("0")
    if not signed:
        return text
    return f"−{text}" if round(value, 3) < 0 else f"+{text}"


def _printed(table: pd.DataFrame, columns: list[tuple[str, str]]) -> pd.DataFrame:
    studies = table[list(KEYS)].drop_duplicates().set_index(list(KEYS))
    shown = pd.DataFrame(index=studies.index)
    for name, value in columns:
        ends = _UAR if value == "uar" else difference_columns("aligned")
        cells = _of_condition(table, name, ends).reindex(shown.index)
        # In words that a narrow column can break.
        head = _NAMES.get(name, name.replace("_", " ").replace("(", " ("))
        shown[head] = [_cell(*row, signed=value != "uar") for row in cells.to_numpy()]
        if (name, value) == ("aligned", "uar"):
            gains = _of_condition(table, name, difference_columns("none")).reindex(shown.index)
            shown[GAIN] = [_cell(*row, signed=True) for row in gains.to_numpy()]
    fixtures = table.groupby(list(KEYS), sort=False)["fixture"].first()
    return _with_heads(shown, fixtures.reindex(shown.index))


def _with_heads(shown: pd.DataFrame, fixtures: pd.Series) -> pd.DataFrame:
    """Model, corpus and study as columns, published rows and fixtures marked."""
    heads = shown.index.to_frame(index=False)
    published = (heads["source"] == PUBLISHED).to_numpy()
    heads["study"] += [
        f" {DAGGER}" if theirs else " (fixture)" * bool(made)
        for theirs, made in zip(published, fixtures, strict=True)
    ]
    return heads[list(_HEADS)].rename(columns=_HEADS).join(shown.reset_index(drop=True))


def _of_condition(table: pd.DataFrame, name: str, columns: list[str]) -> pd.DataFrame:
    rows = table[table["condition"] == name].set_index(list(KEYS))[columns]
    return rows.set_axis(_three(name if columns == _UAR else "gain"), axis=1)


def _three(name: str) -> list[str]:
    return [name, f"{name} low", f"{name} high"]


def _cell(value: float, low: float, high: float, *, signed: bool) -> str:
    if math.isnan(value):
        return "–"
    text = number(value, signed=signed)
    if math.isnan(low):
        return text
    # The ends stay together: a narrow column breaks the line before them.
    return f"{text} [{number(low, signed=signed)},\u00a0{number(high, signed=signed)}]"
