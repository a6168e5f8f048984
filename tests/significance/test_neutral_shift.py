"""The shift towards neutral against hand arithmetic, scipy, and least squares and flips by hand."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from sercue.errors import InputError
from sercue.statistics.measures import LABELS, example_predictions
from sercue.statistics.neutral_shift import neutral_shifts

TESTED = ["difference", "low", "high", "se", "df", "p", "permutation_p", "holm_p"]


def asked(answers):
    """Rows from answers by condition and speaker: to sad utterances, then to neutral ones.

    n is neutral, s sad, . an invalid answer.
    """
    names = {"n": "neutral", "s": "sad", ".": None}
    rows = [
        (f"{speaker}{kind}{place}", speaker, truth, condition, names[letter])
        for condition, by_speaker in answers.items()
        for speaker, both in by_speaker.items()
        for kind, truth, given in zip("en", ("sad", "neutral"), both, strict=True)
        for place, letter in enumerate(given)
    ]
    return pd.DataFrame(rows, columns=["utterance", "speaker", "truth", "condition", "prediction"])


def uneven():
    """Nine speakers of 4 to 12 emotional utterances, of which some have no valid answer."""
    rng = np.random.default_rng(5)
    answers = {"aligned": {}, "shuffled": {}}
    for speaker in range(9):
        size = 4 + speaker
        for condition, odds in (("aligned", (2, 7, 1)), ("shuffled", (4, 3, 3))):
            drawn = rng.choice(list("ns."), size, p=np.array(odds) / 10)
            answers[condition][f"s{speaker}"] = ("".join(drawn), "nnn")
    return asked(answers)


def emotional(rows):
    """Valid answers to emotional utterances: whether neutral, under shuffled, and the speaker."""
    valid = rows[(rows["truth"] != "neutral") & rows["prediction"].notna()]
    return (
        (valid["prediction"] == "neutral").to_numpy(float),
        (valid["condition"] == "shuffled").to_numpy(float),
        valid["speaker"].to_numpy(),
    )


def test_shares_worked_by_hand():
    """Neutral utterances and invalid answers are in neither numerator nor denominator.

    Neutral answers of valid ones, emotional utterances only: aligned 1/4 + 0/2 of 6, none 2/4 + 1/1
    of 5, shuffled 2/3 + 1/2 of 5.
    """
    rows = asked(
        {
            "none": {"a": ("nnss", "nn"), "b": ("n.", "s.")},
            "aligned": {"a": ("nsss", "nn"), "b": ("ss", "nn")},
            "shuffled": {"a": ("nns.", "ss"), "b": ("ns", "nn")},
        }
    )
    table = neutral_shifts(rows, LABELS, "neutral").set_index(["condition", "reference"])
    expected = {
        ("none", "aligned"): (3 / 5, 1 / 6),
        ("shuffled", "aligned"): (3 / 5, 1 / 6),
        ("shuffled", "none"): (3 / 5, 3 / 5),
    }
    assert list(table.index) == list(expected)
    for pair, (share, reference) in expected.items():
        found = table.loc[pair, ["share", "share_reference", "difference"]].tolist()
        assert found == pytest.approx([share, reference, share - reference])


def test_speakers_of_equal_size_give_the_paired_t_test():
    """Of scipy: all speakers have as many emotional utterances, and every answer is valid."""
    rows = example_predictions({"aligned": 0.7, "shuffled": 0.4}, speakers=9, utterances=12)
    found = neutral_shifts(rows, LABELS, "neutral", confidence=0.9).loc[0]
    other = rows[rows["truth"] != "neutral"]
    neutral = (other["prediction"] == "neutral").groupby([other["condition"], other["speaker"]])
    shares = neutral.mean().unstack("speaker")
    expected = stats.ttest_rel(shares.loc["shuffled"], shares.loc["aligned"])
    ends = expected.confidence_interval(0.9)
    assert found["p"] == pytest.approx(expected.pvalue)
    assert found[["low", "high"]].tolist() == pytest.approx([ends.low, ends.high])
    assert (found["df"], found["speakers"]) == (pytest.approx(8), 9)


def test_the_standard_error_is_cr2_of_least_squares():
    """Unequal speakers and invalid answers: (I - H)^-1/2 of each, as Bell and McCaffrey have it."""
    rows = uneven()
    neutral, shuffled, speaker = emotional(rows)
    design = np.column_stack([1 - shuffled, shuffled])
    bread = np.linalg.inv(design.T @ design)
    coefficients = bread @ design.T @ neutral
    contrast, variance = np.array([-1.0, 1.0]), 0.0
    for one in np.unique(speaker):
        own = design[speaker == one]
        values, vectors = np.linalg.eigh(np.eye(len(own)) - own @ bread @ own.T)
        root = vectors @ np.diag(values**-0.5) @ vectors.T
        residual = neutral[speaker == one] - own @ coefficients
        variance += (contrast @ bread @ own.T @ root @ residual) ** 2
    found = neutral_shifts(rows, LABELS, "neutral").loc[0]
    assert found["difference"] == pytest.approx(contrast @ coefficients)
    assert found["se"] == pytest.approx(np.sqrt(variance))
    half = stats.t.ppf(0.975, found["df"]) * np.sqrt(variance)
    assert found["high"] == pytest.approx(contrast @ coefficients + half)
    assert found["df"] < 8


def test_flips_are_those_of_effective_scores():
    """Of a logistic regression on the condition: residuals by the condition less its mean."""
    rows = uneven()
    neutral, shuffled, speaker = emotional(rows)
    single = (shuffled - shuffled.mean()) * (neutral - neutral.mean())
    scores = pd.Series(single).groupby(speaker).sum().to_numpy()
    signs = np.array(list(itertools.product([-1, 1], repeat=9)))
    drawn = np.abs(signs @ scores)
    expected = (drawn >= np.abs(scores.sum()) - 1e-12).mean()
    found = neutral_shifts(rows, LABELS, "neutral").loc[0]
    assert found["permutation_p"] == pytest.approx(expected)


def test_where_all_answers_are_valid_flips_exchange_the_conditions():
    """For whole speakers, the shares counted anew from the exchanged answers."""
    rows = example_predictions({"aligned": 0.7, "shuffled": 0.4}, speakers=5, utterances=12)
    found = neutral_shifts(rows, LABELS, "neutral").loc[0]
    other = rows[rows["truth"] != "neutral"]
    neutral = (other["prediction"] == "neutral").groupby([other["condition"], other["speaker"]])
    counts = neutral.sum().unstack("speaker").loc[["aligned", "shuffled"]].to_numpy()
    shifts = []
    for exchanged in itertools.product([False, True], repeat=5):
        first, second = np.where(exchanged, counts[::-1], counts)
        shifts.append(abs(second.sum() - first.sum()))
    assert found["permutation_p"] == np.mean(np.array(shifts) >= shifts[0])


def test_half_of_the_answers_invalid_are_no_shift():
    """Of each two equal answers one is invalid, for some speakers: the shares stay as they are.

    With invalid answers in the denominator the share would fall from 1/2 to 1/4 for them.
    """
    answers = {"a": ("nnss", "nn"), "b": ("nnnnss", "nn"), "c": ("ssssnn", "nn")}
    halved = {"a": ("n.s.", "n."), "b": ("n.n.s.", ".n"), "c": ("s.s.n.", "..")}
    found = neutral_shifts(asked({"aligned": answers, "none": halved}), LABELS, "neutral").loc[0]
    assert found[["share", "share_reference", "difference"]].tolist() == [0.5, 0.5, 0]
    assert found[["p", "permutation_p", "holm_p"]].tolist() == [1, 1, 1]


def test_a_condition_without_a_valid_answer_has_no_number_and_harms_no_other():
    """NaN, and neither the others nor their correction know of it."""
    conditions = {"none": 0.5, "aligned": 0.8, "shuffled": 0.4}
    rows = example_predictions(conditions, speakers=8, utterances=12)
    silent = rows[rows["condition"] == "none"].assign(condition="constant", prediction=None)
    table = neutral_shifts(pd.concat([rows, silent], ignore_index=True), LABELS, "neutral")
    lost = table["condition"] == "constant"
    assert lost.sum() == 2
    assert table.loc[lost, ["share", *TESTED]].isna().all(axis=None)
    pd.testing.assert_frame_equal(
        table[~lost].reset_index(drop=True), neutral_shifts(rows, LABELS, "neutral"),
        check_dtype=False,
    )  # fmt: skip
    alone = neutral_shifts(rows.assign(prediction=None), LABELS, "neutral")
    assert alone[["share", "share_reference", *TESTED]].isna().all(axis=None)
    assert len(alone) == 3


@pytest.mark.parametrize(("speakers", "decides"), [(7, "t"), (8, "flips")])
def test_flips_decide_where_so_many_speakers_can_pass(speakers, decides):
    """Five rows, .05 / 5 = .01: 2 / 2^7 is .0156, 2 / 2^8 is .0078."""
    conditions = {"none": 0.6, "aligned": 0.9, "shuffled": 0.4, "conflicting": 0.3}
    rows = example_predictions(conditions, speakers=speakers, utterances=12)
    table = neutral_shifts(rows, LABELS, "neutral")
    assert len(table) == 5
    assert set(table["decided_by"]) == {decides}
    deciding = table["permutation_p" if decides == "flips" else "p"]
    np.testing.assert_allclose(table["holm_p"], multipletests(deciding, method="holm")[1])


def test_drawn_flips_decide_only_if_there_are_enough():
    """Of 15 speakers signs are drawn: with 19 of them no p is below .05."""
    rows = example_predictions({"aligned": 0.9, "shuffled": 0.4}, speakers=15)
    few, many = (neutral_shifts(rows, LABELS, "neutral", resamples=n).loc[0] for n in (19, 20))
    assert (few["decided_by"], many["decided_by"]) == ("t", "flips")


def test_each_pair_is_compared_once_and_concepts_are_left_out():
    conditions = dict.fromkeys(["none", "aligned", "only(PITCH)", "constant"], 0.5)
    rows = example_predictions(conditions)
    pairs = neutral_shifts(rows, LABELS, "neutral")[["condition", "reference"]]
    assert pairs.to_numpy().tolist() == [
        ["none", "aligned"], ["constant", "aligned"], ["constant", "none"],
    ]  # fmt: skip
    alone = neutral_shifts(rows, LABELS, "neutral", references=["none"])
    assert alone["condition"].tolist() == ["aligned", "constant"]


def test_repeated_rows_shrink_nothing():
    rows = example_predictions({"aligned": 0.7, "shuffled": 0.5}, speakers=6)
    twice = pd.concat([rows, rows.assign(template="long")], ignore_index=True)
    one, two = (neutral_shifts(table, LABELS, "neutral") for table in (rows, twice))
    pd.testing.assert_frame_equal(one, two)


def test_bad_input_is_named():
    rows = example_predictions({"aligned": 0.7, "shuffled": 0.5})
    with pytest.raises(InputError, match="unknown neutral label 'netural': did you mean 'neutral'"):
        neutral_shifts(rows, LABELS, "netural")
    with pytest.raises(InputError, match="found the conditions aligned; valid are aligned or none"):
        neutral_shifts(rows[rows["condition"] == "aligned"], LABELS, "neutral")
    with pytest.raises(InputError, match="found 1 utterances under one of the two only"):
        neutral_shifts(rows.drop(index=0), LABELS, "neutral")
