"""Validate a whole study before any hour of compute."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from sercue.audio import utterance_seconds
from sercue.corpora import load_corpus
from sercue.corpora.corpus import Corpus
from sercue.errors import InputError, ServerError
from sercue.interventions import parse_conditions
from sercue.models import CARDS, TINY, AudioLanguageModel, check_available, load_model
from sercue.models.cards import ENDPOINT_PREFIX
from sercue.prompts import label_orders, resolve_templates
from sercue.settings import Settings


def check_study(settings: Settings) -> list[tuple[str, str]]:
    """Check the corpus, the prompts and the model of a study.

    Of the model: whether it can be had, whether its download has a place on the disk, whether it
    fits the memory of the device, whether it takes recordings as long as these; and of one on a
    server, whether it answers. No weights are fetched or loaded.

    Args:
        settings: the study; its keys and values are valid already

    Returns:
        what was checked and what was found, to print

    Raises:
        InputError: naming what is wrong, what was found and what is valid
    """
    corpus = study_corpus(settings)
    _check_evaluated(settings, corpus)
    return [
        ("study", f"{settings.study}: all keys and values are valid"),
        ("corpus", repr(corpus)),
        ("prompts", _prompts(settings, corpus)),
        ("model", _model(settings, corpus)),
    ]


def study_corpus(settings: Settings) -> Corpus:
    """The corpus that the settings name."""
    fold = {} if settings.fold is None else {"fold": settings.fold}
    return load_corpus(
        settings.corpus,
        settings.corpus_root,
        labels=settings.labels,
        drop_labels=settings.drop_labels,
        limit=settings.limit,
        seed=settings.seed,
        **settings.corpus_options,
        **fold,
    )


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


def _model(settings: Settings, corpus: Corpus) -> str:
    if settings.model == TINY:
        from sercue.models.tiny_data import make_recipe

        make_recipe(settings.model_options)
        longest = next(card.longest for card in CARDS if card.name == TINY)
        _check_lengths(TINY, longest, corpus.table, corpus)
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
    _check_lengths(settings.model, model.max_seconds, corpus.rows(settings.partition), corpus)
    return found


def _check_scores(model: AudioLanguageModel, corpus: Corpus) -> None:
    """Many servers can only generate; ask about a second of silence whether this one scores."""
    silence = np.zeros(math.ceil(model.sampling_rate * min(1.0, model.max_seconds)), np.float32)
    try:
        model.score([silence], [["?"]], [corpus.labels[0]])
    except ServerError as error:
        raise InputError(str(error)) from None


def _check_lengths(model: str, limit: float, rows: pd.DataFrame, corpus: Corpus) -> None:
    """A recording that the model must not cut would end the study hours later."""
    if limit == float("inf"):
        return
    seconds = [utterance_seconds(corpus, key) for key in rows.index]
    longest = max(seconds)
    if longest > limit:
        file = rows.index[seconds.index(longest)][0]
        windows = "" if model == TINY else ", or set model_options: {long_audio: windows}"
        raise InputError(
            f"corpus {corpus.name!r}: {sum(s > limit for s in seconds)} utterances are longer than "
            f"the {limit:g} s that {model} takes, the longest {file} with {longest:.1f} s; split "
            f"them into segments{windows}"
        )
