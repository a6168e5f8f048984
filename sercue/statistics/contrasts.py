"""Differences in UAR: planned contrasts and their correction, doses, power, wording of prompts.

One rule of evidence holds for every claim of a study. The primary contrast, aligned tokens against
the audio alone, is tested first and by itself at 5 %. All other planned contrasts follow, corrected
by Holm's method among themselves. What is called a difference, or equivalent, is so after this
correction; an uncorrected interval that excludes zero is no finding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import scipy

from sercue.errors import InputError, refuse_unknown
from sercue.statistics.correctness_tests import mcnemar_tests
from sercue.statistics.measures import confusion_counts
from sercue.statistics.resampling import (
    ENUMERATED,
    check_confidence,
    check_resampling,
    drawn_p,
    mean_recall,
    rearranged_sums,
    sign_flip_p,
)
from sercue.statistics.speakers import SpeakerCounts, speaker_counts
from sercue.tokens.catalogue import condition_facts, doses_of, is_main, is_ours

#: The contrast that is tested first and by itself: do aligned tokens help at all?
PRIMARY = ("aligned", "none")
#: Conditions under which the block tells nothing about the utterance, the purest first.
BLOCK = ("masked(1)", "constant")
#: That which names all concepts and tells of none; constant words may themselves suggest a class.
EMPTY = BLOCK[0]
_ALPHA = 0.05
#: What the UAR of a cell may vary with.
FACTORS = ("template", "label_order", "replicate", "speaker")


def planned_contrasts(conditions: Iterable[str]) -> list[tuple[str, str]]:
    """The family of contrasts, in an order that depends on no result.

    First the primary one, aligned against none (do cues help at all), then each other condition
    against aligned (what is lost when the cues are wrong), then each other one against none (are
    wrong cues worse than no cues). A contrast that lacks one of its conditions is left out.
    Where neither is there and the first condition is none of ours (answers made elsewhere), all
    others are compared with that one. Conditions about single concepts (``only``, ``without``,
    ``flip``) and those with other audio (``aligned @ reversed``) are families of their own: see
    ``concept_effects`` and ``crossing.py``.

    Args:
        conditions: names of the conditions of the study

    Returns:
        pairs (condition, reference)

    Examples:
        >>> planned_contrasts(["none", "aligned", "shuffled"])
        [('aligned', 'none'), ('shuffled', 'aligned'), ('shuffled', 'none')]
        >>> planned_contrasts(["without cues", "with cues"])
        [('with cues', 'without cues')]
    """
    names = [name for name in dict.fromkeys(conditions) if is_main(name)]
    if reference := own_reference(names):
        return [(name, reference) for name in names if name != reference]
    perturbed = [name for name in names if name not in ("none", "aligned")]
    family = [PRIMARY]
    family += [(name, reference) for reference in ("aligned", "none") for name in perturbed]
    return [pair for pair in family if set(pair) <= set(names)]


def own_reference(conditions: Sequence[str]) -> str | None:
    """The condition that all others are compared with, if it is none of ours.

    Examples:
        >>> own_reference(["no cues", "cues"]), own_reference(["cues", "none"])
        ('no cues', None)
    """
    first = next(iter(conditions), "none")
    return None if {"none", "aligned"} & set(conditions) or is_ours(first) else first


def corrected_p(
    contrasts: Sequence[tuple[str, str]], p: Sequence[float] | np.ndarray | pd.Series
) -> np.ndarray:
    """P-values of a family in two steps: the primary contrast by itself, the others by Holm.

    Each step errs in at most 5 % of studies at the 5 % level. Where the first finds nothing, what
    the second finds is exploratory.

    Args:
        contrasts: pairs (condition, reference)
        p: of each

    Returns:
        p of ``PRIMARY`` as it is, if it is among them; all others corrected among themselves

    References:
        Holm, Scand. J. Statist. 6 (1979); Bauer, Röhmel, Maurer and Hothorn, Statist. Med. 17
        (1998), on tests in a stated order

    Examples:
        >>> pairs = [("aligned", "none"), ("shuffled", "aligned"), ("shuffled", "none")]
        >>> corrected_p(pairs, [0.04, 0.01, 0.03]).tolist()
        [0.04, 0.02, 0.03]
    """
    made, others = np.array(p, dtype=float), ~is_primary(contrasts)
    made[others] = holm(made[others])
    return made


def is_primary(contrasts: Iterable[tuple[str, str]]) -> np.ndarray:
    """Which contrasts are the primary one, shape (contrasts,).

    Examples:
        >>> is_primary([("aligned", "none"), ("shuffled", "none")])
        array([ True, False])
    """
    return np.array([tuple(pair) == PRIMARY for pair in contrasts], dtype=bool)


def strictest_levels(contrasts: Iterable[tuple[str, str]], alpha: float = _ALPHA) -> np.ndarray:
    """The level at which each contrast is tested if it is the first of its step.

    Examples:
        >>> strictest_levels([("aligned", "none"), ("a", "none"), ("b", "none")]).tolist()
        [0.05, 0.025, 0.025]
    """
    primary = is_primary(contrasts)
    return np.where(primary, alpha, alpha / max((~primary).sum(), 1))


def holm(p: Sequence[float] | np.ndarray | pd.Series) -> np.ndarray:
    """P-values corrected by Holm's method. Where there is none, NaN, nothing was tested.

    Examples:
        >>> holm([0.03, np.nan, 0.01]).tolist()
        [0.03, nan, 0.02]
    """
    made = np.array(p, dtype=float)
    # NaN is sorted last. statsmodels corrects alike, but frees all memory at each call.
    order = np.argsort(made)[: np.count_nonzero(~np.isnan(made))]
    raised = made[order] * np.arange(len(order), 0, -1)
    made[order] = np.minimum(np.maximum.accumulate(raised), 1)
    return made


def mirrored(row: pd.Series) -> pd.Series:
    """The row of a contrast the other way round.

    Args:
        row: ``condition``, ``reference``, ``difference``, ``low``, ``high``; all else stays

    Examples:
        >>> row = {"condition": "a", "reference": "b", "difference": 0.2, "low": 0.1, "high": 0.4}
        >>> mirrored(pd.Series(row)).to_list()
        ['b', 'a', -0.2, -0.4, -0.1]
    """
    swapped = {"condition": row["reference"], "reference": row["condition"]}
    ends = {"difference": 0 - row["difference"], "low": 0 - row["high"], "high": 0 - row["low"]}
    return pd.Series({**row, **swapped, **ends})


def flips_decide(tests: int | np.ndarray, speakers: int, resamples: int) -> np.ndarray:
    """Whether sign flips of so many speakers can be significant at the strictest step.

    The t test loses its power where one speaker has much of the data, or a class few utterances:
    its degrees of freedom fall. Flips of whole speakers keep theirs, but their smallest possible
    p-value is 2 / 2^speakers, or 1 / (1 + resamples) where patterns are drawn. The rule looks at
    the number of speakers and tests only, never at an answer.

    Args:
        tests: how many are corrected together
        speakers: number of speakers
        resamples: patterns that are drawn where there are too many speakers to enumerate

    Returns:
        array of bool, shaped as ``tests``

    Examples:
        >>> tests = np.array([1, 9])
        >>> flips_decide(tests, 8, 10_000), flips_decide(tests, 9, 10_000)
        (array([ True, False]), array([ True,  True]))
    """
    smallest = 2.0 ** (1 - speakers) if speakers <= ENUMERATED else 1 / (1 + resamples)
    return np.asarray(smallest < _ALPHA / np.maximum(tests, 1))


def uar_intervals(
    predictions: pd.DataFrame, labels: Sequence[str], *, confidence: float = 0.95
) -> pd.DataFrame:
    """UAR of each condition with an interval over speakers.

    The inference is to new speakers of the same kind, for the given texts, model and
    replicates. The interval is UAR ± t × standard error, both corrected for few
    speakers (see ``speakers.py``), and limited to 0 and 1. Its coverage is about nominal with 8,
    24 and 51 speakers. It is symmetric, so that near 0 or 1 it misses on one side more often than
    on the other. If all speakers have the same recall of a class, for instance 1, the class is
    taken to have no error. A class with a single speaker is not informative about other speakers:
    the interval is then 0 to 1.

    Args:
        predictions: predictions as ``run_study`` or ``baselines`` returns them
        labels: the classes
        confidence: coverage that the interval aims at, between 0 and 1

    Returns:
        DataFrame, one row per condition in the order of first appearance: ``condition``, ``uar``,
        ``low``, ``high`` (all 0 to 1), ``se``, ``df``, ``speakers``

    Raises:
        InputError: if there are fewer than two speakers, or a parameter is not valid

    Examples:
        >>> from sercue.statistics.measures import LABELS, example_predictions
        >>> uar_intervals(example_predictions(), LABELS).round(3)
          condition    uar    low  high     se   df  speakers
        0      none  0.417  0.264  0.57  0.048  3.0         4
        1   aligned  0.708  0.375  1.00  0.105  3.0         4
    """
    check_confidence(confidence)
    counted = speaker_counts(predictions, labels)
    table = counted.uar.rows(confidence, "uar", least=0).drop(columns="p")
    table.insert(0, "condition", counted.conditions)
    return table.assign(speakers=counted.answering)


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

    Interval and ``p`` correspond: the interval at 95 % includes zero if ``p`` is .05 or more.
    They are computed as those of ``uar_intervals``, from the terms of the speakers, and
    are valid from 8 speakers on. ``permutation_p`` tests exchangeability of the conditions without
    any assumption on the distribution of the speakers' differences: it exchanges the two conditions
    for whole speakers, and is exact up to 14 of them. With 8 speakers it is at least 2 / 256.

    Which of the two is corrected and decides is fixed by the number of speakers and contrasts: the
    flips wherever they can be significant at all (``flips_decide``), else ``p``. The primary
    contrast is tested by itself, the others are corrected by Holm's method (``corrected_p``).

    ``mcnemar_p`` tests single answers: see ``mcnemar_tests``. It uses one
    answer per utterance; everything else uses every row. ``independent_p`` and
    ``independent_holm_p`` are commonly reported, McNemar's test of independent utterances with
    Holm's correction: they are given for comparison, and are too small where speakers differ.

    Args:
        predictions: predictions as ``run_study`` returns them
        labels: the classes
        contrasts: pairs (condition, reference); ``planned_contrasts`` by default
        resamples: patterns of signs drawn for the permutation tests with more than 14 speakers
        confidence: coverage that the interval aims at, between 0 and 1; it is not corrected
            for the number of contrasts
        seed: of these draws

    Returns:
        DataFrame, one row per contrast: ``condition``, ``reference``, ``uar``, ``uar_reference``,
        ``difference`` (:math:`\text{UAR} - \text{UAR}_\text{reference}`, -1 to 1), ``low``,
        ``high``, ``se``, ``df``, ``speakers``, ``p`` (two-sided, of no difference in UAR),
        ``permutation_p``, ``step`` (``"primary"`` or ``"family"``), ``decided_by`` (``"flips"`` or
        ``"t"``), ``holm_p`` (the deciding one, corrected), ``discordant_better``,
        ``discordant_worse``, ``accuracy_difference``, ``odds_ratio``, ``mcnemar_p``,
        ``independent_p`` (all as ``mcnemar_tests`` has them), ``independent_holm_p`` (the last one
        corrected by Holm's method for all contrasts)

    Raises:
        InputError: if a condition is unknown, if two conditions of a contrast do not have the
            same utterances, or if there are fewer than two speakers

    References:
        Holm, Scand. J. Statist. 6 (1979)

    Examples:
        >>> from sercue.statistics.measures import LABELS, example_predictions
        >>> table = compare(example_predictions(), LABELS)
        >>> table[["condition", "reference", "difference", "low", "high", "p"]].round(2)
          condition reference  difference   low  high     p
        0   aligned      none        0.29  0.04  0.55  0.04
    """
    check_resampling(resamples, confidence)
    counted = speaker_counts(predictions, labels)
    family = planned_contrasts(counted.conditions) if contrasts is None else list(contrasts)
    table = uar_differences(counted, family, confidence=confidence)
    added = counted.contrast_weights(family) @ counted.share_of_recall()
    flipped = sign_flip_p(added.T, resamples=resamples, seed=seed) if family else np.empty(0)
    primary = is_primary(family)
    together = np.where(primary, 1, (~primary).sum())
    flips = flips_decide(together, len(counted.speakers), resamples)
    table["permutation_p"] = flipped
    table["step"] = np.where(primary, "primary", "family").astype(object)
    table["decided_by"] = np.where(flips, "flips", "t")
    table["holm_p"] = corrected_p(family, np.where(flips, flipped, table["p"]))
    single = mcnemar_tests(predictions, family, resamples=resamples, seed=seed)
    single["independent_holm_p"] = holm(single["independent_p"])
    return table.join(single.drop(columns=["condition", "reference"]))


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
    found = counted.uar.combine(counted.contrast_weights(contrasts))
    first = [counted.place(condition) for condition, _ in contrasts]
    second = [counted.place(reference) for _, reference in contrasts]
    uar = counted.uar.estimate
    table = pd.DataFrame(contrasts, columns=["condition", "reference"])
    table = table.assign(uar=uar[first], uar_reference=uar[second]).join(found.rows(confidence))
    p = table.pop("p")
    return table.assign(speakers=counted.answering[first], p=p)


def detectable_differences(
    contrasts: pd.DataFrame, *, power: float = 0.8, alpha: float = 0.05
) -> pd.DataFrame:
    r"""The smallest true difference that would be found significant with a stated probability.

    With the standard error over speakers and its degrees of freedom as observed, the difference
    :math:`\delta` at which a two-sided t test with noncentrality :math:`\delta / \text{se}`
    rejects with probability ``power``. It says what the corpus can tell, not what the model does:
    an observed difference below it may be significant, and one above it need not be. The standard
    error is itself an estimate, a rough one with few speakers.

    Args:
        contrasts: as ``compare`` returns them; all rows together are the family
        power: probability of finding the difference, between ``alpha`` and 1
        alpha: two-sided level

    Returns:
        DataFrame, one row per contrast: ``condition``, ``reference``, ``difference``, ``se``,
        ``df``, ``detectable`` (of this contrast alone), ``detectable_holm`` (as it is tested: the
        primary contrast alone, any other at the strictest step of Holm's correction); infinite
        where no difference can be shown

    Raises:
        InputError: if a column is missing or a parameter is not valid

    Examples:
        >>> table = pd.DataFrame(
        ...     {"condition": ["aligned"], "reference": "none", "difference": 0.03,
        ...      "se": 0.01, "df": 23.0}
        ... )
        >>> detectable_differences(table)["detectable"].round(4).item()
        0.0293
    """
    needed = ["condition", "reference", "difference", "se", "df"]
    refuse_unknown("column", needed, contrasts.columns)
    if not 0 < alpha < power < 1:
        raise InputError(
            f"alpha and power: found {alpha} and {power}, valid are 0 < alpha < power < 1"
        )
    table = contrasts[needed].reset_index(drop=True)
    pairs = zip(table["condition"], table["reference"], strict=True)
    alone, strictest = np.full(len(table), alpha), strictest_levels(pairs, alpha)
    for column, levels in (("detectable", alone), ("detectable_holm", strictest)):
        table[column] = [
            detectable_difference(se, df, power=power, alpha=level)
            for se, df, level in zip(table["se"], table["df"], levels, strict=True)
        ]
    return table


def detectable_difference(
    se: float, df: float, *, power: float = 0.8, alpha: float = 0.05
) -> float:
    """As ``detectable_differences``, for one standard error.

    Args:
        se: standard error of the difference
        df: its degrees of freedom
        power: probability of finding the difference
        alpha: two-sided level

    Returns:
        the difference, in the unit of ``se``; infinite without degrees of freedom
    """
    if not (np.isfinite(se) and df > 0):
        return float("inf")
    bound = scipy.stats.t.ppf(1 - alpha / 2, df)

    def missing(noncentrality: float) -> float:
        # scipy has NaN for the tail on the far side once it is too small to matter.
        wrong_side = np.nan_to_num(scipy.stats.nct.cdf(-bound, df, noncentrality))
        return float(scipy.stats.nct.sf(bound, df, noncentrality) + wrong_side - power)

    enough = bound
    while missing(enough) < 0:
        enough *= 2
    return float(scipy.optimize.brentq(missing, 0, enough) * se)


def speakers_needed(
    se: float, df: float, speakers: int, difference: float, *, alpha: float = 0.05
) -> float:
    """The smallest number of speakers with which a difference would be detected.

    Speakers are taken to be like those observed: the standard error shrinks with the square root of
    their number, and the degrees of freedom grow in proportion. The standard error is itself an
    estimate, and so is this number.

    Args:
        se: standard error of the difference, as observed
        df: its degrees of freedom
        speakers: number of speakers behind both
        difference: the true difference that is to be detected with a probability of 80 %, above 0,
            in the unit of ``se``
        alpha: two-sided level

    Returns:
        a whole number from 2 on; infinite where it cannot be told, or is above a million

    Examples:
        Half a standard deviation, by a paired t test (33.4 by ``TTestPower`` of statsmodels):

        >>> speakers_needed(1 / 10**0.5, 9, 10, 0.5)
        34
    """
    if not (np.isfinite(se) and df > 0 and speakers > 1):
        return float("inf")

    def detected(number: int) -> bool:
        freedom = df * (number - 1) / (speakers - 1)
        # With less, quantiles of t are beyond what can be computed, and nothing is detected.
        if freedom < 1:
            return False
        error = se * (speakers / number) ** 0.5
        return detectable_difference(error, freedom, alpha=alpha) <= difference

    fewest, enough = 1, 2
    while not detected(enough):
        if enough > 1_000_000:
            return float("inf")
        fewest, enough = enough, 2 * enough
    while enough - fewest > 1:
        middle = (fewest + enough) // 2
        fewest, enough = (fewest, middle) if detected(middle) else (middle, enough)
    return enough


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
    conditions, with the interval and p-value of one (see ``speakers.py``). The permutation
    test rearranges the doses within whole speakers and takes the slope as its statistic. Page's
    test looks at the order alone: it ranks the doses within each speaker, so that each speaker
    counts the same, however few their utterances.

    All three are tests of a trend over speakers. None shows that UAR falls at every step;
    ``falls_throughout`` says whether it was seen to. Spearman's correlation of UAR with the dose is
    what papers report (see ``spearman``); it takes the conditions for independent observations.

    Args:
        predictions: predictions as ``run_study`` returns them, with conditions such as
            ``corrupted(0.5)``; ``aligned`` is dose 0
        labels: the classes
        resamples: number of rearrangements
        confidence: coverage that the interval aims at, between 0 and 1
        seed: of the rearrangements

    Returns:
        DataFrame, one row per family of at least two doses: ``family``, ``doses`` (their number),
        ``slope`` (change of UAR from dose 0 to 1), ``low``, ``high``, ``se``, ``df``,
        ``speakers``, ``p``, ``permutation_p``, ``page_p`` (all two-sided; Page's is NaN with fewer
        than three doses), ``spearman_rho``, ``spearman_p``, ``spearman_exact_p`` (as ``spearman``
        has them), ``falls_throughout``

    Raises:
        InputError: if no family has two doses, or as ``compare`` raises it

    References:
        Page, J. Am. Statist. Assoc. 58 (1963)

    Examples:
        >>> from sercue.statistics.measures import LABELS, example_predictions
        >>> accuracy = {"aligned": 0.8, "corrupted(0.5)": 0.6, "corrupted(1)": 0.3}
        >>> table = dose_trends(example_predictions(accuracy, speakers=8), LABELS)
        >>> table[["family", "slope", "p", "permutation_p", "page_p"]].round(3)
              family  slope      p  permutation_p  page_p
        0  corrupted -0.458  0.002            0.0   0.002
    """
    check_resampling(resamples, confidence)
    counted = speaker_counts(predictions, labels)
    known = doses_of(condition_facts(predictions))
    families = {family: own for family, own in known.items() if len(own) > 1}
    if not families:
        raise InputError(
            "dose trend: found no two doses of one family; valid are conditions such as "
            f"corrupted(0.5), here are {', '.join(counted.conditions)}"
        )
    rows = []
    for family, own in families.items():
        counted.check_paired(own)
        places, dose = [counted.place(name) for name in own], np.array(list(own.values()))
        slope = (dose - dose.mean()) / ((dose - dose.mean()) ** 2).sum()
        weights = np.zeros((1, len(counted.conditions)))
        weights[0, places] = slope
        found = counted.uar.combine(weights)
        (low,), (high,) = found.interval(confidence)
        sums = rearranged_sums(counted.share_of_recall()[places].T, resamples=resamples, seed=seed)
        uar = counted.uar.estimate[places]
        rho, rho_p, exact_p = spearman(dose, uar, resamples=resamples, seed=seed)
        rows.append({
            "family": family, "doses": len(dose), "slope": found.estimate[0], "low": low,
            "high": high, "se": found.se[0], "df": found.df[0],
            "speakers": len(counted.speakers), "p": found.p_value()[0],
            "permutation_p": drawn_p(abs(found.estimate[0]), np.abs(sums @ slope)),
            "page_p": _page_p(mean_recall(counted.hits[places], counted.totals[places]).T),
            "spearman_rho": rho, "spearman_p": rho_p, "spearman_exact_p": exact_p,
            "falls_throughout": bool((np.diff(uar) < 0).all()),
        })  # fmt: skip
    return pd.DataFrame(rows)


def spearman(
    dose: Sequence[float] | np.ndarray,
    uar: Sequence[float] | np.ndarray,
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Spearman's rank correlation of UAR with the dose, over the conditions of a family.

    The first p-value is scipy's, of Student's t distribution, as papers report it. It does not
    hold with few doses: of five, perfectly ordered UAR gives 0, though 2 of the 120 orders are as
    extreme, and at 5 % it rejects a true hypothesis in 10 of 120 cases. The second one counts the
    orders. Neither accounts for the utterances and speakers that all conditions share: they say
    nothing of other speakers.

    Args:
        dose: of each condition
        uar: of each condition, in the same order
        resamples: orders that are counted: all of them, if there are no more
        seed: of the orders that are drawn

    Returns:
        rho (-1 to 1) and the two two-sided p-values; NaN with fewer than three doses and where
        UAR is the same for all

    References:
        Spearman, Am. J. Psychol. 15 (1904)

    Examples:
        >>> rho, p, exact_p = spearman([0, 0.25, 0.5, 0.75, 1], [0.8, 0.7, 0.72, 0.6, 0.5])
        >>> round(rho, 3), round(p, 3), round(exact_p, 3)
        (-0.9, 0.037, 0.083)
    """
    # Conditions with the same answers are a tie, whatever the order in which they were summed.
    values = np.round(np.asarray(uar, dtype=float), 12)
    if len(values) < 3 or np.ptp(values) == 0:
        return np.nan, np.nan, np.nan
    found = scipy.stats.spearmanr(dose, values)
    ranks = scipy.stats.rankdata([dose, values], axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    length = np.linalg.norm(ranks, axis=1).prod()
    exact = scipy.stats.permutation_test(
        (ranks[1],), lambda drawn, axis: drawn @ ranks[0] / length, permutation_type="pairings",
        vectorized=True, n_resamples=resamples, rng=seed,
    )  # fmt: skip
    return float(found.statistic), float(found.pvalue), float(exact.pvalue)


def _page_p(by_speaker: np.ndarray) -> float:
    """Two-sided p-value of Page's test for a table of shape (speakers, doses)."""
    if by_speaker.shape[1] < 3:
        return np.nan
    # Without ties the exact distribution is to be had, but speakers of few utterances tie.
    one_sided = [
        scipy.stats.page_trend_test(table, method="asymptotic").pvalue
        for table in (by_speaker, by_speaker[:, ::-1])
    ]
    return float(min(1.0, 2 * min(one_sided)))


def uar_components(predictions: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    r"""Variance components of UAR: wording, label order, replicate, speaker, and what they share.

    For each condition, the UAR of each speaker in each cell of template x label order x replicate
    is taken as a sum of random effects of these four and of their interactions. Components are
    estimated by the method of moments: mean squares of the crossed analysis of variance are set
    equal to their expectations. A factor with one level cannot vary and is left out. Interactions
    of more than two, and that of all factors, are the residual; it holds the chance of few
    utterances a speaker and cell, too.

    A component of few levels is known badly: two templates give one degree of freedom, on which
    its standard deviation may be off by several times. Estimates below 0 are set to 0. A speaker's
    UAR is over the classes this speaker has, so that some of the speakers' component is their
    classes.

    Args:
        predictions: predictions as ``run_study`` returns them
        labels: the classes

    Returns:
        DataFrame, one row per condition and component: ``condition``, ``component`` (a factor, two
        joined by ``:``, or ``residual``), ``levels`` (of a factor; empty else), ``df``,
        ``variance`` (of UAR), ``sd`` (its square root, in UAR), ``share`` (of the sum of all)

    Raises:
        InputError: if a condition has fewer than two factors with two levels, or if cells are
            missing

    References:
        Searle, Casella and McCulloch, Variance Components (1992), chapter 4

    Examples:
        >>> from sercue.statistics.measures import LABELS, example_predictions
        >>> parts = [
        ...     example_predictions({"none": p}, seed=seed).assign(template=name)
        ...     for seed, (name, p) in enumerate({"plain": 0.9, "long": 0.5}.items())
        ... ]
        >>> uar_components(pd.concat(parts), LABELS)[["component", "df", "sd"]].round(2)
          component  df    sd
        0  template   1  0.32
        1   speaker   3  0.00
        2  residual   3  0.15
    """
    tables = []
    for condition, rows in predictions.groupby("condition", sort=False):
        crossed = [name for name in FACTORS[:-1] if name in rows and rows[name].nunique() > 1]
        varying = [*crossed, *(["speaker"] if rows["speaker"].nunique() > 1 else [])]
        if len(varying) < 2:
            raise InputError(
                f"condition {condition!r}: found {len(varying)} factors with several levels; "
                f"variance components need two of {', '.join(FACTORS)}"
            )
        cell = rows.groupby(crossed, sort=True).ngroup() if crossed else 0
        counts, cells, _ = confusion_counts(rows.assign(condition=cell), labels)
        hits = np.diagonal(counts[..., :-1], axis1=2, axis2=3).astype(float)
        values = mean_recall(hits, counts.sum(axis=-1).astype(float))[np.argsort(cells)]
        levels = [rows[name].nunique() for name in varying]
        if values.size != np.prod(levels) or np.isnan(values).any():
            raise InputError(
                f"condition {condition!r}: found no answers of some speakers in some cells of "
                f"{', '.join(crossed)}; valid is every combination"
            )
        tables.append(components_of(values.reshape(levels), varying).assign(condition=condition))
    columns = ["condition", "component", "levels", "df", "variance", "sd", "share"]
    return pd.concat(tables, ignore_index=True)[columns]


def components_of(values: np.ndarray, factors: Sequence[str]) -> pd.DataFrame:
    """Variance components of a complete crossed table with one value per cell.

    In such a table the sums of squares that ``variance_components`` projects for have a closed
    form. It gives the same estimates without matrices of the size of the table, at 612 cells some
    two hundred times faster.

    Args:
        values: one axis per factor, each of length 2 or more
        factors: names of the axes

    Returns:
        DataFrame, one row per component, without ``condition`` as ``uar_components`` has it

    Examples:
        >>> table = components_of(np.array([[1.0, 2.0], [3.0, 4.0]]), ["template", "speaker"])
        >>> table[["component", "df", "variance"]]
          component  df  variance
        0  template   1       2.0
        1   speaker   1       0.5
        2  residual   1       0.0
    """
    axes = range(values.ndim)
    variance: dict[frozenset[int], float] = {}
    df: dict[frozenset[int], int] = {}
    averaged: dict[frozenset[int], float] = {}
    # The widest interactions first: their variances are part of every narrower mean square.
    for chosen in (frozenset(c) for size in axes for c in combinations(axes, values.ndim - size)):
        others = tuple(axis for axis in axes if axis not in chosen)
        effect = values.mean(axis=others, keepdims=True)
        for axis in chosen:
            effect = effect - effect.mean(axis=axis, keepdims=True)
        df[chosen] = int(np.prod([values.shape[axis] - 1 for axis in chosen]))
        averaged[chosen] = float(np.prod([values.shape[axis] for axis in others], initial=1))
        square = (effect**2).sum() * averaged[chosen] / df[chosen]
        above = sum(averaged[wider] * variance[wider] for wider in variance if wider > chosen)
        variance[chosen] = (square - above) / averaged[chosen]
    rows: dict[str, list[object]] = {}
    residual, residual_df = 0.0, 0
    for chosen in sorted(variance, key=lambda one: (len(one), sorted(one))):
        positive = max(variance[chosen], 0.0)
        if len(chosen) > 2 or len(chosen) == values.ndim:
            residual, residual_df = residual + positive, residual_df + df[chosen]
        else:
            levels = values.shape[min(chosen)] if len(chosen) == 1 else pd.NA
            name = ":".join(factors[axis] for axis in sorted(chosen))
            rows[name] = [levels, df[chosen], positive]
    rows["residual"] = [pd.NA, residual_df, residual]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["levels", "df", "variance"])
    table["levels"] = table["levels"].astype("Int64")
    table["sd"] = np.sqrt(table["variance"].astype(float))
    whole = table["variance"].sum()
    table["share"] = table["variance"] / whole if whole > 0 else np.nan
    return table.rename_axis("component").reset_index()


def uar_intervals_by(
    predictions: pd.DataFrame,
    labels: Sequence[str],
    *,
    by: str | Sequence[str] = "template",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """UAR of each condition for each wording of the prompt, with intervals over speakers.

    Args:
        predictions: predictions as ``run_study`` returns them
        labels: the classes
        by: ``"template"``, or ``"label_order"``, or another column, or several
        confidence: coverage that the intervals aim at, between 0 and 1

    Returns:
        DataFrame, one row per condition and level of ``by``, both in order of appearance: the
        columns of ``uar_intervals`` and ``by``

    Raises:
        InputError: if the column is missing, or as ``uar_intervals`` raises it

    Examples:
        >>> from sercue.statistics.measures import LABELS, example_predictions
        >>> table = uar_intervals_by(example_predictions(), LABELS)
        >>> table[["template", "condition", "uar"]].round(3).values.tolist()
        [['plain', 'none', 0.417], ['plain', 'aligned', 0.708]]
    """
    parts = [
        uar_intervals(part, labels, confidence=confidence).assign(**level)
        for level, part in _by_level(predictions, by)
    ]
    table = pd.concat(parts, ignore_index=True)
    order = table["condition"].map({name: n for n, name in enumerate(table["condition"].unique())})
    return table.iloc[order.argsort(kind="stable")].reset_index(drop=True)


def _by_level(
    predictions: pd.DataFrame, by: str | Sequence[str]
) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Each level of one or several columns, in order of appearance, and its predictions."""
    columns = [by] if isinstance(by, str) else list(by)
    refuse_unknown("column", columns, predictions.columns)
    for level, part in predictions.groupby(columns, sort=False, observed=True):
        yield dict(zip(columns, level, strict=True)), part


def gain_by(
    predictions: pd.DataFrame,
    labels: Sequence[str],
    *,
    by: str = "template",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """The gain in UAR of aligned tokens over none for each template, with intervals.

    Args:
        predictions: predictions as ``run_study`` returns them
        labels: the classes
        by: ``"template"``, or ``"label_order"``, or another column
        confidence: coverage that the intervals aim at, between 0 and 1

    Returns:
        DataFrame, one row per template in order of appearance: the column ``by``, ``uar``,
        ``uar_reference``, ``difference``, ``low``, ``high``, ``se``, ``df``, ``p``

    Raises:
        InputError: if the column or a condition is missing, or as ``compare`` raises it

    Examples:
        >>> from sercue.statistics.measures import LABELS, example_predictions
        >>> gain_by(example_predictions(), LABELS)[["template", "difference"]].round(2)
          template  difference
        0    plain        0.29
    """
    check_confidence(confidence)
    parts = []
    for level, part in _by_level(predictions, by):
        counted = speaker_counts(part, labels)
        parts.append(uar_differences(counted, [PRIMARY], confidence=confidence).assign(**level))
    columns = [by, "uar", "uar_reference", "difference", "low", "high", "se", "df", "p"]
    return pd.concat(parts, ignore_index=True)[columns]
