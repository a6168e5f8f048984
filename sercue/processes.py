"""Work that several processes do side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import joblib
from joblib.externals.loky import get_reusable_executor


def side_by_side(
    work: Callable[..., Any], arguments: Iterable[tuple[Any, ...]], jobs: int
) -> Iterator[Any]:
    """What a function returns for each tuple of arguments, computed by several processes, in order.

    The processes end with the work: left behind, they would hold memory that the notebook needs,
    and complain when it ends.

    Args:
        work: a function that can be imported by its name
        arguments: one tuple a call
        jobs: processes

    Examples:
        >>> list(side_by_side(pow, [(2, 3), (3, 2)], jobs=1))
        [8, 9]
    """
    calls = [joblib.delayed(work)(*one) for one in arguments]
    try:
        yield from joblib.Parallel(n_jobs=jobs, return_as="generator")(calls)
    finally:
        if jobs > 1:
            get_reusable_executor().shutdown(wait=True)
