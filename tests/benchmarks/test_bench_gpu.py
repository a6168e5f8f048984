"""The GPU script must work before a GPU is at hand, and measure the sizes that it names."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from bench_gpu import MODELS, SMALL, both_scores, build, measure, prompts

from sercue.models.availability import needed
from sercue.models.cards import CARDS

PARAMETERS = {card.name: card.parameters for card in CARDS}


def test_it_runs_in_small_on_the_cpu():
    """Borrowed hours on a GPU must not be spent on finding mistakes in the script."""
    name = "Audio Flamingo 3"
    model, vocabulary = build(name, "cpu", small=True), SMALL.vocabulary
    rates = measure(model, vocabulary, 1e9, utterances=2, conditions=3, runs=1)
    assert math.isnan(rates.pop("GB"))
    assert len(rates) == 5
    assert all(math.isfinite(rate) and rate > 0 for rate in rates.values())
    found, apart = both_scores(model.float(), prompts(3, vocabulary))
    np.testing.assert_allclose(found, apart, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "card"), [("Qwen2-Audio", "qwen2-audio"), ("Audio Flamingo 3", "audio-flamingo-3")]
)
def test_the_sizes_are_the_published_ones(name, card):
    """Counted without memory; of Omni the script leaves the vision tower out, so not of that."""
    make, size = MODELS[name]
    with torch.device("meta"):
        model = make(size, {})
    assert sum(weights.numel() for weights in model.parameters()) == PARAMETERS[card]


@pytest.mark.parametrize("name", MODELS)
def test_the_memory_that_a_check_foretells_is_near_what_was_measured(name):
    """At the default number of utterances at once, to within 15 %, as GPU.md has it."""
    text = (Path(__file__).parent / "GPU.md").read_text(encoding="utf-8")
    _, _, of_model = text.partition(f"| {name} |")
    row = next(line for line in of_model.splitlines() if line.startswith("| | 8 |"))
    measured = float(row.split("|")[-2].removesuffix(" GB "))
    make, size = MODELS[name]
    with torch.device("meta"):
        parameters = sum(weights.numel() for weights in make(size, {}).parameters())
    assert needed(parameters, "bfloat16") / 1e9 == pytest.approx(measured, rel=0.15)
