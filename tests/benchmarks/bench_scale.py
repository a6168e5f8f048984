"""Memory and time of a study as it grows: prediction store, measures and inference.

Run as a script. The answers are simulated and no recording is read: what is measured is all that
happens around a model. Each size runs in a process of its own, so that its peak is its own.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import audformat
import numpy as np
import pandas as pd

import sercue
import sercue.study
from sercue.corpora.corpus import Corpus
from sercue.statistics.contrasts import compare, planned_contrasts, uar_intervals
from sercue.statistics.correctness_tests import cochran_test, shift_tests
from sercue.statistics.equivalence import collapse_tests, equivalence_tests

ROOT = Path(__file__).resolve().parents[2]
SIZES = (10_000, 25_000, 50_000, 100_000)
LABELS = ("angry", "happy", "neutral", "sad")
CONDITIONS = [
    "none", "aligned", "shuffled", "shuffled_within_class", "conflicting", "constant",
    "corrupted(0.25)", "corrupted(0.5)", "corrupted(0.75)", "corrupted(1)", "masked(0.5)",
    "masked(1)",
]  # fmt: skip
SPEAKERS = 50


class SimulatedModel:
    """Answers at random, at once."""

    name, identity = "simulated", "simulated@1/float64"
    sampling_rate, max_seconds, batch_size = 16000, 30.0, 64

    def score(self, audios: list, prompts: list, labels: list) -> list[np.ndarray]:
        """Log-likelihoods drawn from a normal distribution."""
        random = np.random.default_rng(0)
        return [random.normal(-3, 1, (len(own), len(labels))) for own in prompts]


def made_corpus(utterances: int) -> tuple[Corpus, pd.DataFrame, pd.Series]:
    """A corpus without recordings, its tokens, and names for the content of its audio."""
    random = np.random.default_rng(1)
    index = audformat.segmented_index([f"{number:06d}.wav" for number in range(utterances)])
    speakers = [f"s{number % SPEAKERS:02d}" for number in range(utterances)]
    table = pd.DataFrame(
        {"emotion": random.choice(LABELS, utterances), "speaker": speakers, "partition": "test"},
        index=index,
    )
    words = random.choice(["low", "mid", "high"], (utterances, 6))
    tokens = pd.DataFrame(words, index, sercue.read_scheme().names)
    digests = pd.Series([f"{number:032x}" for number in range(utterances)], index)
    return Corpus("made", Path(), table, LABELS, "neutral", "none"), tokens, digests


def stages(utterances: int, store: Path) -> dict[str, Callable[[dict], object]]:
    """The stages of a study, each a function of what those before it left."""
    corpus, tokens, digests = made_corpus(utterances)
    pairs = planned_contrasts(CONDITIONS)

    def study(_: dict) -> pd.DataFrame:
        return sercue.run_study(
            corpus, tokens, SimulatedModel(), conditions=CONDITIONS, templates=["plain"],
            store=store, digests=digests, progress=False,
        )  # fmt: skip

    def answers(done: dict) -> tuple[pd.DataFrame, tuple[str, ...]]:
        return done["study, read back"], LABELS

    return {
        "study": study,
        "study, read back": study,
        "measures": lambda done: sercue.measures(*answers(done)),
        "intervals": lambda done: uar_intervals(*answers(done)),
        "contrasts": lambda done: compare(*answers(done), pairs),
        "equivalence": lambda done: equivalence_tests(*answers(done), pairs, margin=0.05),
        "collapse": lambda done: collapse_tests(
            *answers(done), entropy_margin=0.05, share_margin=0.05
        ),
        "Cochran's Q": lambda done: cochran_test(answers(done)[0]),
        "shift": lambda done: shift_tests(*answers(done), pairs),
    }


def one_size(utterances: int) -> None:
    """Run all stages and print seconds and peak memory (MB of 1e6 bytes) after each."""
    sercue.study.read_utterance = lambda *_: np.zeros(1, np.float32)
    with tempfile.TemporaryDirectory() as folder:
        done: dict[str, object] = {}
        told = [("begin", 0.0, peak())]
        for name, stage in stages(utterances, Path(folder, "predictions")).items():
            done.pop("study", None)
            started = time.perf_counter()
            done[name] = stage(done)
            told.append((name, time.perf_counter() - started, peak()))
    print(json.dumps(told))


def peak() -> float:
    """The most memory that this process has held so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def measured(utterances: int) -> list[tuple[str, float, float]]:
    """What ``one_size`` prints, in a process of its own."""
    command = [sys.executable, __file__, str(utterances)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def plot(table: pd.DataFrame, file: Path) -> None:
    """Peak memory and time against the number of utterances."""
    import matplotlib.pyplot as plt

    figure, (memory, seconds) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
    memory.plot(table.index, table["MB"], marker="o")
    memory.axhline(1.5 * table["MB"].iloc[0], linestyle="--", color="grey")
    seconds.plot(table.index, table["s"], marker="o")
    seconds.plot(table.index, table["s"].iloc[0] * table.index / table.index[0], "--", color="grey")
    for axes, what in ((memory, "peak memory (MB)"), (seconds, "time (s)")):
        axes.set(xlabel="utterances, 12 conditions each", ylabel=what, ylim=(0, None))
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)


def main() -> None:
    """Print the table of stages and sizes, and draw it."""
    told = {size: measured(size) for size in SIZES}
    names = [name for name, _, _ in told[SIZES[0]]]
    print(f"{'':<18}" + "".join(f"{size:>20,}" for size in SIZES) + "   utterances")
    for place, name in enumerate(names):
        cells = [f"{told[size][place][1]:8.1f} s {told[size][place][2]:7.0f} MB" for size in SIZES]
        print(f"{name:<18}" + "".join(f"{cell:>20}" for cell in cells))
    table = pd.DataFrame(
        {"s": [sum(s for _, s, _ in told[size]) for size in SIZES],
         "MB": [told[size][-1][2] for size in SIZES]},
        index=list(SIZES),
    )  # fmt: skip
    first, last = table.iloc[0], table.iloc[-1]
    growth = SIZES[-1] / SIZES[0]
    print(f"peak memory  {last['MB'] / first['MB']:5.2f} times that of the first   goal 1.5")
    print(f"time         {last['s'] / first['s']:5.2f} times for {growth:g} times the utterances")
    file = ROOT / "reports" / "benchmarks" / "scale.svg"
    plot(table, file)
    print(f"drawn: {file.relative_to(ROOT)}")


if __name__ == "__main__":
    one_size(int(sys.argv[1])) if len(sys.argv) > 1 else main()
