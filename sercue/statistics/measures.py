"""What a table of predictions says of each condition: recall, confusions, collapse, agreement.

Everything here counts an invalid answer (no prediction) as wrong; none is ever dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import audmetric
import numpy as np
import pandas as pd
import scipy

from sercue.errors import InputError, refuse_unknown, unknown
from sercue.storage.tables import codes_among

INVALID = "invalid"
REFERENCES = ("none", "aligned")
#: What was asked, under whatever condition: rows that share it are compared.
CELL = ("utterance", "template", "label_order", "decoding")
_NEEDED = ("utterance", "speaker", "truth", "condition", "prediction")


def uar(truth: Iterable[str], prediction: Iterable[str | None], labels: Sequence[str]) -> float:
    r"""Unweighted average recall: the mean recall of the classes that occur in the truth.

    .. math:: \text{UAR} = \frac{1}{K} \sum_{k=1}^{K}
        \frac{\text{true positive}_k}{\text{true positive}_k + \text{false negative}_k}

    Args:
        truth: true classes
        prediction: predicted classes; a missing one (``None`` or NaN) is wrong
        labels: the classes; one that never occurs in ``truth`` has no recall and is left out

    Returns:
        UAR between 0 and 1; NaN if ``truth`` is empty

    Raises:
        InputError: if a true or predicted class is not among ``labels``

    Examples:
        >>> uar(["sad", "sad", "angry"], ["sad", None, "angry"], ["angry", "sad"])
        0.75
    """
    true = pd.Series(list(truth), dtype=object)
    predicted = pd.Series(list(prediction), dtype=object)
    label_codes(true, labels, "truth")
    label_codes(predicted, labels, "prediction", missing=True)
    if not len(true):
        return float("nan")
    # audmetric counts only the columns it is told of, so "invalid" has to be one of them.
    predicted, classes = predicted.fillna(INVALID), [*labels, INVALID]
    recall = audmetric.recall_per_class(true, predicted, classes, zero_division=float("nan"))
    return float(np.nanmean(list(recall.values())))


def uar_by(predictions: pd.DataFrame, labels: Sequence[str], by: Sequence[str]) -> pd.DataFrame:
    """UAR of each group of rows, for instance of each condition, template and label order.

    Args:
        predictions: predictions as ``run_study`` returns them
        labels: the classes
        by: columns that make the groups

    Returns:
        DataFrame with the columns ``by`` and ``uar``, groups in order of first appearance

    Raises:
        InputError: if a column is missing or a class is not among ``labels``

    Examples:
        >>> uar_by(example_predictions(), LABELS, ["condition", "template"]).round(3)
          condition template    uar
        0      none    plain  0.417
        1   aligned    plain  0.708
    """
    refuse_unknown("column", by, predictions.columns)
    groups = predictions.groupby(list(by), sort=False)
    rows = [(*key, uar(part["truth"], part["prediction"], labels)) for key, part in groups]
    return pd.DataFrame(rows, columns=[*by, "uar"])


def label_codes(
    values: pd.Series, labels: Sequence[str], column: str, *, missing: bool = False
) -> np.ndarray:
    """The position of each value in ``labels``; a missing value gets ``len(labels)``.

    Args:
        values: class names
        labels: the valid class names
        column: what the values are, for the error message
        missing: whether a value may be missing

    Raises:
        InputError: if a value is not valid

    Examples:
        >>> label_codes(pd.Series(["b", None]), ["a", "b"], "prediction", missing=True)
        array([1, 2])
    """
    codes = codes_among(values, pd.Index(labels))
    absent = values.isna().to_numpy()
    stray = (codes < 0) & ~(absent & missing)
    if stray.any():
        raise unknown(column, values.to_numpy()[stray][0], labels)
    return np.where(absent, len(labels), codes)


def confusion_counts(
    predictions: pd.DataFrame, labels: Sequence[str]
) -> tuple[np.ndarray, list[str], list[str]]:
    """Confusions counted for each condition and speaker.

    All measures and the bootstrap are arithmetic on these counts.

    Args:
        predictions: predictions as ``run_study`` returns them
        labels: the classes, in the order of the last two axes

    Returns:
        counts of shape (conditions, speakers, labels, labels + 1): the true class, then the
        predicted one, the last column being invalid answers; the names of the conditions in the
        order of their first appearance; the names of the speakers, sorted

    Raises:
        InputError: if a column is missing, a class is not among ``labels``, or utterances of a
            condition differ in their numbers of rows

    Examples:
        >>> counts, conditions, speakers = confusion_counts(example_predictions(), LABELS)
        >>> counts.shape, conditions, speakers
        ((2, 4, 3, 4), ['none', 'aligned'], ['s0', 's1', 's2', 's3'])
    """
    check_predictions(predictions)
    condition, conditions = pd.factorize(predictions["condition"])
    speaker, speakers = pd.factorize(predictions["speaker"], sort=True)
    truth = label_codes(predictions["truth"], labels, "truth")
    predicted = label_codes(predictions["prediction"], labels, "prediction", missing=True)
    shape = (len(conditions), len(speakers), len(labels), len(labels) + 1)
    cell = np.ravel_multi_index((condition, speaker, truth, predicted), shape)
    counts = np.bincount(cell, minlength=int(np.prod(shape))).reshape(shape)
    return counts, list(conditions), list(speakers)


def confusion_matrices(
    predictions: pd.DataFrame, labels: Sequence[str], *, normalize: bool = True
) -> pd.DataFrame:
    """The confusion matrix of each condition, stacked.

    Args:
        predictions: predictions as ``run_study`` returns them
        labels: the classes, in the order of rows and columns
        normalize: whether to give shares of the true class (rows sum to 1) instead of counts

    Returns:
        DataFrame with index (condition, truth) and one column per predicted class, the last
        being ``"invalid"``; a row is NaN if its class never occurs and shares are asked for

    Examples:
        >>> confusion_matrices(example_predictions(), LABELS).loc["aligned"].to_numpy()
        array([[0.75 , 0.25 , 0.   , 0.   ],
               [0.   , 0.75 , 0.25 , 0.   ],
               [0.25 , 0.125, 0.625, 0.   ]])
    """
    counts, conditions, _ = confusion_counts(predictions, labels)
    pooled = counts.sum(axis=1).astype(float if normalize else int)
    if normalize:
        pooled = ratio(pooled, pooled.sum(axis=-1, keepdims=True), np.nan)
    index = pd.MultiIndex.from_product([conditions, labels], names=["condition", "truth"])
    columns = pd.Index([*labels, INVALID], name="prediction")
    return pd.DataFrame(pooled.reshape(len(index), len(columns)), index=index, columns=columns)


def measures(predictions: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    r"""Every measure of every condition.

    Each utterance has the same number of rows per condition (replicates, templates, label orders),
    so a pooled recall is the mean recall over these.

    Args:
        predictions: predictions as ``run_study`` or ``baselines`` returns them
        labels: the classes

    Returns:
        DataFrame, one row per condition in the order of first appearance, with columns

        - ``condition``, ``utterances``, ``rows``
        - ``uar``, ``accuracy``, ``macro_f1``, ``recall_<label>``: 0 to 1, an invalid answer is
          wrong; a class that never occurs has recall NaN and is left out of both means
        - ``entropy``: :math:`-\sum_k q_k \log q_k / \log K` of the predicted classes, 1 if all
          are predicted equally often, 0 if only one is; ``commonest`` and ``commonest_share``:
          the class predicted most often and its share. Of valid answers only.
        - ``flip_<c>``, ``kappa_<c>`` for c = none, aligned: share of rows whose prediction
          differs from that condition's, and Cohen's kappa between the two. Rows are matched on
          utterance, template, label order and decoding, each replicate against the first
          replicate of c. An invalid answer is a class of its own here. NaN where nothing matches.
        - ``invalid_rate``: share of invalid answers

    Raises:
        InputError: if a column is missing or a class is not among ``labels``

    Examples:
        >>> table = measures(example_predictions(), LABELS)
        >>> table[["condition", "uar", "commonest_share", "flip_none"]].round(3)
          condition    uar  commonest_share  flip_none
        0      none  0.417            0.417      0.000
        1   aligned  0.708            0.375      0.792
    """
    counts, conditions, _ = confusion_counts(predictions, labels)
    table = pd.DataFrame({"condition": conditions})
    grouped = predictions.groupby("condition", sort=False)["utterance"]
    table["utterances"] = grouped.nunique().to_numpy()
    table["rows"] = grouped.size().to_numpy()
    pooled = counts.sum(axis=1)
    hits = np.diagonal(pooled[:, :, :-1], axis1=1, axis2=2).astype(float)
    true, predicted = pooled.sum(axis=2), pooled[:, :, :-1].sum(axis=1)
    recall = ratio(hits, true, np.nan)
    f1 = np.where(true > 0, ratio(2 * hits, true + predicted, np.nan), np.nan)
    table["uar"] = np.nanmean(recall, axis=1)
    table["accuracy"] = hits.sum(axis=1) / true.sum(axis=1)
    table["macro_f1"] = np.nanmean(f1, axis=1)
    table[[f"recall_{label}" for label in labels]] = recall
    blocks = [table, _collapse(predicted, labels), _agreement(predictions, conditions)]
    invalid = pooled[:, :, -1].sum(-1) / pooled.sum((1, 2))
    return pd.concat(blocks, axis=1).assign(invalid_rate=invalid)


def measures_by(predictions: pd.DataFrame, labels: Sequence[str], by: str) -> pd.DataFrame:
    """Measures of each group of rows, for instance of each decoding.

    Args:
        predictions: predictions as ``run_study`` returns them
        labels: the classes
        by: the column that makes the groups

    Returns:
        DataFrame of ``measures`` with the index (``by``, condition)

    Examples:
        >>> table = measures_by(example_predictions(), LABELS, "decoding")
        >>> table.index.tolist()
        [('score', 'none'), ('score', 'aligned')]
    """
    groups = predictions.groupby(by, sort=False)
    tables = {key: measures(rows, labels) for key, rows in groups}
    table = pd.concat(tables, names=[by]).droplevel(1)
    return table.set_index("condition", append=True)


LABELS = ("angry", "neutral", "sad")


def example_predictions(
    accuracy: dict[str, float] | None = None,
    *,
    speakers: int = 4,
    utterances: int = 6,
    labels: Sequence[str] = LABELS,
    seed: int = 0,
) -> pd.DataFrame:
    """Simulated predictions for examples and tests.

    Args:
        accuracy: condition to its probability of a right answer; wrong answers are spread
            evenly over the other classes
        speakers: number of speakers
        utterances: utterances of each speaker, the classes in turn
        labels: the classes
        seed: of the random answers

    Returns:
        predictions, one row per utterance and condition
    """
    rng = np.random.default_rng(seed)
    names = [(f"s{s}", f"s{s}_{u}.wav", u) for s in range(speakers) for u in range(utterances)]
    rows = []
    for condition, right in (accuracy or {"none": 0.5, "aligned": 0.7}).items():
        for speaker, utterance, position in names:
            true = position % len(labels)
            wrong = (true + int(rng.integers(1, len(labels)))) % len(labels)
            answer = labels[true if rng.random() < right else wrong]
            rows.append((utterance, speaker, labels[true], condition, 0, "plain", 0, answer, True))
    columns = [*_NEEDED[:-1], "replicate", "template", "label_order", "prediction", "valid"]
    return pd.DataFrame(rows, columns=columns).assign(decoding="score")


def log_probability(probability: np.ndarray, *, least: float = 1e-12) -> np.ndarray:
    """The logarithm of probabilities; one below ``least`` is taken as that.

    Examples:
        >>> log_probability(np.array([1.0, 0.0])).round(1).tolist()
        [0.0, -27.6]
    """
    return np.log(np.maximum(probability, least))


def ratio(part: np.ndarray, whole: np.ndarray, empty: float = 0.0) -> np.ndarray:
    """Part by whole, broadcast; ``empty`` where the whole is not above 0.

    Examples:
        >>> ratio(np.array([1, 2]), np.array([2, 0]))
        array([0.5, 0. ])
    """
    part, whole = np.broadcast_arrays(part, whole)
    return np.divide(part, whole, out=np.full(part.shape, empty), where=whole > 0)


def check_columns(table: pd.DataFrame, needed: Iterable[str], name: str = "predictions") -> None:
    """Refuse a table that lacks columns.

    Raises:
        InputError: naming the missing columns and those that are there
    """
    missing = [column for column in needed if column not in table]
    if missing:
        found = ", ".join(map(str, table.columns))
        raise InputError(f"{name}: no column {', '.join(missing)}; found {found}")


def check_predictions(predictions: pd.DataFrame) -> None:
    """Refuse a table without the columns or the rows that measuring needs.

    Raises:
        InputError: naming the missing columns, or the condition under which utterances differ in
            their numbers of rows: pooled, those with more rows would weigh more
    """
    check_columns(predictions, _NEEDED)
    if predictions.empty:
        raise InputError("predictions: found no row, at least one is needed")
    condition, conditions = pd.factorize(predictions["condition"], use_na_sentinel=False)
    utterance, utterances = pd.factorize(predictions["utterance"], use_na_sentinel=False)
    rows = np.bincount(
        condition * len(utterances) + utterance, minlength=len(conditions) * len(utterances)
    ).reshape(len(conditions), len(utterances))
    fewest = np.where(rows > 0, rows, len(predictions))
    unequal = fewest.min(axis=1) < rows.max(axis=1)
    if unequal.any():
        place = int(unequal.argmax())
        one, other = int(fewest[place].argmin()), int(rows[place].argmax())
        raise InputError(
            f"predictions: rows under condition {conditions[place]!r}: found {rows[place, one]} "
            f"of utterance {utterances[one]!r} and {rows[place, other]} of {utterances[other]!r}; "
            "valid is the same number for each utterance of a condition (templates, label orders, "
            "decodings, replicates)"
        )


def _collapse(predicted: np.ndarray, labels: Sequence[str]) -> pd.DataFrame:
    share = ratio(predicted, predicted.sum(axis=1, keepdims=True), np.nan)
    some = predicted.sum(axis=1) > 0
    entropy = scipy.stats.entropy(np.where(some[:, None], share, 1), axis=1)
    bound = np.log(len(labels)) if len(labels) > 1 else np.nan
    commonest = [
        labels[position] if any_valid else None
        for position, any_valid in zip(predicted.argmax(axis=1).tolist(), some, strict=True)
    ]
    entropy = np.where(some, entropy / bound, np.nan)
    table = pd.DataFrame({"entropy": entropy, "commonest": commonest})
    return table.assign(commonest_share=share.max(axis=1))


def _agreement(predictions: pd.DataFrame, conditions: Sequence[str]) -> pd.DataFrame:
    keys = [key for key in CELL if key in predictions]
    cell = predictions.groupby(keys, sort=False, dropna=False).ngroup().to_numpy()
    answer = predictions["prediction"].astype(object).fillna(INVALID)
    said = pd.factorize(answer, sort=True)[0]
    condition = pd.Index(conditions).get_indexer(pd.Index(predictions["condition"]))
    rows_of = [np.flatnonzero(condition == number) for number in range(len(conditions))]
    columns = {}
    for reference in REFERENCES:
        base = np.full(cell.max() + 1, -1)
        if reference in conditions:
            rows = rows_of[conditions.index(reference)]
            if "replicate" in predictions:
                rows = rows[np.argsort(predictions["replicate"].to_numpy()[rows], kind="stable")]
            # Of several answers that of the first replicate is to stay: it is written last.
            base[cell[rows[::-1]]] = said[rows[::-1]]
        compared = [rows[base[cell[rows]] >= 0] for rows in rows_of]
        told = [_flip_and_kappa(said[rows], base[cell[rows]]) for rows in compared]
        columns[f"flip_{reference}"], columns[f"kappa_{reference}"] = zip(*told, strict=True)
    return pd.DataFrame(columns)


def _flip_and_kappa(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    from sklearn.metrics import cohen_kappa_score

    if not len(first):
        return np.nan, np.nan
    # Where both only ever say one and the same class, chance agreement is 1 and kappa 0 / 0.
    constant = len(np.union1d(first, second)) == 1
    kappa = np.nan if constant else cohen_kappa_score(first, second)
    return float((first != second).mean()), float(kappa)
