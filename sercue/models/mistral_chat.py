"""Chats of models whose tokenizer writes them itself: Voxtral, by the package mistral-common."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.io.wavfile

from sercue.errors import InputError


class MistralChat:
    """Chats that Mistral's tokenizer makes into ids, with no text in between.

    It takes audio as an encoded file alone, and puts its tokens in front of the text.

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
        file = io.BytesIO()
        # Of single precision, as the samples are: nothing is rounded on the way.
        scipy.io.wavfile.write(file, self._sampling_rate, audio.astype(np.float32))
        encoded = "data:audio/wav;base64," + base64.b64encode(file.getvalue()).decode()
        heard = {"type": "audio", "base64": encoded}
        return {"role": "user", "content": [heard, {"type": "text", "text": text}]}

    def check(self) -> None:
        """Raise nothing: where this tokenizer puts an audio is no matter of the checkpoint."""

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
