"""Evidence that nothing much changed: equivalence in UAR, no collapse, and no shift to neutral.

A large p-value is no evidence of equality; it may come from few speakers. Equivalence is shown by
an interval that lies inside a margin which was stated beforehand. With two one-sided tests (TOST)
at level alpha, it is the interval of confidence 1 - 2 alpha over speakers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sercue.errors import InputError, unknown
from sercue.statistics.contrasts import EMPTY, corrected_p, flips_decide, holm
from sercue.statistics.measures import ratio
from sercue.statistics.resampling import check_resampling, sign_flip_p
from sercue.statistics.speakers import Clustered, SpeakerCounts, recall_estimates, speaker_counts
from sercue.tokens.catalogue import is_main

_LEVEL = 0.05
# Below this a difference is rounding.
_NOTHING = 1e-12
_TESTED = ["difference", "low", "high", "se", "df", "speakers", "p", "permutation_p", "decided_by",
           "holm_p"]  # fmt: skip


def equivalence_tests(
    predictions: pd.DataFrame,
    labels: Sequence[str],
    contrasts: Sequence[tuple[str, str]],
    *,
    margin: float,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Is the UAR of two conditions the same to within a margin?

    Args:
        predictions: predictions as ``run_study`` returns them
        labels: the classes
        contrasts: pairs (condition, reference)
        margin: largest difference in UAR that counts as none, above 0; stated before the numbers
            are seen
        alpha: level of each one-sided test

    Returns:
        DataFrame, one row per contrast: ``condition``, ``reference``, ``difference``, ``low``,
        ``high`` (interval of confidence 1 - 2 alpha, not corrected), ``margin``, ``equivalence_p``
        (the larger one-sided p-value), ``holm_p`` (corrected as that of ``compare``: the primary
        contrast by itself, the others by Holm), ``equivalent`` (whether ``holm_p`` is below alpha)

    Raises:
        InputError: if the margin or alpha is not valid, or as ``compare`` raises it

    References:
        Schuirmann, J. Pharmacokinet. Biopharm. 15 (1987)

    Examples:
        >>> from sercue.statistics.measures import LABELS, example_predictions
        >>> rows = example_predictions({"none": 0.6, "aligned": 0.6}, speakers=30, utterances=60)
        >>> table = equivalence_tests(rows, LABELS, [("aligned", "none")], margin=0.05)
        >>> table["equivalent"].item()
        True
    """
    if not 0 < alpha < 0.5:
        raise InputError(f"alpha: found {alpha}, valid are numbers between 0 and 0.5")
    _check_margins(margin=margin)
    counted = speaker_counts(predictions, labels)
    found = counted.uar.combine(counted.contrast_weights(contrasts))
    table = pd.DataFrame(contrasts, columns=["condition", "reference"])
    table = table.join(found.rows(1 - 2 * alpha)[["difference", "low", "high"]])
    table["margin"] = margin
    table["equivalence_p"] = equivalence_p(found, margin)
    table["holm_p"] = corrected_p(contrasts, table["equivalence_p"])
    table["equivalent"] = table["holm_p"] < alpha
    return table


def equivalence_p(found: Clustered, margin: float) -> np.ndarray:
    """P-values of "the estimate is outside ± margin": the larger of the two one-sided ones.

    Where all speakers have the same difference, as under a model that ignores all tokens, there is
    no error to hold the margin against. If it lies inside the margin the p-value is then
    2^-speakers, that of all signs alike, and no less: 0.0625 for 4 speakers, 0.004 for 8.

    Args:
        found: estimates with their errors over speakers
        margin: above 0
    """
    return np.maximum(found.p_above(-margin), 1 - found.p_above(margin))


def verdicts(tests: pd.DataFrame, equivalence: pd.DataFrame) -> pd.Series:
    """What the corrected tests of a difference and of equivalence say of each contrast.

    Args:
        tests: as ``compare`` returns them
        equivalence: as ``equivalence_tests`` returns it, of the same contrasts in the same order

    Returns:
        with the index of ``tests``: ``"different"``; ``"different (small)"`` if the
        difference is shown to be smaller than the margin, too; ``"equivalent"``; ``"unchanged"``
        if UAR is the same for every speaker; else ``"inconclusive"``

    Examples:
        >>> tests = pd.DataFrame({"difference": [0.1, 0.0], "se": 0.02, "holm_p": [0.01, 0.9]})
        >>> verdicts(tests, pd.DataFrame({"equivalent": [False, False]})).tolist()
        ['different', 'inconclusive']
    """
    found = tests["holm_p"].to_numpy() < _LEVEL
    equal = equivalence["equivalent"].to_numpy(dtype=bool)
    same = (tests[["difference", "se"]].abs() < _NOTHING).all(axis=1).to_numpy()
    names = np.select(
        [found & equal, found, equal, same],
        ["different (small)", "different", "equivalent", "unchanged"],
        "inconclusive",
    )
    return pd.Series(names, tests.index, dtype=object)


def judged(tests: pd.DataFrame, equivalence: pd.DataFrame) -> pd.DataFrame:
    """Planned contrasts with what both tests say of each, for the sentences about them.

    Args:
        tests: as ``compare`` returns them
        equivalence: as ``equivalence_tests`` returns it, of the same contrasts

    Returns:
        ``tests`` with ``verdict`` (as ``verdicts`` has it), ``margin`` and ``tost_p``, the
        corrected p-value of equivalence

    Examples:
        >>> tests = pd.DataFrame({"difference": [0.0], "se": 0.01, "holm_p": [0.9]})
        >>> equal = pd.DataFrame({"equivalent": [True], "margin": 0.05, "holm_p": 0.01})
        >>> judged(tests, equal)[["verdict", "margin", "tost_p"]].to_numpy().tolist()
        [['equivalent', 0.05, 0.01]]
    """
    return tests.assign(
        verdict=verdicts(tests, equivalence),
        margin=equivalence["margin"].to_numpy(),
        tost_p=equivalence["holm_p"].to_numpy(),
    )


def evidence(
    tests: pd.DataFrame, detectable: pd.DataFrame, equivalence: pd.DataFrame
) -> pd.DataFrame:
    """All that is known of each planned contrast in one table.

    Args:
        tests: as ``compare`` returns them
        detectable: as ``detectable_differences`` returns it, of the same contrasts
        equivalence: as ``equivalence_tests`` returns it, of the same contrasts

    Returns:
        the columns of ``tests``; ``detectable``, ``detectable_holm``; ``equivalence_low``,
        ``equivalence_high``, ``margin``, ``equivalence_p``, ``equivalence_holm_p``; ``verdict``
    """
    names = {"low": "equivalence_low", "high": "equivalence_high", "holm_p": "equivalence_holm_p"}
    tested = equivalence.rename(columns=names)[[*names.values(), "margin", "equivalence_p"]]
    parts = [tests, detectable[["detectable", "detectable_holm"]], tested]
    joined = pd.concat([part.reset_index(drop=True) for part in parts], axis=1)
    return joined.assign(verdict=verdicts(joined, equivalence))


def collapse_tests(
    predictions: pd.DataFrame, labels: Sequence[str], *, entropy_margin: float, share_margin: float
) -> pd.DataFrame:
    r"""Do the answers stay as spread over the classes as under ``aligned``?

    Two measures of the valid answers: normalised entropy
    :math:`H = -\sum_k q_k \log q_k / \log K`, and the share of the commonest class. "No collapse"
    is shown where entropy falls by less than its margin, and where the commonest share rises by
    less than its margin (one-sided tests of non-inferiority). A condition has to pass both, so its
    p-value is the larger one; these are corrected by Holm's method for all conditions.

    Errors are linearised over speakers. Where the classes are answered equally often, entropy is at
    its maximum and has no slope: its variance has a second-order part for that. With 8 speakers "no
    collapse" then errs in 6 % of the cases where the truth lies on the margin, and in 7 % without.
    Also tried, and less of a help: the jackknife over speakers, Hall's correction for skewness, and
    a correction of entropy's bias (which, with the second-order part, gets nearest to 5 %, but the
    difference is then no longer that of the values shown). Where two classes tie, the commonest
    share has a kink and its interval is too narrow, by an amount that is small against a margin of
    0.05 or more. A class never answered is taken as never answered by other speakers either.

    Args:
        predictions: predictions as ``run_study`` returns them
        labels: the classes, at least two
        entropy_margin: fall of entropy that counts as none, above 0
        share_margin: rise of the commonest share that counts as none, above 0

    Returns:
        DataFrame, two rows a condition: ``condition``, ``reference``, ``measure`` (``"entropy"`` or
        ``"commonest_share"``), ``value``, ``value_reference``, ``difference``, ``low``, ``high``
        (interval of confidence 90 %, not corrected), ``margin``, ``collapse_p`` (of "it collapsed
        by the margin or more"), ``holm_p`` (of the condition: both measures, corrected),
        ``no_collapse`` (whether that is below .05)

    Raises:
        InputError: if a margin is not valid, or a condition is unknown or unpaired

    Examples:
        >>> from sercue.statistics.measures import LABELS, example_predictions
        >>> rows = example_predictions(speakers=20, utterances=60)
        >>> table = collapse_tests(rows, LABELS, entropy_margin=0.1, share_margin=0.1)
        >>> table[["condition", "measure", "no_collapse"]].values.tolist()
        [['none', 'entropy', True], ['none', 'commonest_share', True]]
    """
    _check_margins(entropy_margin=entropy_margin, share_margin=share_margin)
    counted = speaker_counts(predictions, labels)
    pairs = [(name, "aligned") for name in counted.conditions if name != "aligned"]
    weights = counted.contrast_weights(pairs)
    shares = predicted_shares(counted)
    tables = []
    for measure, values, margin, harmful in (
        ("entropy", entropies(shares), entropy_margin, -1),
        ("commonest_share", commonest_shares(shares), share_margin, 1),
    ):
        table = pd.DataFrame(pairs, columns=["condition", "reference"]).assign(measure=measure)
        table["value"] = values.estimate[[counted.place(name) for name, _ in pairs]]
        table["value_reference"] = values.estimate[counted.place("aligned")]
        found = values.combine(weights)
        table = table.join(found.rows(1 - 2 * _LEVEL)[["difference", "low", "high"]])
        safe = found.p_above(-margin) if harmful < 0 else 1 - found.p_above(margin)
        tables.append(table.assign(margin=margin, collapse_p=safe))
    joined = pd.concat(tables).sort_index(kind="stable").reset_index(drop=True)
    both = joined.groupby("condition", sort=False)["collapse_p"].max()
    joined["holm_p"] = joined["condition"].map(pd.Series(holm(both), both.index))
    return joined.assign(no_collapse=joined["holm_p"] < _LEVEL)


def predicted_shares(counted: SpeakerCounts) -> list[Clustered]:
    """Share of each class among the valid answers: one entry per class, in each the conditions.

    Args:
        counted: confusions of each speaker
    """
    predicted = counted.counts[..., :-1].sum(axis=2)
    valid = predicted.sum(axis=2, keepdims=True)
    classes = range(predicted.shape[2])
    return [recall_estimates(predicted[:, :, [k]], valid) for k in classes]


def predicted_classes(
    predictions: pd.DataFrame, labels: Sequence[str], *, confidence: float = 0.95
) -> pd.DataFrame:
    """How often each class is answered under each condition, with intervals over speakers.

    Args:
        predictions: predictions as ``run_study`` returns them
        labels: the classes
        confidence: coverage that the intervals aim at, between 0 and 1; not corrected

    Returns:
        DataFrame, one row per class and condition: ``label``, ``condition``, ``truth`` (the share
        of the class among the utterances), ``share`` (among the valid answers), ``low``, ``high``

    Examples:
        >>> from sercue.statistics.measures import LABELS, example_predictions
        >>> predicted_classes(example_predictions(), LABELS).head(2).round(2)
           label condition  truth  share   low  high
        0  angry      none   0.33   0.42  0.26  0.57
        1  angry   aligned   0.33   0.33  0.12  0.55
    """
    counted = speaker_counts(predictions, labels)
    asked = counted.totals.sum(axis=1)
    truth = asked / asked.sum(axis=1, keepdims=True)
    tables = []
    for label, shares, asked_for in zip(labels, predicted_shares(counted), truth.T, strict=True):
        table = shares.rows(confidence, "share", least=0)[["share", "low", "high"]]
        names = {"label": label, "condition": counted.conditions, "truth": asked_for}
        tables.append(pd.DataFrame(names).join(table))
    return pd.concat(tables, ignore_index=True)


@dataclass(frozen=True)
class CurvedEstimates(Clustered):
    """Estimates that bend: to what speakers add to the variance comes a part of second order.

    Attributes:
        bend: shape (estimates, any); the squares of a row are added to the variance
    """

    bend: np.ndarray

    @property
    def se(self) -> np.ndarray:
        """Standard errors, shape (estimates,); infinite without degrees of freedom."""
        return np.hypot(super().se, np.sqrt((self.bend**2).sum(axis=1)))

    def combine(self, weights: np.ndarray) -> CurvedEstimates:
        """Linear combinations, as of any estimates; parts of second order combine alike."""
        made = super().combine(weights)
        bend = np.reshape(weights, (-1, len(self.estimate))) @ self.bend
        return CurvedEstimates(made.estimate, made.influence, made.df, bend)


def entropies(shares: Sequence[Clustered]) -> CurvedEstimates:
    r"""Normalised entropy of the predicted classes of each condition, with its error.

    With shares :math:`q_{ck}` of class k under condition c, their covariance M over speakers, and
    :math:`h_{ck} = -1 / (q_{ck} \log K)` the curvature of entropy, the part of second order in the
    covariance of two conditions is :math:`\frac12 \sum_{kl} h_{ck} h_{dl} M_{ck,dl}^2`: what it is
    for normal errors.

    Args:
        shares: as ``predicted_shares`` returns them
    """
    q = np.stack([share.estimate for share in shares])
    logs = np.log(q, out=np.zeros_like(q), where=q > 0) / np.log(len(q))
    slope = -logs[:, :, None]
    of_shares = np.stack([share.influence for share in shares])
    influence = (slope * of_shares).sum(axis=0)
    # A class never answered has no influence either.
    curvature = np.divide(-1, q * np.log(len(q)), out=np.zeros_like(q), where=q > 0)
    joint = np.einsum("kcs,lds->kcld", of_shares, of_shares, optimize=True)
    covariance = np.einsum("kc,ld,kcld->cd", curvature, curvature, joint**2, optimize=True) / 2
    sizes, axes = np.linalg.eigh(covariance)
    bend = axes * np.sqrt(np.maximum(sizes, 0))
    return CurvedEstimates(-(q * logs).sum(axis=0), influence, shares[0].df, bend)


def commonest_shares(shares: Sequence[Clustered]) -> Clustered:
    """Share of the class answered most often under each condition, with its error.

    Args:
        shares: as ``predicted_shares`` returns them
    """
    q = np.stack([share.estimate for share in shares])
    most, conditions = q.argmax(axis=0), np.arange(q.shape[1])
    influence = np.stack([share.influence for share in shares])[most, conditions]
    return Clustered(q[most, conditions], influence, shares[0].df)


def neutral_shifts(
    predictions: pd.DataFrame,
    labels: Sequence[str],
    neutral: str,
    *,
    references: Sequence[str] = ("aligned", "none", EMPTY),
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    r"""Changes in how often other emotions are answered neutral, with intervals and tests.

    .. math:: P(\text{answer} = \text{neutral} \mid
        \text{truth} \ne \text{neutral}, \text{answer valid})

    under a condition, less the same under a reference. Invalid answers are in neither numerator
    nor denominator: counted in the latter, they would pass for a shift away from neutral.

    Interval and ``p`` are made as those of ``compare``. ``permutation_p`` flips the signs of the
    speakers' terms; with :math:`a` of :math:`v` valid answers of a speaker neutral, totals
    :math:`V`, and the share :math:`\pi` of both conditions together, a term is

    .. math:: \frac{a_1 - \pi v_1}{V_1} - \frac{a_2 - \pi v_2}{V_2}

    The terms add up to the difference. They are the effective scores of a logistic regression on
    the condition, whose signs may be flipped (Hemerik et al.). Without invalid answers this is the
    exchange of the two conditions for whole speakers, and the test is exact. With them it is
    approximate: it rejects too often where a single speaker has half of the data.

    Args:
        predictions: predictions as ``run_study`` returns them; conditions about single concepts
            are left out
        labels: the classes
        neutral: the neutral class
        references: conditions that every other one is compared with, as far as they are there; a
            pair is compared once. Relative to ``masked(1)``, a block without information, a shift
            is one of what the tokens say.
        resamples: patterns of signs drawn with more than 14 speakers
        confidence: coverage that the intervals aim at, between 0 and 1; it is not corrected for the
            number of rows
        seed: of these draws

    Returns:
        DataFrame, one row per condition and reference: ``condition``, ``reference``, ``share`` and
        ``share_reference`` (0 to 1), ``difference``, ``low``, ``high`` (-1 to 1), ``se``, ``df``,
        ``speakers`` (with a valid answer under either), ``p``, ``permutation_p``, ``decided_by``
        (``"flips"`` where so many speakers can pass the strictest step of Holm's correction, else
        ``"t"``) and ``holm_p``, the deciding p-value corrected over all rows. NaN where a
        condition has no valid answer to other emotions.

    Raises:
        InputError: if ``neutral`` is no label, if there is nothing to compare, or as ``compare``
            raises it

    References:
        Hemerik, Goeman and Finos, J. R. Statist. Soc. B 82 (2020)

    Examples:
        >>> from sercue.statistics.measures import LABELS, example_predictions
        >>> rows = example_predictions({"none": 0.5, "aligned": 0.9, "constant": 0.4}, speakers=9)
        >>> table = neutral_shifts(rows, LABELS, "neutral")
        >>> table[["condition", "reference", "difference", "low", "high", "holm_p"]].round(2)
          condition reference  difference   low  high  holm_p
        0      none   aligned        0.19 -0.04  0.43    0.47
        1  constant   aligned        0.14 -0.10  0.38    0.62
        2  constant      none       -0.06 -0.24  0.13    0.75
    """
    check_resampling(resamples, confidence)
    if neutral not in labels:
        raise unknown("neutral label", neutral, labels)
    counted = speaker_counts(predictions, labels)
    names = [name for name in counted.conditions if is_main(name)]
    pairs = [
        (name, reference)
        for number, reference in enumerate(references)
        for name in names
        if reference in names and name not in references[: number + 1]
    ]
    if not pairs:
        raise InputError(
            f"neutral shift: found the conditions {', '.join(names)}; valid are "
            f"{' or '.join(references)} and a condition to compare with it"
        )
    weights = counted.contrast_weights(pairs)
    place = list(labels).index(neutral)
    answers = np.delete(counted.counts, place, axis=2)[..., :-1].sum(axis=2)
    said, valid = answers[..., place], answers.sum(axis=2)
    all_said, all_valid = said.sum(axis=1), valid.sum(axis=1)
    share = ratio(all_said, all_valid, np.nan)
    first, second = weights.argmax(axis=1), weights.argmin(axis=1)
    table = pd.DataFrame(pairs, columns=["condition", "reference"])
    table = table.assign(share=share[first], share_reference=share[second])
    answered = all_valid > 0
    known = answered[first] & answered[second]
    if not known.any():
        return table.assign(**dict.fromkeys(_TESTED, np.nan))
    one, other = first[known], second[known]
    found = recall_estimates(said[answered, :, None], valid[answered, :, None])
    rows = found.combine(weights[known][:, answered]).rows(confidence)
    together = ratio(all_said[one] + all_said[other], all_valid[one] + all_valid[other])[:, None]
    terms = (said[one] - together * valid[one]) / all_valid[one, None]
    terms -= (said[other] - together * valid[other]) / all_valid[other, None]
    rows["speakers"] = (valid[one] + valid[other] > 0).sum(axis=1)
    rows["permutation_p"] = sign_flip_p(terms.T, resamples=resamples, seed=seed)
    flips = flips_decide(len(rows), int(rows["speakers"].min()), resamples)
    rows["decided_by"] = "flips" if flips else "t"
    rows["holm_p"] = holm(rows["permutation_p" if flips else "p"])
    return table.join(rows.set_axis(table.index[known])[_TESTED])


def _check_margins(**margins: float) -> None:
    for name, margin in margins.items():
        if not 0 < margin <= 1:
            raise InputError(f"{name}: found {margin}, valid are numbers above 0, up to 1")
