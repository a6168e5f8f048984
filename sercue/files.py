"""Files and folders that are written whole or not at all, and by one process at a time."""

from __future__ import annotations

import csv
import errno
import io
import os
import re
import shutil
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from sercue.errors import StorageError
from sercue.secret_keys import without_secrets
from sercue.storage import told, told_by_libraries

if TYPE_CHECKING:
    import pandas as pd

#: How what is not yet whole is named: hidden, with this ending.
_ENDING = ".aside"
# Longer than any file takes to be written: what is older was left by a run that was killed.
_STALE_SECONDS = 24 * 3600
# Longer than anything takes that is done while a lock is held, on a slow network disk, too.
_LOCKED_SECONDS = 60.0
# What a file system answers that has no locks of its own.
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
# How cells begin that spreadsheets run, the wide letters of East Asia among them.
_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\n]")


@contextmanager
def written_aside(path: Path, *, sync: bool = False) -> Iterator[Path]:
    """A name beside a file, to write to; at the end it takes the file's place.

    No reader sees half of it, two runs that write the same file leave one of theirs whole, and
    after a fault the file is what it was.

    Args:
        path: the file; its folder is made if it is not there
        sync: whether the content must be on the disk before it takes the place, so that it is
            whole after a loss of power, too

    Raises:
        StorageError: if it cannot be written

    Examples:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "reports" / "index.html"
        >>> with written_aside(path) as aside:
        ...     _ = aside.write_text("all of it")
        >>> [file.name for file in path.parent.iterdir()]
        ['index.html']
    """
    aside = aside_name(path)
    try:
        with told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield aside
            if sync:
                _sync(aside)
            aside.replace(path)
            if sync:
                _sync_entry(path.parent)
    finally:
        # Where even this fails, the fault itself is what has to be told.
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, sync: bool = False) -> None:
    """Write a text file whole or not at all, in UTF-8 and without keys of the environment.

    All text files of a run are written here.

    Args:
        path: the file; its folder is made if it is not there
        text: what it holds
        sync: as that of ``written_aside``

    Raises:
        StorageError: if it cannot be written
    """
    with written_aside(path, sync=sync) as aside:
        aside.write_text(without_secrets(text), encoding="utf-8", newline="")


def write_csv(path: Path, table: pd.DataFrame, *, index: bool = True) -> None:
    """Write a table as CSV whole or not at all, with no cell that a spreadsheet would run.

    Text that begins as a formula does, which a label or a file name may, gets an apostrophe in
    front; numbers stay as they are.

    Raises:
        StorageError: if it cannot be written

    Examples:
        >>> import tempfile
        >>> import pandas as pd
        >>> path = Path(tempfile.mkdtemp()) / "table.csv"
        >>> write_csv(path, pd.DataFrame({"label": ["=1+1", "sad"], "gain": [-0.14, 0.2]}))
        >>> print(path.read_text())
        ,label,gain
        0,'=1+1,-0.14
        1,sad,0.2
        <BLANKLINE>
    """
    # With this ending, a carriage return within a cell is quoted, and begins no row of its own.
    written, text = io.StringIO(newline=""), table.to_csv(index=index, lineterminator="\r\n")
    longest = csv.field_size_limit(len(text) + 1)
    try:
        for row in csv.reader(io.StringIO(text, newline="")):
            csv.writer(written, lineterminator="\n").writerow(map(_no_formula, row))
    finally:
        csv.field_size_limit(longest)
    write_text(path, written.getvalue())


def _no_formula(cell: str) -> str:
    cell = cell.replace("\r", " ")
    if not _FORMULA.match(cell):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; see ``written_aside``.

    Raises:
        StorageError: if it cannot be written
    """
    with written_aside(path) as aside:
        aside.write_bytes(content)


def write_once(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, unless one is there already: the first stays.

    Args:
        path: the file; its folder is made if it is not there
        content: what it holds, if it is not there

    Raises:
        StorageError: if it cannot be written

    Examples:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "key"
        >>> write_once(path, b"first")
        >>> write_once(path, b"second")
        >>> path.read_bytes()
        b'first'
    """
    aside = aside_name(path)
    try:
        with told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            aside.touch(mode=0o600)
            aside.write_bytes(content)
            _sync(aside)
            # A second name fails where there is one; a rename would take the first one's place.
            with suppress(FileExistsError):
                os.link(aside, path)
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


@contextmanager
def folder_written_aside(
    folder: Path, complete: Callable[[Path], bool] = Path.is_dir
) -> Iterator[Path]:
    """A folder beside another one, to fill; at the end it takes the other's place.

    If another process was quicker, its folder stays: both hold the same.

    Args:
        folder: where it belongs
        complete: whether a folder that lies there is whole; one that is not makes way

    Raises:
        StorageError: if it cannot be written

    Examples:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp()) / "model"
        >>> for text in ("first", "second"):
        ...     with folder_written_aside(folder) as aside:
        ...         _ = (aside / "weights").write_text(text)
        >>> (folder / "weights").read_text()
        'first'
    """
    aside = aside_name(folder)
    try:
        with told(folder):
            aside.mkdir(parents=True)
            remove_stale(folder.parent)
            with told_by_libraries(aside):
                yield aside
            for file in aside.rglob("*"):
                if file.is_file():
                    _sync(file)
            _take_place(aside, folder, complete)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def locked(path: Path, seconds: float = _LOCKED_SECONDS) -> Iterator[None]:
    """Within, no other process is within for the same path.

    The lock lies beside the file. One whose process was killed is broken: by the operating system
    where the file system has locks, else by the next process on the same machine.

    Args:
        path: the file or folder that is to be changed; its folder is made if it is not there
        seconds: how long to wait for another process

    Raises:
        StorageError: if another process does not let go of it, naming that process, and how to go
            on if it does not run any more
    """
    with told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    file = path.with_name(f".{path.name}.lock")
    lock = take_lock(file, seconds)
    if lock is None:
        raise StorageError(
            f"{path}: for {seconds:.0f} s in use by {lock_holder(file)}; what is done is kept, "
            "run again to go on"
        )
    try:
        yield
    finally:
        lock.release()


def take_lock(file: Path, seconds: float = 0.0) -> BaseFileLock | None:
    """A lock that this process holds until it is released; ``None`` if another one holds it.

    Args:
        file: the lock file; it says which process holds it
        seconds: how long to wait

    Raises:
        StorageError: if the lock file cannot be made
    """
    with told(file, "locked"):
        try:
            lock: BaseFileLock = FileLock(file, timeout=seconds, fallback_to_soft=False)
            lock.acquire()
            file.write_text(f"{os.getpid()}\n{socket.gethostname()}\n", encoding="utf-8")
        except Timeout:
            return None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            lock = SoftFileLock(_without_locks(file), timeout=seconds)
            try:
                lock.acquire()
            except Timeout:
                return None
    return lock


def lock_holder(file: Path) -> str:
    """Which process holds a lock, since when, and what to do if it does not run any more."""
    held = next((one for one in (_without_locks(file), file) if one.is_file()), file)
    try:
        process, host, *_ = held.read_text(encoding="utf-8").splitlines()
        since = datetime.fromtimestamp(held.stat().st_mtime, UTC)
    except (OSError, ValueError):
        who = "another process"
    else:
        who = f"process {process[:20]} on {host[:100]} since {since:%Y-%m-%d %H:%M:%S} UTC"
    return f"{who} (if it does not run any more, remove {held})"


def _without_locks(file: Path) -> Path:
    """The lock file where the file system has no locks: there it is held as long as it exists."""
    return file.with_name(f"{file.name}.held")


def aside_name(path: Path) -> Path:
    """A hidden name in the same folder that nobody else uses."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}{_ENDING}")


def remove_stale(folder: Path) -> None:
    """Remove what runs that were killed left half written in a folder, a day ago or earlier."""
    before = time.time() - _STALE_SECONDS
    for left in folder.glob(f".*{_ENDING}"):
        # Another run may remove the same; what may not be removed does no harm.
        with suppress(OSError):
            if left.stat().st_mtime < before:
                shutil.rmtree(left) if left.is_dir() else left.unlink()


def _take_place(aside: Path, folder: Path, complete: Callable[[Path], bool]) -> None:
    try:
        aside.rename(folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        if complete(folder):
            return
        away = aside_name(folder)
        folder.rename(away)
        aside.rename(folder)
        shutil.rmtree(away, ignore_errors=True)


def _sync(file: Path) -> None:
    with file.open("rb+") as stream:
        os.fsync(stream.fileno())


def _sync_entry(folder: Path) -> None:
    """The name of a file, too, must be on the disk; not every file system can promise that."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
