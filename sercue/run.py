"""A run: one study, its folder, and the stages that its notebooks share.

Each stage is computed on first use through the cached functions, so that any notebook runs alone;
what it computed lies in ``artifacts`` for whoever reads on.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from sercue import provenance
from sercue.artifacts import Artifacts, Finished
from sercue.baselines import MAJORITY, baselines, chance
from sercue.binning import Binning, FoldBinning, fit_bins
from sercue.corpora.corpus import Corpus, utterance_ids
from sercue.corpora.partitions import stratified_sample
from sercue.corpus_check import check_corpus
from sercue.errors import DecodingError
from sercue.exhibits import FigureExhibit, TableExhibit, figure_exhibit, table_exhibit
from sercue.features import extract_features
from sercue.findings import study_findings
from sercue.inspection import inspect_audio
from sercue.measures import measures
from sercue.models import TINY, load_model
from sercue.models.cards import public_name
from sercue.paths import project_folder
from sercue.plots import plot_dose_response, plot_neutral_shift
from sercue.prompts import resolve_templates
from sercue.settings import (
    ANALYSIS_KEYS,
    BINNING_KEYS,
    CORPUS_KEYS,
    STUDY_KEYS,
    Settings,
    settings_from,
)
from sercue.significance import bootstrap_uar, compare
from sercue.study import DECODINGS, plan_study, run_study
from sercue.study_corpus import listed_corpus, usable_corpus

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from sercue.models import AudioLanguageModel

# ``batch_size`` after the answers: what was left of it where memory ran out.
_MODEL_FACTS = ("name", "identity", "device", "dtype", "batch_size")
FIXTURE = (
    "A fixture, not evidence: {why}. These numbers show that the instrument works; "
    "they say nothing about people or about any published model."
)


def open_run(parameters: Mapping[str, Any], *, reuse: bool = False) -> Run:
    """Open the run that a notebook's parameters describe.

    Args:
        parameters: study keys and values; a notebook hands over its ``globals()``, of which only
            the study keys are read
        reuse: take a finished study that lies in ``artifacts`` with the same settings, so that
            neither audio nor model is needed

    Raises:
        InputError: if a value is not valid
    """
    known = {key: parameters[key] for key in Settings.model_fields if key in parameters}
    return Run(settings_from(known, "notebook parameters"), reuse=reuse)


class Run:
    """One study and the folder it writes.

    Attributes:
        settings: the study's settings
        folder: ``reports/<study>``, or the folder that ``out`` names
    """

    def __init__(self, settings: Settings, *, reuse: bool = False) -> None:
        self.settings = settings
        self.folder = run_folder(settings)
        self.reuse = reuse
        self.artifacts = Artifacts(self.folder / "artifacts")
        self.artifacts.record(parameters=provenance.shareable(settings), **provenance.environment())

    # The stages, in the order in which data walks.

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
        self.artifacts.save_corpus(self.corpus, digests, self._stamp(CORPUS_KEYS))
        self.artifacts.record(corpus=_fingerprint(self.corpus, digests))
        return digests

    @cached_property
    def features(self) -> pd.DataFrame:
        """Functionals of eGeMAPS, one row an utterance."""
        if self._left is not None:
            return self._left.features
        _ = self.digests
        features = extract_features(self.corpus)
        self.artifacts.save("features.parquet", features, self._stamp(CORPUS_KEYS))
        return features

    @cached_property
    def binning(self) -> Binning | FoldBinning:
        """Thresholds of the six concepts, fitted on training rows: once, or once a fold."""
        binning = fit_bins(self.features, self.corpus, **self.bin_options)
        binning.save(self.artifacts.folder / "binning.json")
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

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Concept scores, the mean of robust z-scores, one row an utterance."""
        return self.binning.scores(self.features, self.corpus)

    @cached_property
    def tokens(self) -> pd.DataFrame:
        """The true tokens, one row an utterance, one column a concept."""
        tokens = self.binning.transform(self.features, self.corpus)
        self.artifacts.save("tokens.parquet", tokens, self._stamp((*CORPUS_KEYS, *BINNING_KEYS)))
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
    def model(self) -> AudioLanguageModel | dict[str, AudioLanguageModel]:
        """The model under study; its weights load when it is first asked.

        Of a cross-validated corpus, one a fold if the model is trained on the corpus.
        """
        if self.settings.model == TINY and self.corpus.folds:
            return {fold: self._load_model(*view) for fold, view in self.views.items()}
        return self._load_model(self.corpus, self.tokens)

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
            options=self._model_options(),
        )

    def describe_model(self) -> pd.DataFrame:
        """What is known of the model under study, for the report."""
        if isinstance(self.model, dict):
            first = next(iter(self.model.values()))
            number = f"{len(self.model)}, one a fold, trained on all other folds; of the first:"
            facts = {"models": number} | first.facts()
        else:
            facts = self.model.facts()
        return pd.Series(facts, name="value").rename_axis("fact").to_frame()

    def _model_record(self) -> dict[str, Any]:
        """What provenance says of the model; of several, one a fold, what they have in common."""
        models = list(self.model.values()) if isinstance(self.model, dict) else [self.model]
        values = {name: [getattr(model, name) for model in models] for name in _MODEL_FACTS}
        return {
            name: told[0] if len(set(told)) == 1 else ", ".join(map(str, told))
            for name, told in values.items()
        }

    def _model_options(self) -> dict[str, Any]:
        s = self.settings
        if s.model != TINY:
            return s.model_options
        # It learns to answer the very prompts of this study.
        prompts = {"label_words": self.label_words, "templates": s.templates}
        return prompts | s.model_options

    @property
    def label_words(self) -> dict[str, str]:
        """Label to the words that prompts show for it, in the order of the labels."""
        given = self.settings.labels
        words = given if isinstance(given, dict) else {}
        return {label: words.get(label, label) for label in self.corpus.labels}

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """The study itself, one row a prediction; stored answers are not asked again."""
        if self._left is not None:
            return self._in_plan_order(self._left.predictions)
        predictions = self.ask("predictions")
        self.artifacts.record(
            model=self._model_record(),
            predictions={"rows": len(predictions), "settings": self._stamp(STUDY_KEYS)},
        )
        return predictions

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
            "store": None if store is None else self.artifacts.folder / store,
        }
        return run_study(**(arguments | changes))

    def plan(self, **changes: Any) -> pd.DataFrame:
        """Every prompt of the study in full, without asking; see ``plan_study``."""
        return plan_study(**(self._planned | changes))

    @property
    def _planned(self) -> dict[str, Any]:
        s = self.settings
        return {
            "corpus": self.corpus,
            "tokens": self.tokens,
            "conditions": s.conditions,
            "templates": s.templates,
            "label_words": self.label_words,
            "orders": s.label_orders,
            "replicates": s.replicates,
            "seed": s.seed,
            "partition": s.partition,
            "words": self.binning.words,
        }

    @cached_property
    def prompting(self) -> pd.DataFrame:
        """The prompts with no and with aligned tokens, tried out in each decoding.

        On development speakers, or training speakers where there are none. Only in a
        cross-validation, where every speaker is evaluated, on some of those. A decoding that the
        model cannot do is left out, unless it is that of the study.
        """
        trial = {"conditions": ["none", "aligned"]} | self._tuning()
        tables = []
        for decoding in DECODINGS:
            try:
                tables.append(self.ask(f"prompting_{decoding}", decoding=decoding, **trial))
            except DecodingError:
                if decoding == self.settings.decoding:
                    raise
        return pd.concat(tables, ignore_index=True)

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
        self.artifacts.save("measures.parquet", table, self._stamp(ANALYSIS_KEYS))
        return table

    def _intervals(self, predictions: pd.DataFrame) -> pd.DataFrame:
        table = bootstrap_uar(predictions, self.corpus.labels, **self._resampling)
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
        table = compare(self.predictions, self.corpus.labels, **self._resampling)
        self.artifacts.save("tests.parquet", table, self._stamp(ANALYSIS_KEYS))
        return table

    @property
    def findings(self) -> list[str]:
        """The headline of the study in plain English."""
        return study_findings(self.measures, self.tests, len(self.corpus.labels))

    # What the report shows.

    @property
    def corpus_check(self) -> pd.DataFrame:
        """What was found of the corpus: what is as it should be, odd, or wrong."""
        return check_corpus(self.listed, self.audio_facts).set_index("check")

    def figure(self, name: str, drawing: Figure | Artist, caption: str) -> FigureExhibit:
        """Save a figure below ``figures`` and show it with its caption."""
        return figure_exhibit(drawing, caption, self.folder / "figures" / f"{name}.svg")

    def table(
        self, name: str, data: pd.DataFrame, caption: str, shown: pd.DataFrame | None = None
    ) -> TableExhibit:
        """Save a table below ``tables`` as CSV and LaTeX and show it with its caption."""
        return table_exhibit(data, caption, self.folder / "tables" / name, shown)

    def dose_response(self) -> FigureExhibit | str:
        """The figure of UAR against the share of replaced tokens, or why there is none."""
        if not any("(" in condition for condition in self.settings.conditions):
            return "No condition of this study has a dose, such as corrupted(0.5)."
        caption = "UAR against the share of tokens replaced, with intervals over speakers."
        return self.figure("dose_response", plot_dose_response(self.intervals), caption)

    def neutral_shift(self) -> FigureExhibit | str:
        """The figure of the shift towards neutral, or why there is none."""
        neutral = self.corpus.neutral_label
        if neutral is None:
            return f"Corpus {self.corpus.name!r} names no neutral class, so no shift is reported."
        caption = f"Change of the answer {neutral!r} to utterances of other classes."
        drawing = plot_neutral_shift(self.measures[~self.measures["baseline"]])
        return self.figure("neutral_shift", drawing, caption)

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
        notice = f'<p class="notice">{html.escape(self.fixture)}</p>' if self.fixture else ""
        return f"<p>{line}</p>{notice}"

    @cached_property
    def _left(self) -> Finished | None:
        """What an earlier notebook left, if it is to be taken and nothing of it is missing."""
        if not self.reuse:
            return None
        return self.artifacts.load_finished(self._stamp(CORPUS_KEYS), self._stamp(STUDY_KEYS))

    @property
    def _resampling(self) -> dict[str, Any]:
        return self.settings.only(("resamples", "confidence", "seed"))

    def _stamp(self, keys: tuple[str, ...]) -> str:
        return self.settings.fingerprint(keys)

    def _in_plan_order(self, table: pd.DataFrame) -> pd.DataFrame:
        """Stored rows in the order in which a study returns them, whatever part they lie in."""
        order: dict[str, Sequence[str]] = {
            "utterance": list(utterance_ids(self.corpus.table.index)),
            "condition": self.settings.conditions,
            "template": [t.name for t in resolve_templates(self.settings.templates)],
        }
        ranked = table.assign(
            **{
                f"rank {name}": table[name].map({value: i for i, value in enumerate(values)})
                for name, values in order.items()
            }
        )
        ranks = [f"rank {name}" for name in order]
        keys = [*ranks[:2], "replicate", ranks[2], "label_order"]
        return ranked.sort_values(keys, ignore_index=True).drop(columns=ranks)


def run_folder(settings: Settings) -> Path:
    """Where a study writes: ``out`` if it is set, else ``reports/<study>`` of the project."""
    if settings.out is not None:
        return Path(settings.out).expanduser()
    return project_folder() / "reports" / settings.study


def fixture_notice(settings: Settings) -> str | None:
    """The warning that a study on synthetic speech or with a tiny model must carry.

    Examples:
        >>> fixture_notice(Settings(corpus="emodb", model="qwen2-audio")) is None
        True
    """
    reasons = []
    if settings.corpus == "demo":
        reasons.append("the speech is synthetic")
    if settings.model == TINY:
        reasons.append("the model is a tiny one, trained here on the corpus itself")
    return FIXTURE.format(why=" and ".join(reasons)) if reasons else None


def _fingerprint(corpus: Corpus, digests: pd.Series) -> dict[str, Any]:
    return {
        "name": corpus.name,
        "utterances": len(corpus.table),
        "speakers": int(corpus.table["speaker"].nunique()),
        "content": f"{pd.util.hash_pandas_object(digests, index=False).sum():016x}",
    }
