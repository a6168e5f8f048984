"""How to bin: what each way of making tokens of the features keeps, balances and repeats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations, product
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
import scipy
from threadpoolctl import threadpool_limits

from sercue.corpora.corpus import PARTITIONS, Corpus
from sercue.errors import InputError, unknown
from sercue.notation import Form
from sercue.statistics.baselines import fit_token_classifier
from sercue.statistics.effects import Crossing, redundancy
from sercue.statistics.measures import log_probability
from sercue.tokens.binning import Binning, centred, fit_bins
from sercue.tokens.concepts import (
    UNKNOWN,
    WORDS,
    Category,
    Concept,
    Words,
    functionals_of,
    measurable,
)
from sercue.tokens.schemes import Scheme, read_scheme, shipped_schemes

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin

#: Into so many groups, at most, training speakers are divided to be held out in turn.
GROUPS = 5


def held_out_training(corpus: Corpus) -> Corpus:
    """The training speakers as a cross-validated corpus: up to five groups, held out in turn.

    Of a cross-validated corpus, that corpus itself.

    Raises:
        InputError: if there are fewer than two training speakers

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus = example_corpus(speakers=4)
        >>> corpus.table["partition"] = ["train"] * 12 + ["test"] * 4
        >>> held_out_training(corpus)
        Corpus('example': 12 utterances (3 folds), 3 speakers, labels angry, neutral)
    """
    from sklearn.model_selection import GroupKFold

    if corpus.folds:
        return corpus
    rows = corpus.rows("train")
    speakers = rows["speaker"].nunique()
    if speakers < 2:
        raise InputError(f"corpus {corpus.name!r}: found {speakers} training speakers, need 2")
    groups = GroupKFold(min(GROUPS, speakers)).split(rows, groups=rows["speaker"])
    fold = np.empty(len(rows), dtype=object)
    for number, (_, held_out) in enumerate(groups, 1):
        fold[held_out] = str(number)
    return corpus.with_table(rows.assign(partition="test", fold=fold))


def evaluated_views(corpus: Corpus, partition: str | None = None) -> dict[str, Corpus]:
    """The corpus as each fit may see it: what it trains on is "train", what it answers "test".

    Args:
        corpus: the corpus
        partition: to answer; ``None`` or ``"train"`` holds the training speakers out in turn. Of a
            cross-validated corpus every fold is held out, whatever is given here.

    Raises:
        InputError: if the partition has no row

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> list(evaluated_views(example_corpus(), "test"))
        ['test']
    """
    if partition in (None, "train") or corpus.folds:
        held_out = held_out_training(corpus)
        return {fold: held_out.in_fold(fold) for fold in held_out.folds}
    if partition not in corpus.partitions:
        raise unknown("partition", partition, corpus.partitions)
    kept = corpus.table[corpus.table["partition"].isin(["train", partition])]
    seen = np.where(kept["partition"] == "train", "train", "test")
    return {str(partition): corpus.with_table(kept.assign(partition=seen))}


@dataclass(frozen=True)
class Answers:
    """What a classifier answers to utterances that it was not fitted on.

    Attributes:
        table: one row per utterance: ``speaker``, ``truth``, ``prediction``, ``log_p`` (natural
            logarithm of the probability of the truth; minus infinity if that class was not
            in training)
    """

    table: pd.DataFrame

    @classmethod
    def of(cls, classifier: ClassifierMixin, inputs: pd.DataFrame, rows: pd.DataFrame) -> Answers:
        """The answers to ``inputs``, whose truth and speakers ``rows`` name."""
        # A probability that underflows is not impossible.
        log_p = log_probability(classifier.predict_proba(inputs), least=1e-300)
        classes = [str(name) for name in classifier.classes_]
        truth = rows["emotion"].astype(str)
        place = pd.Index(classes).get_indexer(pd.Index(truth))
        own = np.where(place >= 0, log_p[np.arange(len(rows)), place], -np.inf)
        answered = np.array(classes, dtype=object)[log_p.argmax(axis=1)]
        columns = {"speaker": rows["speaker"], "truth": truth, "prediction": answered}
        return cls(pd.DataFrame(columns).assign(log_p=own))

    @property
    def uar(self) -> float:
        """Unweighted average recall over the classes that occur."""
        correct = self.table["truth"] == self.table["prediction"]
        return float(correct.groupby(self.table["truth"].to_numpy()).mean().mean())

    @property
    def information(self) -> float:
        """A lower bound of the information with the emotion, classes counted alike, in bits."""
        by_class = self.table["log_p"].groupby(self.table["truth"].to_numpy()).mean()
        bits = np.log2(len(by_class)) + by_class.mean() / np.log(2)
        return float(bits) if np.isfinite(bits) else np.nan

    @cached_property
    def uar_without_each(self) -> np.ndarray:
        """UAR with each speaker left out, speakers in order, shape (speakers,)."""
        correct = (self.table["truth"] == self.table["prediction"]).astype(float)
        keys = [self.table[name].astype(str).to_numpy() for name in ("speaker", "truth")]
        grouped = correct.groupby(keys)
        hits, number = (
            table.unstack(fill_value=0).to_numpy(dtype=float)
            for table in (grouped.sum(), grouped.size())
        )
        left = number.sum(axis=0) - number
        recall = (hits.sum(axis=0) - hits) / np.where(left > 0, left, np.nan)
        return np.nanmean(recall, axis=1) if len(recall) > 1 else np.full(1, np.nan)


def jackknife_error(without_each: np.ndarray) -> float:
    r"""Standard error of a statistic from its values with each speaker left out.

    .. math:: \sqrt{\frac{S - 1}{S} \sum_s (t_{-s} - \bar t)^2}

    Examples:
        >>> jackknife_error(np.array([0.5, 0.7]))
        0.1
    """
    number = len(without_each)
    if number < 2:
        return np.nan
    deviation = without_each - without_each.mean()
    return round(float(np.sqrt((number - 1) / number * (deviation**2).sum())), 12)


def token_information(tokens: pd.DataFrame, corpus: Corpus) -> pd.DataFrame:
    r"""Mutual information of each concept's token with the emotion, by partition.

    Mutual information from counts is biased upwards. The Miller-Madow correction takes off

    .. math:: \frac{K_{te} - K_t - K_e + 1}{2 N \ln 2}

    bits, with :math:`K_t, K_e, K_{te}` the tokens, emotions and pairs of them that occur and
    :math:`N` utterances. The corrected value can fall below 0 where there is no information.
    Where most speakers of a partition have one class only, and fewer than ten have two or more, a
    word that tells the speaker tells the class: the corrected value is NaN there.

    Args:
        tokens: tokens, one row per utterance
        corpus: names emotion and partition of each row

    Returns:
        DataFrame, one row per concept and partition: ``concept``, ``partition``, ``utterances``,
        ``information`` (bits, corrected), ``information_plugin`` (bits, as counted), ``entropy``
        (of the tokens, in bits), ``commonest``, ``commonest_share``, ``unknown_share`` (0 to 1).
        ``unknown`` counts as a token of its own.

    References:
        Miller, "Note on the bias of information estimates" (1955)

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus = example_corpus(speakers=2, utterances=4)
        >>> tokens = pd.DataFrame({"energy": ["high", "low"] * 4}, index=corpus.table.index)
        >>> table = token_information(tokens, corpus)
        >>> table[["concept", "partition", "information_plugin", "entropy"]]
          concept partition  information_plugin  entropy
        0  energy     train                 1.0      1.0
        1  energy      test                 1.0      1.0
    """
    emotion = corpus.table.loc[tokens.index, "emotion"].astype(str)
    partitions = _partitions(tokens, corpus)
    rows = []
    for concept, (partition, index) in product(tokens, partitions):
        told = information_of(tokens[concept].loc[index].astype(str), emotion.loc[index])
        rows.append({"concept": concept, "partition": partition} | told)
    table = pd.DataFrame(rows)
    speaker = corpus.table["speaker"]
    for partition, index in partitions:
        if Crossing.of(speaker.loc[index], emotion.loc[index]).too_few:
            table.loc[table["partition"] == partition, "information"] = np.nan
    return table


def token_balance(
    tokens: pd.DataFrame, corpus: Corpus, words: Mapping[str, Words] | None = None
) -> pd.DataFrame:
    """The share of each word, concept by concept and partition by partition.

    Args:
        tokens: tokens, one row per utterance
        corpus: names the partition of each row
        words: the words of each concept, as ``Binning.words``; by default those that occur

    Returns:
        DataFrame with ``concept``, ``partition``, ``word``, ``share`` (0 to 1), ``level`` (-1, the
        lowest word, to 1; NaN of a nominal word), the words from low to high, then ``unknown``,
        which has rows where it occurs at all

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus = example_corpus(speakers=2, utterances=2)
        >>> tokens = pd.DataFrame({"pitch": ["low", "high"] * 2}, index=corpus.table.index)
        >>> token_balance(tokens, corpus, {"pitch": Words(("low", "high"))}).head(2)
          concept partition  word  share  level
        0   pitch     train   low    0.5   -1.0
        1   pitch     train  high    0.5    1.0
    """
    known = words or occurring_words(tokens)
    more = [UNKNOWN] * bool((tokens == UNKNOWN).to_numpy().any())
    rows = []
    for concept, (partition, index) in product(tokens, _partitions(tokens, corpus)):
        own, said = known[str(concept)], tokens[concept].loc[index]
        for word in [*own.known, *more]:
            level = own.levels.get(word, np.nan)
            rows.append((concept, partition, word, float((said == word).mean()), level))
    return pd.DataFrame(rows, columns=["concept", "partition", "word", "share", "level"])


def occurring_words(tokens: pd.DataFrame) -> dict[str, Words]:
    """The words that occur of each concept: of a shipped scheme as that has them, else nominal.

    Examples:
        >>> tokens = pd.DataFrame({"pitch": ["high", "unknown", "low", "very low"]})
        >>> occurring_words(tokens)["pitch"].each
        ('very low', 'low', 'mid', 'high', 'very high')
    """
    shipped = [Words(w) for w in WORDS.values()] + [
        words
        for name in shipped_schemes()
        for bins in WORDS
        for words in read_scheme(name, bins=bins).words.values()
    ]
    occurring = {}
    for concept in tokens:
        found = set(tokens[concept].astype(str)) - {UNKNOWN}
        nominal = Words(tuple(sorted(found)), ordered=False)
        occurring[str(concept)] = next((w for w in shipped if found <= set(w.known)), nominal)
    return occurring


def _partitions(tokens: pd.DataFrame, corpus: Corpus) -> list[tuple[str, pd.Index]]:
    partition = corpus.table.loc[tokens.index, "partition"]
    return [
        (name, tokens.index[partition == name]) for name in PARTITIONS if name in set(partition)
    ]


def information_of(token: pd.Series, emotion: pd.Series) -> dict[str, Any]:
    """What the words of one concept tell of the emotion; see ``token_information``.

    Args:
        token: words, one per utterance
        emotion: the emotion of each

    Returns:
        the columns of ``token_information`` but for ``concept`` and ``partition``
    """
    from sklearn.metrics import mutual_info_score

    shares = token.value_counts(normalize=True)
    plugin = mutual_info_score(token, emotion) / np.log(2)
    pairs = len(set(zip(token, emotion, strict=True)))
    excess = pairs - token.nunique() - emotion.nunique() + 1
    return {
        "utterances": len(token),
        "information": plugin - excess / (2 * len(token) * np.log(2)),
        "information_plugin": plugin,
        "entropy": float(scipy.stats.entropy(shares, base=2)),
        "commonest": shares.index[0],
        "commonest_share": float(shares.iloc[0]),
        "unknown_share": float((token == UNKNOWN).mean()),
    }


def threshold_stability(features: pd.DataFrame, corpus: Corpus, **fit_options: Any) -> pd.DataFrame:
    """How far thresholds and test tokens move when one training speaker is left out.

    Of a cross-validated corpus a fold is left out instead, and all rows are tokens of the test.

    Args:
        features: functionals, indexed as ``corpus.table``
        corpus: names the training speakers, or the folds, and the test rows
        **fit_options: options of ``fit_bins``

    Returns:
        DataFrame, one row per left-out speaker or fold and concept, first ``"nobody"`` (the fit to
        all): ``left_out``, ``concept``, ``sex`` (empty where edges are those of all: a concept
        whose edges differ has a row for each), ``threshold_1`` ... (inner edges, in units of the
        concept score of that fit; NaN of a nominal concept), ``changed`` (share of the concept's
        test tokens that differ from the fit to all, 0 to 1)

    Raises:
        InputError: if there are fewer than two training speakers

    Examples:
        >>> from sercue.tokens.concepts import Concept
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus = example_corpus(speakers=3, utterances=3)
        >>> corpus.table["partition"] = ["train"] * 6 + ["test"] * 3
        >>> features = pd.DataFrame({"loudness": [0, 1, 2, 6, 7, 8, 1, 4, 7]}, corpus.table.index)
        >>> loud = [Concept("energy", {"loudness": 1})]
        >>> table = threshold_stability(features, corpus, concepts=loud)
        >>> table[["left_out", "changed"]].round(2)
          left_out  changed
        0   nobody     0.00
        1       s0     0.67
        2       s1     0.67
    """
    features, corpus = _numbered(features, corpus)
    table, test = corpus.table, corpus.rows("test").index
    if corpus.folds:
        parts = {"nobody": corpus.with_table(table.assign(partition="train"))}
        parts |= {fold: corpus.in_fold(fold) for fold in corpus.folds}
    else:
        parts, train = {"nobody": corpus}, table["partition"] == "train"
        speakers = sorted(table.loc[train, "speaker"].unique())
        if (found := len(speakers)) < 2:
            raise InputError(f"corpus {corpus.name!r}: found {found} training speakers, need 2")
        for speaker in speakers:
            parts[speaker] = corpus.with_table(table[~train | (table["speaker"] != speaker)])
    fits = {
        name: cast(Binning, fit_bins(features.loc[part.table.index], part, **fit_options))
        for name, part in parts.items()
    }
    reference = fits["nobody"].transform(features, corpus).loc[test]
    rows = []
    for left_out, binning in fits.items():
        changed = (binning.transform(features, corpus).loc[test] != reference).mean()
        for concept, share in changed.items():
            nominal = concept not in binning.thresholds
            for sex, edges in [("", ())] if nominal else binning.edges(str(concept)):
                inner = {f"threshold_{number}": edge for number, edge in enumerate(edges, 1)}
                row = {"left_out": left_out, "concept": concept, "sex": sex}
                rows.append(row | inner | {"changed": float(share)})
    return pd.DataFrame(rows)


def _numbered(features: pd.DataFrame, corpus: Corpus) -> tuple[pd.DataFrame, Corpus]:
    """Both with numbered rows: by file, start and end they are found at a multiple of the time."""
    rows = features.loc[corpus.table.index].reset_index(drop=True)
    return rows, replace(corpus, table=corpus.table.reset_index(drop=True))


@dataclass(frozen=True, eq=False)
class Design:
    """One way to make tokens.

    Attributes:
        concepts: the concepts, with this number of bins
        bins: number of bins of ordinal concepts
        method: of ``fit_bins``
        centre: of ``fit_bins``
        thresholds: of ``fit_bins``
        standardise: of ``fit_bins``
        scheme: name of another scheme that it is of
        variant: what else is different from the scheme
    """

    concepts: tuple[Concept | Category, ...]
    bins: int
    method: str = "quantile"
    centre: str | None = None
    thresholds: Mapping[str, Sequence[float]] | None = None
    standardise: str = "robust"
    scheme: str = ""
    variant: str = ""

    @property
    def name(self) -> str:
        """As tables and figures call it.

        Examples:
            >>> Design((), 3, centre="speaker").name, Design((), 5, scheme="paper").name
            ('3 quantile, centred by speaker', 'paper: 5 quantile')
        """
        return (
            (f"{self.scheme}: " if self.scheme else "")
            + f"{self.bins} {self.method}"
            + (f", centred by {self.centre}" if self.centre else "")
            + (f", {self.variant}" if self.variant else "")
        )


@dataclass(frozen=True)
class DesignFits:
    """What all designs are fitted to.

    A view is a corpus with what a fit may see in "train" and what it is measured on in "test".
    """

    features: pd.DataFrame
    corpus: Corpus
    seed: int

    def tokens(self, design: Design, fitted_on: Corpus, view: Corpus) -> pd.DataFrame:
        """The words of all rows of a view, by thresholds from the training rows of another one."""
        columns = dict.fromkeys(c for concept in design.concepts for c in concept.columns)
        used = [c for c in columns if c in self.features]
        binning = fit_bins(
            self.features.loc[fitted_on.table.index, used], fitted_on, concepts=design.concepts,
            method=design.method, thresholds=design.thresholds, centre=design.centre,
            standardise=design.standardise,
        )  # fmt: skip
        # A view has training rows, and so it is not cross-validated.
        rows = self.features.loc[view.table.index, used]
        return cast(Binning, binning).transform(rows, view)

    def words(self, design: Design, views: Mapping[str, Corpus]) -> dict[str, pd.DataFrame]:
        """The words of all rows of each view, by thresholds from its training rows."""
        return {name: self.tokens(design, view, view) for name, view in views.items()}

    def evaluated(
        self, words: Mapping[str, pd.DataFrame], views: Mapping[str, Corpus]
    ) -> pd.DataFrame:
        """The words of what is measured on, each row once."""
        return pd.concat([words[name].loc[view.rows("test").index] for name, view in views.items()])

    def token_answers(
        self, words: Mapping[str, pd.DataFrame], views: Mapping[str, Corpus]
    ) -> Answers:
        """What a logistic regression on the words answers in each view."""
        parts = []
        for name, view in views.items():
            rows = view.rows("test")
            classifier = fit_token_classifier(words[name], view, calibrated=False)
            parts.append(Answers.of(classifier, words[name].loc[rows.index], rows).table)
        return Answers(pd.concat(parts))

    def functional_answers(self, centre: str | None, views: Mapping[str, Corpus]) -> Answers:
        """What one on all functionals answers, centred as the words are."""
        from sklearn.impute import SimpleImputer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        parts = []
        for view in views.values():
            functionals = functionals_of(self.features.loc[view.table.index])
            values, rows = centred(functionals, view, centre), view.table
            training = rows["partition"] == "train"
            classifier = make_pipeline(
                SimpleImputer(strategy="median", keep_empty_features=True),
                StandardScaler(),
                LogisticRegression(class_weight="balanced", max_iter=2000, random_state=self.seed),
            )
            classifier.fit(values[training], rows.loc[training, "emotion"])
            parts.append(Answers.of(classifier, values[~training], rows[~training]).table)
        return Answers(pd.concat(parts))

    def agreement(
        self, design: Design, words: Mapping[str, pd.DataFrame], views: Mapping[str, Corpus]
    ) -> float:
        """Share of words that two fits have in common, mean over pairs of left-out groups.

        NaN of a single training speaker, of whom no group can be left out.
        """
        each = list(words.values())
        # Several views hold out the very groups; every one of them holds all rows measured on.
        if len(each) == 1:
            if self.corpus.rows("train")["speaker"].nunique() < 2:
                return np.nan
            (view,) = views.values()
            parts = evaluated_views(self.corpus).values()
            each = [self.tokens(design, part, view) for part in parts]
        measured = pd.concat([view.rows("test") for view in views.values()]).index
        arrays = [table.loc[measured].to_numpy() for table in each]
        return float(np.mean([(a == b).mean() for a, b in combinations(arrays, 2)]))


def compare_binnings(
    features: pd.DataFrame,
    corpus: Corpus,
    *,
    partition: str | None = None,
    bins: Sequence[int] | None = None,
    methods: Sequence[str] = ("quantile", "width"),
    centres: Sequence[str | None] | None = None,
    thresholds: Mapping[str, Sequence[float]] | None = None,
    scheme: Scheme | None = None,
    others: Sequence[Scheme] = (),
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
    regression on the words, and of one with the same settings on all 88 functionals (centred
    alike, median imputation, standardised). Standard errors are those of the jackknife over
    speakers; they do not hold the choice of the best of many designs, and are rough below
    about ten speakers.

    Args:
        features: functionals and means of descriptors, indexed as ``corpus.table``
        corpus: names emotion, speaker and partition or fold of each row
        partition: the partition to measure on; by default training speakers, held out
        bins: numbers of bins; by default that of the scheme, then the other
        methods: ``"quantile"``, ``"width"``
        centres: ``None``, ``"speaker"``, ``"sex"``; by default all that the corpus knows
        thresholds: concept to ascending edges: adds a design ``"thresholds"`` for each centre
        scheme: whose concepts are binned, ``paper`` by default. Where it has edges of each sex, a
            design with the same edges for both sexes is added.
        others: further schemes, each with its own bins at quantiles, to compare with
        seed: of the classifiers

    Returns:
        DataFrame, one row per design (index ``design``, its name): ``bins``, ``method``, ``centre``
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
        >>> loud = Scheme("loud", (Concept("energy", {"loudness": 1}),))
        >>> options = {"bins": [3], "centres": [None], "scheme": loud}
        >>> table = compare_binnings(features, corpus, **options)
        >>> table.loc["3 width", ["tokens_uar", "agreement"]].tolist()
        [1.0, 1.0]
    """
    fits = DesignFits(*_numbered(measurable(features), corpus), seed)
    # Threads cost more than they bring to fits of this size: one is several times faster.
    with threadpool_limits(1):
        own = scheme or read_scheme()
        ordinal = [concept for concept in own.concepts if isinstance(concept, Concept)]
        known = [n for n in WORDS if all(n in concept.scales for concept in ordinal)]
        numbers = dict.fromkeys([own.bins, *known]) if bins is None else bins
        chosen = _designs(corpus, own, others, list(numbers), methods, centres, thresholds)
        rows, left_out = _compared(fits, chosen, partition)
    table = pd.DataFrame(rows).set_index("design")
    table.attrs["left_out"] = left_out
    return table


def measure_binning(
    features: pd.DataFrame,
    corpus: Corpus,
    partition: str,
    scheme: Scheme,
    *,
    method: str = "quantile",
    centre: str | None = None,
    thresholds: Mapping[str, Sequence[float]] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """What one design, that of a study, gives on the evaluated partition: a result.

    Args:
        features: functionals and means of descriptors, indexed as ``corpus.table``
        corpus: names emotion, speaker and partition or fold of each row
        partition: the evaluated partition
        scheme: whose concepts are binned, with its number of bins
        method: of ``fit_bins``
        centre: of ``fit_bins``
        thresholds: of ``fit_bins``
        seed: of the classifiers

    Returns:
        DataFrame of one row, as ``compare_binnings`` with ``partition`` returns it

    Raises:
        InputError: as ``compare_binnings``

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus = example_corpus(speakers=4, utterances=6)
        >>> corpus.table["partition"] = ["train"] * 18 + ["test"] * 6
        >>> features = pd.DataFrame({"loudness": [9.0, 0, 8, 1, 7, 2] * 4}, corpus.table.index)
        >>> loud = Scheme("loud", (Concept("energy", {"loudness": 1}),))
        >>> measure_binning(features, corpus, "test", loud, method="width")["tokens_uar"].to_dict()
        {'3 width': 1.0}
    """
    own = Design(scheme.concepts, scheme.bins, method, centre, thresholds, scheme.standardise)
    fits = DesignFits(*_numbered(measurable(features), corpus), seed)
    with threadpool_limits(1):
        rows, _ = _compared(fits, [own], partition)
    return pd.DataFrame(rows).set_index("design")


def _compared(
    fits: DesignFits, chosen: Sequence[Design], partition: str | None
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """One row per design that can be fitted, and why the others cannot."""
    views, tested = evaluated_views(fits.corpus, partition), dict[str, Corpus]()
    if partition is None and not fits.corpus.folds and "test" in fits.corpus.partitions:
        tested = evaluated_views(fits.corpus, "test")
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
        known = {concept.name: concept.words for concept in design.concepts}
        row: dict[str, Any] = {"design": design.name, "bins": design.bins, "method": design.method}
        row["centre"] = design.centre or "none"
        row |= _told(fits.evaluated(words, views), fits.corpus, known)
        row |= _accuracy(answers, first, ceilings[design.centre])
        row["agreement"] = fits.agreement(design, words, views)
        if tested:
            # By thresholds from all training rows.
            balance = _balance(fits.evaluated(fits.words(design, tested), tested), known)
            row |= {f"test_{name}": value for name, value in balance.items()}
        row |= {"speakers": first.table["speaker"].nunique(), "utterances": len(first.table)}
        rows.append(row)
    if not rows:
        raise InputError(next(iter(left_out.values())))
    return rows, left_out


def _designs(
    corpus: Corpus,
    scheme: Scheme,
    others: Sequence[Scheme],
    bins: Sequence[int],
    methods: Sequence[str],
    centres: Sequence[str | None] | None,
    thresholds: Mapping[str, Sequence[float]] | None,
) -> list[Design]:
    known = "sex" in corpus.table and corpus.table["sex"].notna().all()
    if centres is None:
        centres = [None, "speaker", *["sex"] * bool(known)]
    of_bins = {n: tuple(concept.with_bins(n) for concept in scheme.concepts) for n in bins}
    designs = [
        Design(of_bins[number], number, method, centre, standardise=scheme.standardise)
        for centre, number, method in product(centres, bins, methods)
    ]  # fmt: skip
    fixed = scheme.bins, "quantile", None, None, scheme.standardise, ""
    if known and not corpus.children and any(concept.by_sex for concept in scheme.concepts):
        pooled = tuple(replace(concept, by_sex=False) for concept in scheme.concepts)
        designs.append(Design(pooled, *fixed, "same edges for both sexes"))
    nominal = [concept.name for concept in scheme.concepts if isinstance(concept, Category)]
    if nominal and len(nominal) < len(scheme.concepts):
        ordinal = tuple(concept for concept in scheme.concepts if concept.name not in nominal)
        designs.append(Design(ordinal, *fixed, f"without {' and '.join(nominal)}"))
    if thresholds:
        number = 1 + len(next(iter(thresholds.values())))
        given = tuple(concept.with_bins(number) for concept in scheme.concepts)
        designs += [
            Design(given, number, "thresholds", centre, thresholds, scheme.standardise)
            for centre in centres
        ]
    return designs + [
        Design(other.concepts, other.bins, standardise=other.standardise, scheme=other.name)
        for other in others
    ]


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


def _told(tokens: pd.DataFrame, corpus: Corpus, words: Mapping[str, Words]) -> dict[str, float]:
    rows = corpus.table.loc[tokens.index]
    emotion = rows["emotion"].astype(str)
    bits = [information_of(tokens[name].astype(str), emotion)["information"] for name in tokens]
    if Crossing.of(rows["speaker"], emotion).too_few:
        bits = [np.nan]
    levels = {
        name: tokens[name].map(words[str(name)].levels).astype(float)
        for name in tokens
        if words[str(name)].ordered
    }
    correlation = redundancy(pd.DataFrame(levels, tokens.index))
    pairs = correlation.abs().to_numpy()[np.tril_indices(len(correlation), -1)]
    return {
        **_balance(tokens, words),
        "unknown_share": float((tokens == UNKNOWN).to_numpy().mean()),
        "information": float(np.mean(bits)),
        "redundancy": float(np.nanmean(pairs)) if len(pairs) else np.nan,
    }


def _balance(tokens: pd.DataFrame, words: Mapping[str, Words]) -> dict[str, float]:
    """Mean normalised entropy of the known words, and the share of the fullest bin of all."""
    known = tokens.where(tokens != UNKNOWN)
    shares = {name: known[name].value_counts(normalize=True) for name in known}
    entropy = [
        scipy.stats.entropy(share, base=len(words[str(name)].known)) if len(share) else np.nan
        for name, share in shares.items()
    ]
    largest = max((float(share.max()) for share in shares.values() if len(share)), default=np.nan)
    return {"entropy": float(np.nanmean(entropy)), "largest_share": largest}


def readable_designs(designs: pd.DataFrame) -> pd.DataFrame:
    """The table of designs as a report prints it: eight narrow columns.

    Args:
        designs: as ``compare_binnings`` or ``measure_binning`` returns them

    Returns:
        DataFrame of text: ``words`` and ``ceiling`` (UAR of the words and of all functionals),
        ``gain`` (in UAR of the words over the first design), each with its standard error;
        ``bits`` (of all words together; the mean of one word in brackets), ``balance`` and
        ``fullest`` (share of the fullest bin; on the test speakers in brackets, where known),
        ``stable`` (agreement), ``overlap`` (redundancy)

    Examples:
        >>> row = {"tokens_uar": 0.5, "tokens_se": 0.04, "functionals_uar": 0.7, "information": 0.2}
        >>> row |= {"functionals_se": 0.1, "against_first": -0.1, "against_first_se": 0.02}
        >>> row |= {"joint_information": 1, "entropy": 1, "largest_share": 0.4, "agreement": 0.9}
        >>> table = readable_designs(pd.DataFrame([row | {"redundancy": 0.3}], index=["3 width"]))
        >>> table.loc["3 width", ["words", "gain", "balance"]].tolist()
        ['.50 ± .04', '−.10 ± .02', '1.00']
    """
    return pd.DataFrame(
        {
            "words": _joined(designs, "tokens_uar", "tokens_se", " ± {}"),
            "ceiling": _joined(designs, "functionals_uar", "functionals_se", " ± {}"),
            "gain": _joined(designs, "against_first", "against_first_se", " ± {}"),
            "bits": _joined(designs, "joint_information", "information", " ({})", zero=True),
            "balance": _joined(designs, "entropy", "test_entropy", " ({})"),
            "fullest": _joined(designs, "largest_share", "test_largest_share", " ({})"),
            "stable": _joined(designs, "agreement"),
            "overlap": _joined(designs, "redundancy"),
        }
    )


def _joined(
    table: pd.DataFrame, first: str, second: str = "", more: str = "", *, zero: bool = False
) -> pd.Series:
    """One number or two in a cell; the second is left out where it is not known."""
    written = Form(2, zero).of
    text = table[first].map(written)
    if second not in table:
        return text
    added = table[second].map(lambda value: more.format(written(value)))
    return text + added.where(table[second].notna(), "")
