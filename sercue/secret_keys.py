"""Keys of servers and hubs: read from the environment, and kept out of all that is written."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

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


def known_secrets(variables: Iterable[str] = ()) -> list[str]:
    """The keys that the environment holds, the longest first.

    Args:
        variables: names of environment variables beside ``OPENAI_API_KEY`` and those of the hub
    """
    held = {os.environ.get(name, "").strip() for name in (*variables, KEY_VARIABLE, *HUB_VARIABLES)}
    return sorted((key for key in held if len(key) >= _SHORTEST), key=len, reverse=True)


def without_secrets(text: str, variables: Iterable[str] = ()) -> str:
    """A text in which no key of the environment stands, as it is or as URLs and JSON write it.

    Args:
        text: any
        variables: names of environment variables beside ``OPENAI_API_KEY`` and those of the hub

    Examples:
        >>> os.environ["MY_KEY"] = "sk-0123456789"
        >>> without_secrets("wrong key: sk-0123456789", ["MY_KEY"])
        'wrong key: [key]'
        >>> del os.environ["MY_KEY"]
    """
    for key in known_secrets(variables):
        for written in {key, quote(key), quote(key, safe=""), json.dumps(key)[1:-1]}:
            text = text.replace(written, INSTEAD)
        # As JavaScript and PHP write it in JSON.
        text = text.replace(key.replace("/", r"\/"), INSTEAD)
    return text


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


def hide_in_logs(variables: Iterable[str] = ()) -> None:
    """Keep the keys of the environment out of what the libraries log that talk to servers.

    Args:
        variables: names of environment variables beside ``OPENAI_API_KEY`` and those of the hub
    """
    _WITHOUT_SECRETS.variables.update(variables)
    for name in list(logging.root.manager.loggerDict):
        if name.startswith(_TALKATIVE):
            logging.getLogger(name).addFilter(_WITHOUT_SECRETS)


class _WithoutSecrets(logging.Filter):
    def __init__(self) -> None:
        super().__init__()
        self.variables: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Let all pass, with the keys taken out."""
        told = record.getMessage()
        record.msg, record.args = without_secrets(told, self.variables), ()
        if record.exc_info:
            # Formatters take the text that is there, and would write their own of the error.
            error = logging.Formatter().formatException(record.exc_info)
            record.exc_text, record.exc_info = without_secrets(error, self.variables), None
        return True


# One for all: a logger takes the same filter once.
_WITHOUT_SECRETS = _WithoutSecrets()
