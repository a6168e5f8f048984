"""What the answers under each condition are worth, with the error over speakers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sercue.errors import InputError, unknown
from sercue.measures import label_codes
from sercue.significance.cluster_variance import Clustered, recall_estimates
from sercue.significance.speaker_counts import SpeakerCounts, speaker_counts

VALUES = ("uar", "log_p")
# A probability that came out as 0 still has a logarithm.
_LEAST = 1e-12


def condition_values(
    predictions: pd.DataFrame, labels: Sequence[str], value: str, conditions: Sequence[str]
) -> tuple[SpeakerCounts, Clustered]:
    """The value of each condition: the mean over classes of the mean over their answers.

    Args:
        predictions: as ``run_study`` returns them
        labels: the classes
        value: ``"uar"``, or ``"log_p"``: the log-probability of the true label, in nats
        conditions: the conditions to take

    Returns:
        the counts, which name the conditions, and one estimate a condition

    Raises:
        InputError: if conditions do not have the same utterances, if there are fewer than two
            speakers, or if probabilities of labels are wanted and missing

    Examples:
        >>> from sercue.measures import LABELS, example_predictions
        >>> counted, found = condition_values(
        ...     example_predictions(), LABELS, "uar", ["none", "aligned"])
        >>> counted.conditions, found.estimate.round(3)
        (['none', 'aligned'], array([0.417, 0.708]))
    """
    if value not in VALUES:
        raise unknown("value", value, VALUES)
    rows = predictions[predictions["condition"].isin(conditions)]
    counted = speaker_counts(rows, labels)
    counted.check_paired(counted.conditions)
    if value == "uar":
        return counted, counted.uar
    said = _log_p_sums(rows, counted)
    return counted, recall_estimates(said, counted.totals)


def _log_p_sums(rows: pd.DataFrame, counted: SpeakerCounts) -> np.ndarray:
    """Log-probabilities of the truth, summed as answers are counted: an utterance counts 1."""
    shape = counted.totals.shape
    places = [
        label_codes(rows[column], known, column)
        for column, known in (
            ("condition", counted.conditions),
            ("speaker", counted.speakers),
            ("truth", counted.labels),
        )
    ]
    cell = np.ravel_multi_index(tuple(places), shape)
    sums, answers = (
        np.bincount(cell, weights=weights, minlength=int(np.prod(shape))).reshape(shape)
        for weights in (_log_p_truth(rows, counted.labels), None)
    )
    mean = np.divide(sums, answers, out=np.zeros(shape), where=answers > 0)
    return mean * counted.totals


def _log_p_truth(rows: pd.DataFrame, labels: Sequence[str]) -> np.ndarray:
    columns = [f"p_{label}" for label in labels]
    if set(columns) - set(rows) or rows[columns].isna().to_numpy().any():
        raise InputError(
            "value 'log_p': found answers without a probability of each label; valid with decoding "
            "'score' alone"
        )
    codes = label_codes(rows["truth"], labels, "truth")
    probability = rows[columns].to_numpy(dtype=float)[np.arange(len(rows)), codes]
    return np.log(np.maximum(probability, _LEAST))
