"""The demo study from nothing and repeated: seconds and peak memory; and the time of an import.

Run as a script. Memory is that of the command and all its processes together; what they share, as
forked kernels share most of theirs, is counted once (as proportional set size, on Linux alone).
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
STUDY = ROOT / "notebooks" / "studies" / "demo.yaml"


def import_seconds(runs: int = 5) -> tuple[float, float]:
    """Median seconds of a Python that imports sercue, and of one that imports nothing."""
    return _median_start("import sercue", runs), _median_start("pass", runs)


def _median_start(code: str, runs: int) -> float:
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def run_study(cache: Path, out: Path) -> tuple[float, float]:
    """Seconds and peak memory (GB of 1e9 bytes) of one ``sercue run`` of the demo.

    Raises:
        RuntimeError: if the command fails
    """
    command = [sys.executable, "-m", "sercue.cli", "run", str(STUDY), "--out", str(out)]
    environment = os.environ | {"SERCUE_CACHE": str(cache)}
    started = time.perf_counter()
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        peak = 0
        while process.poll() is None:
            peak = max(peak, _memory(process.pid))
            # Not more often: the system looks through all pages to tell what is shared.
            time.sleep(1)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return time.perf_counter() - started, peak / 1e9


def _memory(pid: int) -> int:
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        return sum(member.memory_full_info().pss for member in family)
    except psutil.NoSuchProcess:
        return 0


def main() -> None:
    """Print the table; its goals are for two cores."""
    with_sercue, without = import_seconds()
    print(f"import sercue            {with_sercue - without:6.2f} s   goal   1 s")
    with tempfile.TemporaryDirectory() as folder:
        cache, out = Path(folder, "cache"), Path(folder, "out")
        for name, goal in (("demo study from nothing", 180), ("demo study repeated", 40)):
            seconds, memory = run_study(cache, out)
            print(f"{name:<24} {seconds:6.0f} s   goal {goal:3} s, peak memory {memory:.2f} GB (4)")


if __name__ == "__main__":
    main()
