"""What a comparison shows, in sentences made from the numbers."""

from __future__ import annotations

from collections.abc import Mapping

from sercue.comparison.layout import number
from sercue.evaluated import EvaluatedRun
from sercue.findings import direction, without_width

_SIDES = {1: "lies above zero", 0: "lies on both sides of zero", -1: "lies below zero"}
_POINT = "has no width, and does not count,"


def gain_sentences(runs: Mapping[str, EvaluatedRun]) -> list[str]:
    """In how many studies aligned tokens raise UAR, as far as the intervals tell.

    Args:
        runs: as ``read_runs`` returns them
    """
    classes = {len(run.labels) for run in runs.values()}
    differ = " Studies differ in their number of classes: read each by its own chance."
    gains = {study: run.difference("aligned", "none") for study, run in runs.items()}
    known = {study: gain for study, gain in gains.items() if gain is not None}
    if not known:
        return ["No study has both UAR− (none) and UAR+ (aligned)."]
    sides: dict[str, list[str]] = {side: [] for side in (*_SIDES.values(), _POINT)}
    for study, (value, low, high) in known.items():
        side = _POINT if without_width(low, high) else _SIDES[direction(low, high)]
        sides[side].append(f"{study} {_signed(value, low, high)}")
    told = "; ".join(
        f"{side} for {len(names)} ({', '.join(names)})" for side, names in sides.items() if names
    )
    return [
        f"UAR+ − UAR−, what aligned tokens add to the audio alone: of {len(known)} "
        f"{'study' if len(known) == 1 else 'studies'} the interval {told}.",
        "Each interval is of one study, over its own speakers. No test here compares two studies: "
        "where they share speakers, intervals that overlap do not show that they are alike."
        + differ
        * (len(classes) > 1),
    ]


def notices(runs: Mapping[str, EvaluatedRun]) -> list[str]:
    """The fixture warning, once for all studies that it holds for.

    Args:
        runs: as ``read_runs`` returns them
    """
    told: dict[str, list[str]] = {}
    for study, run in runs.items():
        if run.notice is not None:
            told.setdefault(run.notice, []).append(study)
    return [f"{', '.join(studies)}: {notice}" for notice, studies in told.items()]


def _signed(value: float, low: float, high: float) -> str:
    told = [number(one, signed=True) for one in (value, low, high)]
    return "{} [{}, {}]".format(*told)
