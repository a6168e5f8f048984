"""eGeMAPS functionals: one core, all cores, and from the cache, on the same recordings.

Run as a script. The recordings are those of the demo corpus.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import joblib

import sercue


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main(utterances: int = 120, runs: int = 3) -> None:
    """Print medians of several runs; the ways take turns."""
    corpus = sercue.load_corpus("demo", limit=utterances // 3)
    taken: dict[str, list[float]] = {"one core": [], "all cores": [], "from the cache": []}
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            first, second = Path(folder, "a"), Path(folder, "b")
            for name, cache, workers in (
                ("one core", first, 1),
                ("all cores", second, None),
                ("from the cache", second, None),
            ):
                taken[name].append(
                    seconds(
                        lambda cache=cache, workers=workers: sercue.extract_features(
                            corpus, cache=cache, workers=workers, progress=False
                        )
                    )
                )
    medians = {name: statistics.median(times) for name, times in taken.items()}
    print(f"{len(corpus.table)} utterances, {joblib.cpu_count()} cores")
    for name, value in medians.items():
        print(f"{name:<16} {value:7.3f} s   {medians['one core'] / value:7.1f} x one core")


if __name__ == "__main__":
    main()
