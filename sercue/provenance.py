"""What it takes to repeat a run: parameters, versions, commit, hardware."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from sercue.models.cards import public_name
from sercue.paths import project_folder
from sercue.settings import Settings

_PACKAGES = (
    "sercue", "audformat", "audmetric", "audresample", "numpy", "opensmile", "pandas", "papermill",
    "praat-parselmouth", "scikit-learn", "scipy", "seaborn", "statsmodels", "torch", "transformers",
)  # fmt: skip


def read(path: Path) -> dict[str, Any]:
    """What a provenance file holds; nothing if it is not there."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def record(path: Path, **entries: Any) -> dict[str, Any]:
    """Add entries to a provenance file; what else it holds stays.

    Args:
        path: the JSON file, made if it is not there
        entries: what to add; a mapping is merged into the mapping of the same name

    Returns:
        all that the file holds now
    """
    held = read(path)
    for name, value in entries.items():
        merged = {**held.get(name, {}), **value} if isinstance(value, dict) else value
        held[name] = merged
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(held, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return held


def environment() -> dict[str, Any]:
    """Versions, commit and hardware of this run; nothing that names a person or a folder."""
    return {
        "versions": {"python": platform.python_version(), **_versions()},
        "git": _git(),
        "hardware": {
            "machine": platform.machine(),
            "system": platform.system(),
            "cores": os.cpu_count(),
        },
    }


def shareable(settings: Settings) -> dict[str, Any]:
    """The parameters without folders and servers: of a path, only its last part.

    Examples:
        >>> shareable(Settings(corpus="emodb", corpus_root="/home/me/emodb"))["corpus_root"]
        'emodb'
    """
    values = settings.model_dump()
    for key in ("corpus_root", "out"):
        if values[key] is not None:
            values[key] = Path(values[key]).name
    values["model"] = public_name(values["model"])
    if values["scheduler"] is not None:
        values["scheduler"] = public_address(values["scheduler"])
    return values


def public_address(address: str) -> str:
    """The address of a server as reports may show it: how it is spoken to, and not where it is.

    Examples:
        >>> public_address("tcp://login1.cluster:8786")
        'tcp://HOST'
    """
    return f"{address.partition('://')[0]}://HOST"


def _versions() -> dict[str, str]:
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions


def _git() -> dict[str, Any]:
    commit = _git_output("rev-parse", "HEAD")
    if commit is None:
        return {"commit": None, "clean": None}
    return {"commit": commit, "clean": _git_output("status", "--porcelain") == ""}


def _git_output(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=project_folder(),
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
