"""What the tokens tell before any model sees them: how full each bin is, what each word says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.metrics import mutual_info_score

from sercue.concepts import UNKNOWN, WORDS
from sercue.corpora.corpus import PARTITIONS, Corpus


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
        | information_of(tokens[concept].loc[index].astype(str), emotion.loc[index])
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


def _partitions(tokens: pd.DataFrame, corpus: Corpus) -> list[tuple[str, pd.Index]]:
    partition = corpus.table.loc[tokens.index, "partition"]
    return [
        (name, tokens.index[partition == name]) for name in PARTITIONS if name in set(partition)
    ]


def information_of(token: pd.Series, emotion: pd.Series) -> dict[str, Any]:
    """What the words of one concept tell of the emotion; see ``token_information``.

    Args:
        token: words, one an utterance
        emotion: the emotion of each

    Returns:
        the columns of ``token_information`` but for ``concept`` and ``partition``
    """
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
