"""A run that is told to stop: Ctrl-C, a scheduler's SIGTERM, a terminal that was closed."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

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
