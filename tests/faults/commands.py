"""`sercue` as a process of its own, with what it needs to be watched, stopped and limited."""

import signal
import subprocess
import sys

import psutil

COMMAND = [sys.executable, "-m", "sercue.cli"]
KEPT = "what is done is kept, run again to go on"


def start(*arguments, **options):
    """Start the command in a process group of its own, as a terminal does.

    Signals mean there what they mean in a terminal, even if these tests run in the background.
    """
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heed_signals,
        **options,
    )


def heed_signals():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def said(stderr):
    """The lines of standard error, without those of progress bars."""
    lines = stderr.replace("\r", "\n").splitlines()
    return [line for line in lines if line.strip() and "%|" not in line]


def descendants(process):
    return psutil.Process(process.pid).children(recursive=True)


def alive(processes):
    """Those that still run. One may end at any moment, also while it is looked at."""
    gone = psutil.STATUS_ZOMBIE
    return [p for p in processes if p.is_running() and _seen(p.status, gone) != gone]


def any_runs(processes, word):
    """Whether the command line of one of them has the word."""
    return any(word in " ".join(_seen(process.cmdline, [])) for process in processes)


def _seen(look, gone):
    try:
        return look()
    except psutil.NoSuchProcess:
        return gone


def left_behind(folder):
    """What is not whole, or was set aside, anywhere in a folder."""
    return [p for p in folder.rglob("*") if p.name.endswith((".aside", ".torn"))]


def files_of(folder, *kinds):
    """The bytes of all files of some kinds, by name."""
    return {p.name: p.read_bytes() for kind in kinds for p in sorted(folder.glob(f"*/*.{kind}"))}
