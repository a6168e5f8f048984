"""Versions, commit and hardware; nothing that names a person, a machine or a folder."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from sercue.models.memory import device_memory
from sercue.paths import project_folder

# Those that reports show; all others are in ``packages``.
_SHOWN = (
    "sercue", "audformat", "audmetric", "audresample", "numpy", "opensmile", "pandas", "papermill",
    "praat-parselmouth", "scikit-learn", "scipy", "seaborn", "statsmodels", "torch", "transformers",
)  # fmt: skip
# What may decide a result if it is installed; the tools of developers do not.
_EXTRAS = ("", "datasets", "voxtral")
_CPU_INFO = Path("/proc/cpuinfo")


def environment() -> dict[str, Any]:
    """What a run rests on.

    Returns:
        ``versions`` of Python and of what reports name, ``packages`` with the version of every
        installed distribution that sercue needs directly or through others, ``platform``, ``git``
        (commit, and whether nothing was changed since), ``hardware``
    """
    return {
        "versions": {"python": platform.python_version(), **_versions()},
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


def _versions() -> dict[str, str]:
    return {name: _version(name) or "not installed" for name in _SHOWN}


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
        if version is not None:
            found[name] = version
            left += _required(name, extra)
    return dict(sorted(found.items()))


def _required(name: str, extra: str) -> list[tuple[str, str]]:
    """What a distribution requires here for an extra, with the extras asked of it."""
    listed = [Requirement(text) for text in importlib.metadata.requires(name) or []]
    return [
        (canonicalize_name(needed.name), asked)
        for needed in listed
        if needed.marker is None or needed.marker.evaluate({"extra": extra})
        for asked in ("", *needed.extras)
    ]


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
            command,
            cwd=project_folder(),
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
