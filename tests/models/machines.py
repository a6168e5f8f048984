"""A machine that is none of ours, and what lies in its cache."""

import json
import math
import os
import struct
from pathlib import Path

import torch

from sercue.models import availability as memory

GB = 10**9


def simulate(monkeypatch, folder):
    """A machine with 32 GB of memory, no accelerator, an empty cache, and no way to the hub."""
    for backend in (torch.cuda, torch.backends.mps):
        monkeypatch.setattr(backend, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    pages = {"SC_PHYS_PAGES": 32 * GB // 4096, "SC_PAGE_SIZE": 4096}
    real = os.sysconf
    monkeypatch.setattr(os, "sysconf", lambda name: pages.get(name) or real(name))
    monkeypatch.setattr(memory, "_CONTAINER_LIMIT", folder / "no limit")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder / "hub"))


def plant(hub, repository, commit, files, branch="main"):
    """A repository in the hub's cache, laid out as its documentation has it."""
    folder = Path(hub, "models--" + repository.replace("/", "--"))
    snapshot = folder / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / branch).write_text(commit)
    for name, text in files.items():
        (snapshot / name).write_text(text)
    return snapshot


def write_header(file, tensors):
    """A file of safetensors that ends behind its header: no weights, however many it promises."""
    header = json.dumps(
        {
            name: {"dtype": "F32", "shape": shape, "data_offsets": [0, 4 * math.prod(shape)]}
            for name, shape in tensors.items()
        }
    ).encode()
    file.write_bytes(struct.pack("<Q", len(header)) + header)
