"""The closing sentences of notebooks 02 and 05: what a study shows, what it leaves open, no more.

"No evidence of a difference" is not "evidence of no difference": where an interval includes zero
the sentence says that it is open, unless a test of equivalence has closed it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pandas as pd

from sercue.errors import or_none
from sercue.statistics.controls import THIS_MODEL
from sercue.statistics.designs import token_balance, token_information
from sercue.tables.findings import (
    LEVEL,
    binning_findings,
    direction,
    few_speakers,
    format_prior_finding,
    reliance_finding,
)
from sercue.tables.printed import with_interval

if TYPE_CHECKING:
    from sercue.run import Run


def conclusions(run: Run) -> list[str]:
    """What the tests of a study show, and what remains inconclusive.

    What the study has no conditions for is left out: the sections of notebook 05 say why.

    Args:
        run: a finished run
    """
    parts: list[Callable[[], list[str]]] = [
        lambda: family_sentences(run.tests, run.equivalence),
        lambda: detectable_sentence(run.detectable),
        lambda: collapse_sentence(run.collapse),
        lambda: format_prior_finding(run.format_prior),
        lambda: dose_sentences(run.dose_trend),
        lambda: split_sentence(run.split_gain),
        lambda: template_sentence(run.gain_by_template),
        lambda: [reliance_finding(run.reliance, run.settings.confidence)],
        lambda: control_sentence(run.control_reliance, THIS_MODEL),
        lambda: shapley_sentence(run.shapley),
        lambda: few_speakers(run.tests),
    ]
    return [run.findings[0], *(line for part in parts for line in or_none(part) or [])]


def binning_conclusions(run: Run) -> list[str]:
    """What notebook 02 found, of what the corpus allows.

    Args:
        run: a run with its tokens
    """
    return binning_findings(
        token_balance(run.tokens, run.corpus, run.scheme.words),
        token_information(run.tokens, run.corpus),
        or_none(lambda: run.stability),
        or_none(lambda: run.designs),
        or_none(lambda: run.own_design),
        run.scores,
        run.corpus,
        run.settings.partition,
    )


def family_sentences(tests: pd.DataFrame, equivalence: pd.DataFrame) -> list[str]:
    """What the planned contrasts show, and what of the rest is shown to be equal.

    Args:
        tests: as ``compare`` returns them
        equivalence: as ``equivalence_tests`` returns it, of the same contrasts

    Examples:
        >>> pair = {"condition": ["aligned"], "reference": ["none"]}
        >>> tests = pd.DataFrame(pair | {"difference": [0.01], "holm_p": [0.4]})
        >>> equal = pd.DataFrame(pair | {"margin": [0.05], "equivalent": [False]})
        >>> print(family_sentences(tests, equal)[1][:52])
        aligned − none: inconclusive, neither a difference n
    """
    found = tests["holm_p"] < LEVEL
    sentences = [
        f"{int(found.sum())} of the {len(tests)} planned contrasts differ from zero after Holm's "
        f"correction{_listed(tests[found])}."
    ]
    equal = equivalence["equivalent"].to_numpy()
    margin = equivalence["margin"].iloc[0] if len(equivalence) else float("nan")
    if (equal & ~found).any():
        names = _names(tests[equal & ~found.to_numpy()])
        sentences.append(f"Equivalent to within ±{margin:g} of UAR (TOST): {names}.")
    small = equal & found.to_numpy()
    if small.any():
        sentences.append(
            f"Different, and yet shown to differ by less than {margin:g}: {_names(tests[small])}."
        )
    if (~found & ~equal).any():
        sentences.append(
            f"{_names(tests[~found.to_numpy() & ~equal])}: inconclusive, neither a difference nor "
            f"equality to within ±{margin:g} is shown."
        )
    return sentences


def detectable_sentence(detectable: pd.DataFrame) -> list[str]:
    """The smallest differences that the study could be expected to find.

    Args:
        detectable: as ``detectable_differences`` returns it
    """
    known = detectable["detectable"][detectable["detectable"] <= 1]
    if known.empty:
        return ["With these speakers, no difference in UAR would be detected, however large."]
    return [
        f"The minimum detectable effect (80 % power) is {known.min():.3f} to {known.max():.3f} of "
        "UAR, depending on the contrast; smaller differences may exist and remain unseen."
    ]


def collapse_sentence(collapse: pd.DataFrame) -> list[str]:
    """Whether answers are shown not to gather in one class.

    Args:
        collapse: as ``collapse_tests`` returns it
    """
    if collapse.empty:
        return []
    both = collapse.groupby("condition", sort=False)["no_collapse"].all()
    margin, reference = collapse["margin"].iloc[0], collapse["reference"].iloc[0]
    shown = (
        f"Relative to {reference}, collapse is ruled out for {int(both.sum())} of {len(both)} "
        f"conditions (entropy falls and the share of the commonest answer rises by less than "
        f"{margin:g})"
    )
    rest = [str(name) for name in both.index[~both]]
    return [f"{shown}; not ruled out for {', '.join(rest)}." if rest else f"{shown}."]


def dose_sentences(trends: pd.DataFrame) -> list[str]:
    """The trend of UAR with the dose, and whether each step goes down.

    Args:
        trends: as ``dose_trends`` returns them
    """
    return [
        f"From dose 0 to dose 1 of {row['family']}, UAR changes by "
        f"{_signed(row['slope'], row['low'], row['high'])} along a straight line"
        + (" and falls at every step." if row["falls_throughout"] else ", but not at every step.")
        for row in trends.to_dict("records")
    ]


def split_sentence(parts: pd.DataFrame) -> list[str]:
    """What of the loss from shuffling is the utterance's own, and what the label's.

    Args:
        parts: as ``split_gain`` returns it
    """
    rows = {row["part"]: row for row in parts.to_dict("records")}
    whole, own, label = (
        _signed(row["difference"], row["low"], row["high"])
        for row in map(rows.__getitem__, ("whole", "utterance", "label"))
    )
    return [
        f"Aligned tokens gain {whole} of UAR over shuffled ones: {own} from what they say about "
        f"the utterance itself, {label} from what they say about its class."
    ]


def control_sentence(reliance: pd.DataFrame, this_model: str) -> list[str]:
    """Where the model under study stands among the controls.

    Args:
        reliance: as ``control_reliance`` returns it
        this_model: its name there
    """
    whole = reliance[reliance["by"] == "all"].set_index("model")
    rows = {str(name): row for name, row in whole.iterrows()}
    told = {name: _share(row) for name, row in rows.items()}
    scale = "; ".join(f"{name} {share}" for name, share in told.items() if name != this_model)
    own = rows.pop(this_model)
    sides = {
        word: [
            name
            for name, row in rows.items()
            if row["holm_p"] < LEVEL and sign * row["difference"] < 0
        ]
        for word, sign in (("above", 1), ("below", -1))
    }
    placed = " and ".join(
        f"{word} that of {' and '.join(names)}" for word, names in sides.items() if names
    )
    verdict = (
        f"It lies {placed} (paired over speakers, Holm-corrected p < .05)."
        if placed
        else "It differs from no control (paired over speakers), so that its place is inconclusive."
    )
    return [
        f"On the {own['rows']} answers with tokens to the prompts that the controls were asked, "
        f"too (first wording, label order and replicate), the tokens' share is "
        f"{told[this_model]}; "
        f"{scale}. {verdict} These shares rest on fewer prompts than the share over all answers "
        "and are compared with each other alone."
    ]


def shapley_sentence(table: pd.DataFrame) -> list[str]:
    """Which concept has the largest part in what all of them give.

    Args:
        table: as ``shapley`` returns it
    """
    rows = table.to_dict("records")
    most = max(rows, key=lambda row: float(row["shapley"]))
    clear = [direction(row["low"], row["high"]) > 0 for row in rows]
    return [
        f"Of the total gain from all concepts ({_plain(table['shapley'].sum())} of UAR), "
        f"{most['concept']} has the largest Shapley share "
        f"({_signed(most['shapley'], most['low'], most['high'])}); the interval lies above zero "
        f"for {sum(clear)} of {len(clear)} concepts."
    ]


def template_sentence(gains: pd.DataFrame) -> list[str]:
    """Whether the gain hangs on the wording.

    Args:
        gains: as ``gain_by`` returns it
    """
    if len(gains) < 2:
        return []
    ordered = gains.sort_values("difference").to_dict("records")
    least, most = (
        f"{_plain(row['difference'])} ({row['template']})" for row in (ordered[0], ordered[-1])
    )
    return [f"By wording, the gain ranges from {least} to {most}."]


def _share(row: pd.Series) -> str:
    if row["reason"]:
        return "not identified"
    return with_interval(row["share"], row["low"], row["high"]).replace("-", "−")


def _listed(rows: pd.DataFrame) -> str:
    return f": {_names(rows, signed=True)}" if len(rows) else ""


def _names(rows: pd.DataFrame, *, signed: bool = False) -> str:
    return ", ".join(
        f"{row['condition']} − {row['reference']}"
        + (f" ({_plain(row['difference'])})" if signed else "")
        for row in rows.to_dict("records")
    )


def _plain(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _signed(value: float, low: float, high: float) -> str:
    return f"{value:+.3f} [{low:+.3f}, {high:+.3f}]".replace("-", "−")
