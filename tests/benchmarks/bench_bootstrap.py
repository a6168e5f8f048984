"""Speaker-clustered bootstrap of UAR: counts times weights against resampling rows.

Prints the median time of one resample of all conditions, both ways, in one process, after showing
that both give the same numbers. Run as ``python tests/benchmarks/bench_bootstrap.py``.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score

from sercue.measures import confusion_counts, example_predictions
from sercue.significance import bootstrap_uar

LABELS = ("angry", "happy", "neutral", "sad")
CONDITIONS = {
    "none": 0.5,
    "aligned": 0.7,
    "shuffled": 0.45,
    "conflicting": 0.3,
    **{f"corrupted({p})": 0.7 - 0.4 * p for p in (0.25, 0.5, 0.75, 1.0)},
}


def plain_loop(predictions: pd.DataFrame, resamples: int, seed: int = 0) -> np.ndarray:
    """UAR of shape (resamples, conditions): rows of the drawn speakers, scored by scikit-learn."""
    speakers = np.sort(predictions["speaker"].unique())
    # Integers, since scikit-learn takes several times as long over strings.
    coded = predictions.replace({name: code for code, name in enumerate(LABELS)}).infer_objects()
    groups = {
        (condition, speaker): rows[["truth", "prediction"]].to_numpy(dtype=int)
        for (condition, speaker), rows in coded.groupby(["condition", "speaker"])
    }
    rng = np.random.default_rng(seed)
    shares = np.full(len(speakers), 1 / len(speakers))
    drawn = np.empty((resamples, len(CONDITIONS)))
    for resample in range(resamples):
        names = np.repeat(speakers, rng.multinomial(len(speakers), shares))
        for number, condition in enumerate(CONDITIONS):
            rows = np.concatenate([groups[condition, name] for name in names])
            drawn[resample, number] = balanced_accuracy_score(rows[:, 0], rows[:, 1])
    return drawn


def seconds(call: Callable[[], object], times: int = 5) -> float:
    """Median wall time of a call, in seconds."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def main() -> None:
    """Check that both agree, then print times and their ratio."""
    predictions = example_predictions(CONDITIONS, speakers=20, utterances=64, labels=LABELS)
    ours = bootstrap_uar(predictions, LABELS, resamples=50)
    slow = np.percentile(plain_loop(predictions, 50), [2.5, 97.5], axis=0)
    np.testing.assert_allclose(ours[["low", "high"]].to_numpy().T, slow)

    loop = seconds(lambda: plain_loop(predictions, 20)) / 20
    fast = seconds(lambda: bootstrap_uar(predictions, LABELS, resamples=10_000)) / 10_000
    counting = seconds(lambda: confusion_counts(predictions, LABELS))
    utterances = predictions["utterance"].nunique()
    print(f"{len(CONDITIONS)} conditions x {utterances} utterances, 20 speakers, 4 classes")
    print(f"scikit-learn, row by row  {1e6 * loop:10.1f} us a resample")
    print(f"bootstrap_uar             {1e6 * fast:10.2f} us a resample, counting included")
    print(f"  of which counting once  {1e3 * counting:10.2f} ms")
    print(f"10,000 resamples          {1e4 * fast:10.3f} s against {1e4 * loop:.0f} s")
    print(f"ratio                     {loop / fast:10.0f}")


if __name__ == "__main__":
    main()
