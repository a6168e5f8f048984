"""Whether the prompts reach the model, and the longest about the longest recording fits it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sercue.audio import read_utterance
from sercue.check.labels import check_answers
from sercue.check.model import first_model, why_not_at_hand
from sercue.check.rehearsal import Rehearsal
from sercue.concepts import UNKNOWN
from sercue.corpora.corpus import utterance_ids
from sercue.errors import InputError
from sercue.models import TINY, Windowed
from sercue.models.cards import ENDPOINT_PREFIX
from sercue.models.windows import split_evenly
from sercue.prompts import Template, label_orders, resolve_templates


def check_context(study: Rehearsal) -> str:
    """The length of the longest prompt, with its audio and its answer, and the model's limit.

    Needs the processor of a model and its configuration alone; a server is asked.

    Args:
        study: the study

    Raises:
        InputError: if a prompt is too long, or a template holds what marks the audio in the chat,
            or if the model's tokenizer cannot write a label or tell it from another
        ServerError: if the model's server does not answer
    """
    if study.settings.model == TINY and why_not_at_hand(study):
        return f"not known: the tokenizer of {TINY} is made when it is trained"
    model, server = _inner(study), study.settings.model.startswith(ENDPOINT_PREFIX)
    file, audio = _longest(study, model)
    lengths = {}
    for template in resolve_templates(study.settings.templates):
        texts = _texts(study, template)
        # A server is sent the recording with every one of them.
        texts = [max(texts, key=len)] if server else texts
        about = f"template {template.name!r} about {file}"
        lengths[about] = _prompt_tokens(model, audio, texts, about)
    if not all(lengths.values()):
        return "not known: the server does not tell the length of a prompt"
    answer = _answer_on_server(study) if server else _answer(study, model)
    about = max(lengths, key=lambda one: max(lengths[one]))
    return _told(study, model.context, max(lengths[about]), answer, about)


def check_chat(study: Rehearsal) -> str:
    """That the chat holds the whole of each prompt, and that the model can tell them apart.

    Every different prompt of some utterances is written out, under a condition of each kind.

    Args:
        study: the study

    Raises:
        InputError: naming the prompt that the chat template or the tokenizer does not write, or two
            that have the same token ids
    """
    if study.settings.model.startswith(ENDPOINT_PREFIX):
        return "not known: the chat is written on the server"
    if study.settings.model == TINY and why_not_at_hand(study):
        return f"not known: the tokenizer of {TINY} is made when it is trained"
    model, texts = _inner(study), list(study.some_prompts["text"].unique())
    silence = np.zeros(round(model.sampling_rate * min(1.0, model.max_seconds)), np.float32)
    model.prompt_tokens(silence, texts)
    return (
        f"each of {len(texts)} different prompts, of a sample, is in the model's chat as a whole "
        "and has token ids of its own"
    )


def _inner(study: Rehearsal) -> Any:
    """The model itself, whether or not it is trained here or hears windows."""
    model = first_model(study)
    if study.settings.model == TINY:
        from sercue.models.chat import AudioChatModel

        return AudioChatModel(model.folder, name=TINY, device=model.device, dtype=model.dtype)
    return model.model if isinstance(model, Windowed) else model


def _longest(study: Rehearsal, model: Any) -> tuple[str, np.ndarray]:
    """The longest recording that is asked about, or the longest window of it."""
    seconds = study.asked
    key = seconds.index[int(seconds.argmax())]
    audio = read_utterance(study.own, key, model.sampling_rate)
    limit = model.max_seconds * model.sampling_rate
    name = str(utterance_ids(seconds.index[[int(seconds.argmax())]])[0])
    return name, audio if audio.size <= limit else split_evenly(audio, math.floor(limit))[0]


def _texts(study: Rehearsal, template: Template) -> list[str]:
    """Prompts of a wording as long as they come: every concept shown, each word in turn."""
    words = list(study.label_words.values())
    shown: list[dict[str, str] | None] = [
        dict.fromkeys(map(str, study.tokens.columns), word)
        for word in (*study.binning.words, UNKNOWN)
    ]
    if set(study.settings.conditions) == {"none"}:
        shown = [None]
    orders = label_orders(len(words), study.settings.label_orders)
    return [template.render([words[i] for i in order], one) for order in orders for one in shown]


def _prompt_tokens(model: Any, audio: np.ndarray, texts: list[str], about: str) -> list[int]:
    try:
        counted: list[int] = model.prompt_tokens(audio, texts)
    except InputError as error:
        raise InputError(f"{about}: {error}") from None
    return counted


def _answer(study: Rehearsal, model: Any) -> int:
    """Most tokens of an answer; each label is one."""
    s, words = study.settings, study.label_words
    prompt = _texts(study, resolve_templates(s.templates)[0])[0]
    tokens = {label: model.answer_tokens(prompt, word) for label, word in words.items()}
    check_answers(s.decoding, words, tokens, s.max_new_tokens)
    return max(map(len, tokens.values())) if s.decoding == "score" else s.max_new_tokens


def _answer_on_server(study: Rehearsal) -> int:
    """The same where the tokenizer is not here: no token is shorter than a byte."""
    s = study.settings
    longest = max(len(word.encode()) for word in study.label_words.values())
    return longest if s.decoding == "score" else s.max_new_tokens


def _told(study: Rehearsal, limit: int | None, prompt: int, answer: int, about: str) -> str:
    found = f"{prompt} tokens ({about}, all concepts shown) and {answer} of an answer"
    if limit is None:
        return f"at most {found}; the model names no limit"
    if prompt + answer > limit:
        raise InputError(
            f"context: found {found}, but {study.settings.model} takes {limit} together; shorten "
            "the template, split long recordings into segments"
            + (
                ""
                if study.settings.model == TINY
                else " (model_options: {long_audio: windows}, "
                "if they are longer than the model hears)"
            )
            + ", or take a model with a longer context"
        )
    return f"at most {found}; the model takes {limit}"
