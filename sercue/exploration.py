"""What the functionals and the tokens tell of a corpus before any model sees it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.metrics import mutual_info_score

from sercue.binning import fit_bins
from sercue.concepts import UNKNOWN, WORDS
from sercue.corpora.corpus import PARTITIONS, Corpus
from sercue.errors import InputError


def variance_explained(values: pd.DataFrame, corpus: Corpus) -> pd.DataFrame:
    r"""How much of each column's variance the emotion and the speaker explain.

    .. math:: \eta^2 = \frac{\sum_g n_g (\bar x_g - \bar x)^2}{\sum_i (x_i - \bar x)^2}

    The two shares overlap where speakers do not have the same emotions equally often. The
    Kruskal-Wallis test treats utterances as independent, which those of one speaker are not: read
    its p-values as a ranking of the columns, not as inference about further speakers.

    Args:
        values: functionals or concept scores, one row an utterance; its rows may be a part of
            the corpus. NaN is left out, column by column.
        corpus: names emotion and speaker of each row

    Returns:
        DataFrame, one row a column of ``values`` (its index): ``emotion`` and ``speaker``
        (:math:`\eta^2`, 0 to 1), ``kruskal`` (H by emotion), ``p``, ``q`` (Benjamini-Hochberg over
        all columns); NaN for a constant column

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus = example_corpus(speakers=3, utterances=4)
        >>> emotion = (corpus.table["emotion"] == "angry").astype(float)
        >>> variance_explained(pd.DataFrame({"loudness": emotion}), corpus).round(4)
                  emotion  speaker  kruskal       p       q
        loudness      1.0      0.0     11.0  0.0009  0.0009
    """
    rows = corpus.table.loc[values.index]
    table = pd.DataFrame(
        {name: _eta_squared(values, rows[name].to_numpy()) for name in ("emotion", "speaker")}
    )
    emotion = rows["emotion"].to_numpy()
    tests = [_kruskal(values[name].to_numpy(dtype=float), emotion) for name in values]
    table["kruskal"], table["p"] = np.array(tests, dtype=float).reshape(-1, 2).T
    known = table["p"].notna()
    table.loc[known, "q"] = stats.false_discovery_control(table.loc[known, "p"], method="bh")
    return table


def token_information(tokens: pd.DataFrame, corpus: Corpus) -> pd.DataFrame:
    r"""How much each concept's token tells of the emotion, partition by partition.

    Mutual information from counts is biased upwards. The Miller-Madow correction takes off

    .. math:: \frac{K_{te} - K_t - K_e + 1}{2 N \ln 2}

    bits, with :math:`K_t, K_e, K_{te}` the tokens, emotions and pairs of them that occur and
    :math:`N` utterances. The corrected value can fall below 0 where there is no information.

    Args:
        tokens: tokens, one row an utterance
        corpus: names emotion and partition of each row

    Returns:
        DataFrame, one row a concept and partition: ``concept``, ``partition``, ``utterances``,
        ``information`` (bits, corrected), ``information_plugin`` (bits, as counted), ``entropy``
        (of the tokens, in bits), ``commonest``, ``commonest_share``, ``unknown_share`` (0 to 1).
        ``unknown`` counts as a token of its own.

    References:
        Miller, "Note on the bias of information estimates" (1955)

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus = example_corpus(speakers=2, utterances=4)
        >>> tokens = pd.DataFrame({"energy": ["high", "low"] * 4}, index=corpus.table.index)
        >>> table = token_information(tokens, corpus)
        >>> table[["concept", "partition", "information_plugin", "entropy"]]
          concept partition  information_plugin  entropy
        0  energy     train                 1.0      1.0
        1  energy      test                 1.0      1.0
    """
    emotion = corpus.table.loc[tokens.index, "emotion"].astype(str)
    rows = [
        {"concept": concept, "partition": partition}
        | _information(tokens[concept].loc[index].astype(str), emotion.loc[index])
        for concept in tokens
        for partition, index in _partitions(tokens, corpus)
    ]
    return pd.DataFrame(rows)


def token_balance(tokens: pd.DataFrame, corpus: Corpus) -> pd.DataFrame:
    """The share of each word, concept by concept and partition by partition.

    Args:
        tokens: tokens, one row an utterance
        corpus: names the partition of each row

    Returns:
        DataFrame with ``concept``, ``partition``, ``word``, ``share`` (0 to 1), the words from low
        to high, then ``unknown``; every word that occurs anywhere has a row everywhere

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus = example_corpus(speakers=2, utterances=2)
        >>> tokens = pd.DataFrame({"pitch": ["low", "high"] * 2}, index=corpus.table.index)
        >>> token_balance(tokens, corpus).head(2)
          concept partition  word  share
        0   pitch     train   low    0.5
        1   pitch     train  high    0.5
    """
    words = ordered_words(tokens)
    rows = [
        (concept, partition, word, float((tokens[concept].loc[index] == word).mean()))
        for concept in tokens
        for partition, index in _partitions(tokens, corpus)
        for word in words
    ]
    return pd.DataFrame(rows, columns=["concept", "partition", "word", "share"])


def ordered_words(tokens: pd.DataFrame) -> list[str]:
    """The words that occur, from low to high, ``unknown`` last.

    Examples:
        >>> ordered_words(pd.DataFrame({"pitch": ["high", "unknown", "low", "very low"]}))
        ['very low', 'low', 'high', 'unknown']
    """
    scale = [*WORDS[5], UNKNOWN]
    found = {str(word) for word in np.unique(tokens.to_numpy().astype(str))}
    return [word for word in scale if word in found] + sorted(found - set(scale))


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


def redundancy(scores: pd.DataFrame) -> pd.DataFrame:
    """Spearman's rank correlation between concepts, over the rows where both are known.

    Args:
        scores: concept scores, one row an utterance

    Returns:
        symmetric DataFrame of shape (concepts, concepts), -1 to 1

    Examples:
        >>> redundancy(pd.DataFrame({"energy": [1, 2, 3], "pitch": [9, 7, 1]}))
                energy  pitch
        energy     1.0   -1.0
        pitch     -1.0    1.0
    """
    return scores.corr(method="spearman")


def _eta_squared(values: pd.DataFrame, groups: np.ndarray) -> pd.Series:
    values = values.astype(float)
    deviation = values - values.mean()
    between = deviation.groupby(groups).transform("mean").where(values.notna())
    total = (deviation**2).sum()
    return (between**2).sum() / total.where(total > 0)


def _kruskal(values: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    known = ~np.isnan(values)
    samples = [values[known & (groups == group)] for group in pd.unique(groups)]
    samples = [sample for sample in samples if len(sample)]
    if len(samples) < 2 or np.ptp(values[known]) == 0:
        return np.nan, np.nan
    return tuple(stats.kruskal(*samples))


def _partitions(tokens: pd.DataFrame, corpus: Corpus) -> list[tuple[str, pd.Index]]:
    partition = corpus.table.loc[tokens.index, "partition"]
    return [
        (name, tokens.index[partition == name]) for name in PARTITIONS if name in set(partition)
    ]


def _information(token: pd.Series, emotion: pd.Series) -> dict[str, object]:
    shares = token.value_counts(normalize=True)
    plugin = mutual_info_score(token, emotion) / np.log(2)
    pairs = len(set(zip(token, emotion, strict=True)))
    excess = pairs - token.nunique() - emotion.nunique() + 1
    return {
        "utterances": len(token),
        "information": plugin - excess / (2 * len(token) * np.log(2)),
        "information_plugin": plugin,
        "entropy": float(stats.entropy(shares, base=2)),
        "commonest": shares.index[0],
        "commonest_share": float(shares.iloc[0]),
        "unknown_share": float((token == UNKNOWN).mean()),
    }
