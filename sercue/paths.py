"""Where things lie: the checkout, the caches, the reports."""

from __future__ import annotations

import os
from pathlib import Path

from sercue.errors import InputError


def project_folder() -> Path:
    """The checkout that the package runs from, or the current folder where there is none.

    Notebooks run in ``notebooks/`` under JupyterLab and in the caller's folder under papermill;
    both must find the same caches and reports.
    """
    checkout = Path(__file__).resolve().parents[1]
    return checkout if (checkout / "notebooks").is_dir() else Path.cwd()


def cache_folder() -> Path:
    """The folder of all caches: ``SERCUE_CACHE`` if set, else ``data/cache`` of the project."""
    named = os.environ.get("SERCUE_CACHE")
    return Path(named).expanduser() if named else project_folder() / "data" / "cache"


def existing_path(path: str | os.PathLike[str], parameter: str) -> Path:
    """Resolve a path that a study names: against the current folder, then the project's.

    Args:
        path: absolute or relative path; ``~`` is expanded
        parameter: the study key that named it, for the error message

    Raises:
        InputError: if nothing is there, naming each place that was looked at
    """
    given = Path(path).expanduser()
    places = [given] if given.is_absolute() else [Path.cwd() / given, project_folder() / given]
    for place in places:
        if place.exists():
            return place.resolve()
    looked = " and ".join(dict.fromkeys(str(place) for place in places))
    raise InputError(f"{parameter}: nothing found at {str(path)!r} (looked at {looked})")
