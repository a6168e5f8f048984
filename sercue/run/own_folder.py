"""Whether a study may write to a folder: to a new or empty one, or to what an earlier run left.

And to none in which a run of other settings is at work.
"""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pyarrow

from sercue.errors import InputError, StorageError
from sercue.files import lock_holder, locked, take_lock
from sercue.schema import TABLES, UnfitError, check_table

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
    it, or by its tables if that was moved away; one that was stopped before that, by the notebook
    alone that papermill had begun.

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


@contextlib.contextmanager
def at_work(folder: Path, settings: str) -> Iterator[None]:
    """Within, no run of other settings begins in the folder; those of the same may.

    Each run holds a lock of its own for as long as it works, named after its settings.

    Args:
        folder: of the run
        settings: fingerprint of its settings

    Raises:
        InputError: if a run of other settings is at work, naming its process
    """
    place = folder / "artifacts"
    own = place / f".run-{settings}-{uuid.uuid4().hex[:8]}.lock"
    # One after the other, or of two that begin at once neither would see the other.
    with locked(place / "runs"):
        refuse_others_at_work(folder, settings)
        lock = take_lock(own)
    if lock is None:
        raise StorageError(f"{own}: in use by {lock_holder(own)}")
    try:
        yield
    finally:
        lock.release()
        with contextlib.suppress(OSError):
            own.unlink(missing_ok=True)


def refuse_others_at_work(folder: Path, settings: str) -> None:
    """Raise if a run of other settings is at work in a folder; locks of the dead are removed.

    Args:
        folder: of the run
        settings: fingerprint of its settings

    Raises:
        InputError: naming the process of the other run
    """
    for other in (folder / "artifacts").glob(".run-*.lock"):
        if other.name.startswith(f".run-{settings}-"):
            continue
        left = take_lock(other)
        if left is None:
            raise InputError(
                f"out: a run of other settings is at work in {str(folder)!r}: "
                f"{lock_holder(other)}; valid is another folder, or to wait for its end"
            )
        left.release()
        other.unlink(missing_ok=True)


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
    strangers = [] if _is_of_a_run(folder) else sorted(_strangers(folder))
    if strangers:
        more = f" and {len(strangers) - 1} more" if len(strangers) > 1 else ""
        raise InputError(f"out: found {strangers[0]!r}{more} in {str(folder)!r}; {_VALID}")


def _is_of_a_run(folder: Path) -> bool:
    """By its provenance or, where that was moved away, by a table that says what it is."""
    if (folder / _PROVENANCE).is_file():
        return True
    for name, kind in TABLES.items():
        with contextlib.suppress(UnfitError, InputError, OSError, pyarrow.ArrowException):
            check_table(folder / "artifacts" / name, kind)
            return True
    return False


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
