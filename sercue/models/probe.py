"""What a model is tried with before it is asked, and what separate passes say of it.

No list of architectures can say whether the shared prefix is exact on the model at hand: it may be
newer than this code. So two recordings of noise and two prompts are scored both ways first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from sercue.errors import InputError
from sercue.models.prefix import Batch

PROMPTS = ("Options: angry, neutral. Cues: energy=low, pitch=high. Answer:", "Answer:")
LABELS = ("angry", "neutral", "surprised")
_SECONDS = (1.0, 0.6)
# Largest difference, in nats, that rounding explains.
_TOLERANCE = {torch.float32: 1e-3}
_TOLERANCE_16_BIT = 0.5
_ATTENTION = ("full_attention", "sliding_attention")


def recordings(sampling_rate: int) -> list[np.ndarray]:
    """Two recordings of noise of unlike lengths, float32, (samples,) each."""
    generator = np.random.default_rng(0)
    lengths = [int(seconds * sampling_rate) for seconds in _SECONDS]
    return [generator.normal(0, 0.05, length).astype(np.float32) for length in lengths]


@torch.inference_mode()
def separate_scores(
    model: PreTrainedModel,
    encode: Callable[[np.ndarray, str], Batch],
    answer_tokens: Callable[[str, str], list[int]],
    audios: Sequence[np.ndarray],
) -> np.ndarray:
    """Scores of the probe, each prompt and label in a pass of its own, without a cache.

    Returns:
        array (recordings, prompts, labels), nats
    """
    return np.array(
        [
            [
                [_separate_score(model, batch, answer_tokens(prompt, word)) for word in LABELS]
                for prompt in PROMPTS
                for batch in [encode(audio, prompt)]
            ]
            for audio in audios
        ]
    )


def _separate_score(model: PreTrainedModel, batch: Batch, answer: Sequence[int]) -> float:
    """Log-likelihood of an answer behind the one prompt of a batch."""
    prompt = list(batch.ids[0][0])
    ids = torch.tensor([[*prompt, *answer]], device=model.get_input_embeddings().weight.device)
    more = {
        name: torch.tensor([[*rows[0], *[0] * len(answer)]], device=ids.device)
        for name, rows in batch.per_token.items()
    }
    output = model(**batch.inputs, **more, input_ids=ids, attention_mask=torch.ones_like(ids))
    log_probs = output.logits[0, len(prompt) - 1 : -1].float().log_softmax(-1)
    places = torch.arange(len(answer), device=log_probs.device)
    chosen = log_probs[places, torch.tensor(answer, device=log_probs.device)]
    return float(chosen.cpu().double().sum())


def check_finite(scores: np.ndarray, dtype: torch.dtype, name: str) -> None:
    """Refuse a model whose scores of the probe are not finite.

    Args:
        scores: of separate passes, where no prompt can spoil another
        dtype: precision of the weights
        name: how errors call the model

    Raises:
        InputError: naming the precision, and what to do about it

    Examples:
        >>> check_finite(np.array([-1.0, np.nan]), torch.float16, "mine")
        Traceback (most recent call last):
            ...
        sercue.errors.InputError: model 'mine': in float16, 1 of 2 scores of a trial on noise are \
not finite; numbers beyond 65504 overflow in float16: set dtype to bfloat16 or float32
    """
    wrong = int((~np.isfinite(scores)).sum())
    if not wrong:
        return
    cause = (
        "numbers beyond 65504 overflow in float16: set dtype to bfloat16 or float32"
        if dtype == torch.float16
        else "its weights or its config.json are damaged: download or copy them again"
    )
    raise InputError(
        f"model {name!r}: in {str(dtype).removeprefix('torch.')}, {wrong} of {scores.size} scores "
        f"of a trial on noise are not finite; {cause}"
    )


def is_exact(difference: float, dtype: torch.dtype) -> bool:
    """Whether rounding at that precision explains a difference, in nats, from separate passes."""
    return difference <= _TOLERANCE.get(dtype, _TOLERANCE_16_BIT)


def check_layers(config: Any, name: str) -> None:
    """Refuse layers that keep another state than keys and values of each token.

    Raises:
        InputError: naming the kind of layer
    """
    kinds = set(getattr(config.get_text_config(), "layer_types", None) or _ATTENTION)
    others = sorted(kinds - set(_ATTENTION))
    if others:
        raise InputError(
            f"model {name!r}: found layers of {', '.join(others)}, whose state the prompts of a "
            f"recording cannot share; valid are models of {' and '.join(_ATTENTION)} alone"
        )
