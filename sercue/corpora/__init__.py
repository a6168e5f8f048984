"""Speech corpora: a reader a file, and the registry that names them."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sercue.corpora import demo, emodb, table
from sercue.corpora.corpus import PARTITIONS, Corpus
from sercue.corpora.partitions import stratified_sample
from sercue.corpora.validation import check_partitions, check_rows, select_labels
from sercue.errors import InputError, unknown
from sercue.paths import existing_path


@dataclass(frozen=True)
class CorpusCard:
    """What the registry knows of a corpus before reading it.

    Attributes:
        name: what a study calls it
        reader: makes the corpus; takes the root if ``needs_root``, the seed, and own options
        description: one line
        licence: under what terms the recordings may be used
        neutral_label: the neutral class
        citation: where to read more
        needs_root: whether ``corpus_root`` must say where the recordings lie
        layout: what ``corpus_root`` must be
    """

    name: str
    reader: Callable[..., Corpus]
    description: str
    licence: str
    neutral_label: str | None
    citation: str
    needs_root: bool = True
    layout: str = ""

    @property
    def options(self) -> tuple[str, ...]:
        """The names of the options of this corpus alone."""
        parameters = inspect.signature(self.reader).parameters.values()
        own = [p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
        return tuple(name for name in own if name != "seed")


_CARDS = (
    CorpusCard(
        "demo",
        demo.read_demo,
        "Synthetic English speech from Praat, 24 speakers, 4 emotions: a fixture, not evidence",
        demo.LICENCE,
        "neutral",
        "made on first use by sercue.corpora.demo",
        needs_root=False,
    ),
    CorpusCard(
        "emodb",
        emodb.read_emodb,
        "Berlin Database of Emotional Speech: acted German, 10 speakers, 7 emotions",
        emodb.LICENCE,
        "neutral",
        "Burkhardt et al., Interspeech 2005, doi:10.21437/Interspeech.2005-446",
        layout=emodb.LAYOUT,
    ),
    CorpusCard(
        "table",
        table.read_table,
        "Any corpus: a CSV or Parquet file that lists its utterances",
        "that of the corpus",
        None,
        "data/README.md",
        layout=table.LAYOUT,
    ),
)
CORPORA: dict[str, CorpusCard] = {card.name: card for card in _CARDS}


def load_corpus(
    name: str,
    root: str | os.PathLike[str] | None = None,
    *,
    labels: Iterable[str] | None = None,
    drop_labels: Sequence[str] = (),
    limit: int | None = None,
    seed: int = 0,
    **options: Any,
) -> Corpus:
    """Read a corpus and check it.

    Args:
        name: ``demo``, ``emodb`` or ``table``
        root: where the corpus lies on this machine; the demo corpus takes none
        labels: all labels of the corpus in the order in which tables show them; of a mapping from
            label to prompt words the labels count. By default the order of the corpus.
        drop_labels: labels whose utterances are left out
        limit: at most so many utterances of each partition, drawn in proportion to emotions and
            speakers
        seed: of everything random: the demo speech, partitions that are made, the limit
        options: further options of that corpus alone, such as ``speakers=6`` of ``demo``

    Returns:
        corpus whose partitions are speaker-disjoint, with utterances to train and to test

    Raises:
        InputError: if a parameter is not valid, or if the corpus is not as it must be

    Examples:
        >>> load_corpus("emobd")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        sercue.errors.InputError: unknown corpus 'emobd': did you mean 'emodb'? ...
    """
    if name not in CORPORA:
        raise unknown("corpus", name, CORPORA)
    card = CORPORA[name]
    _check_limit(limit)
    _check_options(card, options)
    place = _root(card, root)
    corpus = card.reader(*([] if place is None else [place]), seed=seed, **options)
    check_rows(corpus)
    corpus = select_labels(corpus, labels, drop_labels)
    check_partitions(corpus)
    return corpus if limit is None else _limited(corpus, limit, seed)


def available_corpora() -> pd.DataFrame:
    """The corpora that ``load_corpus`` knows, one row each.

    Examples:
        >>> available_corpora().index.tolist()
        ['demo', 'emodb', 'table']
    """
    rows = [
        {
            "corpus": card.name,
            "description": card.description,
            "neutral": card.neutral_label or "",
            "licence": card.licence,
            "corpus_root": card.layout or "none",
            "options": ", ".join(card.options),
            "citation": card.citation,
        }
        for card in CORPORA.values()
    ]
    return pd.DataFrame(rows).set_index("corpus")


def _root(card: CorpusCard, root: str | os.PathLike[str] | None) -> Path | None:
    if not card.needs_root:
        if root is not None:
            raise InputError(f"corpus_root: found {str(root)!r}; corpus {card.name!r} takes none")
        return None
    if root is None:
        raise InputError(
            f"corpus_root: found None; corpus {card.name!r} needs it. Expected is {card.layout}"
        )
    try:
        return existing_path(root, "corpus_root")
    except InputError as error:
        raise InputError(f"{error}. Expected is {card.layout}") from None


def _check_options(card: CorpusCard, options: dict[str, Any]) -> None:
    for option in options:
        if not card.options:
            raise InputError(
                f"unknown option {option!r} of corpus {card.name!r}: it has no options"
            )
        if option not in card.options:
            raise unknown(f"option of corpus {card.name!r}", option, card.options)


def _check_limit(limit: int | None) -> None:
    whole = isinstance(limit, int | np.integer) and not isinstance(limit, bool)
    if limit is not None and (not whole or limit < 1):
        raise InputError(f"limit: found {limit!r}, valid are whole numbers of 1 or more, or None")


def _limited(corpus: Corpus, limit: int, seed: int) -> Corpus:
    kept = [stratified_sample(corpus.rows(part), limit, seed).index for part in PARTITIONS]
    chosen = kept[0].append(list(kept[1:]))
    return replace(corpus, table=corpus.table[corpus.table.index.isin(chosen)])
