"""Speaker-clustered bootstrap of all pairwise UAR differences: counts against resampled rows.

Prints the time of 10,000 resamples, counting included, and the ratio a resample to a plain loop
over scikit-learn, after showing that both give the same numbers. The sizes are those of FAU-Aibo's
evaluation, with all its speakers. Run as ``python tests/benchmarks/bench_bootstrap.py``.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from itertools import combinations

import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score

from sercue.statistics.contrasts import compare, uar_intervals
from sercue.statistics.measures import example_predictions
from sercue.statistics.resampling import bootstrap_differences
from sercue.statistics.speakers import speaker_counts

LABELS = ("angry", "happy", "neutral", "sad")
CONDITIONS = {f"condition {number}": 0.4 + 0.03 * number for number in range(12)}
SPEAKERS, UTTERANCES, RESAMPLES = 51, 8257, 10_000
PAIRS = list(combinations(range(len(CONDITIONS)), 2))


def study() -> pd.DataFrame:
    """Simulated predictions: 12 conditions x 8,257 utterances x 51 speakers."""
    each = -(-UTTERANCES // SPEAKERS)
    table = example_predictions(CONDITIONS, speakers=SPEAKERS, utterances=each, labels=LABELS)
    kept = table["utterance"].drop_duplicates()[:UTTERANCES]
    return table[table["utterance"].isin(kept)].reset_index(drop=True)


def rows_of_speakers(predictions: pd.DataFrame) -> dict[tuple[str, str], np.ndarray]:
    """Truth and prediction of each condition and speaker, shape (rows, 2)."""
    # Integers, since scikit-learn takes several times as long over strings.
    coded = predictions.replace({name: code for code, name in enumerate(LABELS)}).infer_objects()
    return {
        key: rows[["truth", "prediction"]].to_numpy(dtype=int)
        for key, rows in coded.groupby(["condition", "speaker"])
    }


def plain_loop(
    groups: dict[tuple[str, str], np.ndarray], resamples: int, seed: int = 0
) -> np.ndarray:
    """Differences of shape (resamples, pairs): rows of the drawn speakers, by scikit-learn."""
    speakers = sorted({speaker for _, speaker in groups})
    rng = np.random.default_rng(seed)
    shares = np.full(len(speakers), 1 / len(speakers))
    drawn = np.empty((resamples, len(PAIRS)))
    for resample in range(resamples):
        names = np.repeat(speakers, rng.multinomial(len(speakers), shares))
        uar = []
        for condition in CONDITIONS:
            rows = np.concatenate([groups[condition, name] for name in names])
            uar.append(balanced_accuracy_score(rows[:, 0], rows[:, 1]))
        drawn[resample] = [uar[b] - uar[a] for a, b in PAIRS]
    return drawn


def seconds(call: Callable[[], object], times: int = 3) -> float:
    """Median wall time of a call, in seconds."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def main() -> None:
    """Check that both agree, then print times and their ratio."""
    predictions = study()
    ours = bootstrap_differences(predictions, LABELS, resamples=10)
    groups = rows_of_speakers(predictions)
    slow = np.percentile(plain_loop(groups, 10), [2.5, 97.5], axis=0)
    np.testing.assert_allclose(ours[["low", "high"]].to_numpy().T, slow, atol=1e-12)

    loop = seconds(lambda: plain_loop(groups, 20)) / 20
    counting = seconds(lambda: speaker_counts(predictions, LABELS))
    print(f"{len(CONDITIONS)} conditions x {UTTERANCES} utterances, {SPEAKERS} speakers, "
          f"{len(PAIRS)} differences")  # fmt: skip
    print(f"scikit-learn, row by row  {1e3 * loop:8.1f} ms a resample")
    print(f"counting once             {1e3 * counting:8.1f} ms")
    for method in ("percentile", "studentised"):
        options = {"method": method, "resamples": RESAMPLES}
        taken = seconds(lambda o=options: bootstrap_differences(predictions, LABELS, **o))
        print(f"{method:<12} {RESAMPLES} in  {taken:8.2f} s, counting included: "
              f"{loop * RESAMPLES / taken:.0f} times the loop a resample")  # fmt: skip
    print(f"t intervals of UAR        {seconds(lambda: uar_intervals(predictions, LABELS)):8.2f} s")
    family = [(name, "condition 0") for name in list(CONDITIONS)[1:]]
    whole = seconds(lambda: compare(predictions, LABELS, family))
    print(f"compare, {len(family)} contrasts    {whole:8.2f} s, with permutations and McNemar")


if __name__ == "__main__":
    main()
