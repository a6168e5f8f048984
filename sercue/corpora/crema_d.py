"""CREMA-D: acted English, 91 speakers, six classes."""

from __future__ import annotations

import re
from pathlib import Path

import audformat
import pandas as pd

from sercue.corpora.corpus import REQUIRED, Corpus
from sercue.corpora.names import NameScheme, visible_names
from sercue.corpora.rows import divided

EMOTIONS = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happy",
    "NEU": "neutral",
    "SAD": "sad",
}
_SENTENCES = ("IEO", "TIE", "IOM", "IWW", "TAI", "MTI", "IWL", "ITH", "DFA", "ITS", "TSI", "WSI")
#: Of the 91 actors the women, by VideoDemographics.csv of the corpus; the others are men.
WOMEN = frozenset(
    (
        1002, 1003, 1004, 1006, 1007, 1008, 1009, 1010, 1012, 1013, 1018, 1020, 1021, 1024, 1025,
        1028, 1029, 1030, 1037, 1043, 1046, 1047, 1049, 1052, 1053, 1054, 1055, 1056, 1058, 1060,
        1061, 1063, 1072, 1073, 1074, 1075, 1076, 1078, 1079, 1082, 1084, 1089, 1091,
    )
)  # fmt: skip
LICENCE = (
    "Open Database License (ODbL) 1.0, its contents under the Database Contents License (DbCL) "
    "1.0: may be shared, with attribution (Cao et al. 2014)"
)
LAYOUT = "a folder with AudioWAV/1001_DFA_ANG_XX.wav and so on, or that AudioWAV folder itself"
_SCHEME = NameScheme(
    "CREMA-D",
    re.compile(
        rf"(?P<speaker>10(?:0[1-9]|[1-8]\d|9[01]))_(?:{'|'.join(_SENTENCES)})"
        # One name of the published corpus, 1040_ITH_SAD_X.wav, has one X.
        rf"_(?P<emotion>{'|'.join(EMOTIONS)})_(?:XX?|LO|MD|HI)\.wav"
    ),
    f"AAAA_SSS_EEE_LL.wav: actor (1001 ... 1091), sentence ({' '.join(_SENTENCES)}), emotion "
    f"({' '.join(EMOTIONS)}), level (LO MD HI XX)",
    LAYOUT,
)
_BY_EMOTION = {name: 1087 if name == "neutral" else 1271 for name in EMOTIONS.values()}


def read_crema_d(root: Path, *, seed: int = 0) -> Corpus:
    """Read CREMA-D in its own layout, with speaker-disjoint partitions made from the seed.

    The label is the emotion that the actor was asked for, not what raters heard.

    Args:
        root: the folder that holds ``AudioWAV``, or ``AudioWAV`` itself
        seed: of the partition

    Returns:
        corpus with columns ``emotion``, ``speaker`` (the number of the actor), ``partition``,
        ``sex``

    Raises:
        InputError: if there is no WAV file, or if a file is not named as CREMA-D names its files

    Source:
        Cao, Cooper, Keutmann, Gur, Nenkova, Verma: CREMA-D: Crowd-sourced Emotional Multimodal
        Actors Dataset. IEEE Transactions on Affective Computing 5(4), 2014, 377-390.
        doi:10.1109/TAFFC.2014.2336244
    """
    folder = root / "AudioWAV" if (root / "AudioWAV").is_dir() else root
    names = visible_names(folder)
    codes = _SCHEME.codes(folder, names)
    # The same names of utterances, whichever of the two folders was given.
    prefix = "AudioWAV/" if folder.name == "AudioWAV" else ""
    codes = codes.set_index(audformat.segmented_index([prefix + name for name in names]))
    codes["emotion"] = codes["emotion"].map(EMOTIONS)
    codes["sex"] = codes["speaker"].astype(int).isin(WOMEN).map({True: "female", False: "male"})
    codes = divided(codes, seed)
    present = tuple(label for label in EMOTIONS.values() if label in set(codes["emotion"]))
    return Corpus(
        "crema_d",
        folder.parent if prefix else folder,
        codes[[*REQUIRED, "sex", *codes.columns.intersection(["fold"])]],
        present,
        "neutral" if "neutral" in present else None,
        LICENCE,
        may_share_audio=True,
        expected=(pd.Series(_BY_EMOTION).rename_axis("emotion"),),
        listed=sum(_BY_EMOTION.values()),
    )
