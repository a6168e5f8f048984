"""Speech corpora: the registry that names their readers, and how one is read and checked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sercue.corpora import audformat_database, demo, label_files, named_files, saved_datasets, table
from sercue.corpora.corpus import (
    PARTITIONS,
    Corpus,
    check_partitions,
    check_rows,
    first_names,
    select_fold,
    select_labels,
    with_found_files,
)
from sercue.corpora.named_files import CREMA_D, EMODB, RAVDESS
from sercue.corpora.rows import RowsOptions, stratified_sample
from sercue.errors import InputError, refuse_unknown
from sercue.options import Options, checked
from sercue.storage.files import existing_path


@dataclass(frozen=True)
class CorpusCard:
    """What the registry knows of a corpus before reading it.

    Attributes:
        name: what a study calls it
        reader: makes the corpus; takes the root if ``needs_root``, own options if there are any,
            and the seed
        description: one line
        licence: under what terms the recordings may be used
        neutral_label: the neutral class
        citation: where to read more
        needs_root: whether ``corpus_root`` must say where the recordings lie
        layout: what ``corpus_root`` must be
        remote: whether ``corpus_root`` may also be the name of a repository
        options: the options of this corpus alone
    """

    name: str
    reader: Callable[..., Corpus]
    description: str
    licence: str = "that of the corpus"
    neutral_label: str | None = None
    citation: str = "data/README.md"
    needs_root: bool = True
    layout: str = ""
    remote: bool = False
    options: type[Options] = Options

    def read(self, /, *root: Path, seed: int = 0, **options: Any) -> Corpus:
        """What the reader makes of options that have been checked.

        Raises:
            InputError: if an option is not valid, or the corpus cannot be read
        """
        what = f"option of corpus {self.name!r}"
        own = checked(self.options, options, what, "corpus_options")
        return self.reader(*root, *([own] if self.options.model_fields else []), seed=seed)


_CARDS = (
    CorpusCard(
        "demo",
        demo.read_demo,
        "Synthetic English speech from Praat, 24 speakers, 4 emotions: a fixture, not evidence",
        demo.LICENCE,
        "neutral",
        "made on first use by sercue.corpora.demo",
        needs_root=False,
        options=demo.DemoOptions,
    ),
    CorpusCard(
        "emodb",
        EMODB.read,
        "Berlin Database of Emotional Speech: acted German, 10 speakers, 7 emotions",
        EMODB.licence,
        "neutral",
        "Burkhardt et al., Interspeech 2005, doi:10.21437/Interspeech.2005-446",
        layout=EMODB.layout,
    ),
    CorpusCard(
        "iemocap",
        label_files.read_iemocap,
        "Acted and improvised English dialogues, 10 speakers, 4 emotions, leave one session out",
        label_files.IEMOCAP_LICENCE,
        "neutral",
        "Busso et al., Language Resources and Evaluation 42, 2008, doi:10.1007/s10579-008-9076-6",
        layout=label_files.IEMOCAP_LAYOUT,
        options=label_files.IemocapOptions,
    ),
    CorpusCard(
        "fau_aibo",
        label_files.read_fau_aibo,
        "Spontaneous German of 51 children, 2 or 5 classes of the INTERSPEECH 2009 challenge",
        label_files.AIBO_LICENCE,
        "IDL, or N of 5 classes",
        "Steidl 2009; Schuller, Steidl, Batliner, Interspeech 2009",
        layout=label_files.AIBO_LAYOUT,
        options=label_files.AiboOptions,
    ),
    CorpusCard(
        "ravdess",
        RAVDESS.read,
        "Acted North American English speech, 24 speakers, 8 emotions",
        RAVDESS.licence,
        "neutral",
        "Livingstone and Russo, PLoS ONE 13(5), 2018, doi:10.1371/journal.pone.0196391",
        layout=RAVDESS.layout,
    ),
    CorpusCard(
        "crema_d",
        CREMA_D.read,
        "Acted English, 91 speakers, 6 emotions",
        CREMA_D.licence,
        "neutral",
        "Cao et al., IEEE Trans. Affective Computing 5(4), 2014, doi:10.1109/TAFFC.2014.2336244",
        layout=CREMA_D.layout,
    ),
    CorpusCard(
        "table",
        table.read_table,
        "Any corpus: a CSV or Parquet file that lists its utterances",
        layout=table.LAYOUT,
        options=RowsOptions,
    ),
    CorpusCard(
        "folders",
        named_files.read_folders,
        "Any corpus: a folder for each emotion",
        layout=named_files.FOLDERS_LAYOUT,
        options=named_files.FoldersOptions,
    ),
    CorpusCard(
        "audformat",
        audformat_database.read_audformat,
        "Any corpus: a database in audformat, as audb loads it",
        audformat_database.LICENCE,
        layout=audformat_database.LAYOUT,
        options=audformat_database.AudformatOptions,
    ),
    CorpusCard(
        "datasets",
        saved_datasets.read_datasets,
        "Any corpus: a dataset that Hugging Face's datasets library saved or can load",
        saved_datasets.LICENCE,
        layout=saved_datasets.LAYOUT,
        remote=True,
        options=saved_datasets.DatasetsOptions,
    ),
)
CORPORA: dict[str, CorpusCard] = {card.name: card for card in _CARDS}


def load_corpus(
    name: str,
    root: str | os.PathLike[str] | None = None,
    *,
    labels: Iterable[str] | None = None,
    drop_labels: Sequence[str] = (),
    fold: str | int | None = None,
    channel: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    check_files: bool = True,
    **options: Any,
) -> Corpus:
    """Read a corpus and check it.

    Args:
        name: as ``available_corpora`` lists them
        root: where the corpus lies on this machine; the demo corpus takes none
        labels: all labels of the corpus in the order in which tables show them, or a mapping from
            label to prompt words, in which labels that differ only in spelling and have the same
            words are one class. By default the order of the corpus.
        drop_labels: labels whose utterances are left out
        fold: the fold to test, with all others for training; ``"all"`` for a cross-validation over
            all folds. In a corpus without folds each speaker is one. By default that of the reader.
        channel: of recordings with several channels, the one that is heard, counted from 0;
            ``None`` averages them
        limit: largest number of utterances of each partition, drawn in proportion to emotions and
            speakers
        seed: of everything random: the demo speech, partitions that are made, the limit
        check_files: whether a missing file is an error; otherwise its utterances are kept, and
            ``inspect_audio`` reports them
        options: further options of that corpus alone, such as ``speakers=6`` of ``demo``

    Returns:
        corpus whose partitions, or folds, are speaker-disjoint, with utterances to train and to
        test

    Raises:
        InputError: if a parameter or the corpus is not valid

    Examples:
        >>> load_corpus("emobd")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        sercue.errors.InputError: unknown corpus 'emobd': did you mean 'emodb'? ...
    """
    refuse_unknown("corpus", [name], CORPORA)
    card = CORPORA[name]
    for key, number, least in (("limit", limit, 1), ("channel", channel, 0), ("seed", seed, 0)):
        if number is None and key != "seed":
            continue
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < least:
            raise InputError(f"{key}: found {number!r}, valid are whole numbers from {least} on")
    places = []
    if not card.needs_root and root is not None:
        raise InputError(f"corpus_root: found {str(root)!r}; corpus {name!r} takes none")
    if card.needs_root and root is None:
        raise InputError(
            f"corpus_root: found None; corpus {name!r} needs it. Expected is {card.layout}"
        )
    if root is not None:
        try:
            places = [existing_path(root, "corpus_root")]
        except InputError as error:
            if not card.remote:
                raise InputError(f"{error}. Expected is {card.layout}") from None
            places = [Path(root)]
    corpus = card.read(*places, seed=seed, **options)
    check_rows(corpus)
    corpus = with_found_files(corpus)
    files = corpus.table.index.get_level_values("file").unique()
    missing = [file for file in files if not corpus.path(file).is_file()]
    if missing and check_files:
        raise InputError(
            f"corpus {corpus.name!r}: {len(missing)} of {len(files)} files are not there: "
            f"{first_names(missing)} (below {corpus.root})"
        )
    corpus = select_labels(corpus, labels, drop_labels)
    corpus = replace(select_fold(corpus, fold), channel=channel)
    check_partitions(corpus)
    if limit is None:
        return corpus
    table = corpus.table
    kept = [stratified_sample(corpus.rows(part), limit, seed).index for part in PARTITIONS]
    rest = table.index[~table.index.isin(kept[0].append(list(kept[1:])))]
    reasons = {"reason": "beyond the study's limit", "detail": f"limit: {limit}"}
    # The published numbers are those of the whole.
    return replace(corpus.without(pd.DataFrame(reasons, index=rest)), expected=())


def available_corpora() -> pd.DataFrame:
    """The corpora that ``load_corpus`` knows, one row per corpus.

    Examples:
        >>> available_corpora().index.tolist()  # doctest: +NORMALIZE_WHITESPACE
        ['demo', 'emodb', 'iemocap', 'fau_aibo', 'ravdess', 'crema_d',
         'table', 'folders', 'audformat', 'datasets']
    """
    rows = [
        {
            "corpus": card.name,
            "description": card.description,
            "neutral": card.neutral_label or "",
            "licence": card.licence,
            "corpus_root": card.layout or "none",
            "options": ", ".join(card.options.names()),
            "citation": card.citation,
        }
        for card in CORPORA.values()
    ]
    return pd.DataFrame(rows).set_index("corpus")
