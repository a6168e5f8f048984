"""A scheduler of ``dask.distributed`` and its workers, and work spread over them."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from sercue.distributed import worker
from sercue.errors import InputError, ServerError

if TYPE_CHECKING:
    from distributed import Client, Future

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
        address: ``tcp://HOST:PORT``, or ``tls://HOST:PORT`` with the certificates named in the
            configuration of dask

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
    found: dict[str, Any] = {}
    try:
        found["the scheduler"] = client.run_on_scheduler(worker.versions)
    except Exception as error:
        found["the scheduler"] = error
    answers = client.run(worker.versions, on_error="return")
    found |= {f"worker {address}": answer for address, answer in answers.items()}
    told = {where: _refused(answer, expected) for where, answer in found.items()}
    problems = [f"{where}: {problem}" for where, problem in told.items() if problem]
    if problems:
        more = f"\n... and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise InputError("\n".join(problems[:3]) + f"{more}\n{SAME}")


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


SECONDS_BETWEEN_LOOKS = 1.0
# One call to do and one to go on with.
_CALLS_A_THREAD = 2
_GO_ON = "What is done is kept: run again, and only what is missing is done"


@dataclass(frozen=True)
class Call:
    """One piece of work.

    Attributes:
        about: what the caller gets back with the result
        arguments: of the function
        names: the utterances it is about, for errors
    """

    about: Any
    arguments: tuple[Any, ...]
    names: Sequence[str]


def spread(
    client: Client, function: Callable[..., Any], calls: Iterable[Call]
) -> Iterator[tuple[Any, Any]]:
    """Do calls on the workers of a client, a few at a time, and hand over results as they come.

    A call whose worker ends is done again on another. After a failure no further call begins;
    those that are under way are handed over first.

    Args:
        client: a client of the scheduler
        function: what the workers call; they must be able to import it
        calls: drawn as workers become free, so that few are in memory

    Yields:
        ``call.about`` and what the function returned, in the order in which calls are done

    Raises:
        InputError: as the function does; or if there is no worker, or one differs from here
        ServerError: as the function does; or if the scheduler or all workers are gone, or a call
            has ended several workers
    """
    waiting = iter(calls)
    first = next(waiting, None)
    if first is None:
        return
    require_workers(client)
    spreading = _Spreading(client, function)
    try:
        yield from spreading.results(first, waiting)
    except (InputError, ServerError):
        raise
    except Exception:
        # What dask raises while it loses its scheduler is of no one class.
        if client.status != "running":
            raise _gone() from None
        raise
    finally:
        if spreading.under_way:
            # The scheduler may be gone; what matters then is the error on its way up.
            with suppress(Exception):
                client.cancel(list(spreading.under_way), force=True)


class _Spreading:
    """The calls that are under way."""

    def __init__(self, client: Client, function: Callable[..., Any]) -> None:
        self.client, self.function = client, function
        self.under_way: dict[Future, Call] = {}
        self.done: queue.SimpleQueue[Future] = queue.SimpleQueue()
        # Of calls whose workers have ended: the one at fault, and what waited behind it.
        self.fatal: list[str] = []

    def results(self, first: Call, waiting: Iterator[Call]) -> Iterator[tuple[Any, Any]]:
        failure: Exception | None = None
        calls, all_drawn = chain([first], waiting), False
        while True:
            if failure is None and not all_drawn:
                # Also while no worker is there: with nothing under way, the rest would not be done.
                threads = sum(self.client.nthreads().values())
                room = max(0, max(1, _CALLS_A_THREAD * threads) - len(self.under_way))
                drawn = list(islice(calls, room))
                all_drawn = len(drawn) < room
                for call in drawn:
                    self._submit(call)
            if not self.under_way:
                break
            future = self._wait(lambda: self.done.get(timeout=SECONDS_BETWEEN_LOOKS))
            call = self.under_way.pop(future)
            try:
                result = self._result(future, call)
            except Exception as error:
                failure = failure or error
                continue
            yield call.about, result
        if self.fatal:
            more = f" and {len(self.fatal) - 20} more" if len(self.fatal) > 20 else ""
            raise ServerError(
                "workers: several ended, one after the other, while they had these to work on: "
                f"{', '.join(self.fatal[:20])}{more}. Their logs say why; often it is too little "
                f"memory. {_GO_ON}"
            )
        if failure is not None:
            raise failure

    def _submit(self, call: Call) -> None:
        from distributed.protocol import pickle

        future = self.client.submit(
            worker.work,
            pickle.dumps((self.function, call.arguments)),
            worker.versions(),
            key=f"sercue-{self.function.__name__.strip('_')}-{uuid4().hex}",
            pure=False,
        )
        self.under_way[future] = call
        future.add_done_callback(self.done.put)

    def _result(self, future: Future, call: Call) -> Any:
        from distributed import KilledWorker

        # An error is asked for, not raised: the function's own might be one of waiting too long.
        error = self._wait(lambda: future.exception(timeout=SECONDS_BETWEEN_LOOKS))
        if isinstance(error, KilledWorker):
            self.fatal += call.names
        if isinstance(error, CancelledError):
            raise _gone()
        if isinstance(error, ImportError):
            raise InputError(f"worker: {error}; {SAME}")
        if error is not None:
            raise error
        return self._wait(lambda: future.result(timeout=SECONDS_BETWEEN_LOOKS))

    def _wait(self, step: Callable[[], Any]) -> Any:
        """Try a step that waits for a second, until it is done or there is nobody to do it."""
        alone = 0.0
        while True:
            with suppress(queue.Empty, TimeoutError):
                return step()
            alone = 0.0 if self._workers() else alone + SECONDS_BETWEEN_LOOKS
            if alone >= SECONDS_WITHOUT_WORKERS:
                raise ServerError(
                    f"workers: none has been connected for {alone:.3g} s, while there was work for "
                    f"them. {_GO_ON}"
                )

    def _workers(self) -> int:
        if self.client.status in ("closed", "closing"):
            raise _gone()
        try:
            return len(self.client.nthreads())
        except OSError:
            return 0


def _gone() -> ServerError:
    return ServerError(f"scheduler: the connection to it is lost. {_GO_ON}")
