"""The HTML of a run: one page per notebook, and the index."""

from __future__ import annotations

import base64
import html
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
from nbconvert.filters import markdown2html

from sercue.artifacts import Artifacts, made_from
from sercue.notation import percent, with_interval, with_minus
from sercue.privacy import clean_notebook, without_private_paths
from sercue.report.templates import TEMPLATES, on_every_page, page_of
from sercue.report.utterances import UTTERANCES
from sercue.settings import (
    ANALYSIS_KEYS,
    CORPUS_KEYS,
    ELSEWHERE,
    Settings,
    elsewhere_notice,
    fixture_notice,
)
from sercue.statistics.contrasts import BLOCK
from sercue.storage.files import write_text
from sercue.tables import markup
from sercue.tables.answer import spread_of_answers, use_of_tokens
from sercue.tables.limits import limits
from sercue.tables.printed import rounded
from sercue.tokens.catalogue import main_conditions, shortened
from sercue.tokens.schemes import concepts_of

_BAR = re.compile(r"\d+%\|")
# Where a bar is drawn below another one, the cursor is moved by such signs.
_CURSOR = re.compile(r"\x1b\[\d*[A-Za-z]")
_SECTION = re.compile(r'<h2 id="([^"]*)">(.*?)<a class="anchor-link"', re.DOTALL)
_TAG = re.compile(r"<[^>]+>")
_AROUND = ("bar", "rail", "outdated", "turn")
_MARKED = re.compile(rf"<!-- ({'|'.join(_AROUND)}) -->.*?<!-- end of \1 -->", re.DOTALL)
# A figure or table that says what its files are called.
_EXHIBIT = re.compile(
    r'(<figure class="(plot|table)[^"]*" data-name="([^"]+)">.*?)</figure>', re.DOTALL
)
# By kind of exhibit, where its files are and which are offered. The SVG of a figure is in the page
# already: it is the picture.
_FILES = {"plot": ("figures", (".pdf",)), "table": ("tables", (".csv", ".tex"))}
_KINDS = {
    ".pdf": ("PDF", "application/pdf"),
    ".csv": ("CSV", "text/csv"),
    ".tex": ("LaTeX", "text/x-tex"),
}
_LARGEST = 500_000  # bytes of a file that a page holds for a reader to save
_DRAWS_UAR = "04_perturbation_study"
_OUTDATED = "made with other settings, labels, recordings or answers"


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

    Raises:
        StorageError: if it cannot be written
    """
    notebook = nbformat.read(page.notebook, as_version=4)
    # `execute` has done so, but whoever ran the notebook again by hand has not.
    clean_notebook(notebook, settings)
    _drop_progress(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            # A notebook's parameters stay as they are, so that it runs here again.
            cell.source = without_private_paths(cell.source, settings)
    exporter = HTMLExporter(
        template_name="report", extra_template_basedirs=[str(TEMPLATES)], embed_images=True
    )
    outputs = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs]
    errors = [output for output in outputs if output.output_type == "error"]
    about = on_every_page() | {
        "title": f"{settings.study}: {page.title}",
        "study": settings.study,
        "contents": _contents(notebook),
        "around": _around(page, pages, settings),
        "notice": fixture_notice(settings),
        "error": f"{errors[0].ename}: {errors[0].evalue}" if errors else None,
    }
    body, _ = exporter.from_notebook_node(notebook, resources={"page": about})
    write_text(page.html, _with_files(body, page.html.parent))


def renew_page(page: Page, pages: Sequence[Page], settings: Settings) -> None:
    """Renew what may have changed around a report: its links, and whether it is out of date.

    One that is not there, not whole, or older than its notebook is rendered: a run was killed
    before it wrote it, or the power was lost.

    Args:
        page: the page to renew; its notebook has been executed
        pages: all pages of the run
        settings: the study

    Raises:
        StorageError: if it cannot be written
    """
    there = page.html.is_file()
    if there and page.html.stat().st_mtime >= page.notebook.stat().st_mtime:
        text = page.html.read_bytes().decode("utf-8", "replace")
        if set(_AROUND) <= {found[1] for found in _MARKED.finditer(text)}:
            around = _around(page, pages, settings)
            renewed = _MARKED.sub(lambda found: around[found[1]], text)
            if renewed != text:
                write_text(page.html, renewed)
            return
    write_page(page, pages, settings)


def _around(page: Page, pages: Sequence[Page], settings: Settings) -> dict[str, str]:
    """The parts of a page that may change after its notebook has run, each between its marks."""
    known, place = Artifacts(page.html.parent / "artifacts").provenance(), pages.index(page)
    about = {
        "links": [_link(other, page) for other in pages],
        "previous": _first_written(pages[:place][::-1]),
        "next": _first_written(pages[place + 1 :]),
        "utterances": UTTERANCES if (page.html.parent / UTTERANCES).is_file() else None,
        "outdated": _is_outdated(page.html.stem, known, settings),
    }
    loader = jinja2.FileSystemLoader(TEMPLATES / "report")
    macros = jinja2.Environment(loader=loader).get_template("around.html.j2").module
    parts = {part: getattr(macros, part)(about) for part in _AROUND}
    return {part: f"<!-- {part} -->{text}<!-- end of {part} -->" for part, text in parts.items()}


def write_index(
    folder: Path, settings: Settings, outcomes: Mapping[str, tuple[str, str | None]]
) -> Path:
    """Write ``index.html``: the headline numbers, and what it takes to repeat them.

    Args:
        folder: the run's folder
        settings: the study
        outcomes: notebook name to its state and error, as ``execute`` returned it; others are
            shown by what lies there

    Raises:
        StorageError: if it cannot be written
    """
    artifacts = Artifacts(folder / "artifacts")
    known = artifacts.provenance()
    # By their stamps: after a failure, numbers of other settings or answers may still lie there.
    stamp = settings.fingerprint(ANALYSIS_KEYS)
    measures = artifacts.load("measures.parquet", stamp, **artifacts.inputs())
    tests = artifacts.load("tests.parquet", stamp, **artifacts.inputs())
    answer = artifacts.load("answer.parquet", stamp, **artifacts.inputs())
    stored = artifacts.load_corpus(settings.fingerprint(CORPUS_KEYS))
    names = sorted({*outcomes, *(file.stem for file in folder.glob("0*.html"))})
    outdated = {name for name in names if _is_outdated(name, known, settings)}
    text = page_of(
        "study_index.html.j2",
        study=settings.study,
        notice=fixture_notice(settings),
        elsewhere=elsewhere_notice(settings),
        answer=[] if answer is None else answer[["line", "text"]].to_numpy().tolist(),
        further=_further(measures, tests),
        # Otherwise the answer begins with it.
        limits=limits(stored[0], settings.partition, confounded=answer is None or answer.empty)
        if stored
        else [],
        evaluated=answer is not None,
        figure=None if _DRAWS_UAR in outdated else _figure(folder, measures, settings),
        table="" if measures is None else _uar_by_condition(measures, tests, settings),
        reports=[_report(name, folder, outcomes, name in outdated) for name in names],
        failures=[
            {"title": name, "error": error}
            for name, (state, error) in outcomes.items()
            if state == "failed"
        ],
        methods=(folder / "methods.md").is_file(),
        command=known.get("command", ""),
        facts=_facts(known),
        parameters=_parameters(known["parameters"]),
        utterances=(folder / UTTERANCES).is_file(),
        versions=list(known["versions"].items()),
    )
    path = folder / "index.html"
    write_text(path, text)
    return path


def _is_outdated(name: str, known: Mapping[str, Any], settings: Settings) -> bool:
    """Whether settings, corpus or answers are no longer those that a notebook was run with."""
    run = known.get("notebooks", {}).get(name)
    then = run.get("made_from") if isinstance(run, dict) else None
    return then is not None and then != made_from(name, settings, known)


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


def _contents(notebook: nbformat.NotebookNode) -> list[tuple[str, str]]:
    """Anchor and words of each section, as the exporter will write them."""
    prose = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return [
        (html.unescape(anchor), html.unescape(_TAG.sub("", words)))
        for anchor, words in _SECTION.findall(markdown2html(prose))
    ]


def _link(other: Page, page: Page) -> dict[str, Any]:
    return {
        "title": other.title,
        "href": other.html.name if other.notebook.is_file() else None,
        "current": other == page,
    }


def _with_files(body: str, folder: Path) -> str:
    """A page with links below each figure and table that save its files.

    The files are part of the page, which may be sent alone; of large ones it says where they are.
    """

    def linked(found: re.Match[str]) -> str:
        place, endings = _FILES[found[2]]
        files = [folder / place / f"{html.unescape(found[3])}{ending}" for ending in endings]
        links = [_file_link(file) for file in files if file.is_file()]
        return f'{found[1]}<p class="files">{" ".join(links)}</p></figure>'

    return _EXHIBIT.sub(linked, body)


def _file_link(file: Path) -> str:
    kind, media = _KINDS[file.suffix]
    if file.stat().st_size > _LARGEST:
        return f"<span>{kind}: {html.escape(f'{file.parent.name}/{file.name}')}</span>"
    data = base64.b64encode(file.read_bytes()).decode()
    return f'<a download="{html.escape(file.name)}" href="data:{media};base64,{data}">{kind}</a>'


def _first_written(pages: Sequence[Page]) -> dict[str, str] | None:
    for page in pages:
        if page.notebook.is_file():
            number, _, words = page.title.partition(" ")
            return {"number": number, "words": words, "href": page.html.name}
    return None


def _report(
    name: str, folder: Path, outcomes: Mapping[str, tuple[str, str | None]], outdated: bool
) -> dict[str, Any]:
    earlier = "from an earlier run" + (f", {_OUTDATED}" if outdated else "")
    state, error = outcomes.get(name, (earlier, None))
    there = (folder / f"{name}.html").is_file()
    return {
        "title": Page.of(Path(f"{name}.ipynb"), folder).title,
        "href": f"{name}.html" if there and state != "not run" else None,
        "state": f"{state}: {error}" if error else state,
    }


def _further(measures: pd.DataFrame | None, tests: pd.DataFrame | None) -> list[str]:
    """What stands below the answer: content and presence of the tokens, and spread of answers."""
    sentences = [] if tests is None else use_of_tokens(tests, BLOCK)
    return sentences + ([] if measures is None else spread_of_answers(main_conditions(measures)))


def _figure(folder: Path, measures: pd.DataFrame | None, settings: Settings) -> str | None:
    path = folder / "figures" / "uar.svg"
    if measures is None or not path.is_file():
        return None
    level = percent(settings.confidence)
    caption = f"Unweighted average recall (UAR) by condition, with {level} intervals over speakers."
    main = main_conditions(measures)
    values = map(" ".join, zip(main["condition"], _uar_values(main), strict=True))
    alt = f"{caption} {'; '.join(values)}."
    return markup.plot(path.read_bytes(), caption, alt, path.stem)


def _uar_by_condition(
    measures: pd.DataFrame, tests: pd.DataFrame | None, settings: Settings
) -> str:
    """A table of the main conditions and baselines.

    Those about concepts are compared in 05, in the prompts that they share with their references.
    """
    main = main_conditions(measures)
    level = percent(settings.confidence)
    shown = pd.DataFrame({"UAR": _uar_values(main)})
    shown = shown.set_axis(pd.Index(main["condition"], name="condition"))
    if tests is not None:
        for reference in tests["reference"].unique():
            rows = tests[tests["reference"] == reference].set_index("condition")
            columns = [f"difference from {reference}", f"p ({reference})"]
            shown[columns] = (
                rounded(rows[["difference", "low", "high", "holm_p"]].reindex(shown.index))
                .map(with_minus)
                .to_numpy()
            )
    others = ", with reference classifiers" * bool(main["baseline"].any())
    corrected = (
        "p: the primary contrast (aligned − none) by itself, all others Holm-corrected"
        if tests is None or "primary" in set(tests["step"])
        else "p: Holm-corrected"
    )
    caption = (
        f"UAR by condition{others}; {level} intervals over speakers, not corrected for their "
        f"number; {corrected}."
    )
    return markup.table(shown, caption)


def _uar_values(measures: pd.DataFrame) -> list[str]:
    ends = (measures[name] for name in ("uar", "uar_low", "uar_high"))
    return [with_interval(*row) for row in zip(*ends, strict=True)]


def _parameters(known: Mapping[str, Any]) -> list[tuple[str, str]]:
    shown = dict(known)
    if known.get("conditions") is not None:
        concepts, audio = concepts_of(str(known.get("scheme"))), known.get("audio", ())
        shown["conditions"] = shortened(known["conditions"], concepts, audio)
    return [(key, json.dumps(value, ensure_ascii=False)) for key, value in shown.items()]


def _facts(known: Mapping[str, Any]) -> list[tuple[str, str]]:
    git = known["git"]
    clean = {True: "", False: " (with uncommitted changes)", None: ""}[git["clean"]]
    model = known["model"] if isinstance(known.get("model"), dict) else {}
    # Another study may have been run in its folder since.
    elsewhere = known["parameters"].get("corpus") == ELSEWHERE
    return [
        ("git commit", f"{git['commit']}{clean}" if git["commit"] else "not in a git checkout"),
        ("corpus", _corpus_line(known.get("corpus"))),
        *(
            ("file", "{file}: {format}, {rows:,} rows, digest {digest}".format(**one))
            for one in (known.get("elsewhere", []) if elsewhere else [])
        ),
        *(("found", note) for note in (known.get("notes", []) if elsewhere else [])),
        ("model", str(model.get("identity", "not asked yet"))),
        ("run time", ", ".join(f"{k} {v:.0f} s" for k, v in known.get("seconds", {}).items())),
        ("hardware", "{cores} cores, {machine}, {system}".format(**known["hardware"])),
    ]


def _corpus_line(corpus: Mapping[str, Any] | None) -> str:
    if not corpus:
        return "not read yet"
    name, utterances, speakers, content = (
        corpus.get(entry, "?") for entry in ("name", "utterances", "speakers", "content")
    )
    return f"{name}: {utterances} utterances, {speakers} speakers, content {content}"
