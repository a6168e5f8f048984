"""Work that several processes do side by side."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import joblib
from joblib.externals.loky import get_reusable_executor

_SAFE_PATH = "PYTHONSAFEPATH"


def side_by_side(
    work: Callable[..., Any], arguments: Iterable[tuple[Any, ...]], jobs: int
) -> Iterator[Any]:
    """What a function returns for each tuple of arguments, computed by several processes, in order.

    The processes end with the work: left behind, they would hold memory that the notebook needs,
    and complain when it ends. They end, too, if this process is killed in the midst of it.

    Args:
        work: a function that can be imported by its name
        arguments: one tuple a call
        jobs: processes

    Examples:
        >>> list(side_by_side(pow, [(2, 3), (3, 2)], jobs=1))
        [8, 9]
    """
    calls = [joblib.delayed(work)(*one) for one in arguments]
    pool = joblib.Parallel(
        n_jobs=jobs, return_as="generator", initializer=_watch, initargs=(os.getpid(),)
    )
    try:
        with _safe_path():
            results = pool(calls)
        yield from results
    finally:
        if jobs > 1:
            get_reusable_executor().shutdown(wait=True)


@contextmanager
def _safe_path() -> Iterator[None]:
    """What is started within imports what is installed, whatever lies in the current folder."""
    before = os.environ.get(_SAFE_PATH)
    os.environ[_SAFE_PATH] = "1"
    try:
        yield
    finally:
        os.environ.pop(_SAFE_PATH) if before is None else os.environ.update({_SAFE_PATH: before})


def _watch(starter: int) -> None:
    """Begin with the process, since one that has no work yet would else wait for it for minutes."""
    # With one job, or inside another pool, the work stays in the process that asked for it.
    if os.getpid() != starter:
        threading.Thread(target=_end_after, args=(starter,), daemon=True).start()


def _end_after(starter: int) -> None:
    """Nobody takes what a process computes for one that was killed; it ends without clean-up."""
    while os.getppid() == starter:
        time.sleep(1)
    os._exit(1)
