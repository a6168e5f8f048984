"""Progress bars: widgets in JupyterLab, plain text where a program reads them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tqdm.auto
import tqdm.std

#: Set by ``sercue run`` in the kernels it starts: it reads the text and shows it in the terminal.
PLAIN = "SERCUE_PLAIN_PROGRESS"


_QUIET = "SERCUE_NO_PROGRESS"


@contextmanager
def no_progress() -> Iterator[None]:
    """No bars within: for processes that work side by side."""
    before = os.environ.get(_QUIET)
    os.environ[_QUIET] = "1"
    try:
        yield
    finally:
        os.environ.pop(_QUIET) if before is None else os.environ.update({_QUIET: before})


def progress_bar(*arguments: Any, **options: Any) -> tqdm.std.tqdm:
    """A bar for a wait of more than two seconds; takes the arguments of ``tqdm.tqdm``.

    Examples:
        >>> list(progress_bar(range(3), disable=True))
        [0, 1, 2]
    """
    kind = tqdm.std.tqdm if os.environ.get(PLAIN) else tqdm.auto.tqdm
    if os.environ.get(_QUIET):
        options["disable"] = True
    return kind(*arguments, **options)
