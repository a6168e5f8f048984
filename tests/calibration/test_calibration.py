"""The short form: few simulated studies, bounds so wide that chance does not cross them."""

from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm
from calibrate import CHECKS, GOALS, calibrate, written
from checks_tests import answers_p, collapses, differences, several_p
from paired_regression import paired_regression
from scipy.special import log_softmax
from scipy.stats import binom, t
from simulate import (
    Design,
    simulate,
    true_confusions,
    true_entropy,
    true_log_odds,
    true_log_p,
    true_uar,
)
from simulate_choices import ChoiceDesign, choices, true_weights
from simulate_crossing import CrossedDesign, crossed, true_effects
from simulate_features import FeatureDesign, features
from speakers import Speakers, spoken

from sercue.statistics.contrasts import dose_trends
from sercue.statistics.correctness_tests import cochran_test, gee_tests, mcnemar_tests, shift_tests
from sercue.statistics.crossing import follow
from sercue.statistics.effects import cells_by_pattern
from sercue.statistics.equivalence import collapse_tests
from sercue.statistics.measures import measures
from sercue.statistics.reliance import fit_choices
from sercue.statistics.speakers import recall_estimates, speaker_counts

STUDIES = 40
SHORT = tuple(check for check in CHECKS if check.name != "bootstraps")
#: Standard choices that are there to be seen failing: they take utterances as independent.
INDEPENDENT = ("independent", "Stuart", "Bhapkar")
NOT_TAKEN = (*INDEPENDENT, "Hotelling", "sandwich", "uncorrected")
PAIR = [("aligned", "none")]
DOSES = ("aligned", "corrupted(0.25)", "corrupted(0.5)", "corrupted(1)")


@pytest.fixture(scope="module")
def rates():
    return calibrate(STUDIES, seed=1, checks=SHORT, speakers=(8, 24), kinds=("even",))


def test_nothing_is_far_from_its_goal(rates):
    """No rate is one that a test or interval inside its goal gives less than once in 10,000."""
    for _, row in rates.iterrows():
        if any(word in row["quantity"] for word in NOT_TAKEN):
            continue
        times = round(row["rate"] * row["studies"])
        low, high = GOALS[row["goal"]]
        assert binom.sf(times - 1, row["studies"], high) > 1e-4, row.to_dict()
        if row["goal"] == "coverage":
            assert binom.cdf(times, row["studies"], low) > 1e-4, row.to_dict()


def test_tests_that_ignore_speakers_are_seen_to_fail(rates):
    """The simulation is strong enough to show what clustering does: well above 6 %."""
    wrong = rates[rates["quantity"].str.contains("|".join(INDEPENDENT))]
    assert len(wrong) == 8
    pooled = wrong.groupby("quantity")["rate"].mean()
    assert (pooled > 0.08).all()


def test_the_committed_table_is_the_long_form_of_the_same_checks(rates):
    """Every quantity that is checked stands in the table, with its date and seed."""
    text = Path(__file__).with_name("RESULTS.md").read_text(encoding="utf-8")
    assert "seed 0" in text
    for quantity in rates["quantity"].unique():
        assert f"| {quantity} |" in text


def test_the_table_marks_what_misses_its_goal(rates):
    """Bold where a rate is outside by more than two standard errors of the simulation."""
    whole = calibrate(20, checks=[check for check in CHECKS if check.made is differences])
    flagged = written(whole.assign(rate=0.5, studies=1000), 0)
    assert flagged.count("**50.0 ± 1.6**") == len(whole)
    assert "**" not in written(whole.assign(rate=0.05), 0).partition("Type-I")[2]


def test_counts_of_a_study_are_those_of_its_table():
    """The short way to counts gives what predictions give."""
    study = simulate(Design(speakers=6, utterances=12), seed=4)
    counted = study.counted()
    table = speaker_counts(study.predictions(), study.design.labels)
    np.testing.assert_array_equal(counted.counts, table.counts)
    found = measures(study.predictions(), study.design.labels)["uar"]
    np.testing.assert_allclose(counted.uar.estimate, found)


def test_tests_from_counts_are_those_of_the_tables():
    """What is calibrated is what the package's tests report of the same predictions."""
    study = simulate(Design(speakers=7, utterances=15), seed=5)
    rows, labels, p = study.predictions(), study.design.labels, answers_p(study, 99)
    single = mcnemar_tests(rows, PAIR).iloc[0]
    assert p["McNemar: sign flips of speakers"] == pytest.approx(single["mcnemar_p"])
    assert p["McNemar: independent utterances"] == pytest.approx(single["independent_p"])
    shift = shift_tests(rows, labels, PAIR).iloc[0]
    for name, column in (("sign flips of speakers", "shift_p"), ("Bhapkar", "bhapkar_p")):
        assert p[f"shift of classes: {name}"] == pytest.approx(shift[column])
    four = simulate(Design(speakers=7, utterances=15, strength=(1.0,) * 4), seed=6)
    rows, p = four.predictions(DOSES), several_p(four, 99)
    cochran, trend = cochran_test(rows, resamples=99), dose_trends(rows, labels, resamples=99)
    assert p["Cochran: conditions rearranged in speakers"] == pytest.approx(cochran["cochran_p"])
    assert p["Cochran: independent utterances"] == pytest.approx(cochran["independent_p"])
    by_name = {"t over speakers": "p", "doses rearranged in speakers": "permutation_p"}
    for name, column in (by_name | {"Page": "page_p"}).items():
        assert p[f"trend with the dose: {name}"] == pytest.approx(trend[column].item())


def test_no_collapse_from_counts_is_that_of_the_table():
    """Margins just on either side of where the test of the package begins to claim it."""
    study = simulate(Design(speakers=9), seed=7)
    rows = study.predictions(("aligned", "shuffled"))
    for margin in (0.005, 0.3):
        found = collapse_tests(
            rows, study.design.labels, entropy_margin=margin, share_margin=margin
        )["no_collapse"]
        assert list(collapses(study, np.array([margin, margin])).values()) == found.tolist()


@pytest.mark.parametrize("strength", [(1.0, 1.0), (0.4, 1.8)])
def test_regression_from_counts_is_that_of_statsmodels(strength):
    """Both covariances: Mancl and DeRouen's through ``gee_tests``, the sandwich directly."""
    study = simulate(Design(speakers=9, strength=strength), seed=8)
    right, number = study.by_speaker(study.right).T, np.bincount(study.speaker)
    effect, error = paired_regression(right[:, ::-1], number)
    found = gee_tests(study.predictions(), PAIR).iloc[0]
    half = t.ppf(0.975, 8) * error
    expected = found[["gee_odds_ratio", "gee_low", "gee_high"]].astype(float)
    np.testing.assert_allclose(np.exp([effect, effect - half, effect + half]), expected, rtol=1e-6)
    condition = np.repeat([0.0, 1.0], len(study.truth))
    model = sm.GEE(
        study.right.ravel().astype(float), sm.add_constant(condition),
        groups=np.tile(study.speaker, 2), family=sm.families.Binomial(),
        cov_struct=sm.cov_struct.Exchangeable(),
    )  # fmt: skip
    plain = paired_regression(right[:, ::-1], number, bias_reduced=False)
    oracle = model.fit()
    np.testing.assert_allclose(plain, (oracle.params[1], oracle.bse[1]), rtol=1e-6)


def test_truth_is_what_many_speakers_show():
    """One large study comes near the limits that the simulation states."""
    design = Design(speakers=1500, utterances=40, strength=(1.0, 1.8))
    study = simulate(design, seed=2)
    assert study.counted().uar.estimate == pytest.approx(true_uar(design), abs=0.01)
    shown = measures(study.predictions(), design.labels)["entropy"].to_numpy()
    assert shown == pytest.approx(true_entropy(design), abs=0.01)
    odds = np.log(study.right.mean(axis=1) / (1 - study.right.mean(axis=1)))
    assert odds == pytest.approx(true_log_odds(design), abs=0.05)
    said = recall_estimates(study.log_p_sums(), study.counted().totals)
    assert said.estimate == pytest.approx(true_log_p(design), abs=0.03)


def test_log_probabilities_are_summed_by_speaker_and_class():
    """Utterance by utterance, in a plain loop."""
    study = simulate(Design(speakers=3, utterances=6), seed=9)
    expected = np.zeros((2, 3, 4))
    for place, (who, true) in enumerate(zip(study.speaker, study.truth, strict=True)):
        for condition in range(2):
            said = log_softmax(study.utility[condition, place])[true]
            expected[condition, who, true] += said
    np.testing.assert_allclose(study.log_p_sums(), expected)


def test_true_weights_without_differences_are_the_simulated_ones():
    """Answers then follow the conditional logit to the letter."""
    same = ChoiceDesign(spread=(0.0, 0.0), leaning=0.0, leaning_condition=0.0)
    assert true_weights(same, "choice", 8000) == pytest.approx([1.0, 0.5], abs=0.03)


@pytest.mark.parametrize("response", ["choice", "probability"])
def test_true_weights_are_what_many_speakers_show(response):
    """Speakers of uneven size in place of equally few utterances of each: the same limit."""
    design = ChoiceDesign(speakers=1500, utterances=20, size_spread=1.0, concentration=4.0)
    large = next(choices(design, 1, seed=3))
    found = fit_choices(large.evidence, large.answered(response), large.speaker).weights
    assert found == pytest.approx(true_weights(design, response, 8000), abs=0.06)


def test_features_differ_by_speaker_and_not_by_emotion():
    """Means of emotions agree over many speakers; cells spread as the parts of variance add up."""
    design = FeatureDesign(speakers=2000, utterances=40)
    made = next(features(design, 1, seed=4))
    cells = next(cells_by_pattern(made.values.iloc[:, :2], made.corpus))
    for emotion in range(4):
        of_emotion = cells.means[cells.emotions == emotion]
        assert np.abs(of_emotion.mean(axis=0)).max() < 4 * of_emotion.std() / np.sqrt(1900)
    spread = 1.0 + 0.25 + (1 / cells.counts).mean()
    assert cells.means.var(axis=0) == pytest.approx([spread, spread], rel=0.1)


def test_uneven_speakers_are_uneven_and_lack_classes():
    """The hard kind: sizes that differ by a factor of e, and speakers without the rare classes."""
    uneven = Speakers(speakers=500, size_spread=1.0, concentration=4.0)
    speaker, truth = spoken(uneven, np.random.default_rng(0))
    sizes = np.bincount(speaker)
    assert np.log(sizes).std() == pytest.approx(1.0, abs=0.15)
    assert sizes.mean() == pytest.approx(40, rel=0.15)
    rare = np.bincount(speaker[truth == 1], minlength=500)
    assert 0.2 < (rare == 0).mean() < 0.6


def test_without_effects_the_truth_is_the_softmax():
    """Gumbel noise makes the choice a multinomial logit: e^s / (e^s + 3) of four classes."""
    plain = Design(
        strength=(0.0, 1.5), ability=0, ability_condition=0, leaning=0, leaning_condition=0, ease=0
    )
    expected = [0.25, np.exp(1.5) / (np.exp(1.5) + 3)]
    assert true_uar(plain) == pytest.approx(expected, abs=0.003)
    np.testing.assert_allclose(true_confusions(plain).sum(axis=2), 1)


def test_pulls_are_those_of_the_simulation_and_a_favoured_label_is_none():
    """One large study comes near the limits; there, tokens that tell nothing do not pull."""
    design = CrossedDesign(size_spread=1.0, concentration=4.0)
    true = true_effects(design, speakers=40_000)
    study = next(crossed(design.with_(speakers=800, utterances=20), 1, seed=3))
    found = follow(study.predictions())["value"]
    for name in found.index:
        assert found[name] == pytest.approx(true[name], abs=0.03)
    blind = design.with_(weights=(1.5, 0.0), spread=(0.5, 0.0), block=0.8)
    assert true_effects(blind, speakers=40_000)["pull of tokens"] == pytest.approx(0, abs=0.005)
