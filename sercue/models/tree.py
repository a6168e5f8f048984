"""The token tree: texts that begin alike share the tokens they begin with.

The prompts of one recording, and the label words behind each, are paths of a tree. Run through a
model in one pass, every token attends to its own path only, so that it is as if each text had run
alone; see ``packed``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

Ids = Sequence[int]
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
            node = self._child(node, token)
            path.append(node)
        return path

    def _child(self, parent: int, token: int) -> int:
        known = self._children.get((parent, token))
        if known is not None:
            return known
        node = self._children[parent, token] = len(self.tokens)
        self.tokens.append(token)
        self.parents.append(parent)
        self.depths.append(0 if parent == ROOT else self.depths[parent] + 1)
        return node

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


def common_prefix(texts: Sequence[Ids]) -> int:
    """Number of leading tokens that all texts share, leaving each at least one of its own.

    Examples:
        >>> common_prefix([[5, 6, 7, 8], [5, 6, 9]])
        2
        >>> common_prefix([[5, 6, 7]])
        2
    """
    rows = [list(text) for text in texts]
    # What the first and the last in order share, all between them share.
    shared = shared_length(min(rows), max(rows))
    return min(shared, min(map(len, rows)) - 1)


def shared_length(one: Ids, other: Ids) -> int:
    """Number of leading tokens that two texts share."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


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
