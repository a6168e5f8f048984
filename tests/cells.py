"""The cells of a notebook executed in this process, with what they show."""

import ast
import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import nbformat

from sercue.tables.exhibits import FigureExhibit, TableExhibit

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


@dataclass
class Shown:
    """What a notebook showed: tables and figures by name, and why others cannot be had."""

    tables: dict[str, TableExhibit]
    figures: dict[str, FigureExhibit]
    missing: list[str]
    names: dict[str, Any]
    results: list[Any]


def execute(number, run):
    """Execute a notebook whose run is at hand.

    Args:
        number: of the notebook, such as ``"05"``
        run: in place of the one that it would open

    Returns:
        what it showed; ``names`` holds the variables of its cells, ``results`` what the last lines
        of cells amount to, which Jupyter shows as well
    """
    (notebook,) = NOTEBOOKS.glob(f"{number}_*.ipynb")
    cells = [c for c in json.loads(notebook.read_text())["cells"] if c["cell_type"] == "code"]
    sources = ["".join(cell["source"]) for cell in cells]
    opens = next(place for place, source in enumerate(sources) if "open_run(" in source)
    shown = Shown({}, {}, [], {"run": run}, [])
    displayed, show = [], run.show
    # In Jupyter a builtin.
    shown.names["display"] = shown.results.append

    def recorded(name, *args, **options):
        show(name, *args, **options)
        exhibit = displayed.pop()
        kind = shown.tables if isinstance(exhibit, TableExhibit) else shown.figures
        kind[name] = exhibit

    with ExitStack() as stack:
        for module in ("sercue.run", "sercue.tables.exhibits"):
            stack.enter_context(patch(f"{module}.display", lambda it, **_: displayed.append(it)))
        stack.enter_context(patch.object(run, "show", recorded))
        exec("import sercue", shown.names)
        for place, source in enumerate(sources[opens + 1 :], opens + 1):
            shown.results += executed(source, f"{notebook.name}, code cell {place}", shown.names)
    shown.missing = [it.reason for it in displayed]
    return shown


def executed(source, name, names):
    """Execute a cell: what its last line amounts to, if that is an expression with a value."""
    body = ast.parse(source).body
    last = [body.pop().value] if isinstance(body[-1], ast.Expr) else []
    exec(compile(ast.Module(body, []), name, "exec"), names)
    values = [eval(compile(ast.Expression(line), name, "eval"), names) for line in last]
    return [value for value in values if value is not None]


def sentences_of_summary(path):
    """The number of sentences in the summary of a notebook that was executed."""
    cells = nbformat.read(path, as_version=4).cells
    place = [cell.source.strip() for cell in cells].index("## Summary")
    return cells[place + 1].outputs[-1].data["text/html"].count("<li>")
