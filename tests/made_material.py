"""Made-up material for tests of the conditions."""

from itertools import combinations

import numpy as np
import pandas as pd

from sercue.tokens.concepts import WORDS
from sercue.tokens.condition import Material

CONCEPTS = ["ENERGY", "PITCH", "BRIGHTNESS", "DYNAMICS", "FORMANTS", "VOICE_QUALITY"]
ALL = [
    "none", "aligned", "shuffled", "shuffled_within_class", "shuffled_within_speaker",
    "conflicting", "counter_emotion", "constant", "corrupted(0.3)", "corrupted(1)",
    "replaced(0.3)", "replaced(1)", "masked(0.3)",
    "masked(1)", "only(ENERGY)", "only(PITCH + VOICE_QUALITY)", "without(FORMANTS)",
    "without(ENERGY + DYNAMICS)", "flip(BRIGHTNESS)", "flip(PITCH + VOICE_QUALITY)",
]  # fmt: skip
SUBSETS = [
    "masked(1)",
    *(f"only({' + '.join(some)})" for size in range(1, 6) for some in combinations(CONCEPTS, size)),
    "aligned",
]


def random_tokens(rows, seed=0, words=WORDS[3], unknown=0.1):
    generator = np.random.default_rng(seed)
    table = generator.choice(words, size=(rows, len(CONCEPTS))).astype(object)
    table[generator.random(table.shape) < unknown] = "unknown"
    return pd.DataFrame(table, [f"u{i:03}" for i in range(rows)], CONCEPTS)


def random_material(rows, seed=0, words=WORDS[3], folds=False):
    """Three classes and speakers of random size, the first two utterances alike in both."""
    evaluated = _described(random_tokens(rows, seed, words), words, seed, folds)
    training = random_tokens(20, seed + 1, words).rename(index=lambda name: f"train {name}")
    given = _described(training, words, seed + 1, folds)
    return Material(**_fields(evaluated), training=given)


def numbered_material(emotions, speakers=None, training=None):
    """Utterances of which each has a word of its own, so that it shows whose tokens are shown."""
    index = [f"u{i:03}" for i in range(len(emotions))]
    words = [f"token {name}" for name in index]
    trained = [] if training is None else training.words["ENERGY"].each
    return Material(
        tokens=pd.DataFrame({"ENERGY": words, "PITCH": words}, index, dtype=object),
        words=[*words, *trained],
        emotions=pd.Series(emotions, index, name="emotion"),
        speakers=pd.Series(speakers or emotions, index, name="speaker"),
        training=training,
    )


def training_material(emotions, words, folds=None, speakers=None):
    """Training utterances whose tokens are given, one word each."""
    index = [f"t{i:03}" for i in range(len(emotions))]
    return Material(
        tokens=pd.DataFrame({"ENERGY": words, "PITCH": words}, index, dtype=object),
        words=sorted(set(words)),
        emotions=pd.Series(emotions, index, name="emotion"),
        speakers=pd.Series(speakers or ["trained"] * len(emotions), index, name="speaker"),
        folds=None if folds is None else pd.Series(folds, index, name="fold"),
    )


def reordered(material, order, training_order):
    """The same material with its rows in another order."""
    changed = material.take(np.array(order))
    training = material.training.take(np.array(training_order))
    return Material(**_fields(changed), training=training)


def _described(tokens, words, seed, folds):
    generator = np.random.default_rng(seed)
    drawn = {
        "emotions": generator.choice(["angry", "neutral", "sad"], len(tokens)),
        "speakers": generator.choice(["a", "b", "c"], len(tokens)),
        "folds": np.resize(["1", "2"], len(tokens)),
    }
    for values in drawn.values():
        values[1] = values[0]
    drawn["emotions"][-1] = "sad" if drawn["emotions"][0] != "sad" else "angry"
    if not folds:
        del drawn["folds"]
    series = {name: pd.Series(values, tokens.index) for name, values in drawn.items()}
    return Material(tokens, words, **series)


def _fields(material):
    names = ("tokens", "words", "emotions", "speakers", "folds")
    return {name: getattr(material, name) for name in names}
