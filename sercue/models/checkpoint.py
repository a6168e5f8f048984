"""A checkpoint: a folder or hub repository, and what can be known of it without its weights."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers.utils import cached_file

from sercue.errors import InputError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
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
        """Find out without loading weights whether the model can be had.

        Raises:
            InputError: if the folder or repository, its configuration, its weights as
                safetensors, or its processor is missing, if the installed transformers does not
                know the architecture, or if there is no chat template
        """
        _ = self._architecture
        if not any(self._file(name) for name in _WEIGHTS):
            raise InputError(
                f"model {self.name!r}: no weights in {self._source}; found neither "
                f"{' nor '.join(_WEIGHTS)}, and other formats are not read"
            )
        if not (self.processor.chat_template or self.processor.tokenizer.chat_template):
            raise InputError(
                f"model {self.name!r}: its processor has no chat template; valid are models that "
                "were trained for chat (often named Instruct)"
            )

    def _file(self, name: str, *, needed: bool = False) -> str | None:
        """A file of the folder or repository, fetched if need be; ``None`` if it has no such.

        Raises:
            InputError: if the repository cannot be reached, or lacks a file that is needed
        """
        if Path(self._source).is_dir():
            path = Path(self._source) / name
            return str(path) if path.is_file() else None
        if self._source.startswith(("/", ".", "~")):
            raise InputError(
                f"model {self.name!r}: no folder at {self._source!r}; valid is a folder that "
                "save_pretrained wrote, or a hub repository such as organisation/model"
            )
        try:
            return cached_file(
                self._source,
                name,
                revision=self._revision,
                _raise_exceptions_for_missing_entries=needed,
            )
        except (OSError, ValueError) as error:
            at = f" at revision {self._revision!r}" if self._revision else ""
            raise InputError(
                f"model {self.name!r}: {self._source!r}{at} is no folder with a model, not in the "
                f"local cache, and the hub did not give its {name} ({_first_line(error)}); name a "
                "folder that save_pretrained wrote, or download the repository first: "
                f"hf download {self._source}"
            ) from error

    @cached_property
    def _config_file(self) -> Path:
        path = self._file("config.json", needed=True)
        if path is None:
            raise InputError(
                f"model {self.name!r}: no config.json in {self._source}; valid is a folder or "
                "repository that save_pretrained wrote"
            )
        return Path(path)

    @cached_property
    def content(self) -> str:
        """The commit of a repository, or a hash of a folder's files."""
        if Path(self._source).is_dir():
            return folder_digest(self._config_file.parent)
        return self._config_file.parent.name

    @cached_property
    def _config(self) -> Any:
        folder = self._config_file.parent
        try:
            return transformers.AutoConfig.from_pretrained(folder)
        except (OSError, ValueError, KeyError) as error:
            raise InputError(
                f"model {self.name!r}: transformers {transformers.__version__} cannot use its "
                f"config.json ({_first_line(error)})"
            ) from error

    @cached_property
    def _architecture(self) -> type[transformers.PreTrainedModel]:
        named = getattr(self._config, "architectures", None) or ["none"]
        found = getattr(transformers, named[0], None)
        if not (isinstance(found, type) and issubclass(found, transformers.PreTrainedModel)):
            raise InputError(
                f"model {self.name!r}: config.json names the architecture {named[0]!r}, which "
                f"transformers {transformers.__version__} does not have"
            )
        return found

    def _pretrained(self) -> dict[str, Any]:
        """Where to load from: for a repository the very commit that ``identity`` names."""
        repository = not Path(self._source).is_dir()
        return {"revision": self.content} if repository else {}

    @cached_property
    def processor(self) -> Any:
        """What turns audio and chat into the model's inputs; it loads without weights."""
        try:
            processor = transformers.AutoProcessor.from_pretrained(
                self._source, **self._pretrained()
            )
            _ = processor.feature_extractor.chunk_length, processor.tokenizer
        except (OSError, ValueError, AttributeError, ImportError) as error:
            raise InputError(
                f"model {self.name!r}: {self._source} has no processor for audio and text that "
                f"transformers {transformers.__version__} can use ({_first_line(error)})"
            ) from error
        return processor

    def load(self, device: str, dtype: str) -> transformers.PreTrainedModel:
        """The model with its weights, ready to answer."""
        self.check()
        model = self._architecture.from_pretrained(
            self._source, dtype=DTYPES[dtype], use_safetensors=True, **self._pretrained()
        )
        return model.to(device).eval()


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


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
