r"""Label prior and calibration: which labels a model prefers, and what its probabilities mean.

A UAR near chance has two readings. Either the model cannot tell the classes apart, or it can, and
prefers some label whatever it hears. The second is a matter of one constant per label: with
:math:`\pi_k` the label prior, answers are corrected by

.. math:: p'_k \propto p_k / \pi_k

The prior depends on the wording of the prompt and on the order of its options, and is therefore
taken for each of them by itself, and with a token block from prompts with one. It comes from
silence of the same length (``none @ silent``: contextual calibration) or from the answers to other
speakers (as in batch calibration, though there of the evaluated batch itself, and without the
classes). It is the prior after whose correction the mean probability of these answers is the same
for all labels; of speech, the mean over the classes of the mean of each, so that a class is not
called preferred because it is frequent. Division by their mean, as published, is its first step.
For silence, which is answered alike every time, this first step is exact; for speech it leaves part
of a strong preference, since probabilities near 0 and 1 hide how strong it is. No utterance is
corrected by answers to itself: the speech is that of speakers who are not evaluated or, in a
cross-validation with one model for all folds, the evaluated speech of the other folds.

No correction can be right for every prior. Which classes are told apart is therefore also measured
by what no label prior changes: of one model, within a wording and label order,
:math:`\log p_k - \log p_l` is moved by a constant, so that the area under its ROC curve between
utterances of class k and those of class l stays as it is.

References:
    Zhao, Wallace, Feng, Klein and Singh, ICML 2021, arXiv 2102.09690 (contextual calibration);
    Zhou et al., ICLR 2024, arXiv 2309.17249 (batch calibration); Hand and Till, Machine Learning 45
    (2001), the mean over pairs of classes; Obuchowski, Biometrics 53 (1997), clustered ROC data
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
import scipy

from sercue.corpora.audio_variants import SILENT
from sercue.errors import InputError
from sercue.statistics.contrasts import uar_differences
from sercue.statistics.measures import (
    LABELS,
    check_columns,
    check_predictions,
    label_codes,
    log_probability,
    ratio,
)
from sercue.statistics.speakers import Clustered, recall_estimates, speaker_counts
from sercue.tokens.condition import AT, parts_heard

#: Conditions whose audio and tokens tell nothing: the prior without tokens, and with a block.
_CONTENT_FREE = (f"none{AT}{SILENT}", f"masked(1){AT}{SILENT}")
_PROMPT = ["tokens", "template", "label_order"]
# In a cross-validation each fold may have a model of its own.
_ASKED = ["condition", "template", "label_order", "replicate", "decoding", "model"]
# Where the mean probabilities of a prior's answers are even; strong preferences take many steps.
_EVEN, _STEPS = 1e-6, 1_000
#: Of reliability diagrams and of the expected calibration error, with equally many answers each.
BINS = 10


def silent_answers(predictions: pd.DataFrame) -> pd.DataFrame:
    """The answers to silence that tell the label prior, under the names of their tokens.

    Without tokens these are the answers under ``none @ silent``; with a token block, those under
    ``masked(1) @ silent``, if that was asked, since other tokens speak for some label.

    Args:
        predictions: as ``run_study`` returns them

    Returns:
        the rows, none if neither was asked; ``truth`` is the same for all, since silence is of no
        class
    """
    rows = predictions[predictions["condition"].isin(_CONTENT_FREE)]
    tokens = [parts_heard(name)[0] for name in rows["condition"]]
    return rows.assign(condition=tokens, truth=SILENT)


def label_prior(
    sources: Mapping[str, pd.DataFrame], labels: Sequence[str], *, confidence: float = 0.95
) -> pd.DataFrame:
    """The label prior: which labels are preferred where nothing speaks for any.

    Args:
        sources: name to answers, as ``silent_answers`` gives them or, of other speakers, under
            ``none`` and ``aligned``
        labels: the classes
        confidence: coverage that the intervals aim at, between 0 and 1

    Returns:
        DataFrame, two rows per ``source`` and ``prompt`` (without or with tokens), with
        ``utterances`` and a number in [0, 1] for each label. ``quantity`` in the index tells which:
        ``mean probability``, over wordings, label orders and utterances, classes counted alike,
        with its interval over speakers in ``<label>_low`` and ``<label>_high``; ``divisor``, the
        prior by which ``corrected_answers`` divides, the mean of those of all wordings,
        label orders and models, without an interval (NaN)

    Examples:
        >>> answers = example_answers(bias=(0, 2, 0))
        >>> label_prior({"dev": answers}, LABELS)["neutral"].round(2).tolist()
        [0.7, 0.76, 0.73, 0.83]
    """
    rows = []
    for name, answers in sources.items():
        known = with_probabilities(answers, labels)
        shown = known["condition"].astype(str) != "none"
        for prompt, own in (("no tokens", known[~shown]), ("tokens", known[shown])):
            if own.empty:
                continue
            one, utterances = own.assign(condition=prompt), own["utterance"].nunique()
            told = {"source": name, "prompt": prompt, "utterances": utterances}
            by = [*_PROMPT[1:], "model"] if several_models(own) else _PROMPT[1:]
            priors = [_prior(part, labels) for _, part in own.groupby(by, observed=True)]
            divided = dict(zip(labels, np.mean(priors, axis=0), strict=True))
            truth = pd.factorize(own["truth"])[0]
            within, shares = np.eye(truth.max() + 1)[truth], dict[str, float]()
            for label, p in zip(labels, probabilities(own, labels).T, strict=True):
                mean = utterance_means(one, within * p[:, None], within)
                columns = (label, f"{label}_low", f"{label}_high")
                ends = mean.rows(confidence, label, least=0).iloc[0, :3]
                shares |= zip(columns, ends, strict=True)
            rows.append(told | shares | {"quantity": "mean probability"})
            rows.append(told | divided | {"quantity": "divisor"})
    return pd.DataFrame(rows).set_index(["source", "prompt", "quantity"])


def corrected_answers(
    predictions: pd.DataFrame, answers: pd.DataFrame, labels: Sequence[str]
) -> pd.DataFrame:
    """Answers corrected for the label prior of their wording and label order, and of their model.

    Args:
        predictions: as ``run_study`` returns them, with probabilities of the labels
        answers: those that tell the prior; what is answered under ``none`` tells that of prompts
            without tokens, everything else that of prompts with tokens. If both tables have a
            column ``fold``, the prior of an utterance comes from all other folds. If they are of
            several models (column ``model``), each is corrected by its own answers alone.
        labels: the classes

    Returns:
        the rows of ``predictions`` whose prior is known, with ``p_<label>`` and ``prediction``
        corrected. A probability below 1e-12 is taken as that.

    Examples:
        The preferred label loses what it has too much:

        >>> biased = example_answers(bias=(0, 3, 0))
        >>> corrected = corrected_answers(biased, biased, LABELS)
        >>> [round(float(rows["prediction"].eq("neutral").mean()), 2)
        ...  for rows in (biased, corrected)]
        [0.94, 0.33]
    """
    if "fold" in predictions and "fold" in answers:
        parts = [
            corrected_answers(own.drop(columns="fold"), answers[answers["fold"] != fold], labels)
            for fold, own in predictions.groupby("fold", sort=False, observed=True)
        ]
        return pd.concat(parts).sort_index()
    columns = [f"p_{label}" for label in labels]
    told = with_probabilities(answers, labels)
    told = told.assign(tokens=told["condition"].astype(str) != "none")
    by = [*_PROMPT, "model"] if several_models(told) else _PROMPT
    prior = pd.DataFrame(
        {prompt: _prior(own, labels) for prompt, own in told.groupby(by, observed=True)}, columns
    ).T
    prior.index = pd.MultiIndex.from_tuples(prior.index, names=by)
    rows = predictions.assign(tokens=predictions["condition"].astype(str) != "none")
    names = rows[by].astype({name: object for name in by if name in ("template", "model")})
    asked = pd.MultiIndex.from_frame(names)
    of_row = prior.reindex(asked)
    known = of_row.notna().all(axis=1).to_numpy()
    rows, of_row = rows[known].drop(columns="tokens"), of_row[known]
    p = rows[columns].to_numpy(float)
    corrected = scipy.special.softmax(
        log_probability(p) - log_probability(of_row.to_numpy()), axis=1
    )
    chosen = np.asarray(labels, object)[np.nan_to_num(corrected).argmax(axis=1)]
    valid = np.isfinite(corrected).all(axis=1)
    return rows.assign(
        prediction=pd.Series(chosen, rows.index).where(valid, None),
        **dict(zip(columns, corrected.T, strict=True)),
    )


def several_models(answers: pd.DataFrame) -> bool:
    """Whether answers are those of several models, as where each fold has one of its own.

    Args:
        answers: as ``run_study`` returns them

    Examples:
        >>> several_models(example_answers().assign(model="one"))
        False
    """
    return "model" in answers and answers["model"].nunique() > 1


def _prior(answers: pd.DataFrame, labels: Sequence[str]) -> np.ndarray:
    """The prior that makes all labels equally probable, by scaling rows and columns in turn.

    Source:
        Sinkhorn and Knopp, Pacific J. Math. 21 (1967)
    """
    logs = log_probability(probabilities(answers, labels))
    truth = answers["truth"].astype("str")
    weight = 1 / truth.map(truth.value_counts()).to_numpy(float)
    prior = np.zeros(len(labels))
    for _ in range(_STEPS):
        mean = np.average(scipy.special.softmax(logs - prior, axis=1), axis=0, weights=weight)
        prior += np.log(len(labels) * mean)
        if np.abs(len(labels) * mean - 1).max() < _EVEN:
            break
    return scipy.special.softmax(prior)


def corrected_uar(
    predictions: pd.DataFrame,
    sources: Mapping[str, pd.DataFrame],
    labels: Sequence[str],
    *,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """UAR before and after a correction for the label prior, and how far the two differ.

    Intervals are over the evaluated speakers; they take the prior as it was estimated.

    Args:
        predictions: as ``run_study`` returns them, with probabilities of the labels
        sources: name to the answers that tell the prior, see ``label_prior``
        labels: the classes
        confidence: coverage that the intervals aim at, between 0 and 1; not corrected for the
            number of rows

    Returns:
        DataFrame, one row per source and condition that it can correct: ``source``, ``condition``,
        ``uar`` (before), ``corrected``, ``difference`` with ``low`` and ``high``; and ``gain`` (the
        corrected UAR less that of ``none`` from the same source) with ``gain_low`` and
        ``gain_high``, NaN of ``none`` itself and where ``none`` was not asked

    Raises:
        InputError: if no source tells the prior of any condition

    Examples:
        >>> answers = example_answers(bias=(0, 3, 0), speakers=8)
        >>> table = corrected_uar(answers, {"dev": answers}, LABELS)
        >>> table[["condition", "uar", "corrected"]].round(2).values.tolist()
        [['none', 0.4, 0.62], ['aligned', 0.33, 0.67]]
    """
    asked = list(predictions["condition"].unique())
    parts = {
        name: corrected_answers(predictions, answers, labels).astype({"condition": "str"})
        for name, answers in sources.items()
    }
    # What each source can correct; no name of a condition holds a line break.
    pairs = []
    for name, rows in parts.items():
        known = set(rows["condition"])
        pairs += [(name, one) for one in asked if one in known]
    tables = [predictions.astype({"condition": "str"})]
    tables += [rows.assign(condition=rows["condition"] + f"\n{n}") for n, rows in parts.items()]
    if not pairs:
        raise InputError(
            "label prior: found no answers in the wordings and label orders of the study; valid "
            "are those under none and aligned, or none @ silent"
        )
    counted = speaker_counts(pd.concat(tables, ignore_index=True), labels)
    corrections = [(f"{one}\n{name}", one) for name, one in pairs]
    table = uar_differences(counted, corrections, confidence=confidence)
    table = table[["uar_reference", "uar", "difference", "low", "high"]].set_axis(
        ["uar", "corrected", "difference", "low", "high"], axis=1
    )
    names = ["source", "condition"]
    table = pd.DataFrame(pairs, columns=names).join(table)
    gained = [(n, one) for n, one in pairs if one != "none" and (n, "none") in pairs]
    gains = [(f"{one}\n{name}", f"none\n{name}") for name, one in gained]
    gain = uar_differences(counted, gains, confidence=confidence)[["difference", "low", "high"]]
    gain = gain.set_axis(["gain", "gain_low", "gain_high"], axis=1)
    return table.join(gain.set_index(pd.MultiIndex.from_tuples(gained, names=names)), on=names)


def calibration(
    predictions: pd.DataFrame, labels: Sequence[str], *, confidence: float = 0.95
) -> pd.DataFrame:
    r"""How well probabilities fit the truth, by condition, with intervals over speakers.

    - ``brier``: :math:`\sum_k (p_k - y_k)^2`, y being 1 for the true class and 0 for the others;
      0 to 2, and :math:`1 - 1/K` if all labels are equally probable
    - ``log_loss``: :math:`-\log p` of the true class, in nats; :math:`\log K` if all labels are
      equally probable. A probability below 1e-12, 0 among them, is taken as 1e-12, so that it is
      finite: ``floored`` counts those answers.
    - ``overconfidence``: mean probability of the answer less the share of right answers, -1 to 1
    - ``ece``: expected calibration error of the answer, 0 to 1. The answers of a condition are put
      into ten bins of equal size by the probability of the answer; it is the mean over answers of
      how far mean probability and share of right answers are apart in their bin. Sampling error
      makes it larger than 0 even of a model that is calibrated, the more so the fewer the
      utterances: compare it between conditions, not with 0. The interval is that of a jackknife
      over speakers with the bins kept.
    - ``auroc``: area under the ROC curve of :math:`\log p_k - \log p_l` between utterances of the
      classes k and l, within each model, wording, label order and replicate, mean over pairs of
      classes; .5 is chance, and no label prior changes it

    The first three are means over utterances, each counting 1, and have intervals as UAR has them.
    So has the last, whose terms are the share of utterances of the other class from which each
    utterance is told apart.

    Args:
        predictions: as ``run_study`` returns them, with probabilities of the labels
        labels: the classes
        confidence: coverage that the intervals aim at, between 0 and 1

    Returns:
        DataFrame, one row per condition: ``condition``, ``answers`` (rows that have probabilities),
        each measure with ``<measure>_low`` and ``<measure>_high``, and ``floored``

    Raises:
        InputError: if there are no probabilities of labels, or fewer than two speakers

    References:
        Brier, Monthly Weather Review 78 (1950); Naeini, Cooper and Hauskrecht, AAAI 2015 (expected
        calibration error); Roelofs et al., AISTATS 2022 (its bias, and bins of equal size)

    Examples:
        >>> table = calibration(example_answers(1.5, speakers=8), LABELS)
        >>> table[["condition", "brier", "auroc"]].round(2).values.tolist()
        [['none', 0.37, 0.92], ['aligned', 0.34, 0.95]]
    """
    rows = with_probabilities(predictions, labels)
    check_predictions(rows)
    if (found := rows["speaker"].nunique()) < 2:
        raise InputError(f"speakers: found {found}, inference over speakers needs two")
    p = probabilities(rows, labels)
    true = p[np.arange(len(rows)), label_codes(rows["truth"], labels, "truth")]
    sure, right = p.max(axis=1), _right(rows)
    brier = (p**2).sum(axis=1) - 2 * true + 1
    measured = {
        "brier": (utterance_means(rows, brier), 0, 2),
        "log_loss": (utterance_means(rows, -log_probability(true)), 0, np.inf),
        "overconfidence": (utterance_means(rows, sure - right), -1, 1),
        "ece": (_calibration_error(rows, sure, right), 0, 1),
        "auroc": (_pairwise_auroc(rows, labels), 0, 1),
    }
    conditions = pd.factorize(rows["condition"])[1]
    table = pd.DataFrame({"condition": list(conditions)})
    table["answers"] = table["condition"].map(rows["condition"].astype("str").value_counts())
    for name, (values, least, most) in measured.items():
        columns = values.rows(confidence, name, least=least, most=most)[[name, "low", "high"]]
        table[[name, f"{name}_low", f"{name}_high"]] = columns
    floored = pd.Series(true < 1e-12).groupby(rows["condition"].astype("str").to_numpy()).sum()
    return table.assign(floored=table["condition"].map(floored))


def reliability(
    predictions: pd.DataFrame, labels: Sequence[str], *, confidence: float = 0.95
) -> pd.DataFrame:
    """What a reliability diagram shows: how often answers are right, by their probability.

    Args:
        predictions: as ``run_study`` returns them, with probabilities of the labels
        labels: the classes
        confidence: coverage that the intervals aim at, between 0 and 1

    Returns:
        DataFrame, one row per condition and bin that holds an answer: ``condition``, ``bin``,
        ``probability`` (mean of the answers in it), ``accuracy`` with ``low`` and ``high`` over
        speakers, ``share`` of the answers

    Raises:
        InputError: if there are no probabilities of labels

    Examples:
        >>> table = reliability(example_answers(1.5, speakers=8), LABELS)
        >>> table.groupby("condition", sort=False)["share"].sum().round(6).to_dict()
        {'none': 1.0, 'aligned': 1.0}
    """
    rows = with_probabilities(predictions, labels)
    sure, right = probabilities(rows, labels).max(axis=1), _right(rows)
    tables = []
    for condition, places in _conditions(rows):
        own, within = rows.iloc[places], _bins(sure[places])
        weight, bins = _weights(own), np.unique(within)
        parts = within[:, None] == bins
        hits = _summed(own, parts * right[places, None])
        size = _summed(own, parts.astype(float))
        for place, number in enumerate(bins):
            part = parts[:, place]
            told = recall_estimates(hits[:, :, [place]], size[:, :, [place]])
            row = told.rows(confidence, "accuracy", least=0)[["accuracy", "low", "high"]]
            row.insert(0, "condition", condition)
            row.insert(1, "bin", int(number))
            row.insert(2, "probability", np.average(sure[places], weights=weight * part))
            tables.append(row.assign(share=weight[part].sum() / weight.sum()))
    return pd.concat(tables, ignore_index=True)


def with_probabilities(predictions: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """The rows that have probabilities of the labels; all but those whose scores are not finite."""
    columns = [f"p_{label}" for label in labels]
    check_columns(predictions, [*columns, "condition", "truth", "speaker", "utterance"])
    known = predictions[columns].notna().all(axis=1)
    if not known.any():
        raise InputError(
            "predictions: found no probabilities of labels; valid are scored answers (decoding: "
            "score)"
        )
    return predictions if known.all() else predictions[known]


def probabilities(rows: pd.DataFrame, labels: Sequence[str]) -> np.ndarray:
    """Probabilities of the labels, shape (rows, labels)."""
    return rows[[f"p_{label}" for label in labels]].to_numpy(float)


def _right(rows: pd.DataFrame) -> np.ndarray:
    return (rows["prediction"].astype("str") == rows["truth"].astype("str")).to_numpy(float)


def _conditions(rows: pd.DataFrame) -> Iterator[tuple[str, np.ndarray]]:
    """Each condition with the positions of its rows, in order of first appearance."""
    codes, names = pd.factorize(rows["condition"])
    for number, name in enumerate(names):
        yield str(name), np.flatnonzero(codes == number)


def _weights(rows: pd.DataFrame) -> np.ndarray:
    """What each row counts, so that an utterance counts 1 under a condition."""
    groups = rows.groupby(["condition", "utterance"], observed=True, sort=False)
    return 1 / groups["utterance"].transform("size").to_numpy(float)


def _summed(rows: pd.DataFrame, values: np.ndarray) -> np.ndarray:
    """Weighted sums of columns by condition and speaker: shape (conditions, speakers, columns)."""
    condition, conditions = pd.factorize(rows["condition"])
    speaker, speakers = pd.factorize(rows["speaker"], sort=True)
    cell, weight = condition * len(speakers) + speaker, _weights(rows)
    size = len(conditions) * len(speakers)
    sums = [np.bincount(cell, weight * column, size) for column in values.T]
    return np.stack(sums, axis=1).reshape(len(conditions), len(speakers), -1)


def utterance_means(
    rows: pd.DataFrame, values: np.ndarray, counted: np.ndarray | None = None
) -> Clustered:
    """Means over utterances by condition, or means of such means over the groups of ``counted``.

    Args:
        rows: with condition, speaker and utterance
        values: of each row; shape (rows,), or (rows, groups), 0 where a row is not of a group
        counted: 1 where a row is of a group; shape (rows, groups)
    """
    if counted is None:
        values, counted = values[:, None], np.ones((len(rows), 1))
    return recall_estimates(_summed(rows, values), _summed(rows, counted.astype(float)))


def _bins(sure: np.ndarray) -> np.ndarray:
    """The bin of each answer; equal probabilities are in one bin, and bins may stay empty."""
    inner = np.quantile(sure, np.linspace(0, 1, BINS + 1)[1:-1])
    return np.searchsorted(inner, sure)


def _calibration_error(rows: pd.DataFrame, sure: np.ndarray, right: np.ndarray) -> Clustered:
    """Expected calibration error of each condition, with a jackknife over speakers."""
    within = np.zeros(len(rows), int)
    for _, places in _conditions(rows):
        within[places] = _bins(sure[places])
    apart = _summed(rows, np.eye(BINS)[within] * (sure - right)[:, None])
    size = _summed(rows, np.ones((len(rows), 1)))[:, :, 0]
    whole = np.abs(apart.sum(axis=1)).sum(axis=1) / size.sum(axis=1)
    rest = apart.sum(axis=1, keepdims=True) - apart
    remaining = size.sum(axis=1, keepdims=True) - size
    without = ratio(np.abs(rest).sum(axis=2), remaining, np.nan)
    speakers = (size > 0).sum(axis=1, keepdims=True)
    without = np.where(size > 0, without, np.nan)
    moved = without - np.nanmean(without, axis=1, keepdims=True)
    influence = np.nan_to_num(np.sqrt((speakers - 1) / speakers) * moved)
    return Clustered(whole, influence, speakers[:, 0] - 1.0)


def _pairwise_auroc(rows: pd.DataFrame, labels: Sequence[str]) -> Clustered:
    """Mean over pairs of classes of the AUROC between them, with its error over speakers.

    The area is the mean of its terms over the utterances of one class, and also over those of the
    other. Both means vary, which is why the influence is twice that of their mean.
    """
    truth = label_codes(rows["truth"], labels, "truth")
    logs = log_probability(probabilities(rows, labels))
    pairs = list(combinations(range(len(labels)), 2))
    terms, counted = np.zeros((2, len(rows), 2 * len(pairs)))
    cells = rows.groupby([c for c in _ASKED if c in rows], observed=True, sort=False).indices
    for places in cells.values():
        for number, pair in enumerate(pairs):
            first, second = (places[truth[places] == label] for label in pair)
            if not len(first) or not len(second):
                continue
            margin = logs[:, pair[0]] - logs[:, pair[1]]
            together = scipy.stats.rankdata(margin[np.r_[first, second]])
            below = (together[: len(first)] - scipy.stats.rankdata(margin[first])) / len(second)
            above = 1 - (together[len(first) :] - scipy.stats.rankdata(margin[second])) / len(first)
            for side, (own, values) in enumerate(((first, below), (second, above))):
                terms[own, 2 * number + side] = values
                counted[own, 2 * number + side] = 1
    found = utterance_means(rows, terms, counted)
    return Clustered(found.estimate, 2 * found.influence, found.df)


def example_answers(
    signal: float = 1.0,
    bias: Sequence[float] = (0, 0, 0),
    *,
    conditions: Sequence[str] = ("none", "aligned"),
    speakers: int = 4,
    utterances: int = 6,
    labels: Sequence[str] = LABELS,
    seed: int = 0,
) -> pd.DataFrame:
    """Simulated answers with probabilities, for examples and tests.

    Args:
        signal: what speaks for the true class, in nats, against noise of standard deviation 1 of
            each label
        bias: what speaks for each label in any case, in nats
        conditions: their names; the answers differ by chance alone
        speakers: number of speakers
        utterances: utterances of each speaker, the classes in turn
        labels: the classes
        seed: of the noise

    Returns:
        predictions, one row per utterance and condition
    """
    rng = np.random.default_rng(seed)
    names = [(f"s{s}", f"s{s}_{u}.wav", u) for s in range(speakers) for u in range(utterances)]
    rows = [
        (utterance, speaker, labels[place % len(labels)], condition)
        for condition in conditions
        for speaker, utterance, place in names
    ]
    table = pd.DataFrame(rows, columns=["utterance", "speaker", "truth", "condition"])
    truth = np.eye(len(labels))[label_codes(table["truth"], labels, "truth")]
    evidence = signal * truth + rng.normal(size=truth.shape) + np.asarray(bias)
    p = scipy.special.softmax(evidence, axis=1)
    return table.assign(
        replicate=0, template="plain", label_order=0, decoding="score", valid=True,
        prediction=np.asarray(labels, object)[p.argmax(axis=1)],
        **{f"p_{label}": share for label, share in zip(labels, p.T, strict=True)},
    )  # fmt: skip
