"""Whether a study may write to a folder: to a new or empty one, or to what an earlier run left."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from sercue.errors import InputError

_PROVENANCE = Path("artifacts", "provenance.json")
_HARMLESS = {"README.md", "Thumbs.db", "desktop.ini", "lost+found"}
# The folders that a run makes; of their contents nothing can tell whose they are.
_MADE = {"artifacts", "figures", "tables"}
_VALID = (
    "valid is a folder that is new or empty, or that a run of sercue wrote "
    f"({_PROVENANCE.as_posix()} in it)"
)


def check_run_folder(folder: Path) -> None:
    """Refuse a folder in which a run would mix its files with others, or overwrite them.

    An earlier run is told by its ``artifacts/provenance.json``, written before anything else of
    it; one that was stopped before that, by the notebook alone that papermill had begun.

    Args:
        folder: that a study names; nothing is written, and it need not be there

    Raises:
        InputError: if it or a part of its path is a file, if it holds what no run wrote, or if a
            link in it leads elsewhere; naming the folder, what was found, and what is valid
    """
    try:
        _check(folder)
    except OSError as error:
        raise InputError(f"out: {str(folder)!r} cannot be used ({error}); {_VALID}") from None


def _check(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        # Of a name that is too long, or a folder that one may not enter, says so.
        folder.lstat()
    there = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    if not there.is_dir():
        what = "a link that leads nowhere" if there.is_symlink() else "a file"
        raise InputError(f"out: found {what} at {str(there)!r}; {_VALID}")
    if there != folder:
        return
    for link in _links(folder):
        raise InputError(
            f"out: found {str(link.relative_to(folder))!r} in {str(folder)!r}, a link to "
            f"{str(link.readlink())!r}, through which a run would write elsewhere; {_VALID}, "
            "without links"
        )
    strangers = [] if (folder / _PROVENANCE).is_file() else sorted(_strangers(folder))
    if strangers:
        more = f" and {len(strangers) - 1} more" if len(strangers) > 1 else ""
        raise InputError(f"out: found {strangers[0]!r}{more} in {str(folder)!r}; {_VALID}")


def _links(folder: Path) -> Iterator[Path]:
    """Symbolic links where a run writes; others may lie there, for a reader's convenience."""
    written = [path for path in folder.iterdir() if path.name in _MADE or _is_page(path)]
    within = (path for made in written if made.name in _MADE for path in made.rglob("*"))
    return (path for path in (*written, *within) if path.is_symlink())


def _is_page(path: Path) -> bool:
    return path.suffix in (".html", ".ipynb") or path.name == "methods.md"


def _strangers(folder: Path) -> Iterator[str]:
    """The names of what is neither hidden, a README, nor of a run that had just begun."""
    for entry in folder.iterdir():
        begun = _is_executed(entry) or (entry.name in _MADE and not any(_shown(entry)))
        if not (entry.name.startswith(".") or entry.name in _HARMLESS or begun):
            yield entry.name


def _shown(folder: Path) -> Iterator[Path]:
    return (entry for entry in folder.iterdir() if not entry.name.startswith("."))


def _is_executed(file: Path) -> bool:
    """Whether papermill wrote a notebook: those of a person do not say so."""
    if file.suffix != ".ipynb" or not file.is_file():
        return False
    try:
        return "papermill" in json.loads(file.read_text(encoding="utf-8"))["metadata"]
    except (ValueError, KeyError, TypeError):
        return False
