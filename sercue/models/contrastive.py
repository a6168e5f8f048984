"""Contrastive models of audio and text (CLAP), asked which sentence is nearest to a recording."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import transformers
from accelerate.utils import find_executable_batch_size
from torch.nn.functional import normalize

from sercue.corpora.audio import read_utterance
from sercue.corpora.corpus import Corpus
from sercue.errors import InputError
from sercue.models.cards import contrastive_source, usable_samples
from sercue.models.chat import resolve_device, resolve_dtype
from sercue.models.checkpoint import Checkpoint
from sercue.models.hub import audio_part, told_of
from sercue.models.windows import split_evenly
from sercue.privacy import public_name
from sercue.running import progress_bar
from sercue.storage.files import cache_folder
from sercue.storage.tables import CACHED_SIMILARITIES, through_cache

# What an interruption can cost.
_BATCHES_AT_ONCE = 8
# To be raised when the same recording would get other similarities.
_VERSION = 1


class ContrastiveModel:
    """A ``ClapModel`` of transformers, with its own processor.

    A recording is heard whole: a longer one than the model takes is split into the fewest windows
    of equal length, and the similarities of the windows are averaged. That names the same label as
    the mean of the windows' unit embeddings does. A shorter one is filled up as the checkpoint's
    processor says. So nothing is cut, and nothing is drawn at random, as the processor would do
    with a long recording.

    Weights are read from safetensors only, and no code of the repository is run. They load at the
    first use.

    Args:
        baseline: as studies name it; see ``cards.contrastive_source``
        device: ``"cuda"``, ``"mps"``, ``"cpu"``, or ``"auto"`` for the first of these at hand
        dtype: ``"float32"``, ``"bfloat16"``, ``"float16"``, or ``"auto"``: bfloat16 on cuda,
            float32 elsewhere
        batch_size: most windows that run at once; fewer when the device is out of memory

    Raises:
        InputError: if an argument is not valid here

    Source: Wu et al.: Large-scale contrastive language-audio pretraining with feature fusion and
    keyword-to-caption augmentation. ICASSP 2023, arXiv 2211.06687.
    """

    def __init__(
        self, baseline: str, *, device: str = "auto", dtype: str = "auto", batch_size: int = 8
    ) -> None:
        self.source, self.revision = contrastive_source(baseline)
        self.device = resolve_device(device)
        self.dtype = resolve_dtype(dtype, self.device)
        self.batch_size = batch_size
        self.name = public_name(baseline)
        self._checkpoint = _ClapCheckpoint(self.source, self.name, self.revision)

    def __repr__(self) -> str:
        return f"ContrastiveModel({self.name!r}, {self.device}, {self.dtype})"

    @property
    def identity(self) -> str:
        """Name, content and precision: what the similarities depend on. Loads no weights."""
        return f"{self.name}@{self._checkpoint.content}/{self.dtype}"

    @property
    def sampling_rate(self) -> int:
        """Samples a second that ``similarities`` expects."""
        return int(self._extractor.sampling_rate)

    @property
    def max_seconds(self) -> float:
        """The longest window, in seconds."""
        return self._longest / self.sampling_rate

    def check(self) -> None:
        """Raise ``InputError`` if the model cannot be had; fetches and loads no weights."""
        self._checkpoint.check()
        _ = self.max_seconds

    def similarities(self, audios: Sequence[np.ndarray], sentences: Sequence[str]) -> np.ndarray:
        """The scaled cosine of each recording and each sentence: CLAP's ``logits_per_audio``.

        Args:
            audios: recordings, float arrays (samples,) at ``sampling_rate``, in [-1, 1]
            sentences: texts

        Returns:
            float64, shape (recordings, sentences); from minus to plus the model's scale, with
            which they were trained as the logits of a softmax over sentences

        Raises:
            InputError: if a recording cannot be used, or a similarity is not finite
        """
        usable = [usable_samples(one, self.sampling_rate, math.inf, self.name) for one in audios]
        windows = [split_evenly(samples, self._longest) for samples in usable]
        with told_of(self.name, f"it cannot compare recordings with sentences on {self.device}"):
            heard = self._heard([window for own in windows for window in own])
            logits = heard @ self._read(sentences).T * self._model.logit_scale_a.exp().item()
        ends = np.cumsum([len(own) for own in windows])[:-1]
        means = [own.mean(axis=0) for own in np.split(logits.cpu().double().numpy(), ends)]
        if wrong := int((~np.isfinite(means)).any(axis=1).sum()):
            raise InputError(
                f"model {self.name!r}: in {self.dtype}, the similarities of {wrong} of "
                f"{len(audios)} recordings are not finite; set dtype to bfloat16 or float32, or "
                "download the weights again"
            )
        return np.array(means)

    @cached_property
    def _heard(self) -> Callable[[Sequence[np.ndarray]], torch.Tensor]:
        """What embeds windows, fewer at once from the call on in which memory ran out."""
        return find_executable_batch_size(self._in_batches, self.batch_size)

    def _in_batches(self, at_once: int, windows: Sequence[np.ndarray]) -> torch.Tensor:
        """Unit embeddings of windows, float32, shape (windows, dimensions)."""
        starts = range(0, len(windows), at_once)
        return torch.cat([self._hear(windows[start : start + at_once]) for start in starts])

    @torch.inference_mode()
    def _hear(self, windows: Sequence[np.ndarray]) -> torch.Tensor:
        encoded = self._extractor(
            list(windows), sampling_rate=self.sampling_rate, return_tensors="pt"
        )
        features = encoded["input_features"].to(self._model.device, self._model.dtype)
        # The processor calls one of them longer than the model takes, by chance; none of them is.
        longer = torch.zeros(len(windows), 1, dtype=torch.bool, device=features.device)
        return _unit(self._model.get_audio_features(features, is_longer=longer))

    @torch.inference_mode()
    def _read(self, sentences: Sequence[str]) -> torch.Tensor:
        """Unit embeddings of sentences, float32, shape (sentences, dimensions)."""
        encoded = self._checkpoint.processor.tokenizer(
            list(sentences), padding=True, return_tensors="pt"
        ).to(self._model.device)
        return _unit(self._model.get_text_features(encoded["input_ids"], encoded["attention_mask"]))

    @property
    def _extractor(self) -> Any:
        return audio_part(self._checkpoint.processor)

    @property
    def _longest(self) -> int:
        """Samples of the longest window."""
        longest = getattr(self._extractor, "nb_max_samples", 0)
        if not (isinstance(longest, int) and longest > 0):
            raise InputError(
                f"model {self.name!r}: its processor takes {longest!r} samples; valid is a whole "
                "number above 0 (max_length_s and sampling_rate in preprocessor_config.json)"
            )
        return longest

    @cached_property
    def _model(self) -> Any:
        return self._checkpoint.load(self.device, self.dtype)


def _unit(output: Any) -> torch.Tensor:
    """Embeddings of length 1, in float32 whatever the precision of the weights."""
    return normalize(output.pooler_output.float(), dim=-1)


class _ClapCheckpoint(Checkpoint):
    """A folder or repository with a ``ClapModel``."""

    def check(self, attention: str | None = None) -> None:
        """Check as ``Checkpoint.check`` does, but for what only a chat needs."""
        _ = self._architecture
        self._require_safetensors()
        with told_of(self.name, "its tokenizer cannot be used"):
            tokens = len(self.processor.tokenizer)
        if tokens > self._config.text_config.vocab_size:
            raise InputError(
                f"model {self.name!r}: its tokenizer has {tokens} tokens, but its weights have "
                f"embeddings of {self._config.text_config.vocab_size}; valid are files that belong "
                "together"
            )
        self._without_memory(attention)

    @cached_property
    def _architecture(self) -> type[transformers.PreTrainedModel]:
        if not isinstance(self._config, transformers.ClapConfig):
            raise InputError(
                f"model {self.name!r}: config.json has the type {self._config.model_type!r}; valid "
                "is clap"
            )
        return transformers.ClapModel


def label_similarities(
    corpus: Corpus,
    model: ContrastiveModel,
    sentences: Mapping[str, str],
    digests: pd.Series,
    *,
    partition: str = "test",
    cache: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """How similar each utterance is to the sentence of each label.

    What was compared before is taken from the cache. It is keyed by the content of the audio, the
    identity of the model and the sentences. Utterances are stored as they are compared, so that an
    interrupted run goes on where it stopped.

    Args:
        corpus: the utterances
        model: what compares
        sentences: label to its sentence
        digests: content identity of each utterance's audio, as ``audio_digests`` has it
        partition: the utterances to compare
        cache: folder of what was compared, by default ``contrastive`` in ``cache_folder()``
        progress: whether to show a progress bar

    Returns:
        float64, one row per utterance of the partition, one column per label; see
        ``ContrastiveModel.similarities``

    Raises:
        InputError: if a recording or the model cannot be used
    """
    digests, texts = digests.loc[corpus.rows(partition).index], list(sentences.values())
    asked = json.dumps([_VERSION, model.identity, *texts])
    folder = cache_folder() / "contrastive" if cache is None else Path(cache)
    folder /= hashlib.blake2b(asked.encode(), digest_size=8).hexdigest()
    # The same audio twice in a corpus is compared once.
    different, size = digests[~digests.duplicated()], _BATCHES_AT_ONCE * model.batch_size

    def measured(lacking: pd.Series) -> Iterator[pd.DataFrame]:
        bar = progress_bar(total=len(lacking), desc=model.name, unit="utt", disable=not progress)
        with bar:
            # Which are compared together does not depend on what is known: sums depend on it in
            # their last digits.
            for start in range(0, len(different), size):
                batch = different.iloc[start : start + size]
                batch = batch[batch.isin(lacking)]
                if len(batch):
                    rate = model.sampling_rate
                    compared = model.similarities(
                        [read_utterance(corpus, key, rate) for key in batch.index], texts
                    )
                    index = pd.Index(batch, name="audio", dtype=object)
                    yield pd.DataFrame(compared, index, texts)
                    bar.update(len(batch))

    stored = through_cache(folder, CACHED_SIMILARITIES, digests, measured)
    return stored[texts].set_axis(list(sentences), axis=1)
