"""The way to a scheduler and its workers, and whether they would give the same numbers."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sercue.distributed import worker
from sercue.errors import InputError

if TYPE_CHECKING:
    from distributed import Client

logger = logging.getLogger(__name__)

SECONDS_TO_CONNECT = 10.0
#: How long to wait for a first worker, or for one to come back.
SECONDS_WITHOUT_WORKERS = 60.0
#: To be read after an error that a difference between machines may have.
SAME = "every machine needs the same versions of Python, sercue and the packages it stands on"
_VALID = "valid is tcp://HOST:PORT or tls://HOST:PORT"


def connect(address: str) -> Client:
    """A client of a scheduler.

    Args:
        address: ``tcp://HOST:PORT``, or ``tls://HOST:PORT`` with the certificates that dask's
            configuration names

    Raises:
        InputError: if nothing answers there within ten seconds

    Examples:
        >>> connect("tcp://me:secret@login1:8786")
        Traceback (most recent call last):
            ...
        sercue.errors.InputError: scheduler: found a user or a password in it (not shown); \
valid is tcp://HOST:PORT or tls://HOST:PORT
    """
    from distributed import Client

    if "@" in address:
        raise InputError(f"scheduler: found a user or a password in it (not shown); {_VALID}")
    most = SECONDS_TO_CONNECT
    try:
        return _within(most + 1, lambda: Client(address, timeout=most, set_as_default=False))
    except (OSError, queue.Empty) as error:
        raise InputError(
            f"scheduler: no scheduler of dask answers at {address!r} within {most:g} s "
            f"({_first_line(error)}); {_VALID}, as the scheduler says when it starts"
        ) from None
    # What dask raises of other protocols and of certificates is of no one class.
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"scheduler: found {address!r} ({_first_line(error)}); {_VALID}") from None


def _within(seconds: float, step: Callable[[], Client]) -> Client:
    """A step that may never come back: dask waits without end for one who listens and is silent."""
    outcome: queue.SimpleQueue[Client | Exception] = queue.SimpleQueue()

    def take() -> None:
        try:
            outcome.put(step())
        except Exception as error:
            outcome.put(error)

    threading.Thread(target=take, daemon=True).start()
    given = outcome.get(timeout=seconds)
    if isinstance(given, Exception):
        raise given
    return given


def connected_workers(address: str) -> str:
    """In words, how many workers a scheduler has now.

    Args:
        address: as ``connect`` takes it

    Raises:
        InputError: as ``connect`` does; or if the scheduler or a worker differs from here
    """
    with connect(address) as client:
        threads = client.nthreads()
        if not threads:
            return "it answers; no worker is connected yet"
        require_workers(client)
        return f"{len(threads)} workers with {sum(threads.values())} threads, all as here"


def require_workers(client: Client) -> None:
    """Wait for a worker; refuse those that would give other numbers.

    Raises:
        InputError: if none comes, or the scheduler or a worker differs from here
    """
    if not client.nthreads():
        logger.warning(
            "scheduler: no worker is connected yet; waiting %g s for one", SECONDS_WITHOUT_WORKERS
        )
        try:
            client.wait_for_workers(1, timeout=SECONDS_WITHOUT_WORKERS)
        except TimeoutError:
            raise InputError(
                f"scheduler: no worker connected within {SECONDS_WITHOUT_WORKERS:g} s; start some "
                "with: dask worker ADDRESS"
            ) from None
    expected = worker.versions()
    found = {"the scheduler": _versions_of_scheduler(client), **_versions_of_workers(client)}
    told = {where: _refused(answer, expected) for where, answer in found.items()}
    problems = [f"{where}: {problem}" for where, problem in told.items() if problem]
    if problems:
        more = f"\n... and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise InputError("\n".join(problems[:3]) + f"{more}\n{SAME}")


def _versions_of_workers(client: Client) -> dict[str, Any]:
    answers = client.run(worker.versions, on_error="return")
    return {f"worker {address}": answer for address, answer in answers.items()}


def _versions_of_scheduler(client: Client) -> Any:
    try:
        return client.run_on_scheduler(worker.versions)
    except Exception as error:
        return error


def _refused(answer: Any, expected: dict[str, str]) -> str:
    if isinstance(answer, dict):
        return worker.difference(answer, expected)
    if isinstance(answer, OSError):
        # It has ended meanwhile: what it was given is given to another.
        return ""
    return f"found no sercue {expected['sercue']} there ({_first_line(answer)})"


def _first_line(error: object) -> str:
    text = str(error).strip().split("\n")[0]
    return text[:200] or type(error).__name__
