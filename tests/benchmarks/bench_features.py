"""eGeMAPS features: one core, all cores, and from the cache, on the same recordings.

What descriptors add to functionals is measured on decoded samples, by one core.

Run as a script. The recordings are those of the demo corpus.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import joblib
import opensmile

import sercue
from sercue.corpora.audio import SAMPLING_RATE, read_utterance
from sercue.corpora.corpus import Corpus
from sercue.features import Extractor, functionals


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def opensmile_alone(corpus: Corpus) -> None:
    """openSMILE as its users call it: file after file, nothing kept."""
    smile = functionals()
    for file in corpus.table.index.get_level_values("file"):
        smile.process_file(str(corpus.root / file))


def levels(corpus: Corpus, runs: int) -> None:
    """Print what descriptors add to functionals, on one core and decoded samples."""
    signals = [read_utterance(corpus, key) for key in corpus.table.index[:120]]
    frames = opensmile.Smile(
        opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.LowLevelDescriptors
    )
    ways = {
        "functionals": [functionals()],
        "and descriptors": [Extractor()],
        "in two passes": [functionals(), frames],
    }
    taken: dict[str, list[float]] = defaultdict(list)
    for _ in range(runs):
        for name, extractors in ways.items():
            taken[name].append(
                seconds(
                    lambda extractors=extractors: [
                        extract(signal, SAMPLING_RATE)
                        for signal in signals
                        for extract in extractors
                    ]
                )
            )
    medians = {name: statistics.median(times) for name, times in taken.items()}
    print(f"{len(signals)} utterances, one core, decoded before")
    for name, value in medians.items():
        print(f"{name:<16} {value:7.3f} s   {value / medians['functionals']:7.2f} x functionals")


def main(utterances: int = 360, runs: int = 3) -> None:
    """Print medians of several runs; the ways take turns."""
    corpus = sercue.load_corpus("demo", limit=utterances // 3)
    levels(corpus, 2 * runs + 1)
    taken: dict[str, list[float]] = defaultdict(list)
    for _ in range(runs):
        taken["openSMILE alone"].append(seconds(lambda: opensmile_alone(corpus)))
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
    cores = joblib.cpu_count()
    alone, whole = medians["openSMILE alone"], medians["all cores"]
    print(f"{len(corpus.table)} utterances, {cores} cores")
    for name, value in medians.items():
        print(f"{name:<16} {value:7.3f} s   {alone / value:7.1f} x openSMILE alone")
    print(f"all cores reach {alone / whole / cores:.0%} of what the cores allow   goal 95 %")
    print(f"the cache is {whole / medians['from the cache']:.0f} x all cores   goal 100 x")


if __name__ == "__main__":
    main()
