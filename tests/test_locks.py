"""Locks: one process at a time, none for ever, and a message that tells how to go on."""

import errno
import socket
import subprocess
import sys

import pytest

from sercue.errors import StorageError
from sercue.provenance import read, record
from sercue.storage.files import locked, take_lock

# As flock answers where there is none: NFS without its lock daemon, FUSE, some cluster disks.
FLOCK = {"locks": 0, "no flock": errno.ENOSYS, "no lock daemon": errno.ENOLCK}

HOLDING = """
import fcntl, os, sys
from pathlib import Path
def no_flock(*_): raise OSError(int(sys.argv[2]), "no flock")
if sys.argv[2] != "0": fcntl.flock = no_flock
from sercue.storage.files import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(params=FLOCK)
def holder(request, tmp_path, monkeypatch):
    """A process that holds the lock of a file, on a file system with locks or without."""
    number = FLOCK[request.param]

    def no_flock(*_):
        raise OSError(number, "no flock")

    if number:
        monkeypatch.setattr("fcntl.flock", no_flock)
    command = [sys.executable, "-c", HOLDING, tmp_path / "file", str(number)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()


def test_a_lock_that_is_held_names_its_holder_and_the_way_out(holder, tmp_path):
    with (
        pytest.raises(StorageError) as error,
        locked(tmp_path / "file", 0.1),
    ):
        pass
    told = str(error.value)
    assert f"process {holder.pid} on {socket.gethostname()} since 2" in told
    assert "if it does not run any more, remove " in told
    assert "\n" not in told


def test_a_lock_of_a_process_that_was_killed_is_broken(holder, tmp_path):
    """On this host, where it can be told; with and without locks of the file system."""
    holder.kill()
    holder.wait()
    with locked(tmp_path / "file", 5):
        pass


def test_a_lock_that_was_let_go_leaves_nothing_that_holds(holder, tmp_path):
    holder.communicate()
    with locked(tmp_path / "file", 5):
        pass


def test_a_lock_of_another_host_is_told_in_time(tmp_path, monkeypatch):
    """Whether its process runs cannot be known here: removing the file that is named helps."""
    monkeypatch.setattr("fcntl.flock", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSYS, "")))
    path = tmp_path / "provenance.json"
    held = tmp_path / ".provenance.json.lock.held"
    held.write_text("1\nanother-host\n")
    with (
        pytest.raises(StorageError, match=f"process 1 on another-host.* remove {held}"),
        locked(path, 0.1),
    ):
        pass
    held.unlink()
    record(path, model="a")
    assert read(path) == {"model": "a"}
    assert not held.exists()


def test_a_lock_is_held_until_it_is_released(tmp_path):
    first = take_lock(tmp_path / "lock")
    assert first is not None
    assert take_lock(tmp_path / "lock") is None
    first.release()
    again = take_lock(tmp_path / "lock")
    assert again is not None
    again.release()
