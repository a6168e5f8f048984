"""What one looks at beside the tests: wordings, changed answers, and speakers one by one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sercue.errors import InputError, refuse_unknown
from sercue.statistics.contrasts import uar_intervals_by
from sercue.statistics.measures import confusion_counts, ratio, uar_by
from sercue.statistics.speakers import primary_cell


def wording_sensitivity(
    predictions: pd.DataFrame, labels: Sequence[str], *, confidence: float = 0.95
) -> pd.DataFrame:
    """UAR of each condition in each wording and label order, with its interval over speakers.

    Args:
        predictions: predictions as ``run_study`` returns them
        labels: the classes
        confidence: coverage that the intervals aim at, between 0 and 1

    Returns:
        DataFrame with ``condition``, ``template``, ``label_order``, ``uar``, ``low`` and ``high``,
        all three in [0, 1]; with a single speaker there is no interval, and its ends are NaN

    Examples:
        >>> from sercue.statistics.measures import LABELS, example_predictions
        >>> wording_sensitivity(example_predictions(), LABELS).round(2)
          condition template  label_order   uar   low  high
        0      none    plain            0  0.42  0.26  0.57
        1   aligned    plain            0  0.71  0.37  1.00
    """
    keys = ["condition", "template", "label_order"]
    table = uar_by(predictions, labels, keys)
    if predictions["speaker"].nunique() < 2:
        return table.assign(low=np.nan, high=np.nan)
    intervals = uar_intervals_by(predictions, labels, by=keys[1:], confidence=confidence)
    return table.merge(intervals[[*keys, "low", "high"]], on=keys)


def changed_answers(predictions: pd.DataFrame, condition: str, reference: str) -> pd.DataFrame:
    """The utterances that are answered differently under two conditions.

    Compared is one prompt per utterance and condition: the first wording, label order, decoding
    and replicate, as in McNemar's test. Invalid answers are an answer of their own.

    Args:
        predictions: predictions as ``run_study`` returns them
        condition: name of a condition
        reference: name of another one

    Returns:
        DataFrame, one row per utterance, those first of which the model was surest under both
        conditions (by the lower of the two probabilities); with ``speaker``, ``truth``, the two
        answers in columns named after the conditions (``invalid`` for none), ``tokens`` that differ
        (``ENERGY: LOW → HIGH``, from reference to condition), and, of scored answers,
        ``p_<reference>`` and ``p_<condition>``, the probability of the answer given, and
        ``change``, by how much the probability of the reference's answer changed, in [-1, 1]

    Raises:
        InputError: if a condition is unknown, or both are the same

    Examples:
        >>> from sercue.statistics.measures import example_predictions
        >>> changed = changed_answers(example_predictions(), "aligned", "none")
        >>> changed.loc["s0_1.wav", ["truth", "none", "aligned"]].to_dict()
        {'truth': 'neutral', 'none': 'neutral', 'aligned': 'sad'}
    """
    table, old, new = _both_answers(predictions, condition, reference)
    table.insert(4, "tokens", _different_tokens(old, new))
    if "sureness" in table:
        answers = table[reference]
        change = _probability(new, answers) - table[f"p_{reference}"]
        order = np.argsort(-table["sureness"], kind="stable")
        table = table.drop(columns="sureness").assign(change=change).iloc[order]
    return table[table[reference] != table[condition]]


def answer_transitions(predictions: pd.DataFrame, condition: str, reference: str) -> pd.DataFrame:
    """From which answer to which the changed answers go, and how many of them are right.

    Args:
        predictions: predictions as ``run_study`` returns them
        condition: name of a condition
        reference: name of another one

    Returns:
        DataFrame by the answer under ``reference`` and that under ``condition`` (columns of these
        names in the index): ``utterances``, whose answer changed so, and the shares of them that
        were right before (``right_before``) and are right after it (``right_after``), in [0, 1];
        of scored answers also ``sureness``, the median over the utterances of the lower of the two
        probabilities of the answers given. The most frequent come first.

    Raises:
        InputError: as ``changed_answers``

    Examples:
        >>> from sercue.statistics.measures import example_predictions
        >>> table = answer_transitions(example_predictions(), "aligned", "none")
        >>> table.loc[("neutral", "sad"), "utterances"].item()
        3
    """
    table, _, _ = _both_answers(predictions, condition, reference)
    changed = table[table[reference] != table[condition]]
    right = changed.assign(
        right_before=changed[reference] == changed["truth"],
        right_after=changed[condition] == changed["truth"],
    )
    by = right.groupby([reference, condition])
    found = by[["right_before", "right_after"]].mean()
    found.insert(0, "utterances", by.size())
    if "sureness" in table:
        found["sureness"] = by["sureness"].median()
    return found.sort_values("utterances", ascending=False, kind="stable")


def changes_by_token(predictions: pd.DataFrame, condition: str, reference: str) -> pd.DataFrame:
    """How often the answer changes with each change of a token.

    Tokens that change together are not told apart: where a condition changes all of them, a row is
    about utterances with this change, not about its effect. A condition that changes one of them,
    such as ``flip(ENERGY)``, tells that.

    Args:
        predictions: predictions as ``run_study`` returns them
        condition: name of a condition
        reference: name of another one

    Returns:
        DataFrame by ``concept``, ``before`` and ``after``, its words under ``reference`` and
        ``condition``: ``utterances``, ``changed``, the share of them that is answered otherwise,
        in [0, 1]; within a concept the most frequent first

    Raises:
        InputError: as ``changed_answers``, or if a condition shows no tokens
    """
    table, old, new = _both_answers(predictions, condition, reference)
    changed = (table[reference] != table[condition]).to_numpy()
    parts = []
    for name in (str(column) for column in old if str(column).startswith("shown_")):
        words = {"before": old[name].astype(object), "after": new[name].astype(object)}
        rows = pd.DataFrame(words).assign(changed=changed).dropna()
        by = rows.groupby(["before", "after"])["changed"].agg(["size", "mean"])
        by.columns = ["utterances", "changed"]
        by = by.sort_values("utterances", ascending=False, kind="stable").reset_index()
        by.insert(0, "concept", name.removeprefix("shown_"))
        parts.append(by)
    found = pd.concat(parts) if parts else pd.DataFrame()
    if found.empty:
        raise InputError(
            f"tokens of {condition} and {reference}: found none in one of them; valid are two "
            "conditions that show tokens"
        )
    return found.set_index(["concept", "before", "after"])


def _both_answers(
    predictions: pd.DataFrame, condition: str, reference: str
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Both answers to each utterance, and the rows of the reference and the condition.

    Of scored answers with the probability of each, and the lower of the two as ``sureness``.
    """
    known = list(predictions["condition"].unique())
    refuse_unknown("condition", (condition, reference), known)
    if condition == reference:
        raise InputError(f"condition: found {condition!r} twice, valid are two different ones")
    asked = predictions[predictions["condition"].isin([condition, reference])]
    cells = {
        str(name): part.set_index("utterance")
        for name, part in primary_cell(asked).groupby("condition", observed=True)
    }
    old, new = cells[reference], cells[condition].reindex(cells[reference].index)
    answers = {
        name: rows["prediction"].astype(object).where(rows["prediction"].notna(), "invalid")
        for name, rows in ((reference, old), (condition, new))
    }
    table = old[["speaker", "truth"]].astype(object).assign(**answers)
    if old.filter(regex="^p_").notna().to_numpy().any():
        before = _probability(old, answers[reference])
        after = _probability(new, answers[condition])
        table[f"p_{reference}"], table[f"p_{condition}"] = before, after
        table["sureness"] = np.fmin(before, after)
    return table, old, new


def _probability(rows: pd.DataFrame, answer: pd.Series) -> np.ndarray:
    """What each row gives to a class; NaN where there is none."""
    shares = rows.filter(regex="^p_").rename(columns=lambda name: name.removeprefix("p_"))
    places = shares.columns.get_indexer(pd.Index(answer))
    values = shares.to_numpy(float)[np.arange(len(rows)), places]
    return np.where(places < 0, np.nan, values)


def _different_tokens(old: pd.DataFrame, new: pd.DataFrame) -> list[str]:
    """For each utterance the tokens that are not the same; nothing where one has no tokens."""
    shown = [name for name in map(str, old) if name.startswith("shown_")]
    words, told = (rows[shown].astype(object).to_numpy() for rows in (old, new)), []
    for before, after in zip(*words, strict=True):
        changes = [
            f"{name.removeprefix('shown_')}: {first} → {second}"
            for name, first, second in zip(shown, before, after, strict=True)
            if pd.notna(first) and pd.notna(second) and first != second
        ]
        told.append(", ".join(changes))
    return told


def speaker_table(
    predictions: pd.DataFrame, labels: Sequence[str], contrasts: Sequence[tuple[str, str]] = ()
) -> pd.DataFrame:
    """Each speaker's UAR by condition, and the differences between conditions.

    Args:
        predictions: predictions as ``run_study`` returns them
        labels: the classes
        contrasts: pairs (condition, reference) whose differences are wanted

    Returns:
        DataFrame, one row per speaker: ``utterances``, ``classes`` (how many of the labels the
        speaker has), the mean recall of these classes under each condition, in [0, 1], over all
        wordings, label orders and replicates, and a column ``<condition> − <reference>`` per
        contrast. The UAR of the study is no mean of these: it pools the speakers of each class.

    Examples:
        >>> from sercue.statistics.measures import LABELS, example_predictions
        >>> table = speaker_table(example_predictions(), LABELS, [("aligned", "none")])
        >>> table.loc["s2"].to_dict() == {
        ...     "utterances": 6, "classes": 3, "none": 0.5, "aligned": 1, "aligned − none": 0.5
        ... }
        True
    """
    counts, conditions, speakers = confusion_counts(predictions, labels)
    totals = counts.sum(axis=-1).astype(float)
    recall = ratio(np.diagonal(counts, axis1=2, axis2=3).astype(float), totals, np.nan)
    has = totals[0] > 0
    recalls = np.where(has, recall, 0).sum(axis=2) / has.sum(axis=1)
    means = pd.DataFrame(recalls, conditions, speakers).T
    own = predictions.groupby("speaker", observed=True)["utterance"].nunique()
    differences = {f"{a} − {b}": means[a] - means[b] for a, b in contrasts}
    table = means.assign(**differences).rename_axis("speaker")
    table.insert(0, "utterances", own.reindex(speakers))
    table.insert(1, "classes", has.sum(axis=1))
    return table
