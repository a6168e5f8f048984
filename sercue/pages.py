"""The HTML of a run: one page a notebook, and the index."""

from __future__ import annotations

import base64
import datetime
import html
import importlib.metadata
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import nbformat
import pandas as pd
from nbconvert import HTMLExporter

from sercue.artifacts import Artifacts
from sercue.findings import study_findings
from sercue.run import fixture_notice
from sercue.settings import ANALYSIS_KEYS, Settings

_TEMPLATES = Path(__file__).parent / "templates"
_BAR = re.compile(r"\d+%\|")
# Where a bar is drawn below another one, the cursor is moved by such signs.
_CURSOR = re.compile(r"\x1b\[\d*[A-Za-z]")


@dataclass(frozen=True)
class Page:
    """The report of one notebook.

    Attributes:
        title: what links say
        notebook: the executed notebook
        html: the report
    """

    title: str
    notebook: Path
    html: Path

    @classmethod
    def of(cls, notebook: Path, folder: Path) -> Page:
        """The page of a notebook in a run's folder."""
        number, _, words = notebook.stem.partition("_")
        title = f"{number} {words.replace('_', ' ')}"
        return cls(title, folder / notebook.name, folder / f"{notebook.stem}.html")


def write_page(page: Page, pages: Sequence[Page], settings: Settings) -> None:
    """Write the HTML report of an executed notebook: one file that asks for no other.

    Args:
        page: the page to write; its notebook has been executed
        pages: all pages of the run, for the links between them
        settings: the study, for the title and the fixture notice
    """
    notebook = nbformat.read(page.notebook, as_version=4)
    _drop_progress(notebook)
    exporter = HTMLExporter(
        template_name="report", extra_template_basedirs=[str(_TEMPLATES)], embed_images=True
    )
    about = {
        "title": f"{settings.study}: {page.title}",
        "study": settings.study,
        "style": _style(),
        "links": [_link(other, page) for other in pages],
        "notice": fixture_notice(settings),
        "error": _error_of(notebook),
        "version": importlib.metadata.version("sercue"),
        "date": _today(),
    }
    body, _ = exporter.from_notebook_node(notebook, resources={"page": about})
    page.html.write_text(body, encoding="utf-8")


def write_index(
    folder: Path, settings: Settings, outcomes: Mapping[str, tuple[str, str | None]]
) -> Path:
    """Write ``index.html``: the headline numbers, and what it takes to repeat them.

    Args:
        folder: the run's folder
        settings: the study
        outcomes: notebook name to its state and error; others are shown by what lies there
    """
    artifacts = Artifacts(folder / "artifacts")
    known = artifacts.provenance()
    git = known["git"]
    clean = {True: "", False: " (with uncommitted changes)", None: ""}[git["clean"]]
    # By their stamps: after a failure, the numbers of other settings may still lie there.
    stamp = settings.fingerprint(ANALYSIS_KEYS)
    measures = artifacts.load("measures.parquet", stamp)
    tests = artifacts.load("tests.parquet", stamp)
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True)
    text = environment.get_template("study_index.html.j2").render(
        study=settings.study,
        style=_style(),
        notice=fixture_notice(settings),
        headline=_headline(measures, tests),
        figure=None if measures is None else _figure(folder / "figures" / "uar.svg"),
        table=None if measures is None else _uar_html(measures),
        level=f"{settings.confidence:.0%}",
        reports=[_report(name, folder, outcomes) for name in _names(folder, outcomes)],
        failures=[
            {"title": name, "error": error}
            for name, (state, error) in outcomes.items()
            if state == "failed"
        ],
        command=known.get("command", ""),
        facts=[
            ("git commit", f"{git['commit']}{clean}" if git["commit"] else "not in a git checkout"),
            ("corpus", _corpus_line(known.get("corpus"))),
            ("model", known.get("model", {}).get("identity", "not asked yet")),
            ("seconds", ", ".join(f"{k}: {v:g}" for k, v in known.get("seconds", {}).items())),
            ("hardware", "{cores} cores, {machine}, {system}".format(**known["hardware"])),
        ],
        parameters=[(key, json.dumps(value)) for key, value in known["parameters"].items()],
        versions=list(known["versions"].items()),
        version=importlib.metadata.version("sercue"),
        date=_today(),
    )
    path = folder / "index.html"
    path.write_text(text, encoding="utf-8")
    return path


def _error_of(notebook: nbformat.NotebookNode) -> str | None:
    outputs = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs]
    errors = [output for output in outputs if output.output_type == "error"]
    return f"{errors[0].ename}: {errors[0].evalue}" if errors else None


def _drop_progress(notebook: nbformat.NotebookNode) -> None:
    """Take progress bars out of the outputs: they tell a reader nothing once they are full."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in map(_without_bars, cell.outputs) if output]


def _without_bars(output: nbformat.NotebookNode) -> nbformat.NotebookNode | None:
    if output.output_type != "stream" or output.name != "stderr":
        return output
    plain = _CURSOR.sub("", output.text)
    lines = [line for line in re.split(r"[\r\n]+", plain) if not _BAR.search(line)]
    output.text = "\n".join(lines)
    return output if output.text.strip() else None


def _link(other: Page, page: Page) -> dict[str, Any]:
    return {
        "title": other.title,
        "href": other.html.name if other.notebook.is_file() else None,
        "current": other == page,
    }


def _style() -> str:
    return (_TEMPLATES / "report" / "style.css").read_text(encoding="utf-8")


def _today() -> str:
    return datetime.date.today().isoformat()


def _names(folder: Path, outcomes: Mapping[str, Any]) -> list[str]:
    return sorted({*outcomes, *(file.stem for file in folder.glob("0*.html"))})


def _report(
    name: str, folder: Path, outcomes: Mapping[str, tuple[str, str | None]]
) -> dict[str, Any]:
    state, error = outcomes.get(name, ("from an earlier run", None))
    there = (folder / f"{name}.html").is_file()
    return {
        "title": Page.of(Path(f"{name}.ipynb"), folder).title,
        "href": f"{name}.html" if there and state != "not run" else None,
        "state": f"{state}: {error}" if error else state,
    }


def _headline(measures: pd.DataFrame | None, tests: pd.DataFrame | None) -> list[str]:
    if measures is None or tests is None:
        return ["The study has not been evaluated yet: notebook 05 has not run."]
    labels = sum(str(column).startswith("recall_") for column in measures)
    return study_findings(measures, tests, labels)


def _figure(path: Path) -> str | None:
    if not path.is_file():
        return None
    return f"data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _uar_html(table: pd.DataFrame) -> str:
    rows = [
        f"<tr><td>{html.escape(str(row.condition))}</td><td>{row.uar:.3f}</td>"
        f"<td>[{row.uar_low:.3f}, {row.uar_high:.3f}]</td></tr>"
        for row in table.itertuples()
    ]
    head = "<thead><tr><th>condition</th><th>UAR</th><th>interval</th></tr></thead>"
    return f"<table>{head}<tbody>{''.join(rows)}</tbody></table>"


def _corpus_line(corpus: Mapping[str, Any] | None) -> str:
    if not corpus:
        return "not read yet"
    return (
        f"{corpus['name']}: {corpus['utterances']} utterances, {corpus['speakers']} speakers, "
        f"content {corpus['content']}"
    )
