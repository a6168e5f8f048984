"""How far thresholds and tokens depend on who happened to be recorded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from sercue.binning import fit_bins
from sercue.corpora.corpus import Corpus
from sercue.errors import InputError


def threshold_stability(features: pd.DataFrame, corpus: Corpus, **fit_options: Any) -> pd.DataFrame:
    """How far thresholds and test tokens move when one training speaker is left out.

    Of a cross-validated corpus a fold is left out instead, and all rows are tokens of the test.

    Args:
        features: functionals, indexed as ``corpus.table``
        corpus: names the training speakers, or the folds, and the test rows
        **fit_options: options of ``fit_bins``

    Returns:
        DataFrame, one row a left-out speaker or fold and concept, first ``"nobody"`` (the fit to
        all): ``left_out``, ``concept``, ``threshold_1`` ... (inner edges, in units of the concept
        score of that fit), ``changed`` (share of test tokens that differ from the fit to all, 0
        to 1)

    Raises:
        InputError: if there are fewer than two training speakers

    Examples:
        >>> from sercue.concepts import Concept
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus = example_corpus(speakers=3, utterances=3)
        >>> corpus.table["partition"] = ["train"] * 6 + ["test"] * 3
        >>> features = pd.DataFrame({"loudness": [0, 1, 2, 6, 7, 8, 1, 4, 7]}, corpus.table.index)
        >>> loud = [Concept("energy", {"loudness": 1})]
        >>> table = threshold_stability(features, corpus, concepts=loud)
        >>> table[["left_out", "changed"]].round(2)
          left_out  changed
        0   nobody     0.00
        1       s0     0.67
        2       s1     0.67
    """
    test = corpus.rows("test").index
    parts = list(_with_one_left_out(corpus))
    whole = _all_training(corpus) if corpus.folds else corpus
    fits = {"nobody": fit_bins(features, whole, **fit_options)}
    for name, part in parts:
        fits[name] = fit_bins(features.loc[part.table.index], part, **fit_options)
    reference = fits["nobody"].transform(features, corpus).loc[test]
    rows = []
    for left_out, binning in fits.items():
        changed = (binning.transform(features, corpus).loc[test] != reference).mean()
        for concept in changed.index:
            ((*edges,),) = binning.edges(concept)
            inner = {f"threshold_{number}": edge for number, edge in enumerate(edges, 1)}
            row = {"left_out": left_out, "concept": concept}
            rows.append(row | inner | {"changed": float(changed[concept])})
    return pd.DataFrame(rows)


def _all_training(corpus: Corpus) -> Corpus:
    return corpus.with_table(corpus.table.assign(partition="train"))


def _with_one_left_out(corpus: Corpus) -> Iterator[tuple[str, Corpus]]:
    """The corpus with each fold, or else each training speaker, left out of its training rows."""
    if corpus.folds:
        for fold in corpus.folds:
            yield fold, corpus.in_fold(fold)
        return
    speakers = sorted(corpus.rows("train")["speaker"].unique())
    if len(speakers) < 2:
        raise InputError(f"corpus {corpus.name!r}: found {len(speakers)} training speakers, need 2")
    train = corpus.table["partition"] == "train"
    for speaker in speakers:
        yield (
            speaker,
            corpus.with_table(corpus.table[~train | (corpus.table["speaker"] != speaker)]),
        )
