"""Speakers held out of the training partition, and what classifiers answer to them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from sklearn.base import ClassifierMixin
from sklearn.model_selection import GroupKFold

from sercue.corpora.corpus import Corpus
from sercue.errors import InputError, unknown

#: Into so many groups, at most, training speakers are divided to be held out in turn.
GROUPS = 5


def held_out_training(corpus: Corpus) -> Corpus:
    """The training speakers as a cross-validated corpus: up to five groups, held out in turn.

    Of a cross-validated corpus, that corpus itself.

    Raises:
        InputError: if there are fewer than two training speakers

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus = example_corpus(speakers=4)
        >>> corpus.table["partition"] = ["train"] * 12 + ["test"] * 4
        >>> held_out_training(corpus)
        Corpus('example': 12 utterances (3 folds), 3 speakers, labels angry, neutral)
    """
    if corpus.folds:
        return corpus
    rows = corpus.rows("train")
    speakers = rows["speaker"].nunique()
    if speakers < 2:
        raise InputError(f"corpus {corpus.name!r}: found {speakers} training speakers, need 2")
    groups = GroupKFold(min(GROUPS, speakers)).split(rows, groups=rows["speaker"])
    fold = np.empty(len(rows), dtype=object)
    for number, (_, held_out) in enumerate(groups, 1):
        fold[held_out] = str(number)
    return corpus.with_table(rows.assign(partition="test", fold=fold))


def evaluated_views(corpus: Corpus, partition: str | None = None) -> dict[str, Corpus]:
    """The corpus as each fit may see it: what it trains on is "train", what it answers "test".

    Args:
        corpus: the corpus
        partition: to answer; ``None`` or ``"train"`` holds the training speakers out in turn. Of a
            cross-validated corpus every fold is held out, whatever is given here.

    Raises:
        InputError: if the partition has no row

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> list(evaluated_views(example_corpus(), "test"))
        ['test']
    """
    if partition in (None, "train") or corpus.folds:
        held_out = held_out_training(corpus)
        return {fold: held_out.in_fold(fold) for fold in held_out.folds}
    if partition not in corpus.partitions:
        raise unknown("partition", partition, corpus.partitions)
    kept = corpus.table[corpus.table["partition"].isin(["train", partition])]
    seen = np.where(kept["partition"] == "train", "train", "test")
    return {str(partition): corpus.with_table(kept.assign(partition=seen))}


@dataclass(frozen=True)
class Answers:
    """What a classifier answers to utterances that it was not fitted on.

    Attributes:
        table: one row an utterance: ``speaker``, ``truth``, ``prediction``, ``log_p`` (natural
            logarithm of the probability of the truth; minus infinity if that class was not
            in training)
    """

    table: pd.DataFrame

    @classmethod
    def of(cls, classifier: ClassifierMixin, inputs: pd.DataFrame, rows: pd.DataFrame) -> Answers:
        """The answers to ``inputs``, whose truth and speakers ``rows`` name."""
        # A probability that underflows is not impossible.
        log_p = np.log(np.maximum(classifier.predict_proba(inputs), 1e-300))
        classes = [str(name) for name in classifier.classes_]
        truth = rows["emotion"].astype(str)
        place = pd.Index(classes).get_indexer(pd.Index(truth))
        own = np.where(place >= 0, log_p[np.arange(len(rows)), place], -np.inf)
        answered = np.array(classes, dtype=object)[log_p.argmax(axis=1)]
        columns = {"speaker": rows["speaker"], "truth": truth, "prediction": answered}
        return cls(pd.DataFrame(columns).assign(log_p=own))

    @classmethod
    def together(cls, parts: list[Answers]) -> Answers:
        """The answers of several folds."""
        return cls(pd.concat([part.table for part in parts]))

    @property
    def utterances(self) -> int:
        """How many were answered."""
        return len(self.table)

    @property
    def speakers(self) -> int:
        """How many speakers they are of."""
        return int(self.table["speaker"].nunique())

    @property
    def uar(self) -> float:
        """Unweighted average recall over the classes that occur."""
        correct = self.table["truth"] == self.table["prediction"]
        return float(correct.groupby(self.table["truth"].to_numpy()).mean().mean())

    @property
    def information(self) -> float:
        """A lower bound of the information with the emotion, classes counted alike, in bits."""
        by_class = self.table["log_p"].groupby(self.table["truth"].to_numpy()).mean()
        bits = np.log2(len(by_class)) + by_class.mean() / np.log(2)
        return float(bits) if np.isfinite(bits) else np.nan

    @cached_property
    def uar_without_each(self) -> np.ndarray:
        """UAR with each speaker left out, speakers in order, shape (speakers,)."""
        correct = (self.table["truth"] == self.table["prediction"]).astype(float)
        keys = [self.table[name].astype(str).to_numpy() for name in ("speaker", "truth")]
        grouped = correct.groupby(keys)
        hits, number = (
            table.unstack(fill_value=0).to_numpy(dtype=float)
            for table in (grouped.sum(), grouped.size())
        )
        left = number.sum(axis=0) - number
        recall = (hits.sum(axis=0) - hits) / np.where(left > 0, left, np.nan)
        return np.nanmean(recall, axis=1) if len(recall) > 1 else np.full(1, np.nan)


def jackknife_error(without_each: np.ndarray) -> float:
    r"""Standard error of a statistic from its values with each speaker left out.

    .. math:: \sqrt{\frac{S - 1}{S} \sum_s (t_{-s} - \bar t)^2}

    Examples:
        >>> jackknife_error(np.array([0.5, 0.7]))
        0.1
    """
    number = len(without_each)
    if number < 2:
        return np.nan
    deviation = without_each - without_each.mean()
    return round(float(np.sqrt((number - 1) / number * (deviation**2).sum())), 12)
