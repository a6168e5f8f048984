"""The network of ``sercue-tiny``: Qwen2-Audio in small, its tokenizer, its training.

Source of the architecture: Chu et al. (2024), Qwen2-Audio Technical Report, arXiv 2407.10759.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import numpy as np
import pandas as pd
import torch
import transformers
from pydantic import Field, ValidatorFunctionWrapHandler, WrapValidator, model_validator
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from sercue.options import Options, checked
from sercue.running import progress_bar
from sercue.tokens.concepts import UNKNOWN
from sercue.tokens.prompts import DEFAULT_TEMPLATES, Template


def _as_written(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    check(value)
    return value


# 1 stays 1, not 1.0: trained models are found by a hash of what was written.
_Number = Annotated[float, WrapValidator(_as_written)]
_Share = Annotated[float, Field(ge=0, le=1), WrapValidator(_as_written)]
_Size = Annotated[int, Field(ge=1)]


class Recipe(Options):
    """How ``sercue-tiny`` is built and trained: together with the data it determines the weights.

    Attributes:
        epochs: passes over the training utterances, one prompt per utterance and pass; ``None``
            makes about ``prompts`` of any corpus, so that training takes about as long
        prompts: prompts in all where ``epochs`` is ``None``; 4200 are some 45 s on two cores
        batch_size: utterances a step
        learning_rate: highest rate of the one-cycle schedule
        weight_decay: decoupled weight decay of AdamW
        warmup: share of the steps before the rate is highest
        spread: standard deviation of the random weights at the start
        share_none: share of prompts without tokens
        share_aligned: share of prompts with the utterance's own tokens; in the remaining prompts
            some tokens are replaced
        noise: probability that a token of a remaining prompt is replaced by a word drawn at random
        share_masked: share of the prompts with tokens in which each token is hidden (``unknown``)
            with a probability that is drawn for the prompt, uniform from 0 to 1
        blank_audio: share of the prompts with tokens, not all of them hidden, whose audio is
            blanked, so that only the tokens can answer them
        swap_audio: share of the same prompts whose audio is that of another utterance, so that the
            audio is there and misleads
        mel_mask: widest band of mel bins that is masked, and widest share of frames
        mel_shift: most bins that a spectrogram is moved up or down: other throats
        width: hidden size of encoder and language model
        heads: attention heads
        audio_layers: layers of the audio encoder
        text_layers: layers of the language model
        mel_bins: mel bins of the spectrogram
        hop: samples between two frames of the spectrogram
        vocabulary: most tokens of the tokenizer
        seed: seed of the weights, the order of the utterances and the prompts drawn
    """

    epochs: _Size | None = None
    prompts: _Size = 4200
    batch_size: _Size = 8
    learning_rate: _Number = 1e-3
    weight_decay: _Number = 0.02
    warmup: _Number = 0.15
    spread: _Number = 0.08
    share_none: _Share = 0.2
    share_aligned: _Share = 0.65
    noise: _Share = 0.35
    share_masked: _Share = 0.5
    blank_audio: _Share = 0.6
    swap_audio: _Share = 0.0
    mel_mask: _Share = 0.05
    mel_shift: int = 2
    width: _Size = 128
    heads: _Size = 4
    audio_layers: _Size = 2
    text_layers: _Size = 2
    mel_bins: _Size = 64
    hop: _Size = 320
    vocabulary: _Size = 1024
    seed: int = 0

    @model_validator(mode="after")
    def _shares_leave_room(self) -> Self:
        for first, second in (("share_none", "share_aligned"), ("blank_audio", "swap_audio")):
            both = getattr(self, first) + getattr(self, second)
            if both > 1:
                raise ValueError(f"{first} + {second}: found {both:g}, valid is 1 at most")
        return self

    def epochs_for(self, number: int) -> int:
        """The epochs that so many training utterances get.

        Examples:
            >>> [Recipe().epochs_for(number) for number in (384, 10_000)]
            [11, 1]
        """
        return max(1, round(self.prompts / number)) if self.epochs is None else self.epochs


RECIPES: dict[str, dict[str, Any]] = {
    # Tuned on development speakers of the demo corpus so that tokens help without ruling: with the
    # scheme `paper` UAR is none .77, masked(1) .78, aligned .84, shuffled .51, conflicting .42 (one
    # seed). Without hidden tokens in training a block that tells nothing did harm: none .70,
    # masked(1) .62, aligned .82.
    "grounded": {},
    # Tokens that say nothing: what is left to learn from is the audio. Fewer prompts than a study's
    # own model sees teach a control enough.
    "audio-bound": {
        "prompts": 2000, "share_none": 0.4, "share_aligned": 0.0, "noise": 1.0, "blank_audio": 0.0,
    },
    # No audio, or a wrong one: what is left to learn from is the tokens. Blanked alone it learns to
    # do without audio, but not to leave it aside where it is heard: its reliance came out at .73.
    "cue-bound": {
        "prompts": 3000, "share_none": 0.4, "share_aligned": 0.6, "noise": 0.0, "blank_audio": 0.4,
        "swap_audio": 0.4,
    },
}  # fmt: skip


class TinyOptions(Recipe):
    """A recipe of ours, changes to its fields, and the prompts to learn.

    Attributes:
        recipe: the one whose fields count where no other value is given
        templates: as a study has them
        label_words: label to the words that prompts show for it; the labels themselves by default
    """

    recipe: Literal["grounded", "audio-bound", "cue-bound"] = "grounded"
    templates: list[str | dict[str, str]] = Field(list(DEFAULT_TEMPLATES))
    label_words: dict[str, str] | None = None


def tiny_options(given: Mapping[str, Any]) -> TinyOptions:
    """The options of ``sercue-tiny``, with the fields of the recipe that they name.

    Raises:
        InputError: if a recipe or an option is unknown, or a value out of range

    Examples:
        >>> tiny_options({"recipe": "cue-bound", "epochs": 2}).share_aligned
        0.6
    """
    recipe = RECIPES.get(str(given.get("recipe")), {})
    return checked(TinyOptions, recipe | dict(given), "option of sercue-tiny", "model_options")


def reading_material(
    templates: Sequence[Template], words: Sequence[str], tokens: pd.DataFrame
) -> list[str]:
    """Texts with every word that a prompt can show: what the tokenizer is trained on.

    Args:
        templates: the wordings
        words: the words of the labels
        tokens: tokens of the training rows, shape (utterances, concepts)
    """
    shown = [*sorted({str(word) for word in tokens.to_numpy().ravel()}), UNKNOWN]
    blocks = [{str(concept): word for concept in tokens.columns} for word in shown]
    texts = [template.render(words, block) for template in templates for block in [None, *blocks]]
    return [*texts, *words]


def draw_prompts(
    tokens: pd.DataFrame,
    templates: Sequence[Template],
    words: Sequence[str],
    recipe: Recipe,
    generator: np.random.Generator,
) -> Iterator[tuple[str, str]]:
    """One prompt per utterance, drawn as the recipe says.

    Template and order of the labels are uniform over all of them.

    Args:
        tokens: own tokens of the utterances, shape (utterances, concepts)
        templates: the wordings to draw from
        words: the words of the labels
        recipe: shares of prompts without, with own, with partly replaced and with hidden tokens
        generator: source of randomness

    Yields:
        the text of the prompt, and the audio with it: ``"own"``, ``"blank"`` or ``"other"``
    """
    vocabulary = {c: sorted({str(word) for word in tokens[c]} - {UNKNOWN}) for c in tokens}
    for row in tokens.to_dict("records"):
        template = templates[int(generator.integers(len(templates)))]
        order = [words[i] for i in generator.permutation(len(words))]
        kind, blank = generator.random(2)
        if kind < recipe.share_none:
            yield template.render(order), "own"
            continue
        own = {str(concept): str(word) for concept, word in row.items()}
        if kind >= recipe.share_none + recipe.share_aligned:
            own = {
                concept: str(generator.choice(vocabulary[concept]))
                if generator.random() < recipe.noise
                else word
                for concept, word in own.items()
            }
        if generator.random() < recipe.share_masked:
            hidden = generator.random(len(own)) < generator.random()
            own = {
                concept: UNKNOWN if hide else word
                for (concept, word), hide in zip(own.items(), hidden, strict=True)
            }
        audio = "own"
        if any(word != UNKNOWN for word in own.values()):
            if blank < recipe.blank_audio:
                audio = "blank"
            elif blank < recipe.blank_audio + recipe.swap_audio:
                audio = "other"
        yield template.render(order, own), audio


SAMPLING_RATE = 16_000
_MARKS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|AUDIO|>", "<|audio_bos|>",
          "<|audio_eos|>"]  # fmt: skip
_END_OF_TURN = "<|im_end|>"
# The layout of Qwen/Qwen2-Audio-7B-Instruct, for turns whose content is a list.
_CHAT_TEMPLATE = (
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% for content in message['content'] %}"
    "{% if content['type'] == 'audio' %}Audio 1: <|audio_bos|><|AUDIO|><|audio_eos|>\n"
    "{% else %}{{ content['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def train_tokenizer(texts: Sequence[str], size: int) -> transformers.PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with the marks of Qwen2-Audio; it can encode any text.

    Args:
        texts: what to learn merges from
        size: most entries of the vocabulary
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    frame = ["system\nYou are a helpful assistant.", "user\nAudio 1: \n", "assistant\n"]
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=_MARKS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*frame, *texts], trainer)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|endoftext|>",
        eos_token=_END_OF_TURN,
        padding_side="left",
    )


def make_processor(
    texts: Sequence[str], recipe: Recipe, seconds: int
) -> transformers.Qwen2AudioProcessor:
    """The processor: mel spectrograms of ``seconds`` seconds, tokenizer, chat template."""
    extractor = transformers.WhisperFeatureExtractor(
        feature_size=recipe.mel_bins,
        hop_length=recipe.hop,
        chunk_length=seconds,
        sampling_rate=SAMPLING_RATE,
    )
    tokenizer = train_tokenizer(texts, recipe.vocabulary)
    return transformers.Qwen2AudioProcessor(extractor, tokenizer, chat_template=_CHAT_TEMPLATE)


def make_network(
    processor: transformers.Qwen2AudioProcessor, recipe: Recipe
) -> transformers.Qwen2AudioForConditionalGeneration:
    """An untrained Qwen2-Audio of the recipe's size; its weights come from the recipe's seed."""
    tokenizer, width = processor.tokenizer, recipe.width
    positions = processor.feature_extractor.nb_max_frames // 2
    config = transformers.Qwen2AudioConfig(
        audio_config={
            "model_type": "qwen2_audio_encoder",
            "d_model": width,
            "encoder_layers": recipe.audio_layers,
            "encoder_attention_heads": recipe.heads,
            "encoder_ffn_dim": 4 * width,
            "num_mel_bins": recipe.mel_bins,
            "max_source_positions": positions,
            "initializer_range": recipe.spread,
        },
        text_config={
            "model_type": "qwen2",
            "hidden_size": width,
            "num_hidden_layers": recipe.text_layers,
            "num_attention_heads": recipe.heads,
            "num_key_value_heads": recipe.heads,
            "intermediate_size": 4 * width,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": 4096,
            "initializer_range": recipe.spread,
            "pad_token_id": tokenizer.pad_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "bos_token_id": None,
        },
        audio_token_index=processor.audio_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = transformers.Qwen2AudioForConditionalGeneration(config)
    network.model.audio_tower.embed_positions.weight.copy_(_sinusoids(positions, width))
    return network


def _sinusoids(length: int, channels: int) -> torch.Tensor:
    """Whisper's fixed position embedding; the encoder of Qwen2-Audio came to it by loading."""
    steps = torch.exp(-math.log(10_000) / (channels // 2 - 1) * torch.arange(channels // 2))
    angles = torch.arange(length)[:, None] * steps
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def spectrograms(
    processor: transformers.Qwen2AudioProcessor, audio: Sequence[np.ndarray]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-mel spectrograms of all utterances, made once.

    Returns:
        half-precision tensor (utterances, mel bins, frames) padded to the processor's length
        (half the memory of single precision; the rounding is far below the noise of speech), and
        the mask (utterances, frames) of frames that hold speech
    """
    parts = [
        processor.feature_extractor(
            samples,
            sampling_rate=SAMPLING_RATE,
            padding="max_length",
            return_attention_mask=True,
            return_tensors="pt",
        )
        for samples in audio
    ]
    mels = torch.cat([part["input_features"].half() for part in parts])
    return mels, torch.cat([part["attention_mask"] for part in parts])


@dataclass(frozen=True)
class TrainingData:
    """What a network learns from, one entry per utterance.

    Attributes:
        audio: samples at 16 kHz
        tokens: shape (utterances, concepts)
        answers: the word of each utterance's label
        templates: wordings that prompts are drawn from
        words: the words of all labels
    """

    audio: Sequence[np.ndarray]
    tokens: pd.DataFrame
    answers: Sequence[str]
    templates: Sequence[Template]
    words: Sequence[str]


def train_network(
    network: transformers.Qwen2AudioForConditionalGeneration,
    processor: transformers.Qwen2AudioProcessor,
    data: TrainingData,
    recipe: Recipe,
) -> list[float]:
    """Train to answer: cross-entropy of the answer's tokens and the end of the turn.

    Args:
        network: trained in place
        processor: its processor
        data: what to learn from
        recipe: shares, sizes, seed

    Returns:
        mean loss of each epoch, in nats a token
    """
    generator = np.random.default_rng(recipe.seed)
    epochs = recipe.epochs_for(len(data.audio))
    steps = epochs * math.ceil(len(data.audio) / recipe.batch_size)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=steps, pct_start=recipe.warmup
    )
    losses: list[float] = []
    network.train()
    with progress_bar(total=steps, desc="training sercue-tiny", unit="step") as bar:
        mels, frames = spectrograms(processor, data.audio)
        for _ in range(epochs):
            epoch = []
            for batch in _epoch_batches(processor, data, mels, frames, recipe, generator):
                loss = _loss(network, batch)
                optimiser.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimiser.step()
                schedule.step()
                epoch.append(loss.item())
                bar.update()
            losses.append(float(np.mean(epoch)))
            bar.set_postfix(loss=f"{losses[-1]:.3f}")
    network.eval()
    return losses


def _epoch_batches(
    processor: transformers.Qwen2AudioProcessor,
    data: TrainingData,
    mels: torch.Tensor,
    frames: torch.Tensor,
    recipe: Recipe,
    generator: np.random.Generator,
) -> Iterator[dict[str, torch.Tensor]]:
    """All utterances once in random order, each with a newly drawn prompt."""
    drawn = list(draw_prompts(data.tokens, data.templates, data.words, recipe, generator))
    order = generator.permutation(len(mels))
    for start in range(0, len(order), recipe.batch_size):
        rows = order[start : start + recipe.batch_size]
        audio = [drawn[row][1] for row in rows]
        heard = [
            int(generator.integers(len(mels))) if kind == "other" else int(row)
            for row, kind in zip(rows, audio, strict=True)
        ]
        blank = [kind == "blank" for kind in audio]
        mel = _augment(mels[heard].float(), frames[heard], blank, recipe, generator)
        texts, answers = [drawn[row][0] for row in rows], [data.answers[row] for row in rows]
        yield {
            **_encode(processor, texts, answers, frames[heard]),
            "input_features": mel,
            "feature_attention_mask": frames[heard],
        }


def _augment(
    mel: torch.Tensor,
    frames: torch.Tensor,
    blank: Sequence[bool],
    recipe: Recipe,
    generator: np.random.Generator,
) -> torch.Tensor:
    """Blank some spectrograms; of the others, move the bins, mask a band and a stretch of frames.

    What is masked takes the value of the padding: the floor of the spectrogram.

    Source: Park et al. (2019), SpecAugment, arXiv 1904.08779.
    """
    floor = mel.amin(dim=(1, 2))
    for row in range(len(mel)):
        if blank[row]:
            mel[row] = floor[row]
            continue
        # The bin at the edge is repeated.
        shift = int(generator.integers(-recipe.mel_shift, recipe.mel_shift + 1))
        mel[row] = mel[row][(torch.arange(mel.shape[1]) - shift).clamp(0, mel.shape[1] - 1)]
        for axis, size in ((0, mel.shape[1]), (1, int(frames[row].sum()))):
            length = int(generator.integers(int(recipe.mel_mask * size) + 1))
            start = int(generator.integers(size - length + 1))
            mel[row].narrow(axis, start, length).fill_(floor[row])
    return mel


def _encode(
    processor: transformers.Qwen2AudioProcessor,
    texts: Sequence[str],
    answers: Sequence[str],
    frames: torch.Tensor,
) -> dict[str, torch.Tensor]:
    """Token ids, their mask, and the targets: -100 but for the answer and the end of the turn."""
    tokenizer = processor.tokenizer
    tower_frames = (frames.sum(1) - 1) // 2 + 1
    lengths = ((tower_frames - 2) // 2 + 1).tolist()
    ids, targets = [], []
    for text, answer, length in zip(texts, answers, lengths, strict=True):
        turn = {"role": "user", "content": [{"type": "audio"}, {"type": "text", "text": text}]}
        chat = processor.apply_chat_template([turn], add_generation_prompt=True)
        asked = tokenizer(chat.replace("<|AUDIO|>", "<|AUDIO|>" * length))["input_ids"]
        said = tokenizer(answer + _END_OF_TURN)["input_ids"]
        ids.append(torch.tensor(asked + said))
        # The state at a position predicts the next token.
        targets.append(torch.tensor([-100] * (len(asked) - 1) + said + [-100]))
    pad = torch.nn.utils.rnn.pad_sequence
    return {
        "input_ids": pad(ids, True, tokenizer.pad_token_id),
        "attention_mask": pad([torch.ones_like(row) for row in ids], True, 0),
        "targets": pad(targets, True, -100),
    }


def _loss(
    network: transformers.Qwen2AudioForConditionalGeneration, batch: dict[str, torch.Tensor]
) -> torch.Tensor:
    targets = batch.pop("targets")
    states = network.model(**batch).last_hidden_state
    wanted = targets != -100
    # Logits over the vocabulary only where an answer is: the rest of the text has no loss.
    return torch.nn.functional.cross_entropy(network.lm_head(states[wanted]), targets[wanted])
