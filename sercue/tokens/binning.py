"""From features to tokens: standardisation and bin edges, fitted on training rows alone.

The score of an ordinal concept is the mean of the signed z-scores of its features; its token is the
bin of that score, in words. The token of a nominal one is the word of the first rule that holds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sercue.corpora.corpus import Corpus
from sercue.errors import InputError, refuse_unknown, shortened, unknown
from sercue.storage.tables import BINNING, STAMP, UnfitError, check_entries, read_json, write_json
from sercue.tokens.concepts import UNKNOWN, Category, Concept, Words, measurable, source_of
from sercue.tokens.schemes import read_scheme

METHODS = ("quantile", "width", "thresholds")
CENTRES = ("speaker", "sex")
#: Edges of a sex are fitted to so many training utterances at least; quantiles of fewer are rough.
FEWEST = 20


@dataclass(frozen=True)
class Binning:
    """Fitted standardisation and edges: turns features into concept scores, and those into words.

    Everything is fitted once to all training rows, the group ``""``, and for concepts
    that are ``by_sex`` also to the training rows of each sex.

    Attributes:
        concepts: the concepts, in the order in which a prompt shows them
        locations: group to column of the features to its median (or mean) over the training rows
        scales: group to column to its interquartile range over the training rows, divided by
            1.349 so that it estimates a standard deviation (or to the standard deviation); NaN if
            it is zero
        thresholds: name of an ordinal concept to group to its ascending inner bin edges, in units
            of the score
        centre: ``None``, ``"speaker"`` or ``"sex"``: the groups whose medians were subtracted from
            each feature
        standardise: ``"robust"`` or ``"mean"``: the kind of locations and scales
    """

    concepts: tuple[Concept | Category, ...]
    locations: dict[str, dict[str, float]]
    scales: dict[str, dict[str, float]]
    thresholds: dict[str, dict[str, tuple[float, ...]]]
    centre: str | None = None
    standardise: str = "robust"

    @property
    def words(self) -> dict[str, Words]:
        """The words of each concept."""
        return {concept.name: concept.words for concept in self.concepts}

    def scores(self, features: pd.DataFrame, corpus: Corpus | None = None) -> pd.DataFrame:
        """Scores of the ordinal concepts: the mean of the signed z-scores, one column for each.

        Args:
            features: features, one row per utterance: functionals, and means of descriptors where
                a concept is made of them
            corpus: needed only if ``centre`` is set: names the speaker or sex of each row

        Returns:
            DataFrame of shape (utterances, ordinal concepts); NaN where one feature of the concept
            could not be measured

        Raises:
            InputError: if ``centre`` is set and ``corpus`` is missing
        """
        measured = measurable(features)
        inputs = _inputs(measured, self.concepts, corpus, self.centre)
        return _scores(self._standardised(inputs, ""), self.concepts)

    def transform(
        self,
        features: pd.DataFrame,
        corpus: Corpus | None = None,
        centred_on: pd.DataFrame | None = None,
    ) -> pd.DataFrame:
        """Tokens: the word of the bin that each score falls into, or of the first rule that holds.

        A score equal to a threshold falls into the upper bin. A score that could not be measured
        becomes ``"unknown"``.

        Args:
            features: features, one row per utterance
            corpus: needed only if ``centre`` is set, or if something was fitted to each sex
            centred_on: whose medians are subtracted if ``centre`` is set, by default ``features``:
                the features of all utterances, where ``features`` are those of other audio

        Returns:
            DataFrame of shape (utterances, concepts) holding words
        """
        measured = measurable(features)
        own = None if centred_on is None else measurable(centred_on)
        inputs = _inputs(measured, self.concepts, corpus, self.centre, own)
        sexes = self._groups(features.index, corpus)
        z = self._standardised(inputs, "")
        scores = _scores(z, self.concepts)
        return pd.DataFrame(
            {
                concept.name: self._binned(concept, scores[concept.name], sexes)
                if isinstance(concept, Concept)
                else concept.tokens(self._relative(concept, inputs, z, sexes), measured)
                for concept in self.concepts
            },
            index=features.index,
        )

    def edges(self, concept: str) -> list[tuple[str, tuple[float, ...]]]:
        """Group and inner bin edges of an ordinal concept: one set, or one for each sex.

        If only one sex has its own edges, those fitted to all rows are listed, too: they are used
        for the other.
        """
        fitted = self.thresholds[concept]
        return [(name, edges) for name, edges in fitted.items() if name or len(fitted) < 3]

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
        return folds[""]

    def _standardised(self, inputs: pd.DataFrame, group: str) -> pd.DataFrame:
        location, scale = pd.Series(self.locations[group]), pd.Series(self.scales[group])
        return (inputs[location.index] - location) / scale

    def _groups(self, index: pd.Index, corpus: Corpus | None) -> np.ndarray:
        """The group of each row: its sex where something was fitted to that, else ``""``."""
        fitted = set(self.locations).union(*self.thresholds.values()) - {""}
        if not fitted:
            return np.full(len(index), "", dtype=object)
        if corpus is None:
            raise InputError("corpus: needed for edges of each sex, found None")
        sexes = _sexes(corpus, index)
        return np.where(np.isin(sexes.astype(str), sorted(fitted)), sexes, "")

    def _binned(self, concept: Concept, score: pd.Series, sexes: np.ndarray) -> pd.Series:
        each = np.array(concept.words.each, dtype=object)
        words = pd.Series(UNKNOWN, score.index, dtype=object)
        fitted = self.thresholds[concept.name]
        of_row = np.where(np.isin(sexes, list(fitted)), sexes, "")
        for group, edges in fitted.items():
            rows = (of_row == group) & score.notna().to_numpy()
            level = np.searchsorted(edges, score[rows].to_numpy(), side="right")
            words[rows] = each[np.minimum(level, len(each) - 1)]
        return words

    def _relative(
        self, concept: Category, inputs: pd.DataFrame, z: pd.DataFrame, sexes: np.ndarray
    ) -> pd.DataFrame:
        """The measures of a nominal concept, by their names in the rules, as z-scores."""
        names = list(concept.measures.values())
        z = z[names].copy()
        for group in set(self.locations) - {""} if concept.by_sex else ():
            rows = sexes == group
            z[rows] = self._standardised(inputs[rows], group)[names]
        return z.set_axis(list(concept.measures), axis=1)


@dataclass(frozen=True)
class FoldBinning:
    """The binnings of a cross-validated corpus: none of them has seen the fold that it bins.

    Attributes:
        of_fold: fold to the binning that was fitted on all other folds
    """

    of_fold: dict[str, Binning]

    @property
    def words(self) -> dict[str, Words]:
        """The words of each concept."""
        return next(iter(self.of_fold.values())).words

    def scores(self, features: pd.DataFrame, corpus: Corpus) -> pd.DataFrame:
        """Concept scores, each row by the binning of its own fold; see ``Binning.scores``."""
        return self._out_of_fold(features, corpus, Binning.scores)

    def transform(
        self, features: pd.DataFrame, corpus: Corpus, centred_on: pd.DataFrame | None = None
    ) -> pd.DataFrame:
        """Tokens, each row by the binning of its own fold; see ``Binning.transform``."""
        made_by = partial(Binning.transform, centred_on=centred_on)
        return self._out_of_fold(features, corpus, made_by)

    def edges(self, concept: str) -> list[tuple[str, tuple[float, ...]]]:
        """Group and inner bin edges of an ordinal concept, of each fold in turn."""
        return [edges for binning in self.of_fold.values() for edges in binning.edges(concept)]

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
        folds = self.of_fold.items()
        parts = [made_by(binning, features, corpus)[fold == name] for name, binning in folds]
        return pd.concat(parts).loc[features.index]


def stored_binnings(path: str | Path) -> dict[str, Binning]:
    """What a file holds that ``save`` wrote: fold to binning; one fold, ``""``, where is none.

    Raises:
        InputError: if the file cannot be read, or is of a version that is not read
    """
    held, _ = _read(path)
    folds: dict[str, dict[str, Any]] = held.get("folds", {"": held})
    binnings = {}
    for fold, stored in folds.items():
        check_entries(Path(path), stored, BINNING)
        thresholds = {
            name: {group: tuple(edges) for group, edges in groups.items()}
            for name, groups in stored["thresholds"].items()
        }
        concepts = tuple(map(_restored_concept, stored["concepts"]))
        binnings[fold] = Binning(**stored | {"concepts": concepts, "thresholds": thresholds})
    return binnings


def _restored_concept(stored: dict[str, Any]) -> Concept | Category:
    if "rules" in stored:
        return Category(**stored | {"each": tuple(stored["each"])})
    scales = {int(number): tuple(words) for number, words in stored["scales"].items()}
    return Concept(**stored | {"scales": scales})


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
    concepts: Sequence[Concept | Category] | None = None,
    bins: int | None = None,
    method: str = "quantile",
    thresholds: Mapping[str, Sequence[float]] | None = None,
    centre: str | None = None,
    standardise: str = "robust",
) -> Binning | FoldBinning:
    r"""Fit standardisation and edges on the training partition.

    In a cross-validated corpus, this is done once per fold, on all other folds.

    The score of a concept with features :math:`x_j` and signs :math:`s_j` is

    .. math:: \frac{1}{J} \sum_j s_j \frac{x_j - \text{median}_j}{\text{IQR}_j / 1.349}

    A concept that is ``by_sex`` has separate edges for each sex with at least ``FEWEST`` measured
    training utterances. Other speakers, speakers of unknown sex, and corpora of children have the
    edges fitted to all rows.

    Args:
        features: features, one row per utterance, indexed as ``corpus.table``
        corpus: names the training rows, and the speakers or sexes to centre by
        concepts: the concepts to bin; those of the scheme ``paper`` by default
        bins: number of bins, 3 or 5, in place of that of the concepts
        method: ``"quantile"`` (equally filled bins on the training rows), ``"width"`` (equally
            wide bins between the 1st and 99th percentile) or ``"thresholds"``
        thresholds: ordinal concept to ``bins - 1`` ascending edges, for ``method="thresholds"``
        centre: ``"speaker"`` or ``"sex"``: subtracts the median of each group from every feature
            first. This uses no label, but it uses all recordings of a test speaker at once.
        standardise: ``"robust"``, or ``"mean"`` for mean and standard deviation

    Raises:
        InputError: if a parameter is not valid, if a feature is missing, or if there is no
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
    chosen = read_scheme().concepts if concepts is None else tuple(concepts)
    if bins is not None:
        chosen = tuple(concept.with_bins(bins) for concept in chosen)
    refuse_unknown("binning method", [method], METHODS)
    if centre is not None and centre not in CENTRES:
        raise unknown("centre", centre, CENTRES)
    if method == "thresholds":
        check_thresholds(thresholds or {}, chosen)
    for concept in chosen:
        for column in concept.columns:
            if column not in features:
                near = get_close_matches(column, map(str, features.columns), n=1)
                raise InputError(
                    f"features: no column {column!r}, of which {concept.name} is made; "
                    + (f"did you mean {near[0]!r}? " if near else "")
                    + "Functionals are those of extract_features, means of descriptors those of "
                    "extract_descriptors"
                )
    fit = partial(
        _fit, features, concepts=chosen, method=method, thresholds=thresholds or {}, centre=centre,
        standardise=standardise,
    )  # fmt: skip
    if corpus.folds:
        return FoldBinning({fold: fit(corpus.in_fold(fold)) for fold in corpus.folds})
    return fit(corpus)


def _fit(
    features: pd.DataFrame,
    corpus: Corpus,
    concepts: tuple[Concept | Category, ...],
    method: str,
    thresholds: Mapping[str, Sequence[float]],
    centre: str | None,
    standardise: str,
) -> Binning:
    training = corpus.table.index[corpus.table["partition"] == "train"]
    inputs = _inputs(measurable(features), concepts, corpus, centre).loc[training]
    sexes = _sexes(corpus, training)
    by_sex = sorted({c for concept in concepts if concept.by_sex for c in _measures(concept)})
    groups = {"": np.ones(len(training), dtype=bool)} | {
        sex: rows
        for sex in sorted(set(sexes) - {""})
        if by_sex and inputs.loc[rows := sexes == sex, by_sex].notna().all(axis=1).sum() >= FEWEST
    }
    fitted = {name: _located(inputs[rows], standardise) for name, rows in groups.items()}
    binning = Binning(
        concepts,
        {name: location for name, (location, _) in fitted.items()},
        {name: scale for name, (_, scale) in fitted.items()},
        {},
        centre,
        standardise,
    )
    scores = _scores(binning._standardised(inputs, ""), concepts)
    for concept in concepts:
        if isinstance(concept, Concept):
            known = {
                name: scores[concept.name][rows].dropna().to_numpy()
                for name, rows in groups.items()
                if not name or (concept.by_sex and method != "thresholds")
            }
            binning.thresholds[concept.name] = {
                name: _edges(values, concept, method, thresholds)
                for name, values in known.items()
                if not name or len(values) >= FEWEST
            }
    return binning


def _measures(concept: Concept | Category) -> tuple[str, ...]:
    """What is standardised of a concept: columns, or logarithms of them."""
    if isinstance(concept, Concept):
        return tuple(concept.features)
    return tuple(concept.measures.values())


def _inputs(
    measured: pd.DataFrame,
    concepts: Sequence[Concept | Category],
    corpus: Corpus | None,
    centre: str | None,
    centred_on: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """What is standardised, one column for each measure, after centring; NaN where not measured."""
    values = _values(measured, concepts)
    own = None if centred_on is None or centre is None else _values(centred_on, concepts)
    return centred(values, corpus, centre, own)


def _values(measured: pd.DataFrame, concepts: Sequence[Concept | Category]) -> pd.DataFrame:
    """The measures of some concepts; NaN where not measured."""
    measures = list(dict.fromkeys(m for concept in concepts for m in _measures(concept)))
    columns = {}
    for measure in measures:
        values = measured[source_of(measure)]
        columns[measure] = values if measure in measured else np.log(values.where(values > 0))
    return pd.DataFrame(columns, measured.index)


def _located(inputs: pd.DataFrame, standardise: str) -> tuple[dict[str, float], dict[str, float]]:
    """Location and scale of each column; NaN for a scale of zero."""
    if standardise == "mean":
        location, scale = inputs.mean(), inputs.std()
    else:
        location = inputs.median()
        scale = (inputs.quantile(0.75) - inputs.quantile(0.25)) / 1.349
    return _by_name(location), _by_name(scale.where(scale > 0))


def _by_name(values: pd.Series) -> dict[str, float]:
    return {str(name): float(value) for name, value in values.items()}


def _sexes(corpus: Corpus, index: pd.Index) -> np.ndarray:
    """The sex of the speaker of each row; ``""`` where it is not known, and of children."""
    if "sex" not in corpus.table or corpus.children:
        return np.full(len(index), "", dtype=object)
    sexes = corpus.table.loc[index, "sex"].astype(object)
    return sexes.where(sexes.notna(), "").to_numpy()


def centred(
    values: pd.DataFrame,
    corpus: Corpus | None,
    centre: str | None,
    own: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Values with the median of each speaker or sex taken off.

    Args:
        values: one row per utterance
        corpus: names the speaker or sex of each row
        centre: ``"speaker"``, ``"sex"``, or ``None``, which leaves them as they are
        own: whose medians are taken off, if not those of ``values``

    Raises:
        InputError: if the corpus is missing, or does not know whose median it is
    """
    if centre is None:
        return values
    if corpus is None:
        raise InputError(f"corpus: needed to centre by {centre!r}, found None")
    if centre not in corpus.table:
        raise InputError(f"centre: corpus {corpus.name!r} does not know the {centre} of a speaker")
    own = values if own is None else own
    groups = corpus.table[centre]
    medians = own.groupby(groups.loc[own.index].to_numpy()).median()
    return values - medians.reindex(groups.loc[values.index]).set_axis(values.index)


def _scores(z: pd.DataFrame, concepts: Sequence[Concept | Category]) -> pd.DataFrame:
    columns = {
        concept.name: (z[list(concept.features)] * pd.Series(concept.features)).mean(
            axis=1, skipna=False
        )
        for concept in concepts
        if isinstance(concept, Concept)
    }
    return pd.DataFrame(columns, index=z.index)


def _edges(
    known: np.ndarray, concept: Concept, method: str, thresholds: Mapping[str, Sequence[float]]
) -> tuple[float, ...]:
    if method == "thresholds":
        return tuple(float(edge) for edge in thresholds[concept.name])
    if not len(known):
        raise InputError(
            f"concept {concept.name!r}: no training row in which it could be measured, "
            "or its features do not vary there"
        )
    if method == "quantile":
        edges = np.quantile(known, np.arange(1, concept.bins) / concept.bins)
    else:
        lowest, highest = np.quantile(known, [0.01, 0.99])
        edges = np.linspace(lowest, highest, concept.bins + 1)[1:-1]
    return tuple(float(edge) for edge in edges)


def check_thresholds(
    thresholds: Mapping[str, Sequence[float]], concepts: Sequence[Concept | Category]
) -> None:
    """Refuse thresholds that do not give each ordinal concept its bins.

    Args:
        thresholds: concept name to the inner edges of its bins
        concepts: the concepts to bin

    Raises:
        InputError: if a concept has none, or other than one less than its bins ascending numbers,
            or if a name is that of no ordinal concept

    Examples:
        >>> pitch = Concept("pitch", {"F0": 1})
        >>> check_thresholds({"pich": [-1, 1]}, [pitch])  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        sercue.errors.InputError: unknown concept in thresholds 'pich': did you mean 'pitch'? ...
    """
    ordinal = {concept.name: concept for concept in concepts if isinstance(concept, Concept)}
    refuse_unknown("concept in thresholds", thresholds, ordinal)
    for name, concept in ordinal.items():
        if name not in thresholds:
            raise InputError(f"thresholds: none for concept {name!r}; found {sorted(thresholds)}")
        edges = list(thresholds[name])
        if len(edges) != concept.bins - 1 or not all(a < b for a, b in pairwise(edges)):
            raise InputError(
                f"thresholds[{name!r}]: found {shortened(edges)}, valid are {concept.bins - 1} "
                "ascending numbers"
            )
