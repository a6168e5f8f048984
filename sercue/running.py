"""How long work runs: progress, processes side by side, and signals that stop it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import Any

import joblib
import tqdm.auto
import tqdm.std
from joblib.externals.loky import get_reusable_executor

#: Set by ``sercue run`` in the kernels it starts: it reads the text and shows it in the terminal.
PLAIN = "SERCUE_PLAIN_PROGRESS"
#: Set by it, too: these kernels write to the folder of the study.
EXECUTED = "SERCUE_EXECUTED"

_QUIET = "SERCUE_NO_PROGRESS"


def no_progress() -> AbstractContextManager[None]:
    """No bars within: for processes that work side by side."""
    return _set_within(_QUIET)


@contextmanager
def _set_within(variable: str) -> Iterator[None]:
    before = os.environ.get(variable)
    os.environ[variable] = "1"
    try:
        yield
    finally:
        os.environ.pop(variable) if before is None else os.environ.update({variable: before})


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


# Each holds half a gigabyte.
_MOST_JOBS = 4


def small_model_jobs() -> int:
    """Processes that train or ask small models side by side: one per core, but four at most."""
    return min(joblib.cpu_count(), _MOST_JOBS)


# What is started with it imports what is installed, whatever lies in the current folder.
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
        with _set_within(_SAFE_PATH):
            results = pool(calls)
        yield from results
    finally:
        if jobs > 1:
            get_reusable_executor().shutdown(wait=True)


def _watch(starter: int) -> None:
    """Begin with the process, since one that has no work yet would else wait for it for minutes."""
    # With one job, or inside another pool, the work stays in the process that asked for it.
    if os.getpid() != starter:
        end_with(starter)


def end_with(starter: int) -> None:
    """Let this process end when the one that started it has ended, however it ended.

    Args:
        starter: number of that process
    """

    def end_after() -> None:
        while os.getppid() == starter:
            time.sleep(1)
        # Nobody takes what a process computes for one that was killed: it ends without clean-up.
        os._exit(1)

    threading.Thread(target=end_after, daemon=True).start()


#: What stops a run: Ctrl-C, the end of a job, the end of a session.
_SIGNALS = tuple(
    number
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if (number := getattr(signal, name, None)) is not None
)


# Seconds that cleaning up may take; an interpreter that lost the first signal hears the next one.
_PATIENCE = 15


class Stopped(KeyboardInterrupt):
    """A signal has asked this process to stop.

    Attributes:
        status: the exit status that tells so: 128 and the number of the signal
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number


@contextmanager
def stoppable(*, ends: bool = False) -> Iterator[None]:
    """Within, a signal to stop raises ``Stopped`` in the main thread.

    Others that follow within seconds do nothing: what cleans up is not to be broken off half-way.
    A signal that is ignored already (``nohup``, a job in the background) stays ignored.

    Args:
        ends: whether the process ends afterwards; once it was stopped, no further signal shall
            take the place of its exit status
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[int, Any] = {number: signal.getsignal(number) for number in _SIGNALS}
    told: list[tuple[int, float]] = []

    def stop(number: int, _: FrameType | None) -> None:
        if not told or time.monotonic() - told[-1][1] > _PATIENCE:
            told.append((number, time.monotonic()))
            raise Stopped(number)

    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, stop)
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        if ends and told:
            before = dict.fromkeys(before, signal.SIG_IGN)
        # What was broken off on the way, an import for one, may say so in words of its own.
        if told and not isinstance(error, Stopped):
            raise Stopped(told[-1][0]) from error
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
