"""Utterances whose answer changed, and speakers one by one: worked by hand."""

import numpy as np
import pandas as pd
import pytest

from sercue.errors import InputError
from sercue.statistics.contrasts import uar_intervals
from sercue.statistics.explored import (
    answer_transitions,
    changed_answers,
    changes_by_token,
    speaker_table,
    wording_sensitivity,
)
from sercue.statistics.measures import example_predictions, uar

LABELS = ["angry", "sad"]


def scored(prompts):
    """Rows of (utterance, condition, p_angry, token); in the second wording the reverse."""
    rows = [
        {
            "utterance": utterance, "speaker": utterance[0], "truth": "angry",
            "condition": condition, "replicate": 0, "template": template, "label_order": 0,
            "decoding": "score", "p_angry": share, "p_sad": 1 - share, "shown_ENERGY": token,
            "prediction": None if np.isnan(share) else LABELS[int(share < 0.5)],
        }
        for template in ("plain", "question")
        for utterance, condition, angry, token in prompts
        for share in [angry if template == "plain" else 1 - angry]
    ]  # fmt: skip
    return pd.DataFrame(rows)


ANSWERS = scored([
    ("a1", "aligned", 0.6, "HIGH"), ("a1", "conflicting", 0.4, "LOW"),
    ("a2", "aligned", 0.9, "HIGH"), ("a2", "conflicting", 0.2, "LOW"),
    ("b1", "aligned", 0.8, "MID"), ("b1", "conflicting", 0.7, "MID"),
    ("b2", "aligned", 0.7, "LOW"), ("b2", "conflicting", np.nan, "HIGH"),
])  # fmt: skip


def test_the_changed_answers_are_those_of_the_first_wording_surest_first():
    """By hand: a2 is .9 and then .8 sure, a1 .6 twice; b1 stays; b2 has no answer any more."""
    changed = changed_answers(ANSWERS, "conflicting", "aligned")
    assert changed.index.tolist() == ["a2", "b2", "a1"]
    assert changed["aligned"].tolist() == ["angry"] * 3
    assert changed["conflicting"].tolist() == ["sad", "invalid", "sad"]
    assert changed["tokens"].tolist() == [
        "ENERGY: HIGH → LOW", "ENERGY: LOW → HIGH", "ENERGY: HIGH → LOW",
    ]  # fmt: skip
    np.testing.assert_allclose(changed["p_aligned"], [0.9, 0.7, 0.6])
    np.testing.assert_allclose(changed["p_conflicting"], [0.8, np.nan, 0.6])
    np.testing.assert_allclose(changed["change"], [-0.7, np.nan, -0.2])


def test_transitions_are_counted_with_what_was_right_most_frequent_first():
    """By hand: all are angry; of a1 and a2 the lower probabilities are .6 and .8, of b2 .7."""
    rows = ANSWERS.assign(truth=ANSWERS["truth"].where(ANSWERS["utterance"] != "b2", "sad"))
    table = answer_transitions(rows, "conflicting", "aligned")
    assert table.index.names == ["aligned", "conflicting"]
    assert table["utterances"].tolist() == [2, 1]
    to_sad, to_none = table.loc[("angry", "sad")], table.loc[("angry", "invalid")]
    assert to_sad[["utterances", "right_before", "right_after"]].tolist() == [2, 1, 0]
    assert to_none[["utterances", "right_before", "right_after"]].tolist() == [1, 0, 0]
    np.testing.assert_allclose(table["sureness"], [0.7, 0.7])


def test_transitions_of_written_answers_are_the_most_frequent_first():
    rows = example_predictions()
    table = answer_transitions(rows, "aligned", "none")
    assert "sureness" not in table
    assert table["utterances"].is_monotonic_decreasing
    assert table["utterances"].sum() == len(changed_answers(rows, "aligned", "none"))


def test_changes_by_token_count_those_that_stay_as_well():
    """By hand: HIGH to LOW twice and LOW to HIGH once, all changed; MID stays, and the answer."""
    table = changes_by_token(ANSWERS, "conflicting", "aligned")
    assert table.to_dict("index") == {
        ("ENERGY", "HIGH", "LOW"): {"utterances": 2, "changed": 1},
        ("ENERGY", "LOW", "HIGH"): {"utterances": 1, "changed": 1},
        ("ENERGY", "MID", "MID"): {"utterances": 1, "changed": 0},
    }
    bare = ANSWERS.assign(shown_ENERGY=None)
    with pytest.raises(InputError, match="valid are two conditions that show tokens"):
        changes_by_token(bare, "conflicting", "aligned")


def test_turned_round_the_same_utterances_change():
    there = changed_answers(ANSWERS, "conflicting", "aligned")
    back = changed_answers(ANSWERS, "aligned", "conflicting")
    assert set(there.index) == set(back.index)
    assert back["tokens"]["a1"] == "ENERGY: LOW → HIGH"


def test_written_answers_have_no_probabilities():
    changed = changed_answers(example_predictions(), "aligned", "none")
    assert list(changed) == ["speaker", "truth", "none", "aligned", "tokens"]
    assert (changed["none"] != changed["aligned"]).all()


@pytest.mark.parametrize(
    ("pair", "message"),
    [(("algned", "none"), "did you mean 'aligned'"), (("none", "none"), "valid are two different")],
)
def test_conditions_that_cannot_be_compared_are_named(pair, message):
    with pytest.raises(InputError, match=message):
        changed_answers(example_predictions(), *pair)


def test_a_speaker_s_uar_is_that_of_the_speaker_s_rows():
    """By audmetric; a class that the speaker lacks is left out of the mean."""
    rows = example_predictions(speakers=5, utterances=7)
    rows = rows[~((rows["speaker"] == "s2") & (rows["truth"] == "sad"))]
    labels = sorted(rows["truth"].unique())
    table = speaker_table(rows, labels, [("aligned", "none")])
    assert table.index.tolist() == [f"s{number}" for number in range(5)]
    assert table.loc["s2", "classes"] == 2
    for (speaker, condition), part in rows.groupby(["speaker", "condition"]):
        expected = uar(part["truth"], part["prediction"], labels)
        assert table.loc[speaker, condition] == pytest.approx(expected)
    pd.testing.assert_series_equal(
        table["aligned − none"], table["aligned"] - table["none"], check_names=False
    )


def test_a_wording_has_the_interval_of_its_own_rows():
    """As ``uar_intervals`` gives it of these rows alone."""
    first = example_predictions(speakers=6)
    rows = pd.concat([first, example_predictions({"none": 0.9}, speakers=6).assign(template="new")])
    labels = sorted(rows["truth"].unique())
    table = wording_sensitivity(rows, labels, confidence=0.9)
    assert table[["condition", "template"]].values.tolist() == [
        ["none", "plain"], ["aligned", "plain"], ["none", "new"],
    ]  # fmt: skip
    for template, own in rows.groupby("template"):
        expected = uar_intervals(own, labels, confidence=0.9)
        found = table[table["template"] == template]
        for name in ("uar", "low", "high"):
            np.testing.assert_allclose(found[name], expected[name])


def test_one_speaker_gives_no_interval():
    rows = example_predictions(speakers=4)
    alone = wording_sensitivity(rows[rows["speaker"] == "s1"], sorted(rows["truth"].unique()))
    assert alone["uar"].notna().all()
    assert alone[["low", "high"]].isna().all(axis=None)
