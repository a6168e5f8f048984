"""Recordings that are longer than a model takes, heard window by window."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from sercue.errors import InputError
from sercue.models.cards import Answers, Audios, NoAnswer, Prompts
from sercue.options import Options

if TYPE_CHECKING:
    from sercue.models.registry import AudioLanguageModel

#: Between the answers to the windows of one utterance.
BETWEEN_ANSWERS = " | "

_Answer = TypeVar("_Answer")


class LongAudioOptions(Options):
    """What checkpoints and endpoints take alike.

    Attributes:
        long_audio: ``"refuse"`` (recordings that are too long are an error) or ``"windows"`` (see
            ``Windowed``)
    """

    long_audio: Literal["refuse", "windows"] = "refuse"


class Windowed:
    """A model that takes recordings of any length, by asking about each window of a long one.

    A recording that the model takes whole is asked about once, as without windows. A longer one
    is split into as few windows as will do, all of the same length. Each prompt is asked of each
    window:

    - ``score``: a label's log-likelihood is its mean over the windows, that is, the logarithm of
      the geometric mean of the likelihoods. A window counts as much as any other.
    - ``generate``: the windows' answers are joined by " | ", so that windows which disagree name
      two labels. Such an answer is invalid, and is counted so: no window outvotes another.

    Args:
        model: what answers; its ``max_seconds`` is the length of the longest window

    Attributes:
        name: that of the model
        dtype: precision of the model's weights
        max_seconds: infinite; no recording is too long

    Raises:
        InputError: on a call, if the model's longest recording is shorter than a sample
    """

    max_seconds = math.inf

    def __init__(self, model: AudioLanguageModel) -> None:
        self.model, self.name, self.dtype = model, model.name, model.dtype

    def __repr__(self) -> str:
        return f"Windowed({self.model!r})"

    @property
    def identity(self) -> str:
        """That of the model, and that it hears windows: answers about long recordings differ."""
        return f"{self.model.identity}+windows"

    @property
    def sampling_rate(self) -> int:
        """Samples a second that ``score`` and ``generate`` expect."""
        return self.model.sampling_rate

    @property
    def device(self) -> str:
        """Where the model runs."""
        return self.model.device

    @property
    def batch_size(self) -> int:
        """That of the model; each window counts as an utterance."""
        return self.model.batch_size

    def check(self) -> None:
        """Raise ``InputError`` if the model cannot be had."""
        self.model.check()

    def facts(self) -> dict[str, str]:
        """Those of the model, and what is done with long recordings."""
        longest = f"{self.model.max_seconds:g} s"
        return self.model.facts() | {
            "identity": self.identity,
            "longest recording": f"any: beyond {longest} it is heard in windows of equal length",
            "windows": "scores are means over the windows of log-likelihoods; answers of windows "
            "that disagree are invalid",
        }

    def score(self, audios: Audios, prompts: Prompts, labels: Sequence[str]) -> list[np.ndarray]:
        """Log-likelihood of each label's words, averaged over the windows of each utterance.

        Args:
            audios: float32 arrays (samples,) at ``sampling_rate``, of any length
            prompts: the texts asked of each utterance
            labels: the words of each label

        Returns:
            one array (prompts of that utterance, labels) an utterance, in nats
        """
        windows = [self._windows(audio) for audio in audios]
        scores = self.model.score(*_asked(windows, prompts), labels)
        return [np.mean(own, axis=0) for own in _regrouped(scores, windows)]

    def generate(self, audios: Audios, prompts: Prompts, max_new_tokens: int = 8) -> Answers:
        """The answers to the windows of each utterance, joined by " | ".

        Args:
            audios: float32 arrays (samples,) at ``sampling_rate``, of any length
            prompts: the texts asked of each utterance
            max_new_tokens: most tokens of the answer to one window

        Returns:
            one answer per prompt, for each utterance; none where a window got none
        """
        windows = [self._windows(audio) for audio in audios]
        answers = self.model.generate(*_asked(windows, prompts), max_new_tokens)
        return [
            [_joined(heard) for heard in zip(*own, strict=True)]
            for own in _regrouped(answers, windows)
        ]

    def _windows(self, audio: np.ndarray) -> list[np.ndarray]:
        samples, limit = np.asarray(audio), self.model.max_seconds * self.sampling_rate
        if limit < 1:
            raise InputError(
                f"max_seconds: {self.name} takes {self.model.max_seconds:g} s, less than a sample"
            )
        whole = samples.size <= limit
        return [samples] if whole else split_evenly(samples, math.floor(limit))


def split_evenly(samples: np.ndarray, longest: int) -> list[np.ndarray]:
    """The fewest contiguous windows that hold every sample once, as equal in length as can be.

    Args:
        samples: array (samples,)
        longest: most samples of a window, 1 or more

    Returns:
        the windows in their order; lengths differ by one sample at most

    Examples:
        >>> [window.tolist() for window in split_evenly(np.arange(7), 3)]
        [[0, 1, 2], [3, 4], [5, 6]]
    """
    return np.array_split(samples, -(-samples.size // longest) or 1)


def _joined(answers: Sequence[str | NoAnswer]) -> str | NoAnswer:
    lacking = [answer for answer in answers if isinstance(answer, NoAnswer)]
    return lacking[0] if lacking else BETWEEN_ANSWERS.join(map(str, answers))


def _asked(
    windows: Sequence[Sequence[np.ndarray]], prompts: Sequence[Sequence[str]]
) -> tuple[list[np.ndarray], list[Sequence[str]]]:
    """All windows as if each were an utterance, so that the model's batches are full."""
    pairs = list(zip(windows, prompts, strict=True))
    audios = [window for own, _ in pairs for window in own]
    return audios, [texts for own, texts in pairs for _ in own]


def _regrouped(
    answers: Sequence[_Answer], windows: Sequence[Sequence[Any]]
) -> Iterator[list[_Answer]]:
    """The answers of each utterance's windows, in order."""
    rest = iter(answers)
    return (list(islice(rest, len(own))) for own in windows)
