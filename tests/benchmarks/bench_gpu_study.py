"""A whole study on a GPU: recordings read, prepared, asked and stored, against the passes alone.

Run as ``python -m tests.benchmarks.bench_gpu_study`` from the root of the project, or as a script.
Without a CUDA device it says so and ends; ``--small`` runs the same in small on the CPU. The model
is Qwen2-Audio in its published size with random weights, in bfloat16.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import torch
import transformers

sys.path.insert(0, str(Path(__file__).parents[2]))

from sercue.corpora.corpus import Corpus, example_corpus
from sercue.models.chat import AudioChatModel
from sercue.models.prefix import Batch
from sercue.models.scoring import Scoring
from sercue.models.tiny_network import Recipe, make_processor, reading_material
from sercue.study import run_study
from sercue.tokens.prompts import TEMPLATES
from tests.benchmarks.bench_gpu import SECONDS, build
from tests.benchmarks.bench_scoring import CONCEPTS, LEVELS

CONDITIONS = ["none", "aligned", "constant", "shuffled", "conflicting", "masked(1)", "nonsense"]
REPLICATES = 3


def noise_corpus(folder: Path, utterances: int) -> Corpus:
    """Recordings of noise, all of one speaker, who is in the training partition."""
    corpus = example_corpus(speakers=1, utterances=utterances, labels=4)
    generator = np.random.default_rng(0)
    files = {}
    for name in corpus.table.index.get_level_values("file"):
        files[name] = folder / name
        noise = generator.normal(0, 0.05, SECONDS * 16_000)
        soundfile.write(files[name], noise, 16_000, subtype="PCM_16")
    return Corpus(**{**vars(corpus), "root": folder, "files": files})


def random_model(folder: Path, device: str, batch_size: int, *, small: bool) -> AudioChatModel:
    """Qwen2-Audio with random weights behind a processor of its own."""
    tokens = pd.DataFrame({concept: list(LEVELS) for concept in CONCEPTS})
    texts = reading_material(list(TEMPLATES.values()), example_corpus(labels=4).labels, tokens)
    processor = make_processor(texts, Recipe(mel_bins=128, hop=160), 30)
    processor.save_pretrained(folder)
    transformers.Qwen2AudioConfig().save_pretrained(folder)
    model = AudioChatModel(folder, name="random", device=device, batch_size=batch_size)
    network = build("Qwen2-Audio", device, small=small)
    mark = processor.tokenizer.convert_tokens_to_ids("<|AUDIO|>")
    network.config.audio_token_id = network.config.audio_token_index = mark
    # In the place of weights that are read from a file.
    vars(model)["_model"] = network
    return model


def main() -> None:
    """Print prompts per second of the study, and of its passes alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--utterances", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--small", action="store_true", help="the same in small on the CPU")
    given = parser.parse_args()
    if not (given.small or torch.cuda.is_available()):
        print("GPU benchmark of a study: found no CUDA device, so nothing was measured")
        return
    device = "cpu" if given.small else "cuda"
    passes: list[tuple[int, float]] = []
    inside = Scoring._score

    def timed(self: Scoring, batch: Batch, answers: object) -> object:
        start = time.perf_counter()
        scores = inside(self, batch, answers)
        passes.append((sum(map(len, batch.ids)), time.perf_counter() - start))
        return scores

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        corpus = noise_corpus(folder, given.utterances)
        generator = np.random.default_rng(0)
        drawn = generator.choice(LEVELS, (len(corpus.table), len(CONCEPTS)))
        tokens = pd.DataFrame(drawn, corpus.table.index, CONCEPTS)
        model = random_model(folder / "model", device, given.batch_size, small=given.small)
        print(f"{model.facts()['device']}, {model.facts()['prompts of a recording']}")
        Scoring._score = timed
        digests = pd.Series(map(str, range(len(corpus.table))), corpus.table.index)
        for templates in (["plain"], list(TEMPLATES)[:3]):
            passes.clear()
            start = time.perf_counter()
            run_study(
                corpus, tokens, model, conditions=CONDITIONS, templates=templates,
                replicates=REPLICATES, store=folder / f"store-{len(templates)}", partition="train",
                digests=digests, progress=False,
            )  # fmt: skip
            whole = time.perf_counter() - start
            asked, alone = np.sum(passes, axis=0)
            print(
                f"{asked:.0f} prompts ({asked / given.utterances:.0f} per utterance): "
                f"{asked / whole:.0f} per second, passes alone {asked / alone:.0f}; "
                f"{alone / whole:.0%} of {whole:.1f} s are passes",
                flush=True,
            )


if __name__ == "__main__":
    main()
