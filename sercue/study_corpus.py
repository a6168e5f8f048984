"""The corpus of a study: read as the settings say, and without the recordings that are no use."""

from __future__ import annotations

import pandas as pd

from sercue.corpora import load_corpus
from sercue.corpora.corpus import Corpus, check_partitions, utterance_ids
from sercue.corpora.pseudonyms import pseudonymised, write_pseudonyms
from sercue.errors import InputError
from sercue.settings import Settings
from sercue.storage.files import cache_folder


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
