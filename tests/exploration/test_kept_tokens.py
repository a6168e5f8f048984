"""Which tokens other audio keeps: by hand, against Cohen's kappa, and measured in the demo."""

import base64
import io
import re

import audiofile
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from sercue.corpora.audio import read_utterance
from sercue.corpora.corpus import example_corpus
from sercue.run import open_run
from sercue.statistics.crossing import kept_by_audio, kept_tokens
from sercue.tables.examples import listen
from sercue.tables.findings import corpus_findings, readable_kept

OWN = pd.DataFrame({"ENERGY": ["LOW", "LOW", "HIGH", "HIGH"], "PITCH": ["LOW", "HIGH"] * 2})
HEARD = pd.DataFrame(
    {"ENERGY": ["LOW", "HIGH", "HIGH", "HIGH"], "PITCH": ["unknown", "HIGH", "LOW", "unknown"]}
)


@pytest.fixture(scope="module")
def table():
    return kept_tokens({"own": OWN, "reversed": HEARD})


def test_shares_are_those_counted_by_hand(table):
    assert table["kept"]["own"].tolist() == [1, 1]
    assert table["kept"]["reversed"].tolist() == [0.75, 0.5]
    assert table["unknown"]["reversed"].tolist() == [0, 0.5]
    assert kept_by_audio(table).loc["reversed", "kept"] == 0.625
    # By chance: see the findings below.
    assert readable_kept(table).to_dict("list") == {
        "utterances": [4, 4], "reversed": [".75 (.50)", ".50 (.25), .50 unknown"],
    }  # fmt: skip
    assert kept_by_audio(table).loc["reversed", "utterances"] == 4


def test_chance_is_that_of_cohens_kappa():
    generator = np.random.default_rng(0)
    own, heard = (
        pd.DataFrame({"ENERGY": generator.choice(list("abc"), 200, p=shares)})
        for shares in ([0.2, 0.3, 0.5], [0.6, 0.3, 0.1])
    )
    row = kept_tokens({"own": own, "noise": heard}).loc[("noise", "ENERGY")]
    kappa = (row["kept"] - row["by_chance"]) / (1 - row["by_chance"])
    assert kappa == pytest.approx(cohen_kappa_score(own["ENERGY"], heard["ENERGY"]))


def test_an_unknown_token_of_the_utterance_is_not_counted():
    """There is nothing that could be kept; where all are unknown, there is no share."""
    own = OWN.assign(ENERGY="unknown", PITCH=["LOW", "unknown", "LOW", "HIGH"])
    table = kept_tokens({"own": own, "reversed": HEARD})
    assert table["utterances"].tolist() == [0, 3, 0, 3]
    assert table["kept"]["reversed"].isna().tolist() == [True, False]
    assert table.loc[("own", "PITCH"), "kept"] == 1


def test_the_findings_say_what_is_kept_and_whose_audio_is_heard(table):
    components = pd.DataFrame({"emotion": [0.6], "speaker": [0.1]}, index=["ENERGY"])
    by = pd.Categorical(["speaker", "sex", "speaker"], ["speaker and sentence", "speaker", "sex"])
    found = {"kept": table, "partners": pd.DataFrame({"by": by})}
    text = " ".join(corpus_findings(example_corpus(), components, OWN, **found))
    # By chance 1/2 of ENERGY (LOW 1/2 x 1/4, HIGH 1/2 x 3/4), 1/4 of PITCH.
    assert "reversed: from .50 (.25) for PITCH to .75 (.50) for ENERGY." in text
    said = "2 of the same speaker, 1 of another speaker of the same sex (3 in all)"
    assert f"Swapped utterances are of another class, and {said}." in text
    alike = found | {"partners": pd.DataFrame({"by": by[[0, 2]]})}
    text = " ".join(corpus_findings(example_corpus(), components, OWN, **alike))
    assert "All 2 swapped utterances are of the same speaker, and of another class." in text


@pytest.fixture(scope="module")
def run(cache, tmp_path_factory):
    """Sixteen utterances of two speakers are evaluated; no model is asked."""
    study = {
        "study": "heard",
        "corpus_options": {"speakers": 6, "sentences": 2},
        "audio": ["own", "swapped", "silent", "reversed"],
        "out": str(tmp_path_factory.mktemp("heard")),
    }
    return open_run(study)


def test_other_audio_is_measured_and_binned_as_the_recordings_are(run):
    """Silence has no voice, and no loudness; backwards, loudness and pitch are what they were."""
    tokens = run.heard_tokens
    assert list(tokens) == run.settings.audio
    silent = tokens["silent"]
    assert set(silent["PITCH"]) == {"unknown"}
    assert set(silent["ENERGY"]) == {"VERY_LOW"}
    assert set(silent["VOICE_QUALITY"]) == {"UNVOICED"}
    kept = kept_tokens(tokens)
    assert kept["kept"]["reversed"][["ENERGY", "PITCH"]].min() > 0.8
    assert kept.loc[("silent", "PITCH"), ["kept", "unknown"]].tolist() == [0, 1]
    assert (kept["kept"]["own"] == 1).all()


def test_swapped_audio_has_the_tokens_of_the_partner(run):
    partner = run.partners["partner"]
    assert (run.partners["by"] == "speaker and sentence").all()
    for row, tokens in run.heard_tokens["swapped"].iterrows():
        assert tokens.tolist() == run.tokens.loc[partner[row]].tolist()


def test_each_variant_has_a_player_with_what_the_model_hears(run):
    html = listen(run, variants=True).data
    wavs = [base64.b64decode(data) for data in re.findall(r"base64,([^\"]+)", html)]
    heard = [audiofile.read(io.BytesIO(wav))[0] for wav in wavs]
    row = run.corpus.rows("test").index[0]
    own = read_utterance(run.corpus, row)
    partner = run.partners["partner"][row]
    expected = own, read_utterance(run.corpus, partner), 0 * own, own[::-1]
    for found, samples in zip(heard, expected, strict=True):
        np.testing.assert_allclose(found, samples, atol=2 / 2**15)
    assert f"<code>{partner[0]}</code>" in html
    assert "reversed: the utterance backwards" in html
    assert listen(run).data.count("<audio") == 1


def test_other_audio_is_withheld_as_recordings_are(run, monkeypatch):
    monkeypatch.setitem(run.corpus.__dict__, "may_share_audio", False)
    html = listen(run, variants=True).data
    assert "<audio" not in html
    assert "may not be passed on" in html
    monkeypatch.setitem(run.settings.__dict__, "conditions", ["none", "aligned"])
    assert listen(run, variants=True).data == ""
