"""Conditions that replace tokens one by one: mirrored, at random, or all by the same word."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sercue.concepts import UNKNOWN
from sercue.errors import InputError, unknown
from sercue.interventions.condition import Condition
from sercue.interventions.material import Material


def conflicting() -> Condition:
    """Every token mirrored; the middle bin becomes either extreme, ``unknown`` stays."""
    return Condition(
        "conflicting",
        "mirrored tokens: low and high swapped, the middle bin to a random extreme",
        _mirrored,
        stochastic=True,
        remarks=lambda material: _unknown_remark(material.tokens, "stay so"),
    )


def flip(concepts: Sequence[str]) -> Condition:
    """The tokens of some concepts mirrored as by ``conflicting``, all others true.

    The random extremes are those of ``conflicting`` in the same replicate.

    Args:
        concepts: names of concepts, in the order of the columns
    """
    chosen = list(concepts)

    def change(material: Material, generator: np.random.Generator) -> pd.DataFrame:
        check_columns(material.tokens, chosen)
        mirrored = _mirrored(material, generator)
        return material.tokens.assign(**{name: mirrored[name] for name in chosen})

    return Condition(
        f"flip({' + '.join(chosen)})",
        f"{' and '.join(chosen)} mirrored, the other concepts true",
        change,
        stochastic=True,
        stream="conflicting",
        remarks=lambda material: _unknown_remark(material.tokens[chosen], "stay so"),
        family="flip",
        concepts=tuple(chosen),
    )


def corrupted(probability: float) -> Condition:
    """Each token replaced, with some probability, by any other bin, all equally likely.

    ``unknown`` is replaced like any other token, by any of the bins. What a smaller probability
    replaces, a larger one replaces in the same way; ``masked`` replaces the same tokens.

    Args:
        probability: of replacement, in [0, 1]
    """

    def change(material: Material, generator: np.random.Generator) -> pd.DataFrame:
        tokens = material.tokens
        hit = generator.random(tokens.shape) < probability
        draw = generator.random(tokens.shape)
        return tokens.where(~hit, _other_bins(tokens, material.words, draw))

    return Condition(
        f"corrupted({probability:g})",
        f"each token replaced, with probability {probability:g}, by another bin",
        change,
        stochastic=probability > 0,
        stream="replaced",
        remarks=lambda material: _unknown_remark(
            material.tokens, "are replaced like any other, by one of all bins"
        ),
        family="corrupted",
        dose=probability,
    )


def masked(probability: float) -> Condition:
    """Each token replaced, with some probability, by ``unknown``.

    A token that is unknown stays so: the share that changes is ``probability`` of the others.
    The tokens are those that ``corrupted`` with the same probability replaces.

    Args:
        probability: of replacement, in [0, 1]
    """

    def change(material: Material, generator: np.random.Generator) -> pd.DataFrame:
        hit = generator.random(material.tokens.shape) < probability
        return material.tokens.mask(hit, UNKNOWN)

    return Condition(
        f"masked({probability:g})",
        f"each token replaced, with probability {probability:g}, by {UNKNOWN!r}",
        change,
        stochastic=0 < probability < 1,
        stream="replaced",
        remarks=lambda material: _unknown_remark(material.tokens, "are so without being masked"),
        family="masked",
        dose=probability,
    )


def constant() -> Condition:
    """Every token the middle bin, ``unknown`` ones too: a block that tells nothing."""
    return Condition(
        "constant",
        "every token the middle bin: the cost of the mere presence of a token block",
        _constant,
        remarks=lambda material: _unknown_remark(material.tokens, "become the middle bin, too"),
    )


def check_columns(tokens: pd.DataFrame, concepts: Sequence[str]) -> None:
    """Raise an error that names the first concept without a column."""
    for concept in concepts:
        if concept not in tokens:
            raise unknown("concept", concept, tokens.columns)


def _mirrored(material: Material, generator: np.random.Generator) -> pd.DataFrame:
    tokens, words = material.tokens, list(material.words)
    extremes = generator.choice([words[0], words[-1]], size=tokens.shape)
    mirrored = tokens.replace(dict(zip(words, reversed(words), strict=True)))
    if len(words) % 2 == 0:
        return mirrored
    middle = tokens == words[len(words) // 2]
    return mirrored.mask(middle, pd.DataFrame(extremes, tokens.index, tokens.columns))


def _other_bins(tokens: pd.DataFrame, words: Sequence[str], draw: np.ndarray) -> pd.DataFrame:
    """A bin for each token that is not its own, from numbers drawn in [0, 1)."""
    number = len(words)
    level = tokens.apply(lambda column: column.map({word: n for n, word in enumerate(words)}))
    own = level.fillna(number).to_numpy(dtype=int)
    choices = np.where(own < number, number - 1, number)
    other = (draw * choices).astype(int)
    # Levels from the token's own upward move up by one, which skips that one.
    other += other >= own
    return pd.DataFrame(
        np.array(words, dtype=object)[other], index=tokens.index, columns=tokens.columns
    )


def _constant(material: Material, generator: np.random.Generator) -> pd.DataFrame:
    words, tokens = material.words, material.tokens
    if len(words) % 2 == 0:
        raise InputError(
            f"constant: found {len(words)} words, valid is an odd number: a middle one"
        )
    return pd.DataFrame(words[len(words) // 2], tokens.index, tokens.columns)


def _unknown_remark(tokens: pd.DataFrame, what: str) -> str:
    number = int((tokens == UNKNOWN).to_numpy().sum())
    return f"{number} of {tokens.size} tokens are {UNKNOWN!r} and {what}" if number else ""
