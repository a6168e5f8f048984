r"""Raters' label distributions: how near a model's probabilities are, and where tokens are used.

Where several raters labelled an utterance, one true class is a simplification. The share of the
raters who chose each label is held against the model's probabilities of the labels by the
Jensen-Shannon distance, with base 2: 0 if they are the same and 1 if they have nothing in common,

.. math:: d(p, r) = \sqrt{\tfrac12 \text{KL}(p \| m) + \tfrac12 \text{KL}(r \| m)},
    \quad m = \tfrac12 (p + r)

Two answers that do not listen are the reference: all labels equally, and the mean of the raters'
distributions over the evaluated utterances, the same for all of them. A model that is farther than
that mean may yet tell the classes apart: overconfidence alone can cause it. With few raters, whose
shares vary by chance, even the probabilities with which people choose do not reach 0.

References:
    Lin, IEEE Trans. Inf. Theory 37 (1991); Endres and Schindelin, IEEE Trans. Inf. Theory 49
    (2003), that the root is a metric
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import scipy

from sercue.corpora.corpus import RATED, Corpus, utterance_ids
from sercue.errors import InputError
from sercue.statistics.calibration import probabilities, utterance_means, with_probabilities
from sercue.statistics.contrasts import holm
from sercue.statistics.measures import CELL
from sercue.statistics.speakers import Clustered

#: The answers that do not listen: all labels equally, and the mean of what raters chose.
UNIFORM, MEAN = "all labels equally", "mean of the raters"
# Wrong tokens, the first that a study has: the choice must not depend on the answers.
_WRONG = ("conflicting", "counter_emotion", "shuffled")


def ratings(corpus: Corpus) -> pd.DataFrame:
    """What the raters of a corpus chose: their distribution over its labels, by utterance.

    Args:
        corpus: with columns ``rated_<label>`` in its table

    Returns:
        DataFrame by ``utterance``, one column per label, each row summing to 1; utterances without
        ratings are left out

    Raises:
        InputError: if the corpus has no ratings

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus = example_corpus()
        >>> corpus.table[["rated_angry", "rated_neutral"]] = [0.25, 0.75]
        >>> ratings(corpus).iloc[0].to_dict()
        {'angry': 0.25, 'neutral': 0.75}
    """
    columns = [f"{RATED}{label}" for label in corpus.labels]
    if lacking := [name for name in columns if name not in corpus.table]:
        raise InputError(
            f"corpus {corpus.name!r} has no label distributions of raters (no {', '.join(lacking)})"
        )
    table = corpus.table[columns].set_axis(list(corpus.labels), axis=1)
    return table.set_axis(utterance_ids(table.index)).dropna()


def rater_distances(
    predictions: pd.DataFrame, rated: pd.DataFrame, *, confidence: float = 0.95
) -> pd.DataFrame:
    """Mean Jensen-Shannon distance of a model's probabilities to the raters' distributions.

    Args:
        predictions: as ``run_study`` returns them, with probabilities of the labels
        rated: as ``ratings`` returns them
        confidence: coverage that the intervals aim at, between 0 and 1; not corrected

    Returns:
        DataFrame, one row per condition and for each of the two references: ``condition``,
        ``utterances``, ``distance`` (0 to 1) with ``low`` and ``high``; and ``minus_none`` and
        ``minus_aligned``, the paired differences to these conditions, with their ``_low`` and
        ``_high``, NaN of the condition itself and where it was not asked

    Raises:
        InputError: if there are no probabilities, no utterance has ratings, or fewer than two
            speakers have such utterances

    Examples:
        >>> from sercue.statistics.calibration import example_answers
        >>> answers = example_answers(1.5)
        >>> rated = pd.get_dummies(answers.groupby("utterance")["truth"].first(), dtype=float)
        >>> table = rater_distances(answers, rated)
        >>> table.set_index("condition")["distance"].round(2).head(3).to_dict()
        {'none': 0.51, 'aligned': 0.49, 'all labels equally': 0.68}
    """
    labels = list(rated.columns)
    known = _with_ratings(predictions, rated, labels)
    rows = known[["condition", "utterance", "speaker"]].astype("str")
    given = rated.loc[rows["utterance"]].to_numpy(float)
    rows = rows.assign(distance=_distance(probabilities(known, labels), given))
    who = rows.drop_duplicates("utterance")
    own = rated.loc[who["utterance"]].to_numpy(float)
    for name, answer in ((UNIFORM, np.full(len(labels), 1 / len(labels))), (MEAN, own.mean(0))):
        same = np.broadcast_to(answer, own.shape)
        rows = pd.concat([rows, who.assign(condition=name, distance=_distance(same, own))])
    found = utterance_means(rows, rows["distance"].to_numpy())
    conditions = list(rows["condition"].unique())
    table = found.rows(confidence, "distance", least=0)[["distance", "low", "high"]]
    table.insert(0, "condition", conditions)
    numbers = rows.groupby("condition")["utterance"].nunique()
    table.insert(1, "utterances", table["condition"].map(numbers))
    for reference in ("none", "aligned"):
        names = [f"minus_{reference}{end}" for end in ("", "_low", "_high")]
        table[names] = np.nan
        if reference in conditions:
            place = conditions.index(reference)
            weights = np.eye(len(conditions)) - np.eye(len(conditions))[place]
            apart = found.combine(weights).rows(confidence)[["difference", "low", "high"]]
            others = np.arange(len(conditions)) != place
            table.loc[others, names] = apart.to_numpy()[others]
    return table


def use_by_disagreement(
    predictions: pd.DataFrame, rated: pd.DataFrame, *, confidence: float = 0.95
) -> pd.DataFrame:
    r"""Whether tokens are used more where raters disagree.

    Of each utterance the effect of the tokens is, over all its prompts, ``probability``: that of
    the true class with aligned tokens less that with wrong ones; and ``changed answers``: the share
    that differ between the two. Wrong tokens are those of the first of ``conflicting``,
    ``counter_emotion`` and ``shuffled`` that was asked. Either is regressed on how much the raters
    disagree, the entropy of their distribution as a part of its largest value: 0 if all chose one
    label and 1 if all labels alike. The slope compares utterances of the same speaker; its error is
    clustered by speaker (CR2 with Satterthwaite's degrees of freedom, working assumption:
    independent utterances).

    Args:
        predictions: as ``run_study`` returns them, with probabilities of the labels
        rated: as ``ratings`` returns them
        confidence: coverage that the intervals aim at, between 0 and 1; not corrected

    Returns:
        DataFrame by ``effect`` (the two): ``wrong tokens`` (their condition), ``mean`` over
        utterances, ``slope`` (per unit of disagreement) with ``low`` and ``high``, ``p`` (of a t
        test) and ``holm_p`` (corrected for the two), ``utterances``, ``speakers`` (those whose
        utterances differ in disagreement)

    Raises:
        InputError: if aligned or wrong tokens were not asked, if there are no probabilities or
            ratings, or if raters do not disagree to different degrees within two speakers

    References:
        Bell and McCaffrey, Survey Methodology 28 (2002)

    Examples:
        >>> from sercue.statistics.calibration import example_answers
        >>> answers = example_answers(conditions=["aligned", "conflicting"], speakers=8)
        >>> share = np.random.default_rng(0).dirichlet([1, 1, 1], answers["utterance"].nunique())
        >>> rated = pd.DataFrame(
        ...     share, pd.Index(answers["utterance"].unique()), ["angry", "neutral", "sad"])
        >>> table = use_by_disagreement(answers, rated)
        >>> table.index.tolist(), table["wrong tokens"].unique().tolist()
        (['probability', 'changed answers'], ['conflicting'])
    """
    asked = set(predictions["condition"].astype("str"))
    wrong = next((name for name in _WRONG if name in asked), None)
    if wrong is None or "aligned" not in asked:
        raise InputError(
            f"it needs the condition aligned and one of {', '.join(_WRONG)}; found "
            f"{', '.join(sorted(asked))}"
        )
    labels = list(rated.columns)
    rows = _with_ratings(predictions, rated, labels)
    true = (rows["truth"].astype(str).to_numpy()[:, None] == np.array(labels)).astype(float)
    rows = rows.assign(true=(true * probabilities(rows, labels)).sum(axis=1))
    own, other = (rows[rows["condition"] == name] for name in ("aligned", wrong))
    keys = [name for name in CELL if name in rows]
    pairs = other.merge(own, on=keys, suffixes=("", "_aligned"))
    said = pairs["prediction"].astype("str") != pairs["prediction_aligned"].astype("str")
    gain = pairs["true_aligned"] - pairs["true"]
    effects = pd.DataFrame({"probability": gain, "changed answers": said.astype(float)})
    by = effects.groupby(pairs["utterance"].astype("str")).mean()
    speaker = pairs.astype({"utterance": "str"}).groupby("utterance")["speaker"].first()
    shares = rated.loc[by.index].to_numpy(float)
    disagreement = scipy.stats.entropy(shares, axis=1) / np.log(len(labels))
    slopes = _slopes_within(by.to_numpy(), disagreement, speaker.astype("str").to_numpy())
    table = slopes.rows(confidence, "slope", least=-np.inf, most=np.inf)
    table = table[["slope", "low", "high", "p"]].set_axis(pd.Index(by.columns, name="effect"))
    table.insert(0, "wrong tokens", wrong)
    table.insert(1, "mean", by.mean())
    varied = pd.Series(disagreement).groupby(speaker.astype("str").to_numpy()).agg(np.ptp) > 0
    return table.assign(holm_p=holm(table["p"]), utterances=len(by), speakers=int(varied.sum()))


def _with_ratings(
    predictions: pd.DataFrame, rated: pd.DataFrame, labels: Sequence[str]
) -> pd.DataFrame:
    """The rows of utterances that have ratings and probabilities."""
    rows = with_probabilities(predictions, labels)
    rows = rows[rows["utterance"].astype("str").isin(rated.index)]
    if (found := rows["speaker"].nunique()) < 2:
        raise InputError(f"ratings: found those of utterances of {found} speakers, need two")
    return rows


def _distance(p: np.ndarray, given: np.ndarray) -> np.ndarray:
    # What rounding leaves below zero is zero.
    return np.nan_to_num(scipy.spatial.distance.jensenshannon(p, given, base=2, axis=1))


def _slopes_within(values: np.ndarray, x: np.ndarray, speaker: np.ndarray) -> Clustered:
    """Slopes of each column on x among the utterances of the same speaker."""
    codes, names = pd.factorize(speaker)
    size = np.bincount(codes)
    centred = x - (np.bincount(codes, x) / size)[codes]
    squares = np.bincount(codes, centred**2, len(names))
    whole = squares.sum()
    if (squares > 1e-12).sum() < 2:
        raise InputError(
            "ratings: found no two speakers among whose utterances raters disagree to different "
            "degrees"
        )
    leverage = squares / whole
    slope = centred @ values / whole
    means = np.stack([np.bincount(codes, column) / size for column in values.T], axis=1)
    residual = values - means[codes] - centred[:, None] * slope
    terms = np.stack([np.bincount(codes, centred * one) for one in residual.T])
    scale = 1 / (whole * np.sqrt(np.clip(1 - leverage, 1e-12, None)))
    covariance = np.outer(scale, scale) * (np.diag(squares) - np.outer(squares, squares) / whole)
    df = float(np.trace(covariance) ** 2 / (covariance**2).sum())
    return Clustered(slope, terms * scale, np.full(len(slope), df))
