"""A run: one study, its folder, and the stages that its notebooks share.

Each stage is computed on first use through the cached functions, so that any notebook runs alone;
what it computed lies in ``artifacts`` for whoever reads on. In their order: corpus, features and
tokens; the model and its predictions; what follows from them; what a report shows.
"""

from __future__ import annotations

import html
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from IPython.display import display

from sercue import provenance
from sercue.artifacts import Artifacts, Finished, check_run_folder, refuse_others_at_work
from sercue.corpora.audio_variants import OWN, SWAPPED, partners
from sercue.corpora.corpus import Corpus, utterance_ids
from sercue.corpora.corpus_check import check_corpus
from sercue.corpora.inspection import inspect_audio
from sercue.corpora.rows import stratified_sample
from sercue.errors import DecodingError, InputError, or_none
from sercue.features import HEARD, extract_all, extract_heard
from sercue.models import TINY, load_model
from sercue.models.cards import contrastive_name, known_training
from sercue.privacy import public_name, shareable
from sercue.provenance import torch_facts
from sercue.settings import (
    ANALYSIS_KEYS,
    BASELINE_KEYS,
    BINNING_KEYS,
    CONTROL_KEYS,
    CORPUS_KEYS,
    RESULT_KEYS,
    STUDY_KEYS,
    Settings,
    elsewhere_notice,
    fixture_notice,
    is_by_hand,
    run_folder,
    scratch_folder,
    set_in_cells,
    settings_from,
)
from sercue.statistics.attribution import concept_effects, shapley, subset_conditions
from sercue.statistics.baselines import (
    MAJORITY,
    TOKENS_ONLY,
    baselines,
    chance,
    label_sentences,
    zero_shot,
)
from sercue.statistics.calibration import (
    calibration,
    corrected_uar,
    label_prior,
    reliability,
    several_models,
    silent_answers,
)
from sercue.statistics.contrasts import (
    compare,
    detectable_differences,
    dose_trends,
    gain_by,
    planned_contrasts,
    uar_components,
    uar_differences,
    uar_intervals,
    uar_intervals_by,
)
from sercue.statistics.controls import (
    CONTROLS,
    control_conditions,
    control_equivalence,
    control_follow,
    control_options,
    control_reliance,
    control_uar,
    why_no_controls,
    with_this_model,
)
from sercue.statistics.correctness_tests import shift_tests
from sercue.statistics.crossing import audio_effects, factorial, follow, followed
from sercue.statistics.designs import (
    Design,
    compare_binnings,
    measure_binning,
    threshold_stability,
)
from sercue.statistics.equivalence import (
    collapse_tests,
    equivalence_tests,
    evidence,
    judged,
    neutral_shifts,
    predicted_classes,
)
from sercue.statistics.explored import (
    answer_transitions,
    changed_answers,
    changes_by_token,
    speaker_table,
)
from sercue.statistics.measures import measures
from sercue.statistics.raters import rater_distances, ratings, use_by_disagreement
from sercue.statistics.reliance import study_reliance, why_no_reliance
from sercue.statistics.speakers import speaker_counts, speaker_points
from sercue.storage.tables import codes_among
from sercue.study import DECODINGS, run_study
from sercue.study.plan import plan_study
from sercue.study.store import rows_digest
from sercue.study_corpus import (
    audio_digest,
    corpus_facts,
    listed_corpus,
    listing_digest,
    usable_corpus,
)
from sercue.tables.answer import answer_sentences, spread_of_answers, study_answer
from sercue.tables.exhibits import FigureExhibit, TableExhibit, figure_exhibit, table_exhibit
from sercue.tables.findings import prior_findings, silence_finding
from sercue.tables.limits import limits
from sercue.tokens.binning import Binning, FoldBinning, fit_bins
from sercue.tokens.catalogue import about_concepts, main_conditions, shortened, with_own_audio
from sercue.tokens.concepts import functionals_of
from sercue.tokens.condition import Material, parts_heard
from sercue.tokens.prompts import FORMS, resolve_templates
from sercue.tokens.schemes import Scheme, read_scheme, shipped_schemes

if TYPE_CHECKING:
    from distributed import Client
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from sercue.models import AudioLanguageModel
    from sercue.models.contrastive import ContrastiveModel

logger = logging.getLogger(__name__)
# ``batch_size`` after the answers: what was left of it where memory ran out.
_MODEL_FACTS = ("name", "identity", "device", "dtype", "batch_size")


def open_run(study: Mapping[str, Any] | str | os.PathLike[str], *, reuse: bool = False) -> Run:
    """Open the run that a notebook's parameters describe, or one that is finished.

    Opened by hand, in JupyterLab or in Python, a run writes to ``scratch/<study>`` and leaves
    ``reports/<study>`` as it is, whose answers it takes over: what was asked there is not asked
    again. With ``out`` it writes there, and reads nothing else.

    Args:
        study: study keys and values; a notebook hands over its ``globals()``, of which the study
            keys are read, and what its cells of parameters set besides is refused. Or the folder
            of a finished study, such as ``"reports/demo"``, which is read and never written.
        reuse: take what a finished study of the same settings left, so that neither audio nor
            model is needed

    Raises:
        InputError: if a key is unknown, naming the nearest valid one, if a value is not valid, or
            if the folder holds no finished study

    Examples:
        Two models side by side::

            small, large = (sercue.open_run(f"reports/{name}") for name in ("small", "large"))
            small.measures.merge(large.measures, on="condition", suffixes=("_small", "_large"))
    """
    if not isinstance(study, Mapping):
        return _open_finished(Path(study).expanduser().resolve())
    if "__builtins__" in study:
        keys = {*Settings.model_fields} | set_in_cells(study.get("In", []))
        study = {key: study[key] for key in study if key in keys}
    settings = settings_from(study, "notebook parameters")
    finished = run_folder(settings) if is_by_hand(settings) else None
    # Answers made elsewhere can be taken, and never be asked for.
    return Run(settings, reuse=reuse or settings.made_elsewhere, finished=finished)


def _open_finished(folder: Path) -> Run:
    artifacts = Artifacts(folder / "artifacts")
    parameters = artifacts.provenance().get("parameters")
    if parameters is None:
        raise InputError(
            f"{folder}: no parameters in artifacts/provenance.json; valid is the folder that "
            "`sercue run` wrote, such as reports/demo"
        )
    settings = settings_from(parameters, f"{artifacts.provenance_file}: parameters")
    # Paths are shortened there, so that fingerprints of these settings are not those of the run.
    stamps = artifacts.fingerprints()
    # Before the run exists, since it begins to write.
    if artifacts.load_finished(stamps.get(CORPUS_KEYS, ""), stamps[STUDY_KEYS]) is None:
        raise InputError(
            f"{folder}: its artifacts are not those of one finished study; valid is a folder in "
            "which `sercue run` ended"
        )
    run = Run(settings, reuse=True, finished=folder, fingerprints=stamps)
    if run._left is None:
        raise InputError(f"{folder}: its controls or baselines are not those of the study")
    return run


class Run:
    """One study and the folder it writes: each of its stages is computed on first use.

    Args:
        settings: the study's settings
        reuse: take a finished study of the same settings
        extract: what gives the features of which tokens are made; they are not stored
        finished: folder of a run of this study, which is read and never written: the run itself
            then writes to ``scratch``
        fingerprints: of the settings that decide each artifact of ``finished``, by their keys,
            where ``settings`` do not tell them

    Attributes:
        settings: the study's settings
        exhibits: the tables and figures shown so far, by name
        folder: where it writes: ``reports/<study>``, the folder that ``out`` names, or, beside
            ``finished``, ``scratch/<name of that folder>``
    """

    def __init__(
        self,
        settings: Settings,
        *,
        reuse: bool = False,
        extract: Callable[[Corpus], pd.DataFrame] | None = None,
        finished: Path | None = None,
        fingerprints: Mapping[tuple[str, ...], str] | None = None,
    ) -> None:
        self.settings = settings
        self._extract = extract
        self._fingerprints = fingerprints or {}
        self.folder = run_folder(settings) if finished is None else scratch_folder(finished.name)
        check_run_folder(self.folder)
        refuse_others_at_work(self.folder, settings.fingerprint(RESULT_KEYS))
        self.reuse = reuse
        self.exhibits: dict[str, FigureExhibit | TableExhibit] = {}
        self.artifacts = Artifacts(self.folder / "artifacts")
        self._finished = None if finished is None else Artifacts(finished / "artifacts")
        self.artifacts.refuse_newer()
        self.artifacts.record(
            parameters=shareable(settings),
            settings=settings.fingerprint(ANALYSIS_KEYS),
            # Of a file of one's own, the name does not tell what is in it.
            scheme=self.scheme.digest,
            **provenance.environment(),
        )

    @cached_property
    def client(self) -> Client | None:
        """A client of the scheduler that the study names, or ``None`` where this machine works."""
        if self.settings.scheduler is None:
            return None
        from sercue.distributed.connection import connect

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
    def heard(self) -> Corpus:
        """The corpus with its recordings, also where the rest was taken from a finished study."""
        return self.corpus if self._left is None else self.listed.with_table(self.corpus.table)

    @cached_property
    def digests(self) -> pd.Series:
        """What identifies the audio of each utterance: a hash of its content."""
        if self._left is not None:
            return self._left.digests
        digests = self.audio_facts.loc[self.corpus.table.index, "audio"]
        content = self._content_of(digests)
        self.artifacts.save_corpus(self.corpus, digests, self._stamp(CORPUS_KEYS), content)
        self._record_corpus(self.corpus, digests, content)
        return digests

    @cached_property
    def content(self) -> str:
        """What identifies the corpus: its table, and the audio of its utterances."""
        if self._left is not None:
            return self._left.content
        return self._content_of(self.digests)

    def _content_of(self, digests: pd.Series) -> str:
        return f"{listing_digest(self.listed)}-{audio_digest(digests)}"

    def _record_corpus(self, corpus: Corpus, digests: pd.Series, content: str) -> None:
        self.artifacts.record(corpus=corpus_facts(corpus, digests) | {"stamp": content})

    @cached_property
    def measured(self) -> pd.DataFrame:
        """The features for the tokens: functionals of eGeMAPS, and means of its descriptors."""
        if self._extract is not None:
            return self._extract(self.corpus)
        if self.settings.made_elsewhere:
            _ = self.listed  # which says why there are none
        if self._left is not None:
            return self._left.features.join(self._left.descriptors)
        measured = extract_all(self.corpus, client=self.client)
        functionals = functionals_of(measured)
        descriptors = measured.drop(columns=functionals.columns)
        stamp = self._stamp(CORPUS_KEYS)
        self.artifacts.save("features.parquet", functionals, stamp, content=self.content)
        self.artifacts.save("descriptors.parquet", descriptors, stamp, content=self.content)
        return measured

    @cached_property
    def features(self) -> pd.DataFrame:
        """Functionals of eGeMAPS, one row per utterance."""
        return functionals_of(self.measured)

    @cached_property
    def scheme(self) -> Scheme:
        """The scheme of the tokens, with the number of bins of the study."""
        return self.settings.tokens

    @cached_property
    def binning(self) -> Binning | FoldBinning:
        """Standardisation and edges of the concepts, fitted on training rows: once, or by fold."""
        scheme = self.scheme
        binning = fit_bins(
            self.measured,
            self.corpus,
            concepts=scheme.concepts,
            standardise=scheme.standardise,
            **self.bin_options,
        )
        binning.save(self.artifacts.folder / "binning.json", content=self.content)
        return binning

    @property
    def design(self) -> str:
        """The name of the study's binning design among others."""
        scheme, s = self.scheme, self.settings
        return Design(scheme.concepts, scheme.bins, s.binning, s.centre).name

    @property
    def bin_options(self) -> dict[str, Any]:
        """The study's choices for ``fit_bins``."""
        s = self.settings
        return {"method": s.binning, "thresholds": s.thresholds, "centre": s.centre}

    # Each of these three raises an error where the corpus has too little for it.

    @cached_property
    def stability(self) -> pd.DataFrame:
        """How far thresholds and tokens move with one training speaker left out."""
        fixed = {"concepts": self.scheme.concepts, "standardise": self.scheme.standardise}
        return threshold_stability(self.measured, self.corpus, **fixed, **self.bin_options)

    @cached_property
    def designs(self) -> pd.DataFrame:
        """Other binning designs and schemes, measured on held-out training speakers."""
        own = read_scheme(self.settings.scheme).digest
        shipped = map(read_scheme, shipped_schemes())
        others = [scheme for scheme in shipped if scheme.digest != own]
        chosen = self.settings.only(("thresholds", "seed"))
        return compare_binnings(
            self.measured, self.corpus, scheme=self.scheme, others=others, **chosen
        )

    @cached_property
    def own_design(self) -> pd.DataFrame:
        """The study's own binning design, measured on the evaluated partition."""
        s = self.settings
        chosen = self.bin_options | {"seed": s.seed}
        return measure_binning(self.measured, self.corpus, s.partition, self.scheme, **chosen)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Scores of the ordinal concepts, means of signed z-scores, one row per utterance."""
        return self.binning.scores(self.measured, self.corpus)

    @cached_property
    def tokens(self) -> pd.DataFrame:
        """The true tokens, one row per utterance, one column per concept."""
        tokens = self.binning.transform(self.measured, self.corpus)
        settings = self._stamp((*CORPUS_KEYS, *BINNING_KEYS))
        self.artifacts.save("tokens.parquet", tokens, settings, content=self.content)
        return tokens

    @property
    def other_audio(self) -> list[str]:
        """The other audio of the study, by the names of ``AUDIO_VARIANTS``."""
        heard = dict.fromkeys(parts_heard(name)[1] for name in self.settings.conditions)
        return [name for name in heard if name != OWN]

    @cached_property
    def partners(self) -> pd.DataFrame:
        """Whose audio is heard where audio is swapped, see ``partners``; empty if it is not."""
        rows = self.corpus.rows(self.settings.partition)
        swapped = SWAPPED in self.other_audio
        return partners(rows, self.settings.seed) if swapped else pd.DataFrame()

    @cached_property
    def heard_tokens(self) -> dict[str, pd.DataFrame]:
        """Tokens of own and other audio, of a sample of the evaluated utterances.

        Raises:
            InputError: if there is no other audio
        """
        if not self.other_audio:
            raise InputError("this study has no other audio (audio: [own])")
        rows = stratified_sample(
            self.corpus.rows(self.settings.partition), HEARD, self.settings.seed
        )
        sample = self.heard.with_table(rows)
        tokens = {OWN: self.tokens.loc[rows.index]}
        for name in self.other_audio:
            if name == SWAPPED:
                partner = self.tokens.loc[list(self.partners.loc[rows.index, "partner"])]
                tokens[name] = partner.set_axis(rows.index)
            else:
                measured = extract_heard(sample, name, seed=self.settings.seed)
                tokens[name] = self.binning.transform(measured, self.corpus, self.measured)
        return tokens

    @cached_property
    def views(self) -> dict[str, tuple[Corpus, pd.DataFrame]]:
        """Corpus and tokens as what is trained may see them: whole, or once for each fold.

        In the view of a fold, tokens come from thresholds that have not seen that fold.
        """
        if not isinstance(self.binning, FoldBinning):
            return {"": (self.corpus, self.tokens)}
        return {
            fold: (self.corpus.in_fold(fold), binning.transform(self.measured, self.corpus))
            for fold, binning in self.binning.of_fold.items()
        }

    @cached_property
    def material(self) -> Material:
        """What the conditions work on: tokens, classes and speakers, and the training rows."""
        return Material.of_corpus(
            self.corpus,
            self.tokens,
            self.binning.words,
            partition=self.settings.partition,
            scores=self.scores,
        )

    @cached_property
    def _left(self) -> Finished | None:
        """What an earlier notebook left, if it is to be taken and all of it is of one study.

        And of the corpus as it is now, where that is at hand.
        """
        if not self.reuse:
            return None
        found = map(self._left_in, self._stores)
        left = next((one for one in found if one is not None), None)
        if left is not None:
            self._record_corpus(left.corpus, left.digests, left.content)
        return left

    def _left_in(self, artifacts: Artifacts) -> Finished | None:
        left = artifacts.load_finished(self._stamp(CORPUS_KEYS), self._stamp(STUDY_KEYS))
        if left is None or not self._is_as_it_was(left.content):
            return None
        settings = self._stamp(CONTROL_KEYS)
        if not why_no_controls(self.settings) and (
            artifacts.load("controls.parquet", settings, content=left.content) is None
        ):
            return None
        settings = self._stamp(BASELINE_KEYS)
        if self.settings.baselines and (
            artifacts.load("zero_shot.parquet", settings, content=left.content) is None
        ):
            return None
        return left

    @property
    def _stores(self) -> list[Artifacts]:
        """Where artifacts of this study are looked up: those of ``finished`` before its own."""
        return [self.artifacts] if self._finished is None else [self._finished, self.artifacts]

    def _load(self, name: str, **stamp: Any) -> pd.DataFrame | None:
        found = (artifacts.load(name, **stamp) for artifacts in self._stores)
        return next((table for table in found if table is not None), None)

    def _is_as_it_was(self, content: str) -> bool:
        """Whether the corpus on the disk, if it is there, has the content that was stored."""
        root = self.settings.corpus_root
        # Without one, the settings alone make the corpus; one that was shortened is another.
        if root is None or self._fingerprints or not Path(root).exists():
            return True
        listing, _, audio = content.partition("-")
        try:
            if listing_digest(self.listed) != listing:
                return False
            used = usable_corpus(self.listed, self.audio_facts, self.settings.bad_audio)
        except InputError as error:
            logger.warning("%s. What an earlier notebook stored of the corpus is used.", error)
            return True
        return audio_digest(self.audio_facts.loc[used.table.index, "audio"]) == audio

    def _stamp(self, keys: tuple[str, ...]) -> str:
        return self._fingerprints.get(keys) or self.settings.fingerprint(keys)

    @cached_property
    def model(self) -> AudioLanguageModel | dict[str, AudioLanguageModel]:
        """The model under study; its weights load when it is first asked.

        In a cross-validation, one per fold if the model is trained on the corpus.
        """
        if self.settings.model != TINY:
            return self._load_model(self.corpus, self.tokens)
        if self.corpus.folds:
            return {fold: self._load_model(*view) for fold, view in self.views.items()}
        return self._load_model(self.heard, self.tokens)

    def _load_model(self, corpus: Corpus, tokens: pd.DataFrame) -> AudioLanguageModel:
        s = self.settings
        return load_model(
            s.model,
            revision=s.model_revision,
            device=s.device,
            dtype=s.dtype,
            batch_size=s.batch_size,
            corpus=corpus,
            tokens=tokens,
            words=self.scheme.words,
            options=(self._prompt_options() if s.model == TINY else {}) | s.model_options,
        )

    def describe_model(self) -> pd.DataFrame:
        """What is known of the model under study, for the report."""
        self.train(controls=False)
        if isinstance(self.model, dict):
            first = next(iter(self.model.values()))
            number = f"{len(self.model)}, one a fold, trained on all other folds; of the first:"
            facts = {"models": number} | first.facts()
        else:
            facts = self._model_facts(self.model)
        if known := known_training(self.settings.model, self.corpus.name):
            facts = facts | {"training data": known}
        return pd.Series(facts, name="value").rename_axis("fact").to_frame()

    def _model_facts(self, model: AudioLanguageModel) -> dict[str, str]:
        """What a model says of itself, where it answers; one trained here can say it here."""
        if self.client is None or self.settings.model == TINY:
            return model.facts()
        from sercue.distributed.study import facts

        return facts(self.client, model)

    def _model_record(self) -> dict[str, Any]:
        """What provenance says of the model; of several, one a fold, what they have in common."""
        models = list(self.model.values()) if isinstance(self.model, dict) else [self.model]
        values = {name: [getattr(model, name) for model in models] for name in _MODEL_FACTS}
        record = {
            name: told[0] if len(set(told)) == 1 else ", ".join(map(str, told))
            for name, told in values.items()
        }
        if self.client is None:
            return record
        from sercue.distributed.study import where_it_ran

        return record | where_it_ran(self.client, models[0].name)

    def _prompt_options(self) -> dict[str, Any]:
        """What a model that is trained here learns to answer: the very prompts of this study."""
        return {"label_words": self.label_words, "templates": self.settings.templates}

    @property
    def label_words(self) -> dict[str, str]:
        """Label to the words that prompts show for it, in the order of the labels."""
        given = self.settings.labels
        words = given if isinstance(given, dict) else {}
        return {label: words.get(label, label) for label in self.corpus.labels}

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """The study itself, one row per prediction; stored answers are not asked again."""
        if self._left is not None:
            return self._in_plan_order(self._left.predictions)
        predictions = self.ask("predictions")
        self.artifacts.record(
            model=self._model_record(),
            torch=torch_facts(),
            predictions={
                "rows": len(predictions),
                "settings": self._stamp(STUDY_KEYS),
                "content": self.content,
                "digest": rows_digest(predictions),
            },
        )
        return predictions

    @cached_property
    def inputs(self) -> dict[str, Any]:
        """The identity of the answers that results carry, in addition to the settings."""
        answers = self._left.answers if self._left else rows_digest(self.predictions)
        return {"content": self.content, "answers": answers}

    def ask(self, store: str | None = None, **changes: Any) -> pd.DataFrame:
        """Run the study with some of its arguments changed; see ``run_study``.

        Args:
            store: folder below ``artifacts`` that keeps the answers; by default they are not kept
            **changes: arguments of ``run_study`` to set over those of the study
        """
        s = self.settings
        arguments = self._planned | {
            "model": self.model,
            "digests": self.digests,
            "decoding": s.decoding,
            "max_new_tokens": s.max_new_tokens,
            "client": self.client,
            "store": None if store is None else self.artifacts.folder / store,
            "also": [folder / (store or "predictions") for folder in self._shared],
        }
        return run_study(**(arguments | changes))

    @property
    def _shared(self) -> list[Path]:
        """Folders of artifacts that hold answers to the same study, those by hand among them."""
        folders = [artifacts.folder for artifacts in self._stores]
        if self._finished is None and self.settings.out is None:
            folders.append(scratch_folder(self.folder.name) / "artifacts")
        return folders

    def plan(self, **changes: Any) -> pd.DataFrame:
        """Every prompt of the study in full, without asking; see ``plan_study``."""
        return plan_study(**(self._planned | changes))

    @property
    def _planned(self) -> dict[str, Any]:
        s = self.settings
        return {
            "corpus": self.corpus,
            "tokens": self.tokens,
            "scores": self.scores,
            "conditions": s.conditions,
            "templates": s.templates,
            "label_words": self.label_words,
            "orders": s.label_orders,
            "replicates": s.replicates,
            "seed": s.seed,
            "partition": s.partition,
            "words": self.binning.words,
            "concept_wordings": s.concept_wordings,
        }

    @cached_property
    def prompting(self) -> pd.DataFrame:
        """The prompts with no and with aligned tokens, tried out in each decoding.

        On development speakers, or training speakers where there are none. Only in a
        cross-validation, where every speaker is evaluated, on some of those. A decoding that the
        model cannot do is left out, unless it is that of the study.
        """
        tables = []
        for decoding in DECODINGS:
            try:
                tables.append(self._try_out(decoding))
            except DecodingError:
                if decoding == self.settings.decoding:
                    raise
        return pd.concat(tables, ignore_index=True)

    def _try_out(self, decoding: str) -> pd.DataFrame:
        trial = {"conditions": ["none", "aligned"]} | self._tuning()
        return self.ask(f"prompting_{decoding}", decoding=decoding, **trial)

    def _tuning(self) -> dict[str, Any]:
        s, partition = self.settings, self.tuning_partition
        rows = stratified_sample(self.corpus.rows(partition), s.tuning_limit, s.seed)
        return {"corpus": self.corpus.with_table(rows), "partition": partition}

    @property
    def tuning_partition(self) -> str:
        """Where prompts are tried out: the evaluated partition only if there is no other."""
        others = [p for p in ("dev", "train") if p != self.settings.partition]
        present = [partition for partition in others if len(self.corpus.rows(partition))]
        return next(iter(present), self.settings.partition)

    @cached_property
    def controls(self) -> pd.DataFrame:
        """Answers of the control models, named in a column ``model``; empty without controls."""
        if why_no_controls(self.settings):
            return pd.DataFrame()
        stamp = {"settings": self._stamp(CONTROL_KEYS), "content": self.content}
        if self._left is None:
            from sercue.models.tiny import training_version

            stamp["training"] = training_version()
        stored = self._load("controls.parquet", **stamp)
        if stored is None:
            reason = self._untrainable
            answers = (
                pd.DataFrame({"model": pd.Series(dtype="str")}) if reason else self._ask_controls()
            )
            self.artifacts.save("controls.parquet", answers, **stamp, reason=reason)
            stored = self._load("controls.parquet", **stamp)
        return pd.DataFrame() if stored is None else stored

    @property
    def no_controls(self) -> str:
        """Why this study has no controls; an empty text if it has them."""
        return why_no_controls(self.settings) or str(
            self.artifacts.stamp(self.controls).get("reason", "")
        )

    @cached_property
    def _untrainable(self) -> str:
        """Why no control can be trained on this corpus: a study of another model goes on."""
        try:
            for folds in self._control_models.values():
                for model in folds.values():
                    model.check()
        except InputError as error:
            return f"No control model can be trained here: {error}."
        return ""

    def _ask_controls(self) -> pd.DataFrame:
        # The study first: a control that is the model under study has its answers.
        _ = self.predictions
        self.train()
        return pd.concat(map(self._ask_control, CONTROLS), ignore_index=True)

    @cached_property
    def _control_models(self) -> dict[str, dict[str, Any]]:
        """Control to fold to its model; one fold without a name where there are none."""
        s = self.settings
        return {
            name: {
                fold: load_model(
                    TINY,
                    device=s.device,
                    corpus=corpus,
                    tokens=tokens,
                    words=self.scheme.words,
                    options=self._prompt_options() | control_options(s, name),
                )
                for fold, (corpus, tokens) in self.views.items()
            }
            for name in CONTROLS
        }

    def train(self, *, controls: bool = True) -> None:
        """Train side by side whatever of this study is trained here and is not yet.

        Args:
            controls: the control models, too, which answer last
        """
        from sercue.models.tiny import TinyModel, train_all

        models = list(self.model.values()) if isinstance(self.model, dict) else [self.model]
        if controls and not why_no_controls(self.settings) and not self._untrainable:
            models += [one for folds in self._control_models.values() for one in folds.values()]
        train_all([model for model in models if isinstance(model, TinyModel)])

    def _ask_control(self, name: str) -> pd.DataFrame:
        """Answers of one control to the first wording and label order of the study."""
        s, store = self.settings, f"control_{name}"
        models = self._control_models[name]
        also = [folder / name for folder in self._shared for name in (store, "predictions")]
        asked = {"conditions": control_conditions(s), "templates": s.templates[:1], "orders": 1,
                 "replicates": 1, "decoding": "score"}  # fmt: skip
        model = models if self.corpus.folds else models[""]
        return self.ask(store, model=model, also=also, **asked).assign(model=name)

    def _in_plan_order(self, table: pd.DataFrame) -> pd.DataFrame:
        """Stored rows in the order in which a study returns them, whatever part they lie in."""
        order: dict[str, Sequence[str]] = {
            "utterance": list(utterance_ids(self.corpus.table.index)),
            "condition": self.settings.conditions,
            "template": self._template_names,
        }
        places = {
            name: codes_among(table[name], pd.Index(list(values))) for name, values in order.items()
        }
        keys = ["label_order", "template", "replicate", "condition", "utterance"]
        ranks = [places.get(name, table[name]) for name in keys]
        return table.iloc[np.lexsort(ranks)].reset_index(drop=True)

    @property
    def _template_names(self) -> list[str]:
        chosen = self.settings.templates
        if self.settings.made_elsewhere:
            return list(map(str, chosen))
        return [template.name for template in resolve_templates(chosen)]

    @cached_property
    def baselines(self) -> pd.DataFrame:
        """Predictions of the reference classifiers: tokens only, eGeMAPS with a linear SVM.

        And of the contrastive models that the study names. Empty where the answers were made
        elsewhere, without recordings.
        """
        if self.settings.made_elsewhere:
            return self.predictions.iloc[:0]
        chosen = self.settings.only(("partition", "seed"))
        tables = [
            baselines(self.features, tokens, corpus, **chosen)
            for corpus, tokens in self.views.values()
        ]
        if self.settings.baselines:
            tables.append(self.zero_shot)
        return pd.concat(tables, ignore_index=True)

    @cached_property
    def contrastive(self) -> dict[str, ContrastiveModel]:
        """The contrastive models that the study names, by name; weights load at their first use."""
        if not self.settings.baselines:
            return {}
        from sercue.models.contrastive import ContrastiveModel

        chosen = self.settings.only(("device", "dtype", "batch_size"))
        names = self.settings.baselines
        return {contrastive_name(name): ContrastiveModel(name, **chosen) for name in names}

    @cached_property
    def zero_shot(self) -> pd.DataFrame:
        """Predictions of the contrastive models; empty if the study names none.

        They are asked here, and not by the workers of a scheduler.
        """
        if not self.settings.baselines:
            return pd.DataFrame()
        stamp: dict[str, Any] = {"settings": self._stamp(BASELINE_KEYS), "content": self.content}
        if self._left is None:
            facts = ("identity", "device", "dtype")
            known = {
                name: {fact: getattr(model, fact) for fact in facts}
                for name, model in self.contrastive.items()
            }
            self.artifacts.record(baselines=known)
            stamp["identities"] = [facts["identity"] for facts in known.values()]
        stored = self._load("zero_shot.parquet", **stamp)
        if stored is None:
            answers = [self._ask_contrastive(name) for name in self.contrastive]
            self.artifacts.save("zero_shot.parquet", pd.concat(answers, ignore_index=True), **stamp)
            stored = self._load("zero_shot.parquet", **stamp)
        return pd.DataFrame() if stored is None else stored

    def _ask_contrastive(self, name: str) -> pd.DataFrame:
        from sercue.models.contrastive import label_similarities

        where, model = self.settings.only(["partition"]), self.contrastive[name]
        sentences = label_sentences(self.label_words)
        similarities = label_similarities(self.corpus, model, sentences, self.digests, **where)
        return zero_shot(similarities, self.corpus, name, **where)

    @cached_property
    def measures(self) -> pd.DataFrame:
        """Measures of each condition with the interval of its UAR, and of the baselines."""
        labels = self.corpus.labels
        parts = [
            measures(rows, labels).merge(self._intervals(rows)).assign(baseline=baseline)
            for rows, baseline in ((self.predictions, False), (self.baselines, True))
            if len(rows)
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
        """UAR of each condition, without the baselines, with its interval over speakers."""
        rows = self.measures[~self.measures["baseline"]]
        names = {"uar_low": "low", "uar_high": "high"}
        return rows[["condition", "uar", *names]].rename(columns=names)

    @property
    def references(self) -> dict[str, float]:
        """UAR of the references: chance and the reference classifiers."""
        rows = self.measures[self.measures["baseline"]].set_index("condition")["uar"]
        named = {str(name): float(uar) for name, uar in rows.items() if name != MAJORITY}
        return {"chance": chance(self.corpus.labels), **named}

    @cached_property
    def tests(self) -> pd.DataFrame:
        """The planned contrasts between conditions, with intervals and corrected p-values."""
        table = compare(*self._answered, self.contrasts, **self._resampling)
        self._save("tests.parquet", judged(table, self.equivalence))
        return table

    @cached_property
    def beside_tokens(self) -> pd.DataFrame:
        """The model with aligned tokens against a classifier that sees the tokens alone."""
        self._needs("aligned")
        rows = pd.concat([self.main_predictions, self.baselines.query("condition == @TOKENS_ONLY")])
        counted = speaker_counts(rows, self.corpus.labels)
        pairs = [("aligned", TOKENS_ONLY)]
        return uar_differences(counted, pairs, confidence=self.settings.confidence)

    @property
    def contrasts(self) -> list[tuple[str, str]]:
        """The planned family: pairs (condition, reference)."""
        return planned_contrasts(self.settings.conditions)

    @cached_property
    def main_predictions(self) -> pd.DataFrame:
        """The predictions but for those of conditions about single concepts."""
        return main_conditions(self.predictions)

    def changed(self, condition: str, reference: str) -> pd.DataFrame:
        """The utterances that are answered differently under two conditions, the surest first."""
        return changed_answers(self.predictions, condition, reference)

    def transitions(self, condition: str, reference: str) -> pd.DataFrame:
        """From which answer to which changed answers go, the most frequent first."""
        return answer_transitions(self.predictions, condition, reference)

    def changes_by_token(self, condition: str, reference: str) -> pd.DataFrame:
        """How often the answer changes with each change of a token."""
        return changes_by_token(self.predictions, condition, reference)

    def speakers(self) -> pd.DataFrame:
        """Each speaker's UAR by condition, and the differences of the planned contrasts."""
        return speaker_table(*self._answered, self.contrasts)

    # Each of these raises ``InputError`` where the study has no answers for it; ``if_possible``
    # makes a sentence of it.

    def _needs(self, *conditions: str) -> None:
        lacking = [name for name in conditions if name not in self.settings.conditions]
        if lacking:
            raise InputError(
                f"it needs the conditions {', '.join(conditions)}, and this study has no "
                f"{', '.join(lacking)}"
            )

    @cached_property
    def detectable(self) -> pd.DataFrame:
        """The minimum detectable difference in UAR of each contrast, at 80 % power."""
        return detectable_differences(self.tests)

    @cached_property
    def equivalence(self) -> pd.DataFrame:
        """Whether the planned contrasts are equal to within the study's margin."""
        margin = self.settings.margin
        return equivalence_tests(*self._answered, self.contrasts, margin=margin)

    @property
    def evidence(self) -> pd.DataFrame:
        """The planned contrasts: tests, minimum detectable effects, equivalence, verdicts."""
        return evidence(self.tests, self.detectable, self.equivalence)

    @cached_property
    def speaker_points(self) -> pd.DataFrame:
        """What each speaker adds to the UAR of each condition, on the scale of UAR."""
        return speaker_points(*self._answered)

    @cached_property
    def predicted_classes(self) -> pd.DataFrame:
        """How often each class is answered under each condition, with intervals over speakers."""
        return predicted_classes(*self._answered, confidence=self.settings.confidence)

    @cached_property
    def collapse(self) -> pd.DataFrame:
        """Whether answers are concentrated in one class, by more than the study's margin."""
        self._needs("aligned")
        margin = self.settings.margin
        return collapse_tests(*self._answered, entropy_margin=margin, share_margin=margin)

    @cached_property
    def dose_trend(self) -> pd.DataFrame:
        """The trend of UAR with the dose."""
        return dose_trends(*self._answered, **self._resampling)

    @cached_property
    def within_class(self) -> pd.DataFrame:
        """Tokens of another utterance of the same class, between own ones and those of any."""
        self._needs("aligned", "shuffled", "shuffled_within_class")
        pairs = [("aligned", "shuffled_within_class"), ("shuffled_within_class", "shuffled")]
        counted = speaker_counts(*self._answered)
        return uar_differences(counted, pairs, confidence=self.settings.confidence)

    @cached_property
    def shift(self) -> pd.DataFrame:
        """Which predicted classes gain and lose in each planned contrast."""
        drawn = self.settings.only(("resamples", "seed"))
        return shift_tests(*self._answered, self.contrasts, **drawn)

    @cached_property
    def neutral_shift(self) -> pd.DataFrame:
        """How much more often other classes are answered neutral than under a reference."""
        neutral = self.corpus.neutral_label
        if neutral is None:
            raise InputError(
                f"corpus {self.corpus.name!r} names no neutral class among its labels "
                f"{', '.join(self.corpus.labels)}, and a shift towards neutral needs one"
            )
        return neutral_shifts(*self._answered, neutral, **self._resampling)

    @cached_property
    def components(self) -> pd.DataFrame:
        """Variance components of UAR."""
        return uar_components(*self._answered)

    @cached_property
    def wordings(self) -> pd.DataFrame:
        """UAR of each condition with each wording of the prompt, with intervals over speakers."""
        if len(asked := self.predictions["template"].unique()) < 2:
            raise InputError(f"it needs two wordings, and this study has {', '.join(asked)}")
        return uar_intervals_by(*self._answered, confidence=self.settings.confidence)

    @cached_property
    def gain_by_template(self) -> pd.DataFrame:
        """The gain from aligned tokens in each wording."""
        self._needs("none", "aligned")
        return gain_by(*self._answered, by="template", confidence=self.settings.confidence)

    @cached_property
    def format_controls(self) -> pd.DataFrame:
        """Aligned tokens in other forms, against aligned ones and those without information."""
        asked = self.settings.conditions
        forms = [name for name in FORMS if name in asked]
        if not forms:
            raise InputError(
                f"this study has no control of the form of the tokens; valid are {', '.join(FORMS)}"
            )
        references = [name for name in ("aligned", "masked(1)", "constant") if name in asked]
        rows = self.predictions[self.predictions["condition"].isin([*forms, *references])]
        pairs = [(form, reference) for form in forms for reference in references]
        return compare(rows, self.corpus.labels, pairs, **self._resampling)

    @property
    def factorial(self) -> pd.DataFrame:
        """UAR by what is heard and what is read."""
        return factorial(self.intervals)

    @cached_property
    def audio_effects(self) -> pd.DataFrame:
        """What other audio takes away from UAR, what tokens add to it, and their interaction."""
        level = self.settings.confidence
        return audio_effects(self.predictions, self.corpus.labels, confidence=level)

    @cached_property
    def followed(self) -> pd.DataFrame:
        """Which class the answers are where audio and tokens are of different classes."""
        return followed(self.predictions, confidence=self.settings.confidence)

    @cached_property
    def follow(self) -> pd.DataFrame:
        """How strongly audio and tokens pull the answers, and the share of the tokens."""
        return follow(self.predictions, confidence=self.settings.confidence)

    @property
    def reliances(self) -> pd.DataFrame:
        """Two measures of reliance on the tokens: the follow ratio, and the share of weights."""
        ratio = self.follow.loc[["follow ratio"], ["value", "low", "high"]]
        table = or_none(lambda: self.reliance)
        if table is None:
            return ratio
        of_all = table[(table["by"] == "all") & (table["response"] == "probability")]
        share = of_all[["share", "low", "high"]].set_axis([*ratio], axis=1)
        names = pd.Index(["share of weights (conditional logit)"])
        return pd.concat([ratio, share.set_axis(names)]).rename_axis("measure")

    @property
    def _answered(self) -> tuple[pd.DataFrame, tuple[str, ...]]:
        return self.main_predictions, self.corpus.labels

    @cached_property
    def reliance(self) -> pd.DataFrame:
        """Weights of audio and tokens in the answers."""
        if reason := why_no_reliance(self.settings):
            raise InputError(reason)
        table = study_reliance(self.main_predictions, self.corpus, self._own_tokens, self.settings)
        self._save("reliance.parquet", table)
        return table

    @cached_property
    def control_reliance(self) -> pd.DataFrame:
        """Reliance of the controls and of the model under study."""
        return control_reliance(
            main_conditions(self._with_controls),
            self.corpus,
            self._own_tokens,
            confidence=self.settings.confidence,
        )

    @cached_property
    def control_uar(self) -> pd.DataFrame:
        """UAR of the controls and of the model under study, on the very same prompts."""
        return control_uar(main_conditions(self._with_controls), self.corpus.labels)

    @cached_property
    def control_follow(self) -> pd.DataFrame:
        """What the answers of the controls and of the model under study follow."""
        return control_follow(self._with_controls, confidence=self.settings.confidence)

    @cached_property
    def control_equivalence(self) -> pd.DataFrame:
        """Whether shuffled tokens leave each control where no tokens do."""
        return control_equivalence(
            self._answered_controls, self.corpus.labels, self.settings.margin
        )

    @property
    def _answered_controls(self) -> pd.DataFrame:
        if self.controls.empty:
            raise InputError(self.no_controls)
        return self.controls

    @cached_property
    def _with_controls(self) -> pd.DataFrame:
        return with_this_model(self._answered_controls, self.predictions)

    @property
    def _own_tokens(self) -> pd.DataFrame | dict[str, pd.DataFrame]:
        """True tokens; of a cross-validated corpus, those of each fold's view."""
        if not self.corpus.folds:
            return self.tokens
        return {fold: tokens for fold, (_, tokens) in self.views.items()}

    @cached_property
    def tried(self) -> pd.DataFrame:
        """Scored answers to the prompts with no and with aligned tokens, as in ``prompting``."""
        stamp = {"settings": self._stamp(STUDY_KEYS), **self.inputs,
                 "tuning_limit": self.settings.tuning_limit}  # fmt: skip
        stored = self._load("tried.parquet", **stamp)
        if stored is None and self._left is not None:
            raise InputError(
                f"answers about {self.tuning_partition} speakers are not stored; notebook 04 asks "
                "for them"
            )
        if stored is None:
            stored = self._try_out("score")
            self.artifacts.save("tried.parquet", stored, **stamp)
        return stored

    @cached_property
    def prior_answers(self) -> dict[str, pd.DataFrame]:
        """The answers that tell the label prior, by their source: silence, and other speakers.

        In a cross-validation the other speakers are those of the other folds, if one model answers
        all folds.
        """
        self._needs_probabilities("a label prior")
        silent = silent_answers(self.predictions)
        sources = {"silence": silent} if len(silent) else {}
        try:
            if self.corpus.folds:
                rows = self._with_fold(self.main_predictions)
                if several_models(rows):
                    raise InputError(
                        "each fold has a model of its own: answers about other folds tell the "
                        "label prior of other models; valid is the condition none @ silent"
                    )
                tried = rows[rows["condition"].isin(["none", "aligned"])]
                return sources | {"other folds": tried}
            if self.tuning_partition != self.settings.partition:
                return sources | {f"{self.tuning_partition} speakers": self.tried}
        except InputError:
            if not sources:
                raise
        if not sources:
            raise InputError("a label prior needs other speakers, or the condition none @ silent")
        return sources

    def _with_fold(self, predictions: pd.DataFrame) -> pd.DataFrame:
        table = self.corpus.table
        fold = pd.Series(table["fold"].to_numpy(object), utterance_ids(table.index))
        return predictions.assign(fold=predictions["utterance"].astype(object).map(fold))

    @cached_property
    def label_prior(self) -> pd.DataFrame:
        """Which labels the model prefers where nothing speaks for any, and what is divided out."""
        level = self.settings.confidence
        return label_prior(self.prior_answers, self.corpus.labels, confidence=level)

    @cached_property
    def corrected(self) -> pd.DataFrame:
        """UAR of each condition before and after a correction for the label prior."""
        sources, rows = self.prior_answers, self.main_predictions
        rows = self._with_fold(rows) if self.corpus.folds else rows
        level = self.settings.confidence
        return corrected_uar(rows, sources, self.corpus.labels, confidence=level)

    @cached_property
    def calibration(self) -> pd.DataFrame:
        """How well the probabilities of each condition fit the truth."""
        self._needs_probabilities("calibration")
        return calibration(*self._answered, confidence=self.settings.confidence)

    @cached_property
    def reliability(self) -> pd.DataFrame:
        """How often answers are right by their probability, for reliability diagrams."""
        self._needs_probabilities("calibration")
        return reliability(*self._answered, confidence=self.settings.confidence)

    @cached_property
    def raters(self) -> pd.DataFrame:
        """How far the probabilities of each condition are from what the raters chose."""
        rated = ratings(self.corpus)
        self._needs_probabilities("a distance to raters")
        return rater_distances(self.main_predictions, rated, confidence=self.settings.confidence)

    @cached_property
    def disagreement(self) -> pd.DataFrame:
        """Whether tokens are used more where raters disagree."""
        rated = ratings(self.corpus)
        self._needs_probabilities("a comparison with raters")
        level = self.settings.confidence
        return use_by_disagreement(self.main_predictions, rated, confidence=level)

    def _needs_probabilities(self, what: str) -> None:
        if self.settings.decoding != "score":
            raise InputError(
                f"Generated answers tell no probabilities of labels, which {what} needs"
            )

    @cached_property
    def concept_effects(self) -> pd.DataFrame:
        """What each concept does to UAR alone, when missing, when replaced by the opposite."""
        if not any(map(about_concepts, self.settings.conditions)):
            raise InputError("no condition is about single concepts; add masked(1), only(each)")
        level = self.settings.confidence
        return concept_effects(
            with_own_audio(self.predictions), self.corpus.labels, confidence=level
        )

    @cached_property
    def shapley(self) -> pd.DataFrame:
        """The Shapley value of each concept in UAR: its share in the content of the block."""
        names, asked = self.scheme.names, self.settings.conditions
        if missing := [name for name in subset_conditions(names) if name not in asked]:
            lacking = ", ".join(shortened(missing, names))
            raise InputError(f"Shapley values need every subset of the concepts; add {lacking}")
        rows, level = with_own_audio(self.predictions), self.settings.confidence
        return shapley(rows, self.corpus.labels, confidence=level)

    @cached_property
    def answer(self) -> dict[str, str]:
        """What the study answers, line by line; the index shows it."""
        told = study_answer(self)
        self._save("answer.parquet", pd.DataFrame(told.items(), columns=["line", "text"]))
        return told

    @property
    def findings(self) -> list[str]:
        """The answer of the study in plain English, and what limits it."""
        spread = spread_of_answers(main_conditions(self.measures))
        biased = or_none(lambda: prior_findings(self.corrected, self.calibration))
        return (
            answer_sentences(self.answer)
            + spread
            + (biased or [])
            + silence_finding(self.intervals, self.references["chance"])
            + limits(self.corpus, self.settings.partition, confounded=False)
        )

    @property
    def _resampling(self) -> dict[str, Any]:
        return self.settings.only(("resamples", "confidence", "seed"))

    @property
    def corpus_check(self) -> pd.DataFrame:
        """The check of the corpus: what is as expected, unusual, or wrong."""
        return check_corpus(self.listed, self.audio_facts).set_index("check")

    def show(
        self,
        name: str,
        exhibit: pd.DataFrame | Figure | Artist,
        caption: str,
        shown: pd.DataFrame | None = None,
        *,
        folded: bool = False,
    ) -> None:
        """Show a table or figure with its caption, and save it for a paper.

        It is then at hand as ``run.exhibits[name]``, with ``data`` of a table and ``figure``, which
        may be restyled and is saved anew when it is displayed again.

        Args:
            name: of its files: ``tables/<name>.csv`` (unrounded) and ``.tex``, or
                ``figures/<name>.svg`` and ``.pdf``
            exhibit: the numbers, or what was drawn
            caption: what it shows
            shown: of a table, the rows and columns that the report and LaTeX print; by default all
            folded: of a table that repeats a figure: the report shows its caption alone until a
                reader opens it

        Raises:
            StorageError: if a file cannot be written
        """
        if isinstance(exhibit, pd.DataFrame):
            path = self.folder / "tables" / name
            self.exhibits[name] = table_exhibit(exhibit, caption, path, shown, folded=folded)
        else:
            path = self.folder / "figures" / f"{name}.svg"
            self.exhibits[name] = figure_exhibit(exhibit, caption, path)
        display(self.exhibits[name])

    @property
    def fixture(self) -> str | None:
        """Why this run is no evidence, or ``None`` if nothing says so."""
        return fixture_notice(self.settings)

    def __repr__(self) -> str:
        s, model = self.settings, public_name(self.settings.model)
        return f"Run(study {s.study!r}: corpus {s.corpus!r}, model {model!r}, in {self.folder})"

    def _repr_html_(self) -> str:
        s = self.settings
        line = (
            f"Study <b>{html.escape(s.study)}</b>: corpus <b>{html.escape(s.corpus)}</b>, "
            f"model <b>{html.escape(public_name(s.model))}</b>, decoding {s.decoding}, "
            f"seed {s.seed}."
        )
        if self._finished is not None:
            name = html.escape(self.folder.name)
            kept = f"{html.escape(self._finished.folder.parents[1].name)}/{name}"
            line += (
                f" Opened by hand: tables and figures go to <b>scratch/{name}</b>, and "
                f"<b>{kept}</b> stays as it is (<code>out</code> names another folder)."
            )
        notice = f'<p class="notice">{html.escape(self.fixture)}</p>' if self.fixture else ""
        elsewhere = html.escape(elsewhere_notice(s) or "")
        return f"<p>{line}</p>{notice}" + f"<p>{elsewhere}</p>" * bool(elsewhere)
