"""Scores and greedy answers for all prompts of some recordings, packed as one token tree each.

Behind the shared prefix all that differs runs in one pass: each token attends to the prefix and to
its own way through the tree, at the position that it has in its own text. The cache is never
repeated, and within a recording nothing is padded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache, PreTrainedModel

from sercue.models.prefix import (
    Batch,
    Ids,
    Prefix,
    Said,
    attention_of,
    greedy_tokens,
    likeliest_tokens,
    only_at,
    padded,
    positions,
    run_prefix,
    shared_length,
    sliding_window,
)

#: Attention implementations that take any mask.
IMPLEMENTATIONS = ("sdpa", "eager")
# Logits of so many places are turned to float32 at a time.
_PLACES = 256
#: What a first token has for a parent: the end of the shared prefix.
ROOT = -1


class TokenTree:
    """A tree of tokens in the order in which they came: a parent stands before its children.

    Attributes:
        tokens: token id of each node
        parents: node before it, ``ROOT`` for a first token
        depths: number of nodes before it

    Examples:
        >>> tree = TokenTree()
        >>> tree.add([5, 6, 7]), tree.add([5, 6, 9])
        ([0, 1, 2], [0, 1, 3])
        >>> tree.tokens, tree.parents, tree.depths
        ([5, 6, 7, 9], [-1, 0, 1, 1], [0, 1, 2, 2])
    """

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.parents: list[int] = []
        self.depths: list[int] = []
        self._children: dict[tuple[int, int], int] = {}

    def __len__(self) -> int:
        return len(self.tokens)

    def add(self, tokens: Ids, below: int = ROOT) -> list[int]:
        """Add a text; tokens that are there already are shared.

        Args:
            tokens: its token ids
            below: the node behind which it is written

        Returns:
            the node of each token
        """
        path, node = [], below
        for token in tokens:
            parent, node = node, self._children.setdefault((node, token), len(self))
            if node == len(self):
                self.tokens.append(token)
                self.parents.append(parent)
                self.depths.append(0 if parent == ROOT else self.depths[parent] + 1)
            path.append(node)
        return path

    def visible(self) -> np.ndarray:
        """What each node attends to: itself and the nodes on the way to it.

        Returns:
            bool array (nodes, nodes), row: the node that attends

        Examples:
            >>> tree = TokenTree()
            >>> paths = tree.add([5, 7]), tree.add([5, 9])
            >>> tree.visible().astype(int).tolist()
            [[1, 0, 0], [1, 1, 0], [1, 0, 1]]
        """
        seen = np.eye(len(self), dtype=bool)
        for node, parent in enumerate(self.parents):
            if parent != ROOT:
                seen[node] |= seen[parent]
        return seen


def within_budget(texts: Sequence[Ids], extra: int, budget: int) -> Iterator[list[int]]:
    """Split texts into groups whose trees stay within a number of tokens.

    Texts that begin alike stay together as far as they can, since each group runs what its texts
    share once more.

    Args:
        texts: token ids of each text
        extra: most tokens that will be added behind each text
        budget: most tokens of a tree; a text that is longer alone is a group of its own

    Yields:
        which texts

    Examples:
        >>> list(within_budget([[1, 2, 3], [9], [1, 2, 4]], extra=0, budget=4))
        [[0, 2], [1]]
    """
    group: list[int] = []
    size = 0
    for text in sorted(range(len(texts)), key=lambda number: list(texts[number])):
        # In lexicographic order a text shares nothing more with the tree than with its neighbour.
        shared = shared_length(texts[group[-1]], texts[text]) if group else 0
        added = len(texts[text]) - shared + extra
        if group and size + added > budget:
            yield group
            group, size, added = [], 0, len(texts[text]) + extra
        group.append(text)
        size += added
    if group:
        yield group


@dataclass
class _Trees:
    """Trees that have run through the model, one a recording.

    Attributes:
        cache: keys and values of prefix and trees
        seen: bool array (recordings, nodes, places of the cache), what each node attends to
        at: (recordings, places of the cache), position of what each place holds in its text
        logits: (wanted nodes, vocabulary), once they have run
    """

    cache: DynamicCache
    seen: torch.Tensor
    at: torch.Tensor
    logits: torch.Tensor = field(init=False)


@torch.inference_mode()
def score_answers(
    model: PreTrainedModel, batch: Batch, answers: Sequence[Sequence[Ids]], tree_tokens: int
) -> list[np.ndarray]:
    r"""Log-likelihood of every answer after every prompt.

    .. math:: \log p(\text{answer} \mid \text{audio, prompt})
        = \sum_t \log p(a_t \mid \text{audio, prompt}, a_1 \ldots a_{t-1})

    Args:
        model: any audio chat model of transformers that keeps its past in a ``DynamicCache`` and
            takes attention masks of four dimensions
        batch: recordings and prompts
        answers: token ids of each answer, at least one each: ``[recording][answer][token]``
        tree_tokens: most tokens of a tree; a larger one is split

    Returns:
        array (prompts, answers) of natural logarithms for each recording
    """
    prefix = run_prefix(model, batch)
    scores = [np.zeros((len(p), len(a))) for p, a in zip(batch.ids, answers, strict=True)]
    extra = [sum(len(answer) - 1 for answer in given) for given in answers]
    for groups in _groups(batch, prefix, extra, tree_tokens):
        trees = [TokenTree() for _ in groups]
        # Recording and node, the token to follow it, and the score that this is part of.
        reads: list[tuple[tuple[int, int], int, tuple[int, int]]] = []
        for recording, (tree, texts) in enumerate(zip(trees, groups, strict=True)):
            for prompt, text in texts.items():
                end = tree.add(text)[-1]
                for number, answer in enumerate(answers[recording]):
                    for token, node in zip(answer, [end, *tree.add(answer[:-1], end)], strict=True):
                        reads.append(((recording, node), token, (prompt, number)))
        # Labels are read off one node, the end of their prompt; its logits are computed once.
        row_of = {place: row for row, place in enumerate(dict.fromkeys(read[0] for read in reads))}
        logits = _run(model, prefix, trees, list(row_of)).logits
        totals = torch.cat([part.float().logsumexp(1) for part in logits.split(_PLACES)])
        rows = torch.tensor([row_of[place] for place, _, _ in reads], device=logits.device)
        tokens = torch.tensor([token for _, token, _ in reads], device=logits.device)
        values = (logits[rows, tokens].float() - totals[rows]).tolist()
        for ((recording, _), _, score), value in zip(reads, values, strict=True):
            scores[recording][score] += value
    return scores


def _groups(
    batch: Batch, prefix: Prefix, extra: Sequence[int], tree_tokens: int
) -> Iterator[tuple[dict[int, Ids], ...]]:
    """Prompts whose trees run together: for each recording some of its suffixes, by number."""
    split = []
    for suffixes, more in zip(batch.suffixes(prefix.lengths), extra, strict=True):
        groups = within_budget(suffixes, more, tree_tokens)
        split.append([{number: suffixes[number] for number in group} for group in groups])
    yield from zip_longest(*split, fillvalue={})


def _run(
    model: PreTrainedModel,
    prefix: Prefix,
    trees: Sequence[TokenTree],
    wanted: Sequence[tuple[int, int]],
) -> _Trees:
    """Run a tree behind each prefix.

    Args:
        model: see ``score_answers``
        prefix: of each recording
        trees: one a recording; shorter ones are padded, an empty one is padding alone
        wanted: recording and node of each row of the logits that come back
    """
    device = prefix.device
    width = max(map(len, trees))
    own = np.tile(np.eye(width, dtype=bool), (len(trees), 1, 1))
    for recording, tree in enumerate(trees):
        own[recording, : len(tree), : len(tree)] = tree.visible()
    before = prefix.held()[:, None].expand(-1, width, -1)
    seen = torch.cat([before, torch.from_numpy(own).to(device)], dim=2)
    starts = torch.tensor(prefix.lengths, device=device)[:, None]
    own_at = starts + padded([tree.depths for tree in trees], device)
    prefix_at = torch.arange(prefix.places, device=device).expand(len(trees), -1)
    ids = padded([tree.tokens for tree in trees], device)
    at = torch.cat([prefix_at, own_at], dim=1)
    return _forward(model, ids, _Trees(prefix.cache(), seen, at), wanted)


def _forward(
    model: PreTrainedModel, ids: torch.Tensor, trees: _Trees, wanted: Sequence[tuple[int, int]]
) -> _Trees:
    """Run the nodes that ``trees`` tells of, the last places of it. Its cache grows by them."""
    masks: Any = _mask(model, trees.seen)
    window = sliding_window(model.config)
    if window is not None:
        near = trees.at[:, -trees.seen.shape[1] :, None] - trees.at[:, None] < window
        masks = {"full_attention": masks, "sliding_attention": _mask(model, trees.seen & near)}
    rows, nodes = torch.tensor(wanted, device=ids.device).T
    with only_at(model, rows, nodes):
        trees.logits = model(
            input_ids=ids,
            attention_mask=masks,
            position_ids=positions(model, trees.at[:, -ids.shape[1] :]),
            past_key_values=trees.cache,
            use_cache=True,
        ).logits
    return trees


def _mask(model: PreTrainedModel, seen: torch.Tensor) -> torch.Tensor:
    """(rows, 1, tokens, places), as the attention takes it."""
    mask = seen[:, None]
    if attention_of(model) != "eager":
        return mask
    # It adds the mask to the scores.
    added = torch.zeros(mask.shape, dtype=model.dtype, device=mask.device)
    return added.masked_fill_(~mask, torch.finfo(model.dtype).min)


@torch.inference_mode()
def greedy_answers(
    model: PreTrainedModel,
    batch: Batch,
    end_tokens: Sequence[int],
    max_new_tokens: int,
    tree_tokens: int,
) -> list[Said]:
    """The likeliest token, one after another, until an end token or ``max_new_tokens``.

    Every prompt is a leaf of its recording's tree and grows by one token per step, all in one pass.

    Args:
        model: see ``score_answers``
        batch: recordings and prompts
        end_tokens: ids that end an answer; they are not part of what is returned
        max_new_tokens: most tokens of an answer
        tree_tokens: see ``score_answers``

    Returns:
        token ids of each prompt's answer, for each recording; ``None`` where logits on the way were
        not finite
    """
    prefix = run_prefix(model, batch)
    answers: list[Said] = [[[] for _ in prompts] for prompts in batch.ids]
    for groups in _groups(batch, prefix, [0] * len(batch.ids), tree_tokens):
        trees = [TokenTree() for _ in groups]
        leaves = [
            (recording, tree.add(text)[-1], prompt)
            for recording, (tree, texts) in enumerate(zip(trees, groups, strict=True))
            for prompt, text in texts.items()
        ]
        places = [leaf[:2] for leaf in leaves]
        grown = greedy_tokens(
            (_run(model, prefix, trees, places), places),
            lambda state: likeliest_tokens(state[0].logits),
            lambda state, kept, tokens: _grown(
                model, state[0], [state[1][row] for row in kept], tokens
            ),
            end_tokens,
            max_new_tokens,
        )
        for (recording, _, prompt), answer in zip(leaves, grown, strict=True):
            answers[recording][prompt] = answer
    return answers


def _grown(
    model: PreTrainedModel, run: _Trees, places: Sequence[tuple[int, int]], tokens: Sequence[int]
) -> tuple[_Trees, list[tuple[int, int]]]:
    """Run one token behind each given (recording, node).

    Returns:
        the trees with these tokens alone for nodes, and the (recording, node) of each
    """
    recordings, device = len(run.seen), run.seen.device
    of: list[list[int]] = [[] for _ in range(recordings)]
    for i, (recording, _) in enumerate(places):
        of[recording].append(i)
    # A recording with fewer tokens repeats its first node: padding that nobody reads.
    nodes = padded([[places[i][1] for i in row] for row in of], device)
    ids = padded([[tokens[i] for i in row] for row in of], device)
    number = torch.arange(recordings, device=device)[:, None]
    own = torch.eye(ids.shape[1], dtype=torch.bool, device=device).expand(recordings, -1, -1)
    seen = torch.cat([run.seen[number, nodes], own], dim=2)
    behind = run.at[:, -run.seen.shape[1] :][number, nodes] + 1
    at = torch.cat([run.at, behind], dim=1)
    where = {i: (recording, node) for recording, row in enumerate(of) for node, i in enumerate(row)}
    wanted = [where[i] for i in range(len(places))]
    return _forward(model, ids, _Trees(run.cache, seen, at), wanted), wanted
