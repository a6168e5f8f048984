"""Shapley values against games worked by hand and the definition over all orders."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import inv, sqrtm
from scipy.stats import t
from sklearn.metrics import balanced_accuracy_score

from sercue.errors import InputError
from sercue.plots import reliance as figures
from sercue.statistics.attribution import (
    concept_effects,
    condition_values,
    presence_and_content,
    shapley,
    shapley_weights,
    subset_conditions,
)
from sercue.statistics.contrasts import compare
from sercue.statistics.measures import example_predictions

LABELS = ["angry", "neutral", "sad"]
THREE = ["ENERGY", "PITCH", "DYNAMICS"]


def game(value, speakers=3):
    """Answers whose UAR under each subset of three concepts is ``value(subset)``, 0 or 1."""
    accuracy = {}
    for name in subset_conditions(THREE):
        inside = name.removeprefix("only(").removesuffix(")").split(" + ")
        accuracy[name] = value({"masked(1)": set(), "aligned": set(THREE)}.get(name, set(inside)))
    return example_predictions(accuracy, speakers=speakers)


def by_orders(value, players):
    """Shapley's definition: the mean gain of each player over all orders of arrival."""
    orders = list(permutations(range(players)))
    gains = np.zeros(players)
    for order in orders:
        for place, player in enumerate(order):
            gains[player] += value(order[: place + 1]) - value(order[:place])
    return gains / len(orders)


def test_conditions_of_all_subsets():
    """Sixty-four for six concepts, smallest first, in the order given."""
    names = subset_conditions()
    assert len(names) == len(set(names)) == 64
    assert (names[0], names[1], names[-1]) == ("masked(1)", "only(ENERGY)", "aligned")
    assert "only(ENERGY + PITCH + VOICE_QUALITY)" in names
    two = ["masked(1)", "only(mine)", "only(PITCH)", "aligned"]
    assert subset_conditions(["mine", "PITCH"]) == two


def test_glove_game():
    """One left glove, two right ones; a pair is worth 1. By hand: 2/3, 1/6, 1/6."""
    table = shapley(game(lambda s: float("ENERGY" in s and len(s) > 1)), LABELS).set_index(
        "concept"
    )
    assert table["shapley"].to_dict() == pytest.approx(
        {"ENERGY": 2 / 3, "PITCH": 1 / 6, "DYNAMICS": 1 / 6}
    )


def test_dummy_and_symmetry():
    """A concept that changes nothing gets 0; two that each suffice share alike."""
    table = shapley(game(lambda s: float(bool({"ENERGY", "DYNAMICS"} & s))), LABELS)
    assert table["concept"].tolist() == THREE
    assert table["shapley"].tolist() == pytest.approx([0.5, 0, 0.5])
    assert (table["low"][1], table["high"][1]) == pytest.approx((0, 0))


@pytest.fixture(scope="module")
def content_blind():
    """A model that reacts to there being a block and to nothing in it: two ways of answering."""
    names = ["none", *subset_conditions(THREE), "flip(PITCH)", "without(PITCH)"]
    rows = example_predictions({"none": 0.4, "block": 0.8}, speakers=8, utterances=9)
    alone, block = (rows[rows["condition"] == name] for name in ("none", "block"))
    return pd.concat([alone, *(block.assign(condition=name) for name in names[1:])])


@pytest.mark.parametrize("value", ["uar", "log_p"])
def test_a_model_that_ignores_the_words_has_no_content(content_blind, value):
    """The same answers to every block: each concept is 0, however much the block itself does."""
    drawn = np.random.default_rng(1).dirichlet(np.ones(3), 72)
    block = (content_blind["condition"] != "none").to_numpy()
    said = np.concatenate([drawn[::-1], *[drawn] * (block.sum() // 72)])
    rows = content_blind.assign(**{f"p_{label}": said[:, k] for k, label in enumerate(LABELS)})
    table = shapley(rows, LABELS, value=value)
    for column, expected in {"shapley": 0, "low": 0, "high": 0, "p": 1, "holm_p": 1}.items():
        assert table[column].tolist() == pytest.approx([expected] * 3, abs=1e-12)
    effects = concept_effects(rows, LABELS, value=value)
    assert (effects["effect"] == 0).all()


def test_presence_of_a_block_is_apart_from_its_content(content_blind):
    """By scikit-learn: all of the gain is presence, none of it content; the parts add up."""
    parts = presence_and_content(compare(content_blind, LABELS, resamples=50)).set_index("part")
    uar = {
        name: balanced_accuracy_score(rows["truth"], rows["prediction"])
        for name, rows in content_blind.groupby("condition")
    }
    assert uar["masked(1)"] - uar["none"] > 0.2
    assert parts.loc["presence", "difference"] == pytest.approx(uar["masked(1)"] - uar["none"])
    assert parts.loc["content", ["difference", "low", "high"]].tolist() == [0, 0, 0]
    assert parts.loc["gain", "difference"] == pytest.approx(uar["aligned"] - uar["none"])


def test_content_is_the_opposite_of_the_planned_contrast(answers):
    """Planned is masked(1) - aligned: ends change sides, p-values stay."""
    alone = answers[answers["condition"] == "shuffled"].assign(condition="none")
    tests = compare(pd.concat([answers, alone]), LABELS, resamples=50)
    parts = presence_and_content(tests).set_index("part")
    planned = tests.set_index(["condition", "reference"]).loc[("masked(1)", "aligned")]
    content = parts.loc["content"]
    assert (content["condition"], content["reference"]) == ("aligned", "masked(1)")
    assert (content["low"], content["high"]) == (-planned["high"], -planned["low"])
    assert content["holm_p"] == planned["holm_p"]
    two = parts.loc[["presence", "content"], "difference"].sum()
    assert two == pytest.approx(parts.loc["gain", "difference"])
    with pytest.raises(InputError, match=r"need the contrast masked\(1\) against none"):
        presence_and_content(tests[tests["condition"] != "masked(1)"])


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), players=st.integers(1, 6))
def test_weights_are_the_mean_over_all_orders(seed, players):
    """Any game of up to six players: the closed form against the definition; values sum to v(N)."""
    rng = np.random.default_rng(seed)
    value = {subset: rng.normal() for subset in shapley_weights(players)}
    found = sum(weights * value[subset] for subset, weights in shapley_weights(players).items())
    np.testing.assert_allclose(found, by_orders(lambda s: value[frozenset(s)], players), atol=1e-9)
    total = value[frozenset(range(players))] - value[frozenset()]
    assert found.sum() == pytest.approx(total)


@pytest.fixture(scope="module")
def answers():
    """All subsets of three concepts, ``without`` and ``flip``, with probabilities of labels."""
    names = [*subset_conditions(THREE), "without(PITCH)", "flip(PITCH)", "shuffled"]
    rng = np.random.default_rng(5)
    table = example_predictions(dict(zip(names, rng.uniform(0.3, 0.9, len(names)), strict=True)))
    table = table[~((table["speaker"] == "s3") & (table["truth"] == "sad"))]
    probability = rng.dirichlet(np.ones(3), len(table))
    return table.assign(**{f"p_{label}": probability[:, k] for k, label in enumerate(LABELS)})


def mean_log_p(rows):
    """Mean over classes of the mean log-probability of the true label, row by row."""
    said = [np.log(row[f"p_{row['truth']}"]) for _, row in rows.iterrows()]
    return pd.Series(said).groupby(rows["truth"].to_numpy()).mean().mean()


@pytest.mark.parametrize("value", ["uar", "log_p"])
def test_values_sum_to_what_all_concepts_give(answers, value):
    """Efficiency: the parts make up aligned minus masked(1), here measured by other means."""
    table = shapley(answers, LABELS, value=value)
    sides = [answers[answers["condition"] == name] for name in ("aligned", "masked(1)")]
    if value == "uar":
        worth = [balanced_accuracy_score(s["truth"], s["prediction"]) for s in sides]
    else:
        worth = [mean_log_p(side) for side in sides]
    assert table["shapley"].sum() == pytest.approx(worth[0] - worth[1])


def test_p_values_are_corrected_over_the_concepts(answers):
    """Holm by hand: the smallest of three counts three times, the next twice, never falling."""
    table = shapley(answers, LABELS).sort_values("p")
    first, second, third = table["p"]
    expected = np.minimum(np.maximum.accumulate([3 * first, 2 * second, third]), 1)
    assert table["holm_p"].tolist() == pytest.approx(expected.tolist())


def test_the_p_value_belongs_to_the_interval(answers):
    """An interval at the level 1 - p has zero at one of its ends."""
    p = shapley(answers, LABELS)["p"]
    for place, level in enumerate(1 - p):
        row = shapley(answers, LABELS, confidence=level).loc[place]
        assert min(abs(row["low"]), abs(row["high"])) == pytest.approx(0, abs=1e-9)


def test_effects_are_differences_to_their_reference(answers):
    """only against masked(1), without and flip against aligned; by scikit-learn."""
    table = concept_effects(answers, LABELS)
    expected = {
        **{f"only({concept})": "masked(1)" for concept in THREE},
        "without(PITCH)": "aligned", "flip(PITCH)": "aligned",
    }  # fmt: skip
    assert dict(zip(table["condition"], table["reference"], strict=True)) == expected
    worth = {
        name: balanced_accuracy_score(rows["truth"], rows["prediction"])
        for name, rows in answers.groupby("condition")
    }
    for row in table.to_dict("records"):
        assert row["effect"] == pytest.approx(worth[row["condition"]] - worth[row["reference"]])


def test_intervals_of_effects_are_those_of_contrasts(answers):
    """What compare says of the same two conditions."""
    table = concept_effects(answers, LABELS).set_index("condition")
    pairs = list(table["reference"].items())
    expected = compare(answers, LABELS, pairs, resamples=50)
    columns = ["low", "high", "p", "holm_p"]
    np.testing.assert_allclose(table[columns].astype(float), expected[columns], atol=1e-12)


def test_intervals_of_log_probabilities_by_regression(answers):
    """CR2 by its definition for a fit of log-probabilities on classes, differences a speaker."""
    table = concept_effects(answers, LABELS, value="log_p").set_index("condition")
    sides = {n: answers[answers["condition"] == n] for n in ("flip(PITCH)", "aligned")}
    said = {
        name: np.array([np.log(row[f"p_{row['truth']}"]) for _, row in rows.iterrows()])
        for name, rows in sides.items()
    }
    rows = sides["aligned"]
    classes = pd.get_dummies(rows["truth"])[LABELS].to_numpy(float)
    change = said["flip(PITCH)"] - said["aligned"]
    bread = np.linalg.inv(classes.T @ classes)
    left = change - classes @ (bread @ classes.T @ change)
    terms = []
    for speaker in rows["speaker"].unique():
        own = classes[(rows["speaker"] == speaker).to_numpy()]
        hat = np.eye(len(own)) - own @ bread @ own.T
        adjusted = inv(sqrtm(hat)).real @ left[(rows["speaker"] == speaker).to_numpy()]
        terms.append((np.full(3, 1 / 3) @ bread @ own.T @ adjusted) ** 2)
    found = table.loc["flip(PITCH)"]
    _, values = condition_values(answers, LABELS, "log_p", ["flip(PITCH)", "aligned"])
    df = values.df.min()
    half = t.ppf(0.975, df) * np.sqrt(sum(terms))
    assert found["effect"] == pytest.approx(classes_mean(change, classes))
    assert (found["low"], found["high"]) == pytest.approx(
        (found["effect"] - half, found["effect"] + half)
    )


def classes_mean(values, classes):
    """Mean over the classes of the mean of their values."""
    return float(((classes * values[:, None]).sum(axis=0) / classes.sum(axis=0)).mean())


@pytest.mark.parametrize("rows", [1, 3])
def test_an_utterance_counts_once_however_often_it_was_asked(answers, rows):
    """Repeated answers add nothing to what is known of further speakers."""
    several = pd.concat([answers.assign(template=f"t{n}") for n in range(rows)])
    for value in ("uar", "log_p"):
        pd.testing.assert_frame_equal(
            shapley(several, LABELS, value=value),
            shapley(answers, LABELS, value=value).assign(prompts=rows),
        )


@pytest.mark.parametrize("table", [shapley, concept_effects])
def test_conditions_are_compared_in_the_prompts_that_all_of_them_share(answers, table):
    """Concepts are asked in one wording, aligned in two: the second does not count."""
    second = answers[answers["condition"].isin(["none", "aligned", "masked(1)"])]
    second = second.assign(template="second", prediction=LABELS[0])
    pd.testing.assert_frame_equal(
        table(pd.concat([answers, second]), LABELS), table(answers, LABELS)
    )


def test_conditions_without_a_prompt_in_common_are_refused(answers):
    """Each in a wording of its own: wordings would count as concepts."""
    own = answers.assign(template=answers["condition"])
    with pytest.raises(InputError, match="no wording and label order in which all"):
        concept_effects(own, LABELS)


def test_without_stands_for_the_subset_it_shows(answers):
    """without(PITCH) shows the same tokens as only(ENERGY + DYNAMICS): either will do."""
    rows = answers[answers["condition"] != "only(ENERGY + DYNAMICS)"]
    renamed = answers[answers["condition"] != "without(PITCH)"].replace(
        "only(ENERGY + DYNAMICS)", "without(PITCH)"
    )
    assert len(shapley(rows, LABELS)) == 3
    whole = answers[answers["condition"] != "without(PITCH)"]
    pd.testing.assert_frame_equal(shapley(renamed, LABELS), shapley(whole, LABELS))


def test_bad_input_is_named(answers):
    """Missing subsets, nothing about concepts, unequal utterances, no probabilities."""
    lacking = answers[~answers["condition"].isin(["only(ENERGY + PITCH)", "masked(1)"])]
    with pytest.raises(InputError, match=r"8 subsets; 2 are missing, the first being masked\(1\)"):
        shapley(lacking, LABELS)
    one = answers[answers["condition"] != "only(ENERGY + PITCH)"]
    with pytest.raises(InputError, match=r"the first being only\(ENERGY \+ PITCH\)"):
        shapley(one, LABELS)
    with pytest.raises(InputError, match=r"need only\(c\) with masked\(1\)"):
        concept_effects(lacking, LABELS)
    plain = answers[answers["condition"].isin(["masked(1)", "shuffled"])]
    with pytest.raises(InputError, match="Shapley values need those that subset_conditions lists"):
        shapley(plain, LABELS)
    with pytest.raises(InputError, match="effects of concepts need"):
        concept_effects(plain, LABELS)
    with pytest.raises(InputError, match="valid are the same utterances under both"):
        shapley(answers.iloc[1:], LABELS)
    with pytest.raises(InputError, match="valid with decoding 'score' alone"):
        shapley(answers.drop(columns="p_sad"), LABELS, value="log_p")
    with pytest.raises(InputError, match="unknown value 'accuracy'"):
        shapley(answers, LABELS, value="accuracy")
    with pytest.raises(InputError, match="confidence: found 95"):
        shapley(answers, LABELS, confidence=95)
    with pytest.raises(InputError, match="speakers: found 1"):
        shapley(answers[answers["speaker"] == "s0"], LABELS)
    # As earlier versions showed only(ENERGY): without a word for the others.
    own = {f"shown_{concept}": "HIGH" for concept in THREE}
    older = answers.assign(**own)
    older.loc[older["condition"] == "only(ENERGY)", "shown_PITCH"] = None
    for function in (shapley, concept_effects):
        with pytest.raises(InputError, match=r"prompts of only\(ENERGY\) leave out concepts"):
            function(older, LABELS)


def test_figures_show_the_table(answers):
    """Each point at its value, on the line of its concept; each kind in its panel."""
    table = shapley(answers, LABELS)
    axes = figures.plot_shapley(table).axes[0]
    assert [bar.lines[0].get_xdata()[0] for bar in axes.containers] == table["shapley"].tolist()
    assert [label.get_text() for label in axes.get_yticklabels()] == table["concept"].tolist()
    effects = concept_effects(answers, LABELS)
    panels = figures.plot_concept_effects(effects).axes
    assert len(panels) == 3
    points = {line.get_xdata()[0]: line.get_ydata()[0] for line in panels[0].lines[1:-1:2]}
    only = effects[effects["kind"] == "only"]
    lines = [THREE.index(concept) for concept in only["concept"]]
    assert points == dict(zip(only["effect"], lines, strict=True))
    found = [bar.lines[0].get_markerfacecolor() == "white" for bar in axes.containers]
    assert found == (table["holm_p"] >= 0.05).tolist()
    with pytest.raises(InputError, match="found the values uar, log_p"):
        figures.plot_shapley(pd.concat([table, table.assign(value="log_p")]))
