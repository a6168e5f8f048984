"""The models that a study can name, and the interface that all of them have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from sercue.corpora.corpus import Corpus
from sercue.errors import InputError, unknown

HUB_PREFIX = "hf:"
TINY = "sercue-tiny"
_BYTES = {"float32": 4, "bfloat16": 2}


@runtime_checkable
class AudioLanguageModel(Protocol):
    """What a study asks of a model. Weights may load as late as the first answer."""

    @property
    def name(self) -> str:
        """How reports call the model."""

    @property
    def identity(self) -> str:
        """What the answers depend on: name, exact version of the weights, precision.

        Finished predictions are looked up by it, so it is known without loading weights.
        """

    @property
    def sampling_rate(self) -> int:
        """Samples a second that the methods expect."""

    @property
    def max_seconds(self) -> float:
        """The longest recording that the model takes, in seconds."""

    @property
    def device(self) -> str:
        """Where the model runs."""

    @property
    def dtype(self) -> str:
        """Precision of the weights."""

    def check(self) -> None:
        """Raise ``InputError`` if the model cannot be had; cheap beside loading it."""

    def facts(self) -> dict[str, str]:
        """What a report says of the model, name to value; may take as long as loading it."""

    def score(self, audio: np.ndarray, prompts: Sequence[str], labels: Sequence[str]) -> np.ndarray:
        """Log-likelihood of each label's words as the answer, array (prompts, labels), nats."""

    def generate(
        self, audio: np.ndarray, prompts: Sequence[str], max_new_tokens: int = 8
    ) -> list[str]:
        """The greedy answer to each prompt."""


@dataclass(frozen=True)
class ModelCard:
    """What is known of a model before it is fetched.

    Attributes:
        name: as studies name it
        repository: hub repository, empty for the model that is trained here
        licence: terms of the weights
        parameters: number of parameters
        description: one line
    """

    name: str
    repository: str
    licence: str
    parameters: int
    description: str

    def gigabytes(self, dtype: str) -> float:
        """Memory of the weights alone, in GB of 1e9 bytes; a run needs some fifth more."""
        return self.parameters * _BYTES[dtype] / 1e9


CARDS: tuple[ModelCard, ...] = (
    ModelCard(
        TINY,
        "",
        "MIT",
        1_160_000,
        "Qwen2-Audio in small, trained here on the corpus' training partition",
    ),
    ModelCard(
        "qwen2-audio",
        "Qwen/Qwen2-Audio-7B-Instruct",
        "Apache-2.0",
        8_397_000_000,
        "Qwen2-Audio 7B Instruct; recordings up to 30 s",
    ),
)


def available_models() -> pd.DataFrame:
    """The models that ``load_model`` knows by name; any other of the hub goes as ``hf:...``.

    Returns:
        DataFrame with one row a model: ``name``, ``repository``, ``licence``, ``parameters``,
        approximate memory of the weights as ``GB float32`` and ``GB bfloat16``, ``cached``
        (whether the hub's local cache holds it), ``description``

    Examples:
        >>> available_models()["name"].tolist()
        ['sercue-tiny', 'qwen2-audio']
    """
    rows = [
        {
            "name": card.name,
            "repository": card.repository,
            "licence": card.licence,
            "parameters": card.parameters,
            **{f"GB {dtype}": round(card.gigabytes(dtype), 3) for dtype in _BYTES},
            "cached": _in_hub_cache(card.repository) if card.repository else False,
            "description": card.description,
        }
        for card in CARDS
    ]
    return pd.DataFrame(rows)


def _in_hub_cache(repository: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    weights = ("model.safetensors", "model.safetensors.index.json")
    return any(isinstance(try_to_load_from_cache(repository, name), str) for name in weights)


def load_model(
    name: str,
    *,
    revision: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    batch_size: int = 32,
    corpus: Corpus | None = None,
    tokens: pd.DataFrame | None = None,
    options: Mapping[str, Any] | None = None,
) -> AudioLanguageModel:
    """The model that a study names. Nothing is fetched, trained or loaded before its first use.

    Args:
        name: ``"sercue-tiny"``, ``"qwen2-audio"``, or ``"hf:"`` with a hub repository or a folder
        revision: branch, tag or commit of the repository
        device: ``"auto"`` takes the first of cuda, mps, cpu that is there
        dtype: ``"auto"`` takes bfloat16 on cuda and float32 elsewhere
        batch_size: most prompts that run at once
        corpus: what ``sercue-tiny`` trains on
        tokens: what its prompts show, one row an utterance of the corpus
        options: for ``sercue-tiny``: ``recipe``, fields of ``Recipe``, ``templates``,
            ``label_words``

    Raises:
        InputError: if the name, an option, the device or the dtype is not valid, or if
            ``sercue-tiny`` lacks its corpus or tokens

    Examples:
        >>> load_model("qwen2-audo")
        Traceback (most recent call last):
            ...
        sercue.errors.InputError: unknown model 'qwen2-audo': did you mean 'qwen2-audio'? \
Valid are: sercue-tiny, qwen2-audio, hf:<repository or folder>
    """
    given = dict(options or {})
    if name == TINY:
        from sercue.models.tiny import TinyModel

        if corpus is None or tokens is None:
            missing = "corpus" if corpus is None else "tokens"
            raise InputError(f"{missing}: {TINY} is trained on it, found None")
        if revision is not None:
            raise InputError(f"revision: {TINY} is trained here and has none, found {revision!r}")
        return TinyModel(corpus, tokens, given, device=device, dtype=dtype, batch_size=batch_size)
    source = _source(name)
    if given:
        raise unknown(f"option of {name}", next(iter(given)), ["(it takes none)"])
    from sercue.models.chat import AudioChatModel

    return AudioChatModel(
        source,
        name=name,
        revision=revision,
        device=device,
        dtype=dtype,
        batch_size=batch_size,
    )


def _source(name: str) -> str | Path:
    if name.startswith(HUB_PREFIX) and len(name) > len(HUB_PREFIX):
        return name.removeprefix(HUB_PREFIX)
    for card in CARDS:
        if card.name == name and card.repository:
            return card.repository
    raise unknown(
        "model", name, [*(card.name for card in CARDS), f"{HUB_PREFIX}<repository or folder>"]
    )
