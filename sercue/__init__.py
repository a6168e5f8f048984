"""Do audio language models use acoustic cues in the prompt in a grounded way?

The public names of the package. Each is imported from its module at first use, so that
``import sercue`` is fast and pulls in neither torch nor transformers.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

_HOMES = {
    "sercue.answers": ["parse_answer"],
    "sercue.baselines": ["baselines", "chance"],
    "sercue.binning": ["Binning", "FoldBinning", "fit_bins"],
    "sercue.check": ["check_study"],
    "sercue.comparison": ["compare_studies", "write_comparison"],
    "sercue.concepts": ["CONCEPTS", "Concept", "measurable"],
    "sercue.corpora": ["available_corpora", "load_corpus"],
    "sercue.corpora.corpus": ["Corpus"],
    "sercue.corpus_check": ["check_corpus"],
    "sercue.corpus_counts": ["corpus_counts", "denominators"],
    "sercue.designs": [
        "compare_binnings", "measure_binning", "readable_designs", "threshold_stability",
        "token_balance", "token_information",
    ],
    "sercue.distributed": ["connect"],
    "sercue.errors": ["DecodingError", "InputError", "ServerError"],
    "sercue.examples": ["prompt_examples", "wording_examples", "written_answers"],
    "sercue.exhibits": ["bullets"],
    "sercue.explanation": ["reliance_finding"],
    "sercue.exploration": [
        "cluster_table", "emotion_effects", "functional_clusters", "missing_functionals",
        "missing_reasons", "pairwise_effects", "praat_agreement", "praat_pairs", "redundancy",
        "variance_components",
    ],
    "sercue.features": ["extract_features"],
    "sercue.findings": ["binning_findings", "corpus_findings", "prompting_findings"],
    "sercue.inspection": ["inspect_audio"],
    "sercue.interventions": [
        "Condition", "Material", "describe_conditions", "main_conditions", "parse_condition",
    ],
    "sercue.measures": ["confusion_matrices", "measures", "measures_by", "uar", "uar_by"],
    "sercue.methods": ["methods_text", "write_methods"],
    "sercue.models": ["available_models", "load_model"],
    "sercue.plots": [
        "plot_balance", "plot_binnings", "plot_clusters", "plot_comparison",
        "plot_concept_effects", "plot_concepts", "plot_confusions", "plot_contrasts",
        "plot_corpus", "plot_dose_response", "plot_effects", "plot_functional_effects",
        "plot_information", "plot_neutral_shift", "plot_praat_agreement",
        "plot_predicted_classes", "plot_prompt_sensitivity", "plot_redundancy", "plot_reliance",
        "plot_reliance_by", "plot_shapley", "plot_stability", "plot_thresholds",
        "plot_tokens_by_emotion", "plot_uar", "plot_variance",
    ],
    "sercue.printed": ["rounded"],
    "sercue.prompts": ["TEMPLATES", "Template"],
    "sercue.reliance": [
        "concept_effects", "label_evidence", "reliance", "shapley", "subset_conditions",
    ],
    "sercue.results": [
        "answers_table", "binning_conclusions", "collapse_table", "concept_effects_figure",
        "concept_effects_table", "conclusions", "conditions_table", "contrasts_table",
        "control_equivalence_table", "controls_figure", "controls_table", "designs_figure",
        "designs_table", "detectable_table", "dose_response_figure", "dose_trend_table",
        "equivalence_table", "gain_by_template_table", "listen", "mcnemar_table",
        "neutral_shift_figure", "own_design_table", "recall_table", "reliance_figure",
        "reliance_table", "sensitivity_table", "shapley_figure", "shift_table",
        "split_gain_table", "stability_figure", "stability_table", "uar_figure", "uar_table",
        "what_if",
    ],
    "sercue.run": ["Run", "open_run"],
    "sercue.settings": ["Settings", "read_study"],
    "sercue.significance": [
        "bootstrap_differences", "bootstrap_uar", "compare", "planned_contrasts", "uar_intervals",
    ],
    "sercue.study": ["plan_study", "run_study"],
}  # fmt: skip
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


class _Package(ModuleType):
    # A module and a function in it may have one name (``measures``). Whoever imports the module
    # binds it here; the public name is the function, whatever was imported before.
    def __setattr__(self, name: str, value: object) -> None:
        if not (isinstance(value, ModuleType) and name in _HOME_OF):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'sercue' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
