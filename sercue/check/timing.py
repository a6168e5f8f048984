"""How long a study will take, from a few utterances that its model is asked about as it will be."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sercue.audio import read_utterance
from sercue.check.durations import duration
from sercue.check.model import first_model, why_not_at_hand
from sercue.check.rehearsal import Rehearsal, spread
from sercue.parts import part_files, read_part

# What the sample may take; a model that would take longer over one utterance is asked some of
# its prompts.
_BUDGET = 60.0
_FEW_PROMPTS = 16
_WORTH_REPEATING = 5.0


def check_time(study: Rehearsal, run: Path) -> str:
    """Ask the model about some utterances, spread over the lengths there are, and scale up.

    The model is asked as the study does: all different prompts of several utterances in one call.
    A first call, which loads the weights and tries the model, is not timed.

    Args:
        study: the study
        run: the folder of the run, where an earlier one may have left answers

    Returns:
        the time of the study's answers, or why it was not measured

    Raises:
        InputError: whatever the model refuses
        ServerError: if its server stops answering
    """
    reason = why_not_at_hand(study)
    if reason:
        return f"not measured: {reason}"
    trial = _Trial(study)
    seconds, measured_on = _measured(trial)
    return (
        f"about {duration(seconds * study.evaluated)} for all answers: {duration(seconds)} an "
        f"utterance of {trial.prompts:.0f} prompts, measured on {measured_on}{_stored(study, run)}"
    )


def _stored(study: Rehearsal, run: Path) -> str:
    """What an earlier run answered; which of it still holds, the run finds out."""
    folder = run / "artifacts" / "predictions"
    parts = (read_part(file, ["utterance"]) for file in part_files(folder))
    rows = sum(len(part) for part in parts if part is not None)
    if not rows:
        return ""
    return f"; {rows} of {study.planned} are stored, and only what changed since is asked again"


def _measured(trial: _Trial) -> tuple[float, str]:
    """Seconds an utterance, and what was asked to find out."""
    middle = spread(trial.rows, 1)
    trial.seconds(middle, most=1)
    few = trial.seconds(middle, most=_FEW_PROMPTS)
    # More than it will be: the more prompts, the more of them share what they begin with.
    whole = few * max(1.0, trial.prompts / _FEW_PROMPTS)
    if whole > _BUDGET:
        return whole, f"{min(_FEW_PROMPTS, round(trial.prompts))} prompts of one utterance"
    sample = spread(trial.rows, min(trial.at_once, max(2, int(_BUDGET / whole))))
    seconds = trial.seconds(sample)
    if seconds < _WORTH_REPEATING:
        # Memory that a device gives for the first time takes it longer.
        seconds = min(seconds, trial.seconds(sample))
    return seconds / len(sample), f"{len(sample)} utterances"


class _Trial:
    """The model of a study, and the prompts of some utterances.

    Attributes:
        rows: the utterances, from the shortest to the longest
        prompts: different ones of an utterance, on average
        at_once: how many utterances the study hands over in one call
    """

    def __init__(self, study: Rehearsal) -> None:
        self._study = study
        self._model: Any = first_model(study)
        different = study.every_prompt.drop_duplicates(["row", "prompt"])
        self._texts = different.groupby("row")["text"].agg(list)
        lengths = study.lengths_of_sample.to_numpy()
        rows = self._texts.index.to_numpy()
        self.rows: np.ndarray = rows[np.argsort(lengths[rows], kind="stable")]
        self.prompts = len(different) / len(self.rows)
        self.at_once = 2 * study.settings.batch_size

    def seconds(self, rows: Sequence[int] | np.ndarray, most: int | None = None) -> float:
        """How long it takes to read some utterances and to answer their prompts, in seconds.

        Args:
            rows: which utterances
            most: how many prompts each, evenly spread; all by default
        """
        s, index = self._study.settings, self._study.sampled.table.index
        texts = [self._texts[row] for row in rows]
        if most is not None:
            texts = [list(spread(np.array(own, dtype=object), most)) for own in texts]
        begun = time.perf_counter()
        audios = [
            read_utterance(self._study.corpus, index[row], self._model.sampling_rate)
            for row in rows
        ]
        if s.decoding == "score":
            self._model.score(audios, texts, list(self._study.label_words.values()))
        else:
            self._model.generate(audios, texts, s.max_new_tokens)
        return time.perf_counter() - begun
