"""One binning design, fitted to some speakers and measured on others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import cast

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sercue.baselines import fit_token_classifier
from sercue.binning import Binning, fit_bins
from sercue.concepts import Concept
from sercue.corpora.corpus import Corpus
from sercue.designs.held_out import Answers, evaluated_views


@dataclass(frozen=True, eq=False)
class Design:
    """One way to make tokens: the options of ``fit_bins``."""

    bins: int
    method: str
    centre: str | None
    thresholds: Mapping[str, Sequence[float]] | None = None

    @property
    def name(self) -> str:
        """As tables and figures call it.

        Examples:
            >>> Design(3, "quantile", "speaker").name
            '3 quantile, centred by speaker'
        """
        return f"{self.bins} {self.method}" + (f", centred by {self.centre}" if self.centre else "")


@dataclass(frozen=True)
class DesignFits:
    """What all designs are fitted to.

    A view is a corpus with what a fit may see in "train" and what it is measured on in "test".
    """

    features: pd.DataFrame
    corpus: Corpus
    concepts: tuple[Concept, ...]
    seed: int

    @property
    def _used(self) -> list[str]:
        return list(dict.fromkeys(f for concept in self.concepts for f in concept.functionals))

    def fitted(self, design: Design, view: Corpus) -> Binning:
        """The thresholds of a design, from the training rows of a view."""
        binning = fit_bins(
            self.features.loc[view.table.index, self._used],
            view,
            bins=design.bins,
            method=design.method,
            thresholds=design.thresholds,
            centre=design.centre,
            concepts=self.concepts,
        )
        # A view has training rows, and so it is not cross-validated.
        return cast(Binning, binning)

    def transformed(self, binning: Binning, view: Corpus) -> pd.DataFrame:
        """The words of all rows of a view."""
        return binning.transform(self.features.loc[view.table.index, self._used], view)

    def words(self, design: Design, views: Mapping[str, Corpus]) -> dict[str, pd.DataFrame]:
        """The words of all rows of each view, by thresholds from its training rows."""
        return {
            name: self.transformed(self.fitted(design, view), view) for name, view in views.items()
        }

    def evaluated(
        self, words: Mapping[str, pd.DataFrame], views: Mapping[str, Corpus]
    ) -> pd.DataFrame:
        """The words of what is measured on, each row once."""
        return pd.concat([words[name].loc[view.rows("test").index] for name, view in views.items()])

    def token_answers(
        self, words: Mapping[str, pd.DataFrame], views: Mapping[str, Corpus]
    ) -> Answers:
        """What a logistic regression on the words answers in each view."""
        parts = []
        for name, view in views.items():
            rows = view.rows("test")
            classifier = fit_token_classifier(words[name], view, seed=self.seed)
            parts.append(Answers.of(classifier, words[name].loc[rows.index], rows))
        return Answers.together(parts)

    def functional_answers(self, centre: str | None, views: Mapping[str, Corpus]) -> Answers:
        """What one on all functionals answers, centred as the words are."""
        parts = []
        for view in views.values():
            values, rows = _centred(self.features.loc[view.table.index], view, centre), view.table
            training = rows["partition"] == "train"
            classifier = _functional_classifier(self.seed)
            classifier.fit(values[training], rows.loc[training, "emotion"])
            parts.append(Answers.of(classifier, values[~training], rows[~training]))
        return Answers.together(parts)

    def agreement(self, design: Design, views: Mapping[str, Corpus]) -> float:
        """Share of words that two fits have in common, mean over pairs of left-out groups.

        NaN of a single training speaker, of whom no group can be left out.
        """
        if not self.corpus.folds and self.corpus.rows("train")["speaker"].nunique() < 2:
            return np.nan
        # Every view holds all rows that are measured on.
        view = next(iter(views.values()))
        measured = pd.concat([view.rows("test") for view in views.values()]).index
        fits = [self.fitted(design, part) for part in evaluated_views(self.corpus).values()]
        words = [self.transformed(fit, view).loc[measured].to_numpy() for fit in fits]
        return float(np.mean([(a == b).mean() for a, b in combinations(words, 2)]))


def _functional_classifier(seed: int) -> Pipeline:
    return make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(class_weight="balanced", max_iter=2000, random_state=seed),
    )


def _centred(values: pd.DataFrame, corpus: Corpus, centre: str | None) -> pd.DataFrame:
    if centre is None:
        return values
    groups = corpus.table.loc[values.index, centre].to_numpy()
    return values - values.groupby(groups).transform("median")
