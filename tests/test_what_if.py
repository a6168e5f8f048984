"""One recording, tokens changed by hand: the same prompts and answers as those of the study."""

import base64
import io
import re

import audiofile
import numpy as np
import pytest

from sercue.errors import InputError
from sercue.run import open_run
from sercue.tables.examples import YOURS, listen, one_utterance, what_if


@pytest.fixture(scope="module")
def run(small_study, tmp_path_factory):
    return open_run(small_study.settings | {"out": str(tmp_path_factory.mktemp("what_if"))})


def test_the_answers_without_and_with_own_tokens_are_those_of_the_study(run):
    rows = run.predictions
    name = rows["utterance"].iloc[-1]
    cell = rows[(rows["utterance"] == name) & (rows["template"] == "plain")]
    study = cell[cell["label_order"] == 0].drop_duplicates("condition").set_index("condition")
    table = what_if(run, {"ENERGY": "LOW"}, name)
    for condition in ("none", "aligned"):
        assert table.loc[condition, "answer"] == study.loc[condition, "prediction"]
        own = study.loc[condition, [f"p_{label}" for label in run.corpus.labels]].astype(float)
        found = table.loc[condition, list(run.corpus.labels)].astype(float)
        np.testing.assert_allclose(found, own, atol=1e-5)


def test_only_the_tokens_named_are_changed(run):
    table = what_if(run, {"ENERGY": "LOW", "VOICE_QUALITY": "unknown"})
    own, mine = (
        dict(item.split("=") for item in table.loc[name, "tokens"].split(", "))
        for name in ("aligned", YOURS)
    )
    assert mine == own | {"ENERGY": "LOW", "VOICE_QUALITY": "unknown"}
    assert table.loc["none", "tokens"] == ""


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ({}, "tokens: found none"),
        ({"loudness": "low"}, "unknown concept 'loudness'"),
        ({"ENERGY": "low"}, "unknown word for ENERGY 'low': did you mean 'LOW'"),
    ],
)
def test_what_is_not_known_is_named(run, tokens, message):
    with pytest.raises(InputError, match=message):
        what_if(run, tokens)


def test_an_utterance_that_is_not_evaluated_is_named(run):
    with pytest.raises(InputError, match=r"unknown utterance 'nobody\.wav'"):
        one_utterance(run, "nobody.wav")


def test_the_player_has_the_recording(run):
    """The samples that the model hears, to 16 bits."""
    html = listen(run)._repr_html_()
    data = base64.b64decode(re.search(r"base64,([^\"]+)", html)[1])
    heard, rate = audiofile.read(io.BytesIO(data))
    corpus = one_utterance(run)
    stored, stored_rate = audiofile.read(str(corpus.path(corpus.table.index[0][0])))
    assert rate == stored_rate == 16_000
    np.testing.assert_allclose(heard, stored, atol=2 / 2**15)


def test_a_recording_that_may_not_be_passed_on_is_not(run, monkeypatch):
    monkeypatch.setitem(run.corpus.__dict__, "may_share_audio", False)
    assert "audio" not in listen(run)._repr_html_()
