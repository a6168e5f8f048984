"""Validate a whole study before any hour of compute."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sercue.check.cost import check_disk_space, check_features, check_prompts, check_time
from sercue.check.machine import check_folders, check_kernel
from sercue.check.model import check_baselines, check_chat, check_context, check_model
from sercue.check.rehearsal import Rehearsal
from sercue.corpora.audio_variants import SWAPPED, partners
from sercue.corpora.corpus import Corpus
from sercue.corpora.corpus_check import check_corpus
from sercue.corpora.inspection import inspect_audio
from sercue.errors import InputError
from sercue.report.notebooks import notebook_files
from sercue.settings import Settings
from sercue.statistics.controls import trains_here
from sercue.study_corpus import listed_corpus, usable_corpus
from sercue.tables.limits import limits, other_folds
from sercue.tokens.condition import parts_heard


@dataclass(frozen=True, eq=False)
class StudyCheck:
    """What there is to say of a study before it runs.

    Attributes:
        corpus: findings about the corpus, as ``check_corpus`` returns them
        rows: what else was checked and what was found, to print
        problem: why the study cannot run, if it cannot
    """

    corpus: pd.DataFrame
    rows: list[tuple[str, str]]
    problem: InputError | None = None


def check_study(settings: Settings, *, measure: bool = False) -> StudyCheck:
    """Check everything that could fail late in a study: corpus, prompts, model, folders, kernel.

    For the model: whether it is available, whether the disk has space for its download, whether it
    fits the memory of the device, and whether it takes recordings and prompts of this length. A
    model on a server and a scheduler must answer. No weights are downloaded.

    Args:
        settings: the study; its keys and values are already valid
        measure: whether to measure how long the study will take as well, and to count its prompts
            exactly: features of some recordings are extracted (and cached), and a model whose
            weights are available is loaded and asked about a few utterances. These answers are
            not stored.

    Returns:
        what was found. Recordings that cannot be used are all in its table; if the study stops
        at them, its ``problem`` says so, and the model has not been looked at.

    Raises:
        InputError: naming what else is wrong, what was found and what is valid
        ServerError: if the model's server, or the scheduler, does not answer
    """
    # First of all, since what is seen of the recordings is cached.
    run = check_folders(settings)
    rows = [
        ("study", f"{settings.study}: all keys and values are valid"),
        ("notebooks", f"{len(notebook_files())}, {check_kernel()}"),
    ]
    if settings.scheduler is not None:
        from sercue.distributed.connection import connected_workers

        rows.append(("scheduler", connected_workers(settings.scheduler)))
    listed = listed_corpus(settings, own_names=True)
    facts = inspect_audio(listed)
    findings = check_corpus(listed, facts)
    try:
        corpus = usable_corpus(listed, facts, settings.bad_audio)
    except InputError as problem:
        return StudyCheck(findings, [*rows, ("corpus", repr(listed))], problem)
    _check_evaluated(settings, corpus)
    minutes = facts.loc[corpus.table.index, "seconds"].sum() / 60
    rows += [
        ("corpus", repr(corpus)),
        ("audio", f"{len(corpus.table)} of {len(facts)} recordings are used, {minutes:.1f} min"),
        *(("inference", told) for told in limits(corpus, settings.partition)),
        *(("inference", told) for told in _of_other_folds(settings, corpus)),
    ]
    with tempfile.TemporaryDirectory() as folder:
        study = Rehearsal(settings, listed, corpus, facts, Path(folder), measured=measure)
        rows += _rehearsed(study, run)
    return StudyCheck(findings, rows)


def _rehearsed(study: Rehearsal, run: Path) -> Iterator[tuple[str, str]]:
    """What is found by going through the study; the cheapest refusals come first."""
    yield "features", check_features(study)
    yield "prompts", check_prompts(study)
    yield "model", check_model(study)
    yield "context", check_context(study)
    yield "chat", check_chat(study)
    if study.run.settings.baselines:
        yield "baselines", check_baselines(study)
    yield "disk", check_disk_space(study, run)
    if study.measured:
        yield "time", check_time(study, run)


def _of_other_folds(settings: Settings, corpus: Corpus) -> list[str]:
    """For how many utterances swapped audio may have been heard in training, if for any."""
    if not trains_here(settings) or all(
        parts_heard(name)[1] != SWAPPED for name in settings.conditions
    ):
        return []
    return other_folds(partners(corpus.rows(settings.partition), settings.seed), corpus)


def _check_evaluated(settings: Settings, corpus: Corpus) -> None:
    """Intervals resample speakers and a shuffle swaps utterances: one of either is too few."""
    rows = corpus.rows(settings.partition)
    speakers = rows["speaker"].nunique()
    if speakers < 2:
        raise InputError(
            f"partition: {settings.partition!r} of corpus {corpus.name!r} has {len(rows)} "
            f"utterances of {speakers} speaker{'s' * (speakers != 1)}; valid is a partition with "
            "two speakers or more, since intervals are taken over speakers; fold: all evaluates "
            "all speakers, each in turn"
        )
