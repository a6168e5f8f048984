"""A condition: one way of changing the tokens while the audio stays, and what it may draw on."""

from __future__ import annotations

import contextlib
import copy
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from sercue.corpora.audio_variants import AUDIO_VARIANTS, OWN
from sercue.corpora.corpus import Corpus
from sercue.errors import InputError, refuse_unknown
from sercue.tokens.concepts import UNKNOWN, Words, words_by_concept

# What is indexed as the tokens.
_BESIDE = ("emotions", "speakers", "folds", "scores")


@dataclass(frozen=True, eq=False)
class Material:
    """Tokens of some utterances, and what else a condition may need to know about them.

    Only ``tokens`` and ``words`` are always there. A condition that needs more calls
    ``known``, which raises an error that names what is missing.

    Attributes:
        tokens: true tokens, shape (utterances, concepts)
        words: concept to its words; a sequence, from low to high, is that of every concept
        emotions: true class of each utterance, indexed as ``tokens``
        speakers: speaker of each utterance, indexed as ``tokens``
        folds: fold of each utterance of a cross-validated corpus, indexed as ``tokens``
        scores: scores of the ordinal concepts, in robust z-scores, indexed as ``tokens``
        training: the same of the training utterances. In a cross-validated corpus these are all
            utterances; ``training_for`` leaves out the fold that is evaluated.

    Raises:
        InputError: if a token is neither one of its concept's words nor ``unknown``, or if an
            index differs

    Examples:
        >>> own = pd.DataFrame({"energy": ["low", "unknown"]}, index=["a", "b"])
        >>> Material(own, ("low", "mid", "high")).known("emotions")
        Traceback (most recent call last):
            ...
        sercue.errors.InputError: material: found no emotions, and this condition needs them
    """

    tokens: pd.DataFrame
    words: Mapping[str, Words]
    emotions: pd.Series | None = None
    speakers: pd.Series | None = None
    folds: pd.Series | None = None
    scores: pd.DataFrame | None = None
    training: Material | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", words_by_concept(self.words, list(map(str, self.tokens))))
        for concept, words in self.words.items():
            valid = [*words.known, UNKNOWN]
            strange = [str(word) for word in self.tokens[concept].unique() if word not in valid]
            if strange:
                raise InputError(
                    f"tokens of {concept!r}: found {', '.join(map(repr, strange))}, valid are "
                    f"{', '.join(valid)}"
                )
        for name in _BESIDE:
            series = getattr(self, name)
            if series is not None and not series.index.equals(self.tokens.index):
                raise InputError(f"{name}: found another index than that of the tokens")

    @classmethod
    def of_corpus(
        cls,
        corpus: Corpus,
        tokens: pd.DataFrame,
        words: Mapping[str, Words] | Sequence[str],
        *,
        partition: str = "test",
        scores: pd.DataFrame | None = None,
    ) -> Material:
        """The material of a study.

        Args:
            corpus: names classes, speakers and training utterances. If it is cross-validated,
                the training utterances of an utterance are those of all other folds.
            tokens: true tokens, indexed as ``corpus.table``; training utterances without tokens
                are no training material
            words: concept to its words; a sequence, from low to high, is that of every concept
            partition: which partition is evaluated
            scores: of the ordinal concepts, as ``Binning.scores`` gives them, if they are known

        Examples:
            >>> from sercue.corpora.corpus import example_corpus
            >>> corpus = example_corpus(speakers=3, utterances=4)
            >>> tokens = pd.DataFrame({"energy": ["low", "high"] * 6}, index=corpus.table.index)
            >>> material = Material.of_corpus(corpus, tokens, ("low", "mid", "high"))
            >>> material.speakers.unique().tolist(), material.training.speakers.unique().tolist()
            (['s2'], ['s0'])
        """
        evaluated = corpus.rows(partition)
        training = corpus.table if corpus.folds else corpus.rows("train")
        training = training[training.index.isin(tokens.index)]
        cross_validated = bool(corpus.folds)
        return replace(
            _described(evaluated, tokens, words, cross_validated),
            scores=None if scores is None else scores.loc[evaluated.index],
            training=_described(training, tokens, words, cross_validated),
        )

    def known(self, name: str) -> Any:
        """``emotions``, ``speakers``, ``folds`` or ``scores``, for a condition that needs them.

        Raises:
            InputError: if it is not known
        """
        series = getattr(self, name)
        if series is None:
            raise InputError(f"material: found no {name}, and this condition needs them")
        return series

    def training_for(self, fold: str | None) -> Material:
        """The training material of the utterances of one fold: that of all other folds.

        Args:
            fold: the fold, or ``None`` where there are none

        Raises:
            InputError: if there is no training material at all
        """
        if self.training is None:
            raise InputError("material: found no training utterances; this condition needs them")
        if fold is None:
            return self.training
        return self.training.take(np.flatnonzero(self.training.known("folds") != fold))

    def take(self, positions: np.ndarray) -> Material:
        """The same of some utterances, in the order of ``positions``."""
        known = {name: getattr(self, name) for name in _BESIDE}
        rows = {name: one.iloc[positions] for name, one in known.items() if one is not None}
        return replace(self, tokens=self.tokens.iloc[positions], **rows)

    @cached_property
    def order(self) -> np.ndarray:
        """Positions of the utterances in the order of their index."""
        index = self.tokens.index
        return pd.Series(np.arange(len(index)), index).sort_index(kind="stable").to_numpy()

    @cached_property
    def ordered(self) -> Material:
        """The same in the order of the index, as are its training utterances."""
        training = None if self.training is None else self.training.ordered
        return replace(self.take(self.order), training=training)

    def copy(self) -> Material:
        """One whose tables can be changed without a change to these; nothing is checked again."""
        copied = copy.copy(self)
        for name in ("tokens", *_BESIDE, "training"):
            if (own := getattr(self, name)) is not None:
                object.__setattr__(copied, name, own.copy())
        return copied

    def fold_rows(self) -> list[tuple[str | None, np.ndarray]]:
        """Each fold with the positions of its utterances; one fold of all if there are none."""
        if self.folds is None:
            return [(None, np.arange(len(self.tokens)))]
        folds = self.folds.to_numpy()
        return [(fold, np.flatnonzero(folds == fold)) for fold in sorted(set(folds))]


def _described(
    rows: pd.DataFrame,
    tokens: pd.DataFrame,
    words: Mapping[str, Words] | Sequence[str],
    cross_validated: bool,
) -> Material:
    return Material(
        tokens=tokens.loc[rows.index],
        words=words_by_concept(words, list(map(str, tokens))),
        emotions=rows["emotion"],
        speakers=rows["speaker"],
        folds=rows["fold"] if cross_validated else None,
    )


Change = Callable[[Material, np.random.Generator], pd.DataFrame | None]


#: In ``attrs`` of the tokens shown, where each row is that of one utterance: the classes of these.
DONORS = "donors"
#: Families of conditions about some of the concepts.
ABOUT_CONCEPTS = ("only", "without", "flip")
#: Between concepts in names and in the column ``concepts`` of predictions.
PLUS = " + "
#: Between what is done to the tokens and what is heard, in names of conditions.
AT = " @ "
_NAME = re.compile(r"\s*(\w+)\s*(?:\(([^()]*)\))?\s*")


def parts_of(name: object) -> tuple[str, str | None]:
    """A condition's name without its brackets, and what stands in them, if there are any.

    Examples:
        >>> parts_of("only(energy + pitch)"), parts_of("none")
        (('only', 'energy + pitch'), ('none', None))
    """
    match = _NAME.fullmatch(str(name))
    return (match[1], match[2]) if match else (str(name), None)


def listed_concepts(text: str) -> tuple[str, ...]:
    """The concepts of a text that joins them by +; none of an empty one.

    Examples:
        >>> listed_concepts("energy + voice  quality")
        ('energy', 'voice quality')
    """
    return tuple(" ".join(part.split()) for part in text.split("+") if part.strip())


def parts_heard(name: object) -> tuple[str, str]:
    """What a condition does to the tokens, and what is heard under it.

    Examples:
        >>> parts_heard("aligned@reversed"), parts_heard("only(a + b)")
        (('aligned', 'reversed'), ('only(a + b)', 'own'))
    """
    tokens, at, heard = str(name).partition(AT.strip())
    return (tokens.strip(), heard.strip()) if at else (str(name), OWN)


def told_by_name(name: str) -> tuple[str, float, tuple[str, ...]]:
    """Family, dose and concepts as the name of a condition tells them.

    Examples:
        >>> told_by_name("flip(pitch)"), told_by_name("mine")
        (('flip', nan, ('pitch',)), ('mine', nan, ()))
    """
    name = parts_heard(name)[0]
    family, inside = parts_of(name)
    if family in ABOUT_CONCEPTS and inside:
        return family, np.nan, listed_concepts(inside)
    with contextlib.suppress(ValueError):
        return family, float(inside or ""), ()
    return name, np.nan, ()


def no_remarks(material: Material) -> str:
    """The default of ``remarks``: no note."""
    return ""


@dataclass(frozen=True)
class Condition:
    """One way of changing the tokens.

    A condition of your own is a function and two strings, as in the example. ``run_study``
    takes it together with names: ``conditions=["none", "aligned", exaggerated]``.

    Attributes:
        name: as studies and tables write it, for instance ``corrupted(0.5)``
        description: one line for the report
        change: (material, random generator) to the tokens shown, indexed as ``material.tokens``,
            or ``None`` for no token block. A column that is left out is a concept that the prompt
            does not show.
        stochastic: whether replicates differ, or a function of the words of each concept that
            returns this
        stream: conditions with the same stream draw the same random numbers, so that
            ``corrupted(0.25)`` changes a subset of what ``corrupted(0.5)`` changes; by default
            the name, without what is heard
        remarks: a note for the report on this condition with this material, for instance
            that a speaker has only one utterance; empty if there is none
        family: what it does, regardless of dose and concepts; by default taken from the name:
            ``corrupted`` for ``corrupted(0.5)``
        dose: the dose, for trends; NaN if there is none
        concepts: the concepts concerned, if they are some and not all
        form: of the token block, one of ``FORMS``; by default that of the template

    Examples:
        >>> def exaggerate(material, generator):
        ...     shown = material.tokens.copy()
        ...     for concept, words in material.words.items():
        ...         if words.ordered:
        ...             lowest, low, *_, high, highest = words.each
        ...             shown[concept] = shown[concept].replace({low: lowest, high: highest})
        ...     return shown
        >>> exaggerated = Condition("exaggerated", "all but extremes moved outward", exaggerate)
        >>> own = pd.DataFrame({"energy": ["low", "very high"], "pitch": ["high", "mid"]})
        >>> words = ("very low", "low", "mid", "high", "very high")
        >>> exaggerated.show(Material(own, words), seed=0).to_numpy().tolist()
        [['very low', 'very high'], ['very high', 'mid']]
    """

    name: str
    description: str
    change: Change
    stochastic: bool | Callable[[Mapping[str, Words]], bool] = False
    stream: str | None = None
    remarks: Callable[[Material], str] = no_remarks
    family: str = ""
    dose: float = np.nan
    concepts: tuple[str, ...] = ()
    form: str = ""

    @property
    def heard(self) -> str:
        """The audio variant, as the name tells it: ``reversed`` of ``aligned @ reversed``."""
        return parts_heard(self.name)[1]

    def __post_init__(self) -> None:
        refuse_unknown(f"condition {self.name!r}: audio", [self.heard], AUDIO_VARIANTS)
        if not self.family:
            told = zip(("family", "dose", "concepts"), told_by_name(self.name), strict=True)
            for field, value in told:
                object.__setattr__(self, field, value)

    def show(self, material: Material, *, seed: int, replicate: int = 0) -> pd.DataFrame | None:
        """The tokens that this condition shows.

        Random numbers are drawn for the utterances in the order of their index, so what an
        utterance is shown does not depend on the order of the rows. It does depend on which
        other utterances are evaluated, since tokens are exchanged among these.

        Args:
            material: the evaluated utterances, and the training ones
            seed: the study's seed
            replicate: number of the repetition, from 0

        Returns:
            tokens with the index of ``material.tokens``, or ``None`` for no token block; where each
            row is that of one utterance, ``attrs`` holds the classes of these under ``DONORS``

        Raises:
            InputError: if the material is not enough for this condition, or if the function of
                the condition returns other rows, no column, or an empty cell
        """
        # Sorted and checked once for all conditions; each has its own, which it may change.
        ordered = material.ordered.copy()
        stream = parts_heard(self.name)[0] if self.stream is None else self.stream
        generator = np.random.default_rng([seed, replicate, *stream.encode()])
        shown = self.change(ordered, generator)
        if shown is None:
            return None
        index = material.ordered.tokens.index
        if not shown.index.equals(index):
            raise InputError(
                f"condition {self.name!r}: returned rows {list(shown.index[:3])} ..., valid are "
                "those of material.tokens, in their order"
            )
        if not shown.shape[1] or shown.isna().to_numpy().any():
            raise InputError(
                f"condition {self.name!r}: returned no column or an empty cell; valid is a word "
                "in each cell, or None for no token block"
            )
        back = np.argsort(material.order)
        tokens = shown.iloc[back]
        if DONORS in shown.attrs:
            tokens.attrs = {DONORS: tuple(shown.attrs[DONORS][place] for place in back)}
        return tokens

    def is_random(self, words: Mapping[str, Words]) -> bool:
        """Whether replicates differ.

        Args:
            words: concept to its words
        """
        return self.stochastic(words) if callable(self.stochastic) else self.stochastic

    def replicates(self, number: int, words: Mapping[str, Words]) -> range:
        """The replicates to run: one where nothing is random.

        Args:
            number: of replicates where something is
            words: concept to its words
        """
        return range(number if self.is_random(words) else 1)
