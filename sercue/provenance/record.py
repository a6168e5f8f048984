"""Reading and writing ``provenance.json``: whole or not at all, and by one process at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sercue.errors import StorageError
from sercue.files import locked
from sercue.provenance.machine import git, hardware
from sercue.schema import PROVENANCE, check_entries, read_json, write_json

# Of each notebook on its own, so that one that runs again leaves those of the others.
_MERGED = ("seconds", "notebooks")
#: The invocations that are kept; ``run_count`` goes on counting.
KEPT_RUNS = 50


def read(path: Path) -> dict[str, Any]:
    """What a provenance file holds; nothing if it is not there.

    Raises:
        InputError: if it cannot be read, is of a newer version than this sercue reads, or if an
            entry is not of the type that sercue writes
    """
    held = read_json(path, PROVENANCE) if path.is_file() else {}
    there = {name: value for name, value in PROVENANCE.entries.items() if name in held}
    check_entries(path, held, replace(PROVENANCE, entries=there))
    return held


def record(path: Path, **entries: Any) -> dict[str, Any]:
    """Set entries of a provenance file; what else it holds stays.

    Processes that record at once wait for each other, so that nothing of either is lost.

    Args:
        path: the JSON file, made if it is not there
        entries: what to set; of ``seconds`` and ``notebooks``, those that are named alone

    Returns:
        all that the file holds now

    Raises:
        InputError: if the file cannot be read, or is of a newer version than this sercue reads
        StorageError: if it cannot be written, or if another process does not let go of it
    """

    def set_entries(held: dict[str, Any]) -> None:
        for name, value in entries.items():
            held[name] = {**held.get(name, {}), **value} if name in _MERGED else value

    return _changed(path, set_entries)


@contextmanager
def invocation(path: Path, command: str, notebooks: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Record that a run was begun, and at its end what became of it.

    The last ``KEPT_RUNS`` are kept under ``runs``, so that a study that was resumed is told from
    one that ran through. One that was killed says ``not ended`` for good.

    Args:
        path: the provenance file
        command: the command line, fit to be shown to others
        notebooks: numbers of the notebooks to run

    Yields:
        the entry of this run; set its ``outcome``, which is ``stopped`` if an error ends it
    """
    entry = {
        "command": command,
        "notebooks": list(notebooks),
        "started": utc_now(),
        "ended": None,
        "outcome": "not ended",
        "git": git(),
        "hardware": dict(hardware()),
    }

    def begin(held: dict[str, Any]) -> None:
        entry["number"] = held["run_count"] = held.get("run_count", 0) + 1
        held["runs"] = [*held.get("runs", []), dict(entry)][-KEPT_RUNS:]

    def end(held: dict[str, Any]) -> None:
        begun = {**entry, "ended": None, "outcome": "not ended"}
        held["runs"] = [entry if one == begun else one for one in held.get("runs", [])]

    _changed(path, begin)
    try:
        yield entry
    except BaseException as error:
        entry["outcome"] = f"stopped: {type(error).__name__}"
        raise
    finally:
        entry["ended"] = utc_now()
        # Where the disk takes no more, that is told already.
        with suppress(StorageError):
            _changed(path, end)


def utc_now() -> str:
    """The time in UTC as ISO 8601 has it, to the second.

    Examples:
        >>> len(utc_now()), utc_now()[-1]
        (20, 'Z')
    """
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _changed(path: Path, change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    with locked(path):
        held = read(path)
        change(held)
        write_json(path, dict(sorted(held.items())), PROVENANCE)
    return held
