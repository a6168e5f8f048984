"""The closing sentences say what the numbers show and no more."""

import pandas as pd
import pytest

from sercue.statistics.controls import THIS_MODEL
from sercue.tables import conclusions as say


def family(**columns):
    """Four contrasts: one found, one found and small, one equal, one open."""
    names = ["shuffled", "masked(0.25)", "constant", "conflicting"]
    table = {
        "condition": names,
        "reference": ["aligned"] * 4,
        "difference": [-0.2, -0.02, 0.0, 0.04],
    }
    return pd.DataFrame(table | columns)


TESTS = family(holm_p=[0.001, 0.01, 0.9, 0.2])
EQUAL = family(margin=[0.05] * 4, equivalent=[False, True, True, False])


def test_each_contrast_stands_where_its_numbers_put_it():
    """Different, different but small, equal, open: four sentences, each of one contrast."""
    different, equal, small, open_ = say.family_sentences(TESTS, EQUAL)
    assert different.startswith("2 of the 4 planned contrasts differ from zero")
    assert "shuffled − aligned (−0.200), masked(0.25) − aligned (−0.020)" in different
    assert equal == "Equivalent to within ±0.05 of UAR (TOST): constant − aligned."
    assert "yet shown to differ by less than 0.05: masked(0.25) − aligned" in small
    assert "conflicting − aligned: inconclusive, neither a difference nor equality" in open_


def test_a_large_p_value_is_never_called_equality():
    """Nothing found and nothing shown to be equal: all of it is open."""
    none = say.family_sentences(TESTS.assign(holm_p=0.9), EQUAL.assign(equivalent=False))
    assert none[0].startswith("0 of the 4")
    assert len(none) == 2
    assert "neither a difference nor equality" in none[1]
    assert not any("Equivalent to within ±0.05" in sentence for sentence in none)


def test_what_could_have_been_found_is_said_with_its_bounds():
    table = pd.DataFrame({"detectable": [0.031, 0.12, 3.0]})
    (sentence,) = say.detectable_sentence(table)
    assert "is 0.031 to 0.120 of UAR" in sentence
    (hopeless,) = say.detectable_sentence(pd.DataFrame({"detectable": [float("inf")]}))
    assert hopeless.startswith("With these speakers, no difference")


def test_no_collapse_needs_both_measures():
    """A condition whose entropy is safe and whose commonest share is not is not safe."""
    rows = [("shuffled", True), ("shuffled", True), ("constant", True), ("constant", False)]
    table = pd.DataFrame(rows, columns=["condition", "no_collapse"])
    (sentence,) = say.collapse_sentence(table.assign(margin=0.05, reference="aligned"))
    assert sentence.startswith("Relative to aligned, collapse is ruled out for 1 of 2")
    assert sentence.endswith("not ruled out for constant.")


@pytest.mark.parametrize(
    ("falls", "told"), [(True, "and falls at every step"), (False, "but not at every step")]
)
def test_a_trend_is_not_called_monotone_unless_it_is(falls, told):
    row = {"family": ["corrupted"], "slope": [-0.3], "low": [-0.4], "high": [-0.2]}
    (sentence,) = say.dose_sentences(pd.DataFrame(row | {"falls_throughout": [falls]}))
    assert "−0.300 [−0.400, −0.200]" in sentence
    assert told in sentence


def test_parts_of_the_gain_are_named():
    rows = [("whole", 0.2, 0.1, 0.3), ("utterance", 0.15, 0.1, 0.2), ("label", 0.05, -0.01, 0.11)]
    (sentence,) = say.split_sentence(
        pd.DataFrame(rows, columns=["part", "difference", "low", "high"])
    )
    assert "+0.150 [+0.100, +0.200] from what they say about the utterance itself" in sentence
    assert "+0.050 [−0.010, +0.110] from what they say about its class" in sentence


def shares(*holm_p):
    rows = [
        ("audio-bound", 0.0, -0.02, 0.02, -0.4, holm_p[0]),
        (THIS_MODEL, 0.4, 0.1, 0.75, float("nan"), float("nan")),
        ("cue-bound", 0.8, 0.7, 0.9, 0.4, holm_p[1]),
    ]
    columns = ["model", "share", "low", "high", "difference", "holm_p"]
    return pd.DataFrame(rows, columns=columns).assign(by="all", reason="", rows=360)


def test_a_place_among_controls_is_claimed_only_where_shares_differ():
    """By the paired difference, never by the place of two intervals."""
    (clear,) = say.control_sentence(shares(0.01, 0.04), THIS_MODEL)
    assert "It lies above that of audio-bound and below that of cue-bound (paired" in clear
    assert "cue-bound 0.800 [0.700, 0.900]" in clear
    assert clear.startswith("On the 360 answers with tokens to the prompts that the controls")
    assert "first wording, label order and replicate" in clear
    (half,) = say.control_sentence(shares(0.01, 0.2), THIS_MODEL)
    assert "It lies above that of audio-bound (paired" in half
    (open_,) = say.control_sentence(shares(0.06, 0.2), THIS_MODEL)
    assert "differs from no control (paired over speakers), so that its place is inconc" in open_


def test_a_control_that_is_not_identified_is_not_placed():
    table = shares(0.01, float("nan"))
    table.loc[2, ["share", "low", "high", "difference"]] = float("nan")
    table.loc[2, "reason"] = "separation"
    (sentence,) = say.control_sentence(table, THIS_MODEL)
    assert "cue-bound not identified" in sentence
    assert "It lies above that of audio-bound (paired" in sentence


def test_the_largest_concept_and_how_many_are_clear():
    rows = [("energy", 0.05, 0.02, 0.08), ("pitch", 0.01, -0.01, 0.03)]
    table = pd.DataFrame(rows, columns=["concept", "shapley", "low", "high"])
    (sentence,) = say.shapley_sentence(table)
    assert "(+0.060 of UAR), energy has the largest Shapley share" in sentence
    assert sentence.endswith("above zero for 1 of 2 concepts.")


def test_the_gain_of_wordings_from_least_to_most():
    gains = pd.DataFrame({"template": ["a", "b", "c"], "difference": [0.02, -0.01, 0.05]})
    (sentence,) = say.template_sentence(gains)
    assert sentence == "By wording, the gain ranges from −0.010 (b) to +0.050 (c)."
    assert say.template_sentence(gains[:1]) == []
