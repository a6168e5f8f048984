"""Is a difference in UAR more than chance: intervals over speakers, planned contrasts, Holm.

Everything is paired: the same utterances under every condition. The speaker is the unit of
inference, because utterances of one speaker are not independent of each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests

from sercue.interventions import about_concepts
from sercue.significance.correctness_tests import mcnemar_tests
from sercue.significance.permutation import sign_flip_p
from sercue.significance.resampling import check_confidence, check_resampling
from sercue.significance.speaker_counts import SpeakerCounts, speaker_counts


def planned_contrasts(conditions: Iterable[str]) -> list[tuple[str, str]]:
    """The family of contrasts, in an order that depends on no result.

    First aligned against none (do cues help at all), then each other condition against aligned
    (what is lost when the cues are wrong), then each other one against none (are wrong cues worse
    than no cues). A contrast that lacks one of its conditions is left out. Conditions about single
    concepts (``only``, ``without``, ``flip``) are a family of their own: see ``concept_effects``.

    Args:
        conditions: names of the conditions of the study

    Returns:
        pairs (condition, reference)

    Examples:
        >>> planned_contrasts(["none", "aligned", "shuffled"])
        [('aligned', 'none'), ('shuffled', 'aligned'), ('shuffled', 'none')]
    """
    names = [name for name in dict.fromkeys(conditions) if not about_concepts(name)]
    perturbed = [name for name in names if name not in ("none", "aligned")]
    family = [("aligned", "none")]
    family += [(name, reference) for reference in ("aligned", "none") for name in perturbed]
    return [pair for pair in family if set(pair) <= set(names)]


def uar_intervals(
    predictions: pd.DataFrame, labels: Sequence[str], *, confidence: float = 0.95
) -> pd.DataFrame:
    """UAR of each condition with an interval over speakers.

    The inference is to further speakers like these, with the corpus's texts, the model and the
    replicates as they are. The interval is UAR ± t × standard error, both corrected for few
    speakers as ``cluster_variance`` says, and cut at 0 and 1. It covers about what it says with 8,
    24 and 51 speakers. It is symmetric, so that near 0 or 1 it misses on one side more often than
    on the other. Where all speakers have the same recall of a class, 1 say, the class is taken to
    have no error. A class that a single speaker has tells nothing of other speakers: the interval
    then is all of 0 to 1.

    Args:
        predictions: predictions as ``run_study`` or ``baselines`` returns them
        labels: the classes
        confidence: coverage that the interval aims at, between 0 and 1

    Returns:
        DataFrame, one row a condition in the order of first appearance: ``condition``, ``uar``,
        ``low``, ``high`` (all 0 to 1), ``se``, ``df``, ``speakers``

    Raises:
        InputError: if there are fewer than two speakers, or a parameter is not valid

    Examples:
        >>> from sercue.measures import LABELS, example_predictions
        >>> uar_intervals(example_predictions(), LABELS).round(3)
          condition    uar    low  high     se   df  speakers
        0      none  0.417  0.264  0.57  0.048  3.0         4
        1   aligned  0.708  0.375  1.00  0.105  3.0         4
    """
    check_confidence(confidence)
    counted = speaker_counts(predictions, labels)
    found = counted.uar
    low, high = found.interval(confidence)
    return pd.DataFrame(
        {
            "condition": counted.conditions,
            "uar": found.estimate,
            "low": np.maximum(low, 0),
            "high": np.minimum(high, 1),
            "se": found.se,
            "df": found.df,
            "speakers": (counted.totals.sum(axis=2) > 0).sum(axis=1),
        }
    )


def compare(
    predictions: pd.DataFrame,
    labels: Sequence[str],
    contrasts: Sequence[tuple[str, str]] | None = None,
    *,
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    r"""Contrasts between conditions: difference in UAR with its interval, tests, Holm.

    Interval and ``p`` belong together: the interval at 95 % holds zero where ``p`` is 0.05 or more.
    They are made as those of ``uar_intervals``, from what each speaker adds to the difference, and
    hold from 8 speakers on. ``permutation_p`` asks the same of exchangeable conditions without
    any assumption on the shape of speakers' differences: it flips the two conditions for
    whole speakers, and is exact up to 14 of them. With 8 speakers it can be no lower than 2 / 256,
    too coarse to be corrected for a family; that is why Holm's correction takes ``p``.

    ``mcnemar_p`` asks another question, of single answers: see ``mcnemar_tests``. It uses one
    answer an utterance; all else uses every row.

    Args:
        predictions: predictions as ``run_study`` returns them
        labels: the classes
        contrasts: pairs (condition, reference); ``planned_contrasts`` by default. They are the
            family that Holm's correction covers.
        resamples: patterns of signs drawn for the permutation tests with more than 14 speakers
        confidence: coverage that the interval aims at, between 0 and 1; it is not corrected
            for the number of contrasts
        seed: of these draws

    Returns:
        DataFrame, one row a contrast: ``condition``, ``reference``, ``uar``, ``uar_reference``,
        ``difference`` (:math:`\text{UAR} - \text{UAR}_\text{reference}`, -1 to 1), ``low``,
        ``high``, ``se``, ``df``, ``speakers``, ``p`` (two-sided, of no difference in UAR),
        ``holm_p`` (``p`` corrected for the family), ``permutation_p``, ``discordant_better``,
        ``discordant_worse``, ``odds_ratio``, ``mcnemar_p`` (all as ``mcnemar_tests`` has them)

    Raises:
        InputError: if a condition is unknown, if two conditions of a contrast do not have the
            same utterances, or if there are fewer than two speakers

    References:
        Holm, Scand. J. Statist. 6 (1979)

    Examples:
        >>> from sercue.measures import LABELS, example_predictions
        >>> table = compare(example_predictions(), LABELS)
        >>> table[["condition", "reference", "difference", "low", "high", "p"]].round(2)
          condition reference  difference   low  high     p
        0   aligned      none        0.29  0.04  0.55  0.04
    """
    check_resampling(resamples, confidence)
    counted = speaker_counts(predictions, labels)
    family = planned_contrasts(counted.conditions) if contrasts is None else list(contrasts)
    table = uar_differences(counted, family, confidence=confidence)
    p = table["p"]
    table["holm_p"] = multipletests(p, method="holm")[1] if len(p) else p
    added = counted.contrast_weights(family) @ counted.share_of_recall()
    table["permutation_p"] = (
        sign_flip_p(added.T, resamples=resamples, seed=seed) if len(family) else p
    )
    single = mcnemar_tests(predictions, family, resamples=resamples, seed=seed)
    return table.join(single.drop(columns=["condition", "reference", "independent_p"]))


def uar_differences(
    counted: SpeakerCounts, contrasts: Sequence[tuple[str, str]], *, confidence: float = 0.95
) -> pd.DataFrame:
    """Differences in UAR with intervals over speakers: the first columns of ``compare``.

    Args:
        counted: confusions of each speaker
        contrasts: pairs (condition, reference)
        confidence: coverage that the intervals aim at, between 0 and 1

    Returns:
        the columns of ``compare`` from ``condition`` to ``p``
    """
    family = list(contrasts)
    found = counted.uar.combine(counted.contrast_weights(family))
    low, high = found.interval(confidence)
    first = [counted.place(condition) for condition, _ in family]
    second = [counted.place(reference) for _, reference in family]
    table = pd.DataFrame(family, columns=["condition", "reference"])
    table["uar"] = counted.uar.estimate[first]
    table["uar_reference"] = counted.uar.estimate[second]
    table["difference"] = found.estimate
    table["low"], table["high"] = np.maximum(low, -1), np.minimum(high, 1)
    table["se"], table["df"] = found.se, found.df
    table["speakers"] = (counted.totals[first].sum(axis=2) > 0).sum(axis=1)
    table["p"] = found.p_value()
    return table
