"""Whether a model is available: in the local cache or from the hub, on this disk and device."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from sercue.errors import InputError
from sercue.models.cards import BYTES, ENDPOINT_PREFIX, OPEN_NAMES, checkpoint_source

if TYPE_CHECKING:
    import pandas as pd
    from huggingface_hub.utils import TensorInfo

    from sercue.models.contrastive import ContrastiveModel
    from sercue.models.registry import AudioLanguageModel

#: Memory of a run relative to the weights: 20 % more, for activations, keys and values.
MARGIN = 1.2
_CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")


def check_fits(
    name: str, parameters: int, device: str, dtype: str, *, spread: bool = False
) -> None:
    """Refuse a model whose weights and 20 % more exceed the memory of its device.

    Args:
        name: how the error calls the model
        parameters: number of parameters that load
        device: ``"cpu"``, ``"mps"``, ``"cuda"`` or one of the cuda devices
        dtype: precision that they load in
        spread: whether the memory of all devices counts

    Raises:
        InputError: naming the model, what it needs, what there is, and what would fit
    """
    memory = spread_memory() if spread else device_memory(device)
    if memory is None or needed(parameters, dtype) <= memory:
        return
    place = "all devices together have" if spread else f"{device} has"
    weights, run = parameters * BYTES[dtype], needed(parameters, dtype)
    raise InputError(
        f"model {name!r}: in {dtype} its weights take {size_text(weights)}, a run about "
        f"{size_text(run)}, but {place} {size_text(memory)}; valid are "
        f"{', '.join(_remedies(parameters, dtype, memory, spread))}"
    )


def _remedies(parameters: int, dtype: str, memory: int, spread: bool) -> list[str]:
    """What would run here, and what runs elsewhere."""
    smaller = [
        f"dtype {other} (about {size_text(needed(parameters, other))})"
        for other in BYTES
        if BYTES[other] < BYTES[dtype] and needed(parameters, other) <= memory
    ]
    everything = 0 if spread else spread_memory() or 0
    over_all = "model option device_map: auto (all devices together)"
    spreads = [over_all] if needed(parameters, dtype) <= everything else []
    return [*smaller, *spreads, f"{OPEN_NAMES[1]} (a server elsewhere)", "a smaller model"]


def needed(parameters: int, dtype: str) -> int:
    """Memory of a run in bytes: that of the weights and 20 % more.

    Examples:
        >>> needed(1_000_000, "bfloat16")
        2400000
    """
    return round(parameters * BYTES[dtype] * MARGIN)


def device_memory(device: str) -> int | None:
    """Bytes that a model can take on a device; ``None`` if the system does not tell.

    What is free on a cuda device, what the driver recommends on mps, and all memory of the
    machine on the CPU, where what other programs hold can be swapped out.
    """
    if device != "cpu":
        import torch

        if device == "mps":
            return int(torch.mps.recommended_max_memory())
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
    # In a container the machine's memory is more than the process may take.
    limit = _CONTAINER_LIMIT.read_text().strip() if _CONTAINER_LIMIT.is_file() else ""
    return min(memory, int(limit)) if limit.isdigit() else memory


def spread_memory() -> int | None:
    """Bytes of all cuda devices and the CPU: what ``device_map: auto`` can spread a model over."""
    import torch

    memory = device_memory("cpu")
    if memory is None:
        return None
    cards = [device_memory(f"cuda:{number}") or 0 for number in range(torch.cuda.device_count())]
    return memory + sum(cards)


def fits_this_device(table: pd.DataFrame) -> pd.DataFrame:
    """Whether each model of ``available_models()`` fits the first device of this machine.

    Imports torch, to know the devices.

    Args:
        table: with the columns ``name`` and ``parameters``

    Returns:
        the table with the column ``fits here``: yes or no, in which precision, what a run needs,
        what there is
    """
    from sercue.models.chat import resolve_device, resolve_dtype

    device = resolve_device("auto")
    dtype, memory = resolve_dtype("auto", device), device_memory(device)
    return table.assign(
        **{"fits here": [_fit(count, device, dtype, memory) for count in table["parameters"]]}
    )


def _fit(parameters: int, device: str, dtype: str, memory: int | None) -> str:
    if memory is None:
        return f"not known: this system does not tell the memory of {device}"
    sizes = f"a run takes about {size_text(needed(parameters, dtype))} in {dtype}"
    told = f"{sizes}, {device} has {size_text(memory)}"
    if needed(parameters, dtype) <= memory:
        return f"yes: {told}"
    return f"no: {told}; valid are {', '.join(_remedies(parameters, dtype, memory, spread=False))}"


def size_text(size: int) -> str:
    """Bytes as GB or MB of 1e9 and 1e6 bytes.

    Examples:
        >>> size_text(16_793_000_000), size_text(4_600_000)
        ('16.8 GB', '4.6 MB')
    """
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


#: Files of which one tells that weights are there: all of them, or where they are.
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
# Of a model that also speaks, the part that listens and answers in text: it alone loads.
_LISTENER = "thinker."
# The check can do without the hub, so it does not wait long for an answer.
_HUB_SECONDS = 10.0


def check_available(
    name: str,
    model: AudioLanguageModel | ContrastiveModel,
    *,
    revision: str | None = None,
    spread: bool = False,
) -> str:
    """Find out before a study whether its model can be had and fits, at the cost of no weights.

    Args:
        name: as the study names the model; not that of ``sercue-tiny``
        model: as ``load_model`` returns it
        revision: that of the study, if it names one
        spread: whether the model is spread over all devices (``device_map: auto``)

    Returns:
        what was found, one line

    Raises:
        InputError: if it cannot be had (offline, gated, no such repository), lacks a part, or
            needs more disk or memory than there is; the message names the model, the sizes and
            what can be done
        ServerError: if its server does not answer
    """
    if name.startswith(ENDPOINT_PREFIX):
        model.check()
        return f"{model.identity} on its server"
    source, card = checkpoint_source(name)
    revision = revision or (card.revision if card else None)
    folder = weights_folder(source, revision)
    if folder is None:
        parameters, download = hub_sizes(source, revision)
        if card is not None:
            parameters, download = card.parameters, download or card.download
    else:
        parameters, download = card.parameters if card else stored_parameters(name, folder), None
    if parameters:
        check_fits(name, parameters, model.device, model.dtype, spread=spread)
    if download:
        check_disk(name, download)
    try:
        model.check()
    except InputError as error:
        if not download:
            raise
        raise InputError(f"{error}; its weights are a download of {size_text(download)}") from error
    place = "its weights are here" if folder else "its weights are fetched at first use"
    size = f", {size_text(download)}" if download else ""
    return f"{model.identity} on {model.device}; {place}{size}"


def check_disk(name: str, download: int) -> None:
    """Refuse a download that does not fit the disk of the hub's cache.

    Args:
        name: how the error calls the model
        download: size of the weights, in bytes

    Raises:
        InputError: naming the model, both sizes and the folder
    """
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE)
    there = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(there).free
    if download > free:
        raise InputError(
            f"model {name!r}: its weights are a download of {size_text(download)}, but the disk of "
            f"{folder} has {size_text(free)} left; make place there, or let the environment "
            "variable HF_HOME name a folder on another disk"
        )


def cached_snapshot(repository: str, revision: str | None = None) -> Path | None:
    """The folder of the hub's local cache that holds a repository's weights whole, if any.

    Its name is the commit.

    Args:
        repository: hub repository
        revision: branch, tag or commit; the main branch by default
    """
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(repository, "config.json", revision=revision)
    if not isinstance(config, str):
        return None
    folder = Path(config).parent
    whole, index = (folder / file for file in WEIGHTS)
    if whole.is_file():
        return folder
    if not index.is_file():
        return None
    shards = set(json.loads(index.read_text())["weight_map"].values())
    return folder if all((folder / shard).is_file() for shard in shards) else None


def weights_folder(source: str, revision: str | None = None) -> Path | None:
    """Where a checkpoint's weights lie on this machine, ``None`` if they do not.

    Args:
        source: a folder, or a hub repository
        revision: branch, tag or commit of the repository
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    named_as_folder = source.startswith(("/", ".", "~"))
    return None if named_as_folder else cached_snapshot(source, revision)


def stored_parameters(name: str, folder: Path) -> int | None:
    """Number of parameters that load from a folder; see ``stored_tensors``."""
    tensors = stored_tensors(name, folder)
    if tensors is None:
        return None
    counts = {key: tensor.parameter_count for key, tensor in tensors.items()}
    heard = {key: count for key, count in counts.items() if key.startswith(_LISTENER)}
    return sum((heard or counts).values())


def stored_tensors(name: str, folder: Path) -> dict[str, TensorInfo] | None:
    """Names and shapes of the weights in a folder, read off the headers of its safetensors.

    Args:
        name: how errors call the model
        folder: with ``model.safetensors``, or an index and its shards

    Returns:
        by name; ``None`` if there are no safetensors

    Raises:
        InputError: if a header cannot be read, or a shard of the index is missing
    """
    from huggingface_hub import get_local_safetensors_metadata
    from huggingface_hub.errors import NotASafetensorsRepoError

    from sercue.models.hub import told_of

    damaged = f"its safetensors in {folder} are damaged or not whole; download or copy them again"
    with told_of(name, damaged):
        try:
            files = get_local_safetensors_metadata(folder).files_metadata.values()
        except NotASafetensorsRepoError:
            return None
    return {key: tensor for file in files for key, tensor in file.tensors.items()}


def hub_sizes(repository: str, revision: str | None = None) -> tuple[int | None, int | None]:
    """Sizes of a repository's weights as the hub reports them, without fetching them.

    Args:
        repository: hub repository
        revision: branch, tag or commit; the main branch by default

    Returns:
        number of parameters, and bytes of its safetensors; ``None`` where the hub does not say,
        or cannot be asked
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HTTPError

    try:
        info = HfApi().model_info(
            repository, revision=revision, files_metadata=True, timeout=_HUB_SECONDS
        )
    except (OSError, ValueError, HTTPError):
        # The model's own check says why it cannot be had.
        return None, None
    # Weights of adapters lie in subfolders.
    sizes = [
        file.size or 0
        for file in info.siblings or []
        if file.rfilename.endswith(".safetensors") and "/" not in file.rfilename
    ]
    return (info.safetensors.total if info.safetensors else None), sum(sizes) or None
