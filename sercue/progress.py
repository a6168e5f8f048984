"""Progress bars: widgets in JupyterLab, plain text where a program reads them."""

from __future__ import annotations

import os
from typing import Any

import tqdm.auto
import tqdm.std

#: Set by ``sercue run`` in the kernels it starts: it reads the text and shows it in the terminal.
PLAIN = "SERCUE_PLAIN_PROGRESS"


def progress_bar(*arguments: Any, **options: Any) -> tqdm.std.tqdm:
    """A bar for a wait of more than two seconds; takes the arguments of ``tqdm.tqdm``.

    Examples:
        >>> list(progress_bar(range(3), disable=True))
        [0, 1, 2]
    """
    kind = tqdm.std.tqdm if os.environ.get(PLAIN) else tqdm.auto.tqdm
    return kind(*arguments, **options)
