"""Audio crossed with tokens: on answers whose rule is known, by hand and against statsmodels."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from sercue.errors import InputError
from sercue.statistics.crossing import audio_effects, factorial, follow, followed

LABELS = ["angry", "happy", "sad"]
SPEAKERS, EACH = 8, 6


def answers(rule, seed=0):
    """Utterances of three classes; those heard when swapped are of the next class.

    Args:
        rule: (class heard or None, class of the tokens or None, generator) to an answer
    """
    generator = np.random.default_rng(seed)
    rows = []
    for speaker in range(SPEAKERS):
        for number in range(EACH):
            own, other = LABELS[number % 3], LABELS[(number + 1) % 3]
            for condition in ("none", "aligned"):
                for heard, sound in (("own", own), ("swapped", other), ("silent", None)):
                    name = condition if heard == "own" else f"{condition} @ {heard}"
                    read = own if condition == "aligned" else None
                    said = rule(sound, read, generator)
                    who = f"s{speaker}-{number}", f"s{speaker}", own
                    partner = f"s{speaker}-{(number + 1) % EACH}"
                    audio = {"own": who[0], "swapped": partner, "silent": "silence"}[heard]
                    rows.append([*who, name, sound, read, audio, said])
    columns = ["utterance", "speaker", "truth", "condition", "heard_class", "tokens_class",
               "audio", "prediction"]  # fmt: skip
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(replicate=0, template="plain", label_order=0, decoding="score", valid=True)


def hears(sound, tokens, generator):
    """An audio-bound model; of silence it says what it always says."""
    return sound or "sad"


def reads(sound, tokens, generator):
    """A model that reads the tokens, and without any guesses the same."""
    return tokens or "sad"


def value(table, name):
    return table.loc[name, "value"]


def shares(predictions):
    table = followed(predictions)
    assert set(table["condition"]) == {"aligned @ swapped"}
    return table.set_index("follows")["share"]


def test_an_audio_bound_model_follows_the_audio():
    assert shares(answers(hears)).to_dict() == {"audio": 1, "tokens": 0, "neither": 0}
    table = follow(answers(hears))
    assert table["value"].tolist() == [1, 0, 0]


def test_a_model_that_reads_follows_the_tokens():
    assert shares(answers(reads)).to_dict() == {"audio": 0, "tokens": 1, "neither": 0}
    table = follow(answers(reads))
    assert table["value"].tolist() == [0, 1, 1]


def test_a_model_that_always_says_the_same_follows_neither():
    predictions = answers(lambda *_: "sad")
    assert shares(predictions)["neither"] == pytest.approx(1 / 3)
    table = follow(predictions)
    assert value(table, "pull of audio") == value(table, "pull of tokens") == 0
    assert np.isnan(value(table, "follow ratio"))


def test_a_label_that_any_block_favours_is_no_pull():
    """Presence is not content: with a block it says sad, else what it hears; the audio ends at 0.

    Relative to no tokens, the class of the tokens would be answered more often.
    """
    table = follow(answers(lambda sound, tokens, _: "sad" if tokens else (sound or "sad")))
    assert value(table, "pull of tokens") == value(table, "pull of audio") == 0
    # One that hears and whose answers of one class turn to another when there is any block.
    turned = lambda sound, tokens, _: "sad" if tokens and sound == "angry" else (sound or "sad")  # noqa: E731
    table = follow(answers(turned))
    assert value(table, "pull of tokens") == 0
    assert value(table, "pull of audio") == pytest.approx(2 / 3)


def half(sound, tokens, generator):
    """Each follows sound or tokens with the same chance, and guesses where it has neither."""
    known = [one for one in (sound, tokens) if one] or LABELS
    return known[generator.integers(len(known))]


def test_shares_add_up_and_their_errors_are_those_of_speakers():
    """The difference of two shares: a regression clustered by speaker, CR2 for equal speakers."""
    predictions = answers(half)
    assert shares(predictions).sum() == pytest.approx(1)
    table = follow(predictions)
    conflict = predictions[predictions["condition"] == "aligned @ swapped"].set_index("utterance")
    aligned = predictions[predictions["condition"] == "aligned"].set_index("utterance")
    said = aligned["prediction"].loc[conflict["audio"]].to_numpy()
    hit = (conflict["prediction"] == conflict["truth"]).astype(float) - (said == conflict["truth"])
    difference = hit.groupby(conflict["speaker"]).mean()
    fit = smf.ols("d ~ 1", pd.DataFrame({"d": difference})).fit()
    low, high = fit.conf_int().loc["Intercept"]
    pull = table.loc["pull of tokens"]
    assert pull["value"] == pytest.approx(difference.mean())
    assert (pull["low"], pull["high"]) == pytest.approx((low, high))
    assert pull["p"] == pytest.approx(fit.pvalues["Intercept"])


def test_effects_are_differences_of_uar_and_the_interaction_that_of_gains():
    """By hand: the audio-bound model loses 2/3 of UAR in silence, whatever the tokens."""
    table = audio_effects(answers(hears), LABELS).set_index(["heard", "effect"])["difference"]
    assert table["silent", "loss without tokens"] == pytest.approx(2 / 3)
    assert table["silent", "loss with tokens"] == pytest.approx(2 / 3)
    assert table["silent", "tokens"] == 0
    assert table["silent", "interaction"] == 0
    assert "swapped" not in table.index.get_level_values("heard")
    table = audio_effects(answers(reads), LABELS).set_index(["heard", "effect"])["difference"]
    assert table["silent", "tokens"] == pytest.approx(2 / 3)
    assert table["silent", "loss without tokens"] == 0


def test_what_is_lacking_is_named():
    own = answers(hears).query("heard_class == truth")
    with pytest.raises(InputError, match=r"has no aligned @ swapped; add swapped to"):
        follow(own)
    with pytest.raises(InputError, match="has no column audio"):
        follow(answers(hears).drop(columns="audio"))
    with pytest.raises(InputError, match="no other audio under which none and aligned were both"):
        audio_effects(own, LABELS)
    with pytest.raises(InputError, match="no condition in which tokens are of another class"):
        followed(own)
    with pytest.raises(InputError, match="no other audio"):
        factorial(pd.DataFrame({"condition": ["none", "aligned"], "uar": 0.5}))


def test_an_invalid_answer_follows_neither():
    predictions = answers(hears)
    predictions.loc[predictions["condition"] == "aligned @ swapped", "prediction"] = None
    assert shares(predictions)["neither"] == 1


def test_what_the_audio_adds_is_voice_and_the_rest():
    predictions = answers(half)
    silent = predictions[predictions["heard_class"].isna()]
    names = silent["condition"].str.replace("silent", "reversed")
    reversed_ = answers(half, seed=1).loc[silent.index].assign(condition=names)
    table = audio_effects(pd.concat([predictions, reversed_]), LABELS)
    value = table.set_index(["heard", "effect"])["difference"]
    whole = value["silent", "loss without tokens"]
    assert value["reversed", "voice"] + value["reversed", "loss without tokens"] == pytest.approx(
        whole
    )
    assert ("silent", "voice") not in value.index
