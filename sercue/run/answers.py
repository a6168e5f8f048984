"""The model of a run, what it was asked and what it answered."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sercue.categories import codes_among
from sercue.controls import CONTROLS, control_conditions, control_options, why_no_controls
from sercue.corpora.corpus import Corpus, utterance_ids
from sercue.corpora.partitions import stratified_sample
from sercue.errors import DecodingError, InputError
from sercue.models import TINY, load_model
from sercue.prompts import resolve_templates
from sercue.provenance import torch_facts
from sercue.run.stages import Stages
from sercue.settings import CONTROL_KEYS, STUDY_KEYS
from sercue.study import DECODINGS, plan_study, run_study
from sercue.study.store import rows_digest

if TYPE_CHECKING:
    from sercue.models import AudioLanguageModel


# ``batch_size`` after the answers: what was left of it where memory ran out.
_MODEL_FACTS = ("name", "identity", "device", "dtype", "batch_size")


class Answers(Stages):
    """A study with its model, its controls and their answers."""

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
            options=(self._prompt_options() if s.model == TINY else {}) | s.model_options,
        )

    def describe_model(self) -> pd.DataFrame:
        """What is known of the model under study, for the report."""
        self._train()
        if isinstance(self.model, dict):
            first = next(iter(self.model.values()))
            number = f"{len(self.model)}, one a fold, trained on all other folds; of the first:"
            facts = {"models": number} | first.facts()
        else:
            facts = self._model_facts(self.model)
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
        """The study itself, one row a prediction; stored answers are not asked again."""
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
        """What all that follows from the answers is stamped with, besides its settings."""
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
    def controls(self) -> pd.DataFrame:
        """Answers of the control models, named in a column ``model``; empty without controls."""
        if why_no_controls(self.settings):
            return pd.DataFrame()
        stamp = {"settings": self._stamp(CONTROL_KEYS), "content": self.content}
        if self._left is None:
            from sercue.models.tiny import training_version

            stamp["training"] = training_version()
        stored = self.artifacts.load("controls.parquet", **stamp)
        if stored is None:
            reason = self._untrainable
            answers = (
                pd.DataFrame({"model": pd.Series(dtype="str")}) if reason else self._ask_controls()
            )
            self.artifacts.save("controls.parquet", answers, **stamp, reason=reason)
            stored = self.artifacts.load("controls.parquet", **stamp)
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
        self._train()
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
                    options=self._prompt_options() | control_options(s, name),
                )
                for fold, (corpus, tokens) in self.views.items()
            }
            for name in CONTROLS
        }

    def _train(self) -> None:
        """Train side by side whatever of this study is trained here and is not yet."""
        from sercue.models.tiny import TinyModel, train_all

        models = list(self.model.values()) if isinstance(self.model, dict) else [self.model]
        if not why_no_controls(self.settings) and not self._untrainable:
            models += [one for folds in self._control_models.values() for one in folds.values()]
        train_all([model for model in models if isinstance(model, TinyModel)])

    def _ask_control(self, name: str) -> pd.DataFrame:
        """Answers of one control to the first wording and label order of the study."""
        s = self.settings
        models = self._control_models[name]
        asked = {"conditions": control_conditions(s), "templates": s.templates[:1], "orders": 1,
                 "replicates": 1, "decoding": "score"}  # fmt: skip
        model = models if self.corpus.folds else models[""]
        return self.ask(f"control_{name}", model=model, **asked).assign(model=name)

    def _in_plan_order(self, table: pd.DataFrame) -> pd.DataFrame:
        """Stored rows in the order in which a study returns them, whatever part they lie in."""
        order: dict[str, Sequence[str]] = {
            "utterance": list(utterance_ids(self.corpus.table.index)),
            "condition": self.settings.conditions,
            "template": [t.name for t in resolve_templates(self.settings.templates)],
        }
        places = {
            name: codes_among(table[name], pd.Index(list(values))) for name, values in order.items()
        }
        keys = ["label_order", "template", "replicate", "condition", "utterance"]
        ranks = [places.get(name, table[name]) for name in keys]
        return table.iloc[np.lexsort(ranks)].reset_index(drop=True)
