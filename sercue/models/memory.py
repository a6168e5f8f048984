"""Whether a model fits the memory of this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sercue.errors import InputError
from sercue.models.cards import BYTES, OPEN_NAMES

if TYPE_CHECKING:
    import pandas as pd

#: Memory of a run over that of the weights: a fifth more, for activations and keys and values.
MARGIN = 1.2
_CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")


def check_fits(
    name: str, parameters: int, device: str, dtype: str, *, spread: bool = False
) -> None:
    """Refuse a model whose weights and a fifth more exceed the memory of its device.

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
    """Memory of a run in bytes: that of the weights and a fifth more.

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
