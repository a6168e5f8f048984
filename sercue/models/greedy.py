"""Greedy decoding of several texts side by side, whatever holds their past."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

_State = TypeVar("_State")


def greedy_tokens(
    state: _State,
    likeliest: Callable[[_State], list[int]],
    extend: Callable[[_State, list[int], list[int]], _State],
    end_tokens: Sequence[int],
    max_new_tokens: int,
) -> list[list[int]]:
    """The likeliest token of each text, one after another, until it ends.

    Args:
        state: the texts as they have run, one a row
        likeliest: the likeliest next token of each row
        extend: runs one more token behind each of the given rows, which alone stay
        end_tokens: ids that end a text; they are not part of what is returned
        max_new_tokens: most tokens of a text

    Returns:
        ids added to each row

    Examples:
        >>> def extend(state, rows, tokens):
        ...     return [number - 1 for number in tokens]
        >>> greedy_tokens([2, 5], list, extend, end_tokens=[0], max_new_tokens=3)
        [[2, 1], [5, 4, 3]]
    """
    said = likeliest(state)
    added: list[list[int]] = [[] for _ in said]
    growing = list(range(len(said)))
    for step in range(max_new_tokens):
        kept = [row for row, token in enumerate(said) if token not in end_tokens]
        for row in kept:
            added[growing[row]].append(said[row])
        if not kept or step == max_new_tokens - 1:
            break
        growing = [growing[row] for row in kept]
        state = extend(state, kept, [said[row] for row in kept])
        said = likeliest(state)
    return added
