"""IEMOCAP: dyadic acted and improvised English, ten speakers, five sessions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import audformat
import pandas as pd

from sercue.corpora.corpus import REQUIRED, Corpus
from sercue.corpora.label_files import Line, label_lines, refuse
from sercue.errors import InputError
from sercue.options import Options

LABELS = ("angry", "happy", "neutral", "sad")
_CLASSES = {"ang": "angry", "hap": "happy", "neu": "neutral", "sad": "sad"}
_OTHERS = ("exc", "fru", "sur", "fea", "dis", "oth", "xxx")
_SEX = {"F": "female", "M": "male"}
LICENCE = (
    "release form of the Signal Analysis and Interpretation Laboratory, University of Southern "
    "California: for research only, not to be passed on"
)
LAYOUT = (
    "a folder with Session1 ... Session5, each with dialog/EmoEvaluation/*.txt and "
    "sentences/wav/<dialogue>/<utterance>.wav, or the folder above IEMOCAP_full_release"
)
# Utterances of the complete corpus in four classes, excited merged into happy.
_BY_EMOTION = {"angry": 1103, "happy": 1636, "neutral": 1708, "sad": 1084}
_BY_SESSION = {"1": 1085, "2": 1023, "3": 1151, "4": 1031, "5": 1241}
_EXCITED = 1041
_LISTED = 10_039
_SESSION = re.compile(r"Session[1-5]")
# Who speaks is the last field: the letter before it says who wears the motion capture markers,
# and both sexes speak in every dialogue.
_TURN = re.compile(
    r"\[\d+(?:\.\d+)? - \d+(?:\.\d+)?\]\s+"
    r"(?P<id>(?P<dialogue>(?P<prefix>Ses0(?P<session>[1-5]))[FM]_(?P<kind>impro|script)\w*)"
    r"_(?P<letter>[FM])(?:XX)?\d+)\s+"
    r"(?P<code>[A-Za-z]+)\s+\[[^\]]*\]"
)
_VALID = "[6.2901 - 8.2357]<TAB>Ses01F_impro01_F000<TAB>neu<TAB>[2.5000, 2.5000, 2.5000]"


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
    two are there.

    Args:
        root: the folder that holds ``Session1`` ... ``Session5``, or the one above
        options: which turns count
        seed: not used; nothing here is random

    Returns:
        corpus with columns ``emotion``, ``speaker``, ``partition`` (``test`` throughout),
        ``sex``, ``session`` and ``fold`` (the number of the session)

    Raises:
        InputError: if there are no two sessions, if a session has no label files, or if a line of
            one cannot be read, is there twice or holds an unknown label

    Source:
        Busso, Bulut, Lee, Kazemzadeh, Mower, Kim, Chang, Lee, Narayanan: IEMOCAP: Interactive
        emotional dyadic motion capture database. Language Resources and Evaluation 42, 2008,
        335-359.
    """
    folder, sessions = _sessions(root)
    turns = _turns(sessions)
    classes = _CLASSES | ({"exc": "happy"} if options.merge_excited else {})
    turns["emotion"] = turns["code"].map(classes)
    reasons = _reasons(turns, options.improvised_only)
    table = turns[reasons.isna()]
    present = tuple(label for label in LABELS if label in set(table["emotion"]))
    return Corpus(
        "iemocap",
        folder,
        table[[*REQUIRED, "sex", "session", "fold"]],
        present,
        "neutral" if "neutral" in present else None,
        LICENCE,
        left_out=_left_out(turns, reasons),
        expected=() if options.improvised_only else _expected(options.merge_excited),
        listed=_LISTED,
    )


def _sessions(root: Path) -> tuple[Path, list[Path]]:
    """The folder that the sessions are in, and the sessions."""
    for folder in (root, root / "IEMOCAP_full_release"):
        found = sorted(path for path in folder.glob("Session*") if _SESSION.fullmatch(path.name))
        if len(found) >= 2:
            return folder, found
        if found:
            raise InputError(
                f"corpus_root: found {found[0].name} alone in {folder}, valid are at least two "
                "sessions: one is tested on, the others train"
            )
    raise InputError(f"corpus_root: no session in {root}; expected is {LAYOUT}")


def _turns(sessions: list[Path]) -> pd.DataFrame:
    """All turns that the label files list, whatever their label; ``detail`` is their place."""
    rows: dict[str, dict[str, str]] = {}
    problems: list[str] = []
    for session in sessions:
        for line in _turn_lines(session):
            match = _TURN.fullmatch(line.text)
            problem = _problem(line, match, session, rows)
            if problem or match is None:
                problems.append(f"{line.place}: {problem}")
            else:
                rows[match["id"]] = _row(match, session, line)
    refuse(problems, f"{_VALID}, with one of {', '.join([*_CLASSES, *_OTHERS])}, once a turn")
    turns = pd.DataFrame(rows.values())
    return turns.set_index(audformat.segmented_index(turns["file"]))


def _turn_lines(session: Path) -> Iterator[Line]:
    """The lines of turns; headers and what single raters said are passed over."""
    folder = session / "dialog" / "EmoEvaluation"
    paths = sorted(path for path in folder.glob("*.txt") if not path.name.startswith("."))
    if not paths:
        raise InputError(f"corpus_root: no label file {folder}/*.txt; expected is {LAYOUT}")
    for path in paths:
        lines = [
            line
            for line in label_lines(path)
            if line.text.startswith("[") or re.search(r"\bSes\d\d[FM]_", line.text)
        ]
        if not lines:
            raise InputError(f"corpus_root: {path} lists no turn. Valid is {_VALID}")
        yield from lines


def _problem(
    line: Line, match: re.Match[str] | None, session: Path, rows: dict[str, dict[str, str]]
) -> str | None:
    if match is None:
        return f"found {line.text!r}"
    if match["code"] not in (*_CLASSES, *_OTHERS):
        return f"unknown label {match['code']!r}"
    if session.name != f"Session{match['session']}":
        return f"{match['id']} is not a turn of {session.name}"
    if match["id"] in rows:
        return f"{match['id']} is listed before, in {rows[match['id']]['place']}"
    return None


def _row(match: re.Match[str], session: Path, line: Line) -> dict[str, str]:
    return {
        "file": f"{session.name}/sentences/wav/{match['dialogue']}/{match['id']}.wav",
        "code": match["code"],
        "kind": match["kind"],
        "speaker": match["prefix"] + match["letter"],
        "partition": "test",
        "sex": _SEX[match["letter"]],
        "session": match["session"],
        "fold": match["session"],
        "place": line.place,
    }


def _reasons(turns: pd.DataFrame, improvised_only: bool) -> pd.Series:
    """Why a turn is not used; missing where it is."""
    reasons = pd.Series(index=turns.index, dtype=object)
    if improvised_only:
        reasons[turns["kind"] == "script"] = "scripted"
    reasons[turns["emotion"].isna()] = "class not in the study"
    return reasons


def _left_out(turns: pd.DataFrame, reasons: pd.Series) -> pd.DataFrame:
    gone = turns[reasons.notna()].assign(reason=reasons.dropna(), detail=turns["code"])
    gone["emotion"] = gone["emotion"].astype(object).where(gone["emotion"].notna(), None)
    return gone[[*REQUIRED, "reason", "detail"]]


def _expected(merge_excited: bool) -> tuple[pd.Series, ...]:
    emotions = pd.Series(_BY_EMOTION).rename_axis("emotion")
    if merge_excited:
        return emotions, pd.Series(_BY_SESSION).rename_axis("session")
    return (emotions - pd.Series({"happy": _EXCITED}).reindex(emotions.index, fill_value=0),)
