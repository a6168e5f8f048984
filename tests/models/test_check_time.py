"""The time that a check measures, and what the trial finds."""

import re

import pytest
from safetensors.torch import load_file, save_file
from serving import JSON, Loopback, completion, failure
from test_check_context import shortened

from sercue.check.study import check_study
from sercue.errors import InputError, ServerError
from sercue.run import Run


def test_the_model_is_asked_about_a_few_utterances_all_their_prompts(study):
    """Four are evaluated; the count is that of the prompts that differ."""
    settings = study(long=None, conditions=["none", "constant"], templates=["plain"])
    rows = dict(check_study(settings, measure=True).rows)
    assert rows["prompts"].endswith("= 16 prompts, 16 after merging equal ones")
    told = r"about \S+ \w+ for all answers: \S+ s an utterance of 4 prompts, measured on \d "
    assert re.match(told, rows["time"])
    assert "time" not in dict(check_study(settings).rows)


def test_answers_of_an_earlier_run_are_told(study, tmp_path):
    """Whoever resumes does not wait for them: 4 utterances x 2 conditions x 2 label orders."""
    keys = {"long": None, "templates": ["plain"], "controls": False, "out": str(tmp_path / "run")}
    first = study(conditions=["none", "constant"], **keys)
    _ = Run(first).predictions
    more = study(conditions=["none", "constant", "masked(1)"], **keys)
    told = dict(check_study(more, measure=True).rows)["time"]
    assert told.endswith("; 16 of 24 are stored, and only what changed since is asked again")


def test_nothing_is_left_of_the_trial(study, tmp_path):
    """Its answers are no part of the study, whose folder is as the study finds it."""
    out = tmp_path / "not yet" / "there"
    check_study(study(long=None, out=str(out)), measure=True)
    assert not out.parent.exists()


def test_a_model_that_lacks_weights_ends_the_quick_check(study, qwen_checkpoint, tmp_path):
    """The headers of its files tell so in a moment; loading it takes minutes."""
    folder = shortened(qwen_checkpoint, tmp_path / "torn", 512)
    weights = load_file(folder / "model.safetensors")
    weights.pop(next(name for name in weights if "mlp" in name))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match="lacks 1 weights"):
        check_study(study(long=None, model=f"hf:{folder}"))


def test_a_model_that_cannot_be_asked_ends_the_check(study, qwen_checkpoint, tmp_path):
    """Without the trial it would end the study, once all features are there."""
    folder = shortened(qwen_checkpoint, tmp_path / "damaged", 512)
    weights = load_file(folder / "model.safetensors")
    next(value for name, value in weights.items() if "mlp" in name).fill_(float("nan"))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    settings = study(long=None, model=f"hf:{folder}")
    assert check_study(settings).problem is None
    with pytest.raises(InputError, match=r"in float32, 12 of 12 scores of a trial.*not finite"):
        check_study(settings, measure=True)


def test_a_server_that_stops_answering_ends_the_check_with_its_message(study):
    """The command tells errors of input in one line; a traceback would help nobody."""

    def answer(seen):
        text = seen.body["messages"][0]["content"][1]["text"] if seen.body else ""
        if seen.path.endswith("/models"):
            return 200, JSON, b'{"object": "list", "data": []}'
        return failure(503, "overloaded") if text.startswith("Listen") else completion("angry")

    with Loopback(answer) as server:
        keys = {"model": "endpoint:m", "device": "auto", "dtype": "auto", "decoding": "generate"}
        keys["model_options"] = {"base_url": server.url, "retries": 0}
        with pytest.raises(ServerError, match=r"status 503: overloaded"):
            check_study(study(long=None, **keys), measure=True)
