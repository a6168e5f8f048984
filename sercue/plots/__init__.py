"""Figures of the reports: one function per figure, from a table to a matplotlib ``Figure``.

Every function takes a table that another part of the package returns, draws it in the style of
the reports without touching matplotlib's global settings, and returns the figure, open and
restylable. Given ``ax``, it draws there, or divides its place into several panels; the figure is
then that of ``ax``, best made with ``layout="constrained"``.
"""

from sercue.plots.calibration import plot_calibration
from sercue.plots.corpora import (
    plot_clusters,
    plot_concepts,
    plot_corpus,
    plot_effects,
    plot_functional_effects,
    plot_praat_agreement,
    plot_redundancy,
    plot_variance,
)
from sercue.plots.reliance import (
    plot_concept_effects,
    plot_reliance,
    plot_reliance_by,
    plot_shapley,
)
from sercue.plots.results import (
    plot_audio_effects,
    plot_comparison,
    plot_confusions,
    plot_contrasts,
    plot_dose_response,
    plot_factorial,
    plot_followed,
    plot_neutral_shift,
    plot_predicted_classes,
    plot_prompt_sensitivity,
    plot_speakers,
    plot_uar,
    plot_wordings,
)
from sercue.plots.style import condition_palette, label_palette, word_palette
from sercue.plots.tokens import (
    plot_balance,
    plot_binnings,
    plot_information,
    plot_stability,
    plot_thresholds,
    plot_tokens_by_emotion,
)

__all__ = [
    "condition_palette",
    "label_palette",
    "plot_audio_effects",
    "plot_balance",
    "plot_binnings",
    "plot_calibration",
    "plot_clusters",
    "plot_comparison",
    "plot_concept_effects",
    "plot_concepts",
    "plot_confusions",
    "plot_contrasts",
    "plot_corpus",
    "plot_dose_response",
    "plot_effects",
    "plot_factorial",
    "plot_followed",
    "plot_functional_effects",
    "plot_information",
    "plot_neutral_shift",
    "plot_praat_agreement",
    "plot_predicted_classes",
    "plot_prompt_sensitivity",
    "plot_redundancy",
    "plot_reliance",
    "plot_reliance_by",
    "plot_shapley",
    "plot_speakers",
    "plot_stability",
    "plot_thresholds",
    "plot_tokens_by_emotion",
    "plot_uar",
    "plot_variance",
    "plot_wordings",
    "word_palette",
]
