"""What may be asked of a model, checked the same way wherever the model runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sercue.errors import InputError


@dataclass(frozen=True)
class NoAnswer:
    """In place of an answer that a model or its server did not give; a later run asks again.

    Attributes:
        reason: why there is none, such as "its logits are not finite"
    """

    reason: str


def check_prompts(audios: Sequence[np.ndarray], prompts: Sequence[Sequence[str]]) -> None:
    """Refuse anything but one or more prompts for each recording.

    Raises:
        InputError: telling how many there are
    """
    if len(audios) != len(prompts) or not all(prompts):
        found = [len(own) for own in prompts]
        raise InputError(
            f"prompts: found {found or 'none'} for {len(audios)} recordings, valid are one or more "
            "for each"
        )


def check_labels(labels: Sequence[str]) -> None:
    """Refuse anything but one or more labels with words.

    Raises:
        InputError: telling what was found
    """
    if not labels or not all(labels):
        raise InputError(f"labels: found {list(labels)}, valid are one or more words")


def usable_samples(
    audio: np.ndarray, sampling_rate: int, max_seconds: float, model: str
) -> np.ndarray:
    """The recording, if a model can be asked about the whole of it.

    Args:
        audio: samples (samples,)
        sampling_rate: in Hz
        max_seconds: longest recording that the model takes whole, in seconds
        model: how the error calls it

    Returns:
        float32, (samples,)

    Raises:
        InputError: if it is empty, not finite, not mono, or too long
    """
    samples = np.asarray(audio, dtype=np.float32)
    if samples.ndim != 1 or not samples.size or not np.isfinite(samples).all():
        raise InputError(
            f"audio: found shape {samples.shape}, valid are finite samples of one channel"
        )
    seconds = samples.size / sampling_rate
    if seconds > max_seconds:
        raise InputError(
            f"audio: found {seconds:.2f} s, but {model} takes {max_seconds:g} s at most; nothing "
            "is cut, so split longer recordings into segments, or set model_options: "
            "{long_audio: windows}"
        )
    return samples
