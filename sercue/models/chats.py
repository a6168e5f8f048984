"""One user turn, audio before text, as the token ids of a model's chat."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import transformers

from sercue.corpora.audio import wav_base64
from sercue.errors import InputError, shortened
from sercue.models import template_trial
from sercue.models.hub import told_of


class MistralChat:
    """Chats that Mistral's tokenizer turns directly into ids, without an intermediate text.

    It takes audio only as an encoded file, and puts its tokens in front of the text.

    Args:
        processor: one whose tokenizer is ``MistralCommonBackend``
        name: how errors call the model
    """

    def __init__(self, processor: Any, name: str) -> None:
        self._tokenizer = processor.tokenizer
        self._name = name
        self._sampling_rate = int(processor.feature_extractor.sampling_rate)

    def turn(self, text: str, audio: np.ndarray) -> dict[str, Any]:
        """One user turn: the audio, then the text. See ``TemplateChat.turn``."""
        encoded = wav_base64(audio, self._sampling_rate)
        heard = {"type": "audio", "base64": f"data:audio/wav;base64,{encoded}"}
        return {"role": "user", "content": [heard, {"type": "text", "text": text}]}

    def check(self) -> None:
        """Raise nothing: the tokenizer, not the checkpoint, decides where the audio goes."""

    def check_texts(self, texts: Sequence[str]) -> None:
        """Raise nothing: this tokenizer reads no text as a mark."""

    def ids(self, texts: Sequence[str], first: list[int]) -> list[list[int]]:
        """Token ids of several prompts about one recording. See ``TemplateChat.ids``."""
        turns = [[{"role": "user", "content": text}] for text in texts]
        plain = self._tokenizer.apply_chat_template(turns, tokenize=True, return_dict=True)
        rows = plain["input_ids"]
        place, inserted = inserted_tokens(rows[0], first)
        if not inserted or any(row[:place] != rows[0][:place] for row in rows):
            raise InputError(
                f"model {self._name!r}: its tokenizer does not put the audio before the text"
            )
        return [[*row[:place], *inserted, *row[place:]] for row in rows]

    def answer_tokens(self, prompt: str, label: str) -> list[int]:
        """See ``ChatInputs.answer_tokens``; a chat ends in a token that merges with no text."""
        return self._tokenizer(label, add_special_tokens=False)["input_ids"]


def inserted_tokens(plain: Sequence[int], expanded: Sequence[int]) -> tuple[int, list[int]]:
    """What was inserted into a sequence of tokens, and where.

    Args:
        plain: ids without audio
        expanded: the same ids with audio

    Returns:
        the place behind which tokens were inserted, and these tokens; none if ``expanded`` is
        anything but ``plain`` with one stretch inserted

    Examples:
        >>> inserted_tokens([1, 7, 2, 3], [1, 7, 7, 7, 2, 3])
        (2, [7, 7])
    """
    more = len(expanded) - len(plain)
    pairs = enumerate(zip(plain, expanded, strict=False))
    place = next((i for i, (a, b) in pairs if a != b), len(plain))
    inserted = list(expanded[place : place + more]) if more > 0 else []
    whole = [*plain[:place], *inserted, *plain[place:]]
    return place, inserted if whole == list(expanded) else []


# What a template may take to write one chat; those that are known take milliseconds.
_TRIAL = {"seconds": 5, "bytes": 2 * 10**9, "too_large": 3}
# On a busy machine processor time passes more slowly than time.
_TRIAL_WAIT = 120.0
_TRIAL_TEXT = "Which emotion? " * 64
# What changes a chat by chance, so that its answers could not be found again.
_BY_CHANCE = re.compile(r"\|\s*random\b|\blipsum\s*\(")
# Templates of Llama and its like write the date into the chat, so that answers would change by the
# day while their key stays the same. This is the day that those templates name by default.
_DATE = {"%Y": "2024", "%y": "24", "%m": "07", "%d": "26", "%b": "Jul", "%B": "July",
         "%a": "Fri", "%A": "Friday", "%H": "12", "%I": "12", "%M": "00", "%S": "00",
         "%p": "PM", "%j": "208"}  # fmt: skip
_PINNED_DATE = (
    "{%- macro strftime_now(format) -%}{{ format"
    + "".join(f" | replace('{code}', '{value}')" for code, value in _DATE.items())
    + " }}{%- endmacro -%}"
)


class TemplateChat:
    """Chats that a template writes and the processor's tokenizer reads.

    Args:
        processor: any of transformers with a chat template
        name: how errors call the model
    """

    def __init__(self, processor: Any, name: str) -> None:
        self._processor, self._tokenizer = processor, processor.tokenizer
        self._name = name

    @staticmethod
    def turn(text: str, audio: np.ndarray | None = None) -> dict[str, Any]:
        """One user turn: the audio, then the text.

        Args:
            text: the prompt
            audio: samples (samples,); without them only the place of the audio is marked

        Examples:
            >>> TemplateChat.turn("Who speaks?")["content"]
            [{'type': 'audio'}, {'type': 'text', 'text': 'Who speaks?'}]
        """
        heard = {"type": "audio"} if audio is None else {"type": "audio", "audio": audio}
        return {"role": "user", "content": [heard, {"type": "text", "text": text}]}

    def check(self) -> None:
        """Find out whether the template writes a turn as it must.

        Raises:
            InputError: if it does not end, changes by chance, or does not put one audio, which is
                one token of the tokenizer, before the whole of the text
        """
        template = self._processor.chat_template
        why = why_not_rendered(template, json.dumps([self.turn(_TRIAL_TEXT)]))
        if why:
            raise InputError(f"model {self._name!r}: its chat template {why}")
        mark, _ = self._audio_token, self._head
        number = self._chat("yes").count(mark)
        if number > 1:
            raise InputError(
                f"model {self._name!r}: its chat template writes the mark of the audio "
                f"({mark}) {number} times for one recording; valid is once"
            )
        if self._audio_id not in self._tokens(self._chats(["yes"]))[0]:
            raise InputError(
                f"model {self._name!r}: the mark of the audio, {shortened(mark)}, is no token of "
                "its tokenizer, so that it takes no audio"
            )

    def check_texts(self, texts: Sequence[str]) -> None:
        """Raise ``InputError`` if a prompt holds what marks the place of the audio."""
        if any(self._audio_token in text for text in texts):
            raise self._marked()

    def ids(self, texts: Sequence[str], first: list[int]) -> list[list[int]]:
        """Token ids of several prompts about one recording.

        What the processor did to the audio's place in the first is done to the others.

        Args:
            texts: the prompts
            first: ids of the first of them, as the processor gave them

        Raises:
            InputError: if the first does not show it, or if there is no audio in it
        """
        chats, mark, sound = self._chats(texts), self._audio_token, self._audio_id
        if sound not in first:
            raise InputError(
                f"audio: {self._name} found no audio in it; valid are recordings long enough for "
                "one audio token"
            )
        start, end = first.index(sound), len(first) - first[::-1].index(sound)
        plain = self._tokens(chats[:1])[0]
        gap = plain.index(sound)
        before = self._written(plain[:gap], first[:start], str.removeprefix)
        after = self._written(plain[gap + 1 :], first[end:], str.removesuffix)
        rows = self._tokens([chat.replace(mark, before + mark + after) for chat in chats])
        for row in rows:
            gap = row.index(sound)
            row[gap : gap + 1] = first[start:end]
        if rows[0] != first:
            raise InputError(
                f"model {self._name!r}: its processor writes more into the chat than an audio "
                "before the text, so that its prompts cannot be told from one of them"
            )
        return rows

    def answer_tokens(self, prompt: str, label: str) -> list[int]:
        """See ``ChatInputs.answer_tokens``."""
        chat = self._chats([prompt])[0]
        asked, answered = self._tokens([chat, chat + label])
        if answered[: len(asked)] == asked:
            return answered[len(asked) :]
        return self._tokenizer(label, add_special_tokens=False)["input_ids"]

    @property
    def _audio_token(self) -> str:
        mark = getattr(self._processor, "audio_token", None)
        if not mark:
            raise InputError(
                f"model {self._name!r}: its processor names no audio token, so it takes no audio"
            )
        return mark

    @cached_property
    def _audio_id(self) -> int:
        return self._tokenizer.convert_tokens_to_ids(self._audio_token)

    def _written(
        self, plain: list[int], expanded: list[int], without: Callable[[str, str], str]
    ) -> str:
        """What the processor wrote beside the audio places, such as a mark of their end."""
        if plain == expanded:
            return ""
        texts = self._tokenizer.batch_decode([expanded, plain], clean_up_tokenization_spaces=False)
        return without(texts[0], texts[1])

    def _chats(self, texts: Sequence[str]) -> list[str]:
        chats = [self._chat(text) for text in texts]
        mark = self._audio_token
        if any(chat.count(mark) != 1 or not chat.startswith(self._head) for chat in chats):
            raise self._marked()
        for text, chat in zip(texts, chats, strict=True):
            # Templates trim a text, and some fold its white space.
            if "".join(text.split()) not in "".join(chat[len(self._head) :].split()):
                raise InputError(
                    f"model {self._name!r}: its chat template does not write the whole text beside "
                    f"an audio: of {shortened(text)} it makes "
                    f"{shortened(chat[len(self._head) :])}"
                )
        return chats

    def _marked(self) -> InputError:
        return InputError(
            f"prompts: found {self._audio_token!r} in one, which is how {self._name} marks the "
            "place of the audio; valid is any text without it"
        )

    def _chat(self, text: str) -> str:
        # Templates for text alone add strings to what is a list here, or refuse it themselves.
        with told_of(self._name, "its chat template does not take an audio with a text"):
            return self._processor.apply_chat_template(
                [self.turn(text)], add_generation_prompt=True, tokenize=False
            )

    @cached_property
    def _head(self) -> str:
        """The chat up to the audio: the same for every prompt."""
        heads = {self._chat(text).partition(self._audio_token)[:2] for text in ("yes", "no")}
        if len(heads) != 1 or not all(found for _, found in heads):
            raise InputError(
                f"model {self._name!r}: its chat template does not put the audio before the text; "
                "valid is one that writes what a user turn holds in the order given"
            )
        return "".join(heads.pop())

    def _tokens(self, chats: Sequence[str]) -> list[list[int]]:
        # Some templates write the token that begins a text, and some leave it to the tokenizer.
        start = self._tokenizer.bos_token
        written = start is not None and self._head.startswith(start)
        return self._tokenizer(list(chats), add_special_tokens=not written)["input_ids"]


def make_chat(processor: Any, name: str) -> TemplateChat | MistralChat:
    """What writes the chats of a processor: its template, or its tokenizer by itself.

    Args:
        processor: any of transformers for audio and text
        name: how errors call the model

    Raises:
        InputError: if it has neither
    """
    if isinstance(processor.tokenizer, transformers.MistralCommonBackend):
        return MistralChat(processor, name)
    if isinstance(processor.chat_template, dict):
        processor.chat_template = processor.chat_template.get("default")
    if not processor.chat_template:
        raise InputError(
            f"model {name!r}: its processor has no chat template; valid are models that were "
            "trained for chat (often named Instruct); those of Mistral need the package "
            "mistral-common"
        )
    if not isinstance(processor.chat_template, str):
        raise InputError(
            f"model {name!r}: its chat template is {shortened(processor.chat_template)}; valid is "
            "a text"
        )
    template = processor.chat_template
    if "strftime_now" in template and not template.startswith(_PINNED_DATE):
        processor.chat_template = _PINNED_DATE + template
    return TemplateChat(processor, name)


@lru_cache
def why_not_rendered(template: str, messages: str) -> str:
    """Why a template cannot be used to write a chat, or an empty text.

    A template may be without end; so it is first rendered in another process, which is ended.

    Args:
        template: of a chat
        messages: what it is to write, as JSON

    Examples:
        >>> why_not_rendered("{{ messages | random }}", "[]")
        'changes by chance (random, lipsum), so that its answers could not be found again'
        >>> why_not_rendered("{{ 'x' * 10 ** 10 }}", "[]")
        'takes more than 2 GB of memory to write one chat'
    """
    if _BY_CHANCE.search(template):
        return "changes by chance (random, lipsum), so that its answers could not be found again"
    given = {"template": template, "messages": json.loads(messages), **_TRIAL}
    try:
        tried = subprocess.run(
            [sys.executable, "-I", template_trial.__file__],
            input=json.dumps(given).encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_TRIAL_WAIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"does not end within {_TRIAL_WAIT:.0f} s"
    if tried.returncode == _TRIAL["too_large"]:
        return f"takes more than {_TRIAL['bytes'] / 1e9:g} GB of memory to write one chat"
    # By the system, at its limit of processor time.
    if tried.returncode < 0:
        return f"does not end within {_TRIAL['seconds']} s of processor time"
    return ""
