r"""Audio crossed with tokens: what each adds to UAR, and which of them the answers follow.

Tokens alone, moved while the audio stays, cannot tell a model that weighs cue against sound from
one that reads. Here the sound moves, too. What tokens add where nothing can be heard, and what the
sound adds beside the tokens, are contrasts of UAR. Where sound and tokens are of different classes,
the answers follow one, the other, or neither.

Under aligned @ swapped, an utterance's tokens of class t stand beside the sound of another
utterance, of class a. With P(x | sound, tokens) the share of answers x, tokens pull by

.. math:: T = P(t \mid a, t) - P(t \mid a, a)

and the audio by

.. math:: A = P(a \mid a, t) - P(a \mid t, t)

where P(. | a, a) is that of the other utterance with its own tokens, and P(. | t, t) that of the
utterance itself. Either is a difference of the same answer, to the same sound in T and the same
tokens in A, with a block of tokens in the prompt each time: neither a label that is always
preferred nor one that any block favours, whatever it says, adds to it. The follow ratio
T / (T + A) is 0 of a model that ignores what the tokens say and 1 of one that ignores the sound.

Other audio takes the two apart only as far as its own tokens differ: ``kept_tokens`` counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product

import numpy as np
import pandas as pd
import scipy

from sercue.corpora.audio_variants import AUDIO_VARIANTS, OWN, SILENT, SWAPPED
from sercue.errors import InputError
from sercue.statistics.contrasts import holm
from sercue.statistics.speakers import Clustered, fieller, recall_estimates, speaker_counts
from sercue.tokens.concepts import UNKNOWN
from sercue.tokens.condition import AT, parts_heard

#: Tokens of the utterance beside audio of another class.
CONFLICT = f"aligned{AT}{SWAPPED}"
_NO_AUDIO = (
    "this study has no other audio under which none and aligned were both asked; valid is the "
    "study key audio with silent or reversed, say"
)
#: Other audio in which voice is heard and hardly any word.
WORDLESS = ("reversed", "spliced", "lowpass")
# How rows are called, and what is taken from what: (tokens, whether the audio is another one).
_EFFECTS = {
    "loss without tokens": ((("none", False), 1), (("none", True), -1)),
    "loss with tokens": ((("aligned", False), 1), (("aligned", True), -1)),
    "tokens": ((("aligned", True), 1), (("none", True), -1)),
    "interaction": (
        (("aligned", False), 1), (("none", False), -1),
        (("aligned", True), -1), (("none", True), 1),
    ),
}  # fmt: skip


def audio_effects(
    predictions: pd.DataFrame, labels: Sequence[str], *, confidence: float = 0.95
) -> pd.DataFrame:
    """What other audio takes away from UAR, what tokens add to it there, and their interaction.

    Of each kind of other audio: ``loss without tokens`` is the UAR of the own audio less that of
    the other, without tokens; ``loss with tokens`` the same with aligned tokens; ``tokens`` the
    gain from aligned tokens with the other audio; ``interaction`` the gain with own audio less that
    with the other; of ``WORDLESS`` audio, if silence was asked, too, ``voice`` the UAR without
    tokens less that in silence, so that what the audio adds (``loss without tokens`` of ``silent``)
    is the sum of ``voice`` and ``loss without tokens`` of the wordless audio, which holds the
    words. Swapped audio is of another class than the utterance and has no UAR of its own: see
    ``follow``.

    Args:
        predictions: as ``run_study`` returns them, with ``none`` and ``aligned`` crossed with audio
        labels: the classes
        confidence: coverage that the intervals aim at, between 0 and 1

    Returns:
        DataFrame, one row per kind of other audio and effect: ``heard``, ``effect``,
        ``difference``, ``low``, ``high``, ``se``, ``df``, ``p`` and ``holm_p``, corrected over all
        rows

    Raises:
        InputError: if no other audio was asked with ``none`` and ``aligned``
    """
    heard = crossed_variants(predictions["condition"].unique())
    if not heard:
        raise InputError(_NO_AUDIO)
    asked = [f"{tokens}{AT}{name}" for name in heard for tokens in ("none", "aligned")]
    rows = predictions[predictions["condition"].isin(["none", "aligned", *asked])]
    counted = speaker_counts(rows, labels)
    effects = {}
    for name, (effect, parts) in product(heard, _EFFECTS.items()):
        effects[name, effect] = {
            f"{tokens}{AT}{name}" if other else tokens: weight for (tokens, other), weight in parts
        }
    for name in heard:
        if name in WORDLESS and SILENT in heard:
            effects[name, "voice"] = {f"none{AT}{name}": 1, f"none{AT}{SILENT}": -1}
    weights = pd.DataFrame(effects, index=list(counted.conditions)).fillna(0).T
    table = counted.uar.combine(weights.to_numpy()).rows(confidence, least=-2, most=2)
    named = pd.DataFrame(list(effects), columns=["heard", "effect"])
    return named.join(table).assign(holm_p=holm(table["p"]))


def crossed_variants(conditions: Iterable[str]) -> list[str]:
    """Other audio, except ``swapped``, with ``none`` and ``aligned``, which own audio has, too.

    Examples:
        >>> crossed_variants(["none", "aligned", "none @ silent", "aligned @ silent"])
        ['silent']
    """
    tokens: dict[str, set[str]] = {}
    for name in conditions:
        shown, heard = parts_heard(name)
        tokens.setdefault(heard, set()).add(shown)
    both = {"none", "aligned"}
    if not both <= tokens.get(OWN, set()):
        return []
    return [v for v, shown in tokens.items() if v not in (OWN, SWAPPED) and both <= shown]


def factorial(intervals: pd.DataFrame) -> pd.DataFrame:
    """UAR by what is heard and what is read, for those tokens that are crossed with audio.

    Args:
        intervals: ``condition``, ``uar``, ``low`` and ``high``

    Returns:
        DataFrame with ``heard``, ``tokens``, ``uar``, ``low`` and ``high``, one row per pair.
        ``swapped`` is left out: what is heard there is of another class than the utterance.

    Raises:
        InputError: if no other audio was asked

    Examples:
        >>> names = ["none", "constant", "none @ silent"]
        >>> factorial(pd.DataFrame({"condition": names, "uar": [0.7, 0.5, 0.25]})).values.tolist()
        [['own', 'none', 0.7], ['silent', 'none', 0.25]]
    """
    told = list(map(parts_heard, intervals["condition"]))
    parts = pd.DataFrame(told, intervals.index, columns=["tokens", "heard"])
    crossed = parts.loc[~parts["heard"].isin([OWN, SWAPPED]), "tokens"]
    if crossed.empty:
        raise InputError(_NO_AUDIO)
    shown = parts["tokens"].isin(crossed) & (parts["heard"] != SWAPPED)
    table = parts[["heard", "tokens"]].join(intervals.drop(columns="condition"))[shown]
    return table.reset_index(drop=True)


def followed(predictions: pd.DataFrame, *, confidence: float = 0.95) -> pd.DataFrame:
    """Which class the answers are where what is heard and what is read are of different classes.

    Args:
        predictions: as ``run_study`` returns them
        confidence: coverage that the intervals aim at, between 0 and 1

    Returns:
        DataFrame, three rows per condition that shows tokens of another class than it lets hear:
        ``condition``, ``follows`` (``audio``, ``tokens`` or ``neither``), ``share``, ``low`` and
        ``high``, in [0, 1], and ``answers``, the number of answers to such prompts; all of these
        count, invalid ones as ``neither``

    Raises:
        InputError: if there is no such condition
    """
    classes = ["heard_class", "tokens_class"]
    if not set(classes) <= set(predictions):
        raise InputError(
            f"no {' or '.join(classes)} in the predictions, which stored answers of earlier "
            "versions lack; run the study again (no answer is asked twice)"
        )
    rows = predictions[predictions[classes].notna().all(axis=1)]
    heard, read = (rows[name].astype("str") for name in classes)
    rows = rows[heard != read]
    if rows.empty:
        raise InputError(
            "this study has no condition in which tokens are of another class than the audio; "
            f"valid are shuffled, counter_emotion or, with {SWAPPED} in the study key audio, "
            "aligned"
        )
    tables = []
    for condition, asked in rows.groupby("condition", sort=False, observed=True):
        answer = asked["prediction"].astype("str")
        audio, tokens = (answer == asked[name].astype("str") for name in classes)
        hits = pd.DataFrame({"audio": audio, "tokens": tokens, "neither": ~(audio | tokens)})
        by = hits.groupby(asked["speaker"].astype("str"))
        totals = np.broadcast_to(by.size().to_numpy(float), (hits.shape[1], by.ngroups))
        shares = recall_estimates(by.sum().to_numpy().T[:, :, None], totals[:, :, None])
        table = shares.rows(confidence, "share", least=0)[["share", "low", "high"]]
        table.insert(0, "condition", str(condition))
        table.insert(1, "follows", list(hits))
        tables.append(table.assign(answers=len(asked)))
    return pd.concat(tables, ignore_index=True)


def follow(predictions: pd.DataFrame, *, confidence: float = 0.95) -> pd.DataFrame:
    """How strongly audio and tokens pull the answers to their class where these differ.

    An utterance whose swapped audio is that of another speaker counts for its own: where many have
    none of their own, errors are underestimated, which ``limits.other_voices`` says of a study.

    Args:
        predictions: as ``run_study`` returns them, with ``aligned`` and ``aligned @ swapped``
        confidence: coverage that the intervals aim at, between 0 and 1

    Returns:
        DataFrame by ``measure`` with ``value``, ``low``, ``high`` and ``p`` (of "is 0"): the ``pull
        of audio``, the ``pull of tokens``, and their ``follow ratio``, with Fieller's interval,
        whose ends are NaN where the sum of both is not shown to differ from 0. It has no p-value
        of its own (NaN): it is 0 where the pull of the tokens is.

    Raises:
        InputError: if one of the conditions was not asked, or whose audio was heard is not known
    """
    rows = {str(name): part for name, part in predictions.groupby("condition", observed=True)}
    lacking = [name for name in ("aligned", CONFLICT) if name not in rows]
    lacking += [f"column {name}" for name in ("audio", "heard_class") if name not in predictions]
    if lacking:
        raise InputError(
            f"what answers follow is told by aligned and {CONFLICT}, and this study has no "
            f"{', no '.join(lacking)}; add {SWAPPED} to the study key audio"
        )
    if any(rows[name]["audio"].isna().any() for name in ("aligned", CONFLICT)):
        raise InputError(
            "the answers were made elsewhere, and do not say which utterance was heard under "
            f"{CONFLICT}: how strongly audio and tokens pull is not known"
        )
    conflict, aligned = (_by_utterance(rows[name]) for name in (CONFLICT, "aligned"))
    names = ["utterance", "speaker", "truth", "heard_class", "audio"]
    about = rows[CONFLICT].drop_duplicates("utterance")[names].astype("str").set_index("utterance")
    sounds = rows["aligned"].drop_duplicates("audio").set_index("audio")["utterance"].astype("str")
    sounds.index = sounds.index.astype("str")
    # Those whose sound is that of another utterance with answers under its own tokens.
    about = about.assign(partner=about["audio"].map(sounds)).dropna(subset="partner")
    if about.empty:
        raise InputError(f"{CONFLICT}: found no sound of an utterance that aligned was asked about")
    of_audio, of_tokens = about["heard_class"], about["truth"]
    events = [
        (conflict, about.index, of_audio), (aligned, about.index, of_audio),
        (conflict, about.index, of_tokens), (aligned, about["partner"], of_tokens),
    ]  # fmt: skip
    found = [
        shares.reindex(list(zip(whose, classes, strict=True)), fill_value=0.0).to_numpy()
        for shares, whose, classes in events
    ]
    by = pd.DataFrame(np.stack(found, axis=1), about.index).groupby(about["speaker"])
    hits, sizes = by.sum(), by.size()
    totals = np.broadcast_to(sizes.to_numpy(float), (len(events), len(sizes)))
    shares = recall_estimates(hits.to_numpy().T[:, :, None], totals[:, :, None])
    pulls = shares.combine(np.array([[1, -1, 0, 0], [0, 0, 1, -1]]))
    table = pulls.rows(confidence, "value")[["value", "low", "high", "p"]]
    table.index = pd.Index(["pull of audio", "pull of tokens"], name="measure")
    table.loc["follow ratio"] = [*_ratio(pulls, confidence), np.nan]
    return table


def _by_utterance(rows: pd.DataFrame) -> pd.Series:
    """The share of each answer among those to each utterance; invalid ones count."""
    said, utterance = rows["prediction"].astype("str"), rows["utterance"].astype("str")
    return said.groupby(utterance).value_counts(normalize=True, dropna=False)


def _ratio(pulls: Clustered, confidence: float) -> tuple[float, float, float]:
    """The pull of the tokens as a share of both, with Fieller's interval."""
    audio, tokens = pulls.influence
    both = pulls.estimate.sum()
    if not both > 0:
        return np.nan, np.nan, np.nan
    of_both = audio + tokens
    covariance = float(tokens @ tokens), float(tokens @ of_both), float(of_both @ of_both)
    t = float(scipy.stats.t.ppf((1 + confidence) / 2, pulls.df.min()))
    low, high = fieller(float(pulls.estimate[1]), float(both), covariance, t)
    return float(pulls.estimate[1] / both), low, high


def kept_tokens(tokens: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    r"""How many utterances keep the token of each concept, by the other audio.

    Agreement by chance is that of tokens that are dealt out anew among the utterances:
    :math:`\sum_w p(w)\,q(w)` over the words, with their shares :math:`p` in the utterances
    themselves and :math:`q` in the other audio. A token is kept if it is the same word;
    ``unknown``, where nothing could be measured, is never kept.

    Args:
        tokens: name of the audio to its tokens, ``own`` among them: one row per utterance,
            the same in each, and one column per concept

    Returns:
        DataFrame, one row per ``audio`` and ``concept``: ``utterances`` whose own token
        is known, and of those the shares ``kept``, ``by_chance`` and ``unknown`` (0 to 1)

    Examples:
        >>> own = pd.DataFrame({"ENERGY": ["LOW", "LOW", "HIGH", "HIGH"]})
        >>> backwards = pd.DataFrame({"ENERGY": ["LOW", "LOW", "HIGH", "unknown"]})
        >>> kept_tokens({"own": own, "reversed": backwards}).loc[("reversed", "ENERGY")].to_dict()
        {'utterances': 4.0, 'kept': 0.75, 'by_chance': 0.375, 'unknown': 0.25}
    """
    rows = {}
    for variant, table in tokens.items():
        for concept in table:
            known = tokens[OWN][concept] != UNKNOWN
            own, heard = tokens[OWN][concept][known], table[concept][known]
            both = own.value_counts(normalize=True) * heard.value_counts(normalize=True)
            rows[variant, str(concept)] = {
                "utterances": int(known.sum()),
                "kept": float((own == heard).mean()),
                "by_chance": float(both.dropna().sum()) if len(own) else float("nan"),
                "unknown": float((heard == UNKNOWN).mean()),
            }
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.set_axis(pd.MultiIndex.from_tuples(rows, names=["audio", "concept"]))


def kept_by_audio(kept: pd.DataFrame) -> pd.DataFrame:
    """What the other audio is, and the share of all tokens that it keeps.

    Args:
        kept: as ``kept_tokens`` returns it

    Returns:
        DataFrame indexed by ``audio``: its ``description``, ``utterances`` with any token of their
        own, and the means over the concepts of ``kept``, ``by_chance`` and ``unknown`` (0 to 1)
    """
    by = kept.groupby(level="audio", sort=False)
    means = by[["kept", "by_chance", "unknown"]].mean()
    means.insert(0, "utterances", by["utterances"].max().astype(int))
    means.insert(0, "description", [AUDIO_VARIANTS[str(name)].description for name in means.index])
    return means
