"""What a model takes for recordings and prompts: features of the audio, token ids of the chats."""

from __future__ import annotations

import inspect
import math
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import transformers

from sercue.errors import InputError, shortened
from sercue.models.cards import Audios, Prompts, check_prompts, usable_samples
from sercue.models.chats import make_chat
from sercue.models.hub import audio_part, told_of
from sercue.models.prefix import Batch

_WHISPER_SECONDS = 30
_AUDIO_OPTIONS = ("padding", "truncation", "max_length")
# White space, its mark in sentencepiece, and combining accents.
_UNKEPT = re.compile(r"[\s\u2581\u0300-\u036f]+")
# One entry per token of text. Told by name, since a mask over frames may chance to be as long.
_TOKEN_TYPES = ("token_type_ids", "mm_token_type_ids")


class ChatInputs:
    """Any processor of transformers for audio and text with a chat template, or of Mistral.

    The chat is one user turn with the audio first and the text second. All of it goes through
    ``apply_chat_template``: unlike calling the processor, it is the same for every processor, and
    it knows whether the template has written the token that begins a text.

    Args:
        processor: the processor
        name: how errors call the model

    Attributes:
        tokenizer: that of the processor
        sampling_rate: samples a second that ``encode`` expects

    Raises:
        InputError: if the processor has no chat template, or no token to pad batches with
    """

    def __init__(self, processor: Any, name: str) -> None:
        self._processor, self._name = processor, name
        self._chat = make_chat(processor, name)
        self.tokenizer, self._extractor = processor.tokenizer, audio_part(processor)
        self.sampling_rate = int(self._extractor.sampling_rate)
        self._is_whisper = isinstance(self._extractor, transformers.WhisperFeatureExtractor)
        self._written: set[str] = set()
        # Only to pad batches; padding is masked, so any token will do.
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        if self.tokenizer.pad_token is None:
            raise InputError(
                f"model {name!r}: its tokenizer names neither a token for padding nor one for the "
                "end of a text; valid is a tokenizer_config.json with pad_token or eos_token"
            )

    def check(self) -> None:
        """Raise ``InputError`` if the chat template does not write a turn as it must."""
        with told_of(self._name, "its tokenizer cannot write a chat"):
            self._chat.check()

    @property
    def max_seconds(self) -> float:
        """The longest recording that the processor takes without cutting it, in seconds.

        Infinite for a processor that cuts nothing; then the model's context and its training
        data set the limit.
        """
        # Audio Flamingo 3 and its like take several windows of their feature extractor.
        windows = getattr(self._processor, "max_audio_len", None)
        options = self._audio_options
        if windows or not options.get("truncation"):
            return float(windows or math.inf)
        if options.get("max_length"):
            return options["max_length"] / self.sampling_rate
        return float(getattr(self._extractor, "chunk_length", math.inf))

    def encode(self, audios: Audios, prompts: Prompts) -> Batch:
        """What the model takes, on the CPU, floats as float32.

        The processor prepares each recording once, not once a prompt.

        Args:
            audios: for each utterance a float array (samples,) at ``sampling_rate``, in [-1, 1]
            prompts: for each utterance the texts of the user turn

        Raises:
            InputError: if an utterance has no prompt, if one holds the mark of the audio, if an
                audio is empty, too long, not finite or not mono, or if the chat template does not
                put the audio before the text
        """
        check_prompts(audios, prompts)
        # Checked first: the processor would look for a second audio and raise an error of its own.
        self._chat.check_texts([text for texts in prompts for text in texts])
        samples = [
            usable_samples(audio, self.sampling_rate, self.max_seconds, self._name)
            for audio in audios
        ]
        with told_of(self._name, "it cannot make its inputs of recordings and prompts"):
            given = self._processed(samples, [texts[0] for texts in prompts])
            held = given.pop("attention_mask").bool()
            first = _unpadded(given.pop("input_ids"), held)
            ids = [self._chat.ids(texts, own) for texts, own in zip(prompts, first, strict=True)]
            for texts, own in zip(prompts, ids, strict=True):
                self._check_whole(texts, own)
        names = sorted({*_TOKEN_TYPES, *self.tokenizer.model_input_names} & given.keys())
        return Batch(
            per_token={name: _unpadded(given.pop(name), held) for name in names},
            inputs={
                name: value.float() if value.is_floating_point() else value
                for name, value in given.items()
            },
            ids=ids,
        )

    def _check_whole(self, texts: Sequence[str], ids: Sequence[Sequence[int]]) -> None:
        """Refuse ids that do not hold the text they were made of, or that two texts share.

        Otherwise a model that never saw the cues would be reported to ignore them.
        """
        same: dict[tuple[int, ...], str] = {}
        for text, own in zip(texts, ids, strict=True):
            # The same texts come with every recording.
            if text not in self._written:
                self._check_written("prompts", text, own)
                self._written.add(text)
            other = same.setdefault(tuple(own), text)
            if other.split() != text.split():
                raise InputError(
                    f"prompts: {shortened(other)} and {shortened(text)} have the same tokens for "
                    f"{self._name}; valid are prompts that the model can tell apart"
                )

    def _check_written(self, parameter: str, text: str, ids: Sequence[int]) -> None:
        letters = _letters(self.tokenizer.decode(ids, skip_special_tokens=False))
        if _letters(text) in letters:
            return
        lost = next((word for word in text.split() if _letters(word) not in letters), text)
        raise InputError(
            f"{parameter}: the tokenizer of {self._name} does not write {shortened(lost)} of "
            f"{shortened(text)}; valid are texts of which all reaches the model"
        )

    def answer_tokens(self, prompt: str, label: str) -> list[int]:
        """Ids that the words of a label add when they are written right behind a prompt's chat.

        Many tokenizers write a word differently in the middle of a line than at its beginning, so
        the label is not tokenised alone, unless its first letters would merge with the chat.

        Args:
            prompt: the text of the user turn
            label: the words, at least one letter

        Raises:
            InputError: if the ids do not hold all of its words
        """
        with told_of(self._name, f"its tokenizer cannot write {shortened(label)}"):
            ids = self._chat.answer_tokens(prompt, label)
            self._check_written("labels", label, ids)
        return ids

    @property
    def _audio_options(self) -> dict[str, Any]:
        """The feature extractor's default options."""
        given = inspect.signature(type(self._extractor).__call__).parameters
        options = {name: given[name].default for name in _AUDIO_OPTIONS if name in given}
        # Two places where processors set them: the second one is the older.
        options |= getattr(self._processor, "audio_kwargs", {})
        typed = getattr(self._processor, "valid_processor_kwargs", None)
        return options | getattr(typed, "_defaults", {}).get("audio_kwargs", {})

    def _processed(
        self, samples: Sequence[np.ndarray], texts: Sequence[str]
    ) -> dict[str, torch.Tensor]:
        turns = [self._chat.turn(text, audio) for text, audio in zip(texts, samples, strict=True)]
        longest = max(map(len, samples))
        # Whisper's extractor counts the frames of a recording differently when it pads it to a
        # longer one. An utterance must not depend on the others in its batch, so each is prepared
        # alone.
        if self._is_whisper and self._audio_options.get("padding") is True:
            parts = [self._run([turn], longest) for turn in turns]
            return {name: _stacked([part[name] for part in parts]) for name in parts[0]}
        return self._run(turns, longest)

    def _run(self, turns: Sequence[dict[str, Any]], longest: int) -> dict[str, torch.Tensor]:
        given = self._processor.apply_chat_template(
            [[turn] for turn in turns],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            # Padding is asked of the text alone: as a general option it would also reach the
            # audio, which many models want at a fixed length.
            processor_kwargs={
                "text_kwargs": {"padding": True},
                "audio_kwargs": {"sampling_rate": self.sampling_rate, **self._window(longest)},
            },
        )
        return {name: torch.as_tensor(value) for name, value in given.items()}

    def _window(self, longest: int) -> dict[str, int]:
        """Samples to pad to, where the processor would pad to minutes.

        Encoders that want one length want Whisper's 30 s. An extractor set to more (300 s for
        Qwen2.5-Omni) serves an encoder that takes windows of what the mask holds, so padding is
        work for nothing: 0.2 s an utterance. The second behind the longest recording is as silent
        as the minutes would be, and no frame reaches further.
        """
        if not self._is_whisper or self._extractor.chunk_length <= _WHISPER_SECONDS:
            return {}
        return {"max_length": min(longest + self.sampling_rate, self._extractor.n_samples)}


def _stacked(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """Rows of all, padded on the right with zeros: masked places."""
    shape = [max(sizes) for sizes in zip(*(tensor.shape[1:] for tensor in tensors), strict=True)]
    whole = tensors[0].new_zeros((sum(map(len, tensors)), *shape))
    start = 0
    for tensor in tensors:
        rows = slice(start, start := start + len(tensor))
        whole[(rows, *(slice(size) for size in tensor.shape[1:]))] = tensor
    return whole


def _letters(text: str) -> str:
    """A text as far as tokenizers keep it: some drop white space, accents, case, or all three."""
    return _UNKEPT.sub("", unicodedata.normalize("NFKD", text.casefold()))


def _unpadded(rows: torch.Tensor, held: torch.Tensor) -> list[list[int]]:
    return [row[mask].tolist() for row, mask in zip(rows, held, strict=True)]
