"""A PEFT adapter: what a fine-tuning added to a checkpoint, put on it as it loads.

The adapter is injected into the model by ``load_adapter`` of transformers. The model keeps its
class, so that a fine-tuned one can be asked as its base is, and names of weights from before
transformers 5 are understood as they are in checkpoints.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import torch
from huggingface_hub import parse_local_safetensors_file_metadata
from transformers.utils import (
    ADAPTER_CONFIG_NAME,
    ADAPTER_SAFE_WEIGHTS_NAME,
    ADAPTER_WEIGHTS_NAME,
    is_peft_available,
)

from sercue.errors import InputError
from sercue.models.checkpoint import check_weights, folder_digest, quietly
from sercue.models.hub import HUB_ERRORS, hub_error, hub_file, hub_holds, told_of
from sercue.privacy import public_name

if TYPE_CHECKING:
    import transformers

# Weights that were trained whole beside the adapter, as LLaVA and Audio Flamingo 3 store them.
_BESIDE = "non_lora_trainables.bin"
_UNREAD = "a .bin can run code as it loads, so it is not read"


class Adapter:
    """An adapter as ``save_pretrained`` of peft stores it.

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
        # Workers are sent a whole path: the name must be the same for both ways to write it.
        self.label = folder.absolute().name if self._folder else _public(source)
        if not is_peft_available():
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
        weights = self._config_file.parent / ADAPTER_SAFE_WEIGHTS_NAME
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
        folder = self._file(ADAPTER_SAFE_WEIGHTS_NAME).parent
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
        self._require_fit(found.missing_keys, found.unexpected_keys)

    def _require_fit(self, missing: set[str], left_over: set[str]) -> None:
        """What is missing would stay as it was drawn, what is left over would be dropped."""
        for told, keys in (("lacks", missing), ("has, but the model takes none of,", left_over)):
            if keys:
                raise InputError(
                    f"model {self._name!r}: adapter {self.label} {told} {len(keys)} weights, "
                    f"among them {min(keys)}; valid is an adapter that was trained on this model"
                )

    @property
    def _repository(self) -> str:
        return "/".join(PurePosixPath(self._source).parts[:2])

    @property
    def _within(self) -> PurePosixPath:
        return PurePosixPath(*PurePosixPath(self._source).parts[2:])

    def _require_safetensors(self) -> None:
        if not self._holds(ADAPTER_SAFE_WEIGHTS_NAME):
            other = self._holds(ADAPTER_WEIGHTS_NAME)
            raise InputError(
                f"adapter: {self.label} has no {ADAPTER_SAFE_WEIGHTS_NAME}"
                + (
                    f", only {ADAPTER_WEIGHTS_NAME} ({_UNREAD}); store it as safetensors: "
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
        try:
            return hub_holds(self._repository, [str(self._within / name)], self.content)
        except HUB_ERRORS as error:
            raise hub_error(error, self._name, self._repository, self._revision) from error

    @cached_property
    def _config_file(self) -> Path:
        return self._file(ADAPTER_CONFIG_NAME)

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
        revision = self._revision if name == ADAPTER_CONFIG_NAME else self.content
        try:
            found = hub_file(self._repository, str(self._within / name), revision)
        except HUB_ERRORS as error:
            raise hub_error(error, self._name, self._repository, self._revision) from error
        if found is None:
            raise InputError(f"adapter: no {name} in {self.label}")
        return Path(found)

    @cached_property
    def _config(self) -> Any:
        from peft import PeftConfig

        with told_of(
            self._name, f"the {ADAPTER_CONFIG_NAME} of adapter {self.label} is not usable"
        ):
            return PeftConfig.from_pretrained(str(self._config_file.parent))


def _public(source: str | Path) -> str:
    return public_name(f"hf:{source}").removeprefix("hf:")
