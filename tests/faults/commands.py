"""`sercue` as a process of its own, with what it needs to be watched, stopped and limited."""

import subprocess
import sys

import psutil

COMMAND = [sys.executable, "-m", "sercue.cli"]
KEPT = "what is done is kept, run again to go on"


def start(*arguments, **options):
    """Start the command in a process group of its own, as a terminal does."""
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )


def said(stderr):
    """The lines of standard error, without those of progress bars."""
    lines = stderr.replace("\r", "\n").splitlines()
    return [line for line in lines if line.strip() and "%|" not in line]


def descendants(process):
    return psutil.Process(process.pid).children(recursive=True)


def alive(processes):
    return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def left_behind(folder):
    """What is not whole, or was set aside, anywhere in a folder."""
    return [p for p in folder.rglob("*") if p.name.endswith((".aside", ".torn"))]


def files_of(folder, *kinds):
    """The bytes of all files of some kinds, by name."""
    return {p.name: p.read_bytes() for kind in kinds for p in sorted(folder.glob(f"*/*.{kind}"))}
