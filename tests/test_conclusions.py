"""The closing sentences say what the numbers show and no more."""

import re

import pandas as pd
import pytest

from sercue.statistics.controls import THIS_MODEL
from sercue.tables import conclusions as say
from sercue.tables.answer import place_among_controls, undecided


def family(**columns):
    """Four contrasts: one found, one found and small, one equal, one open."""
    names = ["shuffled", "masked(0.25)", "constant", "conflicting"]
    table = {
        "condition": names,
        "reference": ["aligned"] * 4,
        "difference": [-0.2, -0.02, 0.0, 0.04],
        "se": [0.02] * 4,
    }
    return pd.DataFrame(table | columns)


STEPS = ["family"] * 4
TESTS = family(holm_p=[0.001, 0.01, 0.9, 0.2], step=STEPS)
EQUAL = family(margin=[0.05] * 4, equivalent=[False, True, True, False])


def test_each_contrast_stands_where_its_numbers_put_it():
    """Different, different but small, equal: a sentence each; what is open is said elsewhere."""
    different, equal, small = say.family_sentences(TESTS, EQUAL)
    assert different.startswith("Of 4 planned contrasts, 2 differ from zero")
    assert equal == (
        "Equivalent to within ±.05 of UAR (TOST, corrected by the same rule): constant − aligned."
    )
    assert "yet shown to differ by less than .05: masked(0.25) − aligned" in small


def test_a_large_p_value_is_never_called_equality():
    """Nothing found and nothing shown to be equal."""
    none = say.family_sentences(TESTS.assign(holm_p=0.9), EQUAL.assign(equivalent=False))
    assert "0 differ from zero" in none[0]
    assert len(none) == 1


def test_no_change_for_any_speaker_is_a_fact_and_not_inconclusive():
    """Of eight speakers, exact zeros have p = 2^-8 as a test of equality: too much for Holm."""
    equal = EQUAL.assign(equivalent=False)
    told = say.family_sentences(TESTS.assign(se=[0.02, 0.02, 0.0, 0.02]), equal)
    assert "UAR is exactly the same for every speaker: constant − aligned." in told
    assert "(conflicting − aligned)" in undecided(
        TESTS.assign(se=[0.02, 0.02, 0.0, 0.02], df=7.0, speakers=8), equal, 0.05
    )


def test_the_primary_contrast_is_not_counted_among_the_others():
    tests = TESTS.assign(step=["primary", *STEPS[1:]])
    first = say.family_sentences(tests, EQUAL)[0]
    assert first.startswith("Of 3 planned contrasts after the primary one, 1 differ from zero")


def test_what_could_have_been_found_is_said_as_it_is_tested():
    """The primary contrast by itself, the others at the strictest step of the correction."""
    pairs = [("aligned", "none"), ("shuffled", "aligned"), ("shuffled", "none"), ("a", "none")]
    table = pd.DataFrame(pairs, columns=["condition", "reference"])
    table["detectable_holm"] = [0.031, 0.12, 0.2, 3.0]
    unchanged = pd.DataFrame({"condition": ["b"], "reference": "none", "detectable_holm": [0.0]})
    table = pd.concat([table, unchanged])
    (sentence,) = say.detectable_sentence(table)
    assert "is .031 for the primary contrast and .120 to .200 for the other" in sentence
    (hopeless,) = say.detectable_sentence(table.assign(detectable_holm=float("inf")))
    assert hopeless.startswith("A t test of these speakers would detect no difference")
    assert say.detectable_sentence(table.assign(detectable_holm=0.0)) == []


def test_no_collapse_needs_both_measures():
    """A condition whose entropy is safe and whose commonest share is not is not safe."""
    rows = [("shuffled", True), ("shuffled", True), ("constant", True), ("constant", False)]
    table = pd.DataFrame(rows, columns=["condition", "no_collapse"])
    (sentence,) = say.collapse_sentence(table.assign(margin=0.05, reference="aligned"))
    assert sentence.startswith("Collapse relative to aligned (entropy lower")
    assert sentence.endswith(
        "is ruled out, after Holm's correction, for 1 of 2 conditions: shuffled."
    )


@pytest.mark.parametrize(
    ("falls", "told"),
    [(True, "and UAR falls at every step"), (False, "but UAR does not fall at every step")],
)
def test_a_trend_is_not_called_monotone_unless_it_is(falls, told):
    row = {"family": ["corrupted"], "slope": [-0.3], "low": [-0.4], "high": [-0.2]}
    (sentence,) = say.dose_sentences(pd.DataFrame(row | {"falls_throughout": [falls]}))
    assert sentence.startswith("A straight line fitted to UAR falls by .300 [.200, .400] from dose")
    assert told in sentence


def test_tokens_of_the_same_class_are_no_part_of_the_gain():
    """Both differences, that from own tokens with its verdict; and no share."""
    rows = [
        ("aligned", "shuffled_within_class", -0.05, -0.1, 0.0),
        ("shuffled_within_class", "shuffled", 0.15, 0.1, 0.2),
    ]
    columns = ["condition", "reference", "difference", "low", "high"]
    verdict = {"condition": ["shuffled_within_class"], "reference": "aligned"}
    evidence = pd.DataFrame(verdict | {"verdict": "inconclusive"})
    (sentence,) = say.within_class_sentence(pd.DataFrame(rows, columns=columns), evidence)
    assert "Their UAR is .150 higher than that of any other utterance's tokens (not tes" in sentence
    assert "shuffled_within_class), −.050 [−.100, +.000], is inconclusive." in sentence
    assert "Neither difference is a part of the gain" in sentence


def neutral(**shifted):
    """Shifts against each reference, all open but those named, by condition and reference."""
    names = ["none", "shuffled", "conflicting", "constant", "masked"]
    pairs = [(name, "aligned") for name in names] + [(name, "none") for name in names[1:]]
    pairs += [(name, "masked") for name in names[1:-1]]
    table = pd.DataFrame(pairs, columns=["condition", "reference"]).assign(holm_p=0.2)
    named = table["condition"] + "_" + table["reference"]
    table["difference"] = named.map(shifted).fillna(0.01)
    table = table.assign(holm_p=table["holm_p"].mask(named.isin(list(shifted)), 0.01))
    return table.replace({"masked": "masked(1)"})


def test_a_shift_relative_to_a_block_without_information_is_one_of_what_tokens_say():
    """Shifts of tokens that are the same for all are told apart; falls count for nothing."""
    (sentence,) = say.neutral_sentence(
        neutral(conflicting_aligned=0.05, constant_aligned=0.07, conflicting_none=0.04,
                shuffled_none=-0.03, conflicting_masked=0.03)
    )  # fmt: skip
    assert "correction for these 12 contrasts" in sentence
    assert (
        "under 1 of 2 perturbed conditions relative to aligned: conflicting − aligned (+.050); "
        "under 1 of 2 perturbed conditions relative to none: conflicting − none (+.040); "
        "under 1 of 2 perturbed conditions relative to masked(1): conflicting − masked(1) (+.030)."
    ) in sentence
    assert "the same for every utterance: constant − aligned (+.070). Relative to" in sentence
    assert "a shift is an effect of what" in sentence
    assert sentence.endswith("the tokens say, and not of the presence of a block.")
    (sentence,) = say.neutral_sentence(neutral(conflicting_aligned=0.05))
    assert "a shift would be an effect of what" in sentence


def test_without_a_block_that_has_no_information_the_cause_of_a_shift_is_open():
    told = neutral(conflicting_aligned=0.05)
    without = told[(told["condition"] != "masked(1)") & (told["reference"] != "masked(1)")]
    (sentence,) = say.neutral_sentence(without)
    assert "under 0 of 2 perturbed conditions relative to none." in sentence
    assert sentence.endswith("cannot be told from one of the presence of a block.")
    (nothing,) = say.neutral_sentence(without.assign(holm_p=0.2))
    assert nothing.endswith("under 0 of 2 perturbed conditions relative to none.")


def test_of_shifts_that_are_not_known_nothing_is_said():
    """A condition without valid answers is in no count; without any other there is no sentence."""
    shifts = neutral()
    unknown = shifts.assign(holm_p=shifts["holm_p"].mask(shifts["condition"] == "shuffled"))
    (sentence,) = say.neutral_sentence(unknown)
    assert "these 9 contrasts, under 0 of 1 perturbed conditions" in sentence
    assert say.neutral_sentence(shifts.assign(holm_p=float("nan"))) == []
    assert say.neutral_sentence(shifts.query("condition == 'none'")) == []


def shares(*holm_p):
    rows = [
        ("audio-bound", 0.0, -0.02, 0.02, -0.4, holm_p[0]),
        (THIS_MODEL, 0.4, 0.1, 0.75, float("nan"), float("nan")),
        ("cue-bound", 0.8, 0.7, 0.9, 0.4, holm_p[1]),
    ]
    columns = ["model", "share", "low", "high", "difference", "holm_p"]
    whole = pd.DataFrame(rows, columns=columns).assign(by="all", reason="", rows=360)
    parts = pd.DataFrame({"model": THIS_MODEL, "by": "condition", "group": ["aligned", "shuffled"]})
    return pd.concat([whole, parts])


def test_shares_are_those_of_the_prompts_that_all_answered():
    """Where they place the model under study is said by the answer of the study."""
    (clear,) = say.control_sentence(shares(0.01, 0.04), THIS_MODEL)
    assert "cue-bound .800 [.700, .900]" in clear
    assert clear.startswith("On the prompts that the controls also answered (first wording, label")
    assert "360 answers under aligned, shuffled)" in clear
    table = shares(0.01, float("nan"))
    table.loc[2, ["share", "low", "high", "difference"]] = float("nan")
    table.loc[2, "reason"] = "separation"
    (sentence,) = say.control_sentence(table, THIS_MODEL)
    assert "cue-bound not identified" in sentence


@pytest.mark.parametrize(
    ("p", "told"),
    [
        ((0.01, 0.04), "higher than that of audio-bound, lower than that of cue-bound"),
        (
            (0.01, 0.2),
            "higher than that of audio-bound, not shown to differ from that of cue-bound",
        ),
        ((0.06, 0.2), "not shown to differ from that of audio-bound and cue-bound"),
        ((0.01, float("nan")), "higher than that of audio-bound"),
    ],
)
def test_a_place_among_controls_is_claimed_only_where_shares_differ(p, told):
    """By the paired difference, never by the place of two intervals."""
    text = re.sub(r" \(\.\d+\)", "", place_among_controls(shares(*p)))
    assert "is .400 [.100, .750] on the prompts that the control models answered" in text
    assert f"label order): {told} (paired" in text


def test_the_largest_concept_and_how_many_are_clear():
    """By the corrected p-value: the interval of pitch excludes zero, and does not count."""
    rows = [("energy", 0.05, 0.02, 0.08, 0.01), ("pitch", 0.02, 0.01, 0.03, 0.06)]
    table = pd.DataFrame(rows, columns=["concept", "shapley", "low", "high", "holm_p"])
    table["prompts"] = 6
    (sentence,) = say.shapley_sentence(table)
    assert sentence == (
        "Shapley values of the concepts in the content of the tokens (aligned − masked(1): +.070 "
        "of UAR), after Holm's correction: above zero for 1 of 2 concepts: energy (+.050 [+.020, "
        "+.080])."
    )
    (other,) = say.shapley_sentence(table.assign(shapley=[0.05, -0.02], holm_p=[0.01, 0.03]))
    assert other.endswith("; below zero for 1 (pitch).")
    (once,) = say.shapley_sentence(table.assign(prompts=1))
    assert "(aligned − masked(1), in the first wording and label order: +.070 of UAR)" in once
    (none,) = say.shapley_sentence(table.assign(holm_p=0.2))
    assert none.endswith(
        "above zero for 0 of 2 concepts. The largest value, of energy (+.050 [+.020, +.080]; "
        "p = .200), is inconclusive."
    )
    (smaller,) = say.shapley_sentence(table.assign(holm_p=[0.054, 0.005]))
    assert "above zero for 1 of 2 concepts: pitch (" in smaller
    assert smaller.endswith("of energy (+.050 [+.020, +.080]; p = .054), is inconclusive.")


def test_the_condition_that_the_wording_changes_most_is_named():
    """Largest less smallest UAR: .02 without tokens, .21 under conflicting ones."""
    uar = {"none": [0.75, 0.76, 0.74], "conflicting": [0.332, 0.517, 0.539]}
    rows = [(name, t, u) for name, us in uar.items() for t, u in zip("abc", us, strict=True)]
    wordings = pd.DataFrame(rows, columns=["condition", "template", "uar"])
    gains = pd.DataFrame({"template": ["a", "b", "c"], "difference": [0.02, -0.01, 0.05]})
    widest, gain = say.wording_sentences(wordings, gains)
    assert widest == (
        "Of 2 conditions, UAR differs most between wordings under conflicting: from .332 (a) to "
        ".539 (c) (not tested)."
    )
    assert gain == (
        "By wording, the gain from aligned tokens ranges from −.010 (b) to +.050 (c) (not tested)."
    )
    assert say.wording_sentences(wordings, None) == [widest]


def effects(*heard):
    """Effects of 0.1, 0.2, ... for each variant in turn, the second of silence not significant."""
    names = ["loss without tokens", "loss with tokens", "tokens", "interaction"]
    rows = [(one, name) for one in heard for name in names]
    rows += [(one, "voice") for one in heard if one == "reversed"]
    table = pd.DataFrame(rows, columns=["heard", "effect"])
    value = 0.1 * (table.index + 1) / 2
    table = table.assign(difference=value, low=value - 0.01, high=value + 0.01)
    return table.assign(holm_p=[0.0001, 0.3, 0.01, 0.02, *[0.04] * (len(table) - 4)])


def test_effects_of_audio_are_told_with_their_corrected_p():
    (silence,) = say.audio_sentences(effects("silent"))
    assert "UAR: loss without tokens +.050 [+.040, +.060] (p < .001); loss with" in silence
    assert "loss with tokens +.100 [+.090, +.110] (p = .300); gain from aligned" in silence
    assert "of none +.150 [+.140, +.160] (p = .010); interaction, which" in silence
    assert "+.200 [+.190, +.210] (p = .020) (Holm's correction over all 4" in silence
    assert "intervals are not corrected and can exclude 0" in silence
    (clear,) = say.audio_sentences(effects("silent").assign(holm_p=0.01))
    assert "intervals are not" not in clear


def test_voice_is_told_where_silence_and_a_variant_without_words_were_asked():
    silence, voice = say.audio_sentences(effects("silent", "reversed"))
    assert silence.startswith("Silent audio in place of the own, ")
    assert "with silence (voice): reversed +.450 [+.440, +.460] (p = .040). Because" in voice
    (other,) = say.audio_sentences(effects("noise"))
    assert other.startswith("Noise audio in place of the own, ")


def test_pulls_are_told_as_differences():
    table = pd.DataFrame(
        {"value": [0.4, 0.1, 0.2], "low": [0.3, -0.1, 0.1], "high": [0.5, 0.3, 0.3],
         "p": [0.0002, 0.3, 0.3]},
        ["pull of audio", "pull of tokens", "follow ratio"],
    )  # fmt: skip
    (sentence,) = say.pull_sentence(table, None)
    assert "of its class by +.400 [+.300, +.500] (p < .001) (pull of audio). Tokens of" in sentence
    assert "of their class by +.100 [−.100, +.300] (p = .300) (pull of tokens)." in sentence


def test_a_follow_ratio_that_differs_in_the_first_prompts_is_told_beside_that_of_all():
    table = pd.DataFrame({"value": 0.2, "low": 0.1, "high": 0.3, "p": 0.3},
                         ["pull of audio", "pull of tokens", "follow ratio"])  # fmt: skip
    of_first = pd.DataFrame({"follow_ratio": 0.4, "low": 0.3, "high": 0.5}, [THIS_MODEL])
    *_, told = say.pull_sentence(table, of_first)
    assert told.startswith("The follow ratio is .400 [.300, .500] in the first wording and label")
    assert told.endswith("and .200 [.100, .300] over all.")
    same = of_first.assign(follow_ratio=0.2, low=0.1, high=0.3)
    assert len(say.pull_sentence(table, same)) == 1


@pytest.mark.parametrize(
    ("slope", "p", "claim"),
    [
        (0.2, 0.01, "Tokens are used more where raters disagree."),
        (-0.2, 0.01, "Tokens are used less where raters disagree."),
        (0.2, 0.2, "Inconclusive."),
    ],
)
def test_use_by_disagreement_is_claimed_only_after_correction(slope, p, claim):
    names = ["none", "all labels equally", "mean of the raters"]
    distances = pd.DataFrame({"condition": names, "distance": [0.3, 0.5, 0.4], "low": 0.2,
                              "high": 0.4, "utterances": 90})  # fmt: skip
    use = {"wrong tokens": "conflicting", "slope": slope, "low": 0.0, "high": 0.4, "holm_p": p}
    first, second = say.rater_sentences(distances, pd.DataFrame([use], index=["probability"]))
    assert "is .300 [.200, .400] with the audio alone; it is .500 for all labels equally" in first
    assert second.startswith(claim)
