"""Which tokens an utterance keeps when other audio is heard in its place."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from sercue.corpora.audio_variants import AUDIO_VARIANTS, OWN
from sercue.tokens.concepts import UNKNOWN


def kept_tokens(tokens: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    r"""How many utterances keep the token of each concept, by the other audio.

    Agreement by chance is that of tokens that are dealt out anew among the utterances:
    :math:`\sum_w p(w)\,q(w)` over the words, with their shares :math:`p` in the utterances
    themselves and :math:`q` in the other audio. A token is kept if it is the same word;
    ``unknown``, where nothing could be measured, is never kept.

    Args:
        tokens: name of the audio to its tokens, ``own`` among them: one row per utterance,
            the same in each, and one column per concept

    Returns:
        DataFrame, one row per ``audio`` and ``concept``: ``utterances`` whose own token
        is known, and of those the shares ``kept``, ``by_chance`` and ``unknown`` (0 to 1)

    Examples:
        >>> own = pd.DataFrame({"ENERGY": ["LOW", "LOW", "HIGH", "HIGH"]})
        >>> backwards = pd.DataFrame({"ENERGY": ["LOW", "LOW", "HIGH", "unknown"]})
        >>> kept_tokens({"own": own, "reversed": backwards}).loc[("reversed", "ENERGY")].to_dict()
        {'utterances': 4.0, 'kept': 0.75, 'by_chance': 0.375, 'unknown': 0.25}
    """
    rows = {
        (variant, str(concept)): _kept(tokens[OWN][concept], heard[concept])
        for variant, heard in tokens.items()
        for concept in heard
    }
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.set_axis(pd.MultiIndex.from_tuples(rows, names=["audio", "concept"]))


def kept_by_audio(kept: pd.DataFrame) -> pd.DataFrame:
    """What the other audio is, and the share of all tokens that it keeps.

    Args:
        kept: as ``kept_tokens`` returns it

    Returns:
        DataFrame indexed by ``audio``: its ``description``, ``utterances`` with any token of their
        own, and the means over the concepts of ``kept``, ``by_chance`` and ``unknown`` (0 to 1)
    """
    by = kept.groupby(level="audio", sort=False)
    means = by[["kept", "by_chance", "unknown"]].mean()
    means.insert(0, "utterances", by["utterances"].max().astype(int))
    means.insert(0, "description", [AUDIO_VARIANTS[str(name)].description for name in means.index])
    return means


def _kept(own: pd.Series, heard: pd.Series) -> dict[str, float]:
    known = own != UNKNOWN
    own, heard = own[known], heard[known]
    shares = (own.value_counts(normalize=True) * heard.value_counts(normalize=True)).dropna()
    return {
        "utterances": int(known.sum()),
        "kept": float((own == heard).mean()),
        "by_chance": float(shares.sum()) if len(own) else float("nan"),
        "unknown": float((heard == UNKNOWN).mean()),
    }
