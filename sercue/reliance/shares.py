"""How much of a model's choice is the audio and how much the tokens that it was shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from scipy.special import log_softmax, softmax

from sercue.errors import InputError, unknown
from sercue.interventions import condition_facts
from sercue.measures import label_codes
from sercue.reliance.choice_model import ChoiceFit, fit_choices, share_interval, t_quantile
from sercue.significance.resampling import check_confidence

RESPONSES = ("choice", "probability")
_SOURCES = ("audio", "tokens")
_WEIGHTS = ("w_audio", "w_cue")


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
    alone leave the weights without bound (separation), as a model that never heeds the tokens does.

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
        DataFrame, one row a group of answers: ``by`` (``all``, ``condition`` or ``truth``) and
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
    missing = [column for column in columns if column not in evidence]
    if missing:
        raise InputError(f"evidence: no column {', '.join(missing)}; see label_evidence")
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
