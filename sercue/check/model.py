"""Whether the model of a study can be had, and takes its recordings."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from sercue.check.rehearsal import Rehearsal
from sercue.errors import InputError
from sercue.models import CARDS, TINY, AudioLanguageModel, check_available
from sercue.models.availability import hub_sizes, weights_folder
from sercue.models.cards import ENDPOINT_PREFIX, checkpoint_source
from sercue.models.endpoint_chat import PROBES
from sercue.models.tiny_data import make_recipe


def check_model(study: Rehearsal) -> str:
    """What model it is and where its weights are.

    Args:
        study: the study

    Raises:
        InputError: if the model cannot be had, does not fit, or cannot hear a recording whole
        ServerError: if its server does not answer
    """
    s = study.settings
    if s.model == TINY:
        return _tiny(study)
    model = first_model(study)
    found = check_available(
        s.model,
        model,
        revision=s.model_revision,
        spread=s.model_options.get("device_map") is not None,
    )
    if s.model.startswith(ENDPOINT_PREFIX) and s.decoding == "score":
        _check_scores(model, list(study.label_words.values()))
    _check_lengths(s.model, model.max_seconds, study.asked, study.own.name)
    return found


def first_model(study: Rehearsal) -> Any:
    """The model, or of one a fold the first."""
    return next(iter(study.model.values())) if isinstance(study.model, dict) else study.model


def why_not_at_hand(study: Rehearsal) -> str:
    """Why the model cannot be asked now; an empty text if it can be."""
    s = study.settings
    # Only what is trained on the study's own tokens is at hand; to know it takes torch.
    if s.model == TINY and not (study.measured and study.extracted):
        return f"{TINY} is trained at first use"
    if s.model == TINY:
        models: list[Any] = [study.model]
        if isinstance(study.model, dict):
            models = list(study.model.values())
        trained = all(model.trained for model in models)
        return "" if trained else f"{TINY} is trained at first use"
    return "" if not _is_fetched(study) else "the weights of the model are fetched at first use"


def download(study: Rehearsal) -> int:
    """Bytes of weights that are still to be fetched, so far as that can be known."""
    if not _is_fetched(study):
        return 0
    source, card = checkpoint_source(study.settings.model)
    if card is not None:
        return card.download
    return hub_sizes(source, study.settings.model_revision)[1] or 0


def _is_fetched(study: Rehearsal) -> bool:
    s = study.settings
    if s.model == TINY or s.model.startswith(ENDPOINT_PREFIX):
        return False
    source, card = checkpoint_source(s.model)
    revision = s.model_revision or (card.revision if card else None)
    return weights_folder(source, revision) is None


def _tiny(study: Rehearsal) -> str:
    make_recipe(study.settings.model_options)
    if study.settings.device not in ("auto", "cpu"):
        from sercue.models.chat import resolve_device

        resolve_device(study.settings.device)
    longest = next(card.longest for card in CARDS if card.name == TINY)
    _check_lengths(TINY, longest, study.seconds, study.own.name)
    if not why_not_at_hand(study):
        return f"{TINY}: trained on this corpus already"
    folds = len(study.corpus.folds)
    if folds:
        times = f"{folds} times, on all folds but one"
        return f"{TINY}: trained {times}, at first use, a minute or two each"
    return f"{TINY}: trained on the training partition at first use, a minute or two"


def _check_scores(model: AudioLanguageModel, words: list[str]) -> None:
    """Many servers can only generate; ask about a second of silence whether this one scores.

    Of two prompts, so that one that does not reach the model is found.
    """
    silence = np.zeros(math.ceil(model.sampling_rate * min(1.0, model.max_seconds)), np.float32)
    model.score([silence], [PROBES], words)


def _check_lengths(model: str, limit: float, seconds: pd.Series, corpus: str) -> None:
    """A recording that the model must not cut would end the study hours later."""
    longest = seconds.max()
    if longest > limit:
        file = seconds.index[int(seconds.argmax())][0]
        windows = "" if model == TINY else ", or set model_options: {long_audio: windows}"
        raise InputError(
            f"corpus {corpus!r}: {(seconds > limit).sum()} utterances are longer than "
            f"the {limit:g} s that {model} takes, the longest {file} with "
            f"{longest:.1f} s; split them into segments{windows}"
        )
