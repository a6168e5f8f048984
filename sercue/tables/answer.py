"""What a study answers: the lines that open its index and the summaries of notebooks 04 and 05.

What confounds it, gain, use, harm, reliance, what answers follow where audio and tokens conflict, a
comparison with the tokens alone, and what is not decided. A line says no more than a test after the
correction that ``contrasts.corrected_p`` makes. Two have tests of their own: the place among the
controls (Holm's correction over these), and the comparison with the tokens alone (one t test).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Hashable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from sercue.errors import or_none
from sercue.models.cards import known_training
from sercue.notation import bounded, p_value, percent, shortest, signed, with_interval
from sercue.statistics.contrasts import BLOCK, PRIMARY, mirrored, speakers_needed, strictest_levels
from sercue.statistics.controls import CONTROLS, THIS_MODEL, same_as_control
from sercue.statistics.crossing import CONFLICT
from sercue.statistics.equivalence import judged, verdicts
from sercue.tables.findings import LEVEL, reliance_finding
from sercue.tables.limits import confounding
from sercue.tokens.catalogue import is_ours, main_conditions

if TYPE_CHECKING:
    from sercue.run import Run

# Condition, reference, what their difference tells, and the verdict above and below zero.
_QUESTIONS = (
    ("shuffled", "aligned", "UAR with own tokens relative to those of another utterance",
     "the model uses what the tokens say", "own tokens give the lower UAR"),
    ("masked(1)", "aligned", "UAR with own tokens relative to a block in which all are hidden",
     "the content of the tokens raises UAR", "the content of the tokens lowers UAR"),
    ("constant", "aligned", "UAR with own tokens relative to the same middle words for all",
     "own tokens give a higher UAR than constant ones, which includes what the middle words do",
     "own tokens give a lower UAR than constant ones"),
    ("masked(1)", "none", "UAR with a block in which all tokens are hidden relative to no block",
     "the presence of a block raises UAR", "the presence of a block lowers UAR"),
    ("constant", "none", "UAR with the same middle words for all relative to no block",
     "constant tokens raise UAR", "constant tokens lower UAR"),
)  # fmt: skip
_MIDDLE_WORDS = ("constant", "none")
_MOST = 6  # contrasts between conditions that are none of ours
# The first that a study has: the choice must not depend on the answers.
_WRONG_TOKENS = {
    "conflicting": "opposite tokens",
    "counter_emotion": "tokens of another class",
    "shuffled": "tokens of another utterance",
}


def study_answer(run: Run) -> dict[str, str]:
    """The answer of a study, line by line; a line for which it has no conditions is left out.

    Args:
        run: a run with its predictions
    """
    tests, measures = judged(run.tests, run.equivalence), main_conditions(run.measures)
    parts: dict[str, Callable[[], str]] = {
        "Caution": lambda: " ".join(confounding(run.corpus)),
        "In short": lambda: in_short(tests),
        "Gain": lambda: _joined(
            gain_line(measures, tests, len(run.corpus.labels)),
            known_training(run.settings.model, run.corpus.name),
        ),
        "Differences": lambda: " ".join(own_differences(tests)),
        "Use": lambda: " ".join(use_of_tokens(tests, ["shuffled"])),
        "Harm": lambda: harm_line(tests),
        "Reliance": lambda: _joined(
            reliance_finding(run.reliance, run.settings.confidence),
            or_none(lambda: place_among_controls(run.control_reliance)) or "",
            same_as_control(run.settings) if len(run.controls) else "",
        ),
        "Conflict of audio and tokens": lambda: follow_line(run.followed, run.follow),
        "Model against a tokens-only classifier": lambda: beside_the_tokens(run.beside_tokens),
        "Inconclusive contrasts": lambda: undecided(tests, run.equivalence, run.settings.margin),
    }
    told = {name: or_none(part) for name, part in parts.items()}
    return {name: text for name, text in told.items() if text}


def answer_sentences(answer: Mapping[str, str]) -> list[str]:
    """The lines of an answer as sentences of a list, each with its name in bold.

    Examples:
        >>> answer_sentences({"Gain": "Inconclusive."})
        ['**Gain.** Inconclusive.']
    """
    return [f"**{name}.** {text}" for name, text in answer.items()]


def in_short(tests: pd.DataFrame) -> str:
    """Whether the content of the tokens is used, and whether wrong ones do harm, in one sentence.

    Content is the difference between own tokens and a block in which all are hidden, or where that
    was not asked, those of another utterance.

    Args:
        tests: as ``compare`` returns them

    Examples:
        >>> row = {"condition": ["shuffled"], "reference": ["aligned"], "difference": [-0.1]}
        >>> in_short(pd.DataFrame(row | {"low": -0.2, "high": -0.01, "holm_p": [0.01]}))
        'The content of the tokens raises UAR by .100.'
    """
    clauses = []
    contents = [*_contrast(tests, "masked(1)", "aligned"), *_contrast(tests, "shuffled", "aligned")]
    for row in contents[:1]:
        size = bounded(abs(row["difference"]))
        if not row["holm_p"] < LEVEL:
            clauses.append("no effect of the content of the tokens on UAR is shown")
        else:
            effect = "raises" if row["difference"] < 0 else "lowers"
            clauses.append(f"the content of the tokens {effect} UAR by {size}")
    wrong = [row for name in _WRONG_TOKENS for row in _contrast(tests, name, "none")]
    it = "it" if clauses else "UAR"
    for row in wrong[:1]:
        name, size = row["condition"], bounded(abs(row["difference"]))
        if not row["holm_p"] < LEVEL:
            clauses.append(f"no harm by {name} tokens is shown")
        else:
            effect = "lower" if row["difference"] < 0 else "raise"
            clauses.append(f"{name} tokens {effect} {it} by {size} relative to the audio alone")
    text = "; ".join(clauses)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def gain_line(measures: pd.DataFrame, tests: pd.DataFrame, labels: int) -> str:
    """UAR with the audio alone and with aligned tokens, and whether they differ.

    Args:
        measures: as ``Run.measures`` gives them, with ``uar_low`` and ``uar_high``
        tests: as ``compare`` returns them
        labels: number of classes, for the chance level
    """
    table = measures.set_index("condition")
    levels = " and ".join(
        f"{with_interval(row['uar'], row['uar_low'], row['uar_high'])} with {words}"
        for name, words in (("none", "the audio alone"), ("aligned", "aligned tokens"))
        for _, row in table[table.index == name].iterrows()
    )
    if not levels:
        return ""
    told = f"UAR is {levels} (chance {bounded(1 / labels)})"
    for row in _contrast(tests, *PRIMARY):
        claim = _claim(row, "aligned tokens raise UAR", "aligned tokens lower UAR")
        exploratory = " All other differences of this study are therefore exploratory."
        exploratory *= bool(row["holm_p"] >= LEVEL and len(tests) > 1)
        return f"{claim}. {told}, a difference of {_difference(row)} ({_p(row)}).{exploratory}"
    return f"{told}."


def own_differences(tests: pd.DataFrame) -> list[str]:
    """What is found of conditions that are none of ours, of which no more can be said.

    Args:
        tests: as ``compare`` returns them

    Examples:
        >>> row = {"condition": ["cues"], "reference": ["none"], "difference": [0.1]}
        >>> own_differences(pd.DataFrame(row | {"low": 0.02, "high": 0.18, "holm_p": 0.01}))[0]
        'UAR is higher under cues than under none: +.100 [+.020, +.180] (Holm-corrected p = .010).'
    """
    rows = [row for _, row in tests.iterrows() if not is_ours(row["condition"])]
    told = []
    for row in rows[:_MOST]:
        name, reference = row["condition"], row["reference"]
        under = f"under {name} than under {reference}"
        claim = _claim(row, f"UAR is higher {under}", f"UAR is lower {under}")
        pair = f" ({name} − {reference})" if claim == "Inconclusive" else ""
        told.append(f"{claim}{pair}: {_difference(row)} ({_p(row)}).")
    further = len(rows) - _MOST
    return told + [f"{further} more are in notebook 05."] * (further > 0)


def use_of_tokens(
    tests: pd.DataFrame, conditions: Collection[str] = ("shuffled", *BLOCK)
) -> list[str]:
    """Whether what the tokens say is used, and what a block that says nothing does.

    A model that reacts to the presence of a block, and to no word of it, gains from aligned tokens
    as from any others. Only a difference between two blocks can show that their content is used.

    Args:
        tests: as ``compare`` returns them
        conditions: those whose contrasts are told

    Returns:
        a sentence per contrast that was planned: own tokens against those of other utterances
        (``shuffled``), own tokens against blocks without content, such blocks against none

    Examples:
        >>> row = {"condition": ["shuffled"], "reference": ["aligned"], "difference": [-0.1]}
        >>> tests = pd.DataFrame(row | {"low": [-0.2], "high": [0.0], "holm_p": [0.2]})
        >>> print(use_of_tokens(tests)[0].partition("): ")[2])
        +.100 [+.000, +.200] (Holm-corrected p = .200).
    """
    sentences = []
    for condition, reference, what, above, below in _QUESTIONS:
        for row in _contrast(tests, condition, reference) if condition in conditions else []:
            own = mirrored(row) if reference == "aligned" else row
            pair = f"{own['condition']} − {own['reference']}"
            claim = _claim(own, above, below)
            beside = _beside_presence(tests, claim) * ((condition, reference) == _MIDDLE_WORDS)
            sentences.append(f"{claim}. {what} ({pair}): {_difference(own)} ({_p(own)}).{beside}")
    return sentences


def _beside_presence(tests: pd.DataFrame, claim: str) -> str:
    """What constant tokens do beside what the presence of a block alone does, where it is known."""
    for row in _contrast(tests, "masked(1)", "none"):
        return (
            " The difference for the presence of a block alone (masked(1) − none) is "
            f"{_difference(row)}."
        )
    unknown = " This can be an effect of the middle words or of the presence of a block."
    return unknown * (claim != "Inconclusive")


def harm_line(tests: pd.DataFrame) -> str:
    """What wrong tokens do to UAR relative to the audio alone.

    They are those of the first of ``conflicting``, ``counter_emotion`` and ``shuffled`` that the
    study has: were it the condition with the lowest UAR, the harm would look larger than it is.

    Args:
        tests: as ``compare`` returns them

    Examples:
        >>> row = {"condition": ["shuffled"], "reference": ["none"], "difference": [-0.1]}
        >>> tests = pd.DataFrame(row | {"uar": 0.4, "low": -0.2, "high": 0.0, "holm_p": 0.01})
        >>> harm_line(tests).partition(".")[0]
        'Shuffled tokens lower UAR'
    """
    for name, words in _WRONG_TOKENS.items():
        for row in _contrast(tests, name, "none"):
            tokens = f"{name.replace('_', '-')} tokens"
            claim = _claim(row, f"{tokens} raise UAR", f"{tokens} lower UAR")
            return (
                f"{claim}. UAR with {words} relative to the audio alone ({name} − none): "
                f"{_difference(row)} ({_p(row)})."
            )
    return ""


def place_among_controls(reliance: pd.DataFrame) -> str:
    """Which models of known reliance rely less on the tokens than the model under study, and more.

    Args:
        reliance: as ``control_reliance`` returns it
    """
    whole = reliance[reliance["by"] == "all"].set_index("model")
    if whole["share"].isna()[THIS_MODEL]:
        return ""
    shares = whole["share"].reindex(list(CONTROLS)).dropna()
    if not shares.is_monotonic_increasing:
        return (
            f"The shares of the controls do not increase in the order {', '.join(CONTROLS)}: the "
            "share of the model under study cannot be interpreted."
        )
    more, less, unclear = "higher than", "lower than", "not shown to differ from"
    sides: dict[str, list[str]] = {more: [], less: [], unclear: []}
    # A control that is the very model under study has no p.
    for name, row in whole.reindex(list(CONTROLS)).dropna(subset="holm_p").iterrows():
        side = more if row["difference"] < 0 else less
        sides[side if row["holm_p"] < LEVEL else unclear].append(
            f"{name} ({bounded(row['share'])})"
        )
    told = ", ".join(f"{side} that of {' and '.join(of)}" for side, of in sides.items() if of)
    if not told:
        return ""
    own = with_interval(*whole.loc[THIS_MODEL, ["share", "low", "high"]])
    return (
        "Reliance on the tokens, their share in the weights of audio and tokens, is "
        f"{own} on the prompts that the control models answered, too (first wording and label "
        f"order): {told} (paired over speakers, Holm-corrected)."
    )


def follow_line(followed: pd.DataFrame, follow: pd.DataFrame) -> str:
    """What the answers follow where the audio is that of another class than the tokens.

    Args:
        followed: as ``crossing.followed`` returns it
        follow: as ``crossing.follow`` returns it

    Examples:
        >>> told = {"condition": "aligned @ swapped", "follows": ["audio", "tokens", "neither"]}
        >>> told = pd.DataFrame(told | {"share": [0.5, 0.3, 0.2]})
        >>> ratio = pd.DataFrame({"value": 0.4, "low": 0.3, "high": 0.45}, ["follow ratio"])
        >>> print(follow_line(told, ratio).partition(". Where")[0])
        The answers follow the audio more than the tokens
    """
    rows = followed[followed["condition"] == CONFLICT].set_index("follows")["share"]
    shares = (
        f"Where audio and tokens are of different classes ({CONFLICT}), {percent(rows['audio'])} "
        f"of the answers are the class of the audio, {percent(rows['tokens'])} that of the tokens, "
        f"{percent(rows['neither'])} neither"
    )
    ratio = follow.loc["follow ratio"].to_dict()
    if math.isnan(ratio["low"]):
        return (
            f"Inconclusive. {shares}; there is no interval of the follow ratio, since the pulls of "
            "audio and tokens together are not shown to differ from zero."
        )
    told = with_interval(ratio["value"], ratio["low"], ratio["high"])
    verdict = "Inconclusive: the interval of the follow ratio includes .5"
    if ratio["high"] < 0.5:
        verdict = "The answers follow the audio more than the tokens"
    elif ratio["low"] > 0.5:
        verdict = "The answers follow the tokens more than the audio"
    return (
        f"{verdict}. {shares}. Corrected for how often these classes are answered anyway, the "
        f"follow ratio is {told} (0: only the audio counts, .5: both alike, 1: only the tokens)."
    )


def beside_the_tokens(difference: pd.DataFrame) -> str:
    """Whether the model with audio and tokens does better than a reader of the tokens alone.

    Args:
        difference: as ``Run.beside_tokens`` gives it
    """
    # It is tested once, by itself: there is nothing to be corrected for.
    (row,) = difference.rename(columns={"p": "holm_p"}).assign(step="primary").to_dict("records")
    verdict = _claim(
        row,
        "audio and tokens together give the model more than the tokens alone",
        "with audio and tokens, the model does worse than a reader of the tokens alone",
    )
    return (
        f"{verdict}. UAR of the model with aligned tokens relative to a classifier that sees only "
        f"the tokens ({bounded(row['uar_reference'])}): {_difference(row)} ({_p(row)}, t test; "
        "not part of the planned family)."
    )


def undecided(tests: pd.DataFrame, equivalence: pd.DataFrame, margin: float) -> str:
    """Contrasts that show neither a difference nor equality, and how many speakers it would take.

    Args:
        tests: as ``compare`` returns them
        equivalence: as ``equivalence_tests`` returns it, of the same contrasts
        margin: the difference that the study calls none

    Returns:
        a sentence; empty where all is decided
    """
    open_ones = tests[verdicts(tests, equivalence) == "inconclusive"]
    if open_ones.empty:
        return ""
    names = ", ".join(f"{row.condition} − {row.reference}" for row in open_ones.itertuples())
    levels = strictest_levels(zip(tests["condition"], tests["reference"], strict=True), LEVEL)
    needed = max(
        speakers_needed(row["se"], row["df"], row["speakers"], margin, alpha=row["level"])
        for row in tests.assign(level=levels).loc[open_ones.index].to_dict("records")
    )
    sentence = (
        f"{len(open_ones)} of {len(tests)} planned contrasts show neither a difference nor "
        f"equivalence within ±{shortest(margin)} ({names})."
    )
    speakers = tests["speakers"].max()
    if not math.isfinite(needed):
        return sentence
    if needed <= speakers:
        power = f"a power of {percent(0.8)} was reached"
        return f"{sentence} For a true difference of {shortest(margin)}, {power}."
    step = 10 ** max(len(str(needed)) - 2, 0)
    return (
        f"{sentence} About {-(-needed // step) * step:,} speakers would be needed to detect a "
        f"difference of {shortest(margin)} in each of them ({percent(0.8)} power, at the level of "
        f"the strictest step of Holm's correction; errors as estimated from these {speakers} "
        "speakers)."
    )


def spread_of_answers(measures: pd.DataFrame) -> list[str]:
    """Under which condition answers are most concentrated in one class, and how many are invalid.

    Args:
        measures: as ``Run.measures`` gives them
    """
    sentences = []
    table = measures.set_index("condition")
    answered = table[table["entropy"].notna() & ~table.get("baseline", False)]
    if len(answered):
        name = str(answered["commonest_share"].idxmax())
        row = answered.loc[[name]].iloc[0]
        sentences.append(
            f"Answers are most concentrated under {name}, where {row['commonest']} is "
            f"{percent(row['commonest_share'])} of them (normalised entropy "
            f"{bounded(row['entropy'], 2)}; 1 is an even spread, 0 a single class)."
        )
    rates = table["invalid_rate"]
    if rates.max() > 0:
        sentences.append(
            f"Answers that are invalid, and count as wrong: from {percent(rates.min(), 1)} to "
            f"{percent(rates.max(), 1)} ({rates.idxmax()}), by condition."
        )
    return sentences


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def _contrast(tests: pd.DataFrame, condition: str, reference: str) -> list[pd.Series]:
    """The row of a contrast, if it was planned."""
    rows = tests[(tests["condition"] == condition) & (tests["reference"] == reference)]
    return [row for _, row in rows.iterrows()]


def _claim(row: pd.Series | Mapping[Hashable, Any], above: str, below: str) -> str:
    """What the corrected p-values of a difference and of equivalence allow to be said."""
    if row.get("verdict") == "equivalent":
        return f"Equivalent to within ±{shortest(row['margin'])} of UAR"
    if row.get("verdict") == "unchanged":
        return "Unchanged for every speaker"
    if not row["holm_p"] < LEVEL:
        return "Inconclusive"
    claim = above if row["difference"] > 0 else below
    return claim[0].upper() + claim[1:]


def _p(row: pd.Series | Mapping[Hashable, Any]) -> str:
    """A corrected p-value, and which it is."""
    corrected = "" if row.get("step") == "primary" else "Holm-corrected "
    by = {"flips": ", sign-flip test", "t": ", t test"}.get(str(row.get("decided_by")), "")
    equal = f"; TOST {p_value(row['tost_p'])}" if row.get("verdict") == "equivalent" else ""
    return f"{corrected}{p_value(row['holm_p'])}{by}{equal}"


def _difference(row: pd.Series | Mapping[Hashable, Any]) -> str:
    return signed(row["difference"], row["low"], row["high"])
