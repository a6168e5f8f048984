"""What is known of the models that a study can name, before anything is fetched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sercue.errors import InputError, unknown
from sercue.privacy import public_name

# As in ``sercue.corpora.audio``, which needs readers of audio that this module does without.
_LARGEST = 2.0


@dataclass(frozen=True)
class NoAnswer:
    """In place of an answer that a model or its server did not give; a later run asks again.

    Attributes:
        reason: why there is none, such as "its logits are not finite"
    """

    reason: str


#: Recordings, float arrays (samples,), and for each of them the texts that are asked about it.
Audios = Sequence[np.ndarray]
Prompts = Sequence[Sequence[str]]
#: For each recording the answer to each of its prompts.
Answers = list[list[str | NoAnswer]]


def check_prompts(audios: Audios, prompts: Prompts) -> None:
    """Refuse anything but one or more prompts for each recording.

    Raises:
        InputError: telling how many there are
    """
    if len(audios) != len(prompts) or not all(prompts):
        found = [len(own) for own in prompts]
        raise InputError(
            f"prompts: found {found or 'none'} for {len(audios)} recordings, valid are one or more "
            "for each"
        )


def check_labels(labels: Sequence[str]) -> None:
    """Refuse anything but one or more labels with words.

    Raises:
        InputError: telling what was found
    """
    if not labels or not all(labels):
        raise InputError(f"labels: found {list(labels)}, valid are one or more words")


def usable_samples(
    audio: np.ndarray, sampling_rate: int, max_seconds: float, model: str
) -> np.ndarray:
    """The recording, if a model can be asked about the whole of it.

    Args:
        audio: samples (samples,)
        sampling_rate: in Hz
        max_seconds: longest recording that the model takes whole, in seconds
        model: how the error calls it

    Returns:
        float32, (samples,)

    Raises:
        InputError: if it is empty, not finite, not mono, far above full scale, or too long
    """
    samples = np.asarray(audio, dtype=np.float32)
    if samples.ndim != 1 or not samples.size or not np.isfinite(samples).all():
        raise InputError(
            f"audio: found shape {samples.shape}, valid are finite samples of one channel"
        )
    if (peak := float(np.abs(samples).max())) > _LARGEST:
        raise InputError(f"audio: found samples up to {peak:,.1f}, valid are -1 to 1 (full scale)")
    seconds = samples.size / sampling_rate
    if seconds > max_seconds:
        raise InputError(
            f"audio: found {seconds:.2f} s, but {model} takes {max_seconds:g} s at most; nothing "
            "is cut, so split longer recordings into segments, or set model_options: "
            "{long_audio: windows}"
        )
    return samples


TINY = "sercue-tiny"
#: Options of it that say what it is shown in training, and so what it comes to rely on.
TINY_SHARES = ("share_none", "share_aligned", "noise", "share_masked", "blank_audio", "swap_audio")
CLAP = "clap"
HUB_PREFIX = "hf:"
ENDPOINT_PREFIX = "endpoint:"
#: What a name may be besides that of a card.
OPEN_NAMES = (f"{HUB_PREFIX}<repository or folder>", f"{ENDPOINT_PREFIX}<served name>")
#: Bytes of a parameter.
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True)
class ModelCard:
    """What is known of a model before it is fetched.

    Attributes:
        name: as studies name it
        repository: hub repository, empty for the model that is trained here
        architecture: class of transformers that it loads as
        licence: terms of the weights
        parameters: number of parameters that load: of Qwen2.5-Omni the thinker alone, with its
            audio encoder and the vision tower that its class holds
        longest: longest recording that it takes, in seconds
        download: about how many bytes the repository's weights are; the hub's own figure counts
            where it can be asked
        revision: commit that loads if a study names no revision, so that a study means the same
            weights next year; what did load is part of a model's identity and of the provenance
        description: one line
        trained_on: corpora of emotional speech that its makers list among its training data; empty
            where they name none, which is not to say that there was none
        trained_on_source: where they list them
    """

    name: str
    repository: str
    architecture: str
    licence: str
    parameters: int
    longest: float
    download: int
    revision: str
    description: str
    trained_on: tuple[str, ...] = ()
    trained_on_source: str = ""


# In each: names and class; terms and sizes; version and description.
CARDS: tuple[ModelCard, ...] = (
    ModelCard(
        TINY, "", "Qwen2AudioForConditionalGeneration",
        "MIT", 1_160_000, 30.0, 0,
        "", "a small version of Qwen2-Audio, trained here on the corpus' training partition",
    ),
    ModelCard(
        "qwen2-audio", "Qwen/Qwen2-Audio-7B-Instruct", "Qwen2AudioForConditionalGeneration",
        "Apache-2.0", 8_397_094_912, 30.0, 16_800_000_000,
        "0a095220c30b7b31434169c3086508ef3ea5bf0a", "Qwen2-Audio 7B Instruct",
    ),
    ModelCard(
        "qwen2.5-omni", "Qwen/Qwen2.5-Omni-7B", "Qwen2_5OmniThinkerForConditionalGeneration",
        "Apache-2.0", 8_931_813_888, 300.0, 22_400_000_000,
        "ae9e1690543ffd5c0221dc27f79834d0294cba00",
        "Qwen2.5-Omni 7B, the thinker alone: it answers in text, its speech decoder is not loaded",
    ),
    ModelCard(
        "qwen2.5-omni-3b", "Qwen/Qwen2.5-Omni-3B", "Qwen2_5OmniThinkerForConditionalGeneration",
        "Qwen Research License: non-commercial research only",
        4_703_464_448, 300.0, 12_000_000_000,
        "f75b40e3da2003cdd6e1829b1f420ca70797c34e",
        "Qwen2.5-Omni 3B, the thinker alone: it answers in text, its speech decoder is not loaded",
    ),
    ModelCard(
        "audio-flamingo-3", "nvidia/audio-flamingo-3-hf", "AudioFlamingo3ForConditionalGeneration",
        "NVIDIA OneWay Noncommercial License: non-commercial research only",
        8_267_215_360, 600.0, 16_500_000_000,
        "7d4bae64ee29878af6504ae6f6bb3e40492838ad",
        "Audio Flamingo 3 of 7B, for recordings of minutes",
        # The mixture of the training code. The model card leaves out IEMOCAP, CREMA-D and RAVDESS,
        # and names IEMOCAP as a test set. Which utterances were held out is not stated.
        ("CREMA-D", "EmoV-DB", "IEMOCAP", "JL-Corpus", "MELD", "MSP-Podcast", "OMG-Emotion",
         "RAVDESS", "TESS"),
        "github.com/NVIDIA/audio-flamingo, branch audio_flamingo_3, commit 1337fb9, "
        "llava/data/registry/mixtures.yaml",
    ),
    # Licence, 20 minutes and training on music alone: README of github.com/NVIDIA/audio-flamingo,
    # branch music_flamingo, commit a406bdc. Its sizes are taken to be those of Audio Flamingo 3,
    # since its weights take as many bytes. The first published version: the later
    # nvidia/music-flamingo-2601-hf has a class of its own.
    ModelCard(
        "music-flamingo", "nvidia/music-flamingo-hf", "AudioFlamingo3ForConditionalGeneration",
        "NVIDIA OneWay Noncommercial License: non-commercial research only",
        8_267_215_360, 1200.0, 16_500_000_000,
        "e29cfe92e682616f8f8014c60b2c5d17a37d4e33",
        "Music Flamingo of 7B: Audio Flamingo 3, trained further on music",
    ),
    # Revision: github.com/embeddings-benchmark/mteb, qwen_omni_lm.py. Seconds as of Qwen2.5-Omni,
    # from memory of its preprocessor_config.json.
    ModelCard(
        "qwen3-omni", "Qwen/Qwen3-Omni-30B-A3B-Instruct",
        "Qwen3OmniMoeThinkerForConditionalGeneration",
        "Apache-2.0", 31_719_205_488, 300.0, 70_500_000_000,
        "26291f793822fb6be9555850f06dfe95f2d7e695",
        "Qwen3-Omni 30B-A3B Instruct (mixture of experts), the thinker alone",
    ),
    # 40 minutes and licence: model card, and mistral.ai/news/voxtral.
    ModelCard(
        "voxtral-mini", "mistralai/Voxtral-Mini-3B-2507", "VoxtralForConditionalGeneration",
        "Apache-2.0", 4_676_271_104, 2400.0, 9_400_000_000,
        "3060fe34b35ba5d44202ce9ff3c097642914f8f3",
        "Voxtral Mini 3B of July 2025; needs the package mistral-common",
    ),
    # 30 s: Gemma4AudioFeatureExtractor, 480,000 samples. Licence: second-hand, several sources.
    ModelCard(
        "gemma-4-e4b", "google/gemma-4-E4B-it", "Gemma4ForConditionalGeneration",
        "Apache-2.0", 7_941_100_832, 30.0, 16_000_000_000,
        "ee0ef6023621cff504d758262d4e04895a5af4a2",
        "Gemma 4 E4B, instruction-tuned: hears and sees; 4.5B effective parameters",
    ),
)  # fmt: skip

#: The contrastive model of the baseline ``clap``. The main branch of its repository holds pickled
#: weights alone; this commit (refs/pr/2) is that branch with a copy of them as safetensors, which
#: the hub's own converter added. Source: the listings of files of both.
CLAP_CARD = ModelCard(
    CLAP,
    "laion/larger_clap_general",
    "ClapModel",
    "Apache-2.0",
    193_913_882,
    10.0,
    776_000_000,
    "16c8cc3159a3c8a31e8ff5ef1f66b0d9ab3667db",
    "CLAP of LAION, trained on general audio, music and speech",
)


def card_of(model: str) -> ModelCard | None:
    """The card of a model as a study names it, by its own name or that of its repository.

    A folder has none: what lies in it cannot be told from its name.

    Examples:
        >>> card_of("hf:nvidia/audio-flamingo-3-hf").name
        'audio-flamingo-3'
        >>> card_of("hf:audio-flamingo-3-hf")
    """
    for card in CARDS:
        stored = (HUB_PREFIX + card.repository, ENDPOINT_PREFIX + card.repository)
        if model == card.name or (card.repository and model in stored):
            return card
    return None


def known_training(model: str, corpus: str) -> str:
    """A sentence if the makers of a model list a corpus among its training data.

    Args:
        model: as a study names it
        corpus: name of the corpus, however it is spelt

    Returns:
        the sentence; empty if nothing of the kind is known

    Examples:
        >>> known_training("audio-flamingo-3", "crema_d")
        'CREMA-D is listed among the training data of audio-flamingo-3 (github.com/NVIDIA/\
audio-flamingo, branch audio_flamingo_3, commit 1337fb9, llava/data/registry/mixtures.yaml); which \
of its utterances were used is not known, so that these results may not be zero-shot.'
        >>> known_training("audio-flamingo-3", "emodb")
        ''
    """
    card = card_of(model)
    for name in card.trained_on if card else ():
        if card and _letters(name) == _letters(corpus):
            return (
                f"{name} is listed among the training data of {card.name} "
                f"({card.trained_on_source}); which of its utterances were used is not known, so "
                "that these results may not be zero-shot."
            )
    return ""


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))


def checkpoint_source(name: str) -> tuple[str, ModelCard | None]:
    """Where the checkpoint of a model comes from.

    Args:
        name: the name of a card with a repository, or ``"hf:"`` with a repository or a folder

    Returns:
        the folder or repository, and the card where there is one

    Raises:
        InputError: if there is no such name

    Examples:
        >>> checkpoint_source("hf:organisation/model")
        ('organisation/model', None)
    """
    if name.startswith(HUB_PREFIX) and len(name) > len(HUB_PREFIX):
        return name.removeprefix(HUB_PREFIX), None
    for card in CARDS:
        if card.name == name and card.repository:
            return card.repository, card
    raise unknown("model", name, [*(card.name for card in CARDS), *OPEN_NAMES])


def contrastive_source(baseline: str) -> tuple[str, str | None]:
    """Where the checkpoint of a contrastive baseline comes from.

    Args:
        baseline: ``"clap"``, or ``"clap:"`` with a folder or a repository, behind which ``@`` and a
            revision may stand

    Returns:
        the folder or repository, and the revision if one is named

    Raises:
        InputError: if there is no such baseline

    Examples:
        >>> contrastive_source("clap:organisation/model@refs/pr/1")
        ('organisation/model', 'refs/pr/1')
        >>> contrastive_source("clip")
        Traceback (most recent call last):
            ...
        sercue.errors.InputError: unknown baseline 'clip': did you mean 'clap'? \
Valid are: clap, clap:<folder, repository or repository@revision>
    """
    if baseline == CLAP:
        return CLAP_CARD.repository, CLAP_CARD.revision
    kind, _, place = baseline.partition(":")
    if kind != CLAP or not place.strip():
        valid = [CLAP, f"{CLAP}:<folder, repository or repository@revision>"]
        raise unknown("baseline", baseline, valid)
    if place.startswith(("/", ".", "~")):
        return place, None
    source, _, revision = place.partition("@")
    return source, revision or None


def contrastive_name(baseline: str) -> str:
    """How tables and figures call a contrastive baseline.

    Args:
        baseline: see ``contrastive_source``

    Raises:
        InputError: if there is no such baseline

    Examples:
        >>> contrastive_name("clap"), contrastive_name("clap:/home/me/checkpoint")
        ('CLAP (zero-shot)', 'CLAP (zero-shot, checkpoint)')
    """
    contrastive_source(baseline)
    _, _, place = public_name(baseline).partition(":")
    return f"CLAP (zero-shot, {place})" if place else "CLAP (zero-shot)"
