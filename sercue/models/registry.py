"""The interface that all models have, and the way from a study's name to a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from sercue.errors import InputError
from sercue.models.availability import cached_snapshot
from sercue.models.cards import (
    BYTES,
    CARDS,
    ENDPOINT_PREFIX,
    TINY,
    Answers,
    Audios,
    Prompts,
    checkpoint_source,
)
from sercue.models.windows import LongAudioOptions, Windowed
from sercue.options import checked
from sercue.privacy import public_name
from sercue.tokens.concepts import WORDS, Words

if TYPE_CHECKING:
    import pandas as pd

    from sercue.corpora.corpus import Corpus


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

    @property
    def batch_size(self) -> int:
        """Utterances that a call of ``score`` or ``generate`` runs at once; it may take more."""

    def check(self) -> None:
        """Raise ``InputError`` if the model cannot be had; cheap beside loading it."""

    def facts(self) -> dict[str, str]:
        """What a report says of the model, name to value; may take as long as loading it."""

    def score(self, audios: Audios, prompts: Prompts, labels: Sequence[str]) -> list[np.ndarray]:
        """Log-likelihood of each label's words as the answer.

        Args:
            audios: float32 arrays (samples,), one per utterance, at ``sampling_rate``
            prompts: the texts asked of each utterance
            labels: the words of each label

        Returns:
            one array (prompts of that utterance, labels) per utterance, in nats; a row with a
            number that is not finite is no answer
        """

    def generate(self, audios: Audios, prompts: Prompts, max_new_tokens: int = 8) -> Answers:
        """The greedy answer to each prompt of each utterance; arguments as of ``score``."""


def available_models() -> pd.DataFrame:
    """The models that ``load_model`` knows by name; it also takes ``hf:...`` and ``endpoint:...``.

    Returns:
        DataFrame with one row per model: ``name``, ``repository``, ``class`` (of transformers),
        ``licence``, ``parameters``, memory of the weights as ``GB float32``, ``GB bfloat16`` and
        ``GB float16``, ``seconds`` (longest recording), ``revision`` (what loads by default),
        ``cached`` (the commit whose weights the local cache holds whole, or ""), ``description``,
        ``trained on`` (corpora of emotional speech that its makers list among its training data)

    Examples:
        >>> available_models()["name"].tolist()  # doctest: +NORMALIZE_WHITESPACE
        ['sercue-tiny', 'qwen2-audio', 'qwen2.5-omni', 'qwen2.5-omni-3b', 'audio-flamingo-3',
         'music-flamingo', 'qwen3-omni', 'voxtral-mini', 'gemma-4-e4b']
    """
    import pandas as pd

    rows = [
        {
            "name": card.name,
            "repository": card.repository,
            "class": card.architecture,
            "licence": card.licence,
            "parameters": card.parameters,
            **{f"GB {t}": round(card.parameters * size / 1e9, 3) for t, size in BYTES.items()},
            "seconds": card.longest,
            "revision": card.revision,
            "cached": (
                snapshot.name
                if card.repository and (snapshot := cached_snapshot(card.repository, card.revision))
                else ""
            ),
            "description": card.description,
            "trained on": ", ".join(card.trained_on),
        }
        for card in CARDS
    ]
    return pd.DataFrame(rows)


def load_model(
    name: str,
    *,
    revision: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    batch_size: int = 8,
    corpus: Corpus | None = None,
    tokens: pd.DataFrame | None = None,
    words: Mapping[str, Words] | Sequence[str] = WORDS[3],
    options: Mapping[str, Any] | None = None,
) -> AudioLanguageModel:
    """The model that a study names; it is fetched, trained or loaded on first use.

    Args:
        name: a name of ``available_models()``; ``"hf:"`` with a hub repository or a folder; or
            ``"endpoint:"`` with the name under which a server serves a model
        revision: branch, tag or commit of the repository; by default that of the model's card,
            or the main branch where there is no card. The commit that loads is part of the
            model's ``identity``.
        device: ``"auto"`` takes the first of cuda, mps, cpu that is there
        dtype: ``"auto"`` takes bfloat16 on cuda and float32 elsewhere
        batch_size: utterances that run at once
        corpus: what ``sercue-tiny`` trains on
        tokens: what its prompts show, one row per utterance of the corpus
        words: of the tokens, as ``Binning.words``; a sequence, from low to high, is that of every
            concept
        options: for ``sercue-tiny`` those of ``TinyOptions``, for checkpoints of
            ``CheckpointOptions``, for endpoints of ``EndpointOptions``

    Raises:
        InputError: if the name, an option or its type, the device or the dtype is not valid, or
            if ``sercue-tiny`` lacks its corpus or tokens

    Examples:
        >>> load_model("qwen2-audo")
        Traceback (most recent call last):
            ...
        sercue.errors.InputError: unknown model 'qwen2-audo': did you mean 'qwen2-audio'? \
Valid are: sercue-tiny, qwen2-audio, qwen2.5-omni, qwen2.5-omni-3b, audio-flamingo-3, \
music-flamingo, qwen3-omni, voxtral-mini, gemma-4-e4b, \
hf:<repository or folder>, endpoint:<served name>
    """
    own = options or {}
    what = f"option of {name}"
    if name == TINY:
        from sercue.models.tiny import TinyModel

        if corpus is None or tokens is None:
            missing = "corpus" if corpus is None else "tokens"
            raise InputError(f"{missing}: {TINY} is trained on it, found None")
        if revision is not None:
            raise InputError(f"revision: {TINY} is trained here and has none, found {revision!r}")
        return TinyModel(
            corpus, tokens, own, words=words, device=device, dtype=dtype, batch_size=batch_size
        )
    served = name.removeprefix(ENDPOINT_PREFIX) if name.startswith(ENDPOINT_PREFIX) else ""
    model: AudioLanguageModel
    asked: LongAudioOptions
    if served.strip():
        from sercue.models.endpoint import EndpointModel, EndpointOptions

        for key, value in (("device", device), ("dtype", dtype)):
            if value != "auto":
                raise InputError(
                    f"{key}: found {value!r}, but {name!r} runs on its server, which sets it; "
                    "valid is auto"
                )
        asked = checked(EndpointOptions, own, what, "model_options")
        model = EndpointModel(served, asked, revision=revision, batch_size=batch_size)
    else:
        source, card = checkpoint_source(name)
        from sercue.models.chat import AudioChatModel, CheckpointOptions

        asked = checked(CheckpointOptions, own, what, "model_options")
        model = AudioChatModel(
            source,
            asked,
            name=public_name(name),
            revision=revision or (card.revision if card else None),
            device=device,
            dtype=dtype,
            batch_size=batch_size,
        )
    return Windowed(model) if asked.long_audio == "windows" else model
