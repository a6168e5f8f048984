"""The conditions of a study: what is done to the tokens while the audio stays the same.

A condition turns the true tokens of the evaluated utterances into the tokens that prompts show.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sercue.concepts import UNKNOWN
from sercue.errors import InputError, unknown

Change = Callable[[pd.DataFrame, Sequence[str], np.random.Generator], pd.DataFrame | None]


@dataclass(frozen=True)
class Condition:
    """One way of changing the tokens.

    Attributes:
        name: as studies and tables write it, for instance ``corrupted(0.5)``
        description: one line for the report
        stochastic: whether replicates differ
        change: (tokens, words from low to high, random generator) to the tokens shown, or
            ``None`` for no token block
        stream: conditions with the same stream draw the same random numbers, so that
            ``corrupted(0.25)`` changes a subset of what ``corrupted(0.5)`` changes
    """

    name: str
    description: str
    stochastic: bool
    change: Change
    stream: str

    def apply(
        self, tokens: pd.DataFrame, words: Sequence[str], *, seed: int, replicate: int = 0
    ) -> pd.DataFrame | None:
        """The tokens that this condition shows.

        Args:
            tokens: true tokens of the evaluated utterances, shape (utterances, concepts)
            words: the words of the bins, from low to high
            seed: the study's seed
            replicate: number of the repetition, from 0

        Returns:
            tokens of the same shape and index, or ``None`` for no token block

        Examples:
            >>> own = pd.DataFrame({"energy": ["low", "high"], "pitch": ["high", "unknown"]})
            >>> conflicting = parse_condition("conflicting")
            >>> conflicting.apply(own, ("low", "mid", "high"), seed=0).values.tolist()
            [['high', 'low'], ['low', 'unknown']]
        """
        generator = np.random.default_rng([seed, replicate, *self.stream.encode()])
        return self.change(tokens, words, generator)

    def replicates(self, number: int) -> range:
        """The replicates to run: one where nothing is random."""
        return range(number if self.stochastic else 1)


def derangement(size: int, generator: np.random.Generator) -> np.ndarray:
    """A permutation without a fixed point, uniform over all of them.

    Drawn by rejection: about one permutation in e has no fixed point.

    Args:
        size: number of elements, at least 2
        generator: source of randomness

    Returns:
        int array of shape (size,)

    Raises:
        InputError: if ``size`` is below 2: one element has nowhere to go

    Examples:
        >>> derangement(2, np.random.default_rng(0)).tolist()
        [1, 0]
    """
    if size < 2:
        raise InputError(f"shuffled: needs at least 2 utterances, found {size}")
    places = np.arange(size)
    order = generator.permutation(size)
    while np.any(order == places):
        order = generator.permutation(size)
    return order


def parse_condition(text: str) -> Condition:
    """The condition that a study file names.

    Args:
        text: a name, with its parameter in brackets where it takes one: ``corrupted(0.5)``

    Raises:
        InputError: if the name is unknown, or its parameter is missing or out of range

    Examples:
        >>> parse_condition("corrupted(.50)").name
        'corrupted(0.5)'
    """
    match = re.fullmatch(r"\s*([\w ]+?)\s*(?:\(\s*([^()]*?)\s*\))?\s*", str(text))
    name, argument = match.groups() if match else (str(text), None)
    if name in _CONSTANT:
        if argument is not None:
            raise InputError(f"condition {text!r}: {name} takes no parameter")
        return _CONSTANT[name]
    if name in _PARAMETERISED:
        return _PARAMETERISED[name](_probability(str(text), name, argument))
    raise unknown("condition", text, condition_names())


def parse_conditions(texts: Sequence[str | Condition]) -> list[Condition]:
    """All conditions of a study, each once; conditions of one's own are taken as they are.

    Raises:
        InputError: if there is none, if one is unknown, or if one stands twice
    """
    conditions = [t if isinstance(t, Condition) else parse_condition(t) for t in texts]
    names = [condition.name for condition in conditions]
    if not names:
        raise InputError(f"conditions: found none, valid are {', '.join(condition_names())}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"conditions: {', '.join(twice)} stands twice")
    return conditions


def describe_conditions(texts: Sequence[str | Condition]) -> pd.DataFrame:
    """One line a condition, for the report.

    Examples:
        >>> describe_conditions(["none"]).loc["none", "what is shown"]
        'no token block: audio alone'
    """
    conditions = parse_conditions(texts)
    return pd.DataFrame(
        {
            "what is shown": [condition.description for condition in conditions],
            "random": [condition.stochastic for condition in conditions],
        },
        index=pd.Index([condition.name for condition in conditions], name="condition"),
    )


def condition_names() -> list[str]:
    """What a study file may list under ``conditions``."""
    return [*_CONSTANT, *(f"{name}(p)" for name in _PARAMETERISED)]


def _probability(text: str, name: str, argument: str | None) -> float:
    try:
        value = float(argument or "")
    except ValueError:
        value = float("nan")
    if not 0 <= value <= 1:
        raise InputError(f"condition {text!r}: valid is {name}(p) with p from 0 to 1")
    return value


def _none(
    tokens: pd.DataFrame, words: Sequence[str], generator: np.random.Generator
) -> pd.DataFrame | None:
    return None


def _aligned(
    tokens: pd.DataFrame, words: Sequence[str], generator: np.random.Generator
) -> pd.DataFrame:
    return tokens


def _shuffled(
    tokens: pd.DataFrame, words: Sequence[str], generator: np.random.Generator
) -> pd.DataFrame:
    order = derangement(len(tokens), generator)
    return tokens.iloc[order].set_axis(tokens.index)


def _conflicting(
    tokens: pd.DataFrame, words: Sequence[str], generator: np.random.Generator
) -> pd.DataFrame:
    mirrored = tokens.replace(dict(zip(words, reversed(words), strict=True)))
    middle = words[len(words) // 2]
    extremes = generator.choice([words[0], words[-1]], size=tokens.shape)
    return mirrored.where(tokens != middle, pd.DataFrame(extremes, tokens.index, tokens.columns))


def _corrupted(probability: float) -> Condition:
    def change(
        tokens: pd.DataFrame, words: Sequence[str], generator: np.random.Generator
    ) -> pd.DataFrame:
        hit = generator.random(tokens.shape) < probability
        others = {word: [w for w in words if w != word] for word in (*words, UNKNOWN)}
        draw = generator.random(tokens.shape)
        replaced = [
            [others[word][int(u * len(others[word]))] for word, u in zip(row, us, strict=True)]
            for row, us in zip(tokens.to_numpy(), draw, strict=True)
        ]
        return tokens.where(~hit, pd.DataFrame(replaced, tokens.index, tokens.columns))

    return Condition(
        name=f"corrupted({probability:g})",
        description=f"each token replaced, with probability {probability:g}, by another bin",
        stochastic=True,
        change=change,
        stream="corrupted",
    )


_CONSTANT: dict[str, Condition] = {
    condition.name: condition
    for condition in (
        Condition("none", "no token block: audio alone", False, _none, "none"),
        Condition("aligned", "the utterance's own tokens", False, _aligned, "aligned"),
        Condition(
            "shuffled",
            "another utterance's tokens (a derangement of the evaluated utterances)",
            True,
            _shuffled,
            "shuffled",
        ),
        Condition(
            "conflicting",
            "mirrored tokens: low and high swapped, the middle bin to a random extreme",
            True,
            _conflicting,
            "conflicting",
        ),
    )
}

_PARAMETERISED: dict[str, Callable[[float], Condition]] = {"corrupted": _corrupted}
