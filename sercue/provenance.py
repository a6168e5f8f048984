"""What it takes to repeat a run: ``provenance.json``, whole or not at all."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from sercue.errors import StorageError
from sercue.models.availability import device_memory
from sercue.storage.files import locked, project_folder
from sercue.storage.tables import PROVENANCE, check_entries, read_json, write_json

# Those that reports show; all others are in ``packages``.
_SHOWN = (
    "sercue", "audformat", "audmetric", "audresample", "numpy", "opensmile", "pandas", "papermill",
    "praat-parselmouth", "scikit-learn", "scipy", "seaborn", "statsmodels", "torch", "transformers",
)  # fmt: skip
# What may decide a result if it is installed; the tools of developers do not.
_EXTRAS = ("", "datasets", "peft", "voxtral")
_CPU_INFO = Path("/proc/cpuinfo")


def environment() -> dict[str, Any]:
    """What a run rests on.

    Returns:
        ``versions`` of Python and of what reports name, ``packages`` with the version of every
        installed distribution that sercue needs directly or through others, ``platform``, ``git``
        (commit, and whether nothing was changed since), ``hardware``
    """
    return {
        "versions": {"python": platform.python_version()}
        | {name: _version(name) or "not installed" for name in _SHOWN},
        "packages": dict(_packages()),
        "platform": platform.platform(),
        "git": git(),
        "hardware": dict(hardware()),
    }


@functools.cache
def hardware() -> dict[str, Any]:
    """The machine: architecture, system, cores, processor, memory in bytes as far as known."""
    return {
        "machine": platform.machine(),
        "system": platform.system(),
        "cores": os.cpu_count(),
        "cpu": _cpu(),
        "memory_bytes": device_memory("cpu"),
    }


def torch_facts() -> dict[str, Any]:
    """Threads and graphics cards of torch; nothing where it was not needed and so not loaded."""
    torch = sys.modules.get("torch")
    if torch is None:
        return {}
    cards = range(torch.cuda.device_count() if torch.cuda.is_available() else 0)
    found = [torch.cuda.get_device_properties(number) for number in cards]
    return {
        "threads": torch.get_num_threads(),
        "interop_threads": torch.get_num_interop_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "cuda": torch.version.cuda,
        "gpus": [{"name": card.name, "memory_bytes": card.total_memory} for card in found],
    }


def git() -> dict[str, Any]:
    """The commit of the checkout, and whether it is ``clean``; both ``None`` outside of one."""
    commit = _output("git", "rev-parse", "HEAD")
    if commit is None:
        return {"commit": None, "clean": None}
    return {"commit": commit, "clean": _output("git", "status", "--porcelain") == ""}


@functools.cache
def _packages() -> dict[str, str]:
    """Distribution to version, for all that sercue requires, directly or through others."""
    found: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    left = [("sercue", extra) for extra in _EXTRAS]
    while left:
        name, extra = left.pop()
        version = None if (name, extra) in seen else _version(name)
        seen.add((name, extra))
        if version is None:
            continue
        found[name] = version
        for needed in map(Requirement, importlib.metadata.requires(name) or []):
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                # With the extras that are asked of it.
                left += [(canonicalize_name(needed.name), asked) for asked in ("", *needed.extras)]
    return dict(sorted(found.items()))


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    if _CPU_INFO.is_file():
        for line in _CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    apple = _output("sysctl", "-n", "machdep.cpu.brand_string") if sys.platform == "darwin" else ""
    return apple or platform.processor() or platform.machine()


def _output(*command: str) -> str | None:
    try:
        done = subprocess.run(
            command, cwd=project_folder(), capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


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


def record(path: Path, **entries: Any) -> None:
    """Set entries of a provenance file; what else it holds stays.

    Processes that record at once wait for each other, so that nothing of either is lost.

    Args:
        path: the JSON file, made if it is not there
        entries: what to set; of ``seconds`` and ``notebooks``, those that are named alone

    Raises:
        InputError: if the file cannot be read, or is of a newer version than this sercue reads
        StorageError: if it cannot be written, or if another process does not let go of it
    """

    def set_entries(held: dict[str, Any]) -> None:
        for name, value in entries.items():
            held[name] = {**held.get(name, {}), **value} if name in _MERGED else value

    _changed(path, set_entries)


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


def _changed(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    with locked(path):
        held = read(path)
        change(held)
        write_json(path, dict(sorted(held.items())), PROVENANCE)
