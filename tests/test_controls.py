"""The instrument on models whose reliance was made: it must put them in order."""

from dataclasses import replace

import audiofile
import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from sercue.errors import InputError
from sercue.models.cards import TINY_SHARES
from sercue.models.tiny_network import Recipe
from sercue.run import Run
from sercue.settings import Settings
from sercue.statistics.controls import (
    CONTROLS,
    THIS_MODEL,
    control_equivalence,
    control_options,
    share_differences,
    why_no_controls,
    with_this_model,
)
from sercue.statistics.measures import LABELS, example_predictions
from sercue.statistics.reliance import ChoiceFit

#: Pitch, as a multiple of the speaker's own, and amplitude of each class; neighbours overlap.
VOWELS = {"angry": (1.35, 0.16), "happy": (1.6, 0.07), "neutral": (1.0, 0.05), "sad": (0.85, 0.02)}


def write_vowels(folder):
    """24 voices, a third of them for testing, that say a vowel four times in each class."""
    rng, time, rows = np.random.default_rng(0), np.arange(9600) / 16000, []
    for speaker in range(24):
        own, loudness = rng.uniform(90, 220), rng.uniform(0.8, 1.25)
        for label, (pitch, amplitude) in VOWELS.items():
            for number in range(4):
                f0 = own * pitch * np.exp(0.12 * rng.normal()) * (1 + 0.08 * np.sin(19 * time))
                phase = 2 * np.pi * np.cumsum(f0) / 16000
                vowel = sum(np.sin(k * phase) / k for k in range(1, 16)) / 1.5
                signal = loudness * amplitude * np.exp(0.35 * rng.normal()) * vowel
                signal += 0.002 * rng.normal(size=len(time))
                name = f"{speaker}_{label}_{number}.wav"
                audiofile.write(str(folder / name), signal.clip(-1, 1).astype("float32"), 16000)
                rows.append((name, label, f"s{speaker}", "train" if speaker % 3 else "test"))
    columns = ["file", "emotion", "speaker", "partition"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "corpus.csv", index=False)


@pytest.fixture(scope="module")
def run(cache, tmp_path_factory):
    """Vowels whose pitch and level tell the class, and tell it to a model of either kind.

    The model under study is the grounded control itself.
    """
    folder = tmp_path_factory.mktemp("controls")
    write_vowels(folder)
    settings = Settings(
        out=str(folder / "out"),
        corpus="table",
        corpus_root=str(folder / "corpus.csv"),
        conditions=["none", "aligned", "shuffled", "conflicting"],
        templates=["plain"],
        label_orders=1,
        replicates=1,
        # As small as leaves the shares well apart.
        model_options={
            "prompts": 1600, "width": 64, "audio_layers": 1, "text_layers": 1,
            "mel_bins": 32, "hop": 500, "batch_size": 16, "learning_rate": 0.002,
        },
    )  # fmt: skip
    return Run(settings)


@pytest.fixture(scope="module")
def shares(run):
    table = run.control_reliance
    return table[table["by"] == "all"].set_index("model")


def test_reliance_orders_the_controls(shares):
    """Trained on random tokens, on both, on tokens: the shares rise, and the ends are apart."""
    low, high = shares["low"], shares["high"]
    assert list(shares.index.drop(THIS_MODEL)) == list(CONTROLS)
    assert high["audio-bound"] < low["grounded"]
    assert high["grounded"] < low["cue-bound"]
    assert low["audio-bound"] <= 0.1
    assert high["cue-bound"] >= 0.9


def test_the_model_under_study_stands_where_its_twin_does(shares):
    """Here it is the grounded control, so that every number is the same."""
    columns = ["w_audio", "w_cue", "share", "low", "high"]
    assert shares.loc[THIS_MODEL, columns].tolist() == pytest.approx(
        shares.loc["grounded", columns].tolist()
    )


def test_shuffled_tokens_leave_the_audio_bound_control_where_none_do(run):
    """By equivalence, in a tenth of UAR: 128 utterances of 8 speakers show no less."""
    table = control_equivalence(run.controls, run.corpus.labels, 0.1).set_index("model")
    assert table.loc["audio-bound", "equivalent"]
    assert not table.loc["cue-bound", "equivalent"]


def test_controls_are_not_asked_twice(run, shares, monkeypatch):
    """What notebook 04 asked, notebook 05 reads."""
    again = Run(run.settings)
    monkeypatch.setattr(Run, "ask", lambda *_, **__: pytest.fail("asked again"))
    columns = ["model", "utterance", "condition", "prediction"]
    pd.testing.assert_frame_equal(again.controls[columns], run.controls[columns], check_dtype=False)


def test_a_corpus_that_no_control_can_learn_keeps_its_study(cache, tmp_path, monkeypatch):
    """A turn longer than the small models take is no reason for a large one to stop."""
    monkeypatch.setattr("sercue.models.tiny.LONGEST_SECONDS", 1)
    corpus = {"speakers": 6, "sentences": 2}
    study = Run(Settings(out=str(tmp_path), model="qwen2-audio", corpus_options=corpus))
    study.__dict__["model"] = "asked elsewhere"
    study.train()
    assert study.controls.empty
    told = "No control model can be trained here: corpus 'demo': its longest utterance has"
    assert study.no_controls.startswith(told)
    with pytest.raises(InputError, match=told):
        _ = study.control_reliance
    # A later notebook reads the reason; it has no audio to find it again.
    assert Run(study.settings).no_controls == study.no_controls


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"controls": False}, "asks for no control models"),
        ({"conditions": ["none", "only(PITCH)"]}, "has not two of them"),
        ({"decoding": "generate"}, "tell no probabilities"),
        ({}, ""),
    ],
)
def test_a_study_without_controls_says_why(keys, reason):
    assert reason in why_no_controls(Settings(**keys))
    assert bool(why_no_controls(Settings(**keys))) == bool(reason)


def test_what_controls_have_of_their_own_are_options_of_the_tiny_model():
    assert set(TINY_SHARES) < set(Recipe.model_fields)


def test_controls_are_built_as_the_tiny_model_under_study():
    """Its size and length of training, but not what it saw."""
    options = {"recipe": "grounded", "epochs": 3, "noise": 0.9, "width": 64}
    settings = Settings(model_options=options)
    assert control_options(settings, "cue-bound") == {
        "recipe": "cue-bound", "epochs": 3, "width": 64,
    }  # fmt: skip
    large = Settings(model="qwen2-audio", model_options={"anything": 1})
    assert control_options(large, "cue-bound") == {"recipe": "cue-bound"}


def test_shares_of_the_same_prompts_are_compared_speaker_by_speaker():
    """By hand: shares .25 and .5 whose errors nearly cancel; t of their paired difference."""
    own = ChoiceFit(np.array([3.0, 1.0]), np.array([[0.0, 0.16], [0.0, -0.16]]), np.full(2, 7.0), 2)
    other = ChoiceFit(np.array([1.0, 1.0]), np.array([[0.0, 0.12], [0.0, -0.12]]), own.df, 2)
    fits = {
        THIS_MODEL: own,
        "grounded": other,
        "lost": ChoiceFit(own.weights * np.nan, np.full((3, 2), np.nan), own.df, 3, "separation"),
    }
    table = share_differences(fits, 0.95).set_index("model")
    # Influence: 3 * .16 / 16 = .03 each speaker, and .12 / 4 = .03: the difference has no error.
    assert table.loc["grounded", "difference"] == pytest.approx(0.25)
    assert table.loc["grounded", "difference_low"] == pytest.approx(0.25)
    assert table.loc["lost", ["difference", "p", "holm_p"]].isna().all()
    wide = replace(other, influence=other.influence * 2)
    row = share_differences({THIS_MODEL: own, "grounded": wide}, 0.95).iloc[0]
    error = 0.03 * np.sqrt(2)
    assert row["p"] == pytest.approx(2 * t.sf(0.25 / error, 7))
    assert row["difference_low"] == pytest.approx(0.25 - t.ppf(0.975, 7) * error)


def test_the_model_under_study_is_held_to_the_very_same_prompts():
    """Its other wordings, conditions and utterances are left aside."""
    answers = example_predictions({"none": 0.5, "aligned": 0.7, "constant": 0.6})
    study = pd.concat([answers, answers.assign(template="question")])
    asked = answers[answers["condition"] != "constant"]
    asked = asked[asked["utterance"] != asked["utterance"].iloc[0]]
    both = with_this_model(asked.assign(model="grounded"), study)
    own = both[both["model"] == THIS_MODEL]
    cell = ["utterance", "condition", "template"]
    assert set(map(tuple, own[cell].to_numpy())) == set(map(tuple, asked[cell].to_numpy()))
    assert len(own) == len(asked)
    assert set(own["truth"]) <= set(LABELS)
