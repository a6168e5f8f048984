"""Tables for a paper: LaTeX itself takes all of them, with booktabs alone, and they fit."""

import re
import shutil
import string
import subprocess

import pandas as pd
import pytest

from sercue.report.comparison import write_comparison
from sercue.run import open_run
from sercue.tables.latex import WIDE_PAGE, write_table

DOCUMENT = r"""\documentclass[a4paper]{article}
\usepackage{booktabs}
%s
\begin{document}
%s
\end{document}
"""
WIDE = rf"\setlength{{\textwidth}}{{{WIDE_PAGE}pt}}"
COMPLAINT = re.compile(r"^(?:! |Overfull|LaTeX Warning: (?!Label)).*$", re.MULTILINE)
INTERVAL = ".140 [.054, .226]"
HOSTILE = ["".join(string.punctuation), "\\input{/etc/passwd}", "[2ex]", "*", "%", "a & b \\\\ c"]


@pytest.fixture(scope="session")
def pdflatex():
    """Where the machine's LaTeX is; without one, tests that need it are skipped."""
    found = shutil.which("pdflatex")
    return found or pytest.skip("no pdflatex on the PATH")


def set_in_a_paper(pdflatex, files, folder, preamble=""):
    """Everything that LaTeX complains of where all files are set in one document."""
    body = "\n".join(rf"\input{{{file}}}\clearpage" for file in files)
    (folder / "paper.tex").write_text(DOCUMENT % (preamble, body))
    options = ["-no-shell-escape", "-interaction=nonstopmode"]
    command = [pdflatex, *options, "paper.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    log = (folder / "paper.log").read_text(encoding="latin-1")
    assert (folder / "paper.pdf").is_file(), done.stdout[-2000:]
    return COMPLAINT.findall(log)


def test_every_table_of_a_study_can_be_set(small_study, pdflatex, tmp_path):
    files = sorted((small_study.folder / "tables").glob("*.tex"))
    assert len(files) > 30
    assert set_in_a_paper(pdflatex, files, tmp_path) == []


def test_the_table_of_a_comparison_can_be_set(small_study, pdflatex, tmp_path):
    """Over both columns of a page, as papers have it."""
    shutil.copytree(small_study.folder, tmp_path / "other")
    named = {"out": str(tmp_path / "other"), "study": "other_study", "confidence": 0.8}
    run = open_run(small_study.settings | named, reuse=True)
    _ = run.measures, run.tests
    write_comparison([small_study.folder, tmp_path / "other"], tmp_path / "out")
    file = tmp_path / "out" / "tables" / "compare.tex"
    assert set_in_a_paper(pdflatex, [file], tmp_path, WIDE) == []


def test_hostile_names_are_set_as_text(pdflatex, tmp_path):
    """They may be too long for the page: one without a space cannot be broken."""
    table = pd.DataFrame(dict.fromkeys(HOSTILE, HOSTILE), index=pd.Index(HOSTILE, name="%"))
    write_table(table, " ".join(HOSTILE), tmp_path / "hostile.tex")
    told = set_in_a_paper(pdflatex, [tmp_path / "hostile.tex"], tmp_path)
    assert [complaint for complaint in told if not complaint.startswith("Overfull")] == []


def written(tmp_path, table, **options):
    write_table(table, "c", tmp_path / "t.tex", **options)
    return (tmp_path / "t.tex").read_text()


def test_a_line_that_begins_with_a_bracket_is_no_option_of_the_line_above(tmp_path):
    r"""``\\ [2ex]`` is a gap of 2ex."""
    text = written(tmp_path, pd.DataFrame({"[a]": ["[b]", "*"]}, index=["[c]", "d"]))
    lines = [line.lstrip() for line in text.splitlines()]
    assert [line for line in lines if line.startswith(("[", "*"))] == []


def test_a_name_of_several_rows_stands_once(tmp_path):
    """As pandas writes it, it takes the package multirow."""
    index = pd.MultiIndex.from_product([["energy", "pitch"], ["a", "b"]], names=["concept", "x"])
    text = written(tmp_path, pd.DataFrame({"uar": [1, 2, 3, 4]}, index=index))
    assert text.count("energy") == text.count("pitch") == 1
    assert text.count(" & a & ") == 2
    assert "multirow" not in text


def test_what_is_wider_than_the_page_is_set_in_parts_with_the_names_of_the_rows(tmp_path):
    """Every number stands once, and every row of every part says what it is of."""
    numbers = {f"condition {n}": [f"0.{n}{n}1", f"0.{n}{n}2"] for n in range(9)}
    table = pd.DataFrame(numbers, index=pd.Index(["first model", "second model"], name="model"))
    parts = written(tmp_path, table, page=200).split(r"\begin{tabular}")[1:]
    assert len(parts) > 1
    for row in table.index:
        assert [part.count(row) for part in parts] == [1] * len(parts)
    for cells in numbers.values():
        assert ["".join(parts).count(cell) for cell in cells] == [1, 1]


def test_intervals_stand_beneath_their_numbers_where_they_do_not_fit_beside(tmp_path):
    table = pd.DataFrame({f"c{n}": [INTERVAL] for n in range(5)}, index=["aligned"])
    wide, narrow = written(tmp_path, table, page=900), written(tmp_path, table)
    assert wide.count(INTERVAL) == 5
    assert narrow.count(INTERVAL) == 0
    assert narrow.count(r"{\scriptsize [.054, .226]}") == 5


def test_what_fits_one_of_two_columns_in_smaller_letters_is_no_table_over_both(tmp_path):
    """A starred table of LaTeX spans both columns and floats to the top of a later page."""
    table = pd.DataFrame({f"c {n}": ["< .001"] for n in range(6)}, index=["aligned"])
    text = written(tmp_path, table)
    assert text.startswith(r"\begin{table}[tbp]")
    assert r"\small" in text or r"\footnotesize" in text
    long = pd.DataFrame({"answer": ["word " * 40]}, index=["x"])
    assert written(tmp_path, long).startswith(r"\begin{table*}")


def test_long_texts_are_set_in_lines(tmp_path):
    text = written(tmp_path, pd.DataFrame({"answer": ["word " * 40]}, index=["x"]))
    assert re.search(r"\{@\{\}lp\{\d+pt\}@\{\}\}", text)


def test_letters_that_pdflatex_lacks_are_told_in_the_first_line(tmp_path):
    text = written(tmp_path, pd.DataFrame({"злость": ["愤怒"]}))
    assert text.startswith(
        "% This table needs XeLaTeX or LuaLaTeX and a font that has: злость愤怒\n"
    )
    assert written(tmp_path, pd.DataFrame({"wütend": ["−1"]})).startswith(r"\begin{table}")
