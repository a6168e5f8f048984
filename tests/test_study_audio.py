"""A study in which audio is crossed with tokens: one sound per variant, the same for all tokens."""

import hashlib

import numpy as np
import pytest
from test_study import RecordingModel, corpus, run, tokens  # noqa: F401

from sercue.corpora.audio import read_utterance
from sercue.corpora.audio_variants import partners, varied
from sercue.errors import InputError
from sercue.tokens.catalogue import parse_condition

CROSSED = ["none", "aligned", "none @ reversed", "aligned @ reversed", "aligned @ silent",
           "none @ swapped", "aligned @ swapped", "shuffled", "shuffled @ silent"]  # fmt: skip


def sha(samples):
    return hashlib.sha256(samples.tobytes()).hexdigest()


@pytest.fixture
def crossed(corpus, tokens):  # noqa: F811
    model = RecordingModel()
    return run(corpus, tokens, model, conditions=CROSSED), model


def test_all_tokens_of_a_variant_are_asked_behind_one_sound(crossed):
    """By hash, as the model was given it and as the predictions say."""
    predictions, _ = crossed
    sounds = predictions.groupby(["utterance", "heard"], observed=True)["audio"].nunique()
    assert sounds.eq(1).all()
    assert predictions.groupby("utterance", observed=True)["audio"].nunique().eq(4).all()


def test_the_model_hears_what_the_variant_says(crossed, corpus):  # noqa: F811
    """Each sound that is expected was heard, and no other."""
    predictions, model = crossed
    evaluated = corpus.rows("test")
    partner = partners(evaluated)["partner"]
    expected = set()
    for key in evaluated.index:
        own = read_utterance(corpus, key)
        sounds = own, own[::-1].copy(), 0 * own, read_utterance(corpus, partner[key])
        level = [np.sqrt(np.mean(np.square(sound, dtype=float))) for sound in sounds]
        assert level[1] == pytest.approx(level[0])
        expected |= {sha(sound) for sound in (sounds[0], sounds[2], sounds[3])}
        digest = predictions.loc[
            (predictions["utterance"] == key[0]) & (predictions["heard"] == "reversed"), "audio"
        ].iloc[0]
        expected.add(sha(varied(own, 16000, "reversed", digest)))
    assert set(model.heard) == expected


def test_tokens_are_those_of_the_condition_without_other_audio(crossed):
    predictions, _ = crossed
    shown = ["shown_energy", "shown_pitch"]
    keys = ["utterance", "replicate", "template", "label_order"]
    for name in ("aligned @ silent", "shuffled @ silent"):
        crossed_rows = predictions[predictions["condition"] == name].set_index(keys)[shown]
        base = name.partition(" @ ")[0]
        own = predictions[predictions["condition"] == base].set_index(keys)[shown]
        assert (crossed_rows.astype(str) == own.astype(str)).all(axis=None)


def test_what_a_partner_was_asked_is_not_asked_again(corpus, tokens):  # noqa: F811
    """Swapped audio is the very recording of another utterance: `none` has the same prompt."""
    model = RecordingModel()
    run(corpus, tokens, model, conditions=["none", "none @ swapped"])
    assert len(model.asked) == len(set(zip(model.heard, model.asked, strict=True)))


def test_answers_to_own_audio_are_those_of_a_study_without_variants(corpus, tokens, crossed):  # noqa: F811
    plain = run(corpus, tokens, RecordingModel(), conditions=["none", "aligned"])
    among = crossed[0][crossed[0]["condition"].isin(["none", "aligned"])]
    for name in ("p_c0", "audio", "prompt"):
        if name in plain:
            assert list(plain[name]) == list(among[name])


def test_a_variant_that_is_not_known_is_named():
    with pytest.raises(InputError, match="did you mean 'reversed'"):
        parse_condition("aligned @ reverse")


def test_a_study_resumes_variants_from_its_store(corpus, tokens, tmp_path):  # noqa: F811
    options = {"conditions": CROSSED, "store": tmp_path / "store"}
    first = run(corpus, tokens, RecordingModel(), **options)
    again = RecordingModel()
    second = run(corpus, tokens, again, **options)
    assert again.asked == []
    assert first["prediction"].tolist() == second["prediction"].tolist()
