"""``sercue-tiny``: a small Qwen2-Audio, trained on the corpus at hand when it is first asked.

It is made so that the whole study runs anywhere, through the same code as the large models. What
it says of speech is no evidence: it has seen some minutes of it.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import audmetric
import numpy as np
import pandas as pd
import torch
import transformers

from sercue.corpora.audio import audio_digests, read_utterance, utterance_seconds
from sercue.corpora.corpus import Corpus
from sercue.errors import InputError
from sercue.models.cards import TINY, Answers, Audios, Prompts
from sercue.models.chat import AudioChatModel, resolve_device, resolve_dtype
from sercue.models.tiny_network import (
    SAMPLING_RATE,
    Recipe,
    TrainingData,
    make_network,
    make_processor,
    reading_material,
    tiny_options,
    train_network,
)
from sercue.notation import bounded, shortest
from sercue.running import no_progress, progress_bar, side_by_side, small_model_jobs
from sercue.storage.files import cache_folder, folder_written_aside, locked, write_text
from sercue.storage.tables import TRAINING, check_entries, read_json, write_json
from sercue.tokens.catalogue import parse_conditions
from sercue.tokens.concepts import WORDS, Words, words_by_concept
from sercue.tokens.condition import Material
from sercue.tokens.prompts import resolve_templates

LONGEST_SECONDS = 30
DEV_CONDITIONS = ("none", "aligned", "shuffled", "conflicting")
# Raise it whenever training code changes the weights: trained models are keyed by it.
_TRAINING = 3
# Seconds that another process may take to train the same model.
_LONGEST = 24 * 3600
_RECORD = "training.json"
# Hashes of all other files, as `sha256sum -c` reads them. Written last: a folder without it was
# left unfinished; one that it does not fit is damaged, and is trained anew.
_SUMS = "SHA256SUMS"


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class _OneThread(AudioChatModel):
    """A trained model, which answers on one thread as it was trained on one.

    A network this small gains nothing from a second one that sums do not pay for: they come out the
    same on any number of cores, and processes beside it have a core each.
    """

    score = _one_thread()(AudioChatModel.score)
    generate = _one_thread()(AudioChatModel.generate)


class TinyModel:
    """A small Qwen2-Audio, trained on the training partition of a corpus and cached.

    Args:
        corpus: its training rows are learnt, its development rows measured
        tokens: tokens of its rows, shape (utterances, concepts)
        options: those of ``TinyOptions``
        words: concept to its words; a sequence, from low to high, is that of every concept
        device: where answers are computed; training is always on the CPU
        dtype: precision of answers; training is always float32
        batch_size: most recordings that run at once

    Attributes:
        sampling_rate: samples a second, 16000

    Raises:
        InputError: if an option is unknown, a label has no training utterance, a row of the
            corpus has no tokens, or an utterance is longer than 30 s
    """

    name = TINY
    sampling_rate = SAMPLING_RATE

    def __init__(
        self,
        corpus: Corpus,
        tokens: pd.DataFrame,
        options: Mapping[str, Any],
        *,
        words: Mapping[str, Words] | Sequence[str] = WORDS[3],
        device: str = "auto",
        dtype: str = "auto",
        batch_size: int = 8,
    ) -> None:
        own = tiny_options(options)
        label_words = own.label_words or {label: label for label in corpus.labels}
        self.templates = resolve_templates(own.templates)
        epochs = own.epochs_for(len(corpus.rows("train")))
        fields = {name: getattr(own, name) for name in Recipe.model_fields}
        self.recipe = Recipe(**fields | {"epochs": epochs})
        self.device, self._asked_device = resolve_device(device), device
        self.dtype = resolve_dtype(dtype, self.device)
        self._batch_size = batch_size
        self._corpus, self._tokens = corpus, tokens
        self._vocabulary = words_by_concept(words, list(map(str, tokens)))
        if set(label_words) != set(corpus.labels):
            raise InputError(
                f"label_words: found {', '.join(label_words)}, "
                f"valid are exactly {', '.join(corpus.labels)}"
            )
        self._words = {label: label_words[label] for label in corpus.labels}
        _check_rows(corpus, tokens)

    def __repr__(self) -> str:
        return f"TinyModel({self._corpus.name!r}, {self.device}, {self.dtype})"

    @property
    def identity(self) -> str:
        """Name, hash of all that determines the weights, and precision."""
        return f"{self.name}@{self.key}/{self.dtype}"

    @property
    def one_thread(self) -> bool:
        """Whether it uses one core, so that several processes may ask it side by side."""
        return self.device == "cpu"

    @property
    def batch_size(self) -> int:
        """Recordings that run at once; see ``AudioChatModel.batch_size``."""
        return self.answering.batch_size if "answering" in self.__dict__ else self._batch_size

    @cached_property
    def max_seconds(self) -> float:
        """The corpus' longest utterance, rounded up to whole seconds, so that none is cut.

        By one or more seconds longer where the encoder, which halves the frames, would be left with
        an odd one.
        """
        longest = max(utterance_seconds(self._corpus, row) for row in self._corpus.table.index)
        if longest > LONGEST_SECONDS:
            raise InputError(
                f"corpus {self._corpus.name!r}: its longest utterance has {longest:.1f} s, but "
                f"{TINY} takes {LONGEST_SECONDS} s at most; split longer ones into segments"
            )
        seconds = math.ceil(longest)
        while seconds * SAMPLING_RATE // self.recipe.hop % 2:
            seconds += 1
        return float(seconds)

    @cached_property
    def key(self) -> str:
        """A hash of the recipe, the training data, the prompts and the libraries."""
        training = self._corpus.rows("train")
        digests = audio_digests(replace(self._corpus, table=training))
        material = {
            "training": _TRAINING,
            "recipe": dict(self.recipe),
            "seconds": self.max_seconds,
            "audio": [str(digest) for digest in digests],
            "labels": training["emotion"].tolist(),
            "tokens": self._tokens.loc[training.index].to_numpy().tolist(),
            "concepts": [str(concept) for concept in self._tokens.columns],
            "words": self._words,
            "opposites": {c: dict(w.opposites) for c, w in self._vocabulary.items()},
            "templates": [asdict(template) for template in self.templates],
            "libraries": _versions(),
        }
        return hashlib.sha256(json.dumps(material).encode()).hexdigest()[:16]

    @property
    def folder(self) -> Path:
        """Where the trained model lies once it is trained."""
        return cache_folder() / "models" / f"{TINY}-{self.key}"

    def check(self) -> None:
        """Raise ``InputError`` if the corpus cannot be trained on."""
        _ = self.max_seconds

    def facts(self) -> dict[str, str]:
        """What a report says of the model, its training among it."""
        told = self.train()
        recipe, uar = told["recipe"], told["dev uar"]
        shares = {
            "prompts without tokens": recipe["share_none"],
            "with own tokens": recipe["share_aligned"],
            "probability that a token of the rest is replaced": recipe["noise"],
            "some of the tokens hidden where there are tokens": recipe["share_masked"],
            "recordings blanked where there are tokens": recipe["blank_audio"],
            "recordings exchanged where there are tokens": recipe["swap_audio"],
        }
        return self.answering.facts() | {
            "identity": self.identity,
            "trained on": f"{told['training utterances']} utterances "
            f"of {told['training speakers']} speakers, {recipe['epochs']} times each",
            "recipe": "; ".join(f"{what} {shortest(share)}" for what, share in shares.items()),
            "training time": f"{told['training seconds']:g} s on one core",
            "UAR on development speakers": ", ".join(f"{c} {bounded(v)}" for c, v in uar.items()),
        }

    @property
    def training_rows(self) -> pd.DataFrame:
        """What it learns from: rows of the corpus table."""
        return self._corpus.rows("train")

    @property
    def trained(self) -> bool:
        """Whether the trained model is stored already, each of its bytes as it was written."""
        return _is_finished(self.folder)

    def train(self) -> dict[str, Any]:
        """Train and store the model unless it is stored already.

        On one thread: a network this small gains little from a second, sums come out the same on
        any machine's number of cores, and several models can be trained side by side.

        Returns:
            what ``training.json`` holds: recipe, corpus, losses, UAR of the development
            speakers by condition, seconds, versions

        Raises:
            InputError: if ``training.json`` is not as this sercue writes it
        """
        if not self.trained:
            with locked(self.folder, _LONGEST), _one_thread():
                # Meanwhile by another process, it may be.
                if not self.trained:
                    self._train_aside()
        file = self.folder / _RECORD
        stored = read_json(file, TRAINING)
        check_entries(file, stored, TRAINING)
        return stored

    def score(self, audios: Audios, prompts: Prompts, labels: Sequence[str]) -> list[np.ndarray]:
        """See ``AudioChatModel.score``."""
        return self.answering.score(audios, prompts, labels)

    def generate(self, audios: Audios, prompts: Prompts, max_new_tokens: int = 8) -> Answers:
        """See ``AudioChatModel.generate``."""
        return self.answering.generate(audios, prompts, max_new_tokens)

    @cached_property
    def answering(self) -> AudioChatModel:
        """The trained checkpoint alone, which answers, without the corpus that it learnt from."""
        self.train()
        return self._loaded(self.folder)

    def _loaded(self, folder: Path) -> AudioChatModel:
        return _OneThread(
            folder,
            name=TINY,
            device=self._asked_device,
            dtype=self.dtype,
            batch_size=self._batch_size,
        )

    def _train_aside(self) -> None:
        """Train in a folder beside the final one and rename it: no reader sees half a model."""
        with folder_written_aside(self.folder, _is_finished) as aside:
            # Whatever draws random numbers on the way, the caller's own stay as they were.
            with torch.random.fork_rng(devices=[]):
                record = self._fit(aside)
            write_json(aside / _RECORD, record, TRAINING)
            write_text(aside / _SUMS, _sums(aside))

    def _fit(self, folder: Path) -> dict[str, Any]:
        start = time.perf_counter()
        rows = self._corpus.rows("train")
        tokens = self._tokens.loc[rows.index]
        words = list(self._words.values())
        texts = reading_material(self.templates, words, tokens)
        processor = make_processor(texts, self.recipe, int(self.max_seconds))
        network = make_network(processor, self.recipe)
        data = TrainingData(
            audio=[read_utterance(self._corpus, row, SAMPLING_RATE) for row in rows.index],
            tokens=tokens,
            answers=[self._words[label] for label in rows["emotion"]],
            templates=self.templates,
            words=words,
        )
        losses = train_network(network, processor, data, self.recipe)
        network.save_pretrained(folder)
        processor.save_pretrained(folder)
        trained = time.perf_counter() - start
        return {
            "corpus": self._corpus.name,
            "words": self._words,
            "recipe": dict(self.recipe),
            "templates": [template.name for template in self.templates],
            "training utterances": len(rows),
            "training speakers": int(rows["speaker"].nunique()),
            "parameters": sum(weights.numel() for weights in network.parameters()),
            "losses": losses,
            "dev uar": self._dev_uar(self._loaded(folder)),
            "training seconds": round(trained, 1),
            "libraries": _versions(),
        }

    def _dev_uar(self, model: AudioChatModel) -> dict[str, float]:
        """UAR of the development utterances by condition, in [0, 1], the mean over templates."""
        rows = self._corpus.rows("dev")
        if len(rows) < 2:
            return {}
        material = Material(self._tokens.loc[rows.index], self._vocabulary)
        conditions = parse_conditions(DEV_CONDITIONS, list(material.words))
        shown = [condition.show(material, seed=0) for condition in conditions]
        options, labels = list(self._words.values()), np.array(list(self._words), dtype=object)
        prompts = []
        for number in range(len(rows)):
            blocks = [
                None if table is None else {str(c): str(w) for c, w in table.iloc[number].items()}
                for table in shown
            ]
            prompts.append([t.render(options, block) for t in self.templates for block in blocks])
        audios = [read_utterance(self._corpus, row, SAMPLING_RATE) for row in rows.index]
        answers = np.array(
            [labels[scores.argmax(axis=1)] for scores in model.score(audios, prompts, options)]
        ).reshape(len(rows), len(self.templates), len(shown))
        truth = rows["emotion"].tolist()
        uar = {}
        for place, name in enumerate(DEV_CONDITIONS):
            of_templates = [
                audmetric.unweighted_average_recall(truth, list(answers[:, template, place]))
                for template in range(len(self.templates))
            ]
            uar[name] = round(float(np.mean(of_templates)), 4)
        return uar


def train_all(models: Sequence[TinyModel], *, jobs: int | None = None) -> None:
    """Train several models in parallel, one per core, unless they are already stored.

    Those that another process trains at this moment are waited for.

    Args:
        models: the models; equal ones are trained once
        jobs: processes; by default as many as there are cores, but four at most
    """
    begun = {model.key: model for model in models if not model.trained}
    if not begun:
        return
    with progress_bar(total=len(begun), desc="models in training elsewhere", unit="model") as bar:
        for model in begun.values():
            with locked(model.folder, _LONGEST):
                bar.update()
    # The longest first, so that no core waits for it at the end.
    left = sorted(
        (model for model in begun.values() if not model.trained),
        key=lambda model: -(model.recipe.epochs or 0) * len(model.training_rows),
    )
    number = min(jobs or small_model_jobs(), len(left))
    if number < 2:
        for model in left:
            model.train()
        return
    trained = side_by_side(_train_quietly, [(model,) for model in left], number)
    with progress_bar(
        total=len(left), desc=f"training {len(left)} small models", unit="model"
    ) as bar:
        for _ in trained:
            bar.update()


def _train_quietly(model: TinyModel) -> None:
    # Bars of several processes would write over each other.
    with no_progress():
        model.train()


def _check_rows(corpus: Corpus, tokens: pd.DataFrame) -> None:
    untrained = set(corpus.labels) - set(corpus.rows("train")["emotion"])
    if untrained:
        raise InputError(
            f"corpus {corpus.name!r}: no training utterance of {', '.join(sorted(untrained))}; "
            f"{TINY} learns from the training partition"
        )
    missing = corpus.table.index.difference(tokens.index)
    if len(missing):
        raise InputError(
            f"tokens: none for {len(missing)} utterances of {corpus.name!r}, the first "
            f"{missing[0][0]}; valid is one row per utterance"
        )


def _is_finished(folder: Path) -> bool:
    sums = folder / _SUMS
    return sums.is_file() and sums.read_bytes() == _sums(folder).encode()


def _sums(folder: Path) -> str:
    # Hidden ones are of the system, such as those that file managers leave.
    files = sorted(
        file
        for file in folder.iterdir()
        if file.is_file() and file.name != _SUMS and not file.name.startswith(".")
    )
    return "".join(
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files
    )


def training_version() -> str:
    """What decides a trained model besides its corpus and its options."""
    return json.dumps([_TRAINING, _versions()])


def _versions() -> dict[str, str]:
    return {"torch": torch.__version__, "transformers": transformers.__version__}
