"""Tiny random checkpoints of real architectures, written as their repositories hold them."""

from pathlib import Path

import torch
from checkpoint_parts import tokenizer
from checkpoints_other import OTHER
from checkpoints_study import ORIGINAL

ARCHITECTURES = {**ORIGINAL, **OTHER}


def build_checkpoint(architecture: str):
    """A model with random weights from a fixed seed, and its processor."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model, processor = ARCHITECTURES[architecture](tokenizer())
    return model.eval(), processor


def write_checkpoint(architecture: str, folder: Path) -> Path:
    """The same in ``folder``."""
    model, processor = build_checkpoint(architecture)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
