"""One pass per utterance on a GPU: the three published sizes with random weights, in bfloat16.

Run as ``python -m tests.benchmarks.bench_gpu`` from the root of the project, or as a script. It
needs torch, transformers and numpy alone. Without a CUDA device it says so and ends; ``--small``
runs the same in small on the CPU, to see that it works. Per model it prints prompts per second
against ``generate`` and the share of the measured matrix rate, for each number of utterances at
once; peak memory; the largest difference from separate passes; and the time that a study of
IEMOCAP in four classes would take: 5,531 utterances, 30 conditions, 3 wordings.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parents[2]))

from sercue.models.packed import greedy_answers, score_answers
from sercue.models.prefix import Batch

CONDITIONS, UTTERANCES, NEW_TOKENS = 20, (1, 8, 16), 5
IEMOCAP, STUDY_CONDITIONS, WORDINGS = 5531, 30, 3
TREE_TOKENS = 4096
SECONDS, FRAMES, AUDIO_TOKENS, AUDIO = 5, 500, 125, 7
HEAD, INSTRUCTION, TAIL, CONCEPTS, LEVELS, LABELS = 20, 45, 9, 6, 3, 4
GOAL_RATIO, GOAL_RATE = 5.0, 0.4


def attention_flops(
    query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: object, **__: object
) -> int:
    """FLOPs of attention by the shapes of its inputs; there may be fewer heads of keys."""
    rows, heads, tokens, size = query
    return 2 * rows * heads * tokens * key[-2] * (size + value[-1])


# torch counts attention only where queries and keys have as many heads.
ATTENTION_FLOPS = {
    getattr(torch.ops.aten, f"_scaled_dot_product_{name}"): attention_flops
    for name in ("efficient_attention", "flash_attention", "cudnn_attention")
}
ENCODER = {
    "num_mel_bins": 128,
    "d_model": 1280,
    "encoder_layers": 32,
    "encoder_attention_heads": 20,
    "encoder_ffn_dim": 5120,
    "max_source_positions": 1500,
}
FLAMINGO_ENCODER = {
    "num_mel_bins": 128,
    "hidden_size": 1280,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "intermediate_size": 5120,
    "max_source_positions": 1500,
}


@dataclass(frozen=True)
class Size:
    """The language model: width, layers, heads, heads of keys and values, feed-forward width."""

    width: int
    layers: int
    heads: int
    kv_heads: int
    wide: int
    vocabulary: int

    def text(self) -> dict[str, int]:
        """The same as transformers' configurations name it."""
        return {
            "hidden_size": self.width,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "intermediate_size": self.wide,
            "vocab_size": self.vocabulary,
        }


SEVEN = Size(4096, 32, 32, 32, 11008, 156_032)
FLAMINGO = Size(3584, 28, 28, 4, 18_944, 151_672)
OMNI = Size(3584, 28, 28, 4, 18_944, 152_064)
SMALL = Size(64, 2, 4, 2, 128, 1000)


def qwen2_audio(size: Size, encoder: dict[str, int]) -> transformers.PreTrainedModel:
    config = transformers.Qwen2AudioConfig(
        audio_config={"model_type": "qwen2_audio_encoder", **ENCODER, **encoder},
        text_config={"model_type": "qwen2", **size.text()},
        audio_token_index=AUDIO,
        audio_token_id=AUDIO,
    )
    return transformers.Qwen2AudioForConditionalGeneration(config)


def audio_flamingo_3(size: Size, encoder: dict[str, int]) -> transformers.PreTrainedModel:
    small = {
        "hidden_size": "d_model",
        "num_hidden_layers": "encoder_layers",
        "num_attention_heads": "encoder_attention_heads",
        "intermediate_size": "encoder_ffn_dim",
    }
    given = {name: encoder[other] for name, other in small.items() if other in encoder}
    config = transformers.AudioFlamingo3Config(
        audio_config={**FLAMINGO_ENCODER, **given},
        text_config={"model_type": "qwen2", **size.text()},
        audio_token_id=AUDIO,
    )
    return transformers.AudioFlamingo3ForConditionalGeneration(config)


def qwen2_5_omni_thinker(size: Size, encoder: dict[str, int]) -> transformers.PreTrainedModel:
    part = size.width // size.heads // 2
    rope = {
        "rope_type": "default",
        "rope_theta": 1e6,
        "mrope_section": [part - 2 * (part * 3 // 8), part * 3 // 8, part * 3 // 8],
    }
    config = transformers.Qwen2_5OmniThinkerConfig(
        audio_config={**ENCODER, "n_window": 100, **encoder, "output_dim": size.width},
        # Its vision tower takes no part here.
        vision_config={
            "depth": 1,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "out_hidden_size": size.width,
        },
        text_config={**size.text(), "rope_parameters": rope},
        audio_token_index=AUDIO,
        audio_token_id=AUDIO,
        image_token_id=8,
        video_token_id=9,
        audio_start_token_id=10,
        audio_end_token_id=11,
        vision_start_token_id=12,
        vision_end_token_id=13,
    )
    return transformers.Qwen2_5OmniThinkerForConditionalGeneration(config)


MODELS: dict[str, tuple[Callable[[Size, dict[str, int]], transformers.PreTrainedModel], Size]] = {
    "Qwen2-Audio": (qwen2_audio, SEVEN),
    "Audio Flamingo 3": (audio_flamingo_3, FLAMINGO),
    "Qwen2.5-Omni thinker": (qwen2_5_omni_thinker, OMNI),
}


def build(name: str, device: str, *, small: bool) -> transformers.PreTrainedModel:
    """A model with random weights on the device, in bfloat16."""
    make, size = MODELS[name]
    encoder = {}
    if small:
        size = SMALL
        encoder = {
            "d_model": 64,
            "encoder_layers": 2,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 128,
        }
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(device):
            model = make(size, encoder)
    finally:
        torch.set_default_dtype(torch.float32)
    model.generation_config.eos_token_id = None
    return model.to(device, torch.bfloat16).eval()


def prompts(conditions: int, vocabulary: int, wording: int = 0) -> list[list[int]]:
    """Token ids of prompts as a study has them: one without tokens, the others of six words.

    Wordings share what stands before the audio, and the audio.
    """
    generator = np.random.default_rng(wording)
    draw = generator.integers(20, vocabulary, 400).tolist()
    head = np.random.default_rng(0).integers(20, vocabulary, HEAD).tolist()
    start = [*head, *[AUDIO] * AUDIO_TOKENS, *draw[20 : 20 + INSTRUCTION]]
    tail, names, words = draw[100 : 100 + TAIL], draw[120:126], draw[130:133]
    texts = [[*start, *tail]]
    for _ in range(conditions - 1):
        levels = generator.integers(0, LEVELS, CONCEPTS)
        said = [[names[c], draw[140], words[level], draw[141]] for c, level in enumerate(levels)]
        texts.append([*start, *draw[150:153], *np.concatenate(said).tolist(), *tail])
    return texts


def features(model: transformers.PreTrainedModel, utterances: int) -> dict[str, torch.Tensor]:
    """Spectrograms of noise, as the processors hand them over."""
    device = next(model.parameters()).device
    mel = torch.randn(utterances, 128, 3000, device=device).bfloat16().to(model.dtype)
    mask = torch.zeros(utterances, 3000, dtype=torch.long, device=device)
    mask[:, :FRAMES] = 1
    flamingo = type(model).__name__.startswith("AudioFlamingo")
    return {
        "input_features": mel,
        ("input_features_mask" if flamingo else "feature_attention_mask"): mask,
    }


def one_pass(
    model: transformers.PreTrainedModel, utterances: int, texts: list[list[int]]
) -> Callable[[], list[np.ndarray]]:
    """A call that scores all labels after all prompts of some utterances."""
    batch = Batch(features(model, utterances), {}, [texts] * utterances)
    answers = [[[20 + label] for label in range(LABELS)]] * utterances
    return partial(score_answers, model, batch, answers, TREE_TOKENS)


@torch.inference_mode()
def both_scores(
    model: transformers.PreTrainedModel, texts: list[list[int]]
) -> tuple[np.ndarray, np.ndarray]:
    """Scores (prompts, labels) by one pass, and by a pass per prompt without a cache, in nats."""
    torch.manual_seed(0)
    batch = Batch(features(model, 1), {}, [texts])
    labels = [[20 + label] for label in range(LABELS)]
    (found,) = score_answers(model, batch, [labels], TREE_TOKENS)
    device = next(model.parameters()).device
    apart = []
    for text in texts:
        ids = torch.tensor([text], device=device)
        output = model(**batch.inputs, input_ids=ids, attention_mask=torch.ones_like(ids))
        apart.append(output.logits[0, -1].float().log_softmax(-1)[20 : 20 + LABELS].cpu())
    return found, torch.stack(apart).numpy()


def ways(
    model: transformers.PreTrainedModel, utterances: int, conditions: int, vocabulary: int
) -> dict[str, tuple[int, Callable[[], object]]]:
    """Each way to ask: how many prompts one call answers, and the call."""
    texts = prompts(conditions, vocabulary)
    device = next(model.parameters()).device
    one = features(model, 1)
    batch = Batch(features(model, utterances), {}, [texts] * utterances)
    repeated = {name: value.expand(conditions - 1, *value.shape[1:]) for name, value in one.items()}

    @torch.inference_mode()
    def generate(rows: Sequence[Sequence[int]], inputs: dict[str, torch.Tensor]) -> object:
        ids = torch.tensor(rows, device=device)
        return model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=NEW_TOKENS,
            do_sample=False,
            pad_token_id=0,
            **inputs,
        )

    return {
        "one pass, score": (utterances * conditions, one_pass(model, utterances, texts)),
        "one pass, generate": (
            utterances * conditions,
            partial(greedy_answers, model, batch, [-1], NEW_TOKENS, TREE_TOKENS),
        ),
        "(a) separate generate calls": (1, lambda: generate(texts[1:2], one)),
        # All but the prompt without tokens are of one length, so that nothing is padded.
        "(c) generate batched over conditions": (
            conditions - 1,
            lambda: generate(texts[1:], repeated),
        ),
    }


def seconds(call: Callable[[], object], device: str, runs: int) -> float:
    """Median over runs, after one that warms up."""
    found = []
    for run in range(runs + 1):
        start = time.perf_counter()
        call()
        if device != "cpu":
            torch.cuda.synchronize()
        if run:
            found.append(time.perf_counter() - start)
    return statistics.median(found)


def matrix_rate(device: str, runs: int, size: int) -> float:
    """FLOP/s of a square matrix product in bfloat16."""
    one, other = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * size**3 / seconds(lambda: one @ other, device, runs)


def measure(
    model: transformers.PreTrainedModel,
    vocabulary: int,
    rate: float,
    *,
    utterances: int,
    conditions: int,
    runs: int,
) -> dict[str, float]:
    """Prompts per second of each way, the share of the matrix rate, and peak memory in GB."""
    device = next(model.parameters()).device.type
    given = ways(model, utterances, conditions, vocabulary)
    rates = {way: number / seconds(call, device, runs) for way, (number, call) in given.items()}
    number, ours = given["one pass, score"]
    with FlopCounterMode(display=False, custom_mapping=ATTENTION_FLOPS) as counter:
        ours()
    flops = counter.get_total_flops() * rates["one pass, score"] / number
    return rates | {"share": flops / rate, "GB": peak(ours, device)}


def peak(call: Callable[[], object], device: str) -> float:
    """Most memory that was allocated on the GPU during a call, in GB; not known on a CPU."""
    if device == "cpu":
        return float("nan")
    torch.cuda.reset_peak_memory_stats()
    call()
    return torch.cuda.max_memory_allocated() / 1e9


def study_hours(
    model: transformers.PreTrainedModel, vocabulary: int, utterances: int, runs: int
) -> float:
    """Hours of one model on IEMOCAP, from a batch with all conditions and wordings."""
    texts = [
        text
        for wording in range(WORDINGS)
        for text in prompts(STUDY_CONDITIONS, vocabulary, wording)
    ]
    call = one_pass(model, utterances, texts)
    device = next(model.parameters()).device.type
    return seconds(call, device, runs) / utterances * IEMOCAP / 3600


def profile(call: Callable[[], object]) -> str:
    """Where a pass spends its time on the GPU, and on the host."""
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as recorded:
        call()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
    order = "self_device_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
    return recorded.key_averages().table(sort_by=order, row_limit=25, max_name_column_width=70)


def main() -> None:
    """Print what each model reaches, with its goals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conditions", type=int, nargs="+", default=[CONDITIONS])
    parser.add_argument("--utterances", type=int, nargs="+", default=UTTERANCES)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--small", action="store_true", help="the same in small on the CPU")
    parser.add_argument("--profile", action="store_true", help="print where a pass spends its time")
    given = parser.parse_args()
    if not (given.small or torch.cuda.is_available()):
        print("GPU benchmark: found no CUDA device, so nothing was measured")
        return
    device = "cpu" if given.small else "cuda"
    rate = matrix_rate(device, given.runs, 512 if given.small else 8192)
    print(f"on {'the CPU, in small' if given.small else torch.cuda.get_device_name()}")
    print(f"torch {torch.__version__}, transformers {transformers.__version__}")
    print(f"matrix product in bfloat16: {rate / 1e12:.3g} TFLOP/s")
    for name in given.models:
        benchmark(name, device, rate, given)


def benchmark(name: str, device: str, rate: float, given: argparse.Namespace) -> None:
    """Print all that is measured of one model."""
    model = build(name, device, small=given.small)
    vocabulary = SMALL.vocabulary if given.small else MODELS[name][1].vocabulary
    billions = sum(p.numel() for p in model.parameters()) / 1e9
    print(f"\n{name}, {billions:.2f} billion parameters")
    for conditions in given.conditions:
        for utterances in given.utterances:
            rates = measure(
                model,
                vocabulary,
                rate,
                utterances=utterances,
                conditions=conditions,
                runs=given.runs,
            )
            report(utterances, conditions, rates)
    hours = study_hours(model, vocabulary, max(given.utterances), given.runs)
    print(
        f" IEMOCAP ({IEMOCAP} utterances x {STUDY_CONDITIONS} conditions x {WORDINGS} wordings): "
        f"{hours:.2f} h"
    )
    if given.profile:
        print(profile(one_pass(model, max(given.utterances), prompts(CONDITIONS, vocabulary))))
    texts = prompts(CONDITIONS, vocabulary)
    half, half_apart = both_scores(model, texts)
    whole, apart = both_scores(model.float(), texts)
    print(
        f" largest difference of one pass from separate passes: {gap(whole, apart):.2g} nats in "
        f"float32, {gap(half, half_apart):.2g} in bfloat16; of bfloat16 from float32: "
        f"{gap(half, apart):.2g} by one pass, {gap(half_apart, apart):.2g} by separate ones",
        flush=True,
    )
    del model
    gc.collect()
    if device != "cpu":
        torch.cuda.empty_cache()


def gap(one: np.ndarray, other: np.ndarray) -> float:
    """Largest difference."""
    return float(np.abs(one - other).max())


def report(utterances: int, conditions: int, rates: dict[str, float]) -> None:
    """Print one measurement."""
    print(f" {utterances} utterances of {SECONDS} s at once x {conditions} conditions")
    ours = rates["one pass, score"]
    for way, rate in rates.items():
        if way.startswith("("):
            goal = f", goal {GOAL_RATIO:g}" if way.startswith("(c)") else ""
            told = f"one pass is {ours / rate:.1f} times as fast{goal}"
            print(f"  {way:<38} {rate:9.1f} prompts/s; {told}")
        elif way.startswith("one pass"):
            print(f"  {way:<38} {rate:9.1f} prompts/s")
    print(f"  peak memory of one pass: {rates['GB']:.1f} GB")
    print(f"  share of the matrix rate: {rates['share']:.0%}, goal {GOAL_RATE:.0%}", flush=True)


if __name__ == "__main__":
    main()
