"""Greedy decoding of several texts side by side, whatever holds their past."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

_State = TypeVar("_State")


def greedy_tokens(
    state: _State,
    likeliest: Callable[[_State], list[int | None]],
    extend: Callable[[_State, list[int], list[int]], _State],
    end_tokens: Sequence[int],
    max_new_tokens: int,
) -> list[list[int] | None]:
    """The likeliest token of each text, one after another, until it ends.

    Args:
        state: the texts as they have run, one a row
        likeliest: the likeliest next token of each row; ``None`` where no token is, since its
            logits are not finite
        extend: runs one more token behind each of the given rows, which alone stay
        end_tokens: ids that end a text; they are not part of what is returned
        max_new_tokens: most tokens of a text

    Returns:
        ids added to each row; ``None`` for a row that came to have no likeliest token

    Examples:
        >>> def extend(state, rows, tokens):
        ...     return [number - 1 for number in tokens]
        >>> greedy_tokens([2, 5], list, extend, end_tokens=[0], max_new_tokens=3)
        [[2, 1], [5, 4, 3]]
    """
    said = likeliest(state)
    added: list[list[int] | None] = [[] for _ in said]
    growing = list(range(len(said)))
    for step in range(max_new_tokens):
        next_tokens: dict[int, int] = {}
        for row, token in enumerate(said):
            answer = added[growing[row]]
            if token is None or answer is None:
                added[growing[row]] = None
            elif token not in end_tokens:
                answer.append(token)
                next_tokens[row] = token
        if not next_tokens or step == max_new_tokens - 1:
            break
        growing = [growing[row] for row in next_tokens]
        state = extend(state, list(next_tokens), list(next_tokens.values()))
        said = likeliest(state)
    return added


def likeliest_tokens(logits: torch.Tensor) -> list[int | None]:
    """The likeliest token by each row of logits, (rows, vocabulary), or of log-probabilities.

    A single NaN makes ``argmax`` return its place, which would be read as an answer. A token that
    the model rules out (minus infinity) does no harm to the others.

    Examples:
        >>> likeliest_tokens(torch.tensor([[0.0, 2.0], [float("nan"), 1.0], [float("-inf"), 0.0]]))
        [1, None, 1]
    """
    best = logits.max(-1)
    pairs = zip(best.indices.tolist(), best.values.isfinite().tolist(), strict=True)
    return [token if finite else None for token, finite in pairs]
