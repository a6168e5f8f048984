"""Shifts of predicted classes: identities between the tests, and what they must not see."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from sercue.statistics.correctness_tests import shift_tests
from sercue.statistics.measures import LABELS, example_predictions
from sercue.statistics.resampling import sign_flip_p

PAIR = [("aligned", "none")]


@settings(max_examples=10)
@given(seed=st.integers(0, 10_000))
def test_bhapkar_follows_from_stuart_maxwell(seed):
    """B = S / (1 - S / N), an identity of the two statistics, on classes - 1 degrees."""
    rows = example_predictions({"none": 0.4, "aligned": 0.7}, speakers=8, utterances=9, seed=seed)
    found = shift_tests(rows, LABELS, PAIR).loc[0]
    stuart, bhapkar = (chi2.isf(found[f"{name}_p"], 2) for name in ("stuart_maxwell", "bhapkar"))
    assert bhapkar == pytest.approx(stuart / (1 - stuart / 72), rel=1e-6, abs=1e-6)


def two_classes(changes):
    """Answers of two classes; each speaker changes so many from the first to the second."""
    rows = []
    for speaker, moved in enumerate(changes):
        for u in range(5):
            after = "sad" if u < moved else "angry"
            for condition, answer in (("none", "angry"), ("aligned", after)):
                rows.append((f"{speaker}_{u}", f"s{speaker}", "angry", condition, answer))
    columns = ["utterance", "speaker", "truth", "condition", "prediction"]
    return pd.DataFrame(rows, columns=columns)


def test_two_classes_are_one_number_a_speaker():
    """Then the joint test is the plain flipping of signs, and the shift is counted by hand."""
    changes = [3, 1, 0, 2, 5]
    found = shift_tests(two_classes(changes), ["angry", "sad"], PAIR).loc[0]
    assert found["shift_p"] == pytest.approx(sign_flip_p(np.array(changes))[0])
    assert found["moved"] == pytest.approx(11 / 25)
    assert (found["most_gained"], found["most_lost"]) == ("sad", "angry")
    assert (found["gain"], found["loss"]) == pytest.approx((11 / 25, -11 / 25))


def test_more_right_answers_alone_are_no_shift():
    """Two classes exchanged equally often: the confusions change, the margins do not."""
    rows = example_predictions({"none": 1.0}, labels=("angry", "sad"))
    swapped = rows["prediction"].map({"angry": "sad", "sad": "angry"})
    both = pd.concat([rows, rows.assign(condition="aligned", prediction=swapped)])
    found = shift_tests(both, ["angry", "sad"], PAIR).loc[0]
    assert (found["moved"], found["shift_p"]) == (0, 1)


def test_an_answer_that_becomes_invalid_is_a_shift():
    """Invalid is a class of its own: leaving it out would hide a model that stops answering."""
    rows = two_classes([4, 4, 4, 4, 4, 4])
    rows["prediction"] = rows["prediction"].where(rows["prediction"] != "sad", None)
    found = shift_tests(rows, ["angry", "sad"], PAIR).loc[0]
    assert found["most_gained"] == "invalid"
    assert found["shift_p"] == pytest.approx(2 / 2**6)


def test_identical_answers_do_not_shift():
    rows = example_predictions({"none": 0.5})
    both = pd.concat([rows, rows.assign(condition="aligned")], ignore_index=True)
    found = shift_tests(both, LABELS, PAIR).loc[0]
    assert found[["shift_p", "stuart_maxwell_p", "bhapkar_p"]].to_list() == [1, 1, 1]
