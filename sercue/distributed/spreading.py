"""Calls spread over the workers of a client, few at a time."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from sercue.distributed import connection, worker
from sercue.errors import InputError, ServerError

if TYPE_CHECKING:
    from distributed import Client, Future

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
    first = list(islice(waiting, 1))
    if not first:
        return
    connection.require_workers(client)
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
        spreading.cancel()


class _Spreading:
    """The calls that are under way."""

    def __init__(self, client: Client, function: Callable[..., Any]) -> None:
        self.client, self.function = client, function
        self.under_way: dict[Future, Call] = {}
        self.done: queue.SimpleQueue[Future] = queue.SimpleQueue()
        # Of calls whose workers have ended: the one at fault, and what waited behind it.
        self.fatal: list[str] = []

    def results(self, first: list[Call], waiting: Iterator[Call]) -> Iterator[tuple[Any, Any]]:
        failure: Exception | None = None
        for call in first:
            self._submit(call)
        while self.under_way:
            if failure is None:
                for call in islice(waiting, max(0, self._room())):
                    self._submit(call)
            future = self._wait(lambda: self.done.get(timeout=SECONDS_BETWEEN_LOOKS))
            call = self.under_way.pop(future)
            try:
                result = self._result(future, call)
            except Exception as error:
                failure = failure or error
                continue
            yield call.about, result
        if self.fatal:
            raise _ended(self.fatal)
        if failure is not None:
            raise failure

    def cancel(self) -> None:
        if self.under_way:
            # The scheduler may be gone; what matters then is the error on its way up.
            with suppress(Exception):
                self.client.cancel(list(self.under_way), force=True)

    def _room(self) -> int:
        threads = sum(self.client.nthreads().values())
        return max(1, _CALLS_A_THREAD * threads) - len(self.under_way)

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
        # An error is asked for, not raised: the function's own might be one of waiting too long.
        error = self._wait(lambda: future.exception(timeout=SECONDS_BETWEEN_LOOKS))
        if error is not None:
            raise self._explained(error, call)
        return self._wait(lambda: future.result(timeout=SECONDS_BETWEEN_LOOKS))

    def _explained(self, error: Exception, call: Call) -> Exception:
        from distributed import KilledWorker

        if isinstance(error, KilledWorker):
            self.fatal += call.names
        if isinstance(error, CancelledError):
            return _gone()
        if isinstance(error, ImportError):
            return InputError(f"worker: {error}; {connection.SAME}")
        return error

    def _wait(self, step: Callable[[], Any]) -> Any:
        """Try a step that waits for a second, until it is done or there is nobody to do it."""
        alone = 0.0
        while True:
            with suppress(queue.Empty, TimeoutError):
                return step()
            alone = 0.0 if self._workers() else alone + SECONDS_BETWEEN_LOOKS
            if alone >= connection.SECONDS_WITHOUT_WORKERS:
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


def _ended(names: Sequence[str]) -> ServerError:
    return ServerError(
        "workers: several ended, one after the other, while they had these to work on: "
        f"{_listed(names)}. Their logs say why; often it is too little memory. {_GO_ON}"
    )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:20])
    return f"{shown} and {len(names) - 20} more" if len(names) > 20 else shown
