"""A study whose answers are a hash of what is asked, for processes that are killed in it."""

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

import audformat
import numpy as np
import pandas as pd
import soundfile

import sercue.study.store
from sercue.corpora.corpus import Corpus
from sercue.study import run_study

LABELS = ("angry", "neutral", "sad")
#: Utterances of one batch: twice the batch size of the model.
BATCH = 2


@dataclass
class HashingModel:
    """Answers from a hash of what it hears and reads, and notes each batch in a file."""

    log: Path
    seconds: float
    name = "hashing"
    identity = "hashing@1/float64"
    sampling_rate = 16000
    max_seconds = 30.0
    batch_size = 1

    def score(self, audios, prompts, labels):
        time.sleep(self.seconds)
        with self.log.open("a") as log:
            log.write(f"{len(audios)}\n")
        return [self._answers(*asked, labels) for asked in zip(audios, prompts, strict=True)]

    def _answers(self, audio, prompts, labels):
        heard = hashlib.sha256(audio.tobytes()).digest()
        seeds = [[*heard, *hashlib.sha256(prompt.encode()).digest()] for prompt in prompts]
        return np.array([np.random.default_rng(seed).normal(-3, 1, len(labels)) for seed in seeds])


def write_corpus(folder: Path, utterances: int) -> None:
    """Short recordings of noise, each different."""
    folder.mkdir()
    noise = np.random.default_rng(0)
    for number in range(utterances):
        soundfile.write(folder / f"{number:03d}.wav", noise.normal(0, 0.1, 800), 16000)


def made_study(folder: Path) -> dict:
    """Corpus, tokens and conditions of the study on the recordings of a folder."""
    files = sorted(file.name for file in folder.glob("*.wav"))
    index = audformat.segmented_index(files)
    rows = range(len(files))
    table = pd.DataFrame(
        {
            "emotion": [LABELS[row % 3] for row in rows],
            "speaker": [f"s{row % 4}" for row in rows],
            "partition": "test",
        },
        index=index,
    )
    words = np.random.default_rng(1).choice(["low", "mid", "high"], (len(files), 2))
    return {
        "corpus": Corpus("made", folder, table, LABELS, "neutral", "none"),
        "tokens": pd.DataFrame(words, index, ["energy", "pitch"]),
        "conditions": ["none", "aligned", "shuffled", "conflicting"],
        "templates": ["plain", "question"],
        "progress": False,
    }


def ask(folder: Path, store: Path | None, log: Path, seconds: float = 0.0) -> pd.DataFrame:
    """Run the study; each batch is stored by itself and takes at least so many seconds."""
    sercue.study.store._SECONDS_A_PART = 0.0
    return run_study(model=HashingModel(log, seconds), store=store, **made_study(folder))
