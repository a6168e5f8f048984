"""A checkpoint: a folder or hub repository, and what can be known of it without its weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from transformers import utils as backends

from sercue.errors import InputError, unknown
from sercue.models.chats import make_chat
from sercue.models.hub import HUB_ERRORS, first_line, hub_error, hub_file, hub_holds
from sercue.models.processor import load_processor

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
# Attention by its name in transformers, with what tells whether its package is there. A name
# outside this table could be a hub repository, whose code transformers would fetch and run.
ATTENTION = {
    "eager": None,
    "sdpa": None,
    "flex_attention": None,
    "flash_attention_2": backends.is_flash_attn_2_available,
    "flash_attention_3": backends.is_flash_attn_3_available,
    "flash_attention_4": backends.is_flash_attn_4_available,
}
DEVICE_MAPS = ("auto", "balanced", "balanced_low_0", "sequential")
# Repositories that hold more than what answers in text: from the architecture that config.json
# names, to the part's own configuration and class. The Omni models speak as well: a talker and
# a vocoder come after the thinker, which alone reads, hears and writes.
_TEXT_PARTS = {
    "Qwen2_5OmniModel": ("thinker_config", "Qwen2_5OmniThinkerForConditionalGeneration"),
    "Qwen2_5OmniForConditionalGeneration": (
        "thinker_config",
        "Qwen2_5OmniThinkerForConditionalGeneration",
    ),
    "Qwen3OmniMoeForConditionalGeneration": (
        "thinker_config",
        "Qwen3OmniMoeThinkerForConditionalGeneration",
    ),
}
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
# Below this size a file is hashed whole; of a larger one, that many blocks spread over it.
_WHOLE_FILE = 64 * 2**20
_BLOCKS = 256
_BLOCK = 2**16


class Checkpoint:
    """A model as ``save_pretrained`` stores it.

    Weights are read from safetensors only, and no code of the repository is run.

    Args:
        source: a folder, or a hub repository
        name: how errors call the model
        revision: branch, tag or commit of the repository
    """

    def __init__(self, source: str | Path, name: str, revision: str | None = None) -> None:
        folder = Path(source).expanduser()
        self.name = name
        self._source = str(folder) if folder.exists() else str(source)
        self._revision = revision

    def check(self) -> None:
        """Find out without fetching or loading weights whether the model can be had.

        Raises:
            InputError: if the folder or repository, its configuration, its weights as
                safetensors, or its processor is missing, if the installed transformers does not
                know the architecture, or if no chat template puts an audio before a text
        """
        _ = self._architecture
        if not self._has_weights():
            raise InputError(
                f"model {self.name!r}: no weights in {self._source}; found neither "
                f"{' nor '.join(_WEIGHTS)}, and other formats are not read"
            )
        make_chat(self.processor, self.name).check()

    @property
    def pinned(self) -> tuple[str, str | None]:
        """Source and revision that mean the same wherever they are used: whole path, or commit."""
        if self._is_folder:
            return str(Path(self._source).absolute()), None
        return self._source, self.content

    @cached_property
    def content(self) -> str:
        """The commit of a repository, or a hash of a folder's files."""
        if self._is_folder:
            return folder_digest(self._config_file.parent)
        return self._config_file.parent.name

    @property
    def context(self) -> int | None:
        """Positions that the language model was made for; ``None`` if its configuration has none.

        Layers that attend within a sliding window alone take no fewer.
        """
        text = self._part_config.get_text_config()
        return getattr(text, "max_position_embeddings", None)

    @cached_property
    def processor(self) -> Any:
        """What turns audio and chat into the model's inputs; it loads without weights."""
        try:
            return load_processor(self._source, self._config, **self._where())
        except (*HUB_ERRORS, AttributeError, ImportError) as error:
            raise InputError(
                f"model {self.name!r}: {self._source} has no processor for audio and text that "
                f"transformers {transformers.__version__} can use ({first_line(error)})"
            ) from error

    def load(
        self,
        device: str,
        dtype: str,
        attention: str | None = None,
        device_map: str | None = None,
    ) -> transformers.PreTrainedModel:
        """The model with its weights, ready to answer.

        Args:
            device: where it runs, unless ``device_map`` says so
            dtype: precision of the weights
            attention: implementation of attention; ``None`` for the one transformers chooses
            device_map: how ``accelerate`` spreads the model over devices, see ``DEVICE_MAPS``

        Raises:
            InputError: see ``check`` and ``check_loading``; also if the architecture lacks the
                attention, or the files hold not all of its weights
        """
        check_loading(attention, device_map)
        self.check()
        options = {"attn_implementation": attention, "device_map": device_map}
        try:
            model, found = self._architecture.from_pretrained(
                self._source,
                config=self._part_config,
                dtype=DTYPES[dtype],
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                **{name: value for name, value in options.items() if value is not None},
                **self._where(),
            )
        except (*HUB_ERRORS, SafetensorError) as error:
            raise self._load_error(error, attention) from error
        self._require_all_weights(found)
        return (model if device_map else model.to(device)).eval()

    def _load_error(self, error: Exception, attention: str | None) -> InputError:
        # Transformers reports attention that an architecture lacks by this type alone.
        if attention and isinstance(error, ValueError):
            return InputError(
                f"attention: found {attention!r}, but model {self.name!r} "
                f"({self._architecture.__name__}) does not take it ({first_line(error)})"
            )
        if self._is_folder:
            return InputError(
                f"model {self.name!r}: the weights in {self._source} cannot be read "
                f"({first_line(error)}); valid are whole files as save_pretrained writes them"
            )
        return hub_error(error, self.name, self._source, self._revision)

    def _require_all_weights(self, found: Mapping[str, Any]) -> None:
        """What the files lack, transformers draws at random: such a model must never answer."""
        lacking = sorted(found["missing_keys"])
        if lacking:
            raise InputError(
                f"model {self.name!r}: {self._source} lacks {len(lacking)} weights of "
                f"{self._architecture.__name__}, among them {lacking[0]}"
            )

    @property
    def _is_folder(self) -> bool:
        return Path(self._source).is_dir()

    def _where(self) -> dict[str, Any]:
        """Where to load from: for a repository the very commit that ``content`` names."""
        return {} if self._is_folder else {"revision": self.content}

    def _has_weights(self) -> bool:
        if self._is_folder:
            return any((Path(self._source) / name).is_file() for name in _WEIGHTS)
        try:
            return hub_holds(self._source, _WEIGHTS, self.content)
        except HUB_ERRORS as error:
            raise hub_error(error, self.name, self._source, self._revision) from error

    @cached_property
    def _config_file(self) -> Path:
        path = self._found_config()
        if path is None:
            raise InputError(
                f"model {self.name!r}: no config.json in {self._source}; valid is a folder or "
                "repository that save_pretrained wrote"
            )
        return Path(path)

    def _found_config(self) -> str | Path | None:
        if self._is_folder:
            path = Path(self._source) / "config.json"
            return path if path.is_file() else None
        if self._source.startswith(("/", ".", "~")):
            raise InputError(
                f"model {self.name!r}: no folder at {self._source!r}; valid is a folder that "
                "save_pretrained wrote, or a hub repository such as organisation/model"
            )
        try:
            return hub_file(self._source, "config.json", self._revision)
        except HUB_ERRORS as error:
            raise hub_error(error, self.name, self._source, self._revision) from error

    @cached_property
    def _config(self) -> Any:
        folder = self._config_file.parent
        try:
            return transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
        except (OSError, ValueError, KeyError) as error:
            raise InputError(
                f"model {self.name!r}: transformers {transformers.__version__} cannot use its "
                f"config.json ({first_line(error)})"
            ) from error

    @property
    def _named_architecture(self) -> str:
        return (getattr(self._config, "architectures", None) or ["none"])[0]

    @property
    def _part_config(self) -> Any:
        """The configuration of what answers in text: the whole, or a part of it."""
        part, _ = _TEXT_PARTS.get(self._named_architecture, (None, None))
        return getattr(self._config, part) if part else self._config

    @cached_property
    def _architecture(self) -> type[transformers.PreTrainedModel]:
        named = self._named_architecture
        _, part = _TEXT_PARTS.get(named, (None, named))
        found = getattr(transformers, part, None)
        if not (isinstance(found, type) and issubclass(found, transformers.PreTrainedModel)):
            raise InputError(
                f"model {self.name!r}: config.json names the architecture {named!r}, which "
                f"transformers {transformers.__version__} does not have"
            )
        return found


def check_loading(attention: str | None, device_map: str | None) -> None:
    """Refuse an attention or a device map that this machine cannot have.

    Raises:
        InputError: if a name is unknown, or the package behind it is not installed

    Examples:
        >>> check_loading("sdpa", None)
        >>> check_loading("eagre", None)
        Traceback (most recent call last):
            ...
        sercue.errors.InputError: unknown attention 'eagre': did you mean 'eager'? \
Valid are: eager, sdpa, flex_attention, flash_attention_2, flash_attention_3, flash_attention_4
    """
    if attention is not None:
        if attention not in ATTENTION:
            raise unknown("attention", attention, ATTENTION)
        there = ATTENTION[attention]
        if there is not None and not there():
            raise InputError(
                f"attention: found {attention!r}, whose package (flash-attn) is not installed or "
                "finds no GPU; valid here are eager, sdpa, flex_attention"
            )
    if device_map is not None:
        if device_map not in DEVICE_MAPS:
            raise unknown("device_map", device_map, DEVICE_MAPS)
        if not backends.is_accelerate_available():
            raise InputError(
                f"device_map: found {device_map!r}, which needs the package accelerate; install "
                "it, or leave device_map out"
            )


def folder_digest(folder: Path) -> str:
    """A hash of the names and contents of a folder's files.

    Of files beyond 64 MiB only blocks spread evenly are read: weights differ throughout, and
    reading 15 GB to look up a finished study would take longer than many a study.

    Returns:
        16 hexadecimal digits
    """
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        size = path.stat().st_size
        digest.update(f"{path.name}:{size}:".encode())
        with path.open("rb") as file:
            if size <= _WHOLE_FILE:
                digest.update(file.read())
                continue
            for block in range(_BLOCKS):
                file.seek(block * (size - _BLOCK) // (_BLOCKS - 1))
                digest.update(file.read(_BLOCK))
    return digest.hexdigest()[:16]
