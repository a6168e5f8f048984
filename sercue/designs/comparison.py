"""Binning designs side by side: what each makes of the same recordings, so that one can choose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from threadpoolctl import threadpool_limits

from sercue.concepts import CONCEPTS, UNKNOWN, WORDS, Concept, measurable
from sercue.corpora.corpus import Corpus
from sercue.designs.fits import Design, DesignFits
from sercue.designs.held_out import Answers, evaluated_views, jackknife_error
from sercue.designs.token_information import information_of
from sercue.errors import InputError
from sercue.exploration.redundancy import redundancy


def compare_binnings(
    features: pd.DataFrame,
    corpus: Corpus,
    *,
    partition: str | None = None,
    bins: Sequence[int] = (3, 5),
    methods: Sequence[str] = ("quantile", "width"),
    centres: Sequence[str | None] | None = None,
    thresholds: Mapping[str, Sequence[float]] | None = None,
    concepts: Sequence[Concept] = CONCEPTS,
    seed: int = 0,
) -> pd.DataFrame:
    r"""Balance, information, accuracy and stability of the tokens of each binning design.

    **Where it is measured.** By default on the training speakers: they are held out in up to five
    groups, with medians, scales, thresholds and classifiers fitted on the other training
    speakers. No label of an evaluated speaker is used, so that a design may be chosen by this
    table; only ``test_entropy`` and ``test_largest_share`` look at the test rows, and they need no
    label. With ``partition``, on that partition, fitted on the training speakers: a result, not
    something to choose by. Of a cross-validated corpus always out of fold: there every speaker
    is evaluated, and a choice by this table is a choice on the evaluated speakers.

    Balance: entropy of the known words over the logarithm of the number of bins, mean over the
    concepts (1 is even). Information of a single token: Miller and Madow's corrected mutual
    information with the emotion, mean over the concepts. Six words together have too many
    combinations to count; what they tell jointly is bounded from below by a classifier's
    probabilities on held-out speakers, classes counted alike:

    .. math:: I \ge \log_2 K + \frac{1}{K} \sum_k \frac{1}{n_k} \sum_{i: y_i = k}
        \log_2 q(k \mid \text{tokens}_i)

    It can fall below 0 for a classifier worse than chance. Accuracy: UAR of a logistic
    regression on the six words, and of one with the same settings on all 88 functionals (centred
    alike, median imputation, standardised). Standard errors are those of the jackknife over
    speakers; they do not hold the choice of the best of many designs, and are rough below
    about ten speakers.

    Args:
        features: functionals, indexed as ``corpus.table``
        corpus: names emotion, speaker and partition or fold of each row
        partition: the partition to measure on; by default training speakers, held out
        bins: numbers of bins
        methods: ``"quantile"``, ``"width"``
        centres: ``None``, ``"speaker"``, ``"sex"``; by default all that the corpus knows
        thresholds: concept to ascending edges: adds a design ``"thresholds"`` for each centre
        concepts: the concepts to bin
        seed: of the classifiers

    Returns:
        DataFrame, one row a design (index ``design``, its name): ``bins``, ``method``, ``centre``
        (``"none"``), ``entropy``, ``largest_share`` and ``unknown_share`` (0 to 1),
        ``information`` and ``joint_information`` (bits), ``tokens_uar``, ``tokens_se``,
        ``functionals_uar``, ``functionals_se``, ``against_first`` and ``against_first_se``
        (difference in ``tokens_uar`` to the first row, with its standard error), ``agreement``
        (share of tokens that two fits with different speakers left out have in common),
        ``redundancy`` (mean absolute rank correlation between concepts' words),
        ``test_entropy``, ``test_largest_share``, ``speakers``, ``utterances`` (measured on).
        Its ``attrs["left_out"]`` maps designs that the corpus has too little for to the reason:
        of speakers with one utterance each, centring by speaker leaves nothing.

    Raises:
        InputError: if a choice is not valid, if no design can be fitted, or if there are fewer
            than two training speakers

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus = example_corpus(speakers=4, utterances=6)
        >>> corpus.table["partition"] = ["train"] * 18 + ["test"] * 6
        >>> features = pd.DataFrame({"loudness": [9.0, 0, 8, 1, 7, 2] * 4}, corpus.table.index)
        >>> loud = [Concept("energy", {"loudness": 1})]
        >>> options = {"bins": [3], "centres": [None], "concepts": loud}
        >>> table = compare_binnings(features, corpus, **options)
        >>> table.loc["3 width", ["tokens_uar", "agreement"]].tolist()
        [1.0, 1.0]
    """
    fits = DesignFits(measurable(features), corpus, tuple(concepts), seed)
    # Threads cost more than they bring to fits of this size: one is several times faster.
    with threadpool_limits(1):
        chosen = _designs(corpus, bins, methods, centres, thresholds)
        rows, left_out = _compared(fits, chosen, partition)
    table = pd.DataFrame(rows).set_index("design")
    table.attrs["left_out"] = left_out
    return table


def measure_binning(
    features: pd.DataFrame,
    corpus: Corpus,
    partition: str,
    bin_options: Mapping[str, Any],
    seed: int = 0,
) -> pd.DataFrame:
    """What one design, that of a study, gives on the evaluated partition: a result.

    Args:
        features: functionals, indexed as ``corpus.table``
        corpus: names emotion, speaker and partition or fold of each row
        partition: the evaluated partition
        bin_options: options of ``fit_bins``: ``bins``, ``method``, ``centre``, ``thresholds``
        seed: of the classifiers

    Returns:
        DataFrame of one row, as ``compare_binnings`` with ``partition`` returns it

    Raises:
        InputError: as ``compare_binnings``

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus = example_corpus(speakers=4, utterances=6)
        >>> corpus.table["partition"] = ["train"] * 18 + ["test"] * 6
        >>> used = {name: [9.0, 0, 8, 1, 7, 2] * 4 for c in CONCEPTS for name in c.functionals}
        >>> features = pd.DataFrame(used, index=corpus.table.index)
        >>> options = {"bins": 3, "method": "width", "centre": None}
        >>> measure_binning(features, corpus, "test", options)["tokens_uar"].to_dict()
        {'3 width': 1.0}
    """
    own = dict(bin_options)
    given = own["method"] == "thresholds"
    return compare_binnings(
        features,
        corpus,
        partition=partition,
        bins=[own["bins"]],
        methods=[] if given else [own["method"]],
        centres=[own.get("centre")],
        thresholds=own.get("thresholds") if given else None,
        seed=seed,
    )


def _compared(
    fits: DesignFits, chosen: Sequence[Design], partition: str | None
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """One row per design that can be fitted, and why the others cannot."""
    views = evaluated_views(fits.corpus, partition)
    rows: list[dict[str, Any]] = []
    left_out: dict[str, str] = {}
    ceilings: dict[str | None, Answers] = {}
    first: Answers | None = None
    for design in chosen:
        try:
            words = fits.words(design, views)
            answers = fits.token_answers(words, views)
            if design.centre not in ceilings:
                ceilings[design.centre] = fits.functional_answers(design.centre, views)
        # Of this package, or of scikit-learn where a view has one class alone.
        except ValueError as error:
            left_out[design.name] = str(error)
            continue
        first = first or answers
        rows.append(
            _described(design)
            | _told(fits.evaluated(words, views), fits.corpus, design.bins)
            | _accuracy(answers, first, ceilings[design.centre])
            | {"agreement": fits.agreement(design, views)}
            | (_test_balance(fits, design) if partition is None else {})
            | {"speakers": first.speakers, "utterances": first.utterances}
        )
    if not rows:
        raise InputError(next(iter(left_out.values())))
    return rows, left_out


def _test_balance(fits: DesignFits, design: Design) -> dict[str, float]:
    """Balance on the test rows, by thresholds from all training rows."""
    if fits.corpus.folds or "test" not in fits.corpus.partitions:
        return {}
    views = evaluated_views(fits.corpus, "test")
    balance = _balance(fits.evaluated(fits.words(design, views), views), design.bins)
    return {f"test_{name}": value for name, value in balance.items()}


def _described(design: Design) -> dict[str, Any]:
    return {
        "design": design.name,
        "bins": design.bins,
        "method": design.method,
        "centre": design.centre or "none",
    }


def _designs(
    corpus: Corpus,
    bins: Sequence[int],
    methods: Sequence[str],
    centres: Sequence[str | None] | None,
    thresholds: Mapping[str, Sequence[float]] | None,
) -> list[Design]:
    known = "sex" in corpus.table and corpus.table["sex"].notna().all()
    if centres is None:
        centres = [None, "speaker", *["sex"] * bool(known)]
    fitted = [method for method in methods if method != "thresholds"]
    designs = [
        Design(number, method, centre)
        for centre, number, method in product(centres, bins, fitted)
    ]  # fmt: skip
    if thresholds:
        number = 1 + len(next(iter(thresholds.values())))
        designs += [Design(number, "thresholds", centre, thresholds) for centre in centres]
    return designs


def _accuracy(own: Answers, first: Answers, ceiling: Answers) -> dict[str, float]:
    return {
        "joint_information": own.information,
        "tokens_uar": own.uar,
        "tokens_se": jackknife_error(own.uar_without_each),
        "functionals_uar": ceiling.uar,
        "functionals_se": jackknife_error(ceiling.uar_without_each),
        "against_first": own.uar - first.uar,
        "against_first_se": jackknife_error(own.uar_without_each - first.uar_without_each),
    }


def _told(tokens: pd.DataFrame, corpus: Corpus, bins: int) -> dict[str, float]:
    emotion = corpus.table.loc[tokens.index, "emotion"].astype(str)
    bits = [information_of(tokens[name].astype(str), emotion)["information"] for name in tokens]
    return {
        **_balance(tokens, bins),
        "unknown_share": float((tokens == UNKNOWN).to_numpy().mean()),
        "information": float(np.mean(bits)),
        "redundancy": _redundancy(tokens, bins),
    }


def _balance(tokens: pd.DataFrame, bins: int) -> dict[str, float]:
    """Mean normalised entropy of the known words, and the share of the fullest bin of all."""
    shares = tokens.where(tokens != UNKNOWN).apply(lambda words: words.value_counts(normalize=True))
    entropy = stats.entropy(shares.fillna(0), base=bins)
    return {"entropy": float(np.nanmean(entropy)), "largest_share": float(shares.max().max())}


def _redundancy(tokens: pd.DataFrame, bins: int) -> float:
    """Mean absolute rank correlation between the words of two concepts; NaN of a single one."""
    levels = {word: level for level, word in enumerate(WORDS[bins])}
    correlation = redundancy(tokens.apply(lambda words: words.map(levels)).astype(float))
    pairs = correlation.abs().to_numpy()[np.tril_indices(len(correlation), -1)]
    return float(np.nanmean(pairs)) if len(pairs) else np.nan
