"""RAVDESS, the speech of it: acted North American English, 24 speakers, eight classes."""

from __future__ import annotations

import re
from pathlib import Path

import audformat
import pandas as pd

from sercue.corpora.corpus import REQUIRED, Corpus
from sercue.corpora.names import NameScheme, visible_names
from sercue.corpora.rows import divided
from sercue.errors import InputError

EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fearful",
    "07": "disgust",
    "08": "surprised",
}
LICENCE = (
    "CC BY-NC-SA 4.0: may be shared for non-commercial purposes, with attribution (Livingstone and "
    "Russo 2018) and under the same licence"
)
LAYOUT = (
    "a folder with Actor_01/03-01-06-01-02-01-01.wav and so on to Actor_24, "
    "or with these files themselves"
)
_VIDEO = {"01": "picture and sound", "02": "picture alone"}
_SCHEME = NameScheme(
    "RAVDESS",
    re.compile(
        rf"(?P<modality>0[1-3])-(?P<channel>0[12])-(?P<emotion>{'|'.join(EMOTIONS)})"
        r"-0[12]-0[12]-0[12]-(?P<speaker>0[1-9]|1\d|2[0-4])\.(?:wav|mp4)"
    ),
    "MM-VV-EE-II-SS-RR-AA.wav: modality (03 is sound alone), vocal channel (01 speech, 02 song), "
    "emotion (01 ... 08), intensity (01 02), statement (01 02), repetition (01 02), "
    "actor (01 ... 24)",
    LAYOUT,
)
# Of each of 24 actors: two statements, twice, at two intensities; neutral speech has one.
_BY_EMOTION = {name: 24 * 2 * 2 * (1 if name == "neutral" else 2) for name in EMOTIONS.values()}


def read_ravdess(root: Path, *, seed: int = 0) -> Corpus:
    """Read the speech of RAVDESS, with speaker-disjoint partitions made from the seed.

    Songs and videos that lie beside it are in ``left_out``.

    Args:
        root: the folder that holds ``Actor_01`` ... ``Actor_24``, or all recordings in one folder
        seed: of the partition

    Returns:
        corpus with columns ``emotion``, ``speaker`` (the number of the actor), ``partition``,
        ``sex``

    Raises:
        InputError: if there is no recording of speech, or if a file is not named as RAVDESS names
            its files

    Source:
        Livingstone, Russo: The Ryerson Audio-Visual Database of Emotional Speech and Song
        (RAVDESS). PLoS ONE 13(5), 2018: e0196391. doi:10.1371/journal.pone.0196391
    """
    patterns = ("*.wav", "*.mp4", "Actor_*/*.wav", "Actor_*/*.mp4")
    files = [file for pattern in patterns for file in visible_names(root, pattern)]
    codes = _SCHEME.codes(root, sorted(files))
    codes["emotion"] = codes["emotion"].map(EMOTIONS)
    # Actors with an odd number are men, those with an even one women.
    codes["sex"] = (codes["speaker"].astype(int) % 2).map({1: "male", 0: "female"})
    codes = codes.set_index(audformat.segmented_index(codes.index))
    reasons = _reasons(codes)
    if reasons.notna().all():
        raise InputError(
            f"corpus_root: none of {len(codes)} files in {root} is a recording of speech; "
            f"expected is {LAYOUT}"
        )
    speech = divided(codes[reasons.isna()], seed)
    table = speech[[*REQUIRED, "sex", *speech.columns.intersection(["fold"])]]
    present = tuple(label for label in EMOTIONS.values() if label in set(table["emotion"]))
    return Corpus(
        "ravdess",
        root,
        table,
        present,
        "neutral" if "neutral" in present else None,
        LICENCE,
        may_share_audio=True,
        left_out=_left_out(codes, reasons),
        expected=(pd.Series(_BY_EMOTION).rename_axis("emotion"),),
        # Songs and videos are downloads of their own, and so are not missing where they are not.
        listed=sum(_BY_EMOTION.values()) + int(reasons.notna().sum()),
    )


def _reasons(codes: pd.DataFrame) -> pd.Series:
    """Why a file is not used; missing where it is."""
    reasons = pd.Series(index=codes.index, dtype=object)
    reasons[codes["channel"] == "02"] = "song, not speech"
    reasons[codes["modality"].isin(_VIDEO)] = "video"
    return reasons


def _left_out(codes: pd.DataFrame, reasons: pd.Series) -> pd.DataFrame:
    gone = codes[reasons.notna()]
    detail = gone["modality"].map(_VIDEO).fillna("")
    gone = gone.assign(partition=None, reason=reasons.dropna(), detail=detail)
    return gone[[*REQUIRED, "reason", "detail"]]
