"""Whom does the model believe: its ear, or the tokens? And which of the six?"""

from sercue.reliance.attribution import concept_effects, shapley, subset_conditions
from sercue.reliance.evidence import label_evidence
from sercue.reliance.shares import RESPONSES, example_evidence, reliance

__all__ = [
    "RESPONSES",
    "concept_effects",
    "example_evidence",
    "label_evidence",
    "reliance",
    "shapley",
    "subset_conditions",
]
