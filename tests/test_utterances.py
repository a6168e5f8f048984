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


SWAPS = ["none", "aligned", "none @ swapped", "aligned @ swapped", "aligned @ silent"]


@pytest.mark.parametrize("may_share", [True, False])
def test_swapped_audio_is_told_with_its_partner_and_both_classes(may_share, tmp_path):
    """The partner is the one whose own audio has the digest of what was heard."""
    study, predictions = made_study(
        tmp_path, conditions=SWAPS, audio=["own", "swapped", "silent"], may_share=may_share
    )
    data = held(write_utterances(tmp_path, study))
    silent = [
        name
        for name, not_heard in zip(data["conditions"], data["unheard"], strict=True)
        if not_heard
    ]
    assert set(silent) == {"none @ silent", "aligned @ silent"}
    assert list(data["swapped"]) == ["2", "3"]
    aligned, crossed = (
        predictions[predictions["condition"] == name] for name in ("aligned", "aligned @ swapped")
    )
    own = aligned.set_index("audio")["truth"].astype("str")
    given, truth = (
        [LABELS[code] for code in codes] for codes in (data["answers"][3], data["truth"])
    )
    told = data["swapped"]["3"]
    partner = [truth[place] for place in told["partner"]]
    assert partner == [LABELS[code] for code in told["heard"]]
    assert told["read"] == data["truth"]
    assert set(data["swapped"]["2"]["read"]) == {-1}
    rows = crossed.assign(partner=own.loc[crossed["audio"]].to_numpy())
    expected = rows[["truth", "partner", "prediction"]].astype("str").value_counts()
    found = pd.DataFrame({"truth": truth, "partner": partner, "prediction": given}).value_counts()
    pd.testing.assert_series_equal(found.sort_index(), expected.sort_index())


def test_what_is_not_on_the_page_is_named(tmp_path):
    study, _ = made_study(tmp_path, conditions=["none", "aligned", "prose", "framed"])
    page = write_utterances(tmp_path, study)
    assert held(page)["conditions"] == ["none", "aligned"]
    assert "Not on this page, but in the reports: prose, framed, " in page.read_text("utf-8")


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
