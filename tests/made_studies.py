"""Studies on a handful of recordings, of a model that answers by a hash of what it is asked."""

import hashlib

import numpy as np
import pandas as pd

from sercue.run import Run
from sercue.settings import read_study

CLASSES = ("angry", "happy", "neutral", "sad")


class HashModel:
    """Answers that tell nothing, at once; every seventh that it writes is empty."""

    name = "by hash"
    identity = "by hash@1"
    device = "cpu"
    dtype = "float32"
    batch_size = 8
    sampling_rate = 16_000
    max_seconds = 30.0

    def check(self):
        """It can be trained on anything."""

    def facts(self):
        return {"name": self.name, "identity": self.identity}

    def score(self, audios, prompts, labels):
        return [
            np.log([drawn(audio, text, len(labels)) for text in own]) - 0.1
            for audio, own in zip(audios, prompts, strict=True)
        ]

    def generate(self, audios, prompts, max_new_tokens=8):
        return [
            [
                "" if place % 7 == 0 else CLASSES[int(drawn(audio, text, 4).argmax())]
                for place, text in enumerate(own)
            ]
            for audio, own in zip(audios, prompts, strict=True)
        ]


def drawn(audio, text, number):
    """Shares of so many classes, a function of the recording and the prompt."""
    seed = hashlib.blake2b(text.encode() + audio[:4000].tobytes(), digest_size=4).digest()
    return np.random.default_rng(int.from_bytes(seed)).dirichlet(np.ones(number))


def made_study(name, folder, recordings, monkeypatch, rows=None, **changes):
    """A run of a shipped study on recordings of the demo, listed in a table.

    Args:
        name: of the study file, whose labels, conditions, scheme and prompts are taken
        folder: an empty one
        recordings: emotion to the files of each voice
        monkeypatch: sets ``HashModel`` in the place of the study's
        rows: (speaker, label, number of utterances, partition); by default two training, one
            development and two test speakers with one utterance of each class
        **changes: keys to set besides

    Returns:
        the run
    """
    labels = list(read_study(name).labels or CLASSES)
    parts = ("train", "train", "dev", "test", "test")
    rows = rows or [
        (f"s{speaker}", label, 1, part) for speaker, part in enumerate(parts) for label in labels
    ]
    table = []
    for speaker, label, number, part in rows:
        turn, emotion = divmod(labels.index(label), len(CLASSES))
        voices = recordings[CLASSES[emotion]]
        files = voices[int(speaker[1:]) % len(voices)]
        table += [
            (files[(place + turn) % len(files)], label, speaker, part) for place in range(number)
        ]
    listed = pd.DataFrame(table, columns=["file", "emotion", "speaker", "partition"])
    listed.to_csv(folder / "corpus.csv", index=False)
    keys = {"corpus": "table", "corpus_root": str(folder / "corpus.csv"), "corpus_options": {},
            "model": "hf:made", "model_options": {}, "out": str(folder / "out"),
            "resamples": 200, "tuning_limit": 4}  # fmt: skip
    monkeypatch.setattr("sercue.run.load_model", lambda *_, **__: HashModel())
    return Run(read_study(name, keys | changes))
