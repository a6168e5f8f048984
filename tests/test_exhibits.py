"""Figures and tables: what is shown, what is saved, and that text stays text."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from sercue.exhibits import bullets, figure_exhibit, table_exhibit
from sercue.printed import rounded

EVIL = "<script>alert(1)</script>"


def drawing():
    figure, axes = plt.subplots()
    axes.plot([0, 1])
    return figure


def test_the_same_figure_gives_the_same_bytes(tmp_path):
    """Reports of the same seeds must be comparable byte for byte."""
    first = figure_exhibit(drawing(), "x", tmp_path / "a.svg")
    second = figure_exhibit(drawing(), "x", tmp_path / "b.svg")
    assert first.svg == second.svg == (tmp_path / "a.svg").read_bytes()
    assert b"<svg" in first.svg


def test_axes_are_taken_for_their_figure_and_the_figure_is_closed(tmp_path):
    """An open figure would be shown a second time, without its caption."""
    before = plt.get_fignums()
    figure = drawing()
    assert figure_exhibit(figure.axes[0], "x", tmp_path / "a.svg").figure is figure
    assert plt.get_fignums() == before


def test_markup_in_captions_and_cells_is_shown_as_text(tmp_path):
    table = pd.DataFrame({EVIL: [EVIL]}, index=pd.Index([EVIL], name="label"))
    shown = table_exhibit(table, EVIL, tmp_path / "t")._repr_html_()
    shown += figure_exhibit(drawing(), EVIL, tmp_path / "f.svg")._repr_html_()
    shown += bullets([EVIL]).data
    assert "<script" not in shown
    assert shown.count("&lt;script&gt;") == 7


def test_csv_keeps_every_digit_and_the_report_rounds(tmp_path):
    table = pd.DataFrame({"uar": [1 / 3], "holm_p": [1e-9], "n": [7]}, index=["none"])
    exhibit = table_exhibit(table, "c", tmp_path / "t")
    assert pd.read_csv(tmp_path / "t.csv", index_col=0)["uar"].iloc[0] == 1 / 3
    assert exhibit.shown.iloc[0].tolist() == ["0.333", "< 0.001", 7]


def test_latex_is_booktabs_and_escaped(tmp_path):
    table = pd.DataFrame({"recall_a&b": ["50 %"]}, index=pd.Index(["x_y"], name="condition"))
    table_exhibit(table, "100 % of it", tmp_path / "t")
    text = (tmp_path / "t.tex").read_text()
    for part in (r"\toprule", r"\bottomrule", r"recall\_a\&b", r"50 \%", r"x\_y", r"100 \% of"):
        assert part in text


@pytest.mark.parametrize(
    ("name", "value", "printed"),
    [
        ("uar", 0.0004, "0.000"),
        ("p", 0.0004, "< 0.001"),
        ("mcnemar_p", 0.0452, "0.045"),
        ("q", 0.0, "< 0.001"),
        ("uar", float("nan"), "–"),
    ],
)
def test_numbers_are_printed_as_a_paper_does(name, value, printed):
    assert rounded(pd.DataFrame({name: [value]})).iloc[0, 0] == printed
