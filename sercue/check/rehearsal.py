"""A study as it will run, so far as that is cheap: what a check looks at."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from sercue.corpora.corpus import Corpus
from sercue.corpora.rows import stratified_sample
from sercue.features import extract_all, extracted
from sercue.run import Run
from sercue.settings import Settings
from sercue.study.plan import asked_once
from sercue.study_corpus import pseudonymised
from sercue.tokens.catalogue import one_of_each, parse_conditions

# Few enough to be planned in a moment, many enough to hold short and long ones.
_SAMPLED = 64


class Rehearsal:
    """A study whose run writes to a folder that is thrown away.

    Features are those of the study if all of them are in the cache, and else drawn at random:
    whatever does not hang on which tokens an utterance has can be tried with those.

    Args:
        settings: the study
        listed: its corpus by its own names, all that it lists
        corpus: the same without what cannot be used
        facts: as ``inspect_audio`` has them of ``listed``
        folder: where to write
        measured: whether what takes some seconds is to be found out, too

    Attributes:
        run: the run of the study in that folder
        own: ``corpus``, row by row the utterances of the study's own corpus
    """

    def __init__(
        self,
        settings: Settings,
        listed: Corpus,
        corpus: Corpus,
        facts: pd.DataFrame,
        folder: Path,
        *,
        measured: bool,
    ) -> None:
        elsewhere = settings.model_copy(update={"out": str(folder)})
        self.run = Run(elsewhere, extract=self._features)
        self.own, self.measured = corpus, measured
        self._own_facts = facts
        # What a random condition exchanges hangs on the names that the study will know.
        self.run.listed = pseudonymised(listed) if settings.anonymise else listed
        self.run.audio_facts = facts.set_axis(self.run.listed.table.index)

    @property
    def seconds(self) -> pd.Series:
        """How long each utterance is, by its own name."""
        return self._own_facts.loc[self.own.table.index, "seconds"]

    @property
    def asked(self) -> pd.Series:
        """How long those utterances are that the model is asked about, by their own names.

        Those that are evaluated, and those on which notebook 03 tries the prompts.
        """
        tuned = self.run.corpus.rows(self.run.tuning_partition)
        tuned = stratified_sample(tuned, self.run.settings.tuning_limit, self.run.settings.seed)
        evaluated = self.run.corpus.table["partition"] == self.run.settings.partition
        return self.seconds[(evaluated | self.run.corpus.table.index.isin(tuned.index)).to_numpy()]

    @property
    def evaluated(self) -> int:
        """How many utterances are evaluated."""
        return len(self.run.corpus.rows(self.run.settings.partition))

    @property
    def variants(self) -> tuple[int, int]:
        """Conditions, each as often as it is repeated: those asked in every wording, and once."""
        settings, words = self.run.settings, self.run.settings.tokens.words
        counts = {False: 0, True: 0}
        for one in parse_conditions(settings.conditions, list(words)):
            times = len(one.replicates(settings.replicates, words))
            counts[asked_once(one, settings.concept_wordings)] += times
        return counts[False], counts[True]

    @property
    def planned(self) -> int:
        """How many predictions the study is made of: its prompts, equal ones not merged."""
        s, (everywhere, once) = self.run.settings, self.variants
        return self.evaluated * (everywhere * len(s.templates) * s.label_orders + once)

    @cached_property
    def missing(self) -> pd.Series:
        """Digests of the utterances whose features are not in the cache, each recording once."""
        return self.run.digests[~extracted(self.run.digests) & ~self.run.digests.duplicated()]

    @property
    def extracted(self) -> bool:
        """Whether the features of every utterance are in the cache."""
        return self.missing.empty

    def extract(self, table: pd.DataFrame, *, progress: bool = False) -> None:
        """Extract the features of some rows of the corpus into the cache."""
        extract_all(replace(self.run.corpus, table=table), progress=progress)
        self.__dict__.pop("missing", None)

    def _features(self, corpus: Corpus) -> pd.DataFrame:
        """What tokens are made of, or numbers drawn at random where it is not extracted."""
        if self.extracted:
            return extract_all(corpus, progress=False)
        names = self.run.settings.tokens.columns
        drawn = np.random.default_rng(0).normal(size=(len(corpus.table), len(names)))
        return pd.DataFrame(drawn, corpus.table.index, names)

    @cached_property
    def sampled(self) -> Corpus:
        """The corpus with a few of its evaluated utterances, from the shortest to the longest."""
        table = self.run.corpus.table
        evaluated = np.flatnonzero(table["partition"] == self.run.settings.partition)
        by_length = evaluated[np.argsort(self.seconds.to_numpy()[evaluated], kind="stable")]
        kept = np.isin(np.arange(len(table)), spread(by_length, _SAMPLED))
        others = (table["partition"] != self.run.settings.partition).to_numpy()
        return replace(self.run.corpus, table=table[kept | others])

    @cached_property
    def every_prompt(self) -> pd.DataFrame:
        """The plan of the sampled utterances."""
        return self._plan_sample(self.run.settings.conditions)

    @cached_property
    def some_prompts(self) -> pd.DataFrame:
        """The plan of the sampled utterances with one condition of each kind."""
        return self._plan_sample(one_of_each(self.run.settings.conditions))

    def _plan_sample(self, conditions: list[str]) -> pd.DataFrame:
        tokens = self.run.tokens.loc[self.sampled.table.index]
        return self.run.plan(corpus=self.sampled, tokens=tokens, conditions=conditions)


def spread(items: np.ndarray, number: int) -> np.ndarray:
    """Some of the items, evenly spread over all, each standing for as many.

    Args:
        items: in order
        number: how many to take; all if there are not as many

    Examples:
        >>> spread(np.arange(10), 2).tolist(), spread(np.arange(2), 5).tolist()
        ([2, 7], [0, 1])
    """
    number = min(number, len(items))
    return items[((np.arange(number) + 0.5) * len(items) / max(number, 1)).astype(int)]
