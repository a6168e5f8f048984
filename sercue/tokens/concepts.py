"""Concepts and their words, and which eGeMAPS values are measurements.

A concept is ordinal, a signed set of features whose bins have words (``Concept``), or nominal, a
set of rules of which each gives a word (``Category``). ``schemes`` reads them from a file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from sercue.errors import InputError, refuse_unknown

UNKNOWN = "unknown"
WORDS = {3: ("low", "mid", "high"), 5: ("very low", "low", "mid", "high", "very high")}

# openSMILE writes zero, not "missing", for a functional of voiced frames where there is no voiced
# frame. A median F0 of 0 semitones is 27.5 Hz, below any voice, so it marks such an utterance.
_F0_MEDIAN = "F0semitoneFrom27.5Hz_sma3nz_percentile50.0"
_VOICED_ONLY = (
    "F0", "jitter", "shimmer", "HNR", "logRelF0", "F1", "F2", "F3", "V_sma3nz", "slopeV",
)  # fmt: skip
_OF_DESCRIPTORS = re.compile(r"(voiced_)?mean\(|voiced_(share|frames)$")


@dataclass(frozen=True)
class Words:
    """The words of one concept, and their opposites.

    Attributes:
        each: the words that a perturbation may draw, from low to high if they are ordered
        ordered: whether they are
        opposites: word to the words of which ``conflicting`` shows one in its place, all equally
            likely. By default the order is reversed and the middle word becomes either extreme.
        plain: the word that ``constant`` shows; by default the middle one
        undrawn: words that tokens may have but that no perturbation draws

    Examples:
        >>> Words(("low", "mid", "high")).opposites
        {'low': ('high',), 'mid': ('low', 'high'), 'high': ('low',)}
    """

    each: tuple[str, ...]
    ordered: bool = True
    opposites: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    plain: str | None = None
    undrawn: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        middle = self.each[len(self.each) // 2] if len(self.each) % 2 else None
        if self.ordered and not self.opposites:
            mirrored = {
                word: (self.each[0], self.each[-1]) if word == middle else (other,)
                for word, other in zip(self.each, reversed(self.each), strict=True)
            }
            object.__setattr__(self, "opposites", mirrored)
        if self.ordered and self.plain is None:
            object.__setattr__(self, "plain", middle)

    @property
    def known(self) -> tuple[str, ...]:
        """All words that a token which could be measured may have."""
        return (*self.each, *self.undrawn)

    @property
    def levels(self) -> dict[str, float]:
        """Word to level, from -1 (lowest) to 1 (highest); nothing if they have no order.

        Examples:
            >>> Words(("low", "mid", "high")).levels
            {'low': -1.0, 'mid': 0.0, 'high': 1.0}
        """
        if not self.ordered:
            return {}
        return {word: 2 * n / (len(self.each) - 1) - 1 for n, word in enumerate(self.each)}


def words_by_concept(
    words: Sequence[str] | Mapping[str, Words], concepts: Sequence[str]
) -> dict[str, Words]:
    """The words of each concept; a plain sequence, from low to high, is that of all of them.

    Raises:
        InputError: if the words of a concept are missing
    """
    if not isinstance(words, Mapping):
        return dict.fromkeys(concepts, Words(tuple(words)))
    for concept in concepts:
        if concept not in words:
            raise InputError(f"words: none of concept {concept!r}; found {', '.join(words)}")
    return {concept: words[concept] for concept in concepts}


@dataclass(frozen=True)
class Concept:
    """An ordinal concept: a signed set of features whose mean z-score is cut into bins.

    Attributes:
        name: as the prompt shows it
        features: column of the features to sign, +1 or -1: functionals, or means of descriptors
        bins: number of bins
        scales: number of bins to the words, from low to high
        middle: the opposite of the middle word under ``conflicting``: ``"extremes"`` (the lowest
            or the highest word, at random) or ``"itself"``
        by_sex: whether each sex has edges of its own
    """

    name: str
    features: Mapping[str, int]
    bins: int = 3
    scales: Mapping[int, tuple[str, ...]] = field(default_factory=lambda: WORDS)
    middle: str = "extremes"
    by_sex: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the features that it needs."""
        return tuple(self.features)

    @property
    def words(self) -> Words:
        """Its words with this number of bins."""
        each = self.scales[self.bins]
        if self.middle == "extremes":
            return Words(each)
        return Words(each, opposites={w: (o,) for w, o in zip(each, each[::-1], strict=True)})

    def with_bins(self, bins: int) -> Concept:
        """The same concept with another number of bins.

        Raises:
            InputError: if there are no words for this number
        """
        if bins not in self.scales:
            valid = ", ".join(map(str, self.scales))
            raise InputError(f"bins: found {bins!r}, valid are {valid} (concept {self.name!r})")
        return replace(self, bins=bins)


_LOG = re.compile(r"log\((.+)\)")
_NAMES = re.compile(r"(?<![\w.])[A-Za-z_]\w*")
_RULE = re.compile(r"[\w\s.<>=+/()*-]+")
# Powers, attributes, and a single equals sign.
_NO_RULE = re.compile(r"\*\*|[A-Za-z_]\w*\.|\.[A-Za-z_]|(?<![<>=])=(?!=)")


@dataclass(frozen=True)
class Category:
    """A nominal concept: the first rule that holds gives the word.

    Attributes:
        name: as the prompt shows it
        measures: name in the rules to a column of the features, or ``log(column)``; the rules see
            robust z-scores of the training utterances
        rules: word to a condition on measures, and on columns of the features by name; comparisons
            joined by ``and`` and ``or``
        otherwise: the word where no rule holds
        each: the words that a perturbation may draw
        opposites: word to the one that ``conflicting`` shows in its place
        by_sex: whether z-scores are relative to training utterances of the same sex

    Raises:
        InputError: if a rule is not such a condition, or if a word is in no list

    Examples:
        >>> measures = {"jitter": "log(jitterLocal_sma3nz_amean)"}
        >>> quality = Category("quality", measures, {"ROUGH": "jitter > 1"}, "MODAL")
        >>> z = pd.DataFrame({"jitter": [0.5, 1.5, np.nan]})
        >>> quality.tokens(z, pd.DataFrame(index=z.index)).tolist()
        ['MODAL', 'ROUGH', 'unknown']
    """

    name: str
    measures: Mapping[str, str]
    rules: Mapping[str, str]
    otherwise: str
    each: tuple[str, ...] = ()
    opposites: Mapping[str, str] = field(default_factory=dict)
    by_sex: bool = False

    def __post_init__(self) -> None:
        given = (*self.rules, self.otherwise)
        if not self.each:
            object.__setattr__(self, "each", given)
        refuse_unknown(
            f"word of {self.name}", (*self.each, *self.opposites, *self.opposites.values()), given
        )
        for word, rule in self.rules.items():
            if not _RULE.fullmatch(rule) or _NO_RULE.search(rule):
                raise InputError(
                    f"rule of {word}: found {rule!r}, valid are comparisons of measures and "
                    "numbers with < <= > >= + - * /, joined by and, or, and brackets"
                )
        zeros = pd.DataFrame(0.0, [0], list(self.measures))
        self.tokens(zeros, pd.DataFrame(0.0, [0], self._named))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the features that it needs."""
        measured = [source_of(measure) for measure in self.measures.values()]
        return tuple(dict.fromkeys([*measured, *self._named]))

    @property
    def words(self) -> Words:
        """Its words, without an order."""
        undrawn = tuple(w for w in (*self.rules, self.otherwise) if w not in self.each)
        opposites = {word: (other,) for word, other in self.opposites.items()}
        return Words(self.each, False, opposites, self.otherwise, undrawn)

    def with_bins(self, bins: int) -> Category:
        """The same concept, which has no bins."""
        return self

    def tokens(self, z: pd.DataFrame, features: pd.DataFrame) -> pd.Series:
        """The word of each row.

        A row in which a measure is missing is ``unknown``, unless a rule without measures holds.

        Args:
            z: the measures, as robust z-scores, one column for each
            features: the features; rules may name their columns

        Raises:
            InputError: if a rule cannot be evaluated
        """
        lacking = z.isna().any(axis=1).to_numpy()
        words = np.where(lacking, UNKNOWN, np.array(self.otherwise, dtype=object))
        values = z.join(features[self._named])
        for word, rule in reversed(list(self.rules.items())):
            try:
                holds = np.asarray(values.eval(rule, engine="python"), dtype=bool)
            # Of a rule that is none, pandas and Python raise what they like.
            except Exception as error:
                raise InputError(f"rule of {word}: {rule!r} cannot be evaluated: {error}") from None
            relative = set(_NAMES.findall(rule)) & set(self.measures)
            words = np.where(holds & ~lacking if relative else holds, word, words)
        return pd.Series(words, z.index, dtype=object)

    @property
    def _named(self) -> list[str]:
        """What rules name besides measures: columns of the features."""
        known = {*self.measures, "and", "or", "not"}
        names = [name for rule in self.rules.values() for name in _NAMES.findall(rule)]
        return [name for name in dict.fromkeys(names) if name not in known]


def source_of(measure: str) -> str:
    """The column that a measure is made of: itself, or what stands in its ``log(...)``.

    Examples:
        >>> source_of("log(jitterLocal_sma3nz_amean)"), source_of("HNRdBACF_sma3nz_amean")
        ('jitterLocal_sma3nz_amean', 'HNRdBACF_sma3nz_amean')
    """
    match = _LOG.fullmatch(measure)
    return match[1] if match else measure


def measurable(features: pd.DataFrame) -> pd.DataFrame:
    """The features with NaN wherever openSMILE had nothing to measure.

    Without a voiced frame every functional of voiced frames is zero by convention; that zero is
    not a measurement. Infinite values (the level of digital silence) are not either.
    """
    values = features.astype(float).replace([np.inf, -np.inf], np.nan)
    if _F0_MEDIAN in values:
        voiced = [name for name in values if needs_voice(str(name))]
        values.loc[values[_F0_MEDIAN] <= 0, voiced] = np.nan
    return values


def functionals_of(features: pd.DataFrame) -> pd.DataFrame:
    """The functionals among features: all columns but means of descriptors and voicing.

    Examples:
        >>> features = pd.DataFrame(columns=["mean(Loudness_sma3)", "loudness_sma3_amean"])
        >>> list(functionals_of(features))
        ['loudness_sma3_amean']
    """
    return features.loc[:, [not _OF_DESCRIPTORS.match(str(name)) for name in features]]


def needs_voice(functional: str) -> bool:
    """Whether openSMILE takes a functional from voiced frames alone.

    Examples:
        >>> needs_voice("F1frequency_sma3nz_amean"), needs_voice("loudness_sma3_amean")
        (True, False)
    """
    return functional.startswith(_VOICED_ONLY) or "V_sma3nz" in functional
