"""IEMOCAP and FAU-Aibo: corpora that list their utterances and labels in text files."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import audformat
import pandas as pd
from pydantic import Field

from sercue.corpora.corpus import RATED, REQUIRED, Corpus, natural_order, with_ratings
from sercue.errors import InputError, unknown
from sercue.options import Options


def _lines(path: Path) -> list[tuple[str, str]]:
    """Place and text of each line of a label file that holds anything.

    Line ends may be those of any system, and the file may begin with a byte order mark. What is
    read of these files is ASCII; the remarks between may be in any encoding, so that bytes are
    taken as Latin-1, which no byte can break.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    text = content.removeprefix(codecs.BOM_UTF8).decode("latin-1")
    numbered = enumerate(io.StringIO(text, newline=None), start=1)
    return [(f"{path}, line {n}", line.strip()) for n, line in numbered if line.strip()]


def _rows(
    lines: Iterable[tuple[str, str]],
    pattern: re.Pattern[str],
    codes: Mapping[str, Collection[str]],
    valid: str,
) -> pd.DataFrame:
    """The groups of a pattern in each line; ``id`` names the utterance, ``codes`` what is valid."""
    rows: dict[str, dict[str, str]] = {}
    places: dict[str, str] = {}
    problems: list[str] = []
    for place, text in lines:
        match = pattern.fullmatch(text)
        if match is None:
            problems.append(f"{place}: found {text!r}")
            continue
        wrong = [name for name, known in codes.items() if match[name] not in known]
        if wrong:
            problems.append(f"{place}: {unknown(wrong[0], match[wrong[0]], codes[wrong[0]])}")
        elif match["id"] in rows:
            problems.append(f"{place}: {match['id']} is listed before, in {places[match['id']]}")
        else:
            rows[match["id"]], places[match["id"]] = match.groupdict(), place
    if problems:
        more = f"\n  ... and {len(problems) - 5} more" if len(problems) > 5 else ""
        listed = "\n  ".join(problems[:5])
        raise InputError(f"corpus_root: {listed}{more}\nValid is {valid}")
    return pd.DataFrame(rows.values())


_CLASSES = {"ang": "angry", "hap": "happy", "neu": "neutral", "sad": "sad"}
_OTHERS = ("exc", "fru", "sur", "fea", "dis", "oth", "xxx")
IEMOCAP_LICENCE = (
    "release form of the Signal Analysis and Interpretation Laboratory, University of Southern "
    "California: for research only, not to be passed on"
)
IEMOCAP_LAYOUT = (
    "a folder with Session1 ... Session5, each with dialog/EmoEvaluation/*.txt and "
    "sentences/wav/<dialogue>/<utterance>.wav, or the folder above IEMOCAP_full_release"
)
# Utterances of the complete corpus in four classes, excited merged into happy.
_BY_EMOTION = {"angry": 1103, "happy": 1636, "neutral": 1708, "sad": 1084}
_BY_SESSION = {"1": 1085, "2": 1023, "3": 1151, "4": 1031, "5": 1241}
_EXCITED = 1041
# Who speaks is the last field: the letter before it says who wears the motion capture markers,
# and both sexes speak in every dialogue.
_TURN = re.compile(
    r"\[\d+(?:\.\d+)? - \d+(?:\.\d+)?\]\s+"
    r"(?P<id>(?P<dialogue>(?P<prefix>Ses0(?P<session>[1-5]))[FM]_(?P<kind>impro|script)\w*)"
    r"_(?P<letter>[FM])(?:XX)?\d+)\s+"
    r"(?P<label>[A-Za-z]+)\s+\[[^\]]*\]"
)
# What one rater said of the turn above: one category or several. Lines of C-F1 and C-M1 are the
# actors' own ratings, and are no part of the vote.
_RATER = re.compile(r"C-E\d+:(?P<said>[^(]*)")
_CATEGORIES = {
    "anger": "ang", "happiness": "hap", "excited": "exc", "excitement": "exc", "neutral": "neu",
    "neutral state": "neu", "sadness": "sad",
}  # fmt: skip
_VALID_TURN = (
    "[6.2901 - 8.2357]<TAB>Ses01F_impro01_F000<TAB>neu<TAB>[2.5000, 2.5000, 2.5000], once per turn"
)


class IemocapOptions(Options):
    """Which turns of IEMOCAP count.

    Attributes:
        merge_excited: whether excited counts as happy, as in most publications; otherwise excited
            turns are left out
        improvised_only: whether scripted turns are left out
    """

    merge_excited: bool = True
    improvised_only: bool = False


def read_iemocap(root: Path, options: IemocapOptions, *, seed: int = 0) -> Corpus:
    """Read IEMOCAP in its own layout, cross-validated by leaving one session out.

    Each turn has the label on which its raters agreed. Turns of another label than angry, happy,
    neutral and sad, or without agreement, are in ``left_out``. Sessions may be missing as long as
    two are there. ``rated_<label>`` are the shares of these labels in what the raters of a turn
    said; who named several categories counts for each of them in equal parts.

    Args:
        root: the folder that holds ``Session1`` ... ``Session5``, or the one above
        options: which turns count
        seed: not used; nothing here is random

    Returns:
        corpus with columns ``emotion``, ``speaker``, ``partition`` (``test`` throughout),
        ``sex``, ``session``, ``fold`` (the number of the session) and ``rated_<label>``

    Raises:
        InputError: if there are no two sessions, if a session has no label files, or if a line of
            one cannot be read, is there twice or holds an unknown label

    Source:
        Busso, Bulut, Lee, Kazemzadeh, Mower, Kim, Chang, Lee, Narayanan: IEMOCAP: Interactive
        emotional dyadic motion capture database. Language Resources and Evaluation 42, 2008,
        335-359.
    """
    nested = root / "IEMOCAP_full_release"
    folder = root if any(root.glob("Session[1-5]")) else nested
    sessions = sorted(folder.glob("Session[1-5]"))
    if not sessions:
        raise InputError(f"corpus_root: no session in {root}; expected is {IEMOCAP_LAYOUT}")
    if len(sessions) == 1:
        raise InputError(
            f"corpus_root: found {sessions[0].name} alone in {folder}, valid are at least two "
            "sessions: one is tested on, the others train"
        )
    listed = [_turns(session) for session in sessions]
    turns, said = (pd.concat(tables) for tables in zip(*listed, strict=True))
    files = (
        f"Session{turn.session}/sentences/wav/{turn.dialogue}/{turn.id}.wav"
        for turn in turns.itertuples()
    )
    turns = turns.set_index(audformat.segmented_index(list(files)))
    classes = _CLASSES | ({"exc": "happy"} if options.merge_excited else {})
    said = said.assign(label=said["code"].map(classes))
    votes = said.groupby(["id", "label"])["votes"].sum().unstack(fill_value=0.0)
    emotions = turns["label"].map(classes).astype(object)
    turns = turns.assign(
        emotion=emotions.where(emotions.notna(), None),
        speaker=turns["prefix"] + turns["letter"],
        partition="test",
        sex=turns["letter"].map({"F": "female", "M": "male"}),
        fold=turns["session"],
        detail=turns["label"],
    )
    scripted = (turns["kind"] == "script") & options.improvised_only
    turns["reason"] = scripted.map({True: "scripted", False: None})
    turns["reason"] = turns["reason"].mask(emotions.isna(), "class not in the study")
    used = turns["reason"].isna()
    present = set(emotions[used])
    labels = tuple(label for label in _CLASSES.values() if label in present)
    votes = votes.reindex(turns["id"], fill_value=0.0).set_axis(turns.index)
    turns = with_ratings(turns, votes, labels)
    by_emotion = pd.Series(_BY_EMOTION).rename_axis("emotion")
    by_session = pd.Series(_BY_SESSION).rename_axis("session")
    if not options.merge_excited:
        by_emotion["happy"] -= _EXCITED
    expected = (by_emotion, by_session) if options.merge_excited else (by_emotion,)
    return Corpus(
        "iemocap",
        folder,
        turns.loc[used, [*REQUIRED, "sex", "session", "fold", *turns.filter(regex=f"^{RATED}")]],
        labels,
        "neutral" if "neutral" in present else None,
        IEMOCAP_LICENCE,
        left_out=turns.loc[~used, [*REQUIRED, "reason", "detail"]],
        expected=() if options.improvised_only else expected,
        listed=10_039,
    )


def _turns(session: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All turns that the label files of a session list, whatever their label, and raters' votes."""
    folder = session / "dialog" / "EmoEvaluation"
    # macOS leaves hidden files beside others.
    paths = sorted(path for path in folder.glob("*.txt") if not path.name.startswith("."))
    if not paths:
        raise InputError(f"corpus_root: no label file {folder}/*.txt; expected is {IEMOCAP_LAYOUT}")
    lines, votes = [], []
    for path in paths:
        # Headers and dimensions are passed over.
        turns = []
        for place, text in _lines(path):
            if text.startswith("[") or re.search(r"\bSes\d\d[FM]_", text):
                turns.append((place, text))
            elif turns and (rater := _RATER.match(text)):
                words = [part.strip().lower() for part in rater["said"].split(";") if part.strip()]
                turn = _TURN.fullmatch(turns[-1][1])
                if turn is not None:
                    votes += [(turn["id"], _CATEGORIES.get(word), 1 / len(words)) for word in words]
        if not turns:
            raise InputError(f"corpus_root: {path} lists no turn. Valid is {_VALID_TURN}")
        lines += turns
    codes = {"label": (*_CLASSES, *_OTHERS), "session": (session.name.removeprefix("Session"),)}
    said = pd.DataFrame(votes, columns=["id", "code", "votes"])
    return _rows(lines, _TURN, codes, _VALID_TURN), said


AIBO_LICENCE = (
    "research licence of the Friedrich-Alexander-Universität Erlangen-Nürnberg: speech of "
    "children, for research only, not to be passed on"
)
AIBO_LAYOUT = (
    "a folder with wav/<chunk>.wav (or default/<chunk>.wav) and chunk_labels_2cl_corpus.txt and "
    "chunk_labels_5cl_corpus.txt in labels/IS2009EmotionChallenge/, in labels/ or beside wav"
)
# The school Ohm trains, the school Mont tests: no child, no room and no microphone is in both.
_SCHOOLS = {"Ohm": "train", "Mont": "test"}
_DEVELOPMENT = 2  # children of Ohm
# Chunks of the complete corpus by class, in the order of the schools.
_CHUNKS = {
    2: {"NEG": (3358, 2465), "IDL": (6601, 5792)},
    5: {"A": (881, 611), "E": (2093, 1508), "N": (5590, 5377), "P": (674, 215), "R": (721, 546)},
}
_NEUTRAL = {2: "IDL", 5: "N"}
# Numbers of children repeat in both schools: only with the school they name one child.
_CHUNK = re.compile(
    r"(?P<id>(?P<speaker>(?P<school>[A-Za-z]+)_\d+)_\d+_\d+)\s+"
    r"(?P<label>[A-Za-z]+)\s+(?P<confidence>\d+(?:\.\d+)?)"
)


class AiboOptions(Options):
    """Which of the two sets of labels is read, and which chunks count.

    Attributes:
        classes: 2 (NEG: negative, IDL: all else) or 5 (A: anger, E: emphatic, N: neutral,
            P: positive, R: rest)
        min_label_confidence: chunks with a lower label confidence, 0 to 1 as the label file states
            it, are left out of all partitions and counted; by default none
    """

    classes: Literal[2, 5] = 2
    min_label_confidence: float = Field(0, ge=0, le=1)


def read_fau_aibo(root: Path, options: AiboOptions, *, seed: int = 0) -> Corpus:
    """Read FAU-Aibo with the labels and the schools of the INTERSPEECH 2009 Emotion Challenge.

    The school Mont is the test partition, as in the challenge. Of the school Ohm, the last two
    children in the order of their numbers are the development partition, and the others train.
    Where there are fewer than three children of Ohm, all of them train and there is no development
    partition. Who is in which partition does not depend on the options.

    Args:
        root: the folder that holds ``wav`` and ``labels``
        options: which set of labels, and which chunks count
        seed: not used; nothing here is random

    Returns:
        corpus of children with columns ``emotion``, ``speaker`` (school and number),
        ``partition``, ``school`` and ``rated_<label>``: the label confidence, and the rest of it in
        equal parts for the other labels, since the file does not say which of them were chosen

    Raises:
        InputError: if there is no label file, or if a line of it cannot be read, is there twice, or
            holds an unknown school or label

    Source:
        Steidl: Automatic Classification of Emotion-Related User States in Spontaneous Children's
        Speech. Logos, Berlin 2009. Schuller, Steidl, Batliner: The INTERSPEECH 2009 Emotion
        Challenge. Interspeech 2009, 312-315. The development partition is that of the toolkit
        autrainer (``autrainer.datasets.AIBO``), which refers to doi:10.1109/ICME51207.2021.9428217
        for it.
    """
    counts = _CHUNKS[options.classes]
    name = f"chunk_labels_{options.classes}cl_corpus.txt"
    places = ("labels/IS2009EmotionChallenge", "labels", ".")
    path = next((root / place / name for place in places if (root / place / name).is_file()), None)
    if path is None:
        raise InputError(f"corpus_root: no {name} in {root}; expected is {AIBO_LAYOUT}")
    valid = f"Ohm_01_015_00 {next(iter(counts))} 0.666: chunk, label, confidence, once per chunk"
    chunks = _rows(_lines(path), _CHUNK, {"school": _SCHOOLS, "label": counts}, valid)
    if chunks.empty:
        raise InputError(f"corpus_root: {path} is empty")
    audio = "default" if (root / "default").is_dir() and not (root / "wav").is_dir() else "wav"
    files = [f"{audio}/{chunk}.wav" for chunk in chunks["id"]]
    ohm = sorted(chunks.loc[chunks["school"] == "Ohm", "speaker"].unique(), key=natural_order)
    development = ohm[-_DEVELOPMENT:] if len(ohm) > _DEVELOPMENT else []
    partition = chunks["school"].map(_SCHOOLS)
    chunks = (
        chunks.rename(columns={"label": "emotion"})
        .assign(partition=partition.mask(chunks["speaker"].isin(development), "dev"))
        .set_index(audformat.segmented_index(files))
    )
    expected = {
        (school, label): number
        for label, numbers in counts.items()
        for school, number in zip(_SCHOOLS, numbers, strict=True)
    }
    confidence = chunks["confidence"].astype(float)
    sure = confidence.where(confidence <= 1)
    votes = {
        label: sure.where(chunks["emotion"] == label, (1 - sure) / (len(counts) - 1))
        for label in counts
    }
    corpus = Corpus(
        "fau_aibo",
        root,
        with_ratings(chunks[[*REQUIRED, "school"]], pd.DataFrame(votes), list(counts)),
        tuple(counts),
        _NEUTRAL[options.classes],
        AIBO_LICENCE,
        children=True,
        expected=(pd.Series(expected).rename_axis(["school", "emotion"]),),
        listed=18_216,
    )
    least = options.min_label_confidence
    low = chunks.loc[confidence < least, ["confidence"]]
    if len(low):
        reason = f"label confidence below {least:g}"
        reasons = low.rename(columns={"confidence": "detail"}).assign(reason=reason)
        # The published numbers are those of all chunks.
        corpus = replace(corpus.without(reasons), expected=())
    return corpus.with_table(corpus.table)
