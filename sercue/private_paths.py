"""Folders of this machine, and keys, taken out of what is sent to others."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import nbformat

from sercue.paths import project_folder
from sercue.provenance import shareable
from sercue.secret_keys import without_secrets
from sercue.settings import Settings

_CACHES = ("SERCUE_CACHE", "HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME")
# Of the parameters, those that may begin with a tilde.
_PATHS = ("corpus_root", "out", "model")


def without_private_paths(text: str, settings: Settings) -> str:
    """A text in which no folder of this machine, and so no user, is named, and no key stands.

    Of the paths among a study's settings, and of those of the caches, the last part is left, as in
    ``provenance.json``; the project's own folder is a dot, and the home folder a tilde. Keys are
    those that the environment holds.

    Args:
        text: of a cell, a message or a traceback
        settings: the study

    Examples:
        >>> settings = Settings(corpus="iemocap", corpus_root="/home/me/IEMOCAP")
        >>> without_private_paths("no such file: /home/me/IEMOCAP/Session1", settings)
        'no such file: IEMOCAP/Session1'
    """
    replaced = _of_environment() | {str(project_folder()): ".", str(Path.home()): "~"}
    replaced |= _of_settings(settings)
    # The longest first: one may be the beginning of another.
    for path in sorted(replaced, key=len, reverse=True):
        # The root folder, home of some services, stands in every path.
        if len(path) > 1:
            whole = rf"(?<![\w.~-]){re.escape(path)}(?![\w.-])"
            text = re.sub(whole, replaced[path].replace("\\", r"\\"), text)
    return without_secrets(text, [settings.model_options.get("key_variable", "")])


def _of_settings(settings: Settings) -> dict[str, str]:
    given, shared = settings.model_dump(), shareable(settings)
    keys = [key for key in shared if isinstance(given[key], str) and given[key] != shared[key]]
    return {given[key]: shared[key] for key in keys}


def clean_notebook(path: Path, settings: Settings) -> None:
    """Take what names this machine out of an executed notebook, which is sent with its report.

    Outputs, errors and what papermill notes of the run are cleaned as the pages are. The cell of
    parameters stays fit to run here: in it the home folder becomes ``~``, which a study's paths
    may begin with, and other folders stay.

    Args:
        path: the notebook, written again aside and renamed; nothing is done if it is not there
        settings: the study
    """
    if not path.is_file():
        return
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    notebook.metadata = _cleaned(notebook.metadata, settings)
    for cell in notebook.cells:
        cell.metadata = _cleaned(cell.metadata, settings)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.source = _from_home(cell.source)
        if cell.cell_type == "code":
            cell.outputs = [_cleaned_output(output, settings) for output in cell.outputs]
    aside = path.with_name(f".{path.name}.cleaned")
    try:
        nbformat.write(notebook, aside)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _of_environment() -> dict[str, str]:
    named = (os.environ.get(name, "").rstrip("/") for name in _CACHES)
    return {path: Path(path).name for path in named if Path(path).is_absolute()}


def _from_home(source: str) -> str:
    home = str(Path.home())
    if len(home) == 1:
        return source
    start = rf'^((?:{"|".join(_PATHS)}) = "(?:hf:)?){re.escape(home)}(?=[/"])'
    return re.sub(start, r"\1~", source, flags=re.MULTILINE)


def _cleaned(value: Any, settings: Settings) -> Any:
    """A value as JSON has them, with all texts in it cleaned."""
    if isinstance(value, str):
        return without_private_paths(value, settings)
    if isinstance(value, list):
        return [_cleaned(inner, settings) for inner in value]
    if isinstance(value, dict):
        return nbformat.from_dict({key: _cleaned(value[key], settings) for key in value})
    return value


def _cleaned_output(output: Any, settings: Settings) -> Any:
    """An output with its texts cleaned; pictures, which are text in a notebook, stay."""
    data = {
        kind: _cleaned(shown, settings) if kind.startswith("text/") else shown
        for kind, shown in output.get("data", {}).items()
    }
    cleaned = _cleaned({key: output[key] for key in output if key != "data"}, settings)
    return nbformat.from_dict({**cleaned, "data": data} if "data" in output else cleaned)
