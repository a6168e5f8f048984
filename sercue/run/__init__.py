"""A run: one study, its folder, and the stages that its notebooks share.

Each stage is computed on first use through the cached functions, so that any notebook runs alone;
what it computed lies in ``artifacts`` for whoever reads on. The class is built in floors:
``Stages`` (corpus to tokens), ``Answers`` (model and predictions), ``Analysis`` (what follows from
them), ``Run`` (what a report shows).
"""

from __future__ import annotations

import ast
import difflib
import html
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from sercue.corpus_check import check_corpus
from sercue.exhibits import FigureExhibit, TableExhibit, figure_exhibit, table_exhibit
from sercue.models import TINY
from sercue.models.cards import public_name
from sercue.run.analysis import Analysis
from sercue.run.stages import run_folder
from sercue.settings import Settings, settings_from

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

FIXTURE = (
    "A fixture, not evidence: {why}. These numbers show that the instrument works; "
    "they say nothing about people or about any published model."
)

# Lines of IPython's own.
_MAGIC = re.compile(r"^\s*[%!].*$", re.MULTILINE)

__all__ = ["FIXTURE", "Run", "fixture_notice", "open_run", "run_folder"]


def open_run(parameters: Mapping[str, Any], *, reuse: bool = False) -> Run:
    """Open the run that a notebook's parameters describe.

    Args:
        parameters: study keys and values; a notebook hands over its ``globals()``, of which the
            study keys are read, and what its cells of parameters set besides is refused
        reuse: take a finished study that lies in ``artifacts`` with the same settings, so that
            neither audio nor model is needed

    Raises:
        InputError: if a key is unknown, naming the nearest valid one, or a value is not valid
    """
    if "__builtins__" in parameters:
        keys = {*Settings.model_fields} | _set_in_cells(parameters.get("In", []))
        parameters = {key: parameters[key] for key in parameters if key in keys}
    return Run(settings_from(parameters, "notebook parameters"), reuse=reuse)


def _set_in_cells(history: Sequence[str]) -> set[str]:
    """What the cells of parameters set that were executed before a run is opened.

    Args:
        history: sources of the executed cells; the last one is the one that opens the run
    """
    found: set[str] = set()
    for place, source in enumerate(reversed(history)):
        # What was wrong when a run was opened earlier may have been mended since.
        if place and found and "open_run(" in source:
            break
        found |= _set_as_parameters(source)
    return found


def _set_as_parameters(source: str) -> set[str]:
    r"""What a cell sets, if papermill wrote it; or study keys, and names that are nearly one.

    What the cell itself reads again is no parameter, but a step on the way to one.

    Examples:
        >>> sorted(_set_as_parameters("bins = 3\nsed = 1\nd = 'a'\ncorpus_root = f'{d}/b'"))
        ['bins', 'sed']
        >>> _set_as_parameters("number = 1")
        set()
    """
    try:
        tree = ast.parse(_MAGIC.sub("", source))
    except (SyntaxError, ValueError):  # other magics of IPython, lone surrogates
        return set()
    injected = source.startswith("# Parameters")
    names = set()
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            targets, value = statement.targets, statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets, value = [statement.target], statement.value
        else:
            continue
        if injected or _is_plain(value):
            nodes = [node for target in targets for node in ast.walk(target)]
            names |= {node.id for node in nodes if isinstance(node, ast.Name)}
    names -= {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    keys = Settings.model_fields.keys()
    if injected:
        return names
    # In a cell of their own, users set what else they like; a name that is nearly a key is none.
    near = {name for name in names - keys if difflib.get_close_matches(name, keys, cutoff=0.8)}
    return (names & keys) | near if names & keys else set()


def _is_plain(value: ast.expr) -> bool:
    try:
        ast.literal_eval(value)
    except ValueError:
        return False
    return True


class Run(Analysis):
    """One study and the folder it writes, as its notebooks show it.

    Attributes:
        settings: the study's settings
        folder: ``reports/<study>``, or the folder that ``out`` names
    """

    @property
    def corpus_check(self) -> pd.DataFrame:
        """What was found of the corpus: what is as it should be, odd, or wrong."""
        return check_corpus(self.listed, self.audio_facts).set_index("check")

    def figure(self, name: str, drawing: Figure | Artist, caption: str) -> FigureExhibit:
        """Save a figure below ``figures`` and show it with its caption."""
        return figure_exhibit(drawing, caption, self.folder / "figures" / f"{name}.svg")

    def table(
        self, name: str, data: pd.DataFrame, caption: str, shown: pd.DataFrame | None = None
    ) -> TableExhibit:
        """Save a table below ``tables`` as CSV and LaTeX and show it with its caption."""
        return table_exhibit(data, caption, self.folder / "tables" / name, shown)

    @property
    def fixture(self) -> str | None:
        """Why this run is no evidence, or ``None`` if nothing says so."""
        return fixture_notice(self.settings)

    def __repr__(self) -> str:
        s, model = self.settings, public_name(self.settings.model)
        return f"Run(study {s.study!r}: corpus {s.corpus!r}, model {model!r}, in {self.folder})"

    def _repr_html_(self) -> str:
        s = self.settings
        line = (
            f"Study <b>{html.escape(s.study)}</b>: corpus <b>{html.escape(s.corpus)}</b>, "
            f"model <b>{html.escape(public_name(s.model))}</b>, decoding {s.decoding}, "
            f"seed {s.seed}."
        )
        notice = f'<p class="notice">{html.escape(self.fixture)}</p>' if self.fixture else ""
        return f"<p>{line}</p>{notice}"


def fixture_notice(settings: Settings) -> str | None:
    """The warning that a study on synthetic speech or with a tiny model must carry.

    Examples:
        >>> fixture_notice(Settings(corpus="emodb", model="qwen2-audio")) is None
        True
    """
    reasons = []
    if settings.corpus == "demo":
        reasons.append("the speech is synthetic")
    if settings.model == TINY:
        reasons.append("the model is a tiny one, trained here on the corpus itself")
    return FIXTURE.format(why=" and ".join(reasons)) if reasons else None
