"""A checkpoint: a folder or hub repository, what is known of it without weights, and loading it."""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import transformers
from torch.nn.modules.module import register_module_module_registration_hook
from transformers import utils as backends
from transformers.quantizers.auto import get_hf_quantizer

from sercue.corpora.audio import file_digest
from sercue.errors import InputError, shortened, unknown
from sercue.models.availability import WEIGHTS, stored_tensors, weights_folder
from sercue.models.chat_inputs import ChatInputs
from sercue.models.hub import (
    HUB_ERRORS,
    audio_part,
    first_line,
    hub_error,
    hub_file,
    hub_holds,
    load_processor,
    told_of,
    told_of_hub,
)
from sercue.storage.files import cache_folder, write_text

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
# Layers that keep nothing but keys and values of each token.
_LAYERS = ("full_attention", "sliding_attention")
DEVICE_MAPS = ("auto", "balanced", "balanced_low_0", "sequential")
# Repositories that hold more than what answers in text: from the architecture that config.json
# names, to the class of that part. The Omni models speak as well: a talker and a vocoder come
# after the thinker, which alone reads, hears and writes.
_THINKERS = {
    "Qwen2_5OmniModel": "Qwen2_5OmniThinkerForConditionalGeneration",
    "Qwen2_5OmniForConditionalGeneration": "Qwen2_5OmniThinkerForConditionalGeneration",
    "Qwen3OmniMoeForConditionalGeneration": "Qwen3OmniMoeThinkerForConditionalGeneration",
}
# Numbers of a configuration beyond which no network is: building it would not end, or take all
# memory before its weights are looked at.
_SIZES = (
    (re.compile("layer|depth|block"), 10_000),
    (re.compile("n_fft|feature_size|mel|hop"), 1_000_000),
    (re.compile("size|dim|d_model|num_|width"), 10_000_000),
    (re.compile("sampl|chunk"), 100_000_000),
    (re.compile(""), 2**31),
)
_MODULES = 1_000_000
_RATES = (1_000, 1_000_000)
# Below this size hashing a file takes no time that is worth remembering its hash.
_REMEMBERED = 64 * 2**20
_SHA256 = re.compile("[0-9a-f]{64}")
_DIGITS = 32  # of a SHA-256, as `file_digest` returns it


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

    def check(self, attention: str | None = None) -> transformers.PreTrainedModel | None:
        """Check without fetching or loading weights whether the model can be used.

        The network is built without memory and compared with the names and shapes in the headers
        of its weights, if these are on this machine.

        Args:
            attention: see ``load``

        Returns:
            the network with shapes in place of weights; ``None`` where these are packed

        Raises:
            InputError: if the folder or repository, its configuration, its weights as
                safetensors, or its processor is missing or does not go with the others, if the
                installed transformers does not know the architecture or lacks a package for it, or
                if no chat template puts an audio before a text
        """
        _ = self._architecture
        self._refuse_adapter(self._config_file.parent)
        self._require_safetensors()
        ChatInputs(self.processor, self.name).check()
        with told_of(self.name, "its config.json names no language model that can be asked"):
            text = self._part_config.get_text_config()
            others = sorted({*(getattr(text, "layer_types", None) or ())} - {*_LAYERS})
        if others:
            raise InputError(
                f"model {self.name!r}: found layers of {', '.join(others)}, whose state the "
                f"prompts of a recording cannot share; valid are models of {' and '.join(_LAYERS)} "
                "alone"
            )
        self._check_audio()
        model = self._without_memory(attention)
        if model is not None:
            self._check_vocabulary(model)
        with told_of(self.name, "its generation_config.json cannot be used"):
            end_tokens(self._generation, self.processor.tokenizer, self.name)
        return model

    def _refuse_adapter(self, folder: Path) -> None:
        """Transformers would put it on the model unasked, and only where peft is installed."""
        if (folder / backends.ADAPTER_CONFIG_NAME).is_file():
            raise InputError(
                f"model {self.name!r}: found an adapter in {self._source} "
                f"({backends.ADAPTER_CONFIG_NAME}); valid is a base model here, and the folder of "
                "the adapter as model_options: {adapter: FOLDER}"
            )

    def _without_memory(self, attention: str | None) -> transformers.PreTrainedModel | None:
        """The network with shapes in place of weights; ``None`` where these are packed."""
        options = {} if attention is None else {"attn_implementation": attention}
        config = copy.deepcopy(self._part_config)
        what = f"{self._architecture.__name__} cannot be made of its config.json and weights"
        try:
            with told_of(self.name, what), _bounded(), quietly():
                if getattr(self._config, "quantization_config", None) is not None:
                    # It asks for the package behind it, and for its device.
                    get_hf_quantizer(config, None, None, False, {})
                    return None
                folder = weights_folder(self._source, self._revision)
                tensors = stored_tensors(self.name, folder) if folder else None
                if tensors is None:
                    with torch.device("meta"):
                        return self._architecture._from_config(config, **options)
                shapes = {
                    name: torch.empty(tensor.shape, device="meta")
                    for name, tensor in tensors.items()
                }
                model, found = self._architecture.from_pretrained(
                    None,
                    config=config,
                    state_dict=shapes,
                    device_map={"": "meta"},
                    output_loading_info=True,
                    **options,
                )
        except InputError as error:
            cause = error.__cause__
            # Transformers reports attention that an architecture lacks by these types alone.
            if attention and isinstance(cause, ValueError | ImportError):
                raise InputError(
                    f"attention: found {attention!r}, but model {self.name!r} "
                    f"({self._architecture.__name__}) does not take it ({first_line(cause)})"
                ) from cause
            raise
        self._require_all_weights(found)
        return model

    def _check_vocabulary(self, model: transformers.PreTrainedModel) -> None:
        with told_of(self.name, "it has no vocabulary to read and to answer with"):
            parts = (model.get_input_embeddings(), model.get_output_embeddings())
            rows = min(part.weight.shape[0] for part in parts)
            tokens = self.processor.tokenizer.vocab_size
        if rows < tokens:
            raise InputError(
                f"model {self.name!r}: its tokenizer has {tokens} tokens, but its weights have "
                f"embeddings of {rows}; valid are files that belong together"
            )

    def _check_audio(self) -> None:
        """Refuse a processor and a network that do not agree on what is audio."""
        mark = getattr(self.processor, "audio_token", None)
        if mark:
            written = self.processor.tokenizer.convert_tokens_to_ids(mark)
            for key in ("audio_token_id", "audio_token_index"):
                read = getattr(self._part_config, key, None)
                if read is not None and read != written:
                    raise InputError(
                        f"model {self.name!r}: config.json has {key} {shortened(read)}, but its "
                        f"processor marks an audio by {shortened(mark)}, which is token {written}"
                    )
        bands = getattr(audio_part(self.processor), "feature_size", None)
        heard = getattr(getattr(self._part_config, "audio_config", None), "num_mel_bins", None)
        if isinstance(heard, int) and isinstance(bands, int) and heard != bands:
            raise InputError(
                f"model {self.name!r}: config.json has num_mel_bins {heard}, but its processor "
                f"makes features of {bands} bands"
            )

    @property
    def _generation(self) -> transformers.GenerationConfig:
        try:
            return transformers.GenerationConfig.from_pretrained(
                self._config_file.parent if self._is_folder else self._source, **self._where()
            )
        # Not every repository has that file; what is in it stands in config.json, too.
        except OSError:
            if self._is_folder and (Path(self._source) / "generation_config.json").is_file():
                raise
            return transformers.GenerationConfig.from_model_config(self._part_config)

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
        with told_of(self.name, "its config.json names no language model"):
            text = self._part_config.get_text_config()
            limit = getattr(text, "max_position_embeddings", None)
            return None if limit is None else int(limit)

    @cached_property
    def processor(self) -> Any:
        """What turns audio and chat into the model's inputs; it loads without weights."""
        if self._is_folder:
            for file in Path(self._source).glob("*processor_config.json"):
                self._check_numbers(file)
        what = (
            f"{self._source} has no processor for audio and text that transformers "
            f"{transformers.__version__} can use"
        )
        with told_of(self.name, what):
            processor = load_processor(self._source, self._config, **self._where())
        rate, (least, most) = audio_part(processor).sampling_rate, _RATES
        if not (isinstance(rate, int) and least <= rate <= most):
            raise InputError(
                f"model {self.name!r}: its processor has sampling_rate {shortened(rate)}; valid "
                f"are {least} to {most} Hz"
            )
        return processor

    def load(
        self, device: str, dtype: str, attention: str | None = None, device_map: str | None = None
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
        self.check(attention)
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
        except MemoryError:
            raise
        except Exception as error:
            raise self._load_error(error) from error
        self._require_all_weights(found)
        self._refuse_adapter(self._config_file.parent)
        folder = weights_folder(self._source, self._where().get("revision"))
        if folder is not None:
            check_weights(folder, self.name)
        if self._is_folder and folder_digest(self._config_file.parent) != self.content:
            raise InputError(
                f"model {self.name!r}: the files in {self._source} have changed since this "
                "process began to use them; run again"
            )
        with told_of(self.name, f"it cannot be moved to {device}"):
            return (model if device_map else model.to(device)).eval()

    def _load_error(self, error: Exception) -> InputError:
        if self._is_folder or not isinstance(error, HUB_ERRORS):
            return InputError(
                f"model {self.name!r}: the weights in {self._source} cannot be read "
                f"({type(error).__name__}: {first_line(error)}); valid are whole files as "
                "save_pretrained writes them"
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

    def _require_safetensors(self) -> None:
        if self._is_folder:
            found = any((Path(self._source) / name).is_file() for name in WEIGHTS)
        else:
            with told_of_hub(self.name, self._source, self._revision):
                found = hub_holds(self._source, WEIGHTS, self.content)
        if not found:
            raise InputError(
                f"model {self.name!r}: no weights in {self._source}; found neither "
                f"{' nor '.join(WEIGHTS)}, and other formats are not read"
            )

    @cached_property
    def _config_file(self) -> Path:
        path: str | Path | None
        if self._is_folder:
            path = Path(self._source) / "config.json"
            if not path.is_file():
                self._refuse_adapter(path.parent)
                path = None
        elif self._source.startswith(("/", ".", "~")):
            raise InputError(
                f"model {self.name!r}: no folder at {self._source!r}; valid is a folder that "
                "save_pretrained wrote, or a hub repository such as organisation/model"
            )
        else:
            with told_of_hub(self.name, self._source, self._revision):
                path = hub_file(self._source, "config.json", self._revision)
        if path is None:
            raise InputError(
                f"model {self.name!r}: no config.json in {self._source}; valid is a folder or "
                "repository that save_pretrained wrote"
            )
        return Path(path)

    @cached_property
    def _config(self) -> Any:
        self._check_numbers(self._config_file)
        what = f"transformers {transformers.__version__} cannot use its config.json"
        with told_of(self.name, what):
            return transformers.AutoConfig.from_pretrained(
                self._config_file.parent, trust_remote_code=False
            )

    def _check_numbers(self, file: Path) -> None:
        """Refuse numbers that no network has before anything is made of them."""
        with told_of(self.name, f"transformers cannot use its {file.name}"):
            found = json.loads(file.read_text(encoding="utf-8"))
            numbers = list(_numbers(found))
        for key, value in numbers:
            most = next(limit for pattern, limit in _SIZES if pattern.search(key))
            if abs(value) > most if isinstance(value, int) else not math.isfinite(value):
                raise InputError(
                    f"model {self.name!r}: its {file.name} has {key} {shortened(value)}; valid "
                    f"are finite numbers up to {most}"
                )

    @property
    def _named_architecture(self) -> str:
        named = getattr(self._config, "architectures", None) or ["none"]
        if not (isinstance(named, list) and isinstance(named[0], str)):
            raise InputError(
                f"model {self.name!r}: config.json has architectures {shortened(named)}; valid is "
                "a list of names"
            )
        return named[0]

    @property
    def _part_config(self) -> Any:
        """The configuration of what answers in text: the whole, or a part of it."""
        whole = self._named_architecture not in _THINKERS
        return self._config if whole else self._config.thinker_config

    @cached_property
    def _architecture(self) -> type[transformers.PreTrainedModel]:
        named = self._named_architecture
        part = _THINKERS.get(named, named)
        with told_of(self.name, f"transformers cannot load the architecture {part!r}"):
            found: Any = getattr(transformers, part, None)
        known = isinstance(found, type) and issubclass(found, transformers.PreTrainedModel)
        if not known:
            raise InputError(
                f"model {self.name!r}: config.json names the architecture {shortened(named)}, "
                f"which transformers {transformers.__version__} does not have"
            )
        own = isinstance(self._part_config, found.config_class or object)
        if not (own and found.can_generate()):
            given = shortened(getattr(self._config, "model_type", None))
            raise InputError(
                f"model {self.name!r}: config.json names the architecture {shortened(named)} and "
                f"the type {given}, which do not make a model that answers in text"
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


def end_tokens(generation: transformers.GenerationConfig, tokenizer: Any, name: str) -> list[int]:
    """Ids that end an answer: those of the generation settings, or else that of the tokenizer.

    Args:
        generation: settings of the model
        tokenizer: that of its processor
        name: how errors call the model

    Raises:
        InputError: if there are none, or one is no token
    """
    stops = generation.eos_token_id
    if stops is None:
        stops = tokenizer.eos_token_id
    ids = list(stops) if isinstance(stops, list | tuple) else [stops]
    if not ids or not all(type(one) is int and 0 <= one < len(tokenizer) for one in ids):
        raise InputError(
            f"model {name!r}: its generation_config.json or tokenizer has eos_token_id "
            f"{shortened(stops)}; valid are ids of the tokenizer's {len(tokenizer)} tokens"
        )
    return ids


def _numbers(found: Any, key: str = "") -> Iterator[tuple[str, int | float]]:
    """Each number of a JSON document with the key that it stands under."""
    if isinstance(found, dict):
        for name, value in found.items():
            yield from _numbers(value, name)
    elif isinstance(found, list):
        for value in found:
            yield from _numbers(value, key)
    elif isinstance(found, int | float):
        yield key, found


@contextmanager
def _bounded() -> Iterator[None]:
    """Within, a network of more modules than any has ends in an error, not after hours."""
    numbers = itertools.count(1)

    def count(*_: object) -> None:
        if next(numbers) > _MODULES:
            raise ValueError(f"it would have more than {_MODULES} modules")

    handle = register_module_module_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def quietly() -> Iterator[None]:
    """Within, transformers shows no progress bar and logs no report that its error repeats."""
    told = transformers.utils.logging
    shown, level = told.is_progress_bar_enabled(), told.get_verbosity()
    told.disable_progress_bar()
    told.set_verbosity_error()
    try:
        yield
    finally:
        told.set_verbosity(level)
        if shown:
            told.enable_progress_bar()


def folder_digest(folder: Path) -> str:
    """A hash of the names and contents of a folder's files.

    The hashes of large files are remembered in the cache, since reading 15 GB to look up a
    finished study would take too long.

    Returns:
        16 hexadecimal digits
    """
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        digest.update(f"{path.name}:{path.stat().st_size}:{_remembered(path)}".encode())
    return digest.hexdigest()[:16]


def _remembered(path: Path) -> str:
    """The hash of a file, as it was found when the file was last written or renamed."""
    state = path.stat()
    if state.st_size < _REMEMBERED:
        return file_digest(path)
    told = f"{path.resolve()}:{state.st_size}:{state.st_mtime_ns}:{state.st_ctime_ns}"
    kept = cache_folder() / "digests" / hashlib.sha256(told.encode()).hexdigest()
    if not kept.is_file():
        write_text(kept, file_digest(path))
    return kept.read_text()


def check_weights(folder: Path, name: str) -> None:
    """Refuse weights whose bytes are not those that the identity of the model stands for.

    The cache of the hub names a file of weights by its SHA-256. For another folder the hash is
    the one that ``folder_digest`` remembered.

    Args:
        folder: with the safetensors
        name: how errors call the model

    Raises:
        InputError: naming the file
    """
    for path in sorted(folder.glob("*.safetensors")):
        blob = path.resolve().name
        expected = blob[:_DIGITS] if _SHA256.fullmatch(blob) else _remembered(path)
        if file_digest(path) != expected:
            raise InputError(
                f"model {name!r}: {path} is damaged: its bytes are not those that its hash was "
                "made of; download or copy it again"
            )
