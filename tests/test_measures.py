"""Measures against scikit-learn, scipy, statsmodels and numbers worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, f1_score, recall_score
from statsmodels.stats.inter_rater import cohens_kappa

from sercue.errors import InputError
from sercue.statistics.measures import (
    confusion_counts,
    confusion_matrices,
    example_predictions,
    measures,
    uar,
)

LABELS = ["angry", "happy", "neutral", "sad"]


@pytest.fixture(scope="module")
def simulated():
    """Four conditions, unequal classes, some invalid answers, two templates, two replicates."""
    conditions = {"none": 0.5, "aligned": 0.7, "shuffled": 0.4, "conflicting": 0.25}
    cells = []
    for number, template in enumerate(["plain", "long"]):
        table = example_predictions(conditions, utterances=11, labels=LABELS, seed=number)
        cells.append(table.assign(template=template))
    again = example_predictions({"shuffled": 0.4}, utterances=11, labels=LABELS, seed=7)
    cells += [again.assign(replicate=1, template=template) for template in ("plain", "long")]
    table = pd.concat(cells, ignore_index=True)
    invalid = np.random.default_rng(3).random(len(table)) < 0.1
    table.loc[invalid, "prediction"] = None
    return table.assign(valid=~invalid)


def by_hand():
    """Ten utterances, answered audio-only, then with cues; the answers to each are below.

    truth          a a a a  n n n  s s s
    none           a a n .  n n s  s n a    ('.' is an invalid answer)
    aligned        a a a n  n n n  s s n
    """
    truth = "aaaannnsss"
    answers = {"none": "aan.nnssna", "aligned": "aaannnnssn"}
    names = {"a": "angry", "n": "neutral", "s": "sad", ".": None}
    rows = [
        (f"u{u}", "s0", names[t], condition, 0, "plain", 0, "score", names[p])
        for condition, given_answers in answers.items()
        for u, (t, p) in enumerate(zip(truth, given_answers, strict=True))
    ]
    columns = "utterance speaker truth condition replicate template label_order decoding prediction"
    return pd.DataFrame(rows, columns=columns.split())


def test_ten_rows_worked_by_hand():
    """Every measure on an example small enough to count on paper, invalid answer included."""
    table = measures(by_hand(), ["angry", "neutral", "sad"]).set_index("condition")
    none, aligned = table.loc["none"], table.loc["aligned"]
    assert none["uar"] == pytest.approx((2 / 4 + 2 / 3 + 1 / 3) / 3)
    assert aligned["uar"] == pytest.approx((3 / 4 + 3 / 3 + 2 / 3) / 3)
    assert none["accuracy"] == pytest.approx(5 / 10)
    # f1 = 2 hits / (true + predicted): angry 4/7, neutral 4/7, sad 2/5
    assert none["macro_f1"] == pytest.approx((4 / 7 + 4 / 7 + 2 / 5) / 3)
    assert none["invalid_rate"] == pytest.approx(1 / 10)
    assert aligned["invalid_rate"] == 0
    assert none["commonest"] == "neutral"
    assert none["commonest_share"] == pytest.approx(4 / 9)
    # aligned differs from none in rows 3, 4, 7, 9 and 10 of ten
    assert aligned["flip_none"] == pytest.approx(5 / 10)
    assert none["flip_none"] == 0
    # agreement .5; by chance (3*3 + 4*5 + 2*2 + 1*0) / 100
    assert aligned["kappa_none"] == pytest.approx((0.5 - 0.33) / (1 - 0.33))
    assert none["kappa_none"] == 1
    assert (none["utterances"], none["rows"]) == (10, 10)


def test_correctness_equals_sklearn(simulated):
    """UAR, recall, accuracy and F1 of each condition are scikit-learn's."""
    table = measures(simulated, LABELS).set_index("condition")
    for condition, rows in simulated.groupby("condition"):
        truth, answer = rows["truth"], rows["prediction"].fillna("no answer")
        recall = recall_score(truth, answer, labels=LABELS, average=None, zero_division=0)
        assert table.loc[condition, "uar"] == pytest.approx(recall.mean())
        found = table.loc[condition, [f"recall_{label}" for label in LABELS]]
        np.testing.assert_allclose(found.astype(float), recall)
        assert table.loc[condition, "accuracy"] == pytest.approx((truth == answer).mean())
        f1 = f1_score(truth, answer, labels=LABELS, average="macro", zero_division=0)
        assert table.loc[condition, "macro_f1"] == pytest.approx(f1)


def test_entropy_equals_scipy(simulated):
    """Normalised entropy of the valid predicted classes, on shares that pandas counted."""
    table = measures(simulated, LABELS).set_index("condition")
    for condition, rows in simulated.groupby("condition"):
        shares = rows["prediction"].value_counts(normalize=True)
        assert table.loc[condition, "entropy"] == pytest.approx(entropy(shares) / np.log(4))
        assert table.loc[condition, "commonest_share"] == pytest.approx(shares.iloc[0])


@pytest.mark.filterwarnings("ignore:y_pred contains classes")
def test_uar_equals_sklearn_balanced_accuracy(simulated):
    """The single number of the study, through audmetric, where answers may be missing."""
    expected = balanced_accuracy_score(simulated["truth"], simulated["prediction"].fillna("-"))
    assert uar(simulated["truth"], simulated["prediction"], LABELS) == pytest.approx(expected)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["a", "b", "c", None])), min_size=1)
)
def test_uar_never_drops_an_invalid_answer(pairs):
    """Turning invalid answers into wrong ones must not change UAR; nor may absent classes."""
    truth, answers = zip(*pairs, strict=True)
    following = {"a": "b", "b": "c", "c": "a"}
    wrong = [following[t] if a is None else a for t, a in pairs]
    assert uar(truth, answers, ["a", "b", "c"]) == pytest.approx(uar(truth, wrong, ["a", "b", "c"]))
    recalls = [np.mean([a == t for t, a in pairs if t == label]) for label in set(truth)]
    assert uar(truth, answers, ["a", "b", "c"]) == pytest.approx(np.mean(recalls))


def test_agreement_matches_replicates_to_the_reference(simulated):
    """Two replicates of shuffled are each compared with the one answer of aligned.

    Expected from a loop over keys and from statsmodels' kappa.
    """
    table = measures(simulated, LABELS).set_index("condition")
    rows = simulated.fillna({"prediction": "invalid"})
    aligned = rows[rows["condition"] == "aligned"].set_index(["utterance", "template"])[
        "prediction"
    ]
    shuffled = rows[rows["condition"] == "shuffled"]
    other = [
        aligned.loc[key] for key in zip(shuffled["utterance"], shuffled["template"], strict=True)
    ]
    assert len(other) == 2 * len(aligned)
    flips = [a != b for a, b in zip(shuffled["prediction"], other, strict=True)]
    assert table.loc["shuffled", "flip_aligned"] == pytest.approx(np.mean(flips))
    square = confusion_matrix(shuffled["prediction"], other, labels=[*LABELS, "invalid"])
    kappa = cohens_kappa(square, return_results=False)
    assert table.loc["shuffled", "kappa_aligned"] == pytest.approx(kappa)


def test_order_of_rows_does_not_matter(simulated):
    """Predictions are stored as they come; the measures must not depend on that."""
    shuffled = simulated.sample(frac=1, random_state=0)
    first = measures(simulated, LABELS).set_index("condition")
    second = measures(shuffled, LABELS).set_index("condition")
    pd.testing.assert_frame_equal(first, second.loc[first.index])


def test_the_first_replicate_is_the_reference_wherever_it_is_stored():
    """A resumed study may store replicate 1 before replicate 0."""
    first = by_hand()
    second = first[first["condition"] == "none"].assign(replicate=1, prediction="sad")
    stored = pd.concat([second, first], ignore_index=True)
    table = measures(stored, ["angry", "neutral", "sad"]).set_index("condition")
    assert table.loc["aligned", "flip_none"] == pytest.approx(5 / 10)


def test_conditions_stay_in_order_of_first_appearance(simulated):
    """The study's plan sets the order of every table; sorting by name would lose it."""
    assert measures(simulated, LABELS)["condition"].tolist() == [
        "none",
        "aligned",
        "shuffled",
        "conflicting",
    ]


def test_confusions_equal_sklearn(simulated):
    """Counts summed over speakers, and row shares, are scikit-learn's confusion matrices."""
    columns = [*LABELS, "invalid"]
    counts, conditions, speakers = confusion_counts(simulated, LABELS)
    shares = confusion_matrices(simulated, LABELS)
    for number, condition in enumerate(conditions):
        rows = simulated[simulated["condition"] == condition].fillna({"prediction": "invalid"})
        arguments = (rows["truth"], rows["prediction"])
        expected = confusion_matrix(*arguments, labels=columns)[:-1]
        np.testing.assert_array_equal(counts[number].sum(axis=0), expected)
        np.testing.assert_allclose(shares.loc[condition], expected / expected.sum(1)[:, None])
        one = rows[rows["speaker"] == speakers[2]]
        expected = confusion_matrix(one["truth"], one["prediction"], labels=columns)[:-1]
        np.testing.assert_array_equal(counts[number, 2], expected)


def test_a_condition_of_invalid_answers_only():
    """A model that never answers has UAR 0, no predicted class, and does not crash the table."""
    rows = example_predictions({"none": 0.5}).assign(prediction=None)
    table = measures(rows, ["angry", "neutral", "sad"]).iloc[0]
    assert table["uar"] == 0
    assert table["invalid_rate"] == 1
    assert np.isnan(table["entropy"])
    assert table["commonest"] is None or pd.isna(table["commonest"])


def test_collapse_onto_one_class():
    """Entropy 0, share 1, UAR at chance: what a collapsed model looks like."""
    rows = example_predictions({"none": 0.5}).assign(prediction="sad")
    table = measures(rows, ["angry", "neutral", "sad"]).iloc[0]
    assert (table["entropy"], table["commonest"], table["commonest_share"]) == (0, "sad", 1)
    assert table["uar"] == pytest.approx(1 / 3)
    assert np.isnan(table["kappa_none"])


def test_without_references():
    """A study without none and aligned still gets a table."""
    table = measures(example_predictions({"shuffled": 0.5}), ["angry", "neutral", "sad"])
    assert table[["flip_none", "flip_aligned", "kappa_none", "kappa_aligned"]].isna().all().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"truth": "bored"}, "unknown truth 'bored'"),
        ({"prediction": "bored"}, "unknown prediction 'bored'"),
        ({"truth": None}, "unknown truth 'None'"),
    ],
)
def test_a_class_outside_the_labels_is_refused(change, message):
    """A stray class would silently leave the denominators."""
    with pytest.raises(InputError, match=message):
        measures(example_predictions().assign(**change), ["angry", "neutral", "sad"])


def test_bad_input_is_named():
    """Each error says what is missing."""
    with pytest.raises(InputError, match="no column speaker"):
        measures(example_predictions().drop(columns="speaker"), LABELS)
    with pytest.raises(InputError, match="found no row"):
        measures(example_predictions().head(0), LABELS)
