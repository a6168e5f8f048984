"""Validate a whole study before any hour of compute."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sercue.corpora.corpus import Corpus
from sercue.corpus_check import check_corpus
from sercue.errors import InputError, ServerError
from sercue.inspection import inspect_audio
from sercue.interventions import parse_conditions
from sercue.models import CARDS, TINY, AudioLanguageModel, check_available, load_model
from sercue.models.cards import ENDPOINT_PREFIX
from sercue.prompts import label_orders, resolve_templates
from sercue.settings import Settings
from sercue.study_corpus import listed_corpus, usable_corpus


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


def check_study(settings: Settings) -> StudyCheck:
    """Check the corpus, every recording of it, the prompts and the model of a study.

    Of the model: whether it can be had, whether its download has a place on the disk, whether it
    fits the memory of the device, whether it takes recordings as long as these; and of one on a
    server, whether it answers; of a scheduler, too. No weights are fetched or loaded.

    Args:
        settings: the study; its keys and values are valid already

    Returns:
        what was found. Recordings that cannot be used are all in its table; if the study stops
        at them, its ``problem`` says so, and the model has not been looked at.

    Raises:
        InputError: naming what else is wrong, what was found and what is valid
    """
    listed = listed_corpus(settings, own_names=True)
    facts = inspect_audio(listed)
    findings = check_corpus(listed, facts)
    rows = [("study", f"{settings.study}: all keys and values are valid")]
    try:
        corpus = usable_corpus(listed, facts, settings.bad_audio)
    except InputError as problem:
        return StudyCheck(findings, [*rows, ("corpus", repr(listed))], problem)
    _check_evaluated(settings, corpus)
    minutes = facts.loc[corpus.table.index, "seconds"].sum() / 60
    rows += [
        ("corpus", repr(corpus)),
        ("audio", f"{len(corpus.table)} of {len(facts)} recordings are used, {minutes:.1f} min"),
        ("prompts", _prompts(settings, corpus)),
        ("model", _model(settings, corpus, facts["seconds"])),
    ]
    if settings.scheduler is not None:
        from sercue.distributed.connection import connected_workers

        rows.append(("scheduler", connected_workers(settings.scheduler)))
    return StudyCheck(findings, rows)


def _check_evaluated(settings: Settings, corpus: Corpus) -> None:
    """Intervals resample speakers and a shuffle swaps utterances: one of either is too few."""
    rows = corpus.rows(settings.partition)
    speakers = rows["speaker"].nunique()
    if speakers < 2:
        raise InputError(
            f"partition: {settings.partition!r} of corpus {corpus.name!r} has {len(rows)} "
            f"utterances of {speakers} speakers; valid is a partition with two speakers or more, "
            "since intervals are taken over speakers"
        )


def _prompts(settings: Settings, corpus: Corpus) -> str:
    utterances = len(corpus.rows(settings.partition))
    variants = sum(
        len(condition.replicates(settings.replicates))
        for condition in parse_conditions(settings.conditions)
    )
    wordings = len(resolve_templates(settings.templates))
    orders = len(label_orders(len(corpus.labels), settings.label_orders))
    total = utterances * variants * wordings * orders
    return (
        f"{utterances} utterances of {settings.partition!r} x {variants} conditions and replicates "
        f"x {wordings} templates x {orders} label orders = {total} prompts at most"
    )


def _model(settings: Settings, corpus: Corpus, seconds: pd.Series) -> str:
    if settings.model == TINY:
        from sercue.models.tiny_data import make_recipe

        make_recipe(settings.model_options)
        longest = next(card.longest for card in CARDS if card.name == TINY)
        _check_lengths(TINY, longest, seconds.loc[corpus.table.index], corpus)
        if corpus.folds:
            times = f"{len(corpus.folds)} times, on all folds but one"
            return f"{TINY}: trained {times}, at first use, a minute or two each"
        return f"{TINY}: trained on the training partition at first use, a minute or two"
    model = load_model(
        settings.model,
        revision=settings.model_revision,
        device=settings.device,
        dtype=settings.dtype,
        batch_size=settings.batch_size,
        options=settings.model_options,
    )
    found = check_available(
        settings.model,
        model,
        revision=settings.model_revision,
        spread=settings.model_options.get("device_map") is not None,
    )
    if settings.model.startswith(ENDPOINT_PREFIX) and settings.decoding == "score":
        _check_scores(model, corpus)
    evaluated = corpus.rows(settings.partition).index
    _check_lengths(settings.model, model.max_seconds, seconds.loc[evaluated], corpus)
    return found


def _check_scores(model: AudioLanguageModel, corpus: Corpus) -> None:
    """Many servers can only generate; ask about a second of silence whether this one scores."""
    silence = np.zeros(math.ceil(model.sampling_rate * min(1.0, model.max_seconds)), np.float32)
    try:
        model.score([silence], [["?"]], [corpus.labels[0]])
    except ServerError as error:
        raise InputError(str(error)) from None


def _check_lengths(model: str, limit: float, seconds: pd.Series, corpus: Corpus) -> None:
    """A recording that the model must not cut would end the study hours later."""
    longest = seconds.max()
    if longest > limit:
        file = seconds.index[int(seconds.argmax())][0]
        windows = "" if model == TINY else ", or set model_options: {long_audio: windows}"
        raise InputError(
            f"corpus {corpus.name!r}: {(seconds > limit).sum()} utterances are longer than "
            f"the {limit:g} s that {model} takes, the longest {file} with "
            f"{longest:.1f} s; split them into segments{windows}"
        )
