"""Validate a whole study before any hour of compute."""

from __future__ import annotations

from sercue.corpora import load_corpus
from sercue.corpora.corpus import Corpus
from sercue.errors import InputError
from sercue.interventions import parse_conditions
from sercue.models import TINY, load_model
from sercue.prompts import label_orders, resolve_templates
from sercue.settings import Settings


def check_study(settings: Settings) -> list[tuple[str, str]]:
    """Check the corpus, the prompts and the model of a study.

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
        ("model", _model(settings)),
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


def _model(settings: Settings) -> str:
    if settings.model == TINY:
        from sercue.models.tiny_data import make_recipe

        make_recipe(settings.model_options)
        return f"{TINY}: trained on the training partition at first use, a minute or two"
    model = load_model(
        settings.model,
        revision=settings.model_revision,
        device=settings.device,
        dtype=settings.dtype,
        options=settings.model_options,
    )
    model.check()
    return f"{model.identity} on {model.device}"
