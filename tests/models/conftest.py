import numpy as np
import pytest
import torch
from checkpoints import ARCHITECTURES, ORIGINAL, write_checkpoint


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Models this small are no faster on more threads, and far slower where tests share cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """The folder of each tiny checkpoint by the name of its architecture, written once."""
    folders = {}

    def write(architecture):
        if architecture not in folders:
            folder = tmp_path_factory.mktemp(architecture)
            folders[architecture] = write_checkpoint(architecture, folder)
        return folders[architecture]

    return write


@pytest.fixture(scope="session", params=ARCHITECTURES)
def checkpoint(request, written):
    """The folder of a tiny random checkpoint of each architecture."""
    return written(request.param)


@pytest.fixture(scope="session", params=ORIGINAL)
def original_checkpoint(request, written):
    """The folder of a tiny random checkpoint of each architecture of the study."""
    return written(request.param)


@pytest.fixture(scope="session")
def qwen_checkpoint(written):
    return written("qwen2-audio")


@pytest.fixture(scope="session")
def audio():
    return np.random.default_rng(0).normal(0, 0.05, 20_000).astype(np.float32)
