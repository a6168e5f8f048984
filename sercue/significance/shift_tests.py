"""Do two conditions differ in how often each class is answered, right or wrong?"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from statsmodels.stats.contingency_tables import SquareTable
from statsmodels.tools.sm_exceptions import SingularMatrixWarning

from sercue.measures import INVALID, label_codes
from sercue.significance.paired_answers import paired_answers
from sercue.significance.permutation import joint_sign_flip_p


def shift_tests(
    predictions: pd.DataFrame,
    labels: Sequence[str],
    contrasts: Sequence[tuple[str, str]],
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> pd.DataFrame:
    r"""Tests of a shift in the predicted classes between two conditions.

    The hypothesis is marginal homogeneity: each class, and an invalid answer, is given equally
    often under both. The tests of Stuart and Maxwell and of Bhapkar take utterances as independent;
    with speaker effects they reject a true hypothesis in 15 to 32 % of the cases at a nominal 5 %
    (``tests/calibration/RESULTS.md``). The clustered test flips the sign of :math:`d_s`, the
    change of a speaker's counts of answers, for whole speakers. It is exact under exchangeable
    conditions and, other than Hotelling's T² over speakers, needs no more speakers than classes.

    One answer an utterance is used, that of ``primary_cell``.

    Args:
        predictions: predictions as ``run_study`` returns them
        labels: the classes
        contrasts: pairs (condition, reference)
        resamples: patterns of signs drawn where there are too many to enumerate
        seed: of these draws

    Returns:
        DataFrame, one row a contrast: ``condition``, ``reference``, ``moved`` (half the sum of the
        absolute changes of the classes' shares, 0 to 1), ``most_gained`` and ``most_lost`` (the
        classes whose share grew and shrank most), ``gain`` and ``loss`` (by how much, -1 to 1),
        ``shift_p`` (clustered), ``stuart_maxwell_p``, ``bhapkar_p`` (utterances taken as
        independent; NaN where their covariance cannot be inverted)

    Raises:
        InputError: if a condition is unknown or lacks utterances

    References:
        Stuart, Biometrika 42 (1955); Maxwell, Br. J. Psychiatry 116 (1970); Bhapkar, J. Am.
        Statist. Assoc. 61 (1966)

    Examples:
        >>> from sercue.measures import LABELS, example_predictions
        >>> table = shift_tests(example_predictions(speakers=10), LABELS, [("aligned", "none")])
        >>> table[["moved", "most_gained", "gain", "most_lost", "loss"]].round(2)
           moved most_gained  gain most_lost  loss
        0   0.15         sad  0.13     angry -0.15
    """
    rows = [
        (*pair, *_shift(predictions, list(labels), pair, resamples, seed)) for pair in contrasts
    ]
    effect = ["moved", "most_gained", "gain", "most_lost", "loss"]
    p_values = ["shift_p", "stuart_maxwell_p", "bhapkar_p"]
    return pd.DataFrame(rows, columns=["condition", "reference", *effect, *p_values])


def _shift(
    predictions: pd.DataFrame,
    labels: list[str],
    contrast: tuple[str, str],
    resamples: int,
    seed: int,
) -> tuple[float, str, float, str, float, float, float, float]:
    pair = paired_answers(predictions, contrast)
    names = [*labels, INVALID]
    first, second = (
        label_codes(pair.answers[name], labels, "prediction", missing=True) for name in contrast
    )
    one_hot = np.eye(len(names))
    change = pair.by_speaker(one_hot[first] - one_hot[second])
    share = change.sum(axis=0) / len(first)
    most, least = int(share.argmax()), int(share.argmin())
    clustered = joint_sign_flip_p(change, resamples=resamples, seed=seed)
    independent = _homogeneity(_cross_table(first, second, len(names)))
    return (
        float(np.abs(share).sum() / 2), names[most], float(share[most]), names[least],
        float(share[least]), clustered, *independent,
    )  # fmt: skip


def _cross_table(first: np.ndarray, second: np.ndarray, classes: int) -> np.ndarray:
    table = np.bincount(first * classes + second, minlength=classes**2).reshape(classes, classes)
    used = (table.sum(axis=0) + table.sum(axis=1)) > 0
    return table[np.ix_(used, used)]


def _homogeneity(table: np.ndarray) -> tuple[float, float]:
    if (table == table.T).all():
        return 1.0, 1.0
    p_values = []
    for method in ("stuart_maxwell", "bhapkar"):
        with warnings.catch_warnings():
            warnings.simplefilter("error", SingularMatrixWarning)
            try:
                found = SquareTable(table, shift_zeros=False).homogeneity(method).pvalue
            except (SingularMatrixWarning, np.linalg.LinAlgError):
                found = np.nan
        p_values.append(float(found))
    return p_values[0], p_values[1]
