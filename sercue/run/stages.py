"""The stages of a run up to the tokens: corpus, audio, features, thresholds."""

from __future__ import annotations

import hashlib
import json
import logging
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from sercue import provenance
from sercue.artifacts import Artifacts, Finished
from sercue.binning import Binning, FoldBinning, fit_bins
from sercue.controls import why_no_controls
from sercue.corpora.corpus import Corpus
from sercue.designs import compare_binnings, measure_binning, threshold_stability
from sercue.errors import InputError
from sercue.features import extract_features, extraction
from sercue.inspection import inspect_audio
from sercue.interventions import Material
from sercue.paths import project_folder
from sercue.run.own_folder import check_run_folder, refuse_others_at_work
from sercue.settings import (
    ANALYSIS_KEYS,
    BINNING_KEYS,
    CONTROL_KEYS,
    CORPUS_KEYS,
    RESULT_KEYS,
    STUDY_KEYS,
    Settings,
)
from sercue.study_corpus import listed_corpus, usable_corpus

if TYPE_CHECKING:
    from distributed import Client

logger = logging.getLogger(__name__)


class Stages:
    """One study, from its corpus to its tokens; each stage is computed on first use.

    Attributes:
        settings: the study's settings
        folder: ``reports/<study>``, or the folder that ``out`` names
    """

    def __init__(self, settings: Settings, *, reuse: bool = False) -> None:
        self.settings = settings
        self.folder = run_folder(settings)
        check_run_folder(self.folder)
        refuse_others_at_work(self.folder, settings.fingerprint(RESULT_KEYS))
        self.reuse = reuse
        self.artifacts = Artifacts(self.folder / "artifacts")
        self.artifacts.refuse_newer()
        self.artifacts.record(
            parameters=provenance.shareable(settings),
            settings=settings.fingerprint(ANALYSIS_KEYS),
            **provenance.environment(),
        )

    @cached_property
    def client(self) -> Client | None:
        """A client of the scheduler that the study names, or ``None`` where this machine works."""
        if self.settings.scheduler is None:
            return None
        from sercue.distributed import connect

        return connect(self.settings.scheduler)

    @cached_property
    def listed(self) -> Corpus:
        """All that the corpus lists for this study, usable or not."""
        return listed_corpus(self.settings)

    @cached_property
    def audio_facts(self) -> pd.DataFrame:
        """What each recording is like, and what is wrong with it."""
        return inspect_audio(self.listed)

    @cached_property
    def corpus(self) -> Corpus:
        """The corpus that is used, with its labels, partitions and licence."""
        if self._left is not None:
            return self._left.corpus
        return usable_corpus(self.listed, self.audio_facts, self.settings.bad_audio)

    @cached_property
    def digests(self) -> pd.Series:
        """What identifies the audio of each utterance: a hash of its content."""
        if self._left is not None:
            return self._left.digests
        digests = self.audio_facts.loc[self.corpus.table.index, "audio"]
        content = f"{_listing(self.listed)}-{_audio(digests)}"
        self.artifacts.save_corpus(self.corpus, digests, self._stamp(CORPUS_KEYS), content)
        self._record_corpus(self.corpus, digests, content)
        return digests

    @cached_property
    def content(self) -> str:
        """What identifies the corpus: all that it says of its utterances, and their audio."""
        if self._left is not None:
            return self._left.content
        return f"{_listing(self.listed)}-{_audio(self.digests)}"

    def _record_corpus(self, corpus: Corpus, digests: pd.Series, content: str) -> None:
        self.artifacts.record(corpus=_fingerprint(corpus, digests) | {"stamp": content})

    @cached_property
    def features(self) -> pd.DataFrame:
        """Functionals of eGeMAPS, one row an utterance."""
        if self._left is not None:
            return self._left.features
        stamp = {"settings": self._stamp(CORPUS_KEYS), "content": self.content}
        features = extract_features(self.corpus, client=self.client)
        self.artifacts.save("features.parquet", features, **stamp)
        return features

    @cached_property
    def binning(self) -> Binning | FoldBinning:
        """Thresholds of the six concepts, fitted on training rows: once, or once a fold."""
        binning = fit_bins(self.features, self.corpus, **self.bin_options)
        binning.save(self.artifacts.folder / "binning.json", content=self.content)
        return binning

    @property
    def bin_options(self) -> dict[str, Any]:
        """The study's choices for ``fit_bins``."""
        s = self.settings
        return {
            "bins": s.bins,
            "method": s.binning,
            "thresholds": s.thresholds,
            "centre": s.centre,
        }

    # Each of these three raises an error where the corpus has too little for it.

    @cached_property
    def stability(self) -> pd.DataFrame:
        """How far thresholds and tokens move with one training speaker left out."""
        return threshold_stability(self.features, self.corpus, **self.bin_options)

    @cached_property
    def designs(self) -> pd.DataFrame:
        """Other binning designs, measured on held-out training speakers."""
        chosen = self.settings.only(("thresholds", "seed"))
        return compare_binnings(self.features, self.corpus, **chosen)

    @cached_property
    def own_design(self) -> pd.DataFrame:
        """The study's own binning design, measured on the evaluated partition."""
        s = self.settings
        return measure_binning(self.features, self.corpus, s.partition, self.bin_options, s.seed)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Concept scores, the mean of robust z-scores, one row an utterance."""
        return self.binning.scores(self.features, self.corpus)

    @cached_property
    def tokens(self) -> pd.DataFrame:
        """The true tokens, one row an utterance, one column a concept."""
        tokens = self.binning.transform(self.features, self.corpus)
        settings = self._stamp((*CORPUS_KEYS, *BINNING_KEYS))
        self.artifacts.save("tokens.parquet", tokens, settings, content=self.content)
        return tokens

    @cached_property
    def views(self) -> dict[str, tuple[Corpus, pd.DataFrame]]:
        """Corpus and tokens as what is trained may see them: whole, or once for each fold.

        In the view of a fold, tokens come from thresholds that have not seen that fold.
        """
        if not isinstance(self.binning, FoldBinning):
            return {"": (self.corpus, self.tokens)}
        return {
            fold: (self.corpus.in_fold(fold), binning.transform(self.features, self.corpus))
            for fold, binning in self.binning.of_fold.items()
        }

    @cached_property
    def material(self) -> Material:
        """What the conditions work on: tokens, classes and speakers, and the training rows."""
        return Material.of_corpus(
            self.corpus, self.tokens, self.binning.words, partition=self.settings.partition
        )

    @cached_property
    def _left(self) -> Finished | None:
        """What an earlier notebook left, if it is to be taken and all of it is of one study.

        And of the corpus as it is now, where that is at hand.
        """
        if not self.reuse:
            return None
        left = self.artifacts.load_finished(self._stamp(CORPUS_KEYS), self._stamp(STUDY_KEYS))
        if left is None or not self._is_as_it_was(left.content):
            return None
        settings = self._stamp(CONTROL_KEYS)
        if not why_no_controls(self.settings) and (
            self.artifacts.load("controls.parquet", settings, content=left.content) is None
        ):
            return None
        self._record_corpus(left.corpus, left.digests, left.content)
        return left

    def _is_as_it_was(self, content: str) -> bool:
        """Whether the corpus on the disk, if it is there, has the content that was stored."""
        root = self.settings.corpus_root
        # Without one, the settings alone make the corpus.
        if root is None or not Path(root).exists():
            return True
        listing, _, audio = content.partition("-")
        try:
            if _listing(self.listed) != listing:
                return False
            used = usable_corpus(self.listed, self.audio_facts, self.settings.bad_audio)
        except InputError as error:
            logger.warning("%s. What an earlier notebook stored of the corpus is used.", error)
            return True
        return _audio(self.audio_facts.loc[used.table.index, "audio"]) == audio

    def _stamp(self, keys: tuple[str, ...]) -> str:
        return self.settings.fingerprint(keys)


def run_folder(settings: Settings) -> Path:
    """Where a study writes: ``out`` if it is set, else ``reports/<study>`` of the project."""
    if settings.out is not None:
        return Path(settings.out).expanduser()
    return project_folder() / "reports" / settings.study


def _fingerprint(corpus: Corpus, digests: pd.Series) -> dict[str, Any]:
    return {
        "name": corpus.name,
        "utterances": len(corpus.table),
        "speakers": int(corpus.table["speaker"].nunique()),
        "content": f"{pd.util.hash_pandas_object(digests, index=False).sum():016x}",
        "annotations": f"{pd.util.hash_pandas_object(_annotations(corpus, digests)).sum():016x}",
    }


def _listing(corpus: Corpus) -> str:
    """A digest of all that a corpus says of its utterances, in their order."""
    said = [corpus.name, corpus.labels, corpus.neutral_label, list(corpus.table)]
    digest = hashlib.blake2b(json.dumps(said).encode(), digest_size=8)
    for table in (corpus.table, corpus.left_out):
        rows = pd.util.hash_pandas_object(table.reset_index().astype(object), index=False)
        digest.update(rows.to_numpy().tobytes())
    return digest.hexdigest()


def _audio(digests: pd.Series) -> str:
    """A digest of the audio of a corpus, and of what makes functionals of it."""
    text = "\n".join([extraction(), *map(str, digests)])
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _annotations(corpus: Corpus, digests: pd.Series) -> pd.DataFrame:
    """What the corpus says of each recording, by the recording's content and not its name."""
    columns = sorted({"emotion", "speaker", "partition", "fold"} & set(corpus.table))
    return corpus.table[columns].astype(object).set_axis(pd.Index(digests.astype(object)))
