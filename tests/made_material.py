"""Made-up material for tests: of the conditions, and a corpus of confounded speakers."""

from dataclasses import replace
from itertools import combinations

import audformat
import numpy as np
import pandas as pd

from sercue.corpora.corpus import example_corpus
from sercue.corpora.rows import speaker_partition
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


def confounded_corpus(crossed=3, seed=0):
    """29 speakers of uneven size, 100 utterances of each of four classes; most have one class.

    Whoever has utterances of a class has two or more.

    Args:
        crossed: how many speakers, at most, have utterances of every class
        seed: of who says what, and of the partitions
    """
    rng = np.random.default_rng(seed)
    size, only = rng.lognormal(0, 0.8, 29), np.arange(29) % 4
    only[:crossed] = -1
    labels = ("angry", "happy", "neutral", "sad")
    speakers = []
    for number in range(4):
        weight = size * ((only == number) | (only == -1))
        twice = np.repeat(np.flatnonzero(weight), 2)
        more = rng.choice(29, 100 - len(twice), p=weight / weight.sum())
        speakers += [*twice, *more]
    index = audformat.segmented_index([f"{n:03}.wav" for n in range(400)])
    table = pd.DataFrame({"emotion": np.repeat(labels, 100)}, index).astype(object)
    table["speaker"] = [f"s{number:02}" for number in speakers]
    table["partition"] = speaker_partition(table["speaker"], table["emotion"], seed=seed)
    return replace(example_corpus(), table=table, labels=labels)


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
