"""EmoDB, the Berlin Database of Emotional Speech: acted German, ten speakers, seven classes."""

from __future__ import annotations

import re
from pathlib import Path

import audformat
import pandas as pd

from sercue.corpora.corpus import Corpus
from sercue.corpora.partitions import speaker_partition
from sercue.errors import InputError

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
LICENCE = "CC0-1.0"
LAYOUT = "a folder with wav/SSTTTEV.wav, for instance wav/03a01Fa.wav, or that wav folder itself"
# Speaker, text, emotion, version: 03 a01 F a.
_NAME = re.compile(rf"({'|'.join(SEX)})[ab]\d\d([{''.join(EMOTIONS)}])[a-z]?\.wav")


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
    names = sorted(path.name for path in folder.glob("*.wav") if not path.name.startswith("."))
    _check(folder, names)
    # The same names of utterances, whichever of the two folders was given.
    prefix = "wav/" if folder.name == "wav" else ""
    codes = pd.DataFrame([_codes(name) for name in names], columns=["speaker", "emotion"])
    codes["sex"] = codes["speaker"].map(SEX)
    codes["partition"] = speaker_partition(codes["speaker"], codes["sex"], seed=seed)
    table = codes.set_index(audformat.segmented_index([prefix + name for name in names]))
    present = tuple(label for label in LABELS if label in set(table["emotion"]))
    neutral = "neutral" if "neutral" in present else None
    return Corpus(
        "emodb",
        folder.parent if prefix else folder,
        table[["emotion", "speaker", "sex", "partition"]],
        present,
        neutral,
        LICENCE,
        may_share_audio=True,
    )


def _codes(name: str) -> tuple[str, str]:
    match = _NAME.fullmatch(name)
    assert match is not None  # _check has seen every name
    return match[1], EMOTIONS[match[2]]


def _check(folder: Path, names: list[str]) -> None:
    if not names:
        raise InputError(f"corpus_root: no WAV file in {folder}; expected is {LAYOUT}")
    bad = [name for name in names if not _NAME.fullmatch(name)]
    if bad:
        raise InputError(
            f"corpus_root: {len(bad)} of {len(names)} files in {folder} are not named as EmoDB "
            f"names them: {', '.join(bad[:5])}{', ...' if len(bad) > 5 else ''}. "
            f"Valid is SSTTTEV.wav: speaker ({' '.join(SEX)}), text (a01 ... b10), emotion "
            f"({' '.join(EMOTIONS)}), version (a letter, or nothing)"
        )
