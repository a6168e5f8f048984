"""Models that are trained beside the first notebooks."""

import time

import psutil
import pytest

from sercue.models.tiny import TinyModel
from sercue.report.ahead import trained_ahead
from sercue.run import Run
from sercue.settings import Settings

SMALL = {
    "corpus_options": {"speakers": 6, "sentences": 1},
    "model_options": {"epochs": 1},
    "conditions": ["none", "aligned"],
    "templates": ["plain"],
}
_SECONDS = 240


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """A small study with a cache of its own, on a machine of two cores."""
    monkeypatch.setenv("SERCUE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "2")
    return Settings(**SMALL, out=str(tmp_path / "out"))


def models_of(run):
    """All that the study trains: its own model, and the controls."""
    controls = [model for folds in run._control_models.values() for model in folds.values()]
    return [run.model, *controls]


def test_models_are_trained_once_features_are_there(settings, monkeypatch):
    """By another process, which ends with the context; the run itself has nothing left to train."""
    run = Run(settings)
    before = set(psutil.Process().children(recursive=True))
    with trained_ahead(settings, {"03", "04"}):
        _ = run.measured
        models, end = models_of(run), time.monotonic() + _SECONDS
        while not all(model.trained for model in models) and time.monotonic() < end:
            time.sleep(0.2)
        assert all(model.trained for model in models)
    assert set(psutil.Process().children(recursive=True)) <= before
    monkeypatch.setattr(TinyModel, "_fit", lambda *_: pytest.fail("it was trained again"))
    run.train()


def test_notebook_03_alone_needs_no_control(settings):
    """It shows the model under study: controls are trained for those that are run with it."""
    run = Run(settings)
    before = set(psutil.Process().children())
    with trained_ahead(settings, {"03"}):
        (process,) = set(psutil.Process().children()) - before
        _ = run.measured
        process.wait(_SECONDS)
        trained = {model.key: model.trained for model in models_of(run)}
    assert trained.pop(run.model.key)
    assert set(trained.values()) == {False}


@pytest.mark.parametrize(
    ("notebooks", "changed"),
    [
        ({"01", "02", "05"}, {}),
        ({"03"}, {"model": "qwen2-audio", "controls": False}),
        ({"03"}, {"scheduler": "tcp://localhost:1"}),
    ],
    ids=["no notebook asks", "nothing is trained", "workers ask"],
)
def test_no_process_is_started_where_nothing_is_to_be_trained(settings, notebooks, changed):
    """Notebooks that ask nothing, a model that is not trained here, workers that do the work."""
    before = set(psutil.Process().children())
    with trained_ahead(settings.model_copy(update=changed), notebooks):
        assert set(psutil.Process().children()) <= before
