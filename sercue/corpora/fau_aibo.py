"""FAU-Aibo, as in the INTERSPEECH 2009 Emotion Challenge: spontaneous German of children."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import audformat
import pandas as pd

from sercue.corpora.corpus import REQUIRED, Corpus
from sercue.corpora.label_files import Line, label_lines, refuse
from sercue.errors import InputError
from sercue.options import Options

# In the order of the challenge.
LABELS = {2: ("NEG", "IDL"), 5: ("A", "E", "N", "P", "R")}
NEUTRAL = {2: "IDL", 5: "N"}
#: The school Ohm trains, the school Mont tests: no child, no room and no microphone is in both.
PARTITION = {"Ohm": "train", "Mont": "test"}
LICENCE = (
    "research licence of the Friedrich-Alexander-Universität Erlangen-Nürnberg: speech of "
    "children, for research only, not to be passed on"
)
LAYOUT = (
    "a folder with wav/<chunk>.wav (or default/<chunk>.wav) and chunk_labels_2cl_corpus.txt and "
    "chunk_labels_5cl_corpus.txt in labels/IS2009EmotionChallenge/, in labels/ or beside wav"
)
# Chunks of the complete corpus by class: train, test.
_CHUNKS = {
    2: {"NEG": (3358, 2465), "IDL": (6601, 5792)},
    5: {"A": (881, 611), "E": (2093, 1508), "N": (5590, 5377), "P": (674, 215), "R": (721, 546)},
}
_LISTED = 18_216
# Numbers of children repeat in both schools: only with the school they name one child.
_CHUNK = re.compile(
    r"(?P<id>(?P<speaker>(?P<school>[A-Za-z]+)_\d+)_\d+_\d+)\s+"
    r"(?P<emotion>[A-Za-z]+)\s+\d+(?:\.\d+)?"
)


class AiboOptions(Options):
    """Which of the two sets of labels is read.

    Attributes:
        classes: 2 (NEG: negative, IDL: all else) or 5 (A: anger, E: emphatic, N: neutral,
            P: positive, R: rest)
    """

    classes: Literal[2, 5] = 2


def read_fau_aibo(root: Path, options: AiboOptions, *, seed: int = 0) -> Corpus:
    """Read FAU-Aibo with the labels and the partition of the INTERSPEECH 2009 Emotion Challenge.

    Args:
        root: the folder that holds ``wav`` and ``labels``
        options: which set of labels
        seed: not used; nothing here is random

    Returns:
        corpus with columns ``emotion``, ``speaker`` (school and number), ``partition`` (the
        school Ohm trains, the school Mont tests)

    Raises:
        InputError: if there is no label file, or if a line of it cannot be read, is there twice, or
            holds an unknown school or label

    Source:
        Steidl: Automatic Classification of Emotion-Related User States in Spontaneous Children's
        Speech. Logos, Berlin 2009. Schuller, Steidl, Batliner: The INTERSPEECH 2009 Emotion
        Challenge. Interspeech 2009, 312-315.
    """
    classes = options.classes
    chunks = _chunks(_label_file(root, classes), LABELS[classes])
    audio = "default" if (root / "default").is_dir() and not (root / "wav").is_dir() else "wav"
    files = [f"{audio}/{chunk}.wav" for chunk in chunks["id"]]
    present = tuple(label for label in LABELS[classes] if label in set(chunks["emotion"]))
    return Corpus(
        "fau_aibo",
        root,
        chunks.set_index(audformat.segmented_index(files))[list(REQUIRED)],
        present,
        NEUTRAL[classes] if NEUTRAL[classes] in present else None,
        LICENCE,
        expected=(_expected(classes),),
        listed=_LISTED,
    )


def _label_file(root: Path, classes: int) -> Path:
    name = f"chunk_labels_{classes}cl_corpus.txt"
    for folder in ("labels/IS2009EmotionChallenge", "labels", "."):
        if (root / folder / name).is_file():
            return root / folder / name
    raise InputError(f"corpus_root: no {name} in {root}; expected is {LAYOUT}")


def _chunks(path: Path, labels: tuple[str, ...]) -> pd.DataFrame:
    rows: dict[str, dict[str, str]] = {}
    problems: list[str] = []
    for line in label_lines(path):
        match = _CHUNK.fullmatch(line.text)
        problem = _problem(line, match, labels, rows)
        if problem or match is None:
            problems.append(f"{line.place}: {problem}")
        else:
            row = match.groupdict() | {"partition": PARTITION[match["school"]]}
            rows[match["id"]] = row | {"place": line.place}
    refuse(
        problems,
        f"Ohm_01_015_00 {labels[0]} 0.666: chunk of {' or '.join(PARTITION)}, "
        f"label ({', '.join(labels)}), confidence, once a chunk",
    )
    if not rows:
        raise InputError(f"corpus_root: {path} is empty")
    return pd.DataFrame(rows.values())


def _problem(
    line: Line,
    match: re.Match[str] | None,
    labels: tuple[str, ...],
    rows: dict[str, dict[str, str]],
) -> str | None:
    if match is None:
        return f"found {line.text!r}"
    if match["school"] not in PARTITION:
        return f"unknown school {match['school']!r}"
    if match["emotion"] not in labels:
        return f"unknown label {match['emotion']!r}"
    if match["id"] in rows:
        return f"{match['id']} is listed before, in {rows[match['id']]['place']}"
    return None


def _expected(classes: int) -> pd.Series:
    counts = {
        (partition, label): number
        for label, numbers in _CHUNKS[classes].items()
        for partition, number in zip(PARTITION.values(), numbers, strict=True)
    }
    return pd.Series(counts).rename_axis(["partition", "emotion"])
