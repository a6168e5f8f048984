"""Does UAR fall, step by step, as more of the tokens are wrong?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from sercue.errors import InputError
from sercue.interventions import condition_facts, doses_of
from sercue.significance.permutation import drawn_p, rearranged_sums
from sercue.significance.resampling import check_resampling, mean_recall
from sercue.significance.speaker_counts import SpeakerCounts, speaker_counts


def dose_trends(
    predictions: pd.DataFrame,
    labels: Sequence[str],
    *,
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    r"""Trend of UAR with the dose, for each family of conditions with a dose.

    The slope is that of the least-squares line through the UAR of the doses,
    :math:`\sum_d (p_d - \bar p) \text{UAR}_d / \sum_d (p_d - \bar p)^2`. It is a contrast between
    conditions, with the interval and p-value of one (see ``cluster_variance``). The permutation
    test rearranges the doses within whole speakers and takes the slope as its statistic. Page's
    test looks at the order alone: it ranks the doses within each speaker, so that each speaker
    counts the same, however few their utterances.

    All three are tests of a trend. None shows that UAR falls at every step; ``falls_throughout``
    says whether it was seen to.

    Args:
        predictions: predictions as ``run_study`` returns them, with conditions such as
            ``corrupted(0.5)``; ``aligned`` is dose 0
        labels: the classes
        resamples: number of rearrangements
        confidence: coverage that the interval aims at, between 0 and 1
        seed: of the rearrangements

    Returns:
        DataFrame, one row a family of at least two doses: ``family``, ``doses`` (their number),
        ``slope`` (change of UAR from dose 0 to 1), ``low``, ``high``, ``se``, ``df``,
        ``speakers``, ``p``, ``permutation_p``, ``page_p`` (all two-sided; Page's is NaN with fewer
        than three doses), ``falls_throughout``

    Raises:
        InputError: if no family has two doses, or as ``compare`` raises it

    References:
        Page, J. Am. Statist. Assoc. 58 (1963)

    Examples:
        >>> from sercue.measures import LABELS, example_predictions
        >>> accuracy = {"aligned": 0.8, "corrupted(0.5)": 0.6, "corrupted(1)": 0.3}
        >>> table = dose_trends(example_predictions(accuracy, speakers=8), LABELS)
        >>> table[["family", "slope", "p", "permutation_p", "page_p"]].round(3)
              family  slope      p  permutation_p  page_p
        0  corrupted -0.458  0.002            0.0   0.002
    """
    check_resampling(resamples, confidence)
    counted = speaker_counts(predictions, labels)
    doses = doses_of(condition_facts(predictions))
    families = {family: own for family, own in doses.items() if len(own) > 1}
    if not families:
        raise InputError(
            "dose trend: found no two doses of one family; valid are conditions such as "
            f"corrupted(0.5), here are {', '.join(counted.conditions)}"
        )
    rows = [
        {"family": family, **_trend(counted, doses, confidence, resamples, seed)}
        for family, doses in families.items()
    ]
    return pd.DataFrame(rows)


def _trend(
    counted: SpeakerCounts, doses: dict[str, float], confidence: float, resamples: int, seed: int
) -> dict[str, object]:
    counted.check_paired(doses)
    places = [counted.place(name) for name in doses]
    dose = np.array(list(doses.values()))
    slope = (dose - dose.mean()) / ((dose - dose.mean()) ** 2).sum()
    weights = np.zeros((1, len(counted.conditions)))
    weights[0, places] = slope
    found = counted.uar.combine(weights)
    (low,), (high,) = found.interval(confidence)
    sums = rearranged_sums(counted.share_of_recall()[places].T, resamples=resamples, seed=seed)
    steps = np.diff(counted.uar.estimate[places])
    return {
        "doses": len(dose), "slope": found.estimate[0], "low": low, "high": high,
        "se": found.se[0], "df": found.df[0], "speakers": len(counted.speakers),
        "p": found.p_value()[0],
        "permutation_p": drawn_p(abs(found.estimate[0]), np.abs(sums @ slope)),
        "page_p": _page_p(mean_recall(counted.hits[places], counted.totals[places]).T),
        "falls_throughout": bool((steps < 0).all()),
    }  # fmt: skip


def _page_p(by_speaker: np.ndarray) -> float:
    """Two-sided p-value of Page's test for a table of shape (speakers, doses)."""
    if by_speaker.shape[1] < 3:
        return np.nan
    # Without ties the exact distribution is to be had, but speakers of few utterances tie.
    one_sided = [
        stats.page_trend_test(table, method="asymptotic").pvalue
        for table in (by_speaker, by_speaker[:, ::-1])
    ]
    return float(min(1.0, 2 * min(one_sided)))
