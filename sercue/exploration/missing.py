"""Which functionals could not be measured, and why."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sercue.concepts import CONCEPTS, measurable
from sercue.corpora.corpus import Corpus
from sercue.features import SHORTEST

TOO_SHORT = f"shorter than {SHORTEST} s"
NO_VOICE = "no voiced frame"
INFINITE = "infinite level (digital silence)"
UNDEFINED = "not a number"
NO_SLOPE = "no slope (0 is kept)"


def missing_reasons(features: pd.DataFrame) -> pd.DataFrame:
    """Why each functional of each utterance could not be measured.

    - shorter than ``SHORTEST`` seconds: openSMILE has no window to analyse, and all 88 are NaN
    - no voiced frame: openSMILE writes 0 for every functional of voiced frames
    - infinite: a level in dB where every sample is 0
    - no slope: slopes of F0 and loudness are 0 by convention where there is none,
      and their deviations where there is one. The six concepts do not use them; that 0 is kept.

    Args:
        features: functionals as openSMILE wrote them, one row an utterance

    Returns:
        DataFrame of the same shape: the reason, ``""`` where there is a measurement

    Examples:
        >>> table = pd.DataFrame({"equivalentSoundLevel_dBp": [-30.0, -np.inf]})
        >>> missing_reasons(table)["equivalentSoundLevel_dBp"].tolist()
        ['', 'infinite level (digital silence)']
    """
    values = features.astype(float)
    empty = values.isna().to_numpy()
    infinite = np.isinf(values.to_numpy())
    unmeasured = measurable(features).isna().to_numpy()
    slope = np.array(["Slope" in str(name) for name in values])
    reasons = np.full(values.shape, "", dtype=object)
    reasons[(values == 0).to_numpy() & slope] = NO_SLOPE
    reasons[unmeasured & ~empty & ~infinite] = NO_VOICE
    reasons[infinite] = INFINITE
    reasons[empty] = UNDEFINED
    reasons[empty.all(axis=1)] = TOO_SHORT
    return pd.DataFrame(reasons, index=features.index, columns=features.columns)


def missing_functionals(features: pd.DataFrame, corpus: Corpus) -> pd.DataFrame:
    """How many utterances lack functionals for each reason, and under which emotion.

    Where one emotion lacks more than another, the very lack tells of the emotion.

    Args:
        features: functionals as openSMILE wrote them, indexed as ``corpus.table``
        corpus: names the emotion of each row

    Returns:
        DataFrame, one row a reason, ``"any"`` first: ``functionals`` (that lack somewhere),
        ``utterances``, ``share`` (of all), ``concepts`` (whose token is ``unknown`` for it), then
        for each emotion the share of its utterances (0 to 1)

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus = example_corpus(speakers=2, utterances=2)
        >>> level = [-30.0, -np.inf, -28.0, -31.0]
        >>> features = pd.DataFrame({"equivalentSoundLevel_dBp": level}, corpus.table.index)
        >>> missing_functionals(features, corpus)[["utterances", "share", "concepts", "neutral"]]
                                          utterances  share concepts  neutral
        any                                        1   0.25   energy      0.5
        infinite level (digital silence)           1   0.25   energy      0.5
    """
    reasons = missing_reasons(features)
    emotion = corpus.table.loc[features.index, "emotion"].astype(str)
    ordered = (TOO_SHORT, NO_VOICE, INFINITE, UNDEFINED, NO_SLOPE)
    present = set(np.unique(reasons.to_numpy().astype(str)))
    lacking = (reasons != "") & (reasons != NO_SLOPE)
    masks = {"any": lacking} | {name: reasons == name for name in ordered if name in present}
    rows = {
        name: _counted(mask, emotion, corpus.labels, unknown=name != NO_SLOPE)
        for name, mask in masks.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def _counted(
    mask: pd.DataFrame, emotion: pd.Series, labels: tuple[str, ...], unknown: bool
) -> dict[str, object]:
    touched = mask.any(axis=1)
    functionals = set(mask.columns[mask.any()])
    concepts = [c.name for c in CONCEPTS if unknown and functionals & set(c.functionals)]
    by_emotion = touched.groupby(emotion.to_numpy()).mean().reindex(labels)
    return {
        "functionals": len(functionals),
        "utterances": int(touched.sum()),
        "share": float(touched.mean()),
        "concepts": ", ".join(concepts),
        **{label: float(by_emotion[label]) for label in labels},
    }
