"""From concept scores to tokens: medians, scales and thresholds, fitted on training rows alone.

The score of a concept is the mean of the robust z-scores of its functionals; its token is the bin
of that score, in words.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sercue.corpora.corpus import Corpus
from sercue.errors import InputError, shortened, unknown
from sercue.storage.tables import BINNING, STAMP, UnfitError, check_entries, read_json, write_json
from sercue.tokens.concepts import CONCEPTS, UNKNOWN, WORDS, Concept, measurable

METHODS = ("quantile", "width", "thresholds")
CENTRES = ("speaker", "sex")


@dataclass(frozen=True)
class Binning:
    """Fitted thresholds: turns functionals into concept scores and scores into words.

    Attributes:
        concepts: the concepts, in the order in which a prompt shows them
        medians: functional name to its median over the training rows
        scales: functional name to its interquartile range over the training rows, divided by
            1.349 so that it estimates a standard deviation; NaN if the range is zero
        thresholds: concept name to its ascending inner bin edges, in units of the score
        words: one word per bin, from low to high
        centre: ``None``, ``"speaker"`` or ``"sex"``: whose median was taken off each functional
    """

    concepts: tuple[Concept, ...]
    medians: dict[str, float]
    scales: dict[str, float]
    thresholds: dict[str, tuple[float, ...]]
    words: tuple[str, ...]
    centre: str | None = None

    def scores(self, features: pd.DataFrame, corpus: Corpus | None = None) -> pd.DataFrame:
        """Concept scores: the mean of the signed robust z-scores, one column per concept.

        Args:
            features: functionals, one row per utterance, as ``extract_features`` returns them
            corpus: needed only if ``centre`` is set: names the speaker or sex of each row

        Returns:
            DataFrame of shape (utterances, concepts); NaN where one functional of the concept
            could not be measured

        Raises:
            InputError: if ``centre`` is set and ``corpus`` is missing
        """
        measured = _centred(measurable(features), corpus, self.centre)
        return _scores(measured, self.concepts, self.medians, self.scales)

    def transform(self, features: pd.DataFrame, corpus: Corpus | None = None) -> pd.DataFrame:
        """Tokens: the word of the bin that each concept score falls into.

        A score equal to a threshold falls into the upper bin. A score that could not be measured
        becomes ``"unknown"``.

        Args:
            features: functionals, one row per utterance
            corpus: needed only if ``centre`` is set

        Returns:
            DataFrame of shape (utterances, concepts) holding words
        """
        scores = self.scores(features, corpus)
        return scores.apply(lambda score: self._words(score, self.thresholds[str(score.name)]))

    def _words(self, score: pd.Series, edges: tuple[float, ...]) -> pd.Series:
        level = np.searchsorted(edges, score.to_numpy(), side="right")
        words = np.array(self.words, dtype=object)[np.minimum(level, len(self.words) - 1)]
        return pd.Series(np.where(score.isna(), UNKNOWN, words), index=score.index)

    def edges(self, concept: str) -> list[tuple[float, ...]]:
        """The inner bin edges of a concept: one fit, so one set."""
        return [self.thresholds[concept]]

    def save(self, path: str | Path, **stamp: str) -> None:
        """Write the binning as JSON, with what it was made from."""
        _write(path, asdict(self), stamp)

    @classmethod
    def load(cls, path: str | Path) -> Binning:
        """Read a binning that ``save`` wrote.

        Raises:
            InputError: if the file cannot be read, is of a version that is not read, or holds a
                binning for each fold
        """
        folds = stored_binnings(path)
        if "" not in folds:
            raise InputError(f"{path}: found one binning a fold ({', '.join(folds)}), valid is one")
        stored = folds[""]
        stored["concepts"] = tuple(Concept(**concept) for concept in stored["concepts"])
        stored["thresholds"] = {name: tuple(t) for name, t in stored["thresholds"].items()}
        stored["words"] = tuple(stored["words"])
        return cls(**stored)


@dataclass(frozen=True)
class FoldBinning:
    """The binnings of a cross-validated corpus: none of them has seen the fold that it bins.

    Attributes:
        of_fold: fold to the binning that was fitted on all other folds
    """

    of_fold: dict[str, Binning]

    @property
    def words(self) -> tuple[str, ...]:
        """One word per bin, from low to high."""
        return next(iter(self.of_fold.values())).words

    def scores(self, features: pd.DataFrame, corpus: Corpus) -> pd.DataFrame:
        """Concept scores, each row by the binning of its own fold; see ``Binning.scores``."""
        return self._out_of_fold(features, corpus, Binning.scores)

    def transform(self, features: pd.DataFrame, corpus: Corpus) -> pd.DataFrame:
        """Tokens, each row by the binning of its own fold; see ``Binning.transform``."""
        return self._out_of_fold(features, corpus, Binning.transform)

    def edges(self, concept: str) -> list[tuple[float, ...]]:
        """The inner bin edges of a concept, one set a fold."""
        return [binning.thresholds[concept] for binning in self.of_fold.values()]

    def save(self, path: str | Path, **stamp: str) -> None:
        """Write the binnings as JSON, fold to binning, with what they were made from."""
        folds = {fold: asdict(binning) for fold, binning in self.of_fold.items()}
        _write(path, {"folds": folds}, stamp)

    def _out_of_fold(
        self,
        features: pd.DataFrame,
        corpus: Corpus,
        made_by: Callable[[Binning, pd.DataFrame, Corpus], pd.DataFrame],
    ) -> pd.DataFrame:
        # Each binning sees all rows, since centring takes its medians from all of a group.
        fold = corpus.table.loc[features.index, "fold"].to_numpy()
        parts = [
            made_by(binning, features, corpus)[fold == name]
            for name, binning in self.of_fold.items()
        ]
        return pd.concat(parts).loc[features.index]


def stored_binnings(path: str | Path) -> dict[str, dict[str, Any]]:
    """What a file holds that ``save`` wrote: fold to binning; one fold, ``""``, where is none.

    Raises:
        InputError: if the file cannot be read, or is of a version that is not read
    """
    held, _ = _read(path)
    folds: dict[str, dict[str, Any]] = held.get("folds", {"": held})
    for binning in folds.values():
        check_entries(Path(path), binning, BINNING)
    return folds


def binning_stamp(path: str | Path) -> dict[str, Any]:
    """What a file that ``save`` wrote says that it was made from; nothing if it does not.

    Raises:
        InputError: if the file cannot be read, or is of a version that is not read
    """
    return _read(path)[1]


def _write(path: str | Path, content: dict[str, Any], stamp: dict[str, str]) -> None:
    stamp = {**stamp, "digest": _digest(content)}
    write_json(Path(path), {**content, STAMP: stamp}, BINNING)


def _read(path: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    held = read_json(Path(path), BINNING)
    stamp = held.pop(STAMP, {})
    # Those of an early version have none.
    if stamp and (not isinstance(stamp, dict) or stamp.get("digest") != _digest(held)):
        raise UnfitError(
            f"{path}: its content is not what was written; remove it, and run notebook 02 again"
        )
    return held, stamp


def _digest(content: dict[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(content).encode(), digest_size=8).hexdigest()


def fit_bins(
    features: pd.DataFrame,
    corpus: Corpus,
    *,
    bins: int = 3,
    method: str = "quantile",
    thresholds: Mapping[str, Sequence[float]] | None = None,
    centre: str | None = None,
    concepts: Sequence[Concept] = CONCEPTS,
) -> Binning | FoldBinning:
    r"""Fit medians, scales and thresholds on the training partition.

    Of a cross-validated corpus, once a fold, on all other folds.

    The score of a concept with functionals :math:`x_j` and signs :math:`s_j` is

    .. math:: \frac{1}{J} \sum_j s_j \frac{x_j - \text{median}_j}{\text{IQR}_j / 1.349}

    Args:
        features: functionals, one row per utterance, indexed as ``corpus.table``
        corpus: names the training rows, and the speakers or sexes to centre by
        bins: 3 (low, mid, high) or 5 (very low ... very high)
        method: ``"quantile"`` (equally filled bins on the training rows), ``"width"`` (equally
            wide bins between the 1st and 99th percentile) or ``"thresholds"``
        thresholds: concept name to ``bins - 1`` ascending edges, for ``method="thresholds"``
        centre: ``"speaker"`` or ``"sex"`` takes each group's own median off every functional
            first. It uses no label, but it does use all recordings of a test speaker at once.
        concepts: the concepts to bin

    Raises:
        InputError: if a parameter is not valid, if a functional is missing, or if there is no
            training row in which a concept could be measured

    Returns:
        ``Binning``; ``FoldBinning`` of a cross-validated corpus

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus = example_corpus(speakers=3, utterances=3)
        >>> features = pd.DataFrame({"loudness": range(9)}, index=corpus.table.index)
        >>> loud = Concept("energy", {"loudness": 1})
        >>> fit_bins(features, corpus, concepts=[loud]).transform(features)["energy"].tolist()
        ['low', 'mid', 'high', 'high', 'high', 'high', 'high', 'high', 'high']
    """
    _check_choices(bins, method, centre)
    if method == "thresholds":
        check_thresholds(thresholds or {}, bins, concepts)
    missing = sorted({f for c in concepts for f in c.functionals} - set(features.columns))
    if missing:
        raise InputError(f"features: no column {', '.join(missing)}; found {len(features.columns)}")
    fit = partial(
        _fit, features, bins=bins, method=method, thresholds=thresholds, centre=centre,
        concepts=tuple(concepts),
    )  # fmt: skip
    if corpus.folds:
        return FoldBinning({fold: fit(corpus.in_fold(fold)) for fold in corpus.folds})
    return fit(corpus)


def _fit(
    features: pd.DataFrame,
    corpus: Corpus,
    bins: int,
    method: str,
    thresholds: Mapping[str, Sequence[float]] | None,
    centre: str | None,
    concepts: tuple[Concept, ...],
) -> Binning:
    training = corpus.table.index[corpus.table["partition"] == "train"]
    measured = _centred(measurable(features), corpus, centre).loc[training]
    used = list(dict.fromkeys(f for c in concepts for f in c.functionals))
    iqr = measured.quantile(0.75) - measured.quantile(0.25)
    scale = (iqr / 1.349).where(iqr > 0)
    medians = {f: float(measured[f].median()) for f in used}
    scales = {f: float(scale[f]) for f in used}
    scores = _scores(measured, concepts, medians, scales)
    edges = {
        concept.name: _edges(scores[concept.name], concept.name, bins, method, thresholds)
        for concept in concepts
    }
    return Binning(concepts, medians, scales, edges, WORDS[bins], centre)


def _centred(values: pd.DataFrame, corpus: Corpus | None, centre: str | None) -> pd.DataFrame:
    if centre is None:
        return values
    if corpus is None:
        raise InputError(f"corpus: needed to centre by {centre!r}, found None")
    if centre not in corpus.table:
        raise InputError(f"centre: corpus {corpus.name!r} does not know the {centre} of a speaker")
    groups = corpus.table.loc[values.index, centre]
    return values - values.groupby(groups.to_numpy()).transform("median")


def _scores(
    measured: pd.DataFrame,
    concepts: Sequence[Concept],
    medians: Mapping[str, float],
    scales: Mapping[str, float],
) -> pd.DataFrame:
    z = (measured[list(medians)] - pd.Series(medians)) / pd.Series(scales)
    columns = {
        concept.name: (z[list(concept.functionals)] * pd.Series(concept.functionals)).mean(
            axis=1, skipna=False
        )
        for concept in concepts
    }
    return pd.DataFrame(columns, index=measured.index)


def _edges(
    score: pd.Series,
    concept: str,
    bins: int,
    method: str,
    thresholds: Mapping[str, Sequence[float]] | None,
) -> tuple[float, ...]:
    if method == "thresholds":
        return tuple(float(edge) for edge in (thresholds or {})[concept])
    known = score.dropna().to_numpy()
    if not len(known):
        raise InputError(
            f"concept {concept!r}: no training row in which it could be measured, "
            "or its functionals do not vary there"
        )
    if method == "quantile":
        edges = np.quantile(known, np.arange(1, bins) / bins)
    else:
        lowest, highest = np.quantile(known, [0.01, 0.99])
        edges = np.linspace(lowest, highest, bins + 1)[1:-1]
    return tuple(float(edge) for edge in edges)


def check_thresholds(
    thresholds: Mapping[str, Sequence[float]],
    bins: int,
    concepts: Sequence[Concept] = CONCEPTS,
) -> None:
    """Refuse thresholds that do not give each concept its bins.

    Args:
        thresholds: concept name to the inner edges of its bins
        bins: number of bins
        concepts: the concepts to bin

    Raises:
        InputError: if a concept has none, or other than ``bins - 1`` ascending numbers, or if a
            name is that of no concept

    Examples:
        >>> check_thresholds({"pich": [-1, 1]}, 3)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        sercue.errors.InputError: unknown concept in thresholds 'pich': did you mean 'pitch'? ...
    """
    names = [concept.name for concept in concepts]
    for name in thresholds:
        if name not in names:
            raise unknown("concept in thresholds", name, names)
    for name in names:
        if name not in thresholds:
            raise InputError(f"thresholds: none for concept {name!r}; found {sorted(thresholds)}")
        edges = list(thresholds[name])
        if len(edges) != bins - 1 or not all(a < b for a, b in pairwise(edges)):
            raise InputError(
                f"thresholds[{name!r}]: found {shortened(edges)}, valid are {bins - 1} ascending "
                "numbers"
            )


def _check_choices(bins: int, method: str, centre: str | None) -> None:
    if bins not in WORDS:
        raise InputError(f"bins: found {bins!r}, valid are {', '.join(map(str, WORDS))}")
    if method not in METHODS:
        raise unknown("binning method", method, METHODS)
    if centre is not None and centre not in CENTRES:
        raise unknown("centre", centre, CENTRES)
