"""Counts in which an utterance counts once, however often it was asked about."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score

from sercue.errors import InputError
from sercue.statistics.measures import LABELS, example_predictions, measures
from sercue.statistics.speakers import speaker_counts


def test_repeated_rows_change_nothing():
    """Twice the same templates: no more utterances, the same UAR, error and degrees of freedom."""
    rows = example_predictions(speakers=5, utterances=8)
    twice = pd.concat([rows, rows.assign(template="long")], ignore_index=True)
    one, two = speaker_counts(rows, LABELS), speaker_counts(twice, LABELS)
    np.testing.assert_allclose(two.counts, one.counts)
    np.testing.assert_allclose(two.uar.se, one.uar.se)


def test_uar_and_accuracy_are_those_of_the_measures():
    """With invalid answers and unequal classes."""
    rows = example_predictions(speakers=5, utterances=8)
    rows.loc[::7, "prediction"] = None
    counted, table = speaker_counts(rows, LABELS), measures(rows, LABELS)
    np.testing.assert_allclose(counted.uar.estimate, table["uar"])
    expected = [
        accuracy_score(part["truth"], part["prediction"].fillna("-"))
        for _, part in rows.groupby("condition", sort=False)
    ]
    np.testing.assert_allclose(counted.accuracy.estimate, expected)
    np.testing.assert_allclose(counted.share_of_recall().sum(axis=1), table["uar"])


def test_contrasts_that_cannot_be_made_are_refused():
    rows = example_predictions()
    counted = speaker_counts(rows, LABELS)
    with pytest.raises(InputError, match="found 'none' twice"):
        counted.contrast_weights([("none", "none")])
    with pytest.raises(InputError, match="did you mean 'aligned'"):
        counted.contrast_weights([("alinged", "none")])
    with pytest.raises(InputError, match="found 1 utterances under one of the two only"):
        speaker_counts(rows.drop(index=0), LABELS).contrast_weights([("aligned", "none")])
    with pytest.raises(InputError, match="speakers: found 1"):
        speaker_counts(rows[rows["speaker"] == "s0"], LABELS)
