"""EmoDB, the Berlin Database of Emotional Speech: acted German, ten speakers, seven classes."""

from __future__ import annotations

import re
from pathlib import Path

import audformat
import pandas as pd

from sercue.corpora.corpus import Corpus
from sercue.corpora.names import NameScheme, visible_names
from sercue.corpora.rows import divided

# Position 6 of a file name: the first letter of the German word for the emotion.
EMOTIONS = {
    "W": "anger",
    "L": "boredom",
    "E": "disgust",
    "A": "fear",
    "F": "happiness",
    "T": "sadness",
    "N": "neutral",
}
SEX = {
    "03": "male", "08": "female", "09": "female", "10": "male", "11": "male",
    "12": "male", "13": "female", "14": "female", "15": "male", "16": "female",
}  # fmt: skip
LABELS = ("anger", "boredom", "disgust", "fear", "happiness", "sadness", "neutral")
# Utterances of the complete corpus, as published.
_BY_EMOTION = {
    "anger": 127, "boredom": 81, "disgust": 46, "fear": 69, "happiness": 71, "neutral": 79,
    "sadness": 62,
}  # fmt: skip
LICENCE = "CC0-1.0"
LAYOUT = "a folder with wav/SSTTTEV.wav, for instance wav/03a01Fa.wav, or that wav folder itself"
_SCHEME = NameScheme(
    "EmoDB",
    re.compile(
        rf"(?P<speaker>{'|'.join(SEX)})[ab]\d\d(?P<emotion>[{''.join(EMOTIONS)}])[a-z]?\.wav"
    ),
    f"SSTTTEV.wav: speaker ({' '.join(SEX)}), text (a01 ... b10), emotion "
    f"({' '.join(EMOTIONS)}), version (a letter, or nothing)",
    LAYOUT,
)


def read_emodb(root: Path, *, seed: int = 0) -> Corpus:
    """Read EmoDB in its own layout, with speaker-disjoint partitions made from the seed.

    Args:
        root: the folder that holds ``wav``, or ``wav`` itself
        seed: of the partition

    Returns:
        corpus with columns ``emotion``, ``speaker``, ``sex``, ``partition``

    Raises:
        InputError: if there is no WAV file, or if a file is not named as EmoDB names its files

    Source:
        Burkhardt, Paeschke, Rolfes, Sendlmeier, Weiss: A Database of German Emotional Speech.
        Interspeech 2005, 1517-1520.
    """
    folder = root / "wav" if (root / "wav").is_dir() else root
    names = visible_names(folder)
    codes = _SCHEME.codes(folder, names)
    codes["emotion"] = codes["emotion"].map(EMOTIONS)
    # The same names of utterances, whichever of the two folders was given.
    prefix = "wav/" if folder.name == "wav" else ""
    codes["sex"] = codes["speaker"].map(SEX)
    codes = divided(codes, seed)
    table = codes.set_index(audformat.segmented_index([prefix + name for name in names]))
    present = tuple(label for label in LABELS if label in set(table["emotion"]))
    neutral = "neutral" if "neutral" in present else None
    return Corpus(
        "emodb",
        folder.parent if prefix else folder,
        table[["emotion", "speaker", "sex", "partition", *table.columns.intersection(["fold"])]],
        present,
        neutral,
        LICENCE,
        may_share_audio=True,
        expected=(pd.Series(_BY_EMOTION).rename_axis("emotion"),),
        listed=sum(_BY_EMOTION.values()),
    )
