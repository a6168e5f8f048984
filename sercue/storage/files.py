"""Files, folders and locks: written aside, synced and renamed; failures told in one line."""

from __future__ import annotations

import csv
import errno
import io
import os
import re
import shutil
import socket
import sysconfig
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from sercue.errors import InputError, StorageError
from sercue.privacy import without_secrets

if TYPE_CHECKING:
    import pandas as pd


_CHECKOUT = Path(__file__).resolve().parents[2]
#: Where a wheel puts notebooks and study files, below the prefix of the environment.
SHIPPED = "share/sercue/notebooks"


def project_folder() -> Path:
    """The checkout that the package runs from, or the current folder where there is none.

    Notebooks run in ``notebooks/`` under JupyterLab and in the caller's folder under papermill;
    both must find the same caches and reports.
    """
    return _CHECKOUT if (_CHECKOUT / "notebooks").is_dir() else Path.cwd()


def notebooks_folder() -> Path:
    """The folder of the notebooks and ``studies``: in the checkout, or where the wheel put it."""
    shipped = (_CHECKOUT / "notebooks", Path(sysconfig.get_path("data")) / SHIPPED)
    there = [folder for folder in shipped if folder.is_dir()]
    if there:
        return there[0]
    # Installed for a user alone, say: where exactly, the record of the installation knows.
    with suppress(PackageNotFoundError):
        for file in distribution("sercue").files or ():
            if file.match(f"{SHIPPED}/*.ipynb"):
                return Path(str(file.locate())).resolve().parent
    return shipped[0]


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


_REASONS = {
    errno.ENOSPC: ("no space is left on this disk", "free some space"),
    errno.EDQUOT: ("the quota of this user is used up", "free some space"),
    errno.EFBIG: ("the file would be larger than this process may write", "raise that limit"),
    errno.EROFS: ("the file system is read-only", "make it writable, or name another folder"),
    errno.EACCES: ("permission denied", "make it writable, or name another folder"),
    errno.EPERM: ("the operation is not permitted", "make it writable, or name another folder"),
    errno.EMFILE: ("too many files are open in this process", "raise the limit (ulimit -n)"),
    errno.ENFILE: ("too many files are open on this machine", "close some"),
    errno.ENOENT: ("the folder is not there any more", "see what removed it"),
    errno.EEXIST: ("a file lies where a folder belongs", "move it away"),
    errno.ENOTDIR: ("a file lies where a folder belongs", "move it away"),
    errno.EISDIR: ("a folder lies where a file belongs", "move it away"),
    errno.EIO: ("the disk reports an error", "see to the disk"),
    errno.ESTALE: ("the network file system has lost this folder", "mount it again"),
    errno.ENOTCONN: ("the network file system is not connected", "mount it again"),
    errno.ENAMETOOLONG: ("the name is too long for this disk", "choose a shorter folder"),
}
# How libraries in Rust, safetensors among them, quote the operating system.
_QUOTED = re.compile(r"\(os error (\d+)\)")
_TRIED = 65536  # bytes, more than a file system keeps back


def storage_error(
    error: OSError, path: str | os.PathLike[str], what: str = "stored"
) -> StorageError:
    r"""What an error of the operating system means for a run, in words.

    Args:
        error: as it was raised
        path: the file that was to be written or read
        what: what could not be done to it

    Returns:
        the error to raise from it

    Examples:
        >>> told = str(storage_error(OSError(errno.EMFILE, ""), "/study/artifacts/tokens"))
        >>> print(told.replace(" raise", "\nraise").replace("; ", ";\n"))
        /study/artifacts: tokens could not be stored: too many files are open in this process:
        raise the limit (ulimit -n);
        what is done is kept, run again to go on
    """
    place = Path(path)
    number = error.errno or 0
    reason, remedy = _REASONS.get(number, (error.strerror or str(error), "mend this"))
    if number in (errno.ENOSPC, errno.EDQUOT):
        reason += _free(place.parent)
    return StorageError(
        f"{place.parent}: {place.name} could not be {what}: {reason}: {remedy}; what is done is "
        "kept, run again to go on"
    )


def is_of_storage(error: OSError) -> bool:
    """Whether an error is of a disk, a folder or a limit, and none of the program.

    Examples:
        >>> is_of_storage(OSError(errno.ENOSPC, "")), is_of_storage(OSError("no number"))
        (True, False)
    """
    return error.errno in _REASONS


@contextmanager
def told_by_libraries(folder: Path) -> Iterator[None]:
    """Within, an error in a library's own words becomes an ``OSError`` if a disk is behind it.

    Libraries that are not written in Python tell a full disk each in its own way. What the
    operating system says is in their words, or it says it again of a small file.

    Args:
        folder: the folder that is written within

    Raises:
        OSError: in place of another error, if the folder cannot be written to
    """
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        quoted = _QUOTED.search(str(error))
        if quoted:
            raise OSError(int(quoted[1]), os.strerror(int(quoted[1]))) from error
        (folder / ".tried").write_bytes(bytes(_TRIED))
        raise


@contextmanager
def told(path: str | os.PathLike[str], what: str = "stored") -> Iterator[None]:
    """Within, an error of the operating system becomes a ``StorageError``.

    Args:
        path: the file or folder that is written or read within, for the message
        what: what could not be done to it

    Raises:
        StorageError: for every ``OSError`` within
    """
    try:
        yield
    except OSError as error:
        raise storage_error(error, path, what) from error


def _free(folder: Path) -> str:
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    try:
        return f" ({shutil.disk_usage(folder).free / 1e6:.1f} MB free)"
    except OSError:
        return ""


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
