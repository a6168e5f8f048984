"""What notebooks 04 and 05 show of a run: a figure or a table, or a sentence that says why not."""

from sercue.results.answers import (
    answers_table,
    conditions_table,
    dose_response_figure,
    neutral_shift_figure,
    recall_table,
    uar_figure,
    uar_table,
)
from sercue.results.inference import (
    collapse_table,
    contrasts_table,
    detectable_table,
    dose_trend_table,
    equivalence_table,
    gain_by_template_table,
    mcnemar_table,
    sensitivity_table,
    shift_table,
    split_gain_table,
)
from sercue.results.reliance import (
    concept_effects_figure,
    concept_effects_table,
    control_equivalence_table,
    controls_figure,
    controls_table,
    reliance_figure,
    reliance_table,
    shapley_figure,
)
from sercue.results.summary import conclusions
from sercue.results.what_if import listen, what_if

__all__ = [
    "answers_table",
    "collapse_table",
    "concept_effects_figure",
    "concept_effects_table",
    "conclusions",
    "conditions_table",
    "contrasts_table",
    "control_equivalence_table",
    "controls_figure",
    "controls_table",
    "detectable_table",
    "dose_response_figure",
    "dose_trend_table",
    "equivalence_table",
    "gain_by_template_table",
    "listen",
    "mcnemar_table",
    "neutral_shift_figure",
    "recall_table",
    "reliance_figure",
    "reliance_table",
    "sensitivity_table",
    "shapley_figure",
    "shift_table",
    "split_gain_table",
    "uar_figure",
    "uar_table",
    "what_if",
]
