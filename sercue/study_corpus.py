"""The corpus of a study: read as the settings say, without what is no use; what identifies it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pandas as pd

from sercue.corpora import load_corpus
from sercue.corpora.corpus import Corpus, check_partitions, utterance_ids
from sercue.corpora.pseudonyms import pseudonymised, write_pseudonyms
from sercue.errors import InputError
from sercue.features import extraction
from sercue.settings import Settings
from sercue.storage.files import cache_folder

#: The content of a corpus without recordings.
NO_AUDIO = "not known, as there are no recordings"


def listed_corpus(settings: Settings, *, own_names: bool = False) -> Corpus:
    """The corpus that the settings name, with all utterances that it lists for the study.

    No recording has been looked at: some may not be there.

    Args:
        settings: the study
        own_names: whether files and speakers keep their names although the study says
            ``anonymise``: for the owner's eyes, never for a report

    Raises:
        InputError: if the corpus is not as it must be
    """
    if settings.made_elsewhere:
        raise InputError(
            "corpus: the answers were made elsewhere, so that there are no recordings, features or "
            "tokens; valid is what `sercue analyse` stored, which needs none"
        )
    corpus = load_corpus(
        settings.corpus,
        settings.corpus_root,
        labels=settings.labels,
        drop_labels=settings.drop_labels,
        fold=settings.fold,
        channel=settings.channel,
        limit=settings.limit,
        seed=settings.seed,
        check_files=False,
        **settings.corpus_options,
    )
    if own_names or not settings.anonymise:
        return corpus
    hidden = pseudonymised(corpus)
    write_pseudonyms(hidden, corpus, cache_folder() / "pseudonyms" / f"{settings.study}.csv")
    return hidden


def usable_corpus(corpus: Corpus, facts: pd.DataFrame, bad_audio: str) -> Corpus:
    """The corpus without the recordings that cannot be used, if the study leaves them out.

    Args:
        corpus: as ``listed_corpus`` returns it
        facts: what ``inspect_audio`` found of it
        bad_audio: ``"leave_out"``, or ``"stop"`` at the first one

    Returns:
        corpus whose ``left_out`` names what was left out and why

    Raises:
        InputError: if there are such recordings and the study stops at them, naming the first
            five; if without them the partitions are not as they must be
    """
    bad = facts.loc[facts["problem"] != "", ["problem", "detail"]]
    if bad.empty:
        return corpus
    if bad_audio == "stop":
        raise InputError(_message(corpus, bad))
    usable = corpus.without(bad.rename(columns={"problem": "reason"}))
    lost = [label for label in corpus.labels if label not in set(usable.table["emotion"])]
    if lost:
        raise InputError(
            f"corpus {corpus.name!r}: no usable recording is left of {', '.join(lost)}; "
            f"{len(bad)} of {len(facts)} were left out"
        )
    check_partitions(usable)
    return usable


def _message(corpus: Corpus, bad: pd.DataFrame) -> str:
    names = utterance_ids(bad.index)
    listed = [
        f"  {name!r}: {problem}" + f" ({detail})" * bool(detail)
        for name, problem, detail in zip(names, bad["problem"], bad["detail"], strict=True)
    ]
    more = ["  ..."] if len(listed) > 5 else []
    return "\n".join(
        [
            f"corpus {corpus.name!r}: {len(bad)} of {len(corpus.table)} recordings cannot be used:",
            *listed[:5],
            *more,
            "mend them, or set bad_audio: leave_out to go on without them",
        ]
    )


def corpus_facts(corpus: Corpus, digests: pd.Series) -> dict[str, Any]:
    """What ``provenance.json`` says of a corpus: its size, and digests of audio and labels."""
    content = f"{pd.util.hash_pandas_object(digests, index=False).sum():016x}"
    return {
        "name": corpus.name,
        "utterances": len(corpus.table),
        "speakers": int(corpus.table["speaker"].nunique()),
        "content": content if digests.notna().any() else NO_AUDIO,
        "annotations": f"{pd.util.hash_pandas_object(_annotations(corpus, digests)).sum():016x}",
    }


def listing_digest(corpus: Corpus) -> str:
    """A digest of all that a corpus says of its utterances, in their order."""
    said = [corpus.name, corpus.labels, corpus.neutral_label, list(corpus.table)]
    digest = hashlib.blake2b(json.dumps(said).encode(), digest_size=8)
    for table in (corpus.table, corpus.left_out):
        rows = pd.util.hash_pandas_object(table.reset_index().astype(object), index=False)
        digest.update(rows.to_numpy().tobytes())
    return digest.hexdigest()


def audio_digest(digests: pd.Series) -> str:
    """A digest of the audio of a corpus, and of what makes functionals of it."""
    text = "\n".join([extraction(), *map(str, digests)])
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _annotations(corpus: Corpus, digests: pd.Series) -> pd.DataFrame:
    """What the corpus says of each recording, by the recording's content and not its name."""
    columns = sorted({"emotion", "speaker", "partition", "fold"} & set(corpus.table))
    return corpus.table[columns].astype(object).set_axis(pd.Index(digests.astype(object)))
