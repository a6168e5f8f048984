"""A model for workers: answers from a hash of what it hears and reads; a log of who answered."""

import hashlib
import os
import signal
import time
from pathlib import Path

import numpy as np

from sercue.errors import DecodingError, InputError
from sercue.models.endpoint_server import RefusedRequest

FAILURES = {
    "input": InputError("labels: found nothing, valid is something"),
    "decoding": DecodingError("decoding: found 'score', which this server cannot do"),
    "refused": RefusedRequest("the server refused the request: status 400", 400, "too long"),
}


class HashingModel:
    """Like the model of tests/test_study.py, but for several processes.

    ``folder`` gets a file for each call, with what was asked, and one for each time that it was
    loaded. The first ``kills`` calls end their process: of all calls, or of those with ``deadly``,
    the digest of a recording.
    """

    name = "hashing"
    sampling_rate = 16000
    max_seconds = 30.0
    device, dtype = "cpu", "float32"

    def __init__(
        self, folder, *, batch_size=1, pause=0.0, kills=0, deadly=None, fails=None, version=1
    ):
        self.folder, self.batch_size, self.pause = Path(folder), batch_size, pause
        self.kills, self.deadly, self.fails, self.version = kills, deadly, fails, version
        self.loaded = False

    @property
    def identity(self):
        return f"hashing@{self.version}/float32"

    def __getstate__(self):
        return self.__dict__ | {"loaded": False}

    def score(self, audios, prompts, labels):
        self._log(audios, prompts)
        return [
            np.array([[-1.0 - self._number(a, p, word) for word in labels] for p in own])
            for a, own in zip(audios, prompts, strict=True)
        ]

    def generate(self, audios, prompts, max_new_tokens=8):
        self._log(audios, prompts)
        return [["angry" if self._number(a, p, "") < 0.5 else "?" for p in own]
                for a, own in zip(audios, prompts, strict=True)]  # fmt: skip

    def _log(self, audios, prompts):
        if not self.loaded:
            self._write("load", "")
            self.loaded = True
        self._write("call", "\n".join(text for own in prompts for text in own))
        time.sleep(self.pause)
        if self.fails is not None:
            raise FAILURES[self.fails]
        deadly = self.deadly is None or self.deadly in map(digest, audios)
        if deadly and len(list(self.folder.glob("killed-*"))) < self.kills:
            self._write("killed", "")
            os.kill(os.getpid(), signal.SIGKILL)

    def _write(self, kind, text):
        name = f"{kind}-{os.getpid()}-{time.monotonic_ns()}"
        (self.folder / name).write_text(text)

    @staticmethod
    def _number(audio, prompt, word):
        text = f"{digest(audio)}|{prompt}|{word}"
        return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 2**32


def digest(audio):
    """What identifies samples."""
    return hashlib.sha256(audio.tobytes()).hexdigest()


def calls(folder):
    """What was asked in each call, sorted."""
    return sorted(file.read_text() for file in Path(folder).glob("call-*"))


def processes(folder, kind):
    """The process of each call or load."""
    return sorted(file.name.split("-")[1] for file in Path(folder).glob(f"{kind}-*"))
