r"""Speakers as the unit of error: their confusions, their paired answers, and standard errors.

UAR is a sum of ratios, each a total over speakers. Its error is therefore, to first order, a sum of
one term per speaker, and the speakers are the independent draws. UAR is also a linear combination
of the coefficients of a least-squares fit of right answers on indicators of the true classes, so
that the small-sample corrections made for such fits apply exactly, and in closed form.

With :math:`h_{sk}` of :math:`n_{sk}` utterances of class k right for speaker s, totals
:math:`N_k = \sum_s n_{sk}` and recalls :math:`R_k`, the term of a speaker is

.. math:: \psi_s = \frac{1}{K} \sum_k
    \frac{h_{sk} - R_k n_{sk}}{N_k \sqrt{1 - n_{sk} / N_k}}

and :math:`\sum_s \psi_s^2` estimates the variance (CR2: Bell and McCaffrey). It is unbiased where
answers are independent. Intervals take quantiles of Student's t with Satterthwaite's degrees of
freedom, computed under the working assumption that right answers of one speaker correlate at 0.1
within a class and at 0.05 between classes. Speakers of unequal size, and classes that few speakers
have, lower them below speakers - 1.

What was found, by simulation (``tests/calibration/RESULTS.md``): these intervals cover as they say
from 8 speakers on, speakers of very unequal size and speakers without some classes included.
Percentile and BCa bootstrap intervals do not, nor does the uncorrected sandwich, not even with t
quantiles on speakers - 1.

References:
    Bell and McCaffrey, Survey Methodology 28 (2002); Imbens and Kolesár, Rev. Econ. Stat. 98
    (2016); Pustejovsky and Tipton, J. Bus. Econ. Stat. 36 (2018)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import scipy

from sercue.errors import InputError, refuse_unknown, unknown
from sercue.statistics.measures import CELL, confusion_counts, ratio

_ANSWERED = ("utterance", "speaker", "truth", "condition", "replicate", "prediction")
# Of the degrees of freedom alone. With 0 they come out too high where speakers differ in size;
# anything from 0.05 to 0.2 gives nearly the same.
_WITHIN_CLASS = 0.1
_BETWEEN_CLASSES = 0.05
# Below this a standard error is rounding.
_NOTHING = 1e-12


@dataclass(frozen=True)
class Clustered:
    """Estimates, each with what every speaker adds to its error.

    Attributes:
        estimate: shape (estimates,)
        influence: shape (estimates, speakers); the squares of a row add up to the variance
        df: degrees of freedom, shape (estimates,); 0 where the data tell nothing of the
            variance, as for a class that a single speaker has
    """

    estimate: np.ndarray
    influence: np.ndarray
    df: np.ndarray

    @property
    def se(self) -> np.ndarray:
        """Standard errors, shape (estimates,); infinite without degrees of freedom."""
        return np.where(self.df > 0, np.sqrt((self.influence**2).sum(axis=1)), np.inf)

    def combine(self, weights: np.ndarray) -> Clustered:
        """Linear combinations of the estimates, for instance differences.

        Args:
            weights: shape (combinations, estimates)

        Returns:
            the combinations, with the fewest degrees of freedom of what they are made of
        """
        weights = np.asarray(weights, dtype=float).reshape(-1, len(self.estimate))
        involved = np.where(weights != 0, self.df, np.inf)
        df = involved.min(axis=1, initial=np.inf)
        return Clustered(weights @ self.estimate, weights @ self.influence, df)

    def interval(self, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper ends of two-sided intervals; without degrees of freedom the whole line.

        Args:
            confidence: coverage that the interval aims at, between 0 and 1
        """
        t = scipy.stats.t.ppf((1 + confidence) / 2, np.where(self.df > 0, self.df, 1))
        half = np.asarray(t) * self.se
        return self.estimate - half, self.estimate + half

    def rows(
        self, confidence: float, name: str = "difference", *, least: float = -1, most: float = 1
    ) -> pd.DataFrame:
        """The estimates as rows of a table.

        Args:
            confidence: coverage that the intervals aim at, between 0 and 1
            name: of the column of estimates
            least: where intervals are cut, since no estimate can be lower
            most: where they are cut above

        Returns:
            DataFrame, one row per estimate: ``name``, ``low``, ``high``, ``se``, ``df``, ``p``
        """
        low, high = self.interval(confidence)
        return pd.DataFrame(
            {
                name: self.estimate, "low": np.maximum(low, least), "high": np.minimum(high, most),
                "se": self.se, "df": self.df, "p": self.p_value(),
            }
        )  # fmt: skip

    def p_value(self, null: float = 0.0) -> np.ndarray:
        """Two-sided p-values of "the estimate is ``null``".

        Where all speakers agree to the last digit, so that there is no error to compare with, the
        p-value is 1 if they agree on ``null``, else that of all signs alike, 2 / 2^speakers.
        """
        away, se = self.estimate - null, self.se
        t = np.divide(np.abs(away), se, out=np.zeros_like(away), where=se > _NOTHING)
        p = 2 * scipy.stats.t.sf(t, np.where(self.df > 0, self.df, 1))
        agreed = np.where(np.abs(away) > _NOTHING, 2.0 ** (1 - self.influence.shape[1]), 1.0)
        return np.where(se > _NOTHING, p, agreed)

    def p_above(self, null: float) -> np.ndarray:
        """One-sided p-values of "the estimate is at most ``null``"; small if it lies above.

        Half of ``p_value``, or 1 less that. Where all speakers agree to the last digit it is that
        of all signs alike, 2^-speakers, if they agree on more than ``null``, 0.5 if they agree on
        ``null`` itself, and 1 - 2^-speakers if on less.
        """
        p = self.p_value(null) / 2
        return np.where(self.estimate > null, p, 1 - p)


def fieller(
    part: float, whole: float, covariance: tuple[float, float, float], t: float
) -> tuple[float, float]:
    r"""Fieller's interval of the ratio of two estimates.

    All ratios :math:`\rho` at which :math:`p - \rho w` does not differ from 0:

    .. math:: (p - \rho w)^2 \le t^2 (V_{pp} - 2 \rho V_{pw} + \rho^2 V_{ww})

    Unlike the delta method it is right where the whole is small against its error: there it has no
    end, and NaN stands for both.

    Args:
        part: p
        whole: w
        covariance: variance of p, covariance of p and w, variance of w
        t: quantile that the errors are multiplied with

    Returns:
        low, high

    Examples:
        >>> low, high = fieller(1.0, 4.0, (0.01, 0.01, 0.02), 2.0)
        >>> round(low, 3), round(high, 3)
        (0.209, 0.288)
    """
    of_part, joint, of_whole = covariance
    square = whole**2 - t**2 * of_whole
    if not square > 0:
        return np.nan, np.nan
    middle, rest = part * whole - t**2 * joint, part**2 - t**2 * of_part
    # What rounding leaves below zero is zero.
    reach = np.sqrt(max(middle**2 - square * rest, 0.0))
    return float((middle - reach) / square), float((middle + reach) / square)


def recall_estimates(hits: np.ndarray, totals: np.ndarray) -> Clustered:
    """Mean recall of each condition over the classes that occur, with speakers' influence.

    With a single class it is a share: accuracy, say, or how often a class is predicted.

    Args:
        hits: right answers, shape (conditions, speakers, classes)
        totals: all answers, same shape. One utterance should count 1, however many rows it has.

    Returns:
        one estimate a condition

    Examples:
        Two classes, four speakers of two utterances of each:

        >>> hits = np.array([[[2, 0], [2, 1], [1, 1], [1, 2]]])
        >>> found = recall_estimates(hits, np.full((1, 4, 2), 2))
        >>> found.estimate.round(3), found.se.round(3), found.df.round(1)
        (array([0.625]), array([0.072]), array([3.]))
    """
    hits, totals = np.asarray(hits, dtype=float), np.asarray(totals, dtype=float)
    pooled = totals.sum(axis=1, keepdims=True)
    share = ratio(totals, pooled)
    recall = ratio(hits.sum(axis=1, keepdims=True), pooled)
    classes = (pooled > 0).sum(axis=2)
    # A class that one speaker has leaves no residual; its degrees of freedom are 0.
    residual = ratio(hits - recall * totals, pooled * np.sqrt(np.clip(1 - share, 0, 1)))
    # Conditions of one study mostly share their totals, and the speakers squared are worth saving.
    different = {one.tobytes(): one for one in totals}
    df = {key: degrees_of_freedom(one) for key, one in different.items()}
    estimate = ratio(recall.sum(axis=(1, 2)), classes[:, 0], empty=np.nan)
    influence = ratio(residual.sum(axis=2), classes)
    return Clustered(estimate, influence, np.array([df[one.tobytes()] for one in totals]))


def degrees_of_freedom(totals: np.ndarray) -> float:
    r"""Satterthwaite's degrees of freedom of the variance of a mean recall.

    With :math:`P` the covariance of the speakers' terms under the working assumption,
    :math:`(\text{tr} P)^2 / \text{tr}(P^2)`.

    Args:
        totals: utterances, shape (speakers, classes)

    Returns:
        degrees of freedom, at most speakers - 1; 0 if a class has a single speaker or there is
        no utterance

    Examples:
        >>> round(degrees_of_freedom(np.full((10, 4), 5)), 2)
        9.0
        >>> round(degrees_of_freedom(np.array([[50], [1], [1], [1]])), 2)
        1.06
    """
    totals = np.asarray(totals, dtype=float)
    totals = totals[:, totals.sum(axis=0) > 0]
    pooled = totals.sum(axis=0)
    if not totals.size or ((totals > 0).sum(axis=0) < 2).any():
        return 0.0
    weight = 1 / (pooled * np.sqrt(1 - totals / pooled))
    covariance = _working_covariance(totals, weight)
    return float(np.trace(covariance) ** 2 / (covariance**2).sum())


def _working_covariance(totals: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Covariance of the speakers' terms, shape (speakers, speakers), under the working assumption.

    A term is the speaker's weighted answers less the recalls, to which all speakers add: minus
    ``pulled`` for each answer. Multiplied out, no array is larger than speakers squared.
    """
    pooled = totals.sum(axis=0)
    pulled = weight * totals / pooled
    independent = np.diag((totals * weight**2).sum(axis=1)) - pulled @ (pooled * pulled).T
    cross = (weight * totals**2) @ pulled.T
    within = np.diag(((weight * totals) ** 2).sum(axis=1)) - cross - cross.T
    within += pulled @ ((totals**2).sum(axis=0) * pulled).T
    own = (weight * totals).sum(axis=1)
    cross = own[:, None] * (totals @ pulled.T)
    between = np.diag(own**2) - cross - cross.T + pulled @ (totals.T @ totals) @ pulled.T
    return (
        (1 - _WITHIN_CLASS) * independent
        + (_WITHIN_CLASS - _BETWEEN_CLASSES) * within
        + _BETWEEN_CLASSES * between
    )


@dataclass(frozen=True)
class SpeakerCounts:
    """Confusions by condition and speaker, in which an utterance counts 1.

    An utterance that was asked about in several templates, label orders or replicates shares its 1
    among these rows: they are one draw, not several.

    Attributes:
        counts: shape (conditions, speakers, labels, labels + 1): the true class, then the
            predicted one, the last column being invalid answers
        conditions: names, in order of first appearance
        speakers: names, sorted
        labels: the classes
        utterances: numbers of the utterances of each condition, sorted
    """

    counts: np.ndarray
    conditions: list[str]
    speakers: list[str]
    labels: list[str]
    utterances: dict[str, np.ndarray]

    @cached_property
    def hits(self) -> np.ndarray:
        """Right answers, shape (conditions, speakers, labels)."""
        return np.diagonal(self.counts[..., :-1], axis1=2, axis2=3)

    @cached_property
    def totals(self) -> np.ndarray:
        """Utterances, shape (conditions, speakers, labels)."""
        return self.counts.sum(axis=-1)

    @property
    def answering(self) -> np.ndarray:
        """Number of speakers under each condition, shape (conditions,)."""
        return (self.totals.sum(axis=2) > 0).sum(axis=1)

    @cached_property
    def uar(self) -> Clustered:
        """UAR of each condition, with its error over speakers."""
        return recall_estimates(self.hits, self.totals)

    def share_of_recall(self) -> np.ndarray:
        """What each speaker adds to the UAR of each condition, shape (conditions, speakers).

        The sum over speakers is the UAR.
        """
        pooled = self.totals.sum(axis=1, keepdims=True)
        return ratio(self.hits, pooled).sum(axis=2) / (pooled > 0).sum(axis=2)

    def place(self, condition: str) -> int:
        """Where a condition stands.

        Raises:
            InputError: if there is no such condition
        """
        if condition not in self.conditions:
            raise unknown("condition", condition, self.conditions)
        return self.conditions.index(condition)

    def contrast_weights(self, contrasts: Sequence[tuple[str, str]]) -> np.ndarray:
        """Weights of conditions that make the differences, shape (contrasts, conditions).

        Raises:
            InputError: if a condition is unknown or compared with itself, or two conditions of a
                contrast do not have the same utterances
        """
        weights = np.zeros((len(contrasts), len(self.conditions)))
        for row, (condition, reference) in enumerate(contrasts):
            if condition == reference:
                raise InputError(f"contrast: found {condition!r} twice, valid are two conditions")
            weights[row, self.place(condition)] += 1
            weights[row, self.place(reference)] -= 1
            self.check_paired([condition, reference])
        return weights

    def check_paired(self, conditions: Iterable[str]) -> None:
        """Refuse conditions that were not asked about the same utterances.

        Raises:
            InputError: naming the first two that differ
        """
        first, *others = conditions
        for other in others:
            differing = np.setxor1d(self.utterances[first], self.utterances[other])
            if len(differing):
                raise InputError(
                    f"contrast {first!r} against {other!r}: found {len(differing)} utterances "
                    "under one of the two only; valid are the same utterances under both"
                )


def speaker_counts(predictions: pd.DataFrame, labels: Sequence[str]) -> SpeakerCounts:
    """Count the confusions of each speaker under each condition.

    Args:
        predictions: predictions as ``run_study`` or ``baselines`` returns them
        labels: the classes

    Returns:
        the counts

    Raises:
        InputError: if there are fewer than two speakers, or as ``confusion_counts`` raises it

    Examples:
        >>> from sercue.statistics.measures import LABELS, example_predictions
        >>> counted = speaker_counts(example_predictions(), LABELS)
        >>> counted.uar.estimate.round(3), counted.totals.sum(axis=(1, 2))
        (array([0.417, 0.708]), array([24., 24.]))
    """
    counts, conditions, speakers = confusion_counts(predictions, labels)
    if len(speakers) < 2:
        raise InputError(f"speakers: found {len(speakers)}, inference over speakers needs two")
    utterance, _ = pd.factorize(predictions["utterance"])
    condition = predictions["condition"]
    spoken = {name: np.unique(utterance[(condition == name).to_numpy()]) for name in conditions}
    utterances = np.array([len(spoken[name]) for name in conditions])
    weight = utterances / counts.sum(axis=(1, 2, 3))
    weighted = counts * weight[:, None, None, None]
    return SpeakerCounts(weighted, conditions, speakers, list(labels), spoken)


def speaker_points(predictions: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """What each speaker adds to the UAR of each condition, on the scale of UAR.

    It is the term of the speaker in the sum that is UAR (``SpeakerCounts.share_of_recall``), times
    the number of speakers: the mean over speakers is the UAR, and the mean of the differences
    between two conditions is the difference that is tested. Where all speakers have equally many
    utterances of each class it is the speaker's own UAR; a speaker without one of the classes has
    no UAR, and one with much material has larger values than others, even above 1.

    Args:
        predictions: predictions as ``run_study`` returns them
        labels: the classes

    Returns:
        DataFrame, one row per speaker, one column per condition

    Examples:
        >>> from sercue.statistics.measures import LABELS, example_predictions
        >>> speaker_points(example_predictions(), LABELS).mean().round(3).to_dict()
        {'none': 0.417, 'aligned': 0.708}
    """
    counted = speaker_counts(predictions, labels)
    index = pd.Index(counted.speakers, name="speaker")
    values = len(index) * counted.share_of_recall().T
    return pd.DataFrame(values, index, pd.Index(counted.conditions, name="condition"))


def primary_cell(predictions: pd.DataFrame) -> pd.DataFrame:
    """One prediction for each utterance and condition: the cell that tests of counts use.

    It is the first template in order of appearance, within it the first label order, decoding and
    replicate. Answers to several templates, orders or replicates about one utterance repeat each
    other; counted as if independent they would make any p-value too small. The cell is fixed by
    the plan of the study, so that none can be picked for its result.

    Args:
        predictions: predictions as ``run_study`` returns them

    Returns:
        the rows of the primary cell

    Raises:
        InputError: if the cell holds two answers of one utterance under one condition

    Examples:
        >>> from sercue.statistics.measures import example_predictions
        >>> first = example_predictions()
        >>> both = pd.concat([first, first.assign(template="long")], ignore_index=True)
        >>> primary_cell(both)["template"].unique().tolist()
        ['plain']
    """
    kept = np.ones(len(predictions), bool)
    for column in CELL[1:]:
        if column in predictions:
            values = predictions[column]
            first = values[kept].min() if column == "label_order" else values.iloc[kept.argmax()]
            kept &= (values == first).to_numpy()
    if "replicate" in predictions:
        asked = predictions.loc[kept, ["condition", "replicate"]]
        least = asked.groupby("condition")["replicate"].transform("min")
        kept[kept] = (asked["replicate"] == least).to_numpy()
    rows = predictions if kept.all() else predictions[kept]
    # How often the commonest pair occurs: counted, since to hash all pairs takes memory.
    inner, outer = (rows[name].astype("category").cat for name in ("condition", "utterance"))
    # A missing value has the code -1.
    number = outer.codes.to_numpy() + np.int64(1)
    number *= 1 + len(inner.categories)
    number += inner.codes.to_numpy() + 1
    if np.bincount(number).max(initial=0) > 1:
        twice = rows.duplicated(["utterance", "condition"])
        utterance, condition = rows.loc[twice, ["utterance", "condition"]].iloc[0]
        raise InputError(
            f"predictions: utterance {utterance!r} occurs twice under condition {condition!r} in "
            "the same template, label order, decoding and replicate; valid is one row"
        )
    return rows


@dataclass(frozen=True)
class PairedAnswers:
    """The answers to the same utterances under several conditions.

    Attributes:
        answers: shape (utterances, conditions), columns named by condition; missing if invalid
        truth: true class of each utterance
        speaker: number of the speaker of each utterance, from 0
    """

    answers: pd.DataFrame
    truth: np.ndarray
    speaker: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """Whether each answer is right, shape (utterances, conditions); an invalid one is not."""
        return np.asarray(self.answers.to_numpy() == self.truth[:, None], dtype=bool)

    @property
    def speakers(self) -> int:
        """Number of speakers."""
        return int(self.speaker.max()) + 1

    def by_speaker(self, values: np.ndarray) -> np.ndarray:
        """Sums over the utterances of each speaker.

        Args:
            values: shape (utterances, ...)

        Returns:
            shape (speakers, ...)
        """
        columns = values.reshape(len(values), -1).T
        sums = [np.bincount(self.speaker, column, self.speakers) for column in columns]
        return np.stack(sums, axis=1).reshape(self.speakers, *values.shape[1:])


def paired_answers(predictions: pd.DataFrame, conditions: Sequence[str]) -> PairedAnswers:
    """The answers of the primary cell under some conditions, one row per utterance.

    Args:
        predictions: predictions as ``run_study`` returns them
        conditions: names of at least two conditions

    Raises:
        InputError: if a condition is unknown, if one lacks utterances that another has, or as
            ``primary_cell`` raises it

    Examples:
        >>> from sercue.statistics.measures import example_predictions
        >>> both = paired_answers(example_predictions(), ["none", "aligned"])
        >>> both.right.sum(axis=0), both.speakers
        (array([10, 17]), 4)
    """
    needed = [name for name in (*_ANSWERED, *CELL[1:]) if name in predictions]
    cell = primary_cell(predictions[needed])
    names = cell["condition"].unique()
    refuse_unknown("condition", conditions, names)
    chosen = cell["condition"].isin(list(conditions))
    rows = cell if chosen.all() else cell[chosen]
    who = rows.drop_duplicates("utterance")
    lacking = [name for name in conditions if (rows["condition"] == name).sum() != len(who)]
    if lacking:
        raise InputError(
            f"conditions {', '.join(conditions)}: found utterances in the primary cell that "
            f"{', '.join(lacking)} lacks; valid are the same utterances, templates and label "
            "orders under all"
        )
    # Numbered in the order of their first appearance, as in ``who``.
    number, utterances = pd.factorize(rows["utterance"])
    table = np.empty((len(who), len(conditions)), dtype=object)
    for place, name in enumerate(conditions):
        own = (rows["condition"] == name).to_numpy()
        said = rows["prediction"][own].astype(object)
        table[number[own], place] = said.where(said.notna(), None)
    index = pd.Index(utterances, name="utterance")
    columns = pd.Index(conditions, name="condition")
    # As objects the answers are the few labels themselves; as texts each would be held anew.
    answers = pd.DataFrame(table, index=index, columns=columns, dtype=object)
    speaker = pd.factorize(who["speaker"])[0]
    return PairedAnswers(answers, who["truth"].to_numpy(object), speaker)
