"""What of a study, its machine and its paths may be told to others."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import urlsplit

import nbformat
import yaml

from sercue.models.cards import public_name
from sercue.secret_keys import without_secrets
from sercue.settings import Settings
from sercue.storage.files import project_folder, write_text

_KEYS_OF_PATHS = ("corpus_root", "out")
_OPTIONS = ("corpus_options", "model_options")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def shareable(settings: Settings) -> dict[str, Any]:
    """The parameters without the folders and servers of this machine.

    Examples:
        >>> shareable(Settings(corpus="emodb", corpus_root="/home/me/emodb"))["corpus_root"]
        'emodb'
    """
    return {key: _public(key, value) for key, value in settings.model_dump().items()}


def without_places(value: Any) -> Any:
    """A value as others may see it: of a path its last part, of an address how to speak to it.

    Examples:
        >>> without_places({"table": "/home/me/a.csv", "base_url": "http://mine:8000/v1", "n": [6]})
        {'table': 'a.csv', 'base_url': 'http://HOST:8000/v1', 'n': [6]}
    """
    if isinstance(value, str):
        return public_address(value) if _ADDRESS.match(value) else _last_part(value)
    if isinstance(value, list | tuple):
        return [without_places(entry) for entry in value]
    if isinstance(value, dict):
        return {key: without_places(entry) for key, entry in value.items()}
    return value


def public_address(address: str) -> str:
    """The address of a server: how it is spoken to, but not which machine it is.

    Examples:
        >>> public_address("tcp://login1.cluster:8786")
        'tcp://HOST:8786'
    """
    scheme = address.partition("://")[0]
    if scheme == "file":
        return PurePosixPath(address).name
    try:
        parts = urlsplit(address)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return f"{scheme}://HOST"
    # A query may hold a key; a path is that of an interface, if it is short.
    return f"{scheme}://HOST{port}{parts.path if parts.path.count('/') < 3 else ''}"


def shareable_command(given: Sequence[str]) -> str:
    """A command line as others may see it.

    Args:
        given: the words after ``sercue``

    Examples:
        >>> shareable_command(["run", "/home/me/mine.yaml", "--set", "corpus_root=~/emodb"])
        'sercue run mine.yaml --set corpus_root=emodb'
    """
    return shlex.join(["sercue", *(_public_word(word) for word in given)])


def _public_word(word: str) -> str:
    key, equals, text = word.partition("=")
    if not equals:
        return str(without_places(word))
    if key == "--set":
        return f"{key}={_public_word(text)}"
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = text
    shown = _public(key.lstrip("-"), value)
    if isinstance(shown, str) and shown == value:
        shown = _last_part(shown)
    if shown == value:
        return word
    return f"{key}={shown if isinstance(shown, str) else json.dumps(shown)}"


def _public(key: str, value: Any) -> Any:
    if key == "model" and isinstance(value, str):
        return public_name(value)
    if key in _KEYS_OF_PATHS and isinstance(value, str):
        return PurePath(without_places(value)).name
    if key in _OPTIONS or (isinstance(value, str) and _ADDRESS.match(value)):
        return without_places(value)
    return value


def _last_part(text: str) -> str:
    """Of a path that leads to or through folders of this machine, its last part."""
    if PureWindowsPath(text).drive:
        return PureWindowsPath(text).name
    path = PurePosixPath(text)
    return path.name if text.startswith(("/", "~")) or ".." in path.parts else text


_CACHES = ("SERCUE_CACHE", "HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME")
# Of the parameters, those that may begin with a tilde.
_PATHS = ("corpus_root", "out", "model")


def without_private_paths(text: str, settings: Settings) -> str:
    """A text in which no folder of this machine, and so no user, is named, and no key stands.

    Of the paths among a study's settings, and of those of the caches, the last part is left, and of
    a server how to speak to it, as in ``provenance.json``; the project's own folder is a dot, and
    the home folder a tilde. Keys are those that the environment holds.

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
    return without_secrets(text)


def _of_settings(settings: Settings) -> dict[str, str]:
    pairs = dict(_changed(settings.model_dump(), shareable(settings)))
    hosts = [urlsplit(given).hostname for given in pairs if "://" in given]
    return dict.fromkeys(filter(None, hosts), "HOST") | pairs


def _changed(given: Any, shared: Any) -> Iterator[tuple[str, str]]:
    """Each text among the settings that others see otherwise, with what they see."""
    if isinstance(given, str) and given != shared:
        yield given, shared
    elif isinstance(given, dict):
        for key, value in given.items():
            yield from _changed(value, shared[key])
    elif isinstance(given, list):
        for value, shown in zip(given, shared, strict=True):
            yield from _changed(value, shown)


def clean_notebook(path: Path, settings: Settings) -> None:
    """Take what names this machine out of an executed notebook, which is sent with its report.

    Outputs, errors and what papermill notes of the run are cleaned as the pages are. The cell of
    parameters stays fit to run here: in it the home folder becomes ``~``, which a study's paths
    may begin with, and other folders stay.

    Args:
        path: the notebook, written again aside and renamed; nothing is done if it is not there
        settings: the study

    Raises:
        StorageError: if it cannot be written
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
    write_text(path, nbformat.writes(notebook) + "\n")


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
