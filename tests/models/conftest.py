import numpy as np
import pytest
import torch
from checkpoints import ARCHITECTURES, write_checkpoint


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Models this small are no faster on more threads, and far slower where tests share cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session", params=ARCHITECTURES)
def checkpoint(request, tmp_path_factory):
    """The folder of a tiny random checkpoint of each architecture."""
    return write_checkpoint(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="session")
def qwen_checkpoint(tmp_path_factory):
    return write_checkpoint("qwen2-audio", tmp_path_factory.mktemp("qwen"))


@pytest.fixture(scope="session")
def audio():
    return np.random.default_rng(0).normal(0, 0.05, 20_000).astype(np.float32)
