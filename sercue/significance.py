"""Is a difference in UAR more than chance: clustered paired bootstrap, McNemar, Holm.

Everything is paired: the same utterances under every condition. The speaker is the unit of
resampling, because utterances of one speaker are not independent of each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from sercue.errors import InputError, unknown
from sercue.measures import check_predictions, confusion_counts

# McNemar's chi-squared approximation is customarily trusted from 25 discordant pairs on.
_EXACT_BELOW = 25
_CHUNK = 1000
_CELL = ("template", "label_order", "decoding")


def planned_contrasts(conditions: Iterable[str]) -> list[tuple[str, str]]:
    """The family of contrasts, in an order that depends on no result.

    First aligned against none (do cues help at all), then each other condition against aligned
    (what is lost when the cues are wrong), then each other one against none (are wrong cues worse
    than no cues). A contrast that lacks one of its conditions is left out.

    Args:
        conditions: names of the conditions of the study

    Returns:
        pairs (condition, reference)

    Examples:
        >>> planned_contrasts(["none", "aligned", "shuffled"])
        [('aligned', 'none'), ('shuffled', 'aligned'), ('shuffled', 'none')]
    """
    names = list(dict.fromkeys(conditions))
    perturbed = [name for name in names if name not in ("none", "aligned")]
    family = [("aligned", "none")]
    family += [(name, reference) for reference in ("aligned", "none") for name in perturbed]
    return [pair for pair in family if set(pair) <= set(names)]


def bootstrap_uar(
    predictions: pd.DataFrame,
    labels: Sequence[str],
    *,
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """UAR of each condition with a speaker-clustered bootstrap interval.

    Speakers are drawn with replacement, all their utterances with them. The UAR of a resample is
    the mean recall over the classes that occur in it; the interval is that of the percentiles.

    The inference is to further speakers like these, with the corpus's texts, the model and the
    replicates as they are. With few speakers (below about 20) a percentile interval is too narrow:
    it covers the truth less often than ``confidence`` says. Read it as a lower bound on the
    uncertainty then.

    Args:
        predictions: predictions as ``run_study`` or ``baselines`` returns them
        labels: the classes
        resamples: number of bootstrap resamples
        confidence: coverage that the interval aims at, between 0 and 1
        seed: of the resampling

    Returns:
        DataFrame, one row a condition in the order of first appearance: ``condition``, ``uar``,
        ``low``, ``high`` (all 0 to 1), ``speakers``

    Raises:
        InputError: if there are fewer than two speakers, or a parameter is not valid

    References:
        Field and Welsh, "Bootstrapping clustered data", J. R. Statist. Soc. B 69 (2007)

    Examples:
        >>> from sercue.measures import LABELS, example_predictions
        >>> bootstrap_uar(example_predictions(), LABELS, resamples=1000).round(3)
          condition    uar    low   high  speakers
        0      none  0.417  0.333  0.500         4
        1   aligned  0.708  0.542  0.917         4
    """
    counts, conditions, _ = _paired_counts(predictions, labels, resamples, confidence)
    drawn = _resampled_uar(counts, resamples, seed)
    low, high = _percentiles(drawn, confidence)
    return pd.DataFrame(
        {
            "condition": conditions,
            "uar": _observed_uar(counts),
            "low": low,
            "high": high,
            "speakers": (counts.sum(axis=(2, 3)) > 0).sum(axis=1),
        }
    )


def compare(
    predictions: pd.DataFrame,
    labels: Sequence[str],
    contrasts: Sequence[tuple[str, str]] | None = None,
    *,
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    r"""Contrasts between conditions: difference in UAR with its interval, McNemar, Holm.

    The interval is from the paired bootstrap over speakers: each resample of speakers is used for
    both conditions, and the difference taken within it. What ``bootstrap_uar`` says of few
    speakers holds here too. It uses every row. McNemar's test asks another question, of single
    answers: among the utterances that only one of the two conditions gets right, is it one of
    them more often? It uses one answer an utterance, that of ``primary_cell``, since rows of one
    utterance are not independent. It does treat utterances of one speaker as independent.

    Args:
        predictions: predictions as ``run_study`` returns them
        labels: the classes
        contrasts: pairs (condition, reference); ``planned_contrasts`` by default. They are the
            family that Holm's correction covers.
        resamples: number of bootstrap resamples
        confidence: coverage that the interval aims at, between 0 and 1; it is not corrected
            for the number of contrasts
        seed: of the resampling

    Returns:
        DataFrame, one row a contrast: ``condition``, ``reference``, ``uar``, ``uar_reference``,
        ``difference`` (:math:`\text{UAR} - \text{UAR}_\text{reference}`, -1 to 1), ``low``,
        ``high``, ``speakers``, ``discordant_better`` (b: utterances that only the condition gets
        right), ``discordant_worse`` (c: that only the reference gets right), ``odds_ratio`` (b / c,
        infinite if c is 0, NaN if both are), ``mcnemar_p`` (two-sided; exact below 25 discordant
        utterances, else chi-squared with continuity correction), ``holm_p``

    Raises:
        InputError: if a condition is unknown, if two conditions of a contrast do not have the
            same utterances, or if there are fewer than two speakers

    References:
        McNemar, Psychometrika 12 (1947); Holm, Scand. J. Statist. 6 (1979)

    Examples:
        >>> from sercue.measures import LABELS, example_predictions
        >>> table = compare(example_predictions(), LABELS, resamples=1000)
        >>> table[["condition", "reference", "difference", "low", "high"]].round(2)
          condition reference  difference   low  high
        0   aligned      none        0.29  0.17  0.42
        >>> table[["discordant_better", "discordant_worse", "mcnemar_p"]].round(4)
           discordant_better  discordant_worse  mcnemar_p
        0                 12                 5     0.1435
    """
    counts, conditions, _ = _paired_counts(predictions, labels, resamples, confidence)
    family = planned_contrasts(conditions) if contrasts is None else list(contrasts)
    _check_contrasts(predictions, family, conditions)
    first = [conditions.index(condition) for condition, _ in family]
    second = [conditions.index(reference) for _, reference in family]
    observed = _observed_uar(counts)
    drawn = _resampled_uar(counts, resamples, seed)
    low, high = _percentiles(drawn[:, first] - drawn[:, second], confidence)
    table = pd.DataFrame(family, columns=["condition", "reference"])
    table["uar"], table["uar_reference"] = observed[first], observed[second]
    table["difference"] = table["uar"] - table["uar_reference"]
    table["low"], table["high"] = low, high
    table["speakers"] = (counts[first].sum(axis=(2, 3)) > 0).sum(axis=1)
    table = table.join(_mcnemar_table(primary_cell(predictions), family))
    p = table["mcnemar_p"]
    table["holm_p"] = multipletests(p, method="holm")[1] if len(p) else p
    return table


def primary_cell(predictions: pd.DataFrame) -> pd.DataFrame:
    """One prediction for each utterance and condition: the cell that tests of counts use.

    It is the first template in order of appearance, within it the first label order, decoding and
    replicate. Answers to several templates, orders or replicates about one utterance repeat each
    other; counted as if independent they would make any p-value too small. The cell is fixed by
    the plan of the study, so that none can be picked for its result.

    Args:
        predictions: predictions as ``run_study`` returns them

    Returns:
        the rows of the primary cell

    Raises:
        InputError: if the cell holds two answers of one utterance under one condition

    Examples:
        >>> from sercue.measures import example_predictions
        >>> first = example_predictions()
        >>> both = pd.concat([first, first.assign(template="long")], ignore_index=True)
        >>> primary_cell(both)["template"].unique().tolist()
        ['plain']
    """
    rows = predictions
    for column in _CELL:
        if column in rows:
            chosen = rows[column].min() if column == "label_order" else rows[column].iloc[0]
            rows = rows[rows[column] == chosen]
    if "replicate" in rows:
        least = rows.groupby("condition")["replicate"].transform("min")
        rows = rows[rows["replicate"] == least]
    twice = rows.duplicated(["utterance", "condition"])
    if twice.any():
        utterance, condition = rows.loc[twice, ["utterance", "condition"]].iloc[0]
        raise InputError(
            f"predictions: utterance {utterance!r} occurs twice under condition {condition!r} in "
            "the same template, label order, decoding and replicate; valid is one row"
        )
    return rows


def _paired_counts(
    predictions: pd.DataFrame, labels: Sequence[str], resamples: int, confidence: float
) -> tuple[np.ndarray, list[str], list[str]]:
    check_predictions(predictions)
    speakers = predictions["speaker"].nunique()
    if speakers < 2:
        raise InputError(f"speakers: found {speakers}, the bootstrap over speakers needs two")
    if resamples < 1:
        raise InputError(f"resamples: found {resamples}, valid are whole numbers from 1")
    if not 0 < confidence < 1:
        raise InputError(f"confidence: found {confidence}, valid are numbers between 0 and 1")
    return confusion_counts(predictions, labels)


def _hits_and_totals(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    hits = np.diagonal(counts[..., :-1], axis1=2, axis2=3)
    return hits.astype(float), counts.sum(axis=-1).astype(float)


def _mean_recall(hits: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Mean over the last axis of hits / totals, of the classes that occur."""
    present = totals > 0
    recall = np.divide(hits, totals, out=np.zeros_like(hits), where=present)
    classes = present.sum(axis=-1)
    return np.divide(
        recall.sum(axis=-1), classes, out=np.full(classes.shape, np.nan), where=classes > 0
    )


def _observed_uar(counts: np.ndarray) -> np.ndarray:
    hits, totals = _hits_and_totals(counts)
    return _mean_recall(hits.sum(axis=1), totals.sum(axis=1))


def _speaker_weights(speakers: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each resample drew each speaker, in chunks of shape (chunk, speakers)."""
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, _CHUNK):
        size = min(_CHUNK, resamples - start)
        yield rng.multinomial(speakers, np.full(speakers, 1 / speakers), size=size)


def _resampled_uar(counts: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """UAR of each resample and condition, shape (resamples, conditions)."""
    conditions, speakers, classes, _ = counts.shape
    flat = [part.swapaxes(0, 1).reshape(speakers, -1) for part in _hits_and_totals(counts)]
    drawn = [
        _mean_recall(*((weights @ part).reshape(-1, conditions, classes) for part in flat))
        for weights in _speaker_weights(speakers, resamples, seed)
    ]
    return np.concatenate(drawn)


def _percentiles(drawn: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    if not drawn.size:
        return np.empty(0), np.empty(0)
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(drawn, [tail, 1 - tail], axis=0)
    return low, high


def _check_contrasts(
    predictions: pd.DataFrame, contrasts: Sequence[tuple[str, str]], conditions: Sequence[str]
) -> None:
    spoken = predictions.groupby("condition")["utterance"].agg(frozenset)
    for pair in contrasts:
        for name in pair:
            if name not in conditions:
                raise unknown("condition", name, conditions)
        first, second = (spoken[name] for name in pair)
        if first != second:
            raise InputError(
                f"contrast {pair[0]!r} against {pair[1]!r}: found {len(first ^ second)} utterances "
                "under one of the two only; valid are the same utterances under both"
            )


def _mcnemar_table(cell: pd.DataFrame, contrasts: Sequence[tuple[str, str]]) -> pd.DataFrame:
    right = (cell["prediction"] == cell["truth"]).fillna(False).astype(bool)
    wide = cell.assign(right=right).pivot(index="utterance", columns="condition", values="right")
    rows = [_mcnemar_row(wide, condition, reference) for condition, reference in contrasts]
    columns = ["discordant_better", "discordant_worse", "odds_ratio", "mcnemar_p"]
    return pd.DataFrame(rows, columns=columns)


def _mcnemar_row(
    right: pd.DataFrame, condition: str, reference: str
) -> tuple[int, int, float, float]:
    pair = right[[condition, reference]].dropna(how="all")
    if pair.isna().to_numpy().any():
        raise InputError(
            f"contrast {condition!r} against {reference!r}: found utterances that only one of the "
            "two has in the primary cell; valid are the same templates and label orders under both"
        )
    first, second = (pair[name].to_numpy(dtype=bool) for name in (condition, reference))
    better, worse = int((first & ~second).sum()), int((second & ~first).sum())
    test = mcnemar([[0, better], [worse, 0]], exact=better + worse < _EXACT_BELOW)
    ratio = better / worse if worse else (np.inf if better else np.nan)
    return better, worse, ratio, float(test.pvalue)
