"""Whether the model of a study can be asked: availability, labels, context, chat."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd

from sercue.check.rehearsal import Rehearsal
from sercue.corpora.audio import read_utterance
from sercue.corpora.corpus import utterance_ids
from sercue.errors import InputError
from sercue.models import CARDS, TINY, Windowed, check_available
from sercue.models.availability import hub_sizes, weights_folder
from sercue.models.cards import (
    CLAP,
    CLAP_CARD,
    ENDPOINT_PREFIX,
    HUB_PREFIX,
    checkpoint_source,
    contrastive_source,
)
from sercue.models.endpoint import PROBES
from sercue.models.windows import split_evenly
from sercue.tokens.concepts import UNKNOWN
from sercue.tokens.prompts import FORMS, Template, label_orders, resolve_templates


def check_answers(
    decoding: str,
    words: Mapping[str, str],
    tokens: Mapping[str, Sequence[int]],
    max_new_tokens: int,
) -> None:
    """Refuse words that this model's tokenizer cannot write, or cannot tell apart.

    The score of a label is the likelihood that an answer begins with its words. If the words of
    one label begin with those of another, it can never be the likelier one.

    Args:
        decoding: how answers are taken
        words: label to the words that prompts show for it
        tokens: label to the ids of its words behind a prompt
        max_new_tokens: most tokens of a generated answer

    Raises:
        InputError: naming the labels, their words and what to do
    """
    for label, ids in tokens.items():
        if not len(ids):
            raise InputError(
                f"labels: {label!r} is shown as {words[label]!r}, of which the model's tokenizer "
                "makes no token; choose other words"
            )
        if decoding == "generate" and len(ids) > max_new_tokens:
            raise InputError(
                f"max_new_tokens: found {max_new_tokens}, but {words[label]!r} (label {label!r}) "
                f"has {len(ids)} tokens, so that no answer can name it; valid is {len(ids)} or more"
            )
    for short, long in permutations(tokens, 2) if decoding == "score" else ():
        if list(tokens[long][: len(tokens[short])]) == list(tokens[short]):
            raise InputError(
                f"labels: for the model's tokenizer {words[long]!r} (label {long!r}) begins with "
                f"{words[short]!r} (label {short!r}), so that by decoding: score it could never "
                "be the answer; choose other words, or decoding: generate"
            )


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
    if study.run.settings.model == TINY and why_not_at_hand(study):
        return f"not known: the tokenizer of {TINY} is made when it is trained"
    model, server = _inner(study), study.run.settings.model.startswith(ENDPOINT_PREFIX)
    # The longest recording that is asked about, or the longest window of it.
    asked = study.asked
    key = asked.index[[int(asked.argmax())]]
    file, limit = str(utterance_ids(key)[0]), model.max_seconds * model.sampling_rate
    audio = read_utterance(study.own, key[0], model.sampling_rate)
    audio = audio if audio.size <= limit else split_evenly(audio, math.floor(limit))[0]
    lengths = {}
    for template in resolve_templates(study.run.settings.templates):
        texts = _texts(study, template)
        # A server is sent the recording with every one of them.
        texts = [max(texts, key=len)] if server else texts
        about = f"template {template.name!r} about {file}"
        try:
            lengths[about] = model.prompt_tokens(audio, texts)
        except InputError as error:
            raise InputError(f"{about}: {error}") from None
    if not all(lengths.values()):
        return "not known: the server does not tell the length of a prompt"
    answer = _answer(study, None if server else model)
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
    if study.run.settings.model.startswith(ENDPOINT_PREFIX):
        return "not known: the chat is written on the server"
    if study.run.settings.model == TINY and why_not_at_hand(study):
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
    if study.run.settings.model == TINY:
        from sercue.models.chat import AudioChatModel

        return AudioChatModel(model.folder, name=TINY, device=model.device, dtype=model.dtype)
    return model.model if isinstance(model, Windowed) else model


def _texts(study: Rehearsal, template: Template) -> list[str]:
    """Prompts of a wording as long as they come: every concept shown, each word in turn."""
    words = list(study.run.label_words.values())
    known = {concept: [*own.known, UNKNOWN] for concept, own in study.run.binning.words.items()}
    shown: list[dict[str, str] | None] = [
        {concept: each[min(place, len(each) - 1)] for concept, each in known.items()}
        for place in range(max(map(len, known.values())))
    ]
    if set(study.run.settings.conditions) == {"none"}:
        shown = [None]
    orders = label_orders(len(words), study.run.settings.label_orders)
    forms = ["", *(name for name in study.run.settings.conditions if name in FORMS)]
    return [
        template.render([words[i] for i in order], one, form)
        for order in orders
        for one in shown
        for form in forms
    ]


def _answer(study: Rehearsal, model: Any | None) -> int:
    """Most tokens of an answer; each label is one. A server's tokenizer is not here."""
    s, words = study.run.settings, study.run.label_words
    if model is None:
        # There, no token is shorter than a byte.
        longest = max(len(word.encode()) for word in words.values())
    else:
        prompt = _texts(study, resolve_templates(s.templates)[0])[0]
        tokens = {label: model.answer_tokens(prompt, word) for label, word in words.items()}
        check_answers(s.decoding, words, tokens, s.max_new_tokens)
        longest = max(map(len, tokens.values()))
    return longest if s.decoding == "score" else s.max_new_tokens


def _told(study: Rehearsal, limit: int | None, prompt: int, answer: int, about: str) -> str:
    found = f"{prompt} tokens ({about}, all concepts shown) and {answer} of an answer"
    if limit is None:
        return f"at most {found}; the model names no limit"
    if prompt + answer > limit:
        windows = " (model_options: {long_audio: windows}, if they are longer than the model hears)"
        windows *= study.run.settings.model != TINY
        raise InputError(
            f"context: found {found}, but {study.run.settings.model} takes {limit} together; "
            f"shorten the template, split long recordings into segments{windows}, or take a model "
            "with a longer context"
        )
    return f"at most {found}; the model takes {limit}"


def check_model(study: Rehearsal) -> str:
    """What model it is and where its weights are.

    Args:
        study: the study

    Raises:
        InputError: if the model cannot be had, does not fit, or cannot hear a recording whole
        ServerError: if its server does not answer
    """
    s = study.run.settings
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
        # Many servers can only generate: this one is asked about a second of silence. Of two
        # prompts, so that one that does not reach the model is found.
        silence = np.zeros(math.ceil(model.sampling_rate * min(1.0, model.max_seconds)), np.float32)
        model.score([silence], [PROBES], list(study.run.label_words.values()))
    _check_lengths(s.model, model.max_seconds, study.asked, study.own.name)
    return found


def check_baselines(study: Rehearsal) -> str:
    """What the contrastive baselines are, where their weights are, and how much they will hear.

    Args:
        study: the study

    Raises:
        InputError: if one cannot be had or does not fit
    """
    evaluated = (study.own.table["partition"] == study.run.settings.partition).to_numpy()
    told = []
    for name, model in study.run.contrastive.items():
        found = check_available(HUB_PREFIX + model.source, model, revision=model.revision)
        windows = np.ceil(study.seconds[evaluated] / model.max_seconds).sum()
        told.append(f"{name}: {found}; {windows:.0f} windows of at most {model.max_seconds:g} s")
    return "; ".join(told)


def first_model(study: Rehearsal) -> Any:
    """The model; if there is one per fold, the first."""
    model = study.run.model
    return next(iter(model.values())) if isinstance(model, dict) else model


def why_not_at_hand(study: Rehearsal) -> str:
    """Why the model cannot be asked now; an empty text if it can be."""
    s = study.run.settings
    # Only what is trained on the study's own tokens is at hand; to know it takes torch.
    if s.model == TINY and not study.extracted:
        return f"{TINY} is trained at first use"
    if s.model == TINY and not study.measured:
        return f"whether {TINY} is trained already is not looked up"
    if s.model == TINY:
        model: Any = study.run.model
        models = model.values() if isinstance(model, dict) else [model]
        trained = all(one.trained for one in models)
        return "" if trained else f"{TINY} is trained at first use"
    return "" if not _is_fetched(study) else "the weights of the model are fetched at first use"


def download(study: Rehearsal) -> int:
    """Bytes of weights that are still to be fetched, so far as that can be known."""
    s, size = study.run.settings, 0
    if _is_fetched(study):
        source, card = checkpoint_source(s.model)
        size += card.download if card else hub_sizes(source, s.model_revision)[1] or 0
    for baseline in s.baselines:
        source, revision = contrastive_source(baseline)
        if weights_folder(source, revision) is None:
            known = CLAP_CARD.download if baseline == CLAP else hub_sizes(source, revision)[1]
            size += known or 0
    return size


def _is_fetched(study: Rehearsal) -> bool:
    s = study.run.settings
    if s.model == TINY or s.model.startswith(ENDPOINT_PREFIX):
        return False
    source, card = checkpoint_source(s.model)
    revision = s.model_revision or (card.revision if card else None)
    return weights_folder(source, revision) is None


def _tiny(study: Rehearsal) -> str:
    # Late: it imports torch, and most models are asked elsewhere or are only looked for.
    from sercue.models.tiny_network import tiny_options

    tiny_options(study.run.settings.model_options)
    if study.run.settings.device not in ("auto", "cpu"):
        from sercue.models.chat import resolve_device

        resolve_device(study.run.settings.device)
    longest = next(card.longest for card in CARDS if card.name == TINY)
    _check_lengths(TINY, longest, study.seconds, study.own.name)
    if not why_not_at_hand(study):
        return f"{TINY}: trained on this corpus already"
    folds = len(study.run.corpus.folds)
    how = f"{folds} times, on all folds but one" if folds else "on the training partition"
    # To know takes torch, for which a run that begins does not wait.
    unknown = study.extracted and not study.measured
    when = "unless that was done before" if unknown else "at first use"
    return f"{TINY}: trained {how} {when}, a minute or two{' each' if folds else ''}"


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
