"""CSV files: every cell is what it was, and none is run by a spreadsheet."""

import csv

import pandas as pd
import pytest

from sercue.storage.files import write_csv
from sercue.tables.exhibits import table_exhibit


def cells(path):
    with path.open(encoding="utf-8", newline="") as file:
        return [cell for row in csv.reader(file) for cell in row]


@pytest.mark.parametrize(
    "text",
    ["=HYPERLINK(1)", "+cmd", "-cmd|' /C calc'!A0", "@SUM(1)", "\t=1", "\r=1", " =1", "＝1+1"],
)
def test_no_cell_begins_as_a_formula_does(text, tmp_path):
    """As OWASP lists them: in cells, in the index, and in names of columns and of the index."""
    table = pd.DataFrame({text: [text]}, index=pd.Index([text], name=text))
    table[text] = table[text].astype("category")
    table_exhibit(table, "A table.", tmp_path / "t")
    written = cells(tmp_path / "t.csv")
    assert len(written) == 4
    assert all(cell.startswith("'") for cell in written)
    assert {cell[1:] for cell in written} == {text.replace("\r", " ")}


def test_a_carriage_return_begins_no_row(tmp_path):
    """pandas leaves it unquoted, so that what follows it stood in a cell of its own."""
    write_csv(tmp_path / "t.csv", pd.DataFrame({"label": ["a\r=1"], "n": [1]}), index=False)
    assert cells(tmp_path / "t.csv") == ["label", "n", "a =1", "1"]


def test_numbers_and_all_other_text_stay_as_pandas_writes_them(tmp_path):
    table = pd.DataFrame(
        {
            "number": [-0.14, 1e-20, float("nan"), float("-inf"), 5],
            "text": ["-0.14", "a, b", 'a "b"', "", None],
            "long": ["a" * 200_000, "a\nb", "a=b", "−.041", "'a"],
            "time": pd.Timestamp("2026-01-01"),
        }
    )
    write_csv(tmp_path / "t.csv", table)
    assert (tmp_path / "t.csv").read_text(encoding="utf-8") == table.to_csv(lineterminator="\n")
