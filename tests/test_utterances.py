"""The page of utterances: what it holds is what was predicted, and what may be told of it."""

import base64
import io
import json
import re
import zlib

import pandas as pd
import pytest
import soundfile
from made_study import LABELS, WRITTEN, made_study

from sercue.report import utterances
from sercue.report.utterances import write_utterances


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Where the key of the pseudonyms is."""
    monkeypatch.setenv("SERCUE_CACHE", str(tmp_path / "cache"))


def held(page, part="data"):
    """What a page holds for its script."""
    text = page.read_text(encoding="utf-8")
    found = re.search(rf'<script type="[a-z/-]+" id="{part}">(.*?)</script>', text, re.DOTALL)[1]
    if part == "players":
        return json.loads(found)
    return json.loads(zlib.decompress(base64.b64decode(found)))


def test_a_page_holds_the_answers_of_the_first_prompts(tmp_path):
    """By utterance and condition, the probabilities rounded to three decimals."""
    study, predictions = made_study(
        tmp_path, may_share=True, conditions=["none", "aligned", "corrupted(0.5)"],
        templates=["question", "plain"], label_orders=2, replicates=2,
    )  # fmt: skip
    data = held(write_utterances(tmp_path, study))
    assert data["conditions"] == ["none", "aligned", "corrupted(0.5)"]
    first = predictions.query("template == 'question' and label_order == 0 and replicate == 0")
    for condition, name in enumerate(data["conditions"]):
        rows = first[first["condition"] == name].set_index("utterance").loc[data["names"]]
        assert [LABELS[code] for code in data["answers"][condition]] == list(rows["prediction"])
        assert [LABELS[code] for code in data["truth"]] == list(rows["truth"])
        assert [data["speakers"][code] for code in data["speaker"]] == list(rows["speaker"])
        for label, shares in zip(LABELS, data["probabilities"], strict=True):
            off = pd.Series(shares[condition], rows.index) / 1000 - rows[f"p_{label}"]
            assert off.abs().max() <= 0.0005


def test_what_is_heard_instead_is_told_beside_the_answer(tmp_path):
    """The class of another utterance; silence and the utterance's own audio have their names."""
    names = ["none", "aligned", "aligned @ swapped", "aligned @ silent"]
    study, predictions = made_study(tmp_path, conditions=names, audio=["own", "swapped", "silent"])
    data = held(write_utterances(tmp_path, study))
    told = [[data["heards"][code] for code in codes] for codes in data["heard"]]
    place = data["conditions"].index
    assert set(told[place("none")]) == {""}
    assert set(told[place("aligned @ silent")]) == {""}
    rows = predictions[predictions["condition"] == "aligned @ swapped"].set_index("utterance")
    classes = rows["heard_class"].astype("str")
    found = sorted(told[place("aligned @ swapped")])
    assert found == sorted(classes)


def test_no_answers_no_page(tmp_path):
    study, _ = made_study(tmp_path, utterances=4)
    assert write_utterances(tmp_path / "other", study) is None
    assert not (tmp_path / "other" / "utterances.html").exists()


@pytest.mark.parametrize("changed", [{"seed": 1}, {"templates": ["question"]}])
def test_a_page_of_other_answers_is_removed(changed, tmp_path):
    """The settings have changed and notebook 04 has not run yet: nobody may take these for new."""
    study, _ = made_study(tmp_path, utterances=4)
    page = write_utterances(tmp_path, study)
    assert page.is_file()
    assert write_utterances(tmp_path, study.model_copy(update=changed)) is None
    assert not page.exists()


def test_what_may_not_be_passed_on_has_pseudonyms_and_no_players(tmp_path):
    study, _ = made_study(tmp_path, recorded=True)
    page = write_utterances(tmp_path, study)
    assert held(page, "players") == {}
    told = json.dumps(held(page)) + page.read_text(encoding="utf-8")
    assert "take_" not in told
    assert "anna" not in told
    data = held(page)
    assert data["names"] == sorted(data["names"])
    listed = pd.read_csv(tmp_path / "cache" / "pseudonyms" / "made.csv")
    assert set(data["names"]) == set(listed["pseudonym"])


def test_an_anonymised_study_keeps_the_pseudonyms_that_its_other_reports_show(tmp_path):
    study, predictions = made_study(tmp_path, anonymise=True)
    data = held(write_utterances(tmp_path, study))
    assert set(data["names"]) == set(predictions["utterance"])


def test_generated_answers_are_not_shown_as_written(tmp_path):
    """A model may write down what it hears. Every tenth of these answers names no class."""
    study, predictions = made_study(tmp_path, may_share=True, decoding="generate")
    page = write_utterances(tmp_path, study)
    data = held(page)
    assert data["probabilities"] is None
    assert sum(row.count(-1) for row in data["answers"]) == (~predictions["valid"]).sum() == 12
    assert WRITTEN not in json.dumps(data) + page.read_text(encoding="utf-8")


def test_players_play_the_recordings_up_to_a_limit(tmp_path, monkeypatch):
    study, _ = made_study(tmp_path, utterances=6, may_share=True, recorded=True)
    players = held(write_utterances(tmp_path, study), "players")
    assert sorted(players) == [str(place) for place in range(6)]
    encoded = base64.b64decode(players["0"])
    samples, rate = soundfile.read(io.BytesIO(encoded))
    assert rate == 16_000
    assert len(samples) / rate == pytest.approx(0.5, abs=0.15), "MP3 adds a little silence"
    monkeypatch.setattr(utterances, "MOST_AUDIO", int(2.5 * len(encoded)))
    page = write_utterances(tmp_path, study)
    assert len(held(page, "players")) == 2
    assert "the recordings of 2 utterances" in page.read_text(encoding="utf-8")


def test_a_recording_that_has_changed_since_is_not_played(tmp_path):
    """What one hears would not be what the model heard."""
    study, _ = made_study(tmp_path, utterances=3, may_share=True, recorded=True)
    soundfile.write(tmp_path / "take_00001.wav", [0.0] * 8_000, 16_000)
    (tmp_path / "take_00002.wav").unlink()
    page = write_utterances(tmp_path, study)
    assert list(held(page, "players")) == ["0"]
    assert "2 recordings were not available" in page.read_text(encoding="utf-8")
