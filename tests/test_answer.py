"""The answer of a study never says more than its tests do."""

import pandas as pd
import pytest
from statsmodels.stats.power import TTestPower

from sercue.statistics.contrasts import detectable_difference, speakers_needed
from sercue.statistics.equivalence import judged
from sercue.tables.answer import (
    beside_the_tokens,
    follow_line,
    gain_line,
    harm_line,
    place_among_controls,
    spread_of_answers,
    undecided,
    use_of_tokens,
)

MEASURES = pd.DataFrame(
    {
        "condition": ["none", "aligned", "shuffled", "majority class"],
        "uar": [0.5, 0.6, 0.4, 0.25],
        "uar_low": [0.4, 0.5, 0.3, 0.25],
        "uar_high": [0.6, 0.7, 0.5, 0.25],
        "entropy": [0.9, 0.95, 0.8, 0.0],
        "commonest": ["sad", "sad", "neutral", "sad"],
        "commonest_share": [0.4, 0.3, 0.55, 1.0],
        "invalid_rate": [0.0, 0.0, 0.0, 0.0],
        "baseline": [False, False, False, True],
    }
)


def contrasts(gain=(0.1, 0.02, 0.2), speakers=30, holm_p=0.01):
    rows = [
        ("aligned", "none", *gain, speakers, holm_p, "primary"),
        ("shuffled", "aligned", -0.2, -0.3, -0.1, speakers, 0.01, "family"),
        ("shuffled", "none", -0.1, -0.25, 0.05, speakers, 0.3, "family"),
    ]
    columns = ["condition", "reference", "difference", "low", "high", "speakers", "holm_p", "step"]
    return pd.DataFrame(rows, columns=columns).assign(decided_by=["flips", "t", "t"])


@pytest.mark.parametrize(
    ("gain", "holm_p", "claim", "p"),
    [
        ((0.1, 0.02, 0.2), 0.01, "Aligned tokens raise UAR", "p = .010"),
        ((-0.1, -0.2, -0.02), 0.0004, "Aligned tokens lower UAR", "p < .001"),
        ((0.1, 0.02, 0.2), 0.17, "Inconclusive", "p = .170"),
        ((0.1, -0.02, 0.2), 0.031, "Aligned tokens raise UAR", "p = .031"),
        ((0.1, 0.1, 0.1), 0.5, "Inconclusive", "p = .500"),
    ],
)
def test_the_claim_follows_the_corrected_p_value(gain, holm_p, claim, p):
    """Never the interval, which is uncorrected and may belong to another test."""
    text = gain_line(MEASURES, contrasts(gain, holm_p=holm_p), 4)
    assert text.startswith(f"{claim}. UAR is ")
    assert f"({p}, sign-flip test)." in text
    assert ("All other differences of this study are therefore exploratory." in text) == (
        claim == "Inconclusive"
    )


def pair(condition, reference, difference, holm_p):
    low, high = difference - 0.01, difference + 0.01
    names = {"condition": condition, "reference": reference, "holm_p": holm_p}
    return names | {"difference": difference, "low": low, "high": high}


#: Of a model that reacts to a block, and not to a word of it.
BLIND = [
    pair("aligned", "none", 0.1, 0.001),
    pair("shuffled", "aligned", 0.0, 1.0),
    pair("masked(1)", "aligned", 0.001, 0.9),
    pair("constant", "aligned", 0.0, 1.0),
    pair("shuffled", "none", 0.1, 0.001),
    pair("masked(1)", "none", 0.1, 0.0009),
    pair("constant", "none", 0.1, 0.001),
]


def test_a_gain_from_the_presence_of_a_block_is_no_use_of_its_content():
    """Own tokens against those of others and two empty blocks, then these against none."""
    use, content, of_constant, presence, of_middle_words = use_of_tokens(pd.DataFrame(BLIND))
    assert use.startswith(
        "Inconclusive. UAR with own tokens relative to those of another utterance"
    )
    assert content.startswith("Inconclusive")
    assert "(aligned − masked(1))" in content
    assert of_constant.startswith("Inconclusive")
    assert presence.startswith("The presence of a block raises UAR.")
    assert presence.endswith("(Holm-corrected p < .001).")
    assert of_middle_words.startswith("Constant tokens raise UAR. UAR with the same middle words")
    assert of_middle_words.endswith(
        "The difference for the presence of a block alone (masked(1) − none) is +.100 [+.090, "
        "+.110]."
    )
    (unknown,) = use_of_tokens(pd.DataFrame(BLIND[-1:]))
    assert unknown.endswith("can be an effect of the middle words or of the presence of a block.")


def test_what_is_shown_to_be_equivalent_is_not_called_inconclusive():
    """A difference that no test shows may be shown to be small; both p-values are given."""
    tests = pd.DataFrame([pair("masked(1)", "none", -0.007, 0.736)]).assign(se=0.005)
    equal = pd.DataFrame({"equivalent": [True], "margin": 0.05, "holm_p": 0.001})
    (sentence,) = use_of_tokens(judged(tests, equal))
    assert sentence.startswith("Equivalent to within ±.05 of UAR. UAR with a block in which all")
    assert sentence.endswith("(Holm-corrected p = .736; TOST p = .001).")
    (open_one,) = use_of_tokens(judged(tests, equal.assign(equivalent=False)))
    assert open_one.startswith("Inconclusive.")


def test_content_is_used_where_own_tokens_do_better_than_those_of_others():
    """The difference is turned round: own tokens less those of others."""
    rows = [pair("shuffled", "aligned", -0.2, 0.01), pair("constant", "aligned", -0.1, 0.02)]
    use, content = use_of_tokens(pd.DataFrame(rows))
    assert use.startswith("The model uses what the tokens say.")
    assert "(aligned − shuffled): " in use
    assert content.startswith("Own tokens give a higher UAR than constant ones, which includes")
    assert content.endswith("(Holm-corrected p = .020).")


def test_the_harm_is_that_of_a_condition_chosen_beforehand():
    """Shuffled tokens have the lowest UAR here; conflicting ones come first all the same."""
    rows = [pair("shuffled", "none", -0.3, 0.01), pair("conflicting", "none", -0.1, 0.2)]
    text = harm_line(pd.DataFrame(rows))
    assert text.startswith("Inconclusive. UAR with opposite tokens")
    assert "(conflicting − none)" in text
    assert harm_line(pd.DataFrame(rows[:1])).startswith("Shuffled tokens lower UAR.")


def relied(shares, differences, p):
    models = ["audio-bound", "grounded", "cue-bound", "this model"]
    columns = {"by": "all", "share": [*shares, 0.5], "difference": [*differences, None]}
    return pd.DataFrame(
        columns | {"model": models, "holm_p": [*p, None], "low": 0.45, "high": 0.55}
    )


def test_a_model_is_placed_among_the_controls_by_tests_alone():
    """Differences are those of the control less the model under study."""
    text = place_among_controls(relied([0, 0.4, 0.9], [-0.5, -0.1, 0.4], [0.001, 0.3, 0.01]))
    assert "is .500 [.450, .550] on the prompts that the control models answered, too" in text
    assert (
        "higher than that of audio-bound (.000), lower than that of cue-bound (.900), not shown to "
        "differ from that of grounded (.400)"
    ) in text


def test_a_control_that_is_the_model_under_study_is_not_compared_with_it():
    """Their difference is zero by construction, and was not tested."""
    text = place_among_controls(relied([0, 0.5, 0.9], [-0.5, 0.0, 0.4], [0.001, None, 0.01]))
    assert "grounded" not in text
    assert "higher than that of audio-bound" in text


def test_controls_in_another_order_place_nothing():
    text = place_among_controls(relied([0.4, 0.1, 0.9], [-0.1, -0.4, 0.4], [0.001] * 3))
    assert text.endswith("the share of the model under study cannot be interpreted.")


@pytest.mark.parametrize(
    ("difference", "p", "claim"),
    [
        (0.1, 0.01, "Audio and tokens together give the model more than the tokens alone"),
        (-0.1, 0.01, "With audio and tokens, the model does worse than a reader of the tokens"),
        (0.1, 0.06, "Inconclusive"),
    ],
)
def test_the_model_is_compared_with_a_reader_of_the_tokens(difference, p, claim):
    row = {"uar": [0.7], "uar_reference": 0.7 - difference, "difference": difference, "p": p}
    table = pd.DataFrame(row | {"low": difference - 0.1, "high": difference + 0.1})
    assert beside_the_tokens(table).startswith(claim)


def test_the_number_of_speakers_that_would_decide_is_that_of_statsmodels():
    """One contrast of a standardised size of half, with t tests at its own level: 34 pairs."""
    effect = 0.05 / (0.1 / 10**0.5 * 10**0.5)
    needed = TTestPower().solve_power(effect, power=0.8, alpha=0.05)
    row = pair("aligned", "none", 0.01, 0.6) | {"se": 0.1 / 10**0.5, "df": 9.0, "speakers": 10}
    tests = pd.DataFrame([row]).assign(step="primary")
    text = undecided(tests, pd.DataFrame({"equivalent": [False]}), 0.05)
    assert f"About {int(needed) + 1} speakers would be needed" in text
    assert undecided(tests, pd.DataFrame({"equivalent": [True]}), 0.05) == ""


@pytest.mark.parametrize(("speakers", "df"), [(29, 1.4), (29, 7.0), (100, 7.0), (10, 2.39)])
def test_uneven_speakers_need_a_finite_number_or_none_can_be_told(speakers, df):
    """Their degrees of freedom are few: t quantiles of a fraction of one cannot be computed."""
    needed = speakers_needed(0.02, df, speakers, 0.05, alpha=0.05 / 18)
    assert needed > 2
    assert detectable_difference(0.02, df, alpha=0.05 / 18) > 0


def test_a_baseline_is_not_taken_for_a_collapse():
    """The majority classifier answers one class by construction; it is no condition."""
    (text,) = spread_of_answers(MEASURES)
    assert "most concentrated under shuffled, where neutral is 55" in text


def test_a_study_without_none_and_aligned_has_no_gain():
    only = MEASURES[MEASURES["condition"] == "shuffled"]
    assert gain_line(only, contrasts().iloc[:0], 4) == ""


def test_invalid_answers_are_told_where_there_are_any():
    table = MEASURES.assign(invalid_rate=[0.0, 0.02, 0.125, 0.0])
    assert "(shuffled), by condition" in spread_of_answers(table)[-1]
    assert "invalid" not in " ".join(spread_of_answers(MEASURES))


def test_where_the_follow_ratio_has_no_interval_the_line_is_inconclusive():
    rows = {"condition": "aligned @ swapped", "follows": ["audio", "tokens", "neither"]}
    followed = pd.DataFrame(rows | {"share": [0.45, 0.38, 0.17]})
    nan = float("nan")
    ratio = pd.DataFrame({"value": [0.6], "low": [nan], "high": [nan]}, ["follow ratio"])
    text = follow_line(followed, ratio)
    assert text.startswith("Inconclusive. Where audio and tokens are of different classes")
    assert "45\u202f% of the answers are the class of the audio, 38\u202f% that of" in text
    assert ".600" not in text
    known = follow_line(followed, ratio.assign(low=0.5, high=0.7))
    assert known.endswith(
        "is .600 [.500, .700] (0: only the audio counts, .5: both alike, 1: only the tokens)."
    )
