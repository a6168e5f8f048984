"""What conditions do to tokens: replace them, hide concepts, exchange whole utterances."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd

from sercue.errors import InputError, refuse_unknown
from sercue.notation import shortest
from sercue.tokens.concepts import UNKNOWN, Words
from sercue.tokens.condition import DONORS, Condition, Material
from sercue.tokens.prompts import FORMS


def conflicting() -> Condition:
    """Every token replaced by its opposite in the scheme; one that has none, ``unknown``, stays.

    It is random where the scheme gives a word several opposites.
    """
    return Condition(
        "conflicting",
        "the opposite of each token, as the scheme has it: low for high, high for low",
        _mirrored,
        stochastic=lambda words: _several_opposites(words.values()),
        remarks=lambda material: _remark(material, [*material.words], "stay so"),
    )


def flip(concepts: Sequence[str]) -> Condition:
    """The tokens of some concepts replaced as by ``conflicting``, all others true.

    What is drawn at random is what ``conflicting`` draws in the same replicate.

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
        f"{' and '.join(chosen)} replaced by the opposite, the other concepts true",
        change,
        stochastic=lambda words: _several_opposites(words[concept] for concept in chosen),
        stream="conflicting",
        remarks=lambda material: _remark(material, chosen, "stay so"),
        family="flip",
        concepts=tuple(chosen),
    )


def corrupted(probability: float) -> Condition:
    """Each token replaced, with some probability, by any word of its concept, its own included.

    All words are equally likely, so that tokens are random at 1. ``unknown`` is replaced like any
    other token. What a smaller probability replaces, a larger one replaces in the same way;
    ``replaced`` and ``masked`` replace the same tokens.

    Args:
        probability: of replacement, in [0, 1]
    """
    return _replacing(
        "corrupted", probability, "any word of its concept, its own included", _any_words
    )


def replaced(probability: float) -> Condition:
    """Each token replaced, with some probability, by any other word of its concept.

    All others are equally likely, so that at 1 no token is the utterance's own: such tokens tell
    what an utterance is not. ``unknown`` is replaced like any other token, by any of the words.

    Args:
        probability: of replacement, in [0, 1]
    """
    return _replacing("replaced", probability, "another word of its concept", _other_words)


def _replacing(
    family: str,
    probability: float,
    what: str,
    drawn: Callable[[pd.Series, Words, np.ndarray], np.ndarray],
) -> Condition:
    def change(material: Material, generator: np.random.Generator) -> pd.DataFrame:
        tokens = material.tokens
        hit = generator.random(tokens.shape) < probability
        draw = generator.random(tokens.shape)
        columns = {
            concept: np.where(
                hit[:, place], drawn(tokens[concept], words, draw[:, place]), tokens[concept]
            )
            for place, (concept, words) in enumerate(material.words.items())
        }
        return pd.DataFrame(columns, tokens.index, dtype=object)

    return Condition(
        f"{family}({probability:g})",
        f"each token replaced, with probability {shortest(probability)}, by {what}",
        change,
        stochastic=probability > 0,
        stream="replaced",
        remarks=lambda material: _remark(
            material, [*material.words], "are replaced like any other"
        ),
        family=family,
        dose=probability,
    )


def masked(probability: float) -> Condition:
    """Each token replaced, with some probability, by ``unknown``.

    A token that is unknown stays so: the share that changes is ``probability`` of the others.
    The tokens are those that ``corrupted`` and ``replaced`` with the same probability replace.

    Args:
        probability: of replacement, in [0, 1]
    """

    def change(material: Material, generator: np.random.Generator) -> pd.DataFrame:
        hit = generator.random(material.tokens.shape) < probability
        return material.tokens.mask(hit, UNKNOWN)

    return Condition(
        f"masked({probability:g})",
        f"each token replaced, with probability {shortest(probability)}, by {UNKNOWN!r}",
        change,
        stochastic=0 < probability < 1,
        stream="replaced",
        remarks=lambda material: _remark(
            material, [*material.words], "are so without being masked", undrawn=False
        ),
        family="masked",
        dose=probability,
    )


def constant() -> Condition:
    """Every token replaced by the middle word, or the plain one of a nominal concept.

    The block has no content. ``unknown`` tokens are replaced, too.
    """
    return Condition(
        "constant",
        "every token the middle word, or the plain one of a nominal concept: the same for all "
        "utterances",
        _constant,
        remarks=lambda material: _remark(
            material, [*material.words], "become the middle or plain word, too"
        ),
    )


def check_columns(tokens: pd.DataFrame, concepts: Sequence[str]) -> None:
    """Raise an error that names the first concept without a column."""
    refuse_unknown("concept", concepts, tokens.columns)


def _mirrored(material: Material, generator: np.random.Generator) -> pd.DataFrame:
    tokens = material.tokens
    draw = generator.random(tokens.shape)
    columns = {}
    for place, (concept, words) in enumerate(material.words.items()):
        own = tokens[concept]
        options = [words.opposites.get(word, (word,)) for word in own]
        columns[concept] = [
            some[int(number * len(some))]
            for some, number in zip(options, draw[:, place], strict=True)
        ]
    return pd.DataFrame(columns, tokens.index, dtype=object)


def _several_opposites(words: Iterable[Words]) -> bool:
    """Whether ``conflicting`` has a choice for some word of these concepts."""
    return any(len(some) > 1 for of_concept in words for some in of_concept.opposites.values())


def _any_words(own: pd.Series, words: Words, draw: np.ndarray) -> np.ndarray:
    """A word for each token, from numbers drawn in [0, 1)."""
    return np.array(words.each, dtype=object)[(draw * len(words.each)).astype(int)]


def _other_words(own: pd.Series, words: Words, draw: np.ndarray) -> np.ndarray:
    """A word for each token that is not its own, from numbers drawn in [0, 1)."""
    number = len(words.each)
    place = {word: n for n, word in enumerate(words.each)}
    level = own.map(place).fillna(number).to_numpy(dtype=int)
    other = (draw * np.where(level < number, number - 1, number)).astype(int)
    # Places from the token's own upward move up by one, which skips that one.
    other += other >= level
    return np.array(words.each, dtype=object)[other]


def _constant(material: Material, generator: np.random.Generator) -> pd.DataFrame:
    for concept, words in material.words.items():
        if words.plain is None:
            raise InputError(
                f"constant: found {len(words.each)} words of concept {concept!r}, valid is an odd "
                "number: a middle one"
            )
    plain = {concept: words.plain for concept, words in material.words.items()}
    return pd.DataFrame(plain, material.tokens.index, dtype=object)


def _remark(material: Material, concepts: Sequence[str], what: str, *, undrawn: bool = True) -> str:
    """How many tokens are outside the words that a perturbation draws, and what becomes of them."""
    tokens = material.tokens[list(concepts)]
    outside = {UNKNOWN}.union(*(material.words[c].undrawn for c in concepts if undrawn))
    found = tokens.isin(list(outside)).to_numpy()
    if not found.any():
        return ""
    present = [word for word in sorted(outside) if (tokens == word).to_numpy().any()]
    named = " or ".join(map(repr, present))
    return f"{found.sum()} of {tokens.size} tokens are {named} and {what}"


def only(concepts: Sequence[str]) -> Condition:
    """The true tokens of some concepts; all others show ``unknown``.

    The block names every concept, so that it has the same shape whatever it tells. With no concept
    at all it would be that of ``masked(1)``.

    Args:
        concepts: names of concepts, in the order of the columns
    """
    listed = " and ".join(concepts)
    shown = f"the true tokens of {listed}, and {UNKNOWN!r} for the other concepts"
    return _hiding("only", concepts, shown, hides=False)


def without(concepts: Sequence[str]) -> Condition:
    """``unknown`` for some concepts; all others show their true tokens.

    Args:
        concepts: names of concepts, in the order of the columns
    """
    listed = " and ".join(concepts)
    shown = f"{UNKNOWN!r} for {listed}, and the true tokens of the other concepts"
    return _hiding("without", concepts, shown, hides=True)


def _hiding(family: str, concepts: Sequence[str], description: str, *, hides: bool) -> Condition:
    chosen = list(concepts)

    def change(material: Material, generator: np.random.Generator) -> pd.DataFrame:
        check_columns(material.tokens, chosen)
        hidden = material.tokens.columns.isin(chosen) == hides
        return material.tokens.mask(np.tile(hidden, (len(material.tokens), 1)), UNKNOWN)

    return Condition(
        f"{family}({' + '.join(chosen)})",
        description,
        change,
        family=family,
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


def aligned() -> Condition:
    """Every utterance is shown its own tokens."""
    return Condition("aligned", "the utterance's own tokens", _own)


def _own(material: Material, generator: np.random.Generator) -> pd.DataFrame:
    return _of_donors(material.tokens.copy(deep=False), _classes(material))


def in_form(form: str) -> Condition:
    """Every utterance is shown its own tokens, but the block has another form.

    In ``numbers`` the word of an ordinal concept is its score; nominal concepts keep their word.

    Args:
        form: one of ``FORMS``
    """
    change = _scored if form == "numbers" else _own
    return Condition(form, FORMS[form].description, change, form=form)


def _scored(material: Material, generator: np.random.Generator) -> pd.DataFrame:
    scores = material.known("scores")
    written = scores.map(
        lambda score: UNKNOWN if np.isnan(score) else f"{round(score, 1) + 0.0:+.1f} SD"
    )
    return _of_donors(material.tokens.assign(**written), _classes(material))


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
        classes = _classes(material)
        shown, told = material.tokens.to_numpy()[np.maximum(order, 0)], classes[order]
        alone = np.flatnonzero(order < 0)
        for position, donors in _same_group_in_training(material, group, alone).items():
            others = material.training
            if others is None or not len(donors):
                donors, others = np.delete(np.arange(len(shown)), position), material
            drawn = donors[generator.integers(len(donors))]
            shown[position], told[position] = others.tokens.iloc[drawn], _classes(others)[drawn]
        tokens = pd.DataFrame(shown, material.tokens.index, material.tokens.columns)
        return _of_donors(tokens, told)

    return Condition(
        name,
        f"the tokens of another utterance of the same {word} (a derangement within each {word})",
        change,
        stochastic=True,
        remarks=lambda material: _alone_remark(material, group, word),
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
    shown = material.tokens.iloc[order].set_axis(material.tokens.index)
    return _of_donors(shown, _classes(material)[order])


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
    """Places of the training utterances of the same group, for some of the utterances."""
    donors = {int(position): np.empty(0, int) for position in positions}
    if material.training is None or not len(positions):
        return donors
    own, training = material.known(group).to_numpy(), material.training
    groups = training.known(group).to_numpy()
    # Where training utterances are evaluated, an utterance must not be its own donor.
    others = ~training.tokens.index.isin(material.tokens.index)
    for fold, rows in material.fold_rows():
        usable = others if fold is None else others & (training.known("folds") != fold).to_numpy()
        donors |= {
            int(p): np.flatnonzero(usable & (groups == own[p])) for p in positions if p in rows
        }
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
    told = np.empty(len(shown), dtype=object)
    for fold, positions in material.fold_rows():
        training = material.training_for(fold)
        rows, classes = training.tokens.to_numpy(), _classes(training)
        members = _members(training.known("emotions"))
        for position in positions:
            others = [members[name] for name in members if name != emotions[position]]
            if not others:
                raise InputError(
                    "counter_emotion: found no training utterance of another class than "
                    f"{emotions[position]!r}; valid are training utterances of two classes or more"
                )
            drawn = others[generator.integers(len(others))]
            donor = drawn[generator.integers(len(drawn))]
            shown[position], told[position] = rows[donor], classes[donor]
    return _of_donors(pd.DataFrame(shown, material.tokens.index, material.tokens.columns), told)


def _classes(material: Material) -> np.ndarray:
    """The class of each utterance, ``None`` where classes are not known."""
    if material.emotions is None:
        return np.full(len(material.tokens), None)
    return material.emotions.to_numpy(object)


def _of_donors(shown: pd.DataFrame, classes: np.ndarray) -> pd.DataFrame:
    """The tokens with the classes of those utterances whose tokens they are."""
    shown.attrs[DONORS] = tuple(classes)
    return shown
