"""Which concept does it: effects of single concepts, and Shapley values over all their subsets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from sercue.errors import InputError, unknown
from sercue.statistics.contrasts import EMPTY, holm, mirrored
from sercue.statistics.measures import label_codes, log_probability, ratio
from sercue.statistics.resampling import check_confidence
from sercue.statistics.speakers import Clustered, SpeakerCounts, recall_estimates, speaker_counts
from sercue.tokens.catalogue import condition_facts
from sercue.tokens.condition import PLUS
from sercue.tokens.schemes import read_scheme

VALUES = ("uar", "log_p")


def condition_values(
    predictions: pd.DataFrame, labels: Sequence[str], value: str, conditions: Sequence[str]
) -> tuple[SpeakerCounts, Clustered]:
    """The value of each condition: the mean over classes of the mean over their answers.

    Args:
        predictions: as ``run_study`` returns them
        labels: the classes
        value: ``"uar"``, or ``"log_p"``: the log-probability of the true label, in nats
        conditions: the conditions to take

    Returns:
        the counts, which name the conditions, and one estimate a condition

    Raises:
        InputError: if conditions do not have the same utterances, if there are fewer than two
            speakers, if a block leaves out a concept, or if probabilities of labels are wanted
            and missing

    Examples:
        >>> from sercue.statistics.measures import LABELS, example_predictions
        >>> counted, found = condition_values(
        ...     example_predictions(), LABELS, "uar", ["none", "aligned"])
        >>> counted.conditions, found.estimate.round(3)
        (['none', 'aligned'], array([0.417, 0.708]))
    """
    if value not in VALUES:
        raise unknown("value", value, VALUES)
    rows = predictions[predictions["condition"].isin(conditions)]
    facts = condition_facts(rows)
    concepts = set(facts["concepts"].explode().dropna())
    columns = [name for name in rows if str(name).removeprefix("shown_") in concepts]
    hiding = facts.index[facts["family"].isin(("only", "without"))]
    # Earlier versions left out a hidden concept.
    if rows.loc[rows["condition"].isin(hiding), columns].isna().to_numpy().any():
        raise InputError(
            f"predictions: prompts of {hiding[0]} leave out concepts, as an earlier version made "
            "them; valid are prompts that show hidden concepts as 'unknown': run the study again"
        )
    counted = speaker_counts(rows, labels)
    counted.check_paired(counted.conditions)
    if value == "uar":
        return counted, counted.uar
    probabilities = [f"p_{label}" for label in counted.labels]
    if set(probabilities) - set(rows) or rows[probabilities].isna().to_numpy().any():
        raise InputError(
            "value 'log_p': found answers without a probability of each label; valid with decoding "
            "'score' alone"
        )
    known = {"condition": counted.conditions, "speaker": counted.speakers, "truth": counted.labels}
    codes = [label_codes(rows[column], names, column) for column, names in known.items()]
    probability = rows[probabilities].to_numpy(dtype=float)[np.arange(len(rows)), codes[-1]]
    shape = counted.totals.shape
    cell = np.ravel_multi_index(tuple(codes), shape)
    sums, answers = (
        np.bincount(cell, weights=weights, minlength=int(np.prod(shape))).reshape(shape)
        for weights in (log_probability(probability), None)
    )
    # Summed as answers are counted: an utterance counts 1.
    return counted, recall_estimates(ratio(sums, answers) * counted.totals, counted.totals)


def _asked_alike(predictions: pd.DataFrame, conditions: Sequence[str]) -> tuple[pd.DataFrame, int]:
    """The answers in the wordings and label orders in which all the conditions were asked.

    And the number of these wordings and orders.
    """
    rows = predictions[predictions["condition"].isin(conditions)]
    asked = rows.groupby(["template", "label_order"], observed=True)["condition"]
    alike = rows[asked.transform("nunique") == rows["condition"].nunique()]
    if alike.empty:
        raise InputError(
            "predictions: there is no wording and label order in which all of these conditions "
            f"were asked: {', '.join(dict.fromkeys(conditions))}"
        )
    return alike, len(alike[["template", "label_order"]].drop_duplicates())


#: What each kind of single-concept condition is compared with.
REFERENCES = {"only": EMPTY, "without": "aligned", "flip": "aligned"}


def subset_conditions(concepts: Sequence[str] | None = None) -> list[str]:
    """The conditions that show each subset of the concepts: what ``shapley`` needs.

    In all of them the token block names every concept, and those outside the subset are
    ``unknown``, so that the blocks differ in content and not in form.

    Args:
        concepts: their names, in order; those of the scheme ``paper`` by default

    Returns:
        2 to the power of their number: ``masked(1)`` for the empty set, ``only(...)`` for each
        other one by size, ``aligned`` for all of them

    Examples:
        >>> subset_conditions(["energy", "pitch"])
        ['masked(1)', 'only(energy)', 'only(pitch)', 'aligned']
        >>> len(subset_conditions())
        64
    """
    names = read_scheme().names if concepts is None else concepts
    partial = [
        f"only({PLUS.join(subset)})"
        for size in range(1, len(names))
        for subset in combinations(names, size)
    ]
    return [EMPTY, *partial, "aligned"]


def presence_and_content(tests: pd.DataFrame) -> pd.DataFrame:
    """The gain of aligned tokens over none as the sum of two differences.

    Presence is the effect of a token block without information, ``masked(1)`` against ``none``;
    content is what the tokens add to such a block, ``aligned`` against ``masked(1)``.

    Args:
        tests: as ``compare`` returns them, of the planned contrasts

    Returns:
        DataFrame, one row per part: ``part`` (presence, content, gain: their sum), ``condition``,
        ``reference``, and ``difference``, ``low``, ``high`` and ``holm_p`` of that contrast

    Raises:
        InputError: if one of the three contrasts is missing

    Examples:
        >>> from sercue.statistics.contrasts import compare
        >>> from sercue.statistics.measures import LABELS, example_predictions
        >>> rows = example_predictions({"none": 0.4, "aligned": 0.9, "masked(1)": 0.7})
        >>> presence_and_content(compare(rows, LABELS)).iloc[:, :4].round(2)
               part  condition  reference  difference
        0  presence  masked(1)       none        0.04
        1   content    aligned  masked(1)        0.46
        2      gain    aligned       none        0.50
    """
    rows = tests.set_index(["condition", "reference"])
    pairs = [(EMPTY, "none"), (EMPTY, "aligned"), ("aligned", "none")]
    if missing := [" against ".join(pair) for pair in pairs if pair not in rows.index]:
        raise InputError(
            f"Presence and content of a token block need the contrast {missing[0]}; add the "
            f"conditions none, aligned and {EMPTY}"
        )
    found = rows.reindex(pairs)[["difference", "low", "high", "holm_p"]].reset_index()
    presence, opposite, gain = (row for _, row in found.iterrows())
    # The planned contrast takes aligned from the masked block: content is its opposite.
    parts = pd.DataFrame([presence, mirrored(opposite), gain], found.index).infer_objects()
    parts.insert(0, "part", ["presence", "content", "gain"])
    return parts


def concept_effects(
    predictions: pd.DataFrame,
    labels: Sequence[str],
    *,
    value: str = "uar",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """What single concepts do: alone, when missing, when replaced by the opposite.

    ``only(c)`` is compared with ``masked(1)``, the block in which all concepts are hidden (what
    the concept adds by itself), ``without(c)`` and ``flip(c)`` with ``aligned`` (what is lost when
    it is hidden, or opposite). The first and the second differ where concepts repeat each other;
    ``shapley`` averages over all subsets of the others.

    These comparisons are a family of their own, apart from the planned contrasts: they ask which
    concept matters, after the contrasts have shown whether tokens have an effect.

    Args:
        predictions: as ``run_study`` returns them; conditions that are none of these are ignored
        labels: the classes
        value: ``"uar"``, or ``"log_p"``: log-probability of the true label, its mean over each
            class and then over the classes (decoding ``"score"`` only)
        confidence: coverage that the intervals aim at, between 0 and 1

    Returns:
        DataFrame, one row per condition: ``kind`` (only, without, flip), ``concept``,
        ``condition``, ``reference``, ``value``, ``effect`` (condition minus reference), ``low``,
        ``high``, ``p`` (two-sided), ``holm_p`` (corrected for all rows), ``speakers``, and
        ``prompts``, the number of wordings and label orders in which all of these conditions were
        asked: only answers in these are compared. Intervals and p-values are those of the t test of
        ``compare``.

    Raises:
        InputError: if no such condition is there, if one is there without its reference, if a
            block leaves out a concept, or a parameter is not valid

    Examples:
        >>> from sercue.statistics.measures import LABELS, example_predictions
        >>> rows = example_predictions({"masked(1)": 0.4, "only(pitch)": 0.7, "aligned": 0.8})
        >>> table = concept_effects(rows, LABELS)
        >>> table[["concept", "condition", "reference", "effect"]].round(2)
          concept    condition  reference  effect
        0   pitch  only(pitch)  masked(1)    0.33
    """
    check_confidence(confidence)
    facts = condition_facts(predictions)
    single = facts[facts["concepts"].map(len) == 1].reset_index()
    table = pd.DataFrame({"kind": single["family"], "concept": single["concepts"].str[0]})
    table["condition"], table["reference"] = single["condition"], table["kind"].map(REFERENCES)
    if table.empty or not table["reference"].isin(facts.index).all():
        raise InputError(
            f"conditions: found {', '.join(facts.index)}; effects of concepts need only(c) with "
            f"{EMPTY}, or without(c) or flip(c) with aligned"
        )
    pairs = list(zip(table["condition"], table["reference"], strict=True))
    sides = [*table["condition"], *table["reference"]]
    alike, prompts = _asked_alike(predictions, sides)
    counted, values = condition_values(alike, labels, value, sides)
    found = values.combine(counted.contrast_weights(pairs))
    rows = found.rows(confidence, "effect", least=-np.inf, most=np.inf)
    table = table.assign(value=value).join(rows[["effect", "low", "high", "p"]])
    return table.assign(holm_p=holm(rows["p"]), speakers=len(counted.speakers), prompts=prompts)


def shapley(
    predictions: pd.DataFrame,
    labels: Sequence[str],
    *,
    value: str = "uar",
    confidence: float = 0.95,
) -> pd.DataFrame:
    r"""Exact Shapley values: the share of each concept in the content of the token block.

    With :math:`v(S)` the value where the subset S of the n concepts is shown,

    .. math:: \phi_c = \sum_{S \not\ni c} \frac{|S|!\,(n - |S| - 1)!}{n!}
        \bigl(v(S \cup \{c\}) - v(S)\bigr)

    It is the mean gain that the concept adds to those shown before it, over all orders. The values
    sum to :math:`v(\text{aligned}) - v(\text{masked(1)})`; concepts that always do the same get
    the same; one without any effect gets 0. The effect of the presence of a block is in none
    of them: every subset is shown in one (see ``presence_and_content``). They describe this model
    on these utterances, not the effect of a concept on another model.

    A Shapley value is a weighted sum of the values of all subsets, so that its interval comes from
    what each speaker adds to that sum, as those of ``compare`` do.

    Args:
        predictions: as ``run_study`` returns them, with the conditions of ``subset_conditions``;
            others are ignored. The concepts are those that ``only(...)`` names.
        labels: the classes
        value: ``"uar"``, or ``"log_p"``: log-probability of the true label, its mean over each
            class and then over the classes (decoding ``"score"`` only)
        confidence: coverage that the intervals aim at, between 0 and 1; not corrected for the
            number of concepts

    Returns:
        DataFrame, one row per concept: ``concept``, ``value``, ``shapley`` (in UAR from -1 to 1,
        or in nats), ``low``, ``high``, ``p`` (two-sided), ``holm_p`` (corrected for the number of
        concepts), ``speakers``, ``prompts`` (as in ``concept_effects``)

    Raises:
        InputError: if a subset is missing, if a block leaves out a concept, if conditions do not
            have the same utterances, or a parameter is not valid

    References:
        Shapley, "A value for n-person games" (1953)

    Examples:
        >>> from sercue.statistics.measures import LABELS, example_predictions
        >>> rows = example_predictions(
        ...     {"masked(1)": 0.4, "only(energy)": 0.5, "only(pitch)": 0.7, "aligned": 0.8})
        >>> shapley(rows, LABELS)[["concept", "shapley"]].round(3)
          concept  shapley
        0  energy    0.271
        1   pitch    0.146
    """
    check_confidence(confidence)
    facts = condition_facts(predictions)
    named = facts.loc[facts["family"] == "only", "concepts"].explode()
    if named.empty:
        raise InputError(
            f"conditions: found {', '.join(facts.index)}; Shapley values need those that "
            "subset_conditions lists"
        )
    found = named.unique().tolist()
    # In the order in which prompts show them, where that is known.
    shown = [str(name).removeprefix("shown_") for name in predictions]
    concepts = [name for name in shown if name in found] or found
    names = _condition_of_subset(facts, concepts)
    alike, prompts = _asked_alike(predictions, list(names.values()))
    counted, worth = condition_values(alike, labels, value, list(names.values()))
    signs = np.zeros((len(concepts), len(counted.conditions)))
    for subset, weights in shapley_weights(len(concepts)).items():
        signs[:, counted.place(names[frozenset(concepts[c] for c in subset)])] += weights
    rows = worth.combine(signs).rows(confidence, "shapley", least=-np.inf, most=np.inf)
    table = pd.DataFrame({"concept": concepts, "value": value})
    table = table.join(rows[["shapley", "low", "high", "p"]])
    return table.assign(holm_p=holm(rows["p"]), speakers=len(counted.speakers), prompts=prompts)


def shapley_weights(players: int) -> Mapping[frozenset[int], np.ndarray]:
    """How much the value of each subset counts in the Shapley value of each player.

    Args:
        players: number of players

    Returns:
        subset to an array of shape (players,): positive for its members, negative for the others

    Examples:
        >>> {tuple(subset): w.tolist() for subset, w in shapley_weights(2).items()}
        {(): [-0.5, -0.5], (0,): [0.5, -0.5], (1,): [-0.5, 0.5], (0, 1): [0.5, 0.5]}
    """
    weights = {}
    for size in range(players + 1):
        for subset in combinations(range(players), size):
            inside = np.isin(np.arange(players), subset)
            joined = 1 / (players * math.comb(players - 1, size - 1)) if size else 0.0
            stayed = -1 / (players * math.comb(players - 1, size)) if size < players else 0.0
            weights[frozenset(subset)] = np.where(inside, joined, stayed)
    return weights


def _condition_of_subset(facts: pd.DataFrame, concepts: Sequence[str]) -> dict[frozenset[str], str]:
    """Each subset of the concepts and the condition that shows it while it hides the others."""
    shown = {}
    for name, family, named in zip(facts.index, facts["family"], facts["concepts"], strict=True):
        if name == EMPTY:
            shown[frozenset[str]()] = name
        elif name == "aligned":
            shown[frozenset(concepts)] = name
        elif family == "only":
            shown[frozenset(named)] = name
        elif family == "without":
            shown[frozenset(concepts) - frozenset(named)] = name
    wanted = subset_conditions(concepts)
    subsets = [frozenset(named) for size in range(len(concepts) + 1)
               for named in combinations(concepts, size)]  # fmt: skip
    missing = [name for name, subset in zip(wanted, subsets, strict=True) if subset not in shown]
    if missing:
        raise InputError(
            f"conditions: Shapley values of {len(concepts)} concepts need {len(wanted)} subsets; "
            f"{len(missing)} are missing, the first being {missing[0]}; subset_conditions lists all"
        )
    return {subset: shown[subset] for subset in subsets}
