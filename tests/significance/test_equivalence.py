"""Equivalence against statsmodels, entropy and its error against plain derivatives, and the shift
towards neutral against hand arithmetic, scipy, and least squares and flips by hand.
"""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import balanced_accuracy_score
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from sercue.errors import InputError
from sercue.statistics.contrasts import compare, detectable_differences, planned_contrasts
from sercue.statistics.equivalence import (
    collapse_tests,
    commonest_shares,
    entropies,
    equivalence_p,
    equivalence_tests,
    evidence,
    neutral_shifts,
    predicted_classes,
    predicted_shares,
    verdicts,
)
from sercue.statistics.measures import LABELS, example_predictions, measures
from sercue.statistics.speakers import Clustered, speaker_counts

PAIR = [("aligned", "none")]
TESTED = ["difference", "low", "high", "se", "df", "p", "permutation_p", "holm_p"]


@settings(max_examples=10)
@given(seed=st.integers(0, 10_000), margin=st.floats(0.02, 0.4))
def test_equal_speakers_give_the_paired_tost(seed, margin):
    """With as many utterances of each class from all: statsmodels' TOST of speakers' UAR."""
    rows = example_predictions({"none": 0.5, "aligned": 0.6}, speakers=7, utterances=12, seed=seed)
    uar = {
        name: [
            balanced_accuracy_score(s["truth"], s["prediction"]) for _, s in t.groupby("speaker")
        ]
        for name, t in rows.groupby("condition")
    }
    expected = ttost_paired(np.array(uar["aligned"]), np.array(uar["none"]), -margin, margin)[0]
    found = equivalence_tests(rows, LABELS, PAIR, margin=margin).loc[0]
    assert found["equivalence_p"] == pytest.approx(expected)
    inside = -margin < found["low"] and found["high"] < margin
    assert found["equivalent"] == inside


def test_equality_is_claimed_after_correction():
    """The primary contrast by itself, Holm over the others, by hand: p times 2, then times 1."""
    accuracy = {"none": 0.5, "aligned": 0.52, "shuffled": 0.5, "constant": 0.5}
    rows = example_predictions(accuracy, speakers=12, utterances=60, seed=2)
    pairs = [*PAIR, ("shuffled", "none"), ("constant", "none")]
    table = equivalence_tests(rows, LABELS, pairs, margin=0.06)
    small, large = sorted(table["equivalence_p"][1:])
    assert table["holm_p"][0] == table["equivalence_p"][0]
    assert sorted(table["holm_p"][1:]) == pytest.approx([2 * small, max(large, 2 * small)])
    assert table["equivalent"].tolist() == (table["holm_p"] < 0.05).tolist()


def test_no_difference_found_is_not_equivalence():
    """Few speakers: the interval holds zero, and the margin does not hold the interval."""
    rows = example_predictions({"none": 0.5, "aligned": 0.5}, speakers=3, utterances=3, seed=1)
    found = equivalence_tests(rows, LABELS, PAIR, margin=0.05).loc[0]
    assert found["low"] < 0 < found["high"]
    assert not found["equivalent"]


@pytest.mark.parametrize(("speakers", "p"), [(4, 1 / 16), (8, 1 / 256)])
def test_the_same_answers_twice_are_equal_as_surely_as_signs_can_say(speakers, p):
    """No speaker differs: no error, and of 2^S patterns of signs one has all on the same side."""
    rows = example_predictions({"none": 0.6}, speakers=speakers, utterances=12)
    both = pd.concat([rows, rows.assign(condition="aligned")])
    found = equivalence_tests(both, LABELS, PAIR, margin=0.05).loc[0]
    assert (found["difference"], found["low"], found["high"]) == (0, 0, 0)
    assert found["equivalence_p"] == p


def test_speakers_who_agree_on_a_difference_beyond_the_margin_are_not_equal():
    """0.3 against 0.05: of eight speakers all signs but one pattern."""
    agreed = Clustered(np.array([0.3, -0.3, 0.05]), np.zeros((3, 8)), np.full(3, 7.0))
    assert equivalence_p(agreed, 0.05).tolist() == [255 / 256, 255 / 256, 0.5]


def test_a_verdict_needs_a_corrected_test():
    """Different, different and small, equal, the same for all, and what neither test decides."""
    tests = pd.DataFrame(
        {"difference": [0.2, 0.02, 0.01, 0.0, 0.1], "se": [0.02, 0.005, 0.01, 0.0, 0.08],
         "holm_p": [0.001, 0.01, 0.3, 1.0, 0.06]}
    )  # fmt: skip
    equal = pd.DataFrame({"equivalent": [False, True, True, False, False]})
    assert verdicts(tests, equal).tolist() == [
        "different", "different (small)", "equivalent", "unchanged", "inconclusive",
    ]  # fmt: skip


def test_the_table_of_evidence_joins_three_of_the_same_contrasts():
    rows = example_predictions({"none": 0.5, "aligned": 0.7, "shuffled": 0.5}, speakers=8)
    tests, pairs = compare(rows, LABELS), planned_contrasts(["none", "aligned", "shuffled"])
    least = detectable_differences(tests)
    equal = equivalence_tests(rows, LABELS, pairs, margin=0.05)
    table = evidence(tests, least, equal)
    pd.testing.assert_frame_equal(table[list(tests)], tests)
    assert table["detectable"].tolist() == least["detectable"].tolist()
    for name in ("low", "high", "holm_p"):
        assert table[f"equivalence_{name}"].tolist() == equal[name].tolist()
    assert len(evidence(tests[:0], least[:0], equal[:0])) == 0


def test_shares_of_predicted_classes_are_those_of_valid_answers():
    rows = example_predictions(speakers=6)
    rows.loc[::7, "prediction"] = None
    table = predicted_classes(rows, LABELS).set_index(["condition", "label"])
    valid = rows.dropna(subset="prediction")
    expected = pd.crosstab(valid["condition"], valid["prediction"], normalize="index").stack()
    truth = rows["truth"].value_counts(normalize=True)
    for (condition, label), row in table.iterrows():
        assert row["share"] == pytest.approx(expected[condition, label])
        assert row["truth"] == pytest.approx(truth[label])
        assert row["low"] <= row["share"] <= row["high"]


def test_measures_of_collapse_are_those_of_the_report():
    """Entropy and commonest share are those of ``measures``, invalid answers left out."""
    rows = example_predictions({"none": 0.4, "aligned": 0.8}, speakers=5, utterances=7)
    rows.loc[rows.index % 5 == 0, "prediction"] = None
    shares, table = predicted_shares(speaker_counts(rows, LABELS)), measures(rows, LABELS)
    np.testing.assert_allclose(entropies(shares).estimate, table["entropy"])
    np.testing.assert_allclose(commonest_shares(shares).estimate, table["commonest_share"])


def entropy_of(rows, weight):
    """Normalised entropy of the answers, speakers weighted."""
    totals = rows["speaker"].map(weight).groupby(rows["prediction"]).sum()
    q = (totals / totals.sum()).to_numpy()
    return -(q * np.log(q)).sum() / np.log(len(LABELS))


def test_entropys_error_is_its_slope_in_each_speakers_weight():
    """By central differences; five speakers of one size are corrected by 1 / sqrt(1 - 1/5)."""
    rows = example_predictions({"none": 0.4}, speakers=5, utterances=9, seed=8)
    found = entropies(predicted_shares(speaker_counts(rows, LABELS)))
    names, slopes = sorted(rows["speaker"].unique()), []
    for name in names:
        up, down = ({n: 1 + e * (n == name) for n in names} for e in (1e-5, -1e-5))
        slopes.append((entropy_of(rows, up) - entropy_of(rows, down)) / 2e-5)
    np.testing.assert_allclose(found.influence[0], np.array(slopes) / np.sqrt(0.8), atol=1e-8)


def test_entropy_at_its_maximum_varies_as_the_g_test_has_it():
    """N independent answers, all classes alike: 2 N log K (1 - H) is chi-squared on K - 1.

    Its variance 2 (K - 1) gives that of H; linearised alone it would be 0. One answer per speaker,
    corrected for the speakers' small number by N / (N - 1), here on either factor.
    """
    number, classes = 200, len(LABELS)
    rows = pd.DataFrame(
        {
            "condition": "none", "utterance": [f"u{n}" for n in range(classes * number)],
            "speaker": [f"s{n}" for n in range(classes * number)],
            "truth": np.repeat(LABELS, number), "prediction": np.tile(LABELS, number),
        }
    )  # fmt: skip
    found = entropies(predicted_shares(speaker_counts(rows, LABELS)))
    answers = classes * number
    expected = 2 * (classes - 1) / (2 * answers * np.log(classes)) ** 2
    np.testing.assert_allclose(found.influence, 0, atol=1e-12)
    np.testing.assert_allclose(found.se**2, expected * (answers / (answers - 1)) ** 2)


def test_curved_parts_of_differences_are_those_of_simulation():
    """Entropies of normal shares near their maximum: variance of the difference, by brute force."""
    rng = np.random.default_rng(0)
    root = 0.02 * rng.normal(size=(3, 2, 6))
    root -= root.mean(axis=0)
    q = np.array([[0.34, 0.3], [0.34, 0.3], [0.32, 0.4]])
    shares = [Clustered(q[k], root[k], np.full(2, 5.0)) for k in range(3)]
    drawn = q + np.einsum("kcs,ns->nkc", root, rng.normal(size=(200_000, 6)))
    seen = stats.entropy(drawn, axis=1) / np.log(3)
    found = entropies(shares)
    np.testing.assert_allclose(found.se**2, seen.var(axis=0), rtol=0.1)
    difference = found.combine([[1, -1]]).se ** 2
    np.testing.assert_allclose(difference, np.diff(seen, axis=1).var(), rtol=0.1)
    linear = (np.diff(found.influence, axis=0) ** 2).sum()
    assert difference.item() > 1.2 * linear


def test_a_collapse_is_seen_and_its_absence_shown():
    """All answers one class against an even spread; and the same answers twice."""
    rows = example_predictions({"aligned": 0.8}, speakers=8, utterances=12)
    same = rows.assign(condition="shuffled")
    one = rows.assign(condition="conflicting", prediction="neutral")
    table = collapse_tests(
        pd.concat([rows, same, one]), LABELS, entropy_margin=0.1, share_margin=0.1
    ).set_index(["condition", "measure"])
    assert table.loc["shuffled", "no_collapse"].all()
    assert not table.loc["conflicting", "no_collapse"].any()
    assert table.loc[("conflicting", "entropy"), "value"] == 0
    assert table.loc[("conflicting", "commonest_share"), "value"] == 1


def test_absence_of_collapse_is_corrected_over_conditions():
    """The larger p of both measures, then times 2 and 1, by hand; the same for both rows."""
    accuracy = {"aligned": 0.6, "shuffled": 0.5, "constant": 0.55}
    rows = example_predictions(accuracy, speakers=10, utterances=30, seed=3)
    table = collapse_tests(rows, LABELS, entropy_margin=0.05, share_margin=0.05)
    larger = table.groupby("condition")["collapse_p"].max().sort_values()
    expected = dict(zip(larger.index, [2 * larger.iloc[0], larger.max()], strict=True))
    expected[larger.index[1]] = max(expected.values())
    assert table["holm_p"].to_list() == pytest.approx(
        [min(expected[name], 1) for name in table["condition"]]
    )
    assert table["no_collapse"].tolist() == (table["holm_p"] < 0.05).tolist()


def test_margins_must_be_stated_and_sensible():
    rows = example_predictions()
    with pytest.raises(TypeError, match="margin"):
        equivalence_tests(rows, LABELS, PAIR)
    with pytest.raises(InputError, match="margin: found 0"):
        equivalence_tests(rows, LABELS, PAIR, margin=0)
    with pytest.raises(InputError, match="share_margin: found 5"):
        collapse_tests(rows, LABELS, entropy_margin=0.1, share_margin=5)
    with pytest.raises(InputError, match="alpha: found"):
        equivalence_tests(rows, LABELS, PAIR, margin=0.1, alpha=0.5)


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
