"""Any audio chat model of transformers, from a folder or a hub repository."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from sercue.errors import InputError
from sercue.models.checkpoint import DTYPES, Checkpoint
from sercue.models.scoring import greedy_answers, score_answers


class AudioChatModel:
    """An audio language model behind its own processor and chat template.

    The class is the one that ``config.json`` names, the chat is one user turn with the audio first
    and the text second. Weights are read from safetensors only, and no code of the repository is
    run. They load at the first use.

    Args:
        source: a folder as ``save_pretrained`` writes it, or a hub repository
        name: how reports call the model; ``source`` by default
        revision: branch, tag or commit of the repository
        device: ``"cuda"``, ``"mps"``, ``"cpu"``, or ``"auto"`` for the first of these at hand
        dtype: ``"float32"``, ``"bfloat16"``, ``"float16"``, or ``"auto"``: bfloat16 on cuda,
            float32 elsewhere
        batch_size: most prompts that run at once

    Raises:
        InputError: if ``device``, ``dtype`` or ``batch_size`` is not valid here
    """

    def __init__(
        self,
        source: str | Path,
        *,
        name: str | None = None,
        revision: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        batch_size: int = 32,
    ) -> None:
        self.name = name or str(source)
        self.device = resolve_device(device)
        self.dtype = resolve_dtype(dtype, self.device)
        if batch_size < 1:
            raise InputError(f"batch_size: found {batch_size}, valid is 1 or more")
        self.batch_size = batch_size
        self.checkpoint = Checkpoint(source, self.name, revision)

    def __repr__(self) -> str:
        return f"AudioChatModel({self.name!r}, {self.device}, {self.dtype})"

    @property
    def identity(self) -> str:
        """Name, content and precision: what the answers depend on. Loads no weights."""
        return f"{self.name}@{self.checkpoint.content}/{self.dtype}"

    @property
    def sampling_rate(self) -> int:
        """Samples a second that ``score`` and ``generate`` expect."""
        return int(self._processor.feature_extractor.sampling_rate)

    @property
    def max_seconds(self) -> float:
        """The longest recording that the model takes without cutting it, in seconds."""
        # Audio Flamingo 3 takes several windows of its feature extractor.
        windows = getattr(self._processor, "max_audio_len", None)
        return float(windows or self._processor.feature_extractor.chunk_length)

    def check(self) -> None:
        """See ``Checkpoint.check``: raise ``InputError`` if the model cannot be had."""
        self.checkpoint.check()

    def facts(self) -> dict[str, str]:
        """What a report says of the model: version, place, precision, size, limits."""
        return {
            "name": self.name,
            "identity": self.identity,
            "class": type(self._model).__name__,
            "parameters": f"{sum(p.numel() for p in self._model.parameters()):,}",
            "device": self.device,
            "precision": self.dtype,
            "sampling rate": f"{self.sampling_rate} Hz",
            "longest recording": f"{self.max_seconds:g} s",
        }

    def score(self, audio: np.ndarray, prompts: Sequence[str], labels: Sequence[str]) -> np.ndarray:
        """Log-likelihood of each label's words as the whole beginning of the answer.

        Args:
            audio: float array (samples,) at ``sampling_rate``, in [-1, 1]
            prompts: texts of the user turn
            labels: the words of each label, of any number of tokens

        Returns:
            array (prompts, labels): natural logarithms, summed over the tokens of the words

        Raises:
            InputError: if there is no prompt or no label, or the audio cannot be used

        Source: the score of a label is the conditional likelihood of Holtzman et al. (2021),
        Surface form competition, arXiv 2104.08315, without their correction.
        """
        if not labels or not all(labels):
            raise InputError(f"labels: found {list(labels)}, valid are one or more words")
        inputs, ids = self.encode(audio, prompts)
        answers = [self._tokens(label) for label in labels]
        return score_answers(self._model, inputs, ids, answers, self.batch_size)

    def generate(
        self, audio: np.ndarray, prompts: Sequence[str], max_new_tokens: int = 8
    ) -> list[str]:
        """What the model answers when the likeliest token is taken each time.

        Settings for sampling and for repetition that a repository ships are not applied.

        Args:
            audio: float array (samples,) at ``sampling_rate``, in [-1, 1]
            prompts: texts of the user turn
            max_new_tokens: most tokens of an answer

        Returns:
            one answer a prompt, without special tokens
        """
        if max_new_tokens < 1:
            raise InputError(f"max_new_tokens: found {max_new_tokens}, valid is 1 or more")
        inputs, ids = self.encode(audio, prompts)
        answers = greedy_answers(
            self._model, inputs, ids, self._end_tokens, max_new_tokens, self.batch_size
        )
        return [self._tokenizer.decode(answer, skip_special_tokens=True) for answer in answers]

    def encode(
        self, audio: np.ndarray, prompts: Sequence[str]
    ) -> tuple[dict[str, torch.Tensor], list[list[int]]]:
        """What the model takes: the audio as the processor prepares it, and every prompt's ids.

        The processor runs once. What it did to the audio's place in the first prompt is spliced
        into the others, since the audio is the same.

        Returns:
            the processor's output for the first prompt, on the device; token ids of each prompt

        Raises:
            InputError: if there is no prompt, if the audio is empty, too long, not finite or not
                mono, or if the chat template does not put the audio before the text
        """
        samples = self._usable(audio)
        if not prompts:
            raise InputError("prompts: found none, valid are one or more texts")
        texts = [self._chat(prompt) for prompt in prompts]
        special = not self._starts_with_bos(texts[0])
        first = self._processor(
            text=[texts[0]],
            audio=[samples],
            sampling_rate=self.sampling_rate,
            add_special_tokens=special,
            return_tensors="pt",
        )
        plain = [self._tokens(text, special) for text in texts]
        place, inserted = inserted_tokens(plain[0], first["input_ids"][0].tolist())
        if not inserted or any(ids[:place] != plain[0][:place] for ids in plain):
            raise InputError(
                f"model {self.name!r}: its chat template does not put the audio before the text, "
                "or its processor found no audio to put there"
            )
        inputs = first.to(self.device, DTYPES[self.dtype])
        return dict(inputs), [ids[:place] + inserted + ids[place:] for ids in plain]

    def _usable(self, audio: np.ndarray) -> np.ndarray:
        samples = np.asarray(audio, dtype=np.float32)
        if samples.ndim != 1 or not samples.size or not np.isfinite(samples).all():
            raise InputError(
                f"audio: found shape {samples.shape}, valid are finite samples of one channel"
            )
        seconds = samples.size / self.sampling_rate
        if seconds > self.max_seconds:
            raise InputError(
                f"audio: found {seconds:.2f} s, but {self.name} takes {self.max_seconds:g} s at "
                "most; nothing is cut, so split longer recordings into segments"
            )
        return samples

    def _chat(self, prompt: str) -> str:
        content = [{"type": "audio"}, {"type": "text", "text": prompt}]
        return self._processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
        )

    def _starts_with_bos(self, text: str) -> bool:
        start = self._tokenizer.bos_token
        return start is not None and text.startswith(start)

    def _tokens(self, text: str, special: bool = False) -> list[int]:
        return self._tokenizer(text, add_special_tokens=special)["input_ids"]

    @property
    def _processor(self) -> Any:
        return self.checkpoint.processor

    @property
    def _tokenizer(self) -> Any:
        return self._processor.tokenizer

    @cached_property
    def _model(self) -> transformers.PreTrainedModel:
        return self.checkpoint.load(self.device, self.dtype)

    @property
    def _end_tokens(self) -> list[int]:
        stops = self._model.generation_config.eos_token_id
        if stops is None:
            stops = self._tokenizer.eos_token_id
        return list(stops) if isinstance(stops, list | tuple) else [stops]


def inserted_tokens(plain: Sequence[int], expanded: Sequence[int]) -> tuple[int, list[int]]:
    """What was inserted into a sequence of tokens, and where.

    Args:
        plain: ids with one placeholder for the audio
        expanded: the same ids with the placeholder repeated

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
    whole = [*plain[:place], *inserted, *plain[place:]] == list(expanded)
    return place, inserted if whole else []


def resolve_device(device: str) -> str:
    """The device that a study names, or the first of cuda, mps, cpu for ``"auto"``.

    Raises:
        InputError: if the device is unknown to torch or not there
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    at_hand = [name for name, available in there.items() if available]
    if device == "auto":
        return at_hand[0]
    if device.split(":")[0] not in at_hand:
        raise InputError(
            f"device: found {device!r}, but this machine has {', '.join(at_hand)}; "
            "valid is one of these, or auto"
        )
    return device


def resolve_dtype(dtype: str, device: str) -> str:
    """The precision that a study names; for ``"auto"`` bfloat16 on cuda, float32 elsewhere.

    Raises:
        InputError: if it is not one of float32, bfloat16, float16
    """
    if dtype == "auto":
        return "bfloat16" if device.startswith("cuda") else "float32"
    if dtype not in DTYPES:
        raise InputError(f"dtype: found {dtype!r}, valid are auto, {', '.join(DTYPES)}")
    return dtype
