"""Keys of servers and hubs: read from the environment, and kept out of all that is written."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

HUB_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
KEY_VARIABLE = "OPENAI_API_KEY"
#: Stands where a key was.
INSTEAD = "[key]"
# Beginnings of the names of loggers that tell what is sent and got, at a level that somebody may
# have turned on.
_TALKATIVE = ("openai", "httpx", "httpcore", "huggingface_hub", "transformers")
# What is shorter guards nothing and stands in many a text: `none`, `EMPTY`, `x`.
_SHORTEST = 8
_NAMES = re.compile(
    r"(.*[_-])?(api[_-]?key|key|token|password|passwd|secret|credentials?|authorization|auth)",
    re.IGNORECASE,
)


# Those above, and what studies and servers of this process name besides.
_VARIABLES = {KEY_VARIABLE, *HUB_VARIABLES}


def guard_key(variable: str) -> None:
    """Keep the key that an environment variable holds out of all that this process writes."""
    _VARIABLES.add(variable)


def without_secrets(text: str) -> str:
    r"""A text in which no guarded key of the environment stands, in whatever way it is written.

    Beside the key itself, that is how URLs, JSON, HTML and LaTeX write it. Guarded are the keys of
    the hub, ``OPENAI_API_KEY``, and those of ``guard_key``.

    Args:
        text: any

    Examples:
        >>> os.environ["MY_KEY"] = "sk_0123456789"
        >>> guard_key("MY_KEY")
        >>> without_secrets(r"wrong keys: sk_0123456789, sk\_0123456789, sk%5F0123456789")
        'wrong keys: [key], [key], [key]'
        >>> del os.environ["MY_KEY"]
    """
    held = {os.environ.get(name, "").strip() for name in _VARIABLES}
    # The longest first: one may be the beginning of another.
    for key in sorted(held, key=len, reverse=True):
        if len(key) >= _SHORTEST:
            text = _as_written(key).sub(INSTEAD, text)
    return text


@lru_cache
def _as_written(key: str) -> re.Pattern[str]:
    written = "".join(mark if mark.isalnum() else _written(mark) for mark in key)
    # A key of digits alone, such as local servers are given, may stand within a number.
    return re.compile(rf"(?<![\d.]){written}(?!\d)" if key.isdigit() else written)


def _written(mark: str) -> str:
    """The ways to write a mark: in JSON and shells, in URLs, in HTML, and in LaTeX."""
    own, code = re.escape(mark), f"{ord(mark):02x}"
    ways = [
        rf"\\*{own}",
        rf"(?i:%{code}|\\+u00{code})",
        r"&\#?\w+;",
        r"\\[a-z]+\{\}",
        rf"\${own}\$",
    ]
    return rf"(?:\{{\}})?(?:{'|'.join(ways)})"


def check_no_secret(options: Mapping[str, Any]) -> None:
    """Refuse options of a study that hold a key: studies are shown in reports and sent to others.

    Raises:
        ValueError: naming the option, and not what it holds

    Examples:
        >>> check_no_secret({"key_variable": "MY_KEY", "tree_tokens": 4096})
        >>> check_no_secret({"api_key": "sk-0123"})
        Traceback (most recent call last):
        ...
        ValueError: 'api_key' is what a key is called (not shown here); a key belongs into the \
environment: into OPENAI_API_KEY, or the variable that key_variable names
    """
    where = (
        f"(not shown here); a key belongs into the environment: into {KEY_VARIABLE}, or the "
        "variable that key_variable names"
    )
    for name, value in options.items():
        if _NAMES.fullmatch(name):
            raise ValueError(f"{name!r} is what a key is called {where}")
        written = json.dumps(value, ensure_ascii=False, default=str)
        if without_secrets(written) != written:
            raise ValueError(f"{name!r} holds a key of this environment {where}")


def hide_in_logs() -> None:
    """Keep the guarded keys out of what the libraries log that talk to servers."""
    for name in list(logging.root.manager.loggerDict):
        if name.startswith(_TALKATIVE):
            logging.getLogger(name).addFilter(_WITHOUT_SECRETS)


class _WithoutSecrets(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        """Let all pass, with the keys taken out."""
        told = record.getMessage()
        record.msg, record.args = without_secrets(told), ()
        if record.exc_info:
            # Formatters take the text that is there, and would write their own of the error.
            error = logging.Formatter().formatException(record.exc_info)
            record.exc_text, record.exc_info = without_secrets(error), None
        return True


# One for all: a logger takes the same filter once.
_WITHOUT_SECRETS = _WithoutSecrets()
