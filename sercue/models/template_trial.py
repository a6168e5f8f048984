"""Renders a chat template once, in a process of its own: with an end, and with a limit of memory.

A template is a program from the hub. The sandbox of jinja keeps it from files and from Python, but
not from loops within loops or from a text of gigabytes, and a thread cannot be ended. Hence this
file, run by path: it imports nothing of sercue, so that it starts in a fifth of a second.
"""

from __future__ import annotations

import contextlib
import json
import sys
from typing import Any

from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment


class _Generation(Extension):
    """Lets the tag stand by which templates mark what an assistant has said."""

    tags = {"generation"}  # noqa: RUF012 jinja declares it as a plain attribute

    def parse(self, parser: Parser) -> Any:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body).set_lineno(line)


def _raise(message: str) -> None:
    raise ValueError(message)


def render(template: str, messages: list[Any]) -> None:
    """Render it as transformers would, and forget the text."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.globals.update(raise_exception=_raise, strftime_now=str)
    environment.from_string(template).render(messages=messages, add_generation_prompt=True)


if __name__ == "__main__":
    given = json.load(sys.stdin)
    # Not every system has limits of its own; the starter of this process has another one.
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (given["seconds"],) * 2)
        resource.setrlimit(resource.RLIMIT_AS, (given["bytes"],) * 2)
    try:
        render(given["template"], given["messages"])
    except MemoryError:
        sys.exit(given["too_large"])
    # Whatever else is wrong with it, transformers will say in this place of the caller.
    except Exception:
        sys.exit(0)
