"""What conditions do to tokens: replace them, take concepts out, exchange whole utterances."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sercue.errors import InputError, unknown
from sercue.tokens.concepts import CONCEPTS, UNKNOWN
from sercue.tokens.condition import Condition, Material


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
        "every token the middle bin: the effect of a token block without information",
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


#: The names of the six concepts, in their order.
CONCEPT_NAMES = tuple(concept.name for concept in CONCEPTS)


def only(concepts: Sequence[str]) -> Condition:
    """The true tokens of some concepts; the prompt does not name the others.

    Args:
        concepts: names of concepts, in the order of the columns
    """
    chosen = list(concepts)

    def change(material: Material, generator: np.random.Generator) -> pd.DataFrame:
        check_columns(material.tokens, chosen)
        return material.tokens[[name for name in material.tokens if name in chosen]]

    listed = " and ".join(chosen)
    return Condition(
        f"only({' + '.join(chosen)})",
        f"the true tokens of {listed} alone",
        change,
        family="only",
        concepts=tuple(chosen),
    )


def without(concepts: Sequence[str]) -> Condition:
    """The true tokens of all concepts but some, which the prompt does not name.

    Args:
        concepts: names of concepts, in the order of the columns
    """
    chosen = list(concepts)

    def change(material: Material, generator: np.random.Generator) -> pd.DataFrame:
        check_columns(material.tokens, chosen)
        return material.tokens.drop(columns=chosen)

    listed = " and ".join(chosen)
    return Condition(
        f"without({' + '.join(chosen)})",
        f"all true tokens except {listed}",
        change,
        family="without",
        concepts=tuple(chosen),
    )


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


def shuffled() -> Condition:
    """Every utterance is shown the tokens of another one: a derangement of all."""
    return Condition(
        "shuffled",
        "another utterance's tokens (a derangement of the evaluated utterances)",
        _shuffled,
        stochastic=True,
    )


def shuffled_within(name: str, group: str, word: str) -> Condition:
    """Every utterance is shown the tokens of another one of its class, or of its speaker.

    An utterance that is alone in its group cannot be deranged. It is neither left out, since all
    conditions must hold the same utterances to be paired, nor shown its own tokens, since that is
    ``aligned``. It is shown those of a random training utterance of the same group (so a class of
    one keeps its label information), or where there is none, those of a random other evaluated
    utterance. ``remarks`` counts these utterances.

    Args:
        name: of the condition
        group: ``"emotions"`` or ``"speakers"``
        word: what one such group is called
    """

    def change(material: Material, generator: np.random.Generator) -> pd.DataFrame:
        order = _deranged_within(name, material.known(group), generator)
        shown = material.tokens.to_numpy()[np.maximum(order, 0)]
        alone = np.flatnonzero(order < 0)
        for position, donors in _same_group_in_training(material, group, alone).items():
            if not len(donors):
                donors = np.delete(material.tokens.to_numpy(), position, axis=0)
            shown[position] = donors[generator.integers(len(donors))]
        return pd.DataFrame(shown, material.tokens.index, material.tokens.columns)

    def remarks(material: Material) -> str:
        return _alone_remark(material, group, word)

    return Condition(
        name,
        f"the tokens of another utterance of the same {word} (a derangement within each {word})",
        change,
        stochastic=True,
        remarks=remarks,
    )


def counter_emotion() -> Condition:
    """Every utterance is shown the tokens of a training utterance of another class.

    First one of the other classes is drawn, all with the same probability, then one of its
    training utterances: were utterances drawn at once, a large class would be shown to all
    others. In a cross-validated corpus the training utterances are those of all other folds,
    and their tokens are by the thresholds of their own folds.
    """
    return Condition(
        "counter_emotion",
        "the tokens of a training utterance of another class, drawn at random",
        _counter_emotion,
        stochastic=True,
    )


def _shuffled(material: Material, generator: np.random.Generator) -> pd.DataFrame:
    order = derangement(len(material.tokens), generator)
    return material.tokens.iloc[order].set_axis(material.tokens.index)


def _deranged_within(name: str, groups: pd.Series, generator: np.random.Generator) -> np.ndarray:
    """For each position another one of its group, or -1 if there is none."""
    members = _members(groups)
    if all(len(positions) < 2 for positions in members.values()):
        raise InputError(
            f"{name}: found {len(groups)} utterances in {len(members)} {groups.name or 'groups'}; "
            "valid is at least one with two utterances"
        )
    order = np.full(len(groups), -1)
    for positions in members.values():
        if len(positions) > 1:
            order[positions] = positions[derangement(len(positions), generator)]
    return order


def _members(groups: pd.Series) -> dict[str, np.ndarray]:
    """The positions of each group, the groups sorted by name."""
    values = groups.to_numpy()
    return {name: np.flatnonzero(values == name) for name in sorted(set(values))}


def _same_group_in_training(
    material: Material, group: str, positions: np.ndarray
) -> dict[int, np.ndarray]:
    """Tokens of the training utterances of the same group, for some of the utterances."""
    donors = {int(position): material.tokens.to_numpy()[:0] for position in positions}
    if material.training is None or not len(positions):
        return donors
    own = material.known(group).to_numpy()
    for fold, rows in material.fold_rows():
        training = material.training_for(fold)
        # Where training utterances are evaluated, an utterance must not be its own donor.
        training = training.take(np.flatnonzero(~training.tokens.index.isin(material.tokens.index)))
        tokens, groups = training.tokens.to_numpy(), training.known(group).to_numpy()
        donors |= {int(p): tokens[groups == own[p]] for p in positions if p in rows}
    return donors


def _alone_remark(material: Material, group: str, word: str) -> str:
    groups = material.known(group)
    alone = np.flatnonzero(~groups.duplicated(keep=False))
    if not len(alone):
        return ""
    donors = _same_group_in_training(material, group, alone)
    trained = sum(len(tokens) > 0 for tokens in donors.values())
    sources = {
        f"a training utterance of the same {word}": trained,
        f"an evaluated utterance of another {word}": len(alone) - trained,
    }
    told = " and ".join(f"{number} by {source}" for source, number in sources.items() if number)
    return (
        f"{len(alone)} of {len(groups)} utterances are alone in their {word} and cannot be "
        f"exchanged within it; their tokens are replaced by those of others: {told}"
    )


def _counter_emotion(material: Material, generator: np.random.Generator) -> pd.DataFrame:
    emotions = material.known("emotions").to_numpy()
    shown = np.empty(material.tokens.shape, dtype=object)
    for fold, positions in material.fold_rows():
        training = material.training_for(fold)
        rows, members = training.tokens.to_numpy(), _members(training.known("emotions"))
        for position in positions:
            others = [members[name] for name in members if name != emotions[position]]
            if not others:
                raise InputError(
                    "counter_emotion: found no training utterance of another class than "
                    f"{emotions[position]!r}; valid are training utterances of two classes or more"
                )
            drawn = others[generator.integers(len(others))]
            shown[position] = rows[drawn[generator.integers(len(drawn))]]
    return pd.DataFrame(shown, material.tokens.index, material.tokens.columns)
