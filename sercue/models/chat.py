"""Any audio chat model of transformers, from a folder or a hub repository."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from pydantic import Field

from sercue.errors import InputError
from sercue.models.adapter import Adapter
from sercue.models.cards import NoAnswer, check_labels, check_prompts
from sercue.models.chat_inputs import ChatInputs
from sercue.models.checkpoint import DTYPES, Checkpoint, check_loading
from sercue.models.hub import told_of
from sercue.models.prefix import attention_of
from sercue.models.scoring import Scoring
from sercue.models.windows import LongAudioOptions


class CheckpointOptions(LongAudioOptions):
    """How a checkpoint is loaded and asked.

    Attributes:
        attention: implementation, such as ``"sdpa"``, ``"eager"`` or ``"flash_attention_2"``; what
            transformers chooses by default
        device_map: ``"auto"`` spreads the layers over all devices, the CPU's memory included;
            see ``checkpoint.DEVICE_MAPS`` for others
        tree_tokens: most tokens that run behind a recording at once; by default what suits the
            width of the network
        adapter: folder or hub repository of a PEFT adapter that is put on the checkpoint; see
            ``Adapter``. It needs the package peft.
        adapter_revision: branch, tag or commit of the adapter's repository
    """

    attention: str | None = None
    device_map: str | None = None
    tree_tokens: int | None = Field(default=None, ge=1)
    adapter: str | None = Field(default=None, min_length=1)
    adapter_revision: str | None = Field(default=None, min_length=1)


class AudioChatModel:
    """An audio language model behind its own processor and chat template.

    The class is the one that ``config.json`` names, the chat is one user turn with the audio first
    and the text second. Weights are read from safetensors only, and no code of the repository is
    run. They load at the first use.

    Args:
        source: a folder as ``save_pretrained`` writes it, or a hub repository
        options: how it is loaded and asked
        name: how reports call the model; ``source`` by default. With an adapter, that of the
            adapter follows.
        revision: branch, tag or commit of the repository
        device: ``"cuda"``, ``"mps"``, ``"cpu"``, or ``"auto"`` for the first of these at hand
        dtype: ``"float32"``, ``"bfloat16"``, ``"float16"``, or ``"auto"``: bfloat16 on cuda,
            float32 elsewhere
        batch_size: most recordings that run at once; halved when the device is out of memory

    Raises:
        InputError: if an argument is not valid here
    """

    def __init__(
        self,
        source: str | Path,
        options: CheckpointOptions | None = None,
        *,
        name: str | None = None,
        revision: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        batch_size: int = 8,
    ) -> None:
        own = options or CheckpointOptions()
        self._base_name = name or str(source)
        self._adapter = _adapter_of(own, self._base_name)
        self.name = self._base_name + (f"+{self._adapter.label}" if self._adapter else "")
        self.device, self._asked_device = resolve_device(device), device
        self.dtype = resolve_dtype(dtype, self.device)
        if batch_size < 1:
            raise InputError(f"batch_size: found {batch_size}, valid is 1 or more")
        self._batch_size, self._options = batch_size, own
        check_loading(self._options.attention, self._options.device_map)
        self.checkpoint = Checkpoint(source, self.name, revision)

    def __repr__(self) -> str:
        return f"AudioChatModel({self.name!r}, {self.device}, {self.dtype})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as what it is made from: weights load where it is unpickled, on a device there.

        The precision is that of here, and so is the commit: it stays the same model.
        """
        source, revision = self.checkpoint.pinned
        options = self._options
        if self._adapter is not None:
            adapter, of_adapter = self._adapter.pinned
            changed = {"adapter": adapter, "adapter_revision": of_adapter}
            options = options.model_copy(update=changed)
        remade = partial(
            type(self),
            source,
            options,
            name=self._base_name,
            revision=revision,
            device=self._asked_device,
            dtype=self.dtype,
            batch_size=self._batch_size,
        )
        return remade, ()

    @property
    def identity(self) -> str:
        """Name, content and precision: what the answers depend on. Loads no weights."""
        adapter = f"+{self._adapter.content}" if self._adapter else ""
        return f"{self.name}@{self.checkpoint.content}{adapter}/{self.dtype}"

    @property
    def sampling_rate(self) -> int:
        """Samples a second that ``score`` and ``generate`` expect."""
        return self._inputs.sampling_rate

    @property
    def max_seconds(self) -> float:
        """The longest recording that the model takes without cutting it, in seconds."""
        return self._inputs.max_seconds

    @property
    def batch_size(self) -> int:
        """Recordings that run at once: what was asked for, or what the memory has left of it."""
        loaded = "_scoring" in self.__dict__
        return self._scoring.at_once if loaded else self._batch_size

    def check(self) -> None:
        """Raise ``InputError`` if the model cannot be had; see ``check`` of its parts."""
        empty = self.checkpoint.check(self._options.attention)
        if self._adapter is not None:
            self._adapter.check(empty)

    def facts(self) -> dict[str, str]:
        """What a report says of the model: version, place, precision, size, limits, method."""
        model, scoring = self._model, self._scoring
        return {
            "name": self.name,
            "identity": self.identity,
            **({"adapter": self._adapter.facts} if self._adapter else {}),
            "class": type(model).__name__,
            "parameters": f"{sum(p.numel() for p in model.parameters()):,}",
            "device": "spread by device_map" if self._options.device_map else self.device,
            "precision": self.dtype,
            "attention": attention_of(model),
            "sampling rate": f"{self.sampling_rate} Hz",
            "longest recording": f"{self.max_seconds:g} s",
            "prompts of a recording": f"{scoring.method} behind one pass of the audio; on a probe "
            f"log-probabilities differ from those of separate passes by {scoring.difference:.1g}",
            "recordings at once": str(scoring.at_once),
            "subwords behind a recording at once": f"{scoring.tree_tokens} at most",
        }

    @property
    def context(self) -> int | None:
        """Most tokens of a prompt and its answer together; ``None`` if the model names no limit."""
        return self.checkpoint.context

    def prompt_tokens(self, audio: np.ndarray, prompts: Sequence[str]) -> list[int]:
        """How many tokens each prompt about a recording has, its chat and audio with it.

        Loads no weights.

        Args:
            audio: recording, float array (samples,) at ``sampling_rate``, in [-1, 1]
            prompts: the texts of the user turn

        Raises:
            InputError: if a prompt holds the mark of the audio, or the audio cannot be used
        """
        (ids,) = self._inputs.encode([audio], [list(prompts)]).ids
        return list(map(len, ids))

    def answer_tokens(self, prompt: str, label: str) -> list[int]:
        """See ``ChatInputs.answer_tokens``. Loads no weights."""
        return self._inputs.answer_tokens(prompt, label)

    def score(
        self, audios: Sequence[np.ndarray], prompts: Sequence[Sequence[str]], labels: Sequence[str]
    ) -> list[np.ndarray]:
        """Log-likelihood of each label's words as the whole beginning of the answer.

        Args:
            audios: recordings, float arrays (samples,) at ``sampling_rate``, in [-1, 1]
            prompts: for each recording the texts of the user turn
            labels: the words of each label, of any number of tokens

        Returns:
            for each recording an array (its prompts, labels): natural logarithms, summed over the
            tokens of the words

        Raises:
            InputError: if there is no prompt or no label, or an audio cannot be used

        Source: the score of a label is the conditional likelihood of Holtzman et al. (2021),
        Surface form competition, arXiv 2104.08315, without their correction.
        """
        check_labels(labels)
        check_prompts(audios, prompts)
        return self._scoring.score(audios, prompts, labels)

    def generate(
        self,
        audios: Sequence[np.ndarray],
        prompts: Sequence[Sequence[str]],
        max_new_tokens: int = 8,
    ) -> list[list[str | NoAnswer]]:
        """What the model answers when the likeliest token is taken each time.

        Settings for sampling and for repetition that a repository ships are not applied.

        Args:
            audios: recordings, float arrays (samples,) at ``sampling_rate``, in [-1, 1]
            prompts: for each recording the texts of the user turn
            max_new_tokens: most tokens of an answer

        Returns:
            for each recording one answer per prompt, without special tokens
        """
        if max_new_tokens < 1:
            raise InputError(f"max_new_tokens: found {max_new_tokens}, valid is 1 or more")
        check_prompts(audios, prompts)
        decode = self._inputs.tokenizer.decode
        return [
            [
                NoAnswer("its logits are not finite")
                if answer is None
                else decode(answer, skip_special_tokens=True)
                for answer in answers
            ]
            for answers in self._scoring.generate(audios, prompts, max_new_tokens)
        ]

    @cached_property
    def _inputs(self) -> ChatInputs:
        return ChatInputs(self.checkpoint.processor, self.name)

    @cached_property
    def _model(self) -> transformers.PreTrainedModel:
        model = self.checkpoint.load(
            self.device, self.dtype, self._options.attention, self._options.device_map
        )
        if self._adapter is not None:
            self._adapter.put_on(model)
        return model

    @cached_property
    def _scoring(self) -> Scoring:
        model = self._model
        with told_of(self.name, "it cannot be asked about two recordings of noise"):
            return Scoring(
                model,
                self._inputs,
                name=self.name,
                batch_size=self._batch_size,
                tree_tokens=self._options.tree_tokens,
            )


def _adapter_of(options: CheckpointOptions, name: str) -> Adapter | None:
    if options.adapter is not None:
        return Adapter(options.adapter, name, options.adapter_revision)
    if options.adapter_revision is not None:
        raise InputError(
            f"adapter_revision: found {options.adapter_revision!r} without an adapter; valid is "
            "one beside adapter"
        )
    return None


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
    kind, _, number = device.partition(":")
    cards = torch.cuda.device_count() if kind == "cuda" else 1
    if kind not in at_hand or (number and not (number.isdecimal() and int(number) < cards)):
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
