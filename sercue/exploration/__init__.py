"""What the features say of a corpus, before anything is asked of a model.

Effects of emotion with false-discovery control, how much of a feature is speaker and how much
emotion, what repeats what, what is missing and why, and whether Praat measures the same.
"""

from sercue.exploration.effects import emotion_effects, pairwise_effects
from sercue.exploration.missing import missing_functionals, missing_reasons
from sercue.exploration.praat_agreement import praat_agreement, praat_pairs
from sercue.exploration.redundancy import cluster_table, functional_clusters, redundancy
from sercue.exploration.variance import variance_components

__all__ = [
    "cluster_table",
    "emotion_effects",
    "functional_clusters",
    "missing_functionals",
    "missing_reasons",
    "pairwise_effects",
    "praat_agreement",
    "praat_pairs",
    "redundancy",
    "variance_components",
]
