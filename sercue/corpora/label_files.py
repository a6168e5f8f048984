"""Reading the text files in which corpora list their utterances and labels."""

from __future__ import annotations

import codecs
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sercue.errors import InputError


@dataclass(frozen=True)
class Line:
    """A line of a label file.

    Attributes:
        text: without white space at its ends
        place: file and line number, counted from 1
    """

    text: str
    place: str


def label_lines(path: Path) -> list[Line]:
    """The lines of a label file that hold anything.

    Line ends may be those of any system, and the file may begin with a byte order mark. What is
    read of these files is ASCII; the remarks between may be in any encoding, so that bytes are
    taken as Latin-1, which no byte can break.

    Raises:
        InputError: if the file cannot be read
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    text = content.removeprefix(codecs.BOM_UTF8).decode("latin-1")
    numbered = enumerate(io.StringIO(text, newline=None), start=1)
    return [Line(line.strip(), f"{path}, line {n}") for n, line in numbered if line.strip()]


def refuse(problems: Sequence[str], valid: str) -> None:
    """Raise an error that lists the first five problems of label files, if there are any.

    Raises:
        InputError: if there is a problem
    """
    if problems:
        more = f"\n  ... and {len(problems) - 5} more" if len(problems) > 5 else ""
        listed = "\n  ".join(problems[:5])
        raise InputError(f"corpus_root: {listed}{more}\nValid is {valid}")
