"""Parameters and command lines as others may see them: no folder, no user, no server."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import urlsplit

import yaml

from sercue.models.cards import public_name
from sercue.settings import Settings

_PATHS = ("corpus_root", "out")
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
    if key in _PATHS and isinstance(value, str):
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
