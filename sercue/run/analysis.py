"""What a run makes of the answers: measures, tests, reliance, single concepts."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import pandas as pd

from sercue.baselines import MAJORITY, baselines, chance
from sercue.controls import control_reliance, control_uar, with_this_model
from sercue.explanation import concept_tables, study_reliance, why_no_reliance
from sercue.findings import study_findings
from sercue.interventions import main_conditions
from sercue.measures import measures
from sercue.run.answers import Answers
from sercue.settings import ANALYSIS_KEYS
from sercue.significance import (
    collapse_tests,
    compare,
    detectable_differences,
    dose_trends,
    equivalence_tests,
    gain_by,
    planned_contrasts,
    shift_tests,
    split_gain,
    uar_components,
    uar_intervals,
)


class Analysis(Answers):
    """A study with all that is computed from its answers."""

    @cached_property
    def baselines(self) -> pd.DataFrame:
        """Predictions of the floors and ceilings: token-only classifier, eGeMAPS and linear SVM."""
        chosen = self.settings.only(("partition", "seed"))
        tables = [
            baselines(self.features, tokens, corpus, **chosen)
            for corpus, tokens in self.views.values()
        ]
        return pd.concat(tables, ignore_index=True)

    @cached_property
    def measures(self) -> pd.DataFrame:
        """Measures of each condition with the interval of its UAR, and of the baselines."""
        labels, neutral = self.corpus.labels, self.corpus.neutral_label
        parts = [
            measures(rows, labels, neutral).merge(self._intervals(rows)).assign(baseline=baseline)
            for rows, baseline in ((self.predictions, False), (self.baselines, True))
        ]
        table = pd.concat(parts, ignore_index=True)
        self._save("measures.parquet", table)
        return table

    def _save(self, name: str, table: pd.DataFrame) -> None:
        self.artifacts.save(name, table, self._stamp(ANALYSIS_KEYS), **self.inputs)

    def _intervals(self, predictions: pd.DataFrame) -> pd.DataFrame:
        level = self.settings.confidence
        table = uar_intervals(predictions, self.corpus.labels, confidence=level)
        return table[["condition", "low", "high"]].rename(
            columns={"low": "uar_low", "high": "uar_high"}
        )

    @property
    def intervals(self) -> pd.DataFrame:
        """UAR of each condition with its speaker-clustered interval, the baselines apart."""
        rows = self.measures[~self.measures["baseline"]]
        names = {"uar_low": "low", "uar_high": "high"}
        return rows[["condition", "uar", *names]].rename(columns=names)

    @property
    def references(self) -> dict[str, float]:
        """UAR of what the conditions are read against: chance, floors and ceilings."""
        rows = self.measures[self.measures["baseline"]].set_index("condition")["uar"]
        named = {str(name): float(uar) for name, uar in rows.items() if name != MAJORITY}
        return {"chance": chance(self.corpus.labels), **named}

    @cached_property
    def tests(self) -> pd.DataFrame:
        """The planned contrasts between conditions, with intervals and corrected p-values."""
        table = compare(*self._answered, self.contrasts, **self._resampling)
        self._save("tests.parquet", table)
        return table

    @property
    def contrasts(self) -> list[tuple[str, str]]:
        """The planned family: pairs (condition, reference)."""
        return planned_contrasts(self.settings.conditions)

    @cached_property
    def main_predictions(self) -> pd.DataFrame:
        """The predictions but for those of conditions about single concepts."""
        return main_conditions(self.predictions)

    # Each of these raises ``InputError`` where the study has no answers for it.

    @cached_property
    def detectable(self) -> pd.DataFrame:
        """The differences in UAR that this study would have found four times out of five."""
        return detectable_differences(self.tests)

    @cached_property
    def equivalence(self) -> pd.DataFrame:
        """Whether the planned contrasts are equal to within the study's margin."""
        margin = self.settings.margin
        return equivalence_tests(*self._answered, self.contrasts, margin=margin)

    @cached_property
    def collapse(self) -> pd.DataFrame:
        """Whether answers gather in one class, by more than the study's margin."""
        margin = self.settings.margin
        return collapse_tests(*self._answered, entropy_margin=margin, share_margin=margin)

    @cached_property
    def dose_trend(self) -> pd.DataFrame:
        """The trend of UAR with the dose."""
        return dose_trends(*self._answered, **self._resampling)

    @cached_property
    def split_gain(self) -> pd.DataFrame:
        """What of the gain over shuffled tokens is the utterance's own, and what the label's."""
        return split_gain(*self._answered, confidence=self.settings.confidence)

    @cached_property
    def shift(self) -> pd.DataFrame:
        """Which predicted classes gain and lose in each planned contrast."""
        drawn = self.settings.only(("resamples", "seed"))
        return shift_tests(*self._answered, self.contrasts, **drawn)

    @cached_property
    def components(self) -> pd.DataFrame:
        """Variance components of UAR."""
        return uar_components(*self._answered)

    @cached_property
    def gain_by_template(self) -> pd.DataFrame:
        """The gain from aligned tokens in each wording."""
        return gain_by(*self._answered, by="template", confidence=self.settings.confidence)

    @property
    def _answered(self) -> tuple[pd.DataFrame, tuple[str, ...]]:
        return self.main_predictions, self.corpus.labels

    @cached_property
    def reliance(self) -> pd.DataFrame:
        """Weights of audio and tokens in the answers; empty where they cannot be told."""
        if why_no_reliance(self.settings) is not None:
            return pd.DataFrame()
        table = study_reliance(self.main_predictions, self.corpus, self._own_tokens, self.settings)
        self._save("reliance.parquet", table)
        return table

    @cached_property
    def control_reliance(self) -> pd.DataFrame:
        """Reliance of the controls and of the model under study; empty without controls."""
        if self.controls.empty:
            return pd.DataFrame()
        return control_reliance(
            with_this_model(self.controls, self.predictions),
            self.corpus,
            self._own_tokens,
            **self.settings.only(("confidence", "seed")),
        )

    @cached_property
    def control_uar(self) -> pd.DataFrame:
        """UAR of the controls and of the model under study, on the very same prompts."""
        answers = with_this_model(self.controls, self.predictions)
        return control_uar(answers, self.corpus.labels)

    @property
    def _own_tokens(self) -> pd.DataFrame | dict[str, pd.DataFrame]:
        """True tokens; of a cross-validated corpus, those of each fold's view."""
        if not self.corpus.folds:
            return self.tokens
        return {fold: tokens for fold, (_, tokens) in self.views.items()}

    @cached_property
    def concept_tables(self) -> dict[str, pd.DataFrame]:
        """Effects of single concepts and Shapley values, as far as the conditions allow them."""
        return concept_tables(self.predictions, self.corpus.labels, self.settings)

    @property
    def findings(self) -> list[str]:
        """The headline of the study in plain English."""
        measured = main_conditions(self.measures)
        return study_findings(measured, self.tests, len(self.corpus.labels))

    @property
    def _resampling(self) -> dict[str, Any]:
        return self.settings.only(("resamples", "confidence", "seed"))
