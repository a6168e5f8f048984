"""What a notebook asks for: its parameters, and the folder that its run may write to."""

from __future__ import annotations

import ast
import difflib
import os
import re
from collections.abc import Sequence
from pathlib import Path

from sercue.running import EXECUTED
from sercue.settings import Settings
from sercue.storage.files import project_folder

# Lines of IPython's own.
_MAGIC = re.compile(r"^\s*[%!].*$", re.MULTILINE)


def run_folder(settings: Settings) -> Path:
    """Where a study writes: ``out`` if it is set, else ``reports/<study>`` of the project."""
    if settings.out is not None:
        return Path(settings.out).expanduser()
    return project_folder() / "reports" / settings.study


def scratch_folder(name: str) -> Path:
    """Where a run writes that was opened by hand, so that the study itself stays as it is."""
    return project_folder() / "scratch" / name


def is_by_hand(settings: Settings) -> bool:
    """Whether a run is opened by hand: ``sercue run`` did not start this, and ``out`` is not set.

    An executed notebook that is opened in JupyterLab, and one that papermill executes, are that,
    too: neither the parameters that were injected nor anything else tells the two apart.
    """
    return settings.out is None and not os.environ.get(EXECUTED)


def set_in_cells(history: Sequence[str]) -> set[str]:
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
        >>> _set_as_parameters("number = 1"), _set_as_parameters("label = 'sad'")
        (set(), set())
        >>> _set_as_parameters("conditons = ['none']")
        {'conditons'}
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
    # Where no key stands beside it, it must be nearer, and no singular or plural of one.
    cutoff = 0.8 if names & keys else 0.9
    near = {name for name in names - keys if difflib.get_close_matches(name, keys, cutoff=cutoff)}
    if not names & keys:
        near -= {name for name in near if {f"{name}s", name.removesuffix("s")} & keys}
    return (names & keys) | near


def _is_plain(value: ast.expr) -> bool:
    try:
        ast.literal_eval(value)
    except ValueError:
        return False
    return True
