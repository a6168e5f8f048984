"""Reliance against statsmodels, against known weights, and where it must refuse an answer."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.special import softmax
from scipy.stats import t
from statsmodels.discrete.conditional_models import ConditionalLogit

from sercue.errors import InputError
from sercue.plots import reliance as figures
from sercue.statistics.reliance import (
    ChoiceFit,
    example_evidence,
    fit_choices,
    reliance,
    share_interval,
)

LABELS = ["angry", "neutral", "sad"]


def drawn(speakers, rows, seed, weights=(1.0, 0.5), spread=0.0, labels=3):
    """Evidence, choices and speakers; each speaker's weights differ by ``spread``."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(speakers), rng.integers(rows // 2, 2 * rows, speakers))
    lean = rng.normal(scale=0.5, size=(speakers, labels))[who]
    evidence = rng.normal(size=(len(who), labels, 2)) + lean[:, :, None] * [1, 0]
    own = np.asarray(weights) + rng.normal(scale=spread, size=(speakers, 2))
    utility = np.einsum("nkp,np->nk", evidence, own[who]) + rng.gumbel(size=lean.shape)
    return evidence, np.eye(labels)[utility.argmax(axis=1)], who


def test_weights_are_those_of_statsmodels():
    """An answer is a group of one chosen and some other labels: a conditional logit there too."""
    evidence, chosen, who = drawn(6, 40, seed=1)
    rows, labels = chosen.shape
    design = np.concatenate([evidence, np.tile(np.eye(3)[:, 1:], (rows, 1, 1))], axis=2)
    oracle = ConditionalLogit(
        chosen.ravel(), design.reshape(-1, 4), groups=np.repeat(np.arange(rows), labels)
    ).fit(disp=False, method="newton")
    found = fit_choices(evidence, chosen, who).weights
    np.testing.assert_allclose(found, oracle.params[:2], rtol=1e-6)


def test_a_label_that_is_never_answered_is_no_option():
    """The others are chosen from as if it were not there: statsmodels without it."""
    evidence, chosen, who = drawn(6, 40, seed=1, labels=4)
    kept = chosen[:, 3] == 0
    evidence, chosen, who = evidence[kept], chosen[kept], who[kept]
    design = np.concatenate(
        [evidence[:, :3], np.tile(np.eye(3)[:, 1:], (len(who), 1, 1))], axis=2
    ).reshape(-1, 4)
    oracle = ConditionalLogit(
        chosen[:, :3].ravel(), design, groups=np.repeat(np.arange(len(who)), 3)
    ).fit(disp=False, method="newton")
    found = fit_choices(evidence, chosen, who).weights
    np.testing.assert_allclose(found, oracle.params[:2], rtol=1e-6)
    alone = np.eye(4)[np.zeros(len(who), dtype=int)]
    assert fit_choices(evidence, alone, who).reason == (
        "no variation: all answers are the same label"
    )


def test_a_block_that_favours_a_label_has_no_share():
    """1.5 nats for one label whatever the tokens say: the truth is 0, exactly."""
    evidence = example_evidence(1.0, 0.0)
    columns = [f"p_{label}" for label in LABELS]
    logit = np.log(evidence[columns].to_numpy()) + np.array([0.0, 1.5, 0.0])
    favoured = evidence.assign(**dict(zip(columns, softmax(logit, axis=1).T, strict=True)))
    table = reliance(favoured, LABELS, response="probability")
    np.testing.assert_allclose(table["share"], 0, atol=1e-9)
    np.testing.assert_allclose(table["w_audio"], 1, atol=1e-9)


def test_exact_probabilities_give_exact_weights():
    """Where the answers' probabilities follow the model to the letter, so must the weights."""
    table = reliance(example_evidence(1.3, 0.7), LABELS, response="probability")
    np.testing.assert_allclose(table["w_audio"], 1.3, rtol=1e-6)
    np.testing.assert_allclose(table["w_cue"], 0.7, rtol=1e-6)
    np.testing.assert_allclose(table["share"], 0.35, rtol=1e-6)


@pytest.mark.parametrize(("w_audio", "w_cue"), [(1.0, 0.0), (1.0, 0.5), (0.2, 1.5)])
def test_choices_recover_their_weights(w_audio, w_cue):
    """Choices simulated with known weights: each within four standard errors of it."""
    evidence = example_evidence(w_audio, w_cue, speakers=20, utterances=60, seed=3)
    found = reliance(evidence, LABELS).iloc[0]
    for name, true in (("w_audio", w_audio), ("w_cue", w_cue)):
        error = (found[f"{name}_high"] - found[name]) / t.ppf(0.975, 19)
        assert abs(found[name] - true) < 4 * error
        assert error < 0.15
    assert found["share"] == pytest.approx(found["w_cue"] / (found["w_audio"] + found["w_cue"]))


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), data=st.data())
def test_a_constant_for_all_labels_of_an_answer_changes_nothing(seed, data):
    """Log-probabilities count between labels only: unnormalised ones give the same weights."""
    evidence, chosen, who = drawn(5, 30, seed=seed)
    added = data.draw(st.floats(-50, 50)) * np.random.default_rng(seed).random((len(who), 1, 2))
    one, two = (fit_choices(e, chosen, who) for e in (evidence, evidence + added))
    np.testing.assert_allclose(one.weights, two.weights, rtol=1e-6)
    np.testing.assert_allclose(one.covariance, two.covariance, rtol=1e-5)


def test_units_of_evidence_and_order_of_labels():
    """Half the evidence has twice the weight; the order in which labels stand has no influence."""
    evidence, chosen, who = drawn(5, 60, seed=5)
    fit = fit_choices(evidence, chosen, who)
    halved = fit_choices(evidence * [0.5, 1], chosen, who)
    np.testing.assert_allclose(halved.weights, fit.weights * [2, 1], rtol=1e-6)
    order = [2, 0, 1]
    other = fit_choices(evidence[:, order], chosen[:, order], who)
    np.testing.assert_allclose(other.weights, fit.weights, rtol=1e-6)
    np.testing.assert_allclose(other.covariance, fit.covariance, rtol=1e-6)


def test_repeating_every_answer_adds_no_certainty():
    """Further templates that say the same again must not narrow a speaker-clustered interval."""
    evidence = example_evidence(1.0, 0.5)
    whole = reliance(evidence, LABELS)
    twice = reliance(pd.concat([evidence, evidence]), LABELS)
    columns = ["w_audio", "w_cue", "w_cue_low", "share", "low", "high"]
    pd.testing.assert_frame_equal(whole[columns], twice[columns])


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000), rows=st.integers(2, 8))
def test_separation_is_found_where_linear_programming_finds_it(seed, rows):
    """Unbounded weights exist if some direction never lowers and somewhere raises a likelihood."""
    rng = np.random.default_rng(seed)
    evidence = rng.normal(size=(rows, 3, 2))
    chosen = np.eye(3)[rng.integers(0, 3, rows)]
    fit = fit_choices(evidence, chosen, np.arange(rows))
    answered = chosen.any(axis=0)
    chosen = chosen[:, answered]
    labels = chosen.shape[1]
    which = np.tile(np.eye(labels)[:, 1:], (rows, 1, 1))
    design = np.concatenate([evidence[:, answered], which], axis=2)
    lead = (design[chosen == 1][:, None] - design)[chosen == 0]
    best = linprog(-lead.sum(axis=0), A_ub=-lead, b_ub=np.zeros(len(lead)), bounds=(-1, 1))
    if not fit.reason.startswith(("no variation", "collinear")):
        assert fit.reason.startswith("separation") == (best.fun < -1e-9)


def test_a_model_that_never_heeds_the_tokens():
    """Its answers are separated and say so; its probabilities still show a share of 0."""
    evidence = example_evidence(1.0, 0.0)
    audio = [f"audio_{label}" for label in LABELS]
    evidence["prediction"] = np.array(LABELS, dtype=object)[evidence[audio].to_numpy().argmax(1)]
    choice = reliance(evidence, LABELS).iloc[0]
    assert choice["reason"].startswith("separation")
    assert choice[["w_audio", "w_cue", "share", "low", "high"]].isna().all()
    soft = reliance(evidence, LABELS, response="probability").iloc[0]
    assert (soft["w_audio"], soft["share"]) == pytest.approx((1, 0), abs=1e-6)


def nothing(evidence):
    return evidence.assign(**{f"tokens_{label}": np.log(1 / 3) for label in LABELS})


def the_same(evidence):
    return evidence.assign(tokens_angry=-2.0, tokens_neutral=-0.3, tokens_sad=-2.0)


def copied(evidence):
    return evidence.assign(**{f"tokens_{label}": evidence[f"audio_{label}"] for label in LABELS})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (nothing, "no variation: the tokens speak for all labels alike"),
        (the_same, "no variation: the tokens say the same in every answer"),
        (copied, "collinear"),
    ],
)
def test_what_cannot_be_told_apart_is_said(change, reason):
    """Masked, constant and redundant tokens leave no weight to estimate, in any response."""
    for response in ("choice", "probability"):
        table = reliance(change(example_evidence(1, 0.5)), LABELS, response=response)
        assert table["reason"].str.startswith(reason).all()
        assert table[["w_audio", "w_cue", "share"]].isna().all(axis=None)


def test_one_speaker_gives_weights_without_an_interval():
    """The spread over speakers is what an interval is made of."""
    found = reliance(example_evidence(1, 0.5, speakers=1, utterances=200), LABELS).iloc[0]
    assert found[["w_audio", "w_cue", "share"]].notna().all()
    assert found[["w_audio_low", "w_cue_high", "low", "high"]].isna().all()
    assert found["reason"].startswith("too few speakers")


def test_a_model_that_heeds_neither_has_no_interval_of_its_share():
    """0 / 0: with both weights at 0 any share is possible, and Fieller's interval has no end."""
    found = reliance(example_evidence(0, 0), LABELS).iloc[0]
    assert found["w_audio_low"] < 0 < found["w_audio_high"]
    assert np.isnan(found["low"])
    assert "too uncertain for an interval of the share" in found["reason"]


@pytest.mark.parametrize("weights", [(1.0, 0.5), (0.4, -0.1), (-0.1, 1.0)])
def test_fieller_holds_the_shares_that_a_t_test_keeps(weights):
    """Its ends by brute force: w_cue - share (w_audio + w_cue) tested on a fine grid of shares."""
    covariance = np.array([[0.01, -0.004], [-0.004, 0.008]])
    influence = np.linalg.cholesky(covariance).T
    fit = ChoiceFit(np.array(weights), influence, np.full(2, 8.0), 9)
    grid = np.linspace(-3, 3, 600_001)
    contrast = np.stack([-grid, 1 - grid], axis=1)
    error = np.sqrt(np.einsum("np,pq,nq->n", contrast, covariance, contrast))
    kept = grid[np.abs(contrast @ fit.weights) <= t.ppf(0.95, 8) * error]
    _, low, high = share_interval(fit, 0.9)
    assert (low, high) == pytest.approx((kept.min(), kept.max()), abs=2e-5)


def test_groups_are_fitted_on_their_own_answers():
    """By family of conditions and by true class: the same as when only those rows are there."""
    evidence = example_evidence(1, 0.5)
    strong = evidence.assign(condition=evidence["condition"].replace("shuffled", "corrupted(0.5)"))
    table = reliance(strong, LABELS)
    assert table["group"].tolist() == ["all", "aligned", "corrupted", *LABELS]
    assert table["rows"].tolist()[0] == sum(table["rows"][1:3]) == sum(table["rows"][3:])
    alone = reliance(evidence[evidence["truth"] == "sad"], LABELS).iloc[0]
    columns = ["rows", "utterances", "speakers", "share", "low", "high"]
    assert table.iloc[-1][columns].tolist() == alone[columns].tolist()


def test_bad_input_is_named():
    """Parameters, columns and rows that cannot be used."""
    evidence = example_evidence(1, 0.5)
    with pytest.raises(InputError, match="unknown response 'choices': did you mean 'choice'"):
        reliance(evidence, LABELS, response="choices")
    with pytest.raises(InputError, match="confidence: found 95"):
        reliance(evidence, LABELS, confidence=95)
    with pytest.raises(InputError, match="evidence: no column tokens_sad"):
        reliance(evidence.drop(columns="tokens_sad"), LABELS)
    with pytest.raises(InputError, match="evidence: found no row"):
        reliance(evidence.iloc[:0], LABELS)


def test_figure_stands_at_the_shares():
    """Points at the shares, in the order given; a share that is not identified is no point."""
    tables = {
        "audio-bound": reliance(example_evidence(1, 0), LABELS),
        "neither": reliance(example_evidence(0, 0), LABELS),
        "cue-bound": reliance(example_evidence(0.1, 1), LABELS),
    }
    axes = figures.plot_reliance(tables, "neither").axes[0]
    points = [line.lines[0].get_xdata()[0] for line in axes.containers]
    shares = [table.loc[0, "share"] for table in tables.values()]
    assert (points[0], points[2]) == (shares[0], shares[2])
    assert np.isnan(points[1])
    assert "not identified" in [text.get_text() for text in axes.texts]
    groups = figures.plot_reliance_by(tables["cue-bound"]).axes[0]
    points = [line.lines[0].get_xdata()[0] for line in groups.containers]
    assert points == tables["cue-bound"]["share"].tolist()
