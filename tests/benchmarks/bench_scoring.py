"""What one pass an utterance saves: K prompts of one recording, against the usual ways to ask.

Run as ``python -m tests.benchmarks.bench_scoring`` or as a script; ``--conditions 10`` for one K,
``--runs`` for more repetitions. A random Qwen2-Audio of some 190 million parameters on the CPU;
times do not hang on what the weights know.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode

from sercue.models.chat import AudioChatModel
from sercue.models.tiny_network import Recipe, make_processor, reading_material
from sercue.tokens.prompts import TEMPLATES

LABELS = ("angry", "happy", "neutral", "sad")
LEVELS = ("low", "mid", "high")
CONCEPTS = ("energy", "pitch", "dynamics", "brightness", "formants", "voice quality")
NEW_TOKENS = 5
SECONDS = 5
#: Of the separate calls, so many are timed at most; their sum is scaled up to all.
MOST_SEPARATE = 16
OURS_SCORE, OURS_GENERATE = "one pass, score", "one pass, generate"
GENERATES, FORWARDS = "(a) separate generate calls", "(b) separate forward passes"
BATCHED = "(c) generate batched over conditions"
#: Prompts and audio variants of a study that crosses both.
CROSSED = (10, 4)
#: Times that scoring in one pass should be faster, by number of conditions.
GOALS = {
    10: {GENERATES: 7.0, FORWARDS: 5.5},
    30: {GENERATES: 12.0, FORWARDS: 9.0},
    64: {GENERATES: 20.0},
}


def benchmark(
    model: AudioChatModel, conditions: int, runs: int = 3, variants: int = 1
) -> pd.DataFrame:
    """Median seconds of each way to ask, over several runs in one process.

    Args:
        model: the model to ask
        conditions: number of prompts that differ in their tokens alone, the first without tokens
        runs: repetitions; the ways take turns, so that a slow moment hits all of them
        variants: number of sounds that all these prompts are asked about, as in a study that
            crosses audio with tokens

    Returns:
        one row per way: ``seconds``; for the usual ways how much faster ``score`` and ``generate``
        in one pass are, and the ``goal``; ``GFLOP`` counted and ``GFLOP/s`` reached
    """
    texts = prompts(conditions)
    noise = np.random.default_rng(0).normal(0, 0.05, SECONDS * model.sampling_rate)
    audios = [np.roll(noise, number).astype(np.float32) for number in range(variants)]
    # One after another, prompts take the time of their number: some evenly spread ones tell it.
    some = texts[:: max(1, conditions // MOST_SEPARATE)]
    ways: dict[str, Callable[[], object]] = {
        OURS_SCORE: lambda: model.score(audios, [texts] * variants, LABELS),
        OURS_GENERATE: lambda: model.generate(audios, [texts] * variants, NEW_TOKENS),
        GENERATES: lambda: [_generate(model, audio, [text]) for audio in audios for text in some],
        FORWARDS: lambda: [_forward(model, audio, text) for audio in audios for text in some],
        BATCHED: lambda: [_generate(model, audio, texts) for audio in audios],
    }
    more = conditions / len(some)
    table = pd.DataFrame({"seconds": _medians(ways, runs)})
    table.loc[[GENERATES, FORWARDS], "seconds"] *= more
    usual = table.index[2:]
    table["score is faster"] = table["seconds"].loc[usual] / table["seconds"][OURS_SCORE]
    table["generate is faster"] = table["seconds"].loc[usual] / table["seconds"][OURS_GENERATE]
    table["goal of score"] = pd.Series(GOALS.get(conditions, {}), dtype=float)
    counted = {OURS_SCORE: _flops(ways[OURS_SCORE]), FORWARDS: _flops(ways[FORWARDS]) * more}
    table["GFLOP"] = pd.Series(counted) / 1e9
    table["GFLOP/s"] = table["GFLOP"] / table["seconds"]
    return table


def counted_share(table: pd.DataFrame) -> float:
    """Time of scoring over what its FLOPs would take at the rate of separate forward passes."""
    return float(table["GFLOP/s"][FORWARDS] / table["GFLOP/s"][OURS_SCORE])


def _medians(ways: dict[str, Callable[[], object]], runs: int) -> pd.Series:
    times: dict[str, list[float]] = {name: [] for name in ways}
    ways[OURS_SCORE]()  # loads weights and warms caches
    for _ in range(runs):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - start)
    return pd.Series({name: statistics.median(found) for name, found in times.items()})


def _flops(way: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter:
        way()
    return int(counter.get_total_flops())


def random_model(folder: Path, **options: int) -> AudioChatModel:
    """A Qwen2-Audio of 188 million parameters with random weights, by way of ``folder``."""
    tokens = pd.DataFrame({concept: list(LEVELS) for concept in CONCEPTS})
    texts = reading_material(list(TEMPLATES.values()), LABELS, tokens)
    processor = make_processor(texts, Recipe(mel_bins=128, hop=160), 30)
    words = processor.tokenizer
    token = words.convert_tokens_to_ids("<|AUDIO|>")
    config = transformers.Qwen2AudioConfig(
        audio_config={
            "model_type": "qwen2_audio_encoder",
            "d_model": 384,
            "encoder_layers": 4,
            "encoder_attention_heads": 6,
            "encoder_ffn_dim": 1536,
            "num_mel_bins": 128,
            "max_source_positions": 1500,
        },
        text_config={
            "model_type": "qwen2",
            "hidden_size": 896,
            "num_hidden_layers": 12,
            "num_attention_heads": 14,
            "num_key_value_heads": 2,
            "intermediate_size": 4864,
            "vocab_size": len(words),
            "pad_token_id": words.pad_token_id,
            "eos_token_id": words.eos_token_id,
        },
        audio_token_index=token,
        audio_token_id=token,
    )
    torch.manual_seed(0)
    transformers.Qwen2AudioForConditionalGeneration(config).save_pretrained(folder)
    processor.save_pretrained(folder)
    return AudioChatModel(folder, name="random", device="cpu", dtype="float32", **options)


def prompts(number: int) -> list[str]:
    """Prompts that differ in their tokens alone; 64 are the subsets of the six concepts."""
    generator = np.random.default_rng(1)
    drawn = [
        dict(zip(CONCEPTS, generator.choice(LEVELS, len(CONCEPTS)), strict=True))
        for _ in range(number - 1)
    ]
    subsets = [
        {concept: drawn[0][concept] for concept in chosen}
        for size in range(1, 7)
        for chosen in combinations(CONCEPTS, size)
    ]
    blocks = subsets if number == 64 else drawn
    return [TEMPLATES["plain"].render(LABELS, block) for block in [None, *blocks]]


def _inputs(
    model: AudioChatModel, audio: np.ndarray, texts: Sequence[str]
) -> dict[str, torch.Tensor]:
    """What the processor makes of these prompts, the audio anew for each."""
    turns = [
        [
            {
                "role": "user",
                "content": [{"type": "audio", "audio": audio}, {"type": "text", "text": text}],
            }
        ]
        for text in texts
    ]
    return dict(
        model.checkpoint.processor.apply_chat_template(
            turns,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={
                "sampling_rate": model.sampling_rate,
                "text_kwargs": {"padding": True, "padding_side": "left"},
            },
        )
    )


@torch.inference_mode()
def _forward(model: AudioChatModel, audio: np.ndarray, text: str) -> None:
    model._model(**_inputs(model, audio, [text]))


@torch.inference_mode()
def _generate(model: AudioChatModel, audio: np.ndarray, texts: Sequence[str]) -> None:
    model._model.generate(
        **_inputs(model, audio, texts),
        max_new_tokens=NEW_TOKENS,
        min_new_tokens=NEW_TOKENS,
        do_sample=False,
    )


def main() -> None:
    """Print a table for each number of conditions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conditions", type=int, nargs="+", default=list(GOALS))
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = random_model(Path(folder))
        crossed = [] if given.conditions != list(GOALS) else [CROSSED]
        for number, variants in [*((number, 1) for number in given.conditions), *crossed]:
            table = benchmark(model, number, given.runs, variants)
            threads = torch.get_num_threads()
            sounds = f"{variants} variants of " * (variants > 1)
            print(f"K = {number} prompts of {sounds}a recording of {SECONDS} s, {threads} threads")
            print(table.round(2).to_string(na_rep=""))
            share = counted_share(table)
            print(
                f"one pass takes {share:.2f} times what its FLOPs would take at the rate of (b)\n"
            )


if __name__ == "__main__":
    main()
