"""The network of ``sercue-tiny``: Qwen2-Audio in small, its tokenizer, its training.

Source of the architecture: Chu et al. (2024), Qwen2-Audio Technical Report, arXiv 2407.10759.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from sercue.models.tiny_data import Recipe, draw_prompts
from sercue.progress import progress_bar
from sercue.prompts import Template

SAMPLING_RATE = 16_000
_MARKS = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|AUDIO|>",
    "<|audio_bos|>",
    "<|audio_eos|>",
]
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
    """What a network learns from, one entry an utterance.

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
        shift = int(generator.integers(-recipe.mel_shift, recipe.mel_shift + 1))
        mel[row] = _shifted(mel[row], shift)
        for axis, size in ((0, mel.shape[1]), (1, int(frames[row].sum()))):
            length = int(generator.integers(int(recipe.mel_mask * size) + 1))
            start = int(generator.integers(size - length + 1))
            mel[row].narrow(axis, start, length).fill_(floor[row])
    return mel


def _shifted(mel: torch.Tensor, bins: int) -> torch.Tensor:
    """Move the spectrum up (or down) by some bins, repeating the bin at the edge."""
    source = torch.arange(len(mel)) - bins
    return mel[source.clamp(0, len(mel) - 1)]


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
        chat = processor.apply_chat_template(conversation(text), add_generation_prompt=True)
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


def conversation(text: str) -> list[dict[str, object]]:
    """One user turn: the audio, then the text."""
    return [{"role": "user", "content": [{"type": "audio"}, {"type": "text", "text": text}]}]


def _loss(
    network: transformers.Qwen2AudioForConditionalGeneration, batch: dict[str, torch.Tensor]
) -> torch.Tensor:
    inputs = {name: value for name, value in batch.items() if name != "targets"}
    states = network.model(**inputs).last_hidden_state
    wanted = batch["targets"] != -100
    # Logits over the vocabulary only where an answer is: the rest of the text has no loss.
    return torch.nn.functional.cross_entropy(
        network.lm_head(states[wanted]), batch["targets"][wanted]
    )
