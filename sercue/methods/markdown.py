"""Foreign text in Markdown: shown as it is, whatever marks it holds."""

from __future__ import annotations

import re

_MARKS = re.compile(r"([\\`*_\[\]<>|~$&#!])")


def plain(text: object) -> str:
    r"""A text whose marks are no markup, on one line.

    Examples:
        >>> print(plain("*sad*\n<b>"))
        \*sad\* \<b\>
    """
    return _MARKS.sub(r"\\\1", " ".join(str(text).split()))


def code(text: str) -> str:
    """A text as code within a line.

    Examples:
        >>> print(code("a`b"))
        `` a`b ``
    """
    fence = _fence(text, 1)
    space = " " if "`" in text else ""
    return f"{fence}{space}{' '.join(text.split())}{space}{fence}"


def block(text: str) -> str:
    """A text as a block of its own, line by line."""
    fence = _fence(text, 3)
    return f"{fence}text\n{text}\n{fence}"


def _fence(text: str, least: int) -> str:
    """Backticks that the text does not hold."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    return "`" * max(least, longest + 1)
