"""Exact scores and greedy answers for many prompts of one recording, with the audio run once.

The prompts of an utterance begin alike: system turn, audio, instruction. That longest common prefix
runs through the model once; its key-value cache is repeated, and only what differs runs in a batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache, PreTrainedModel

Ids = Sequence[int]


def common_prefix(ids: Sequence[Ids]) -> int:
    """Number of leading tokens that all prompts share, leaving each at least one of its own.

    Examples:
        >>> common_prefix([[5, 6, 7, 8], [5, 6, 9]])
        2
        >>> common_prefix([[5, 6, 7]])
        2
    """
    same = [len(set(tokens)) == 1 for tokens in zip(*ids, strict=False)]
    return min([*(place for place, equal in enumerate(same) if not equal), len(same) - 1])


@dataclass
class _Rows:
    """Texts that have run through the model, one a row: their cache, and what it holds.

    Attributes:
        cache: keys and values, rows padded on the right
        mask: (rows, cached places), 1 where a place holds a token of the row
        lengths: (rows,), tokens of each row so far: the position of its next token
        log_probs: (rows, vocabulary), log-probabilities of the token after each row's last, nats
    """

    cache: DynamicCache
    mask: torch.Tensor
    lengths: torch.Tensor
    log_probs: torch.Tensor

    def select(self, rows: Sequence[int]) -> _Rows:
        """A copy that holds the given rows, any of them several times."""
        index = torch.tensor(rows, device=self.mask.device)
        cache = DynamicCache()
        for layer, (keys, values) in enumerate(_layers(self.cache)):
            chosen = index.to(keys.device)
            cache.update(keys[chosen], values[chosen], layer)
        return _Rows(cache, self.mask[index], self.lengths[index], self.log_probs[index])


def _layers(cache: DynamicCache) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(layer.keys, layer.values) for layer in cache.layers]


@torch.inference_mode()
def score_answers(
    model: PreTrainedModel,
    inputs: Mapping[str, torch.Tensor],
    prompts: Sequence[Ids],
    answers: Sequence[Ids],
    batch_size: int,
) -> np.ndarray:
    r"""Log-likelihood of every answer after every prompt.

    .. math:: \log p(\text{answer} \mid \text{audio, prompt})
        = \sum_t \log p(a_t \mid \text{audio, prompt}, a_1 \ldots a_{t-1})

    Args:
        model: any audio chat model of transformers that keeps its past in a ``DynamicCache``
        inputs: what the processor returned for the audio and the first prompt
        prompts: token ids of each whole prompt, audio places included
        answers: token ids of each answer, at least one each
        batch_size: most rows that run at once

    Returns:
        array (prompts, answers) of natural logarithms
    """
    scores = np.empty((len(prompts), len(answers)))
    for chunk, rows in _prompt_rows(model, inputs, prompts, batch_size):
        for row, prompt in enumerate(chunk):
            first = rows.log_probs[row, [answer[0] for answer in answers]]
            scores[prompt] = first.double().cpu().numpy()
        pairs = [
            (row, number)
            for row in range(len(chunk))
            for number, answer in enumerate(answers)
            if len(answer) > 1
        ]
        for start in range(0, len(pairs), batch_size):
            part = pairs[start : start + batch_size]
            rest = _continuations(model, rows, part, answers)
            for (row, number), value in zip(part, rest, strict=True):
                scores[chunk[row], number] += value
    return scores


@torch.inference_mode()
def greedy_answers(
    model: PreTrainedModel,
    inputs: Mapping[str, torch.Tensor],
    prompts: Sequence[Ids],
    end_tokens: Sequence[int],
    max_new_tokens: int,
    batch_size: int,
) -> list[list[int]]:
    """The likeliest token, one after another, until an end token or ``max_new_tokens``.

    Args:
        model: see ``score_answers``
        inputs: see ``score_answers``
        prompts: see ``score_answers``
        end_tokens: ids that end an answer; they are not part of what is returned
        max_new_tokens: most tokens of an answer
        batch_size: most rows that run at once

    Returns:
        token ids of each prompt's answer
    """
    answers: list[list[int]] = [[] for _ in prompts]
    for chunk, first in _prompt_rows(model, inputs, prompts, batch_size):
        rows, running = first, list(chunk)
        for step in range(max_new_tokens):
            said = rows.log_probs.argmax(-1).tolist()
            going = [row for row, token in enumerate(said) if token not in end_tokens]
            for row in going:
                answers[running[row]].append(said[row])
            if not going or step == max_new_tokens - 1:
                break
            running = [running[row] for row in going]
            kept = rows if len(going) == len(said) else rows.select(going)
            rows = _extend(model, kept, [[said[row]] for row in going])
    return answers


def _prompt_rows(
    model: PreTrainedModel,
    inputs: Mapping[str, torch.Tensor],
    prompts: Sequence[Ids],
    batch_size: int,
) -> Iterator[tuple[list[int], _Rows]]:
    """Run the shared prefix once, then the rest of the prompts, ``batch_size`` at a time.

    Yields:
        which prompts, and their rows
    """
    length = common_prefix(prompts)
    prefix = _run_prefix(model, inputs, length)
    # Neighbours of similar length pad each other least.
    order = sorted(range(len(prompts)), key=lambda prompt: len(prompts[prompt]))
    for start in range(0, len(order), batch_size):
        chunk = order[start : start + batch_size]
        rows = prefix.select([0] * len(chunk))
        yield chunk, _extend(model, rows, [prompts[prompt][length:] for prompt in chunk])


def _run_prefix(model: PreTrainedModel, inputs: Mapping[str, torch.Tensor], length: int) -> _Rows:
    kept = dict(inputs)
    kept["input_ids"] = inputs["input_ids"][:, :length]
    kept["attention_mask"] = inputs["attention_mask"][:, :length]
    device = kept["input_ids"].device
    last = torch.tensor([length - 1], device=device)
    with _logits_only_at(model, torch.tensor([0], device=device), last):
        output = model(**kept, past_key_values=DynamicCache(), use_cache=True)
    log_probs = output.logits.float().log_softmax(-1)
    return _Rows(output.past_key_values, kept["attention_mask"], last + 1, log_probs)


def _extend(model: PreTrainedModel, rows: _Rows, added: Sequence[Ids]) -> _Rows:
    """Run more tokens behind each row. The cache of ``rows`` is used up."""
    logits, extended = _run(model, rows, added, last_only=True)
    extended.log_probs = logits.float().log_softmax(-1)
    return extended


def _continuations(
    model: PreTrainedModel,
    rows: _Rows,
    pairs: Sequence[tuple[int, int]],
    answers: Sequence[Ids],
) -> list[float]:
    """Log-likelihood of the second and later tokens of answers, given (row, answer) pairs."""
    selected = rows.select([row for row, _ in pairs])
    said = [answers[number] for _, number in pairs]
    logits, _ = _run(model, selected, [answer[:-1] for answer in said], last_only=False)
    log_probs = logits.float().log_softmax(-1)
    targets = torch.tensor([token for answer in said for token in answer[1:]])
    picked = log_probs[torch.arange(len(targets)), targets.to(log_probs.device)].double().cpu()
    parts = torch.split(picked, [len(answer) - 1 for answer in said])
    return [float(part.sum()) for part in parts]


def _run(
    model: PreTrainedModel, rows: _Rows, added: Sequence[Ids], *, last_only: bool
) -> tuple[torch.Tensor, _Rows]:
    """Run added tokens, padded on the right.

    Returns:
        logits at the last added token of each row, or at all of them, row after row; and the
        extended rows, their ``log_probs`` still the old ones
    """
    device = rows.mask.device
    counts = torch.tensor([len(tokens) for tokens in added], device=device)
    width = int(counts.max())
    ids = torch.zeros((len(added), width), dtype=torch.long, device=device)
    for row, tokens in enumerate(added):
        ids[row, : len(tokens)] = torch.tensor(tokens, device=device)
    step = torch.arange(width, device=device)
    held = step[None] < counts[:, None]
    mask = torch.cat([rows.mask, held.to(rows.mask.dtype)], dim=1)
    row_index, places = held.nonzero(as_tuple=True)
    if last_only:
        row_index, places = torch.arange(len(added), device=device), counts - 1
    with _logits_only_at(model, row_index, places):
        output = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions(model, rows.lengths[:, None] + step),
            past_key_values=rows.cache,
            use_cache=True,
        )
    extended = _Rows(output.past_key_values, mask, rows.lengths + counts, rows.log_probs)
    return output.logits, extended


def positions(model: PreTrainedModel, places: torch.Tensor) -> torch.Tensor:
    """Position ids as the model wants them: (rows, tokens), or thrice that.

    Models with multimodal rotary positions number time, height and width apart; in text behind
    audio the three are equal.

    Args:
        model: its configuration tells which kind it is
        places: (rows, tokens), the place of each token among its row's tokens
    """
    text = model.config.get_text_config()
    multimodal = "mrope_section" in (getattr(text, "rope_parameters", None) or {})
    return places[None].expand(3, -1, -1) if multimodal else places


@contextmanager
def _logits_only_at(
    model: PreTrainedModel, rows: torch.Tensor, places: torch.Tensor
) -> Iterator[None]:
    """Let the output layer see only the given places: logits come as (places, vocabulary).

    With a vocabulary of 150 thousand words, logits at every place would cost more memory than
    the rest of a small batch. Not every architecture has ``logits_to_keep``, and none keeps
    different places in different rows.
    """

    def pick(module: torch.nn.Module, given: tuple[Any, ...]) -> tuple[torch.Tensor]:
        return (given[0][rows, places],)

    handle = model.get_output_embeddings().register_forward_pre_hook(pick)
    try:
        yield
    finally:
        handle.remove()
