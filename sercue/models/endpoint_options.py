"""What may be said of a server and of how to ask it, checked before anything is asked."""

from __future__ import annotations

import math
import os
import re
from typing import Any
from urllib.parse import urlsplit

from sercue.errors import InputError, shortened

URL_VARIABLE = "OPENAI_BASE_URL"
_NO_PORT = re.compile(r":(?!//)(?!\d*(/|$))")


def resolve_url(base_url: str | None) -> str:
    """The URL that is given, or the environment's ``OPENAI_BASE_URL``, without a slash at its end.

    Raises:
        InputError: if there is none, or it is not plain http or https with a host; one with a
            user, a password or a query is refused and not repeated

    Examples:
        >>> resolve_url("http://127.0.0.1:8000/v1/")
        'http://127.0.0.1:8000/v1'
    """
    valid = "valid is http://HOST:PORT/v1, or https"
    url = os.environ.get(URL_VARIABLE, "") if base_url is None else base_url
    if not isinstance(url, str) or not url.strip():
        unset = f", and {URL_VARIABLE} is not set in the environment" if base_url is None else ""
        raise InputError(f"base_url: found {base_url!r}{unset}; {valid}")
    url = url.strip().rstrip("/")
    if any(mark in url for mark in "@?#"):
        raise InputError(
            "base_url: found a user, a password or a query in it, which reports would show; a key "
            f"belongs in an environment variable, and {valid}"
        )
    if not _has_host(url):
        # Behind a colon that no port follows, a password may stand.
        shown = "another URL" if _NO_PORT.search(url) else shortened(url)
        raise InputError(f"base_url: found {shown}, {valid}")
    return url


def _has_host(url: str) -> bool:
    if not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        named = bool(re.fullmatch(r"[\w.-]+|[0-9a-f:.]+", parts.hostname or ""))
        return parts.scheme in ("http", "https") and named and parts.port != 0
    except ValueError:
        return False


def variable(name: str, value: Any) -> str:
    """The name of an environment variable.

    Raises:
        InputError: if it cannot be one; it is not repeated, since it may be the key itself
    """
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise InputError(
            f"{name}: found what names no environment variable (not shown here, as it may be a "
            "key); valid is a name such as OPENAI_API_KEY"
        )
    return value


def count(name: str, value: Any, lowest: int) -> int:
    """A whole number from ``lowest`` on.

    Raises:
        InputError: if it is anything else
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < lowest:
        raise InputError(f"{name}: found {value!r}, valid are whole numbers from {lowest} on")
    return value


def seconds(name: str, value: Any) -> float:
    """A finite time above 0, in seconds.

    Raises:
        InputError: if it is anything else
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < value < math.inf:
        raise InputError(f"{name}: found {value!r}, valid are seconds above 0")
    return float(value)


def text(name: str, value: Any) -> str:
    """A text with something in it.

    Raises:
        InputError: if it is anything else
    """
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{name}: found {value!r}, valid is a text that is not empty")
    return value
