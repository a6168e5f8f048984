"""What an earlier run left, and models that are trained by a process beside the notebooks."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import joblib

from sercue.artifacts import Artifacts
from sercue.errors import InputError
from sercue.features import extracted
from sercue.report.kernels import ASKING
from sercue.running import end_with, no_progress
from sercue.settings import (
    BASELINE_KEYS,
    CONTROL_KEYS,
    CORPUS_KEYS,
    STUDY_KEYS,
    Settings,
    run_folder,
)
from sercue.statistics.controls import trains_here, why_no_controls

# Seconds at least between two looks at whether the first notebook has extracted the features, and
# how many times as long as the last look took.
_PAUSE, _SHARE = 1.0, 10.0


@contextmanager
def trained_ahead(settings: Settings, notebooks: Collection[str]) -> Iterator[None]:
    """Within, a second process trains what the study trains, on cores that notebooks leave free.

    It begins when a notebook has extracted the features. A notebook that needs a model waits for
    it, and trains those that nobody trains. What goes wrong in that process is told by the
    notebook, in which it goes wrong again.

    Args:
        settings: the study
        notebooks: the numbers of the notebooks that are run within
    """
    if not ASKING & set(notebooks) or joblib.cpu_count() < 2 or not _trains(settings):
        yield
        return
    controls = "04" in notebooks
    code = (
        "import sys; from sercue.report.ahead import train; "
        f"train(sys.stdin.read(), {os.getpid()}, controls={controls})"
    )
    # Here, since that process is killed in the end.
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as asked:
        elsewhere = settings.model_copy(update={"out": folder})
        asked.write(elsewhere.model_dump_json().encode())
        asked.seek(0)
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", code],
            stdin=asked,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield
        finally:
            process.kill()
            process.wait()


def _trains(settings: Settings) -> bool:
    """Whether a model is trained here for answers that are not stored yet."""
    if settings.made_elsewhere or settings.scheduler is not None:
        return False
    answered = Artifacts(run_folder(settings) / "artifacts").provenance().get("predictions", {})
    if answered.get("settings") == settings.fingerprint(STUDY_KEYS):
        return False
    return trains_here(settings)


def all_is_stored(settings: Settings) -> bool:
    """Whether answers and features of a study, of its controls and its baselines, are there."""
    needed = [CORPUS_KEYS, STUDY_KEYS]
    needed += [CONTROL_KEYS] * (not why_no_controls(settings))
    needed += [BASELINE_KEYS] * bool(settings.baselines)
    artifacts = Artifacts(run_folder(settings) / "artifacts")
    try:
        stored = artifacts.fingerprints()
        if not all(stored.get(keys) == settings.fingerprint(keys) for keys in needed):
            return False
        digests = artifacts.read("utterances.parquet")["audio"]
    except InputError:
        # What cannot be read is made again, or told by the notebook that reads it.
        return False
    return settings.made_elsewhere or bool(extracted(digests).all())


def train(text: str, starter: int, *, controls: bool = True) -> None:
    """Train the models of a study that are not trained yet.

    Args:
        text: its settings as JSON; ``out`` is a folder that nobody else writes to
        starter: the process with which this one ends
        controls: the control models, too
    """
    # Late: the command itself needs none of what a run imports.
    from sercue.run import Run

    end_with(starter)
    with no_progress():
        run = Run(Settings.model_validate_json(text))
        looked = time.monotonic()
        while not extracted(run.digests).all():
            # A look at a large cache takes long: most of the time is left to who fills it.
            time.sleep(max(_PAUSE, _SHARE * (time.monotonic() - looked)))
            looked = time.monotonic()
        run.train(controls=controls)
