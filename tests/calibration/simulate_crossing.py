"""Simulated studies in which audio is crossed with tokens, of a model that weighs both.

The utility of class k, for an utterance under a condition, is

    weight of audio, of the speaker, and ease of the sound, if k is the class that is heard
  + weight of tokens, of the speaker, if k is the class of the tokens
  + preference for the third class                           (one for all conditions)
  + what a block of tokens adds to the third class, whatever it says
  + leaning of the speaker towards k                         (one for all conditions)
  + leaning of the speaker towards k under the condition
  + Gumbel noise

and the answer is the class of the highest. What belongs to a speaker is that of whoever is heard,
in silence of whose utterance it is. Swapped audio is of another class, each as probable, and of the
same speaker if the speaker has it; the tokens are always those of the utterance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from speakers import Speakers, independent, spoken

#: Each with whether tokens are shown.
CONDITIONS = {
    f"{tokens}{heard}": tokens == "aligned"
    for heard in ("", " @ silent", " @ swapped")
    for tokens in ("none", "aligned")
}
_PREFERRED = 2


@dataclass(frozen=True, kw_only=True)
class CrossedDesign(Speakers):
    """What is simulated: speakers, and how the model weighs what it hears and reads.

    Attributes:
        weights: mean of those of audio and of tokens, on the log-odds of their class
        spread: standard deviation over speakers of each of the two
        preference: of the third class under all conditions, on the log-odds
        block: what a block of tokens adds to it
        leaning, leaning_condition, ease: standard deviations of the random effects
    """

    weights: tuple[float, float] = (1.5, 1.0)
    spread: tuple[float, float] = (0.5, 0.4)
    preference: float = 1.0
    block: float = 0.0
    leaning: float = 0.3
    leaning_condition: float = 0.2
    ease: float = 1.0


@dataclass(frozen=True)
class CrossedStudy:
    """One simulated study, speakers and classes as numbers.

    Attributes:
        speaker: of each utterance, shape (utterances,)
        truth: class of each utterance, and of its tokens, shape (utterances,)
        partner: which utterance is heard when audio is swapped, shape (utterances,)
        answer: shape (conditions, utterances)
        labels: the classes
    """

    speaker: np.ndarray
    truth: np.ndarray
    partner: np.ndarray
    answer: np.ndarray
    labels: tuple[str, ...]

    def predictions(self) -> pd.DataFrame:
        """The study as ``run_study`` would return it."""
        number, times = len(self.truth), len(CONDITIONS)
        silence = np.full(number, -1)
        source = {"": np.arange(number), "silent": silence, "swapped": self.partner}
        sources = np.concatenate([source[name.partition(" @ ")[2]] for name in CONDITIONS])

        def named(values: np.ndarray) -> pd.Categorical:
            return pd.Categorical.from_codes(values, list(self.labels))

        return pd.DataFrame(
            {
                "utterance": np.tile([f"u{place}" for place in range(number)], times),
                "speaker": np.tile([f"s{place:02d}" for place in self.speaker], times),
                "truth": named(np.tile(self.truth, times)),
                "condition": np.repeat(list(CONDITIONS), number),
                "heard_class": named(np.where(sources < 0, -1, self.truth[sources])),
                "audio": sources.astype(str),
                "prediction": named(self.answer.ravel()),
                "replicate": 0, "template": "plain", "label_order": 0, "decoding": "score",
                "valid": True,
            }
        )  # fmt: skip


def crossed(design: CrossedDesign, number: int, seed: int = 0) -> Iterator[CrossedStudy]:
    """Independent studies of a design."""
    return independent(partial(_draw, design), number, seed)


def true_effects(design: CrossedDesign, speakers: int = 100_000) -> dict[str, float]:
    """Effects and pulls over infinitely many speakers, by plain Monte Carlo.

    Sizes of speakers are independent of their effects, so that few utterances of each will do.
    """
    crowd = design.with_(speakers=speakers, utterances=3, size_spread=0.0)
    study = _draw(crowd, np.random.default_rng(0))
    right = study.answer == study.truth
    uar = np.mean([right[:, study.truth == k].mean(axis=1) for k in range(4)], axis=0)
    of = dict(zip(CONDITIONS, uar, strict=True))
    answer = dict(zip(CONDITIONS, study.answer, strict=True))
    swapped, own = answer["aligned @ swapped"], answer["aligned"]
    heard = study.truth[study.partner]
    audio = np.mean(swapped == heard) - np.mean(own == heard)
    tokens = np.mean(swapped == study.truth) - np.mean(own[study.partner] == study.truth)
    gain = {heard: of[f"aligned{heard}"] - of[f"none{heard}"] for heard in ("", " @ silent")}
    return {
        "loss without tokens": of["none"] - of["none @ silent"],
        "tokens": gain[" @ silent"],
        "interaction": gain[""] - gain[" @ silent"],
        "pull of audio": float(audio),
        "pull of tokens": float(tokens),
        "follow ratio": float(tokens / (audio + tokens)),
    }


def _draw(design: CrossedDesign, generator: np.random.Generator) -> CrossedStudy:
    classes, normal = len(design.labels), generator.standard_normal
    speaker, truth = spoken(design, generator)
    while len(np.unique(truth)) < classes:
        speaker, truth = spoken(design, generator)
    number = np.arange(len(truth))
    partner = _partners(speaker, truth, classes, generator)
    audio, tokens = (
        mean + spread * normal(design.speakers)
        for mean, spread in zip(design.weights, design.spread, strict=True)
    )
    lean = design.leaning * normal((design.speakers, classes))
    # A sound is as easy under all tokens, and a model that does not hear finds none easy.
    clear = audio[speaker] + design.ease * normal(len(truth)) * (design.weights[0] > 0)
    answers = []
    for name, shown in CONDITIONS.items():
        heard = name.partition(" @ ")[2]
        source = partner if heard == "swapped" else number
        utility = (lean + design.leaning_condition * normal(lean.shape))[speaker[source]]
        utility += generator.gumbel(size=utility.shape)
        utility[:, _PREFERRED] += design.preference + design.block * shown
        if heard != "silent":
            utility[number, truth[source]] += clear[source]
        if shown:
            utility[number, truth] += tokens[speaker[source]]
        answers.append(utility.argmax(axis=1))
    return CrossedStudy(speaker, truth, partner, np.array(answers), design.labels)


def _partners(
    speaker: np.ndarray, truth: np.ndarray, classes: int, generator: np.random.Generator
) -> np.ndarray:
    """For each utterance another one of a class drawn among the others."""
    wanted = (truth + generator.integers(1, classes, len(truth))) % classes
    drawn, partner = generator.random(len(truth)), np.empty(len(truth), dtype=int)
    for label in range(classes):
        # Utterances are sorted by speaker.
        these, asking = np.flatnonzero(truth == label), np.flatnonzero(wanted == label)
        first, last = (
            np.searchsorted(speaker[these], speaker[asking], side) for side in ("left", "right")
        )
        first, number = (
            np.where(first < last, first, 0),
            np.where(first < last, last - first, len(these)),
        )
        partner[asking] = these[first + (drawn[asking] * number).astype(int)]
    return partner
