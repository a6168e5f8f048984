"""Folders of this machine taken out of what is sent to others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sercue.paths import project_folder
from sercue.provenance import shareable
from sercue.settings import Settings


def without_private_paths(text: str, settings: Settings) -> str:
    """A text in which no folder of this machine, and so no user, is named.

    Of the paths among a study's settings the last part is left, and of a server how to speak to
    it, as in ``provenance.json``; the project's own folder is a dot, and the home folder a tilde.

    Args:
        text: of a cell, a message or a traceback
        settings: the study

    Examples:
        >>> settings = Settings(corpus="iemocap", corpus_root="/home/me/IEMOCAP")
        >>> without_private_paths("no such file: /home/me/IEMOCAP/Session1", settings)
        'no such file: IEMOCAP/Session1'
    """
    replaced = {str(project_folder()): ".", str(Path.home()): "~"} | _of_settings(settings)
    # The longest first: one may be the beginning of another.
    for path in sorted(replaced, key=len, reverse=True):
        # The root folder, home of some services, stands in every path.
        if len(path) > 1:
            whole = rf"(?<![\w.~-]){re.escape(path)}(?![\w.-])"
            text = re.sub(whole, replaced[path].replace("\\", r"\\"), text)
    return text


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
