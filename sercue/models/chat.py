"""Any audio chat model of transformers and PEFT adapters to it, from folders or the hub."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
import transformers
from huggingface_hub import parse_local_safetensors_file_metadata
from pydantic import Field
from transformers import utils as backends

from sercue.errors import InputError
from sercue.models.cards import Answers, Audios, NoAnswer, Prompts, check_labels, check_prompts
from sercue.models.chat_inputs import ChatInputs
from sercue.models.checkpoint import (
    DTYPES,
    Checkpoint,
    check_loading,
    check_weights,
    folder_digest,
    quietly,
)
from sercue.models.hub import hub_file, hub_holds, told_of, told_of_hub
from sercue.models.prefix import attention_of
from sercue.models.scoring import Scoring
from sercue.models.windows import LongAudioOptions
from sercue.privacy import public_name


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


# Weights that were trained whole beside the adapter, as LLaVA and Audio Flamingo 3 store them.
_BESIDE = "non_lora_trainables.bin"
_UNREAD = "a .bin can run code as it loads, so it is not read"


class Adapter:
    """A PEFT adapter as ``save_pretrained`` of peft stores it: what a fine-tuning added.

    It is injected into a checkpoint by ``load_adapter`` of transformers. The model keeps its class,
    so that a fine-tuned one can be asked as its base is, and names of weights from before
    transformers 5 are understood as they are in checkpoints.

    Args:
        source: a folder, or a hub repository; a folder within the repository may follow its name,
            as in ``organisation/model/folder``
        name: how errors call the model that it is put on
        revision: branch, tag or commit of the repository

    Attributes:
        label: how reports call it: of a folder on this machine the last part

    Raises:
        InputError: if peft is not installed, or a revision is given for a folder
    """

    def __init__(self, source: str | Path, name: str, revision: str | None = None) -> None:
        folder = Path(source).expanduser()
        self._folder = folder.absolute() if folder.is_dir() else None
        self._source, self._revision, self._name = str(source), revision, name
        parts = PurePosixPath(self._source).parts
        self._repository, self._within = "/".join(parts[:2]), PurePosixPath(*parts[2:])
        # Workers are sent a whole path: the name must be the same for both ways to write it.
        self.label = folder.absolute().name if self._folder else _public(source)
        if not backends.is_peft_available():
            raise InputError(
                f"adapter: found {self.label!r}, which needs the package peft; install it "
                "(pip install 'sercue[peft]', or pip install peft), or leave adapter out"
            )
        if self._folder is not None and revision is not None:
            raise InputError(
                f"adapter_revision: found {revision!r}, but {self.label!r} is a folder, which has "
                "none; leave it out"
            )

    @property
    def pinned(self) -> tuple[str, str | None]:
        """Source and revision that mean the same wherever they are used: whole path, or commit."""
        return (self._source, self.content) if self._folder is None else (str(self._folder), None)

    @cached_property
    def content(self) -> str:
        """The commit of a repository, or a hash of a folder's files."""
        if self._folder is not None:
            return folder_digest(self._config_file.parent)
        return self._config_file.parents[len(self._within.parts)].name

    @property
    def facts(self) -> str:
        """Name, content, kind, and the model that it was trained on, as far as its files say."""
        base = getattr(self._config, "base_model_name_or_path", None)
        trained = f", trained on {_public(base)}" if base else ""
        return f"{self.label}@{self.content} ({self._config.peft_type.value}{trained})"

    def check(self, model: transformers.PreTrainedModel | None) -> None:
        """Check without fetching weights whether the adapter can be put on a model.

        Args:
            model: with shapes in place of weights, see ``Checkpoint.check``; the adapter is put on
                it if its weights are on this machine. ``None`` where that cannot be known.

        Raises:
            InputError: if the folder or repository, its configuration or its weights as
                safetensors are missing, if further weights lie beside them that are not read, or
                if they do not go with the model
        """
        _ = self._config
        self._require_safetensors()
        weights = self._config_file.parent / backends.ADAPTER_SAFE_WEIGHTS_NAME
        if model is None or not weights.is_file():
            return
        with told_of(self._name, f"the weights of adapter {self.label} cannot be read"):
            tensors = parse_local_safetensors_file_metadata(weights).tensors
        with torch.device("meta"):
            empty = {key: torch.empty(tensor.shape) for key, tensor in tensors.items()}
            self._put_on(model, peft_config=self._config, adapter_state_dict=empty)

    def put_on(self, model: transformers.PreTrainedModel) -> None:
        """Put it on a model that has its weights; its own are fetched if need be.

        Raises:
            InputError: see ``check``; also if the files have changed since ``content`` was known
        """
        self._require_safetensors()
        content = self.content
        folder = self._file(backends.ADAPTER_SAFE_WEIGHTS_NAME).parent
        self._put_on(model, peft_model_id=str(folder))
        check_weights(folder, self._name)
        if self._folder is not None and folder_digest(folder) != content:
            raise InputError(
                f"adapter: the files in {self._source} have changed since this process began to "
                "use them; run again"
            )

    def _put_on(self, model: transformers.PreTrainedModel, **given: Any) -> None:
        with told_of(self._name, f"adapter {self.label} cannot be put on it"), quietly():
            found = model.load_adapter(**given)
        # What is missing would stay as it was drawn, what is left over would be dropped.
        for told, keys in (
            ("lacks", found.missing_keys),
            ("has, but the model takes none of,", found.unexpected_keys),
        ):
            if keys:
                raise InputError(
                    f"model {self._name!r}: adapter {self.label} {told} {len(keys)} weights, "
                    f"among them {min(keys)}; valid is an adapter that was trained on this model"
                )

    def _require_safetensors(self) -> None:
        if not self._holds(backends.ADAPTER_SAFE_WEIGHTS_NAME):
            other = self._holds(backends.ADAPTER_WEIGHTS_NAME)
            raise InputError(
                f"adapter: {self.label} has no {backends.ADAPTER_SAFE_WEIGHTS_NAME}"
                + (
                    f", only {backends.ADAPTER_WEIGHTS_NAME} ({_UNREAD}); store it as safetensors: "
                    "save_pretrained of peft does"
                    if other
                    else "; valid is what save_pretrained of peft writes"
                )
            )
        beside = False
        # Where the hub cannot be asked, what was fetched of it must do.
        with suppress(InputError):
            beside = self._holds(_BESIDE)
        if beside:
            raise InputError(
                f"adapter: beside its adapter, {self.label} holds {_BESIDE}, weights that were "
                f"trained with it ({_UNREAD}). Without them it would be another model; merge both "
                "into the base model once, and name the folder that save_pretrained then writes "
                "as model: hf:FOLDER"
            )

    def _holds(self, name: str) -> bool:
        if (self._config_file.parent / name).is_file():
            return True
        if self._folder is not None:
            return False
        with told_of_hub(self._name, self._repository, self._revision):
            return hub_holds(self._repository, [str(self._within / name)], self.content)

    @cached_property
    def _config_file(self) -> Path:
        return self._file(backends.ADAPTER_CONFIG_NAME)

    def _file(self, name: str) -> Path:
        if self._folder is not None:
            if (self._folder / name).is_file():
                return self._folder / name
            raise InputError(
                f"adapter: no {name} in {self._source}; valid is a folder that save_pretrained of "
                "peft wrote"
            )
        if self._source.startswith(("/", ".", "~")):
            raise InputError(
                f"adapter: no folder at {self._source!r}; valid is a folder that save_pretrained "
                "of peft wrote, or a hub repository such as organisation/adapter"
            )
        revision = self._revision if name == backends.ADAPTER_CONFIG_NAME else self.content
        with told_of_hub(self._name, self._repository, self._revision):
            found = hub_file(self._repository, str(self._within / name), revision)
        if found is None:
            raise InputError(f"adapter: no {name} in {self.label}")
        return Path(found)

    @cached_property
    def _config(self) -> Any:
        from peft import PeftConfig

        with told_of(
            self._name, f"the {backends.ADAPTER_CONFIG_NAME} of adapter {self.label} is not usable"
        ):
            return PeftConfig.from_pretrained(str(self._config_file.parent))


def _public(source: str | Path) -> str:
    return public_name(f"hf:{source}").removeprefix("hf:")


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
        self._adapter = None
        if own.adapter is not None:
            self._adapter = Adapter(own.adapter, self._base_name, own.adapter_revision)
        elif own.adapter_revision is not None:
            raise InputError(
                f"adapter_revision: found {own.adapter_revision!r} without an adapter; valid is "
                "one beside adapter"
            )
        self.name = self._base_name + (f"+{self._adapter.label}" if self._adapter else "")
        self.device, self._asked_device = resolve_device(device), device
        self.dtype = resolve_dtype(dtype, self.device)
        if batch_size < 1:
            raise InputError(f"batch_size: found {batch_size}, valid is 1 or more")
        self._batch_size, self._options = batch_size, own
        check_loading(own.attention, own.device_map)
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

    def score(self, audios: Audios, prompts: Prompts, labels: Sequence[str]) -> list[np.ndarray]:
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

    def generate(self, audios: Audios, prompts: Prompts, max_new_tokens: int = 8) -> Answers:
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
