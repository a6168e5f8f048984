"""Standard choices that were tried and not taken: what they do stands beside what was taken."""

import numpy as np
from scipy import stats

from sercue.statistics.resampling import resampled_uar


def sandwich_interval(hits: np.ndarray, totals: np.ndarray) -> tuple[float, float]:
    """95 % interval of UAR by the uncorrected sandwich (CR1), t quantiles on speakers - 1.

    Args:
        hits: right answers of a condition, shape (speakers, classes)
        totals: all answers, same shape
    """
    speakers, classes = totals.shape
    pooled = totals.sum(axis=0)
    recall = hits.sum(axis=0) / pooled
    terms = ((hits - recall * totals) / pooled).sum(axis=1) / classes
    half = stats.t.ppf(0.975, speakers - 1) * np.sqrt(speakers / (speakers - 1) * (terms**2).sum())
    return recall.mean() - half, recall.mean() + half


def bca_interval(hits: np.ndarray, totals: np.ndarray, resamples: int) -> tuple[float, float]:
    """95 % bootstrap interval of UAR, bias-corrected and accelerated (Efron 1987).

    Args:
        hits: right answers of a condition, shape (speakers, classes)
        totals: all answers, same shape
        resamples: number of resamples
    """
    drawn = resampled_uar(hits[None], totals[None], resamples=resamples, seed=0)[:, 0]
    estimate = (hits.sum(axis=0) / totals.sum(axis=0)).mean()
    bias = stats.norm.ppf(np.clip((drawn < estimate).mean(), 1 / resamples, 1 - 1 / resamples))
    rest = totals.sum(axis=0) - totals
    left = (hits.sum(axis=0) - hits) / np.where(rest > 0, rest, np.nan)
    away = np.nanmean(left, axis=1).mean() - np.nanmean(left, axis=1)
    acceleration = (away**3).sum() / (6 * (away**2).sum() ** 1.5)
    shifted = bias + stats.norm.ppf([0.025, 0.975])
    levels = stats.norm.cdf(bias + shifted / (1 - acceleration * shifted))
    low, high = np.quantile(drawn, levels)
    return float(low), float(high)


def hotelling_p(changes: np.ndarray) -> float:
    """Hotelling's T² of speakers' changes in the counts of answers.

    Args:
        changes: shape (speakers, classes); rows add up to 0
    """
    free = changes[:, :-1]
    speakers, components = free.shape
    mean = free.mean(axis=0)
    squared = speakers * mean @ np.linalg.pinv(np.cov(free, rowvar=False)) @ mean
    scale = (speakers - components) / (components * (speakers - 1))
    return float(stats.f.sf(scale * squared, components, speakers - components))
