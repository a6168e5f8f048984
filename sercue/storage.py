"""A disk, a folder or a limit that does not let a file be written or read, in words."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sercue.errors import StorageError

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
