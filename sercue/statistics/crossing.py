r"""Audio crossed with tokens: what each adds to UAR, and which of them the answers follow.

Tokens alone, moved while the audio stays, cannot tell a model that weighs cue against sound from
one that reads. Here the sound moves, too. What tokens add where nothing can be heard, and what the
sound adds beside the tokens, are contrasts of UAR. Where sound and tokens are of different classes,
the answers follow one, the other, or neither.

With a the class that is heard, t that of the tokens, and P(x | c) the share of answers x under a
condition c, tokens pull by

.. math:: T = P(t \mid \text{aligned @ swapped}) - P(t \mid \text{none @ swapped})

and the audio by

.. math:: A = P(a \mid \text{aligned @ swapped}) - P(a \mid \text{aligned @ silent})

Either is a difference of the same answer to the same utterances, so that a label that is always
preferred adds nothing to it. The follow ratio T / (T + A) is 0 of a model that ignores what the
tokens say and 1 of one that ignores the sound.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from sercue.corpora.audio_variants import OWN, SILENT, SWAPPED
from sercue.errors import InputError
from sercue.statistics.contrasts import holm
from sercue.statistics.speakers import Clustered, fieller, recall_estimates, speaker_counts
from sercue.tokens.condition import AT, parts_heard

_CONFLICT = f"aligned{AT}{SWAPPED}"
_WITHOUT_TOKENS = f"none{AT}{SWAPPED}"
_WITHOUT_AUDIO = f"aligned{AT}{SILENT}"
# How rows are called, and what is taken from what: (tokens, whether the audio is another one).
_EFFECTS = {
    "audio alone": ((("none", False), 1), (("none", True), -1)),
    "audio beside tokens": ((("aligned", False), 1), (("aligned", True), -1)),
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

    Of each variant: ``audio alone`` is the UAR of the own audio less that of the variant, without
    tokens; ``audio beside tokens`` the same with aligned tokens; ``tokens`` the gain from aligned
    tokens under the variant; ``interaction`` the gain under own audio less that under the variant.
    Swapped audio is of another class than the utterance and has no UAR of its own: see ``follow``.

    Args:
        predictions: as ``run_study`` returns them, with ``none`` and ``aligned`` crossed with audio
        labels: the classes
        confidence: coverage that the intervals aim at, between 0 and 1

    Returns:
        DataFrame, one row per variant and effect: ``heard``, ``effect``, ``difference``, ``low``,
        ``high``, ``se``, ``df``, ``p`` and ``holm_p``, corrected over all rows

    Raises:
        InputError: if no audio variant was asked with ``none`` and ``aligned``
    """
    heard = _crossed(predictions["condition"].unique())
    if not heard:
        raise InputError(
            "audio: found no variant under which none and aligned were both asked; add one to the "
            "study key audio"
        )
    asked = [f"{tokens}{AT}{name}" for name in heard for tokens in ("none", "aligned")]
    rows = predictions[predictions["condition"].isin(["none", "aligned", *asked])]
    counted = speaker_counts(rows, labels)
    weights = np.zeros((len(heard) * len(_EFFECTS), len(counted.conditions)))
    for place, (name, effect) in enumerate((v, e) for v in heard for e in _EFFECTS.values()):
        for (tokens, other), weight in effect:
            weights[place, counted.place(f"{tokens}{AT}{name}" if other else tokens)] += weight
    table = counted.uar.combine(weights).rows(confidence, least=-2, most=2)
    table.insert(0, "heard", np.repeat(heard, len(_EFFECTS)))
    table.insert(1, "effect", list(_EFFECTS) * len(heard))
    return table.assign(holm_p=holm(table["p"]))


def _crossed(conditions: Iterable[str]) -> list[str]:
    """Variants, other than ``swapped``, with ``none`` and ``aligned``, which own audio has, too."""
    tokens: dict[str, set[str]] = {}
    for name in conditions:
        shown, heard = parts_heard(name)
        tokens.setdefault(heard, set()).add(shown)
    both = {"none", "aligned"}
    if not both <= tokens.get(OWN, set()):
        return []
    return [v for v, shown in tokens.items() if v not in (OWN, SWAPPED) and both <= shown]


def follow(predictions: pd.DataFrame, *, confidence: float = 0.95) -> pd.DataFrame:
    """Which the answers follow where audio and tokens are of different classes.

    Args:
        predictions: as ``run_study`` returns them, with ``aligned @ swapped``, ``none @ swapped``
            and ``aligned @ silent``
        confidence: coverage that the intervals aim at, between 0 and 1

    Returns:
        DataFrame by ``measure`` with ``value``, ``low``, ``high`` and ``p`` (of "is 0"; NaN of what
        needs no test): the shares of answers that are the class of the ``audio``, of the
        ``tokens``, and ``neither``, under ``aligned @ swapped``; the ``pull of audio`` and the
        ``pull of tokens``; and their ``follow ratio``, with Fieller's interval, NaN where the sum
        of both is not shown to differ from 0

    Raises:
        InputError: if one of the conditions was not asked
    """
    asked = set(predictions["condition"].unique())
    if lacking := [n for n in (_CONFLICT, _WITHOUT_TOKENS, _WITHOUT_AUDIO) if n not in asked]:
        raise InputError(
            f"audio: found no {', '.join(lacking)}, which it takes to tell what answers follow; "
            f"valid is the study key audio with {SWAPPED} and {SILENT}, and none and aligned among "
            "its conditions"
        )
    rows = {name: predictions[predictions["condition"] == name] for name in asked}
    conflict = rows[_CONFLICT]
    of_audio = conflict.drop_duplicates("utterance").set_index("utterance")["heard_class"]
    of_audio = of_audio.astype("str")
    events = [
        _share(conflict, conflict["utterance"].map(of_audio)),
        _share(conflict, conflict["truth"]),
        _share(rows[_WITHOUT_AUDIO], rows[_WITHOUT_AUDIO]["utterance"].map(of_audio)),
        _share(rows[_WITHOUT_TOKENS], rows[_WITHOUT_TOKENS]["truth"]),
    ]
    hits = pd.concat(events, axis=1).fillna(0.0)
    sizes = conflict.groupby("speaker", observed=True)["utterance"].nunique().loc[hits.index]
    totals = np.broadcast_to(sizes.to_numpy(float), (len(events), len(sizes)))
    shares = recall_estimates(hits.to_numpy().T[:, :, None], totals[:, :, None])
    told = shares.combine(np.array([[1, 0, 0, 0], [0, 1, 0, 0], [1, 0, -1, 0], [0, 1, 0, -1]]))
    table = told.rows(confidence, "value")
    table.index = pd.Index(["audio", "tokens", "pull of audio", "pull of tokens"], name="measure")
    table.loc["neither"] = [
        1 - shares.estimate[:2].sum(),
        *_neither(shares, confidence),
        *[np.nan] * 3,
    ]
    table.loc["follow ratio"] = [
        *_ratio(told, confidence),
        np.nan,
        np.nan,
        table["p"]["pull of tokens"],
    ]
    table.loc[["audio", "tokens"], "p"] = np.nan
    order = ["audio", "tokens", "neither", "pull of audio", "pull of tokens", "follow ratio"]
    return table.loc[order, ["value", "low", "high", "p"]]


def _share(rows: pd.DataFrame, target: pd.Series) -> pd.Series:
    """Of each speaker the number of utterances answered with a class, each counting once."""
    hit = rows["prediction"].astype("str") == target.astype("str").to_numpy()
    by = hit.groupby([rows["speaker"].astype("str"), rows["utterance"].astype("str")]).mean()
    return by.groupby(level=0).sum()


def _neither(shares: Clustered, confidence: float) -> tuple[float, float]:
    rest = shares.combine(np.array([[-1, -1, 0, 0]]))
    low, high = rest.interval(confidence)
    return max(1 + float(low[0]), 0.0), min(1 + float(high[0]), 1.0)


def _ratio(told: Clustered, confidence: float) -> tuple[float, float, float]:
    """The pull of the tokens as a share of both, with Fieller's interval."""
    audio, tokens = told.influence[2], told.influence[3]
    both = told.estimate[2] + told.estimate[3]
    of_both = audio + tokens
    covariance = float(tokens @ tokens), float(tokens @ of_both), float(of_both @ of_both)
    t = float(stats.t.ppf((1 + confidence) / 2, min(told.df[2], told.df[3])))
    low, high = fieller(float(told.estimate[3]), float(both), covariance, t)
    return (float(told.estimate[3] / both) if both > 0 else np.nan), low, high
