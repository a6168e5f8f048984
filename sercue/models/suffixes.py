"""Scores and greedy answers with a batch of suffixes, one row per prompt, behind the shared prefix.

The second implementation: it needs no four-dimensional mask, so that it works with any attention,
and it shares only the prefix and the loop of greedy decoding with ``packed``, so that each checks
the other. It repeats the cache and pads, and is slower.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from transformers import DynamicCache, PreTrainedModel

from sercue.models.prefix import (
    Batch,
    Ids,
    Said,
    cache_layers,
    greedy_tokens,
    likeliest_tokens,
    only_at,
    padded,
    positions,
    run_prefix,
    sliding_window,
)


@dataclass
class _Rows:
    """Texts that have run through the model, one per row: their cache, and what it holds.

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
    scores = [np.empty((len(p), len(a))) for p, a in zip(batch.ids, answers, strict=True)]
    for recording, chunk, asked in _prompt_rows(model, batch, rows):
        given, own = answers[recording], scores[recording]
        first = asked.log_probs[:, [answer[0] for answer in given]]
        own[chunk] = first.cpu().double().numpy()
        longer = [
            (row, number)
            for row in range(len(chunk))
            for number, answer in enumerate(given)
            if len(answer) > 1
        ]
        for start in range(0, len(longer), rows):
            pairs = longer[start : start + rows]
            said = [given[number] for _, number in pairs]
            selected = asked.select([row for row, _ in pairs])
            logits, _ = _run(model, selected, [answer[:-1] for answer in said], last_only=False)
            log_probs = logits.float().log_softmax(-1)
            targets = torch.tensor([token for answer in said for token in answer[1:]])
            places = torch.arange(len(targets))
            picked = log_probs[places, targets.to(log_probs.device)].cpu().double()
            rest = torch.split(picked, [len(answer) - 1 for answer in said])
            for (row, number), part in zip(pairs, rest, strict=True):
                own[chunk[row], number] += float(part.sum())
    return scores


@torch.inference_mode()
def greedy_answers(
    model: PreTrainedModel, batch: Batch, end_tokens: Sequence[int], max_new_tokens: int, rows: int
) -> list[Said]:
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
    answers: list[Said] = [[[] for _ in prompts] for prompts in batch.ids]
    for recording, chunk, asked in _prompt_rows(model, batch, rows):
        grown = greedy_tokens(
            asked,
            lambda rows: likeliest_tokens(rows.log_probs),
            lambda rows, kept, tokens: _extend(
                model,
                rows if len(kept) == len(rows.lengths) else rows.select(kept),
                [[token] for token in tokens],
            ),
            end_tokens,
            max_new_tokens,
        )
        for prompt, answer in zip(chunk, grown, strict=True):
            answers[recording][prompt] = answer
    return answers


def _prompt_rows(
    model: PreTrainedModel, batch: Batch, most: int
) -> Iterator[tuple[int, list[int], _Rows]]:
    """Run the prompts of each recording behind its prefix, ``most`` at a time.

    Yields:
        the recording, which of its prompts, and their rows
    """
    prefix = run_prefix(model, batch)
    for recording, texts in enumerate(batch.suffixes(prefix.lengths)):
        # Neighbours of similar length pad each other least. A sliding window counts padding as
        # text, so where there is one only texts of equal length run together.
        sizes = [len(text) for text in texts]
        order = sorted(range(len(texts)), key=sizes.__getitem__)
        groups = [order]
        if sliding_window(model.config) is not None:
            groups = [list(group) for _, group in groupby(order, key=sizes.__getitem__)]
        chunks = [own[at : at + most] for own in groups for at in range(0, len(own), most)]
        for chunk in chunks:
            shape = (len(chunk), prefix.lengths[recording])
            mask = torch.ones(shape, dtype=torch.long, device=prefix.device)
            none = torch.empty(0, device=prefix.device)
            begun = _Rows(prefix.repeated(recording, len(chunk)), mask, mask.sum(1), none)
            yield recording, chunk, _extend(model, begun, [texts[prompt] for prompt in chunk])


def _extend(model: PreTrainedModel, rows: _Rows, added: Sequence[Ids]) -> _Rows:
    """Run more tokens behind each row. The cache of ``rows`` is used up."""
    logits, extended = _run(model, rows, added, last_only=True)
    extended.log_probs = logits.float().log_softmax(-1)
    return extended


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
