"""What the shared prefix saves: K prompts of one recording, against K separate runs.

Run as ``python -m tests.benchmarks.bench_scoring`` or as a script. A random Qwen2-Audio of some
20 million parameters; times do not hang on what the weights know.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from sercue.models.chat import AudioChatModel
from sercue.models.tiny_data import Recipe, reading_material
from sercue.models.tiny_network import make_network, make_processor
from sercue.prompts import TEMPLATES

LABELS = ("angry", "happy", "neutral", "sad")
LEVELS = ("low", "mid", "high")
CONCEPTS = ("energy", "pitch", "dynamics", "brightness", "formants", "voice quality")
NEW_TOKENS = 4


def benchmark(prompts: int = 10, runs: int = 5, width: int = 384, layers: int = 6) -> pd.DataFrame:
    """Median seconds of each way to ask, over several runs in one process.

    Args:
        prompts: number of prompts that differ in their tokens alone, the first without tokens
        runs: repetitions; the ways take turns, so that a slow moment hits all of them
        width: hidden size of encoder and language model
        layers: layers of each

    Returns:
        one row a way: ``milliseconds`` and ``speed-up`` against separate runs of the same kind
    """
    with tempfile.TemporaryDirectory() as folder:
        model = _random_model(Path(folder), width, layers)
        texts = _prompts(prompts)
        audio = np.random.default_rng(0).normal(0, 0.05, 3 * 16_000).astype(np.float32)
        ways: dict[str, Callable[[], object]] = {
            "score: shared prefix": lambda: model.score(audio, texts, LABELS),
            "score: separate forward passes": lambda: _separate_forwards(model, audio, texts),
            "generate: shared prefix": lambda: model.generate(audio, texts, NEW_TOKENS),
            "generate: separate calls": lambda: _separate_generates(model, audio, texts),
        }
        times = _medians(ways, runs)
    table = pd.DataFrame({"milliseconds": times})
    kinds = [name.split(":")[0] for name in table.index]
    slowest = table.groupby(kinds)["milliseconds"].transform("max")
    table["speed-up"] = slowest / table["milliseconds"]
    return table.round(1)


def _medians(ways: dict[str, Callable[[], object]], runs: int) -> pd.Series:
    times: dict[str, list[float]] = {name: [] for name in ways}
    for run in range(runs + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            if run:  # the first run loads weights and warms caches
                times[name].append(1000 * (time.perf_counter() - start))
    return pd.Series({name: statistics.median(found) for name, found in times.items()})


def _random_model(folder: Path, width: int, layers: int) -> AudioChatModel:
    recipe = Recipe(width=width, heads=6, audio_layers=layers, text_layers=layers, hop=160)
    tokens = pd.DataFrame({concept: list(LEVELS) for concept in CONCEPTS})
    texts = reading_material(list(TEMPLATES.values()), LABELS, tokens)
    processor = make_processor(texts, recipe, 5)
    make_network(processor, recipe).save_pretrained(folder)
    processor.save_pretrained(folder)
    return AudioChatModel(folder, name="random", device="cpu", dtype="float32")


def _prompts(number: int) -> list[str]:
    generator = np.random.default_rng(1)
    blocks = [
        dict(zip(CONCEPTS, generator.choice(LEVELS, len(CONCEPTS)), strict=True))
        for _ in range(number - 1)
    ]
    return [TEMPLATES["plain"].render(LABELS, block) for block in [None, *blocks]]


@torch.inference_mode()
def _separate_forwards(model: AudioChatModel, audio: np.ndarray, texts: list[str]) -> None:
    for text in texts:
        inputs, _ = model.encode(audio, [text])
        model._model(**inputs)


@torch.inference_mode()
def _separate_generates(model: AudioChatModel, audio: np.ndarray, texts: list[str]) -> None:
    for text in texts:
        inputs, _ = model.encode(audio, [text])
        model._model.generate(
            **inputs, max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS, do_sample=False
        )


def main() -> None:
    """Print the table for the defaults."""
    print(f"10 prompts of one recording of 3 s, {torch.get_num_threads()} threads")
    print(benchmark().to_string())


if __name__ == "__main__":
    main()
