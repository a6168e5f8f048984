"""The closing sentences of notebook 05, from whatever tables the study allows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from sercue.results import sentences as say
from sercue.results.reasons import or_none
from sercue.statistics.controls import THIS_MODEL
from sercue.tables.findings import few_speakers, reliance_finding

if TYPE_CHECKING:
    from sercue.run import Run

_Sentences = Callable[["Run"], list[str]]


def conclusions(run: Run) -> list[str]:
    """What the tests of a study show and what they leave open, in plain English.

    What the study has no conditions for is left out: the sections above say why.

    Args:
        run: a finished run
    """
    sentences = [run.findings[0]]
    for part in _PARTS:
        sentences += or_none(partial(part, run)) or []
    return sentences


def _reliance(run: Run) -> list[str]:
    if run.reliance.empty:
        return []
    return [reliance_finding(run.reliance, run.settings.confidence)]


def _controls(run: Run) -> list[str]:
    if run.control_reliance.empty:
        return []
    return say.control_sentence(run.control_reliance, THIS_MODEL)


def _shapley(run: Run) -> list[str]:
    tables = run.concept_tables
    return say.shapley_sentence(tables["shapley"]) if "shapley" in tables else []


_PARTS: tuple[_Sentences, ...] = (
    lambda run: say.family_sentences(run.tests, run.equivalence),
    lambda run: say.detectable_sentence(run.detectable),
    lambda run: say.collapse_sentence(run.collapse),
    lambda run: say.dose_sentences(run.dose_trend),
    lambda run: say.split_sentence(run.split_gain),
    lambda run: say.template_sentence(run.gain_by_template),
    _reliance,
    _controls,
    _shapley,
    lambda run: few_speakers(run.tests),
)
