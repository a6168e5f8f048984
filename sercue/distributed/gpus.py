"""Which of a machine's GPUs a process takes: the first that no other worker has."""

from __future__ import annotations

import fcntl
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import IO

# Kept open for the life of the process: the lock ends with it, however it ends.
_LOCKS: list[IO[bytes]] = []


@cache
def own_slot(number: int) -> int:
    """The slot that is this process's own as long as it lives, the same at each call.

    Where more processes come than there are slots, they share them.

    Args:
        number: slots of this machine
    """
    folder = Path(tempfile.gettempdir()) / f"sercue-gpu-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    taken = take_slot(folder, number)
    return os.getpid() % number if taken is None else taken


def take_slot(folder: Path, number: int) -> int | None:
    """Take the first slot that no living process has.

    A rank among the workers would not do: it changes when workers come and go, and two of them
    would meet on one GPU.

    Args:
        folder: of the lock files, the same for all processes of a machine
        number: slots

    Returns:
        the slot, from 0; ``None`` if all are taken

    Examples:
        >>> folder = Path(tempfile.mkdtemp())
        >>> take_slot(folder, 2), take_slot(folder, 2), take_slot(folder, 2)
        (0, 1, None)
    """
    for slot in range(number):
        file = (folder / f"{slot}.lock").open("wb")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            continue
        _LOCKS.append(file)
        return slot
    return None
