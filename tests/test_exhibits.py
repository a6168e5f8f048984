"""Figures and tables: what is shown, what is saved, and that text stays text."""

import re

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import pytest

from sercue.plots.corpora import plot_clusters, plot_redundancy
from sercue.plots.results import plot_uar
from sercue.statistics.effects import functional_clusters, redundancy
from sercue.tables.exhibits import FigureExhibit, bullets, figure_exhibit, table_exhibit
from sercue.tables.printed import rounded

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


def test_a_figure_does_not_depend_on_a_matplotlibrc(tmp_path):
    """One in the current folder or of the user sets what is not set here, when drawn and saved."""
    correlation = pd.DataFrame([[1, 0.4], [0.4, 1]], ["energy", "pitch"], ["energy", "pitch"])
    first = figure_exhibit(plot_redundancy(correlation), "x", tmp_path / "a.svg")
    theirs = {"font.family": "serif", "savefig.facecolor": "red", "xtick.major.pad": 9}
    with mpl.rc_context(theirs):
        second = figure_exhibit(plot_redundancy(correlation), "x", tmp_path / "b.svg")
    assert first.svg == second.svg
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()


def test_a_figure_is_saved_as_pdf_beside_its_svg(tmp_path):
    """For LaTeX; the same bytes on another day, and no Type 3 fonts, which journals refuse."""
    for name in "ab":
        figure_exhibit(drawing(), "x", tmp_path / f"{name}.svg")
    first, second = ((tmp_path / f"{name}.pdf").read_bytes() for name in "ab")
    assert first == second
    assert first.startswith(b"%PDF-")
    assert b"/CreationDate" not in first
    assert b"/Type3" not in first


def test_a_figure_that_is_restyled_is_drawn_and_saved_anew(tmp_path, monkeypatch):
    exhibit = figure_exhibit(drawing(), "x", tmp_path / "a.svg")
    first = exhibit.svg
    with monkeypatch.context() as patch:
        patch.setattr(FigureExhibit, "save", None)
        shown = exhibit._repr_html_()
    exhibit.figure.axes[0].lines[0].set_color("red")
    assert exhibit._repr_html_() != shown
    assert exhibit.svg == (tmp_path / "a.svg").read_bytes() != first
    assert b"#ff0000" in exhibit.svg
    exhibit.figure.axes[0].set_title("restyled")
    assert "restyled" in exhibit._repr_html_()


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
    # Caption, label of the box, header, row and cell of the table; caption, label of the box and
    # alternative text of the figure; the sentence.
    assert shown.count("&lt;script&gt;") == 9


def test_a_folded_table_shows_its_caption_and_how_long_it_is(tmp_path):
    """What repeats a figure is there for whoever wants its numbers, and takes no room."""
    table = pd.DataFrame({"uar": [0.5, 0.6]}, index=pd.Index(["none", "aligned"]))
    shown = table_exhibit(table, "UAR.", tmp_path / "t", folded=True)._repr_html_()
    before, folded = shown.split("<details>")
    assert "UAR." in before
    assert folded.startswith("<summary>Show the table (2 rows)</summary>")
    assert "aligned" in folded


def test_the_alternative_text_says_what_is_written_in_the_figure(tmp_path):
    """Whoever cannot see the figure of the study must get its numbers, and no others."""
    rows = [("none", 0.5, 0.4, 0.6), ("aligned", 0.7, 0.65, 0.75)]
    intervals = pd.DataFrame(rows, columns=["condition", "uar", "low", "high"])
    shown = figure_exhibit(plot_uar(intervals, {"chance": 0.25}), "UAR.", tmp_path / "a.svg")
    assert shown.alt == (
        "UAR. Across: Unweighted average recall (UAR). "
        "Down: none (UAR−) .500 [.400, .600], aligned (UAR+) .700 [.650, .750]. "
        "Legend: chance .250."
    )


def test_an_image_has_the_size_of_its_drawing(tmp_path):
    """Or the page jumps while it is opened; 1 inch is 96 pixels, less what is cut off around."""
    figure = plt.figure(figsize=(5, 2))
    figure.add_axes((0, 0, 1, 1)).plot([0, 1])
    shown = figure_exhibit(figure, "c", tmp_path / "a.svg")._repr_html_()
    width, height = (int(re.search(rf' {side}="(\d+)"', shown)[1]) for side in ("width", "height"))
    assert 400 < width < 540
    assert 150 < height < 260


def test_many_cells_are_drawn_as_pixels(tmp_path):
    """A grid of 88 x 88 functionals as shapes makes a report that no mail server takes."""
    wide = pd.DataFrame({f"f{n}": [(k * (n + 3)) % 11 for k in range(12)] for n in range(40)})
    correlation = redundancy(wide)
    figure = plot_clusters(correlation, functional_clusters(correlation))
    svg = figure_exhibit(figure, "c", tmp_path / "a.svg").svg
    assert svg.count(b"<image") == 2, "the grid and the scale of its colours"
    assert svg.count(b"<path") < 600


def shown_table(tmp_path, table):
    return table_exhibit(table, "c", tmp_path / "t", table)._repr_html_()


def test_names_of_rows_stand_in_the_line_of_the_column_names(tmp_path):
    """pandas gives several index levels a line of their own, empty but for their names."""
    index = pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["kind", "n"])
    shown = shown_table(tmp_path, pd.DataFrame({"uar": [1, 2, 3]}, index=index))
    head = shown.split("</thead>")[0]
    assert head.count("<tr>") == 1
    assert re.findall(r">(\w+)</th>", head) == ["kind", "n", "UAR"]
    assert '<th scope="rowgroup" rowspan="2">a</th>' in shown
    assert shown.count('scope="row"') == 4


def test_each_header_says_what_it_heads(tmp_path):
    """A screen reader reads a cell with its headers; one that is empty would be read, too."""
    shown = shown_table(tmp_path, pd.DataFrame({"uar": [1]}, index=["none"]))
    assert '<th scope="col">UAR</th>' in shown
    assert '<th scope="row">none</th>' in shown
    assert not re.search(r"<th[^>]*></th>", shown)
    assert not re.search(r"<th>", shown)


def test_a_wide_table_can_be_scrolled_by_keyboard(tmp_path):
    shown = shown_table(tmp_path, pd.DataFrame({"uar": [1]}))
    assert 'tabindex="0" role="region" aria-label="Table: c"' in shown


def test_a_long_cell_is_shown_whole(tmp_path):
    """pandas cuts what it shows after 50 characters."""
    shown = shown_table(tmp_path, pd.DataFrame({"answer": ["word " * 30 + "end"]}))
    assert "word end" in shown
    assert 'class="table prose"' in shown


def test_csv_keeps_every_digit_and_the_report_rounds(tmp_path):
    table = pd.DataFrame({"uar": [1 / 3], "holm_p": [1e-9], "n": [7]}, index=["none"])
    exhibit = table_exhibit(table, "c", tmp_path / "t")
    assert pd.read_csv(tmp_path / "t.csv", index_col=0)["uar"].iloc[0] == 1 / 3
    assert exhibit.head(1).equals(table)
    assert exhibit.shown.iloc[0].tolist() == [".333", "< .001", 7]


def test_latex_is_booktabs_and_escaped(tmp_path):
    table = pd.DataFrame({"recall_a&b": ["50 %"]}, index=pd.Index(["x_y"], name="condition"))
    table_exhibit(table, "100 % of it", tmp_path / "t")
    text = (tmp_path / "t.tex").read_text()
    for part in (r"\toprule", r"\bottomrule", r"recall\_a\&b", r"50 \%", r"x\_y", r"100 \% of"):
        assert part in text


@pytest.mark.parametrize(
    ("name", "value", "printed"),
    [
        ("uar", 0.0004, ".000"),
        ("p", 0.0004, "< .001"),
        ("mcnemar_p", 0.0452, ".045"),
        ("q", 0.0, "< .001"),
        ("uar", float("nan"), "–"),
    ],
)
def test_numbers_are_printed_as_a_paper_does(name, value, printed):
    assert rounded(pd.DataFrame({name: [value]})).iloc[0, 0] == printed


def test_numbers_stand_to_the_right_and_words_to_the_left(tmp_path):
    """By what a cell says, whatever its type: intervals and p-values are texts, too."""
    cells = {"uar": [".5 [.4, .6]", "–"], "p": ["< .001", "1.000"], "commonest": ["sad", "–"]}
    shown = shown_table(tmp_path, pd.DataFrame(cells, index=["none", "aligned"]))
    assert '<th scope="col" class="words">most frequent</th>' in shown
    assert re.findall(r'<td class="([^"]*)">', shown) == ["words", "words"]
    assert re.findall(r'<td class="words">([^<]*)<', shown) == ["sad", "–"]


def test_a_column_in_which_nothing_stands_is_not_shown(tmp_path):
    """It is in the CSV file: programs look for it."""
    table = pd.DataFrame({"found": [1], "expected": [None], "examples": [""]})
    exhibit = table_exhibit(table, "c", tmp_path / "t", table)
    assert exhibit.shown.columns.tolist() == ["found"]
    assert pd.read_csv(tmp_path / "t.csv").columns.tolist()[1:] == ["found", "expected", "examples"]
    nothing = table_exhibit(table[["expected"]], "c", tmp_path / "n", table[["expected"]])
    assert nothing.shown.columns.tolist() == ["expected"]
