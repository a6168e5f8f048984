"""How much of a model's choice is the audio, and how much the tokens that it was shown.

The evidence of both for each label, and a conditional logit of the model's choices on it. Weights
are found by Newton's method; their covariance comes from the speakers, not from the rows, since
answers about one speaker are not independent of each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import log_softmax, softmax

from sercue.corpora.corpus import Corpus, utterance_ids
from sercue.errors import InputError, unknown
from sercue.statistics.baselines import fit_token_classifier
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
# Evidence that varies less than this between labels or rows is rounding, not evidence.
_NOTHING = 1e-9
# Squared correlation above which two predictors are one.
_ONE_PREDICTOR = 1 - 1e-8


def label_evidence(
    predictions: pd.DataFrame,
    corpus: Corpus,
    tokens: pd.DataFrame | Mapping[str, pd.DataFrame],
    *,
    seed: int = 0,
) -> pd.DataFrame:
    r"""Log-probability of each label by the audio alone and by the tokens shown alone.

    - ``audio_<label>``: :math:`\log p(\text{label} \mid \text{audio})`, the model's own answer to
      the same utterance, template and label order under ``none``
    - ``tokens_<label>``: :math:`\log p(\text{label} \mid \text{tokens shown})` of
      ``fit_token_classifier``, fitted on the true tokens of training utterances. Where only some
      concepts are shown it is fitted on these alone; ``unknown`` counts as not shown. Where none
      is left, all labels are equally probable.

    Of a cross-validated corpus, the classifier of an utterance is fitted on all other folds.
    Probabilities below 1e-12 are taken as 1e-12.

    Args:
        predictions: as ``run_study`` returns them, decoding ``"score"``, ``none`` among the
            conditions
        corpus: names the training rows
        tokens: true tokens, indexed as ``corpus.table``; of a cross-validated corpus it may be a
            mapping from fold to the tokens by the thresholds that have not seen that fold
        seed: of the classifier

    Returns:
        the rows of ``predictions`` under all other conditions, with these columns added

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
        >>> label_evidence(rows, corpus, tokens).iloc[:, -4:].round(2)
           audio_angry  audio_neutral  tokens_angry  tokens_neutral
        1        -0.51          -0.92         -0.41           -1.09
    """
    scored = _scored(predictions, corpus.labels)
    changed = scored[scored["condition"] != BASELINE]
    if changed.empty:
        raise InputError(f"conditions: found {BASELINE!r} alone; reliance needs changed tokens")
    audio = _audio_evidence(scored, changed, corpus.labels)
    shown = shown_tokens(changed, _concepts(tokens))
    said = _token_evidence(shown, changed["utterance"], corpus, tokens, seed)
    return changed.assign(
        **{f"audio_{label}": audio[:, k] for k, label in enumerate(corpus.labels)},
        **{f"tokens_{label}": said[:, k] for k, label in enumerate(corpus.labels)},
    )


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


def _audio_evidence(
    scored: pd.DataFrame, changed: pd.DataFrame, labels: Sequence[str]
) -> np.ndarray:
    columns = [f"p_{label}" for label in labels]
    cell = list(CELL)
    alone = scored[scored["condition"] == BASELINE].drop_duplicates(cell).set_index(cell)
    place = alone.index.get_indexer(pd.MultiIndex.from_frame(changed[cell]))
    if (place < 0).any():
        raise InputError(
            f"predictions: {(place < 0).sum()} of {len(place)} answers have none of the same "
            f"utterance, template, label order and decoding under condition {BASELINE!r}"
        )
    return log_probability(alone[columns].to_numpy(dtype=float)[place])


def _token_evidence(
    shown: pd.DataFrame,
    utterance: pd.Series,
    corpus: Corpus,
    tokens: pd.DataFrame | Mapping[str, pd.DataFrame],
    seed: int,
) -> np.ndarray:
    said = np.full((len(shown), len(corpus.labels)), -np.log(len(corpus.labels)))
    if not corpus.folds:
        _say(said, np.arange(len(shown)), shown, _of_fold(tokens, ""), corpus, seed)
        return said
    fold = pd.Series(corpus.table["fold"].to_numpy(), utterance_ids(corpus.table.index))
    own = utterance.map(fold).to_numpy()
    for name in corpus.folds:
        rows = np.flatnonzero(own == name)
        _say(said, rows, shown, _of_fold(tokens, name), corpus.in_fold(name), seed)
    return said


def _say(
    said: np.ndarray,
    rows: np.ndarray,
    shown: pd.DataFrame,
    tokens: pd.DataFrame,
    corpus: Corpus,
    seed: int,
) -> None:
    """Write into ``said`` what a classifier says of the words shown in some rows."""
    words = shown.iloc[rows].reset_index(drop=True)
    visible = words != UNKNOWN
    for pattern, places in visible.groupby(list(visible)).indices.items():
        flags = pattern if isinstance(pattern, tuple) else (pattern,)
        concepts = [c for c, seen in zip(words, flags, strict=True) if seen]
        if concepts:
            part = words.loc[places, concepts]
            said[rows[places]] = _classified(part, tokens[concepts], corpus, seed)


def _classified(words: pd.DataFrame, tokens: pd.DataFrame, corpus: Corpus, seed: int) -> np.ndarray:
    different = words.drop_duplicates().reset_index(drop=True)
    classifier = fit_token_classifier(tokens, corpus, seed=seed)
    lacking = sorted(set(corpus.labels) - set(classifier.classes_))
    if lacking:
        raise InputError(
            f"corpus {corpus.name!r}: no training utterance of {', '.join(lacking)}; what tokens "
            "say of a label is learnt from such"
        )
    order = [list(classifier.classes_).index(label) for label in corpus.labels]
    known = log_probability(classifier.predict_proba(different)[:, order])
    place = pd.MultiIndex.from_frame(different).get_indexer(pd.MultiIndex.from_frame(words))
    return known[place]


def _of_fold(tokens: pd.DataFrame | Mapping[str, pd.DataFrame], fold: str) -> pd.DataFrame:
    if isinstance(tokens, pd.DataFrame):
        return tokens
    if fold not in tokens:
        raise unknown("fold of tokens", fold, tokens)
    return tokens[fold]


def _concepts(tokens: pd.DataFrame | Mapping[str, pd.DataFrame]) -> list[str]:
    table = tokens if isinstance(tokens, pd.DataFrame) else next(iter(tokens.values()))
    return [str(concept) for concept in table.columns]


def reliance(
    evidence: pd.DataFrame,
    labels: Sequence[str],
    *,
    response: str = "choice",
    confidence: float = 0.95,
) -> pd.DataFrame:
    r"""Weights of audio and tokens in the model's answers, and the share of the tokens.

    The model answers label k of row i as if drawn with probability

    .. math:: p_{ik} \propto \exp\bigl(w_\text{audio} \log p(k \mid \text{audio}_i)
        + w_\text{cue} \log p(k \mid \text{tokens}_i)\bigr)

    (a conditional logit), and the reliance on cues is
    :math:`w_\text{cue} / (w_\text{audio} + w_\text{cue})`: 0 if tokens change nothing, 1 if the
    audio does not count. Weights (1, 1) are the product of both sources, as Bayes has it for
    classes of equal prior probability. ``"choice"`` explains the label that was answered;
    ``"probability"`` explains the probabilities of all labels, which also works where the answers
    alone leave the weights without bound (separation), as a model that ignores the tokens does.

    Intervals are clustered by speaker (a bias-corrected covariance and Student's t on
    Satterthwaite's degrees of freedom, see ``fit_choices``; Fieller's interval for the share). In
    simulations with differing, unbalanced speakers they cover 94 to 96 % at the nominal 95 %, with
    8 as with 24 and 51 speakers (``tests/calibration/RESULTS.md``).

    What it assumes, and where it fails:

    - Evidence counts in log-odds, and alike for all labels. Weights are averages over speakers
      that lean on either source to a differing degree.
    - The share compares weights per unit of log-probability. A model whose answer to the audio
      alone is timid has a larger ``w_audio`` for the same behaviour; compare models by their
      ordering, not to the third decimal.
    - It is relative to the evidence that the token-only classifier finds. What tokens tell beyond
      that, and any preference for a label that a token block brings, is left to the error.
    - A negative weight puts the share outside 0 to 1: it is no proportion there.

    Args:
        evidence: as ``label_evidence`` returns it
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
        2  condition  shuffled     0.99   0.47   0.32  0.27  0.36
    """
    if response not in RESPONSES:
        raise unknown("response", response, RESPONSES)
    check_confidence(confidence)
    predictors, chosen = _arrays(evidence, labels, response)
    speakers = pd.factorize(evidence["speaker"])[0]
    rows = []
    for by, group, kept in _groups(evidence, labels):
        fit = fit_choices(predictors[kept], chosen[kept], speakers[kept])
        part = evidence.iloc[kept]
        size = {"rows": len(part), "utterances": part["utterance"].nunique()}
        rows.append({"by": by, "group": group, **size, **_row(fit, confidence)})
    return pd.DataFrame(rows)


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
    said = {"audio": log_softmax(audio, axis=1), "tokens": log_softmax(tokens, axis=1)}
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
    columns = {f"p_{label}": p for label, p in zip(labels, softmax(logit, axis=1).T, strict=True)}
    for source, values in said.items():
        columns |= {f"{source}_{label}": v for label, v in zip(labels, values.T, strict=True)}
    return table.assign(**columns)


def _arrays(
    evidence: pd.DataFrame, labels: Sequence[str], response: str
) -> tuple[np.ndarray, np.ndarray]:
    """Predictors, shape (rows, labels, 2), and answers, shape (rows, labels)."""
    names = {source: [f"{source}_{label}" for label in labels] for source in _SOURCES}
    answers = [f"p_{label}" for label in labels] if response == "probability" else ["prediction"]
    columns = [*names["audio"], *names["tokens"], *answers, "utterance", "speaker", "condition"]
    check_columns(evidence, columns, "evidence")
    if evidence.empty:
        raise InputError("evidence: found no row, at least one is needed")
    predictors = np.stack([evidence[names[s]].to_numpy(dtype=float) for s in _SOURCES], axis=2)
    if response == "probability":
        return predictors, evidence[answers].to_numpy(dtype=float)
    return predictors, np.eye(len(labels))[
        label_codes(evidence["prediction"], labels, "prediction")
    ]


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


def _row(fit: ChoiceFit, confidence: float) -> dict[str, float | int | str]:
    """A fit as columns of the table."""
    row: dict[str, float | int | str] = {"speakers": fit.speakers}
    around = t_quantile(fit.df, confidence) * np.sqrt(np.diag(fit.covariance))
    for name, weight, reach in zip(_WEIGHTS, fit.weights.tolist(), around.tolist(), strict=True):
        row |= {name: weight, f"{name}_low": weight - reach, f"{name}_high": weight + reach}
    share, low, high = share_interval(fit, confidence)
    unbounded = np.isnan(low) and not fit.reason
    reason = "w_audio + w_cue is too uncertain for an interval of the share" if unbounded else ""
    return row | {"share": share, "low": low, "high": high, "reason": fit.reason or reason}


def why_no_reliance(settings: Settings) -> str | None:
    """Why a study cannot tell what its model relies on, or ``None`` if it can.

    Examples:
        >>> from sercue.settings import Settings
        >>> why_no_reliance(Settings()) is None
        True
        >>> why_no_reliance(Settings(conditions=["aligned"]))
        "The condition 'none' is needed: it tells what the model makes of the audio."
    """
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
    evidence = label_evidence(predictions, corpus, tokens, seed=settings.seed)
    tables = [
        reliance(evidence, corpus.labels, response=response, confidence=settings.confidence)
        for response in RESPONSES
    ]
    return pd.concat([t.assign(response=r) for t, r in zip(tables, RESPONSES, strict=True)])


def speaker_covariance(score: np.ndarray, information: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Covariance of weights from the parts of speakers, and degrees of freedom of the variances.

    Args:
        score: of each speaker, shape (speakers, weights); adds up to 0
        information: of each speaker, shape (speakers, weights, weights)

    Returns:
        the covariance, shape (weights, weights), and degrees of freedom, shape (weights,); all NaN
        where some speaker alone holds all that tells weights apart

    Examples:
        Four speakers of equal information: 3 degrees of freedom, whatever their scores.

        >>> score = np.array([[1.0], [-1.0], [2.0], [-2.0]])
        >>> covariance, df = speaker_covariance(score, np.ones((4, 1, 1)))
        >>> covariance.round(3), df.round(3)
        (array([[0.833]]), array([3.]))
    """
    none = np.full_like(information[0], np.nan), np.full(score.shape[1], np.nan)
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
    return moved.T @ moved, np.array(df)


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
        weights: one an evidence, shape (2,); NaN where it is not identified
        covariance: of the weights, speaker-clustered, shape (2, 2); NaN where there is none
        df: degrees of freedom of the variance of each weight, shape (2,); NaN where there is none
        speakers: number of speakers
        reason: why weights or covariance are not identified, empty if they are
    """

    weights: np.ndarray
    covariance: np.ndarray
    df: np.ndarray
    speakers: int
    reason: str = ""


def fit_choices(evidence: np.ndarray, chosen: np.ndarray, speakers: np.ndarray) -> ChoiceFit:
    r"""Conditional logit with a speaker-clustered covariance.

    Of row i, label k is chosen with probability

    .. math:: p_{ik} = \frac{\exp(x_{ik}^\top w)}{\sum_l \exp(x_{il}^\top w)}

    and :math:`w` maximises :math:`\sum_{ik} y_{ik} \log p_{ik}`. Whatever is the same for all
    labels of a row (a constant added to its log-probabilities) has no influence.

    The covariance is Bell and McCaffrey's (CR2) with Satterthwaite's degrees of freedom for
    Student's t, see ``speaker_covariance``. It holds for any dependence within a speaker and for a
    model that is only an approximation.

    Args:
        evidence: log-probability of each label by each source, shape (rows, labels, 2)
        chosen: shape (rows, labels), rows summing to 1: a single 1 where a label was chosen, or
            the probabilities of all labels
        speakers: number of the speaker of each row, from 0, shape (rows,)

    Returns:
        the fit; where the weights are not identified they are NaN and ``reason`` says why

    References:
        McFadden, "Conditional logit analysis of qualitative choice behavior" (1974); Albert and
        Anderson, Biometrika 71 (1984), on separation

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> evidence = rng.normal(size=(4000, 3, 2))
        >>> utility = evidence @ [1.0, 0.5] + rng.gumbel(size=(4000, 3))
        >>> chosen = np.eye(3)[utility.argmax(axis=1)]
        >>> fit_choices(evidence, chosen, np.arange(4000) % 20).weights.round(2)
        array([0.91, 0.49])
    """
    _, group = np.unique(speakers, return_inverse=True)
    number = int(group.max()) + 1
    centred = evidence - evidence.mean(axis=1, keepdims=True)
    reason = _no_evidence(centred) or _separated(centred, chosen)
    weights = None if reason else _newton(centred, chosen)
    if weights is None:
        return ChoiceFit(
            np.full(2, np.nan),
            np.full((2, 2), np.nan),
            np.full(2, np.nan),
            number,
            reason or "separation in all but name: the weights grow without end",
        )
    by_row = _derivatives(centred, chosen, weights)
    *score, first, both, second = (
        np.bincount(group, weights=part) for parts in by_row for part in parts
    )
    information = np.stack([first, both, both, second], axis=1).reshape(-1, 2, 2)
    covariance, df = speaker_covariance(np.stack(score, axis=1), information)
    few = "too few speakers: without one of them nothing tells the weights apart"
    return ChoiceFit(weights, covariance, df, number, few if np.isnan(covariance).any() else "")


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
        >>> fit = ChoiceFit(np.array([3.0, 1.0]), np.diag([0.01, 0.01]), np.full(2, 50.0), 51)
        >>> [round(value, 3) for value in share_interval(fit, 0.95)]
        [0.25, 0.209, 0.289]
    """
    two = fit.weights[1]
    both = fit.weights.sum()
    share = float(two / both) if abs(both) > _NOTHING else np.nan
    covariance = fit.covariance[1, 1], fit.covariance[1].sum(), fit.covariance.sum()
    low, high = fieller(two, both, covariance, float(t_quantile(fit.df, confidence).max()))
    return share, low, high


def t_quantile(df: np.ndarray, confidence: float) -> np.ndarray:
    """Two-sided quantiles of Student's t; NaN without degrees of freedom.

    Examples:
        >>> t_quantile(np.array([7.0, 23.0]), 0.95).round(3)
        array([2.365, 2.069])
    """
    return np.asarray(stats.t.ppf((1 + confidence) / 2, df))


def _no_evidence(centred: np.ndarray) -> str:
    """Why the predictors alone rule an estimate out; empty if they do not."""
    for source, name in enumerate(("audio", "tokens")):
        part = centred[:, :, source]
        if np.abs(part).max() < _NOTHING:
            return f"no variation: the {name} speak for all labels alike in every answer"
        if np.abs(part - part[0]).max() < _NOTHING:
            return (
                f"no variation: the {name} say the same in every answer, which cannot be told from "
                "a preference for a label"
            )
    moments = np.einsum("nkp,nkq->pq", centred, centred)
    if moments[0, 1] ** 2 > _ONE_PREDICTOR * moments[0, 0] * moments[1, 1]:
        return "collinear: audio and tokens say the same of every label"
    return ""


def _separated(centred: np.ndarray, chosen: np.ndarray) -> str:
    """Why the likelihood has no maximum; empty if it has one.

    It has one unless all differences between a chosen label's evidence and another's lie on one
    side of some line through the origin: then moving along its normal never lowers a likelihood.
    """
    # Of a row with all labels possible, every difference is there with either sign.
    mixed = (chosen > 0).all(axis=1)
    if mixed.any() and not _no_evidence(centred[mixed]):
        return ""
    rows, labels, others = np.nonzero(
        (chosen[:, :, None] > 0) & ~np.eye(chosen.shape[1], dtype=bool)
    )
    lead = centred[rows, labels] - centred[rows, others]
    lead = lead[np.abs(lead).max(axis=1) > _NOTHING]
    angle = np.sort(np.arctan2(lead[:, 1], lead[:, 0]))
    gap = np.diff(angle, append=angle[:1] + 2 * np.pi)
    if gap.max() < np.pi - _NOTHING:
        return ""
    return "separation: some weighting of audio and tokens never errs, so the weights have no bound"


def _newton(centred: np.ndarray, chosen: np.ndarray) -> np.ndarray | None:
    """Weights of greatest likelihood, steps halved while they lower it; ``None`` if none."""
    weights = np.zeros(2)
    value = _log_likelihood(centred, chosen, weights)
    for _ in range(_ITERATIONS):
        score, information = _derivatives(centred, chosen, weights)
        first, both, second = (part.sum() for part in information)
        try:
            step = np.linalg.solve(
                np.array([[first, both], [both, second]]), np.array([part.sum() for part in score])
            )
        except np.linalg.LinAlgError:
            return None
        new = _log_likelihood(centred, chosen, weights + step)
        while new < value - _TOLERANCE * abs(value) and np.abs(step).max() > _TOLERANCE:
            step /= 2
            new = _log_likelihood(centred, chosen, weights + step)
        weights, value = weights + step, new
        if np.abs(step).max() <= _TOLERANCE * (1 + np.abs(weights).max()):
            return weights
    return None


def _log_likelihood(centred: np.ndarray, chosen: np.ndarray, weights: np.ndarray) -> float:
    utility = centred @ weights
    highest = utility.max(axis=1)
    total = highest + np.log(np.exp(utility - highest[:, None]).sum(axis=1))
    return float((chosen * utility).sum() - total.sum())


def _derivatives(
    centred: np.ndarray, chosen: np.ndarray, weights: np.ndarray
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Of each row: both parts of the score; the information of audio, of both, of tokens."""
    probability = softmax(centred @ weights, axis=1)
    audio, tokens = centred[:, :, 0], centred[:, :, 1]
    over = chosen - probability
    score = [(over * part).sum(axis=1) for part in (audio, tokens)]
    mean_audio, mean_tokens = ((probability * part).sum(axis=1) for part in (audio, tokens))
    information = [
        (probability * audio**2).sum(axis=1) - mean_audio**2,
        (probability * audio * tokens).sum(axis=1) - mean_audio * mean_tokens,
        (probability * tokens**2).sum(axis=1) - mean_tokens**2,
    ]
    return score, information
