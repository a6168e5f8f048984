import audiofile
import numpy as np
import pandas as pd
import pytest
from checkpoints import ARCHITECTURES, ORIGINAL, write_checkpoint
from scipy.signal import sawtooth

from sercue.settings import Settings


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


def voiced(seconds, pitch):
    """A buzz that rises from a pitch, in noise: all that eGeMAPS measures is there."""
    time = np.arange(int(seconds * 16_000)) / 16_000
    noise = np.random.default_rng(pitch).normal(0, 0.005, time.size)
    return (0.1 * sawtooth(2 * np.pi * pitch * (time + time**2 / 5)) + noise).astype(np.float32)


def write_study(folder, checkpoint, long=11, **changes):
    """A study of twelve recordings of six speakers, one of 5 s: the checkpoint takes 2 s."""
    rows = []
    for number in range(12):
        file, seconds = f"{number}.wav", 5.0 if number == long else 0.5
        audiofile.write(str(folder / file), voiced(seconds, 100 + 10 * number), 16_000)
        partition = "train" if number < 6 else "dev" if number < 8 else "test"
        emotion = ("angry", "neutral")[number % 2]
        rows.append((file, emotion, f"s{number // 2}", partition))
    table = pd.DataFrame(rows, columns=["file", "emotion", "speaker", "partition"])
    table.to_csv(folder / "corpus.csv", index=False)
    keys = {
        "corpus": "table",
        "corpus_root": str(folder / "corpus.csv"),
        "model": f"hf:{checkpoint}",
        "device": "cpu",
        "dtype": "float32",
        "out": str(folder / "run of the study"),
    }
    return Settings(**{**keys, **changes})


@pytest.fixture
def study(cache, tmp_path, qwen_checkpoint):
    """What writes the study of ``write_study``, with some of its settings changed."""

    def settings(long=11, **changes):
        return write_study(tmp_path, qwen_checkpoint, long, **changes)

    return settings
