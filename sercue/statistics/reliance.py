"""How much of a model's choice is the audio, and how much the tokens that it was shown.

The evidence of both for each label, and a conditional logit of the model's choices on it. Weights
are found by Newton's method; their covariance comes from the speakers, not from the rows, since
answers about one speaker are not independent of each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import scipy

from sercue.corpora.corpus import Corpus, utterance_ids
from sercue.errors import InputError, unknown
from sercue.statistics.baselines import fit_token_classifier, left_out_classifiers
from sercue.statistics.measures import (
    CELL,
    check_columns,
    check_predictions,
    label_codes,
    log_probability,
)
from sercue.statistics.resampling import check_confidence
from sercue.statistics.speakers import fieller
from sercue.tokens.catalogue import condition_facts
from sercue.tokens.concepts import UNKNOWN

if TYPE_CHECKING:
    from sercue.settings import Settings

BASELINE = "none"
RESPONSES = ("choice", "probability")
_SOURCES = ("audio", "tokens")
_WEIGHTS = ("w_audio", "w_cue")
# Part of a speaker in the information from which the others are taken to hold none.
_WHOLE = 1 - 1e-9
# Of the degrees of freedom alone. With 0 they come out too high where speakers differ in size; with
# 1 and more the intervals of few such speakers get needlessly wide.
_DIFFERING = 0.5
_ITERATIONS = 100
_TOLERANCE = 1e-10
# Information, in parts of that at equal probabilities, below which no finite weights are near: a
# single answer against them would leave more, and probabilities end at 1e-12.
_VANISHED = 1e-13
_ALL = slice(None)
# Most groups of training speakers that are left out of the token classifier.
_GROUPS = 20
# Evidence that varies less than this between labels or rows is rounding, not evidence.
_NOTHING = 1e-9
# Squared correlation above which two predictors are one.
_ONE_PREDICTOR = 1 - 1e-8


@dataclass(frozen=True, eq=False)
class Evidence:
    """What audio and tokens say of each label, and how far training speakers decide the latter.

    Attributes:
        table: the predictions under all conditions but ``none``, with ``audio_<label>`` and
            ``tokens_<label>``, see ``label_evidence``
        shown: of each row of ``table``, the number of the words that it was shown, shape (rows,)
        left_out: log-probability of each label by the classifiers that lack one group of training
            speakers each, shape (groups, words shown, labels); NaN where such a one cannot be
            fitted
        groups: training speaker to number of its group
    """

    table: pd.DataFrame
    shown: np.ndarray
    left_out: np.ndarray
    groups: Mapping[str, int]


def label_evidence(
    predictions: pd.DataFrame,
    corpus: Corpus,
    tokens: pd.DataFrame | Mapping[str, pd.DataFrame],
    *,
    cell: Sequence[str] = CELL,
) -> Evidence:
    r"""Log-probability of each label by the audio alone and by the tokens shown alone.

    - ``audio_<label>``: :math:`\log p(\text{label} \mid \text{audio})`, the model's own answer to
      the same utterance, template and label order under ``none``
    - ``tokens_<label>``: :math:`\log p(\text{label} \mid \text{tokens shown})` of
      ``fit_token_classifier``, fitted on the true tokens of training utterances. Where only some
      concepts are shown it is fitted on these alone, with the C that was chosen for all;
      ``unknown`` counts as not shown. Where none is left, all labels are equally probable.

    Of a cross-validated corpus, the classifier of an utterance is fitted on all other folds.
    Probabilities below 1e-12 are taken as 1e-12.

    Args:
        predictions: as ``run_study`` returns them, decoding ``"score"``, ``none`` among the
            conditions
        corpus: names the training rows
        tokens: true tokens, indexed as ``corpus.table``; of a cross-validated corpus it may be a
            mapping from fold to the tokens by the thresholds that have not seen that fold
        cell: the columns that an answer shares with its counterpart under ``none``; with answers of
            several models that which names them, too

    Returns:
        the rows of ``predictions`` under all other conditions, with these columns added, and the
        same evidence of classifiers fitted without some training speakers (up to 20 groups)

    Raises:
        InputError: if there are no probabilities of labels, no ``none`` or nothing else, an answer
            without its audio-only counterpart

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus = example_corpus(speakers=3, utterances=4)
        >>> tokens = pd.DataFrame({"energy": ["high", "low"] * 6}, index=corpus.table.index)
        >>> answers = {"p_angry": [0.6, 0.9], "p_neutral": [0.4, 0.1], "prediction": "angry"}
        >>> rows = pd.DataFrame({"condition": ["none", "aligned"], **answers}).assign(
        ...     utterance="s2_0.wav", speaker="s2", truth="angry", template="plain",
        ...     label_order=0, decoding="score", shown_energy=[None, "high"])
        >>> label_evidence(rows, corpus, tokens).table.iloc[:, -4:].round(2)
           audio_angry  audio_neutral  tokens_angry  tokens_neutral
        1        -0.51          -0.92         -0.41           -1.09
    """
    scored = _scored(predictions, corpus.labels)
    changed = scored[scored["condition"] != BASELINE]
    if changed.empty:
        raise InputError(f"conditions: found {BASELINE!r} alone; reliance needs changed tokens")
    keys, columns = list(cell), [f"p_{label}" for label in corpus.labels]
    alone = scored[scored["condition"] == BASELINE].drop_duplicates(keys).set_index(keys)
    place = alone.index.get_indexer(pd.MultiIndex.from_frame(changed[keys]))
    if (place < 0).any():
        raise InputError(
            f"predictions: {(place < 0).sum()} of {len(place)} answers have none of the same "
            f"utterance, template, label order and decoding under condition {BASELINE!r}"
        )
    audio = log_probability(alone[columns].to_numpy(dtype=float)[place])
    first = tokens if isinstance(tokens, pd.DataFrame) else next(iter(tokens.values()))
    shown = shown_tokens(changed, [str(concept) for concept in first])
    # Of all speakers that some classifier is trained on, groups of much the same size.
    rows = corpus.table if corpus.folds else corpus.rows("train")
    speakers = rows["speaker"].astype(str).value_counts().index
    groups = {speaker: place % _GROUPS for place, speaker in enumerate(speakers)}
    message, said = _token_evidence(shown, changed["utterance"], corpus, tokens, groups)
    table = changed.assign(
        **{f"audio_{label}": audio[:, k] for k, label in enumerate(corpus.labels)},
        **{f"tokens_{label}": said[0, message, k] for k, label in enumerate(corpus.labels)},
    )
    return Evidence(table, message, said[1:], groups)


def shown_tokens(predictions: pd.DataFrame, concepts: Sequence[str]) -> pd.DataFrame:
    """The tokens that prompts showed.

    Args:
        predictions: with a column ``shown_<concept>`` for each concept
        concepts: names of the concepts

    Returns:
        DataFrame of words, indexed as ``predictions``, one column per concept; a concept that was
        not shown is ``unknown``

    Raises:
        InputError: naming the columns that are missing

    Examples:
        >>> rows = pd.DataFrame({"shown_energy": ["low", None], "shown_pitch": ["mid", "high"]})
        >>> shown_tokens(rows, ["energy", "pitch"]).values.tolist()
        [['low', 'mid'], ['unknown', 'high']]
    """
    columns = {f"shown_{concept}": concept for concept in concepts}
    check_columns(predictions, columns)
    words = predictions[list(columns)].astype(object)
    return words.where(words.notna(), UNKNOWN).rename(columns=columns)


def _scored(predictions: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """The rows with a probability of each label."""
    check_predictions(predictions)
    check_columns(predictions, CELL)
    columns = [f"p_{label}" for label in labels]
    there = [column for column in columns if column in predictions]
    known = predictions[there].notna().all(axis=1)
    if len(there) < len(columns) or not known.any():
        found = ", ".join(map(str, predictions["decoding"].unique()))
        raise InputError(
            f"decoding: found {found}, whose answers have no probability of each label; "
            "reliance needs decoding 'score'"
        )
    return predictions[known]


def _token_evidence(
    shown: pd.DataFrame,
    utterance: pd.Series,
    corpus: Corpus,
    tokens: pd.DataFrame | Mapping[str, pd.DataFrame],
    groups: Mapping[str, int],
) -> tuple[np.ndarray, np.ndarray]:
    """Number of the words that each row shows, and what classifiers say of them.

    Returns:
        shape (rows,), and (1 + groups, words shown, labels): the classifier of all training
        speakers first
    """
    message, said = np.empty(len(shown), dtype=int), list[np.ndarray]()
    views: list[tuple[str, Corpus]] = [("", corpus)]
    own = np.full(len(shown), "", dtype=object)
    if corpus.folds:
        fold = pd.Series(corpus.table["fold"].to_numpy(), utterance_ids(corpus.table.index))
        own = utterance.map(fold).to_numpy()
        views = [(name, corpus.in_fold(name)) for name in corpus.folds]
    for name, view in views:
        rows = np.flatnonzero(own == name)
        if not len(rows):
            continue
        if not isinstance(tokens, pd.DataFrame) and name not in tokens:
            raise unknown("fold of tokens", name, tokens)
        own_tokens = tokens if isinstance(tokens, pd.DataFrame) else tokens[name]
        words = shown.iloc[rows]
        different = words.drop_duplicates()
        place = pd.MultiIndex.from_frame(different).get_indexer(pd.MultiIndex.from_frame(words))
        message[rows] = sum(part.shape[1] for part in said) + place
        said.append(_said_of_words(different, own_tokens, view, groups))
    return message, np.concatenate(said, axis=1)


def _said_of_words(
    words: pd.DataFrame, tokens: pd.DataFrame, corpus: Corpus, groups: Mapping[str, int]
) -> np.ndarray:
    """What classifiers of the concepts that are visible say, shape (1 + groups, words, labels)."""
    members = [
        [speaker for speaker, of in groups.items() if of == number]
        for number in range(max(groups.values(), default=-1) + 1)
    ]
    labels = corpus.labels
    said = np.full((1 + len(members), len(words), len(labels)), -np.log(len(labels)))
    chosen = fit_token_classifier(tokens, corpus)
    lacking = sorted(set(labels) - set(chosen.classes_))
    if lacking:
        raise InputError(
            f"corpus {corpus.name!r}: no training utterance of {', '.join(lacking)}; what tokens "
            "say of a label is learnt from such"
        )
    order = [list(chosen.classes_).index(label) for label in labels]
    visible = (words != UNKNOWN).reset_index(drop=True)
    for pattern, places in visible.groupby(list(visible)).indices.items():
        flags = pattern if isinstance(pattern, tuple) else (pattern,)
        concepts = [c for c, seen in zip(visible, flags, strict=True) if seen]
        if not concepts:
            continue
        own, whole = tokens[concepts], chosen
        if len(concepts) < len(words.columns):
            whole = fit_token_classifier(own, corpus, complexities=[chosen[-1].C])
        indicators = whole[0].transform(words[concepts].iloc[places])
        others = left_out_classifiers(whole, own, corpus, members)
        for number, classifier in enumerate([whole[-1], *others]):
            said[number, places] = (
                np.nan
                if classifier is None
                else log_probability(classifier.predict_proba(indicators)[:, order])
            )
    return said


def reliance(
    evidence: Evidence | pd.DataFrame,
    labels: Sequence[str],
    *,
    response: str = "choice",
    confidence: float = 0.95,
) -> pd.DataFrame:
    r"""Weights of audio and tokens in the model's answers, and the share of the tokens.

    The model answers label k of row i as if drawn with probability

    .. math:: p_{ik} \propto \exp\bigl(a_k + w_\text{audio} \log p(k \mid \text{audio}_i)
        + w_\text{cue} \log p(k \mid \text{tokens}_i)\bigr)

    (a conditional logit), and the reliance on cues is
    :math:`w_\text{cue} / (w_\text{audio} + w_\text{cue})`: 0 if the content of the tokens has no
    effect, 1 if the audio has none. Weights (1, 1) are the product of both sources, as in Bayes'
    rule for classes of equal prior probability. The intercepts :math:`a_k` take up what a token
    block adds to a label regardless of its content. ``"choice"`` explains the label that was
    answered; ``"probability"`` explains the probabilities of all labels, which also works where the
    answers alone leave the weights unbounded (separation), as for a model that ignores the tokens.

    Intervals are clustered by speaker (a bias-corrected covariance and Student's t on
    Satterthwaite's degrees of freedom, see ``fit_choices``; Fieller's interval for the share). With
    ``Evidence`` they hold the error of the token classifier, too, by a jackknife over training
    speakers. Of a table alone, what its columns say counts as known without error: in simulations
    with differing, unbalanced speakers intervals then cover 94 to 96 % at the nominal 95 %, with 8
    as with 24 and 51 speakers (``tests/calibration/RESULTS.md``).

    What it assumes, and where it fails:

    - Evidence counts in log-odds, and alike for all labels. Weights are averages over speakers
      that lean on either source to a differing degree.
    - The unit of both weights is a nat of calibrated evidence: the classifier's probabilities are
      calibrated on held-out speakers, but a model's own answer to the audio is taken as it is. A
      model whose answer to the audio alone is timid has a larger ``w_audio`` for the same
      behaviour; compare models by their ordering, not to the third decimal.
    - It is relative to the evidence that the token-only classifier finds, and to the prompts:
      shares of other corpora, token schemes, conditions or wordings are not comparable. What
      tokens tell beyond that is left to the error.
    - A classifier of few utterances extracts less than the words contain, so that ``w_cue`` is too
      large: in a simulation .64 and .52 for .45, with 160 and 480 training utterances of weakly
      informative words. The jackknife errs on the side of wide intervals there.
    - For a model whose answers vary at random from prompt to prompt, the evidence of the audio is
      measured with error, which true tokens then seem to explain: a model that ignores every word,
      its answers drawn anew under each condition, had a share of .09 in a simulation. Whether
      content is used at all is shown by the contrasts between blocks of tokens, not by the share.
    - A label that is never answered is left out: its intercept has no lower bound.
    - A negative weight puts the share outside 0 to 1: it is no proportion there.

    Args:
        evidence: as ``label_evidence`` returns it, or its table alone
        labels: the classes
        response: ``"choice"`` or ``"probability"``
        confidence: coverage that the intervals aim at, between 0 and 1

    Returns:
        DataFrame, one row per group of answers: ``by`` (``all``, ``condition`` or ``truth``) and
        ``group`` (family of conditions without its bracket; true class), ``rows``,
        ``utterances``, ``speakers``; ``w_audio``, ``w_audio_low``, ``w_audio_high`` and the same
        of ``w_cue``; ``share``, ``low``, ``high``; ``reason``: why something is NaN, else empty

    Raises:
        InputError: if ``response`` or ``confidence`` is not valid, or a column is missing

    References:
        McFadden, "Conditional logit analysis of qualitative choice behavior" (1974); Fieller,
        J. R. Statist. Soc. B 16 (1954)

    Examples:
        >>> evidence = example_evidence(w_audio=1.0, w_cue=0.5)
        >>> table = reliance(evidence, ["angry", "neutral", "sad"])
        >>> table[["by", "group", "w_audio", "w_cue", "share", "low", "high"]].round(2).head(3)
                  by     group  w_audio  w_cue  share   low  high
        0        all       all     1.02   0.48   0.32  0.26  0.38
        1  condition   aligned     1.06   0.48   0.31  0.17  0.42
        2  condition  shuffled     0.98   0.46   0.32  0.27  0.37
    """
    if response not in RESPONSES:
        raise unknown("response", response, RESPONSES)
    check_confidence(confidence)
    table = evidence.table if isinstance(evidence, Evidence) else evidence
    rows = []
    for by, group, kept in _groups(table, labels):
        fit = fit_evidence(evidence, labels, response=response, rows=kept)
        row: dict[str, float | int | str] = {"by": by, "group": group, "rows": len(kept)}
        row["utterances"] = table["utterance"].iloc[kept].nunique()
        row["speakers"] = fit.speakers
        around = t_quantile(fit.df, confidence) * np.sqrt(np.diag(fit.covariance))
        for place, name in enumerate(_WEIGHTS):
            weight, reach = float(fit.weights[place]), float(around[place])
            row |= {name: weight, f"{name}_low": weight - reach, f"{name}_high": weight + reach}
        row["share"], row["low"], row["high"] = share_interval(fit, confidence)
        row["reason"] = fit.reason
        if np.isnan(row["low"]) and not fit.reason:
            row["reason"] = "w_audio + w_cue is too uncertain for an interval of the share"
        rows.append(row)
    return pd.DataFrame(rows)


def fit_evidence(
    evidence: Evidence | pd.DataFrame,
    labels: Sequence[str],
    *,
    response: str = "choice",
    rows: np.ndarray | slice = _ALL,
) -> ChoiceFit:
    """The conditional logit of ``reliance`` of some of the answers.

    Args:
        evidence: as ``label_evidence`` returns it, or its table alone
        labels: the classes
        response: ``"choice"`` or ``"probability"``
        rows: places of the answers; by default all
    """
    part = (evidence.table if isinstance(evidence, Evidence) else evidence).iloc[rows]
    names = {source: [f"{source}_{label}" for label in labels] for source in _SOURCES}
    answers = [f"p_{label}" for label in labels] if response == "probability" else ["prediction"]
    columns = [*names["audio"], *names["tokens"], *answers, "utterance", "speaker", "condition"]
    check_columns(part, columns, "evidence")
    if part.empty:
        raise InputError("evidence: found no row, at least one is needed")
    predictors = np.stack([part[names[s]].to_numpy(dtype=float) for s in _SOURCES], axis=2)
    if response == "probability":
        chosen = part[answers].to_numpy(dtype=float)
    else:
        chosen = np.eye(len(labels))[label_codes(part["prediction"], labels, "prediction")]
    speakers = part["speaker"].to_numpy()
    if not isinstance(evidence, Evidence):
        return fit_choices(predictors, chosen, speakers)
    shown = evidence.shown[rows]
    left_out = (said[shown] for said in evidence.left_out)
    return fit_choices(predictors, chosen, speakers, left_out=left_out, groups=evidence.groups)


def example_evidence(
    w_audio: float, w_cue: float, *, speakers: int = 12, utterances: int = 40, seed: int = 0
) -> pd.DataFrame:
    """Simulated evidence and choices of known weights, for examples and tests.

    Args:
        w_audio: weight of the audio
        w_cue: weight of the tokens
        speakers: number of speakers
        utterances: utterances of each speaker, each under ``aligned`` and ``shuffled``
        seed: of all random numbers

    Returns:
        DataFrame shaped as ``label_evidence`` returns it, labels angry, neutral and sad
    """
    rng = np.random.default_rng(seed)
    labels = ("angry", "neutral", "sad")
    number = speakers * utterances
    truth = np.tile(rng.integers(0, 3, number), 2)
    shown = np.concatenate([truth[:number], rng.integers(0, 3, number)])
    audio = np.tile(rng.normal(size=(number, 3)), (2, 1)) + np.eye(3)[truth]
    tokens = rng.normal(scale=0.5, size=(2 * number, 3)) + np.eye(3)[shown]
    said = {
        "audio": scipy.special.log_softmax(audio, axis=1),
        "tokens": scipy.special.log_softmax(tokens, axis=1),
    }
    logit = w_audio * said["audio"] + w_cue * said["tokens"]
    answer = (logit + rng.gumbel(size=logit.shape)).argmax(axis=1)
    who = np.tile(np.repeat(np.arange(speakers), utterances), 2)
    table = pd.DataFrame(
        {
            "utterance": [f"u{u}" for u in np.tile(np.arange(number), 2)],
            "speaker": [f"s{s}" for s in who],
            "truth": np.array(labels, dtype=object)[truth],
            "condition": np.repeat(["aligned", "shuffled"], number),
            "prediction": np.array(labels, dtype=object)[answer],
        }
    )
    columns = {
        f"p_{label}": p
        for label, p in zip(labels, scipy.special.softmax(logit, axis=1).T, strict=True)
    }
    for source, values in said.items():
        columns |= {f"{source}_{label}": v for label, v in zip(labels, values.T, strict=True)}
    return table.assign(**columns)


def _groups(evidence: pd.DataFrame, labels: Sequence[str]) -> Iterator[tuple[str, str, np.ndarray]]:
    """(by, group, places of its rows), all rows first."""
    yield "all", "all", np.arange(len(evidence))
    family = evidence["condition"].astype("str").map(condition_facts(evidence)["family"])
    for name in family.unique():
        yield "condition", name, np.flatnonzero(family == name)
    for label in labels:
        kept = np.flatnonzero(evidence["truth"] == label)
        if len(kept):
            yield "truth", label, kept


def why_no_reliance(settings: Settings) -> str | None:
    """Why a study cannot tell what its model relies on, or ``None`` if it can.

    Examples:
        >>> from sercue.settings import Settings
        >>> why_no_reliance(Settings()) is None
        True
        >>> why_no_reliance(Settings(conditions=["aligned"]))
        "The condition 'none' is needed: it tells what the model makes of the audio."
    """
    if settings.made_elsewhere:
        return "The answers were made elsewhere: the tokens that each prompt showed are not known."
    if settings.decoding != "score":
        return "Generated answers tell no probabilities of labels, which reliance needs."
    if "none" not in settings.conditions:
        return "The condition 'none' is needed: it tells what the model makes of the audio."
    if settings.conditions == ["none"]:
        return "A condition with tokens is needed beside 'none'."
    return None


def study_reliance(
    predictions: pd.DataFrame,
    corpus: Corpus,
    tokens: pd.DataFrame | Mapping[str, pd.DataFrame],
    settings: Settings,
) -> pd.DataFrame:
    """Reliance by both responses, stacked; see ``reliance``.

    Args:
        predictions: those of the study
        corpus: the corpus
        tokens: true tokens; of a cross-validated corpus, those of each fold's view
        settings: the study

    Returns:
        the tables of ``reliance`` with a column ``response``
    """
    evidence, tables = label_evidence(predictions, corpus, tokens), []
    for response in RESPONSES:
        table = reliance(evidence, corpus.labels, response=response, confidence=settings.confidence)
        tables.append(table.assign(response=response))
    return pd.concat(tables)


def speaker_influence(score: np.ndarray, information: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What each speaker adds to weights, and degrees of freedom of the variances.

    Args:
        score: of each speaker, shape (speakers, weights); adds up to 0
        information: of each speaker, shape (speakers, weights, weights)

    Returns:
        the influence, shape (speakers, weights), whose squares add up to the variance of a weight,
        and degrees of freedom, shape (weights,); all NaN where some speaker alone holds all that
        tells weights apart

    Examples:
        Four speakers of equal information: 3 degrees of freedom, whatever their scores.

        >>> score = np.array([[1.0], [-1.0], [2.0], [-2.0]])
        >>> influence, df = speaker_influence(score, np.ones((4, 1, 1)))
        >>> (influence.T @ influence).round(3), df.round(3)
        (array([[0.833]]), array([3.]))
    """
    none = np.full(score.shape, np.nan), np.full(score.shape[1], np.nan)
    try:
        root = np.linalg.inv(np.linalg.cholesky(information.sum(axis=0)))
    except np.linalg.LinAlgError:
        return none
    part = root @ information @ root.T
    sizes, axes = np.linalg.eigh(part)
    if sizes.max() > _WHOLE:
        return none
    enlarged = (axes / np.sqrt(1 - sizes)[:, None, :]) @ axes.swapaxes(1, 2)
    moved = np.einsum("gij,gj->gi", enlarged, score @ root.T) @ root
    df = [_degrees_of_freedom(part, enlarged @ direction) for direction in root.T]
    return moved, np.array(df)


def _degrees_of_freedom(part: np.ndarray, direction: np.ndarray) -> float:
    """Satterthwaite's, of the variance of one weight.

    With P the covariance of the speakers' terms under the working assumption,
    (tr P)² / tr P². Speakers have independent scores, and the weights follow all of them: P is
    diagonal but for a matrix of low rank, A B' + C D', which is never multiplied out.

    Args:
        part: of each speaker in the information, shape (speakers, weights, weights)
        direction: what a speaker's score is multiplied with, shape (speakers, weights)
    """
    spread = part + _DIFFERING * len(part) * part @ part
    a, c = (np.einsum("gij,gj->gi", matrix, direction) for matrix in (spread, part))
    b, d = -c, c @ spread.sum(axis=0) - a
    own, common = (direction * a).sum(axis=1), (a * b + c * d).sum(axis=1)
    squares = (own**2 + 2 * own * common).sum()
    squares += ((a.T @ a) * (b.T @ b) + (c.T @ c) * (d.T @ d) + 2 * (a.T @ c) * (b.T @ d)).sum()
    return float((own + common).sum() ** 2 / squares)


@dataclass(frozen=True)
class ChoiceFit:
    """A fitted conditional logit.

    Attributes:
        weights: of audio and of tokens, shape (2,); NaN where it is not identified
        influence: what each independent unit adds to the weights, shape (units, 2): speakers, and
            groups of training speakers; NaN where their errors cannot be told
        df: degrees of freedom of the variance of each weight, shape (2,); NaN where there is none
        speakers: number of speakers of the answers
        reason: why weights or covariance are not identified, empty if they are
    """

    weights: np.ndarray
    influence: np.ndarray
    df: np.ndarray
    speakers: int
    reason: str = ""

    @property
    def covariance(self) -> np.ndarray:
        """Of the weights, shape (2, 2)."""
        return self.influence.T @ self.influence


def fit_choices(
    evidence: np.ndarray,
    chosen: np.ndarray,
    speakers: np.ndarray,
    *,
    left_out: Iterable[np.ndarray] = (),
    groups: Mapping[str, int] | None = None,
) -> ChoiceFit:
    r"""Conditional logit with intercepts of the labels and a speaker-clustered covariance.

    Of row i, label k is chosen with probability

    .. math:: p_{ik} = \frac{\exp(a_k + x_{ik}^\top w)}{\sum_l \exp(a_l + x_{il}^\top w)}

    and :math:`w` and :math:`a` (:math:`a_1 = 0`) maximise :math:`\sum_{ik} y_{ik} \log p_{ik}`.
    Whatever is the same for all labels of a row (a constant added to its log-probabilities) has no
    influence. A label that is never chosen is no option: its intercept has no lower bound, and the
    other labels are chosen from as if it were not there.

    The covariance is Bell and McCaffrey's (CR2) with Satterthwaite's degrees of freedom for
    Student's t, see ``speaker_influence``. It holds for any dependence within a speaker and for a
    model that is only an approximation.

    What the tokens say was itself estimated. Without each group of training speakers the weights
    that explain the fitted probabilities are moved by one step of Newton's method;
    :math:`\sqrt{(G - 1) / G}` times the change is the influence of that group (the jackknife). A
    group whose speakers also gave answers, as in a
    cross-validation, has one influence in both roles. Degrees of freedom are Satterthwaite's of
    the sum of both variances, or the fewer of both where it is the same speakers.

    Args:
        evidence: log-probability of each label by each source, shape (rows, labels, 2)
        chosen: shape (rows, labels), rows summing to 1: a single 1 where a label was chosen, or
            the probabilities of all labels
        speakers: the speaker of each row, shape (rows,)
        left_out: what the tokens say without each group of training speakers, each of shape
            (rows, labels); none if it is known
        groups: training speaker to number of its group

    Returns:
        the fit; where the weights are not identified they are NaN and ``reason`` says why

    References:
        McFadden, "Conditional logit analysis of qualitative choice behavior" (1974); Albert and
        Anderson, Biometrika 71 (1984), on separation

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> evidence = rng.normal(size=(4000, 3, 2))
        >>> utility = evidence @ [1.0, 0.5] + [0.0, 1.5, 0.0] + rng.gumbel(size=(4000, 3))
        >>> chosen = np.eye(3)[utility.argmax(axis=1)]
        >>> fit_choices(evidence, chosen, np.arange(4000) % 20).weights.round(2)
        array([0.95, 0.49])
    """
    names, who = np.unique(speakers, return_inverse=True)
    options, order = np.flatnonzero(chosen.sum(axis=0)), np.argsort(who, kind="stable")
    bounds = np.flatnonzero(np.diff(who[order])) + 1
    answers = chosen[np.ix_(order, options)]
    centred = _centred(evidence[np.ix_(order, options)])
    reason = _no_evidence(centred)
    design = _with_intercepts(centred)
    weights = None if reason else _newton(design, answers, bounds)
    if weights is None:
        lost = reason or (
            "separation: some weighting of audio and tokens never errs, so the weights have no "
            "bound"
        )
        unknown_ = np.full(2, np.nan)
        return ChoiceFit(unknown_, np.full((len(names), 2), np.nan), unknown_, len(names), lost)
    _, score, information = _derivatives(design, answers, bounds, weights)
    moved, freedom = speaker_influence(score, information)
    own, df = moved[:, :2], freedom[:2]
    if np.isnan(own).any():
        few = "too few speakers: without one of them nothing tells the weights apart"
        return ChoiceFit(weights[:2], own, df, len(names), few)
    # The chance of single answers is in the part of their speakers; here it would count twice.
    expected, jackknife = scipy.special.softmax(design @ weights, axis=1), []
    for said in left_out:
        design[:, :, 1] = _centred(said[np.ix_(order, options)])
        _, score, information = _derivatives(design, expected, bounds, weights)
        try:
            step = np.linalg.solve(information.sum(axis=0), score.sum(axis=0))[:2]
        except np.linalg.LinAlgError:
            step = np.full(2, np.nan)
        jackknife.append(step)
    if not jackknife:
        return ChoiceFit(weights[:2], own, df, len(names))
    trained = -np.sqrt(1 - 1 / len(jackknife)) * np.array(jackknife)
    group = np.array([(groups or {}).get(str(name), -1) for name in names])
    df = _freedom_of_both(own, trained, group, df)
    np.add.at(trained, group[group >= 0], own[group >= 0])
    few = "too few training speakers: without some of them tokens tell nothing of some label"
    influence = np.concatenate([own[group < 0], trained])
    reason = few if np.isnan(trained).any() else ""
    return ChoiceFit(weights[:2], influence, df, len(names), reason)


def _freedom_of_both(
    own: np.ndarray, trained: np.ndarray, group: np.ndarray, df: np.ndarray
) -> np.ndarray:
    """Degrees of freedom of each weight from those of speakers and of training speakers."""
    most = len(trained) - 1
    if (group >= 0).any():
        return np.minimum(df, most)
    of_own, of_trained = (own**2).sum(axis=0), (trained**2).sum(axis=0)
    return (of_own + of_trained) ** 2 / (of_own**2 / df + of_trained**2 / max(most, 1))


def share_interval(fit: ChoiceFit, confidence: float) -> tuple[float, float, float]:
    """The share of the second weight in the sum of both, with Fieller's interval.

    Student's t is on the fewer of the degrees of freedom of the two weights, see ``fieller``. The
    share lies above 1 or below 0 where a weight is negative.

    Args:
        fit: as ``fit_choices`` returns it
        confidence: between 0 and 1

    Returns:
        share, low, high

    Examples:
        >>> fit = ChoiceFit(np.array([3.0, 1.0]), np.diag([0.1, 0.1]), np.full(2, 50.0), 51)
        >>> [round(value, 3) for value in share_interval(fit, 0.95)]
        [0.25, 0.209, 0.289]
    """
    two = fit.weights[1]
    both = fit.weights.sum()
    share = float(two / both) if abs(both) > _NOTHING else np.nan
    covariance = fit.covariance[1, 1], fit.covariance[1].sum(), fit.covariance.sum()
    low, high = fieller(two, both, covariance, float(t_quantile(fit.df, confidence).max()))
    return share, low, high


def share_influence(fit: ChoiceFit) -> np.ndarray:
    """What each independent unit adds to the share, to first order, shape (units,).

    The difference of two models' shares, asked the same of the same speakers, has the difference of
    both as its influence. NaN where the share has no interval of two ends.

    Args:
        fit: as ``fit_choices`` returns it

    Examples:
        >>> fit = ChoiceFit(np.array([3.0, 1.0]), np.array([[0.0, 0.16]]), np.full(2, 50.0), 51)
        >>> share_influence(fit).round(3)
        array([0.03])
    """
    if np.isnan(share_interval(fit, 0.95)[1]):
        return np.full(len(fit.influence), np.nan)
    audio, tokens = fit.weights
    return (audio * fit.influence[:, 1] - tokens * fit.influence[:, 0]) / (audio + tokens) ** 2


def t_quantile(df: np.ndarray, confidence: float) -> np.ndarray:
    """Two-sided quantiles of Student's t; NaN without degrees of freedom.

    Examples:
        >>> t_quantile(np.array([7.0, 23.0]), 0.95).round(3)
        array([2.365, 2.069])
    """
    return np.asarray(scipy.stats.t.ppf((1 + confidence) / 2, df))


def _centred(evidence: np.ndarray) -> np.ndarray:
    return evidence - evidence.mean(axis=1, keepdims=True)


def _with_intercepts(centred: np.ndarray) -> np.ndarray:
    """Predictors of each label: the evidence and, but for the first, which label it is."""
    rows, labels, _ = centred.shape
    which = np.broadcast_to(np.eye(labels)[:, 1:], (rows, labels, labels - 1))
    return np.concatenate([centred, which], axis=2)


def _no_evidence(centred: np.ndarray) -> str:
    """Why the predictors alone rule an estimate out; empty if they do not."""
    if centred.shape[1] < 2:
        return "no variation: all answers are the same label"
    varying = centred - centred.mean(axis=0)
    for source, name in enumerate(("audio", "tokens")):
        if np.abs(centred[:, :, source]).max() < _NOTHING:
            return f"no variation: the {name} speak for all labels alike in every answer"
        if np.abs(varying[:, :, source]).max() < _NOTHING:
            return (
                f"no variation: the {name} say the same in every answer, which cannot be told from "
                "a preference for a label"
            )
    moments = np.einsum("nkp,nkq->pq", varying, varying)
    if moments[0, 1] ** 2 > _ONE_PREDICTOR * moments[0, 0] * moments[1, 1]:
        return "collinear: audio and tokens say the same of every label"
    return ""


def _newton(design: np.ndarray, chosen: np.ndarray, bounds: np.ndarray) -> np.ndarray | None:
    """Weights of greatest likelihood, steps halved while they lower it; ``None`` if none.

    The likelihood is strictly concave, so that a point where it no longer rises is its maximum.
    Where it has none (separation), weights grow until the information has vanished.
    """
    weights = np.zeros(design.shape[2])
    value, score, information = _derivatives(design, chosen, bounds, weights)
    root = np.linalg.inv(np.linalg.cholesky(information.sum(axis=0)))
    for _ in range(_ITERATIONS):
        whole = information.sum(axis=0)
        if np.linalg.eigvalsh(root @ whole @ root.T)[0] < _VANISHED:
            return None
        step = np.linalg.solve(whole, score.sum(axis=0))
        new = _derivatives(design, chosen, bounds, weights + step)
        while new[0] < value - _TOLERANCE * abs(value) and np.abs(step).max() > _TOLERANCE:
            step /= 2
            new = _derivatives(design, chosen, bounds, weights + step)
        weights, (value, score, information) = weights + step, new
        if np.abs(step).max() <= _TOLERANCE * (1 + np.abs(weights).max()):
            return weights
    return None


def _derivatives(
    design: np.ndarray, chosen: np.ndarray, bounds: np.ndarray, weights: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Log-likelihood; score and information of each speaker, whose rows end at ``bounds``."""
    value, scores, informations = 0.0, [], []
    for predictors, answers in zip(np.split(design, bounds), np.split(chosen, bounds), strict=True):
        log_p = scipy.special.log_softmax(predictors @ weights, axis=1)
        p = np.exp(log_p)
        value += float((answers * log_p).sum())
        weighted, flat = p[:, :, None] * predictors, predictors.reshape(-1, len(weights))
        mean = weighted.sum(axis=1)
        scores.append((answers - p).ravel() @ flat)
        informations.append(weighted.reshape(flat.shape).T @ flat - mean.T @ mean)
    return value, np.array(scores), np.array(informations)
