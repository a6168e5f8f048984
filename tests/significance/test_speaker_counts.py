"""Counts in which an utterance counts once, however often it was asked about."""

import numpy as np
import pandas as pd
import pytest

from sercue.errors import InputError
from sercue.statistics.contrasts import compare
from sercue.statistics.measures import (
    LABELS,
    confusion_matrices,
    example_predictions,
    measures,
)
from sercue.statistics.speakers import speaker_counts, speaker_points


def test_repeated_rows_change_nothing():
    """Twice the same templates: no more utterances, the same UAR, error and degrees of freedom."""
    rows = example_predictions(speakers=5, utterances=8)
    twice = pd.concat([rows, rows.assign(template="long")], ignore_index=True)
    one, two = speaker_counts(rows, LABELS), speaker_counts(twice, LABELS)
    np.testing.assert_allclose(two.counts, one.counts)
    np.testing.assert_allclose(two.uar.se, one.uar.se)


def test_points_of_unequal_speakers_average_to_what_is_tested():
    """One speaker lacks a class, another has most of the material: no UAR of their own is meant."""
    rows = example_predictions(speakers=5, utterances=8)
    rows = rows[~((rows["speaker"] == "s0") & (rows["truth"] == LABELS[0]))]
    rows = rows[(rows["speaker"] != "s1") | rows["utterance"].str.endswith(("_0", "_1", "_2"))]
    points, tested = speaker_points(rows, LABELS), compare(rows, LABELS).loc[0]
    assert points["aligned"].mean() == pytest.approx(tested["uar"])
    difference = (points["aligned"] - points["none"]).mean()
    assert difference == pytest.approx(tested["difference"])


def test_uar_is_that_of_the_measures():
    """With invalid answers and unequal classes."""
    rows = example_predictions(speakers=5, utterances=8)
    rows.loc[::7, "prediction"] = None
    counted, table = speaker_counts(rows, LABELS), measures(rows, LABELS)
    np.testing.assert_allclose(counted.uar.estimate, table["uar"])
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


@pytest.mark.parametrize("analysis", [speaker_counts, measures, confusion_matrices, compare])
@pytest.mark.parametrize("kind", ["str", "category"])
def test_an_utterance_asked_more_often_than_others_is_refused(analysis, kind):
    """Pooled, it would weigh three times as much: recall of its class 3 of 4, not 1 of 2."""
    rows = example_predictions(speakers=2)
    again = rows[(rows["condition"] == "aligned") & (rows["utterance"] == "s1_2.wav")]
    copies = [again.assign(replicate=number) for number in (1, 2)]
    uneven = pd.concat([rows, *copies], ignore_index=True).astype({"utterance": kind})
    told = "under condition 'aligned': found 1 of utterance 's0_0.wav' and 3 of 's1_2.wav'; valid"
    with pytest.raises(InputError, match=told):
        analysis(uneven.sample(frac=1, random_state=0).sort_values("utterance"), LABELS)


def test_conditions_may_be_asked_differently_often():
    """Random ones have replicates, others one answer; and some may lack utterances of others."""
    rows = example_predictions({"none": 0.5, "aligned": 0.7, "shuffled": 0.4}, speakers=3)
    again = rows[rows["condition"] == "shuffled"].assign(replicate=1)
    fewer = rows[(rows["condition"] != "none") | (rows["speaker"] != "s1")]
    counted = speaker_counts(pd.concat([fewer, again], ignore_index=True), LABELS)
    assert counted.totals.sum(axis=(1, 2)).tolist() == [12, 18, 18]
