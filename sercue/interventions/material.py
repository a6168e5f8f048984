"""What a condition may draw on: the evaluated utterances and the training ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from sercue.concepts import UNKNOWN
from sercue.corpora.corpus import Corpus
from sercue.errors import InputError

_SERIES = ("emotions", "speakers", "folds")


@dataclass(frozen=True, eq=False)
class Material:
    """Tokens of some utterances, and what else a condition may need to know of them.

    Only ``tokens`` and ``words`` are always there. A condition that needs more takes it by
    ``known``, which says what is missing.

    Attributes:
        tokens: true tokens, shape (utterances, concepts)
        words: the words of the bins, from low to high
        emotions: true class of each utterance, indexed as ``tokens``
        speakers: speaker of each utterance, indexed as ``tokens``
        folds: fold of each utterance of a cross-validated corpus, indexed as ``tokens``
        training: the same of the training utterances. In a cross-validated corpus these are all
            utterances; ``training_for`` leaves out the fold that is evaluated.

    Raises:
        InputError: if a token is neither one of the words nor ``unknown``, or if an index differs

    Examples:
        >>> own = pd.DataFrame({"energy": ["low", "unknown"]}, index=["a", "b"])
        >>> Material(own, ("low", "mid", "high")).known("emotions")
        Traceback (most recent call last):
            ...
        sercue.errors.InputError: material: found no emotions, and this condition needs them
    """

    tokens: pd.DataFrame
    words: Sequence[str]
    emotions: pd.Series | None = None
    speakers: pd.Series | None = None
    folds: pd.Series | None = None
    training: Material | None = None

    def __post_init__(self) -> None:
        valid = [*self.words, UNKNOWN]
        found = pd.unique(self.tokens.to_numpy().ravel())
        strange = [str(word) for word in found if word not in valid]
        if strange:
            raise InputError(
                f"tokens: found {', '.join(map(repr, strange))}, valid are {', '.join(valid)}"
            )
        for name in _SERIES:
            series = getattr(self, name)
            if series is not None and not series.index.equals(self.tokens.index):
                raise InputError(f"{name}: found another index than that of the tokens")

    @classmethod
    def of_corpus(
        cls,
        corpus: Corpus,
        tokens: pd.DataFrame,
        words: Sequence[str],
        *,
        partition: str = "test",
    ) -> Material:
        """The material of a study.

        Args:
            corpus: names classes, speakers and training utterances. Of a cross-validated one,
                the training utterances of an utterance are those of all other folds.
            tokens: true tokens, indexed as ``corpus.table``; training utterances without tokens
                are no training material
            words: the words of the bins, from low to high
            partition: which partition is evaluated

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
            training=_described(training, tokens, words, cross_validated),
        )

    def known(self, name: str) -> pd.Series:
        """``emotions``, ``speakers`` or ``folds``, where a condition cannot do without.

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
        rows = {
            name: series.iloc[positions]
            for name in _SERIES
            if (series := getattr(self, name)) is not None
        }
        return replace(self, tokens=self.tokens.iloc[positions], **rows)

    def fold_rows(self) -> list[tuple[str | None, np.ndarray]]:
        """Each fold with the positions of its utterances; one of all where there are no folds."""
        if self.folds is None:
            return [(None, np.arange(len(self.tokens)))]
        folds = self.folds.to_numpy()
        return [(fold, np.flatnonzero(folds == fold)) for fold in sorted(set(folds))]


def _described(
    rows: pd.DataFrame, tokens: pd.DataFrame, words: Sequence[str], cross_validated: bool
) -> Material:
    return Material(
        tokens=tokens.loc[rows.index],
        words=tuple(words),
        emotions=rows["emotion"],
        speakers=rows["speaker"],
        folds=rows["fold"] if cross_validated else None,
    )
