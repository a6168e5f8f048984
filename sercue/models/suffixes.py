"""Scores and greedy answers with a batch of suffixes, one row a prompt, behind the shared prefix.

The second implementation: it needs no mask of four dimensions, so that any attention will do, and
it shares nothing with ``packed`` but the prefix and the loop of greedy decoding, so that each
checks the other. It repeats the cache and pads, and is slower.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import numpy as np
import torch
from transformers import DynamicCache, PreTrainedModel

from sercue.models.prefix import (
    Batch,
    Prefix,
    cache_layers,
    greedy_tokens,
    likeliest_tokens,
    only_at,
    padded,
    positions,
    run_prefix,
    sliding_window,
)
from sercue.models.tree import Ids


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
        for layer, (keys, values) in enumerate(cache_layers(self.cache)):
            chosen = index.to(keys.device)
            cache.update(keys[chosen], values[chosen], layer)
        return _Rows(cache, self.mask[index], self.lengths[index], self.log_probs[index])


@torch.inference_mode()
def score_answers(
    model: PreTrainedModel, batch: Batch, answers: Sequence[Sequence[Ids]], rows: int
) -> list[np.ndarray]:
    """Log-likelihood of every answer after every prompt, as ``packed.score_answers``.

    Args:
        model: any audio chat model of transformers that keeps its past in a ``DynamicCache``
        batch: recordings and prompts
        answers: token ids of each answer, at least one each: ``[recording][answer][token]``
        rows: most rows that run at once

    Returns:
        array (prompts, answers) of natural logarithms for each recording
    """
    prefix = run_prefix(model, batch)
    suffixes = batch.suffixes(prefix.lengths)
    return [
        _score_one(model, prefix, recording, texts, answers[recording], rows)
        for recording, texts in enumerate(suffixes)
    ]


def _score_one(
    model: PreTrainedModel,
    prefix: Prefix,
    recording: int,
    texts: Sequence[Ids],
    answers: Sequence[Ids],
    most: int,
) -> np.ndarray:
    scores = np.empty((len(texts), len(answers)))
    for chunk, rows in _prompt_rows(model, prefix, recording, texts, most):
        for row, prompt in enumerate(chunk):
            first = rows.log_probs[row, [answer[0] for answer in answers]]
            scores[prompt] = first.cpu().double().numpy()
        pairs = [
            (row, number)
            for row in range(len(chunk))
            for number, answer in enumerate(answers)
            if len(answer) > 1
        ]
        for start in range(0, len(pairs), most):
            part = pairs[start : start + most]
            rest = _continuations(model, rows, part, answers)
            for (row, number), value in zip(part, rest, strict=True):
                scores[chunk[row], number] += value
    return scores


@torch.inference_mode()
def greedy_answers(
    model: PreTrainedModel,
    batch: Batch,
    end_tokens: Sequence[int],
    max_new_tokens: int,
    rows: int,
) -> list[list[list[int] | None]]:
    """The likeliest token, one after another, as ``packed.greedy_answers``.

    Args:
        model: see ``score_answers``
        batch: recordings and prompts
        end_tokens: ids that end an answer; they are not part of what is returned
        max_new_tokens: most tokens of an answer
        rows: most rows that run at once

    Returns:
        token ids of each prompt's answer, for each recording; ``None`` where logits on the way were
        not finite
    """
    prefix = run_prefix(model, batch)
    answers: list[list[list[int] | None]] = []
    for recording, texts in enumerate(batch.suffixes(prefix.lengths)):
        said: list[list[int] | None] = [[] for _ in texts]
        for chunk, first in _prompt_rows(model, prefix, recording, texts, rows):
            grown = greedy_tokens(
                first,
                lambda rows: likeliest_tokens(rows.log_probs),
                partial(_extend_some, model),
                end_tokens,
                max_new_tokens,
            )
            for prompt, answer in zip(chunk, grown, strict=True):
                said[prompt] = answer
        answers.append(said)
    return answers


def _prompt_rows(
    model: PreTrainedModel, prefix: Prefix, recording: int, texts: Sequence[Ids], most: int
) -> Iterator[tuple[list[int], _Rows]]:
    """Run the prompts of a recording behind its prefix, ``most`` at a time.

    Yields:
        which prompts, and their rows
    """
    length, device = prefix.lengths[recording], prefix.device
    for chunk in _chunks(texts, most, equal=sliding_window(model.config) is not None):
        mask = torch.ones((len(chunk), length), dtype=torch.long, device=device)
        rows = _Rows(
            prefix.repeated(recording, len(chunk)), mask, mask.sum(1), torch.empty(0, device=device)
        )
        yield chunk, _extend(model, rows, [texts[prompt] for prompt in chunk])


def _chunks(texts: Sequence[Ids], most: int, *, equal: bool) -> Iterator[list[int]]:
    """Which texts run together: at most so many, of similar or of equal length."""
    # Neighbours of similar length pad each other least. A sliding window counts padding as text,
    # so where there is one nothing may be written behind padding.
    order = sorted(range(len(texts)), key=lambda text: len(texts[text]))
    groups = [order]
    if equal:
        groups = [list(group) for _, group in groupby(order, key=lambda text: len(texts[text]))]
    for group in groups:
        for start in range(0, len(group), most):
            yield group[start : start + most]


def _extend(model: PreTrainedModel, rows: _Rows, added: Sequence[Ids]) -> _Rows:
    """Run more tokens behind each row. The cache of ``rows`` is used up."""
    logits, extended = _run(model, rows, added, last_only=True)
    extended.log_probs = logits.float().log_softmax(-1)
    return extended


def _extend_some(
    model: PreTrainedModel, rows: _Rows, kept: Sequence[int], tokens: Sequence[int]
) -> _Rows:
    """Run one more token behind some of the rows; the others leave."""
    staying = rows if len(kept) == len(rows.lengths) else rows.select(kept)
    return _extend(model, staying, [[token] for token in tokens])


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
    picked = log_probs[torch.arange(len(targets)), targets.to(log_probs.device)].cpu().double()
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
    ids = padded(added, device)
    counts = torch.tensor([len(tokens) for tokens in added], device=device)
    step = torch.arange(ids.shape[1], device=device)
    held = step[None] < counts[:, None]
    mask = torch.cat([rows.mask, held.to(rows.mask.dtype)], dim=1)
    row_index, places = held.nonzero(as_tuple=True)
    if last_only:
        row_index, places = torch.arange(len(added), device=device), counts - 1
    with only_at(model, row_index, places):
        output = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions(model, rows.lengths[:, None] + step),
            past_key_values=rows.cache,
            use_cache=True,
        )
    extended = _Rows(output.past_key_values, mask, rows.lengths + counts, rows.log_probs)
    return output.logits, extended
