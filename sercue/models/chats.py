"""One user turn, audio before text, as the token ids of a model's chat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import transformers
from jinja2 import TemplateError

from sercue.errors import InputError
from sercue.models.mistral_chat import MistralChat


@dataclass(frozen=True)
class _Place:
    """What a processor puts in the place of the audio: text, audio tokens, text."""

    before: str
    tokens: list[int]
    after: str


class TemplateChat:
    """Chats that a template writes and the processor's tokenizer reads.

    Args:
        processor: any of transformers with a chat template
        name: how errors call the model
    """

    def __init__(self, processor: Any, name: str) -> None:
        self._processor = processor
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
        """Raise ``InputError`` if the template does not put an audio before a text."""
        _ = self._head

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
            InputError: if that cannot be told from the first, or if there is no audio in it
        """
        chats = self._chats(texts)
        mark = self._audio_token
        place = self._place(chats[0], first)
        written = place.before + mark + place.after
        rows = self._tokens([chat.replace(mark, written) for chat in chats])
        ids = [_spread(row, self._audio_id, place.tokens) for row in rows]
        if ids[0] != first:
            raise InputError(
                f"model {self._name!r}: its processor writes more into the chat than an audio "
                "before the text, so that its prompts cannot be told from one of them"
            )
        return ids

    def answer_tokens(self, prompt: str, label: str) -> list[int]:
        """See ``ChatInputs.answer_tokens``."""
        chat = self._chats([prompt])[0]
        asked, answered = self._tokens([chat, chat + label])
        if answered[: len(asked)] == asked:
            return answered[len(asked) :]
        return self._tokenizer(label, add_special_tokens=False)["input_ids"]

    @property
    def _tokenizer(self) -> Any:
        return self._processor.tokenizer

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

    def _place(self, chat: str, first: list[int]) -> _Place:
        if self._audio_id not in first:
            raise InputError(
                f"audio: {self._name} found no audio in it; valid are recordings long enough for "
                "one audio token"
            )
        plain = self._tokens([chat])[0]
        start = first.index(self._audio_id)
        end = len(first) - first[::-1].index(self._audio_id)
        gap = plain.index(self._audio_id)
        return _Place(
            self._written(plain[:gap], first[:start], str.removeprefix),
            first[start:end],
            self._written(plain[gap + 1 :], first[end:], str.removesuffix),
        )

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
        return chats

    def _marked(self) -> InputError:
        return InputError(
            f"prompts: found {self._audio_token!r} in one, which is how {self._name} marks the "
            "place of the audio; valid is any text without it"
        )

    def _chat(self, text: str) -> str:
        try:
            return self._processor.apply_chat_template(
                [self.turn(text)], add_generation_prompt=True, tokenize=False
            )
        # Templates for text alone add strings to what is a list here, or refuse it themselves.
        except (TypeError, TemplateError) as error:
            raise InputError(
                f"model {self._name!r}: its chat template does not take an audio with a text "
                f"({error})"
            ) from error

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


def _spread(ids: list[int], mark: int, tokens: list[int]) -> list[int]:
    """Put several tokens in the place of one."""
    place = ids.index(mark)
    return [*ids[:place], *tokens, *ids[place + 1 :]]


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
    if not processor.chat_template:
        raise InputError(
            f"model {name!r}: its processor has no chat template; valid are models that were "
            "trained for chat (often named Instruct); those of Mistral need the package "
            "mistral-common"
        )
    return TemplateChat(processor, name)
