"""Small corpora in the official layouts, with what trips readers up inside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import audiofile
import numpy as np

from sercue.corpora import CORPORA
from sercue.corpora.corpus import Corpus

RATE = 16000
#: What was said, where a corpus says so: nothing that is written may ever hold it.
TRANSCRIPT = "My grandmother keeps her violet umbrella behind the kitchen door."
#: Speech of the demo corpus for classes that it has not.
STAND_INS = {
    "angry": "angry", "anger": "angry", "disgust": "angry", "A": "angry", "E": "angry",
    "neutral": "neutral", "calm": "neutral", "N": "neutral",
    "happy": "happy", "surprised": "happy", "P": "happy",
    "sad": "sad", "fear": "sad", "fearful": "sad", "R": "sad",
}  # fmt: skip

_HEADER = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]"
_RATERS = {
    "ang": "Anger", "hap": "Happiness", "exc": "Excited", "neu": "Neutral", "sad": "Sadness",
    "fru": "Frustration", "xxx": "Surprise",
}  # fmt: skip
_IEMOCAP_CODES = {"angry": "ang", "happy": "hap", "neutral": "neu", "sad": "sad"}
_IEMOCAP_LABELS = {code: label for label, code in _IEMOCAP_CODES.items()} | {"exc": "happy"}
_TWO_CLASSES = {"A": "NEG", "E": "NEG", "N": "IDL", "P": "IDL", "R": "IDL"}
_RAVDESS_CODES = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
_CREMA_CODES = {
    "ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad",
}  # fmt: skip
# What macOS writes beside a file on a foreign disk; it has the ending of the file.
_APPLE_DOUBLE = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        "

#: Emotion to the files of each voice.
Recordings = Mapping[str, Sequence[Sequence[Path]]]


def demo_recordings(speakers: int = 6, sentences: int = 2) -> dict[str, list[list[Path]]]:
    """The files of the demo corpus, of its women and men in turn."""
    return recordings_of(CORPORA["demo"].read(speakers=speakers, sentences=sentences))


def recordings_of(corpus: Corpus) -> dict[str, list[list[Path]]]:
    """The files of a corpus by emotion and speaker, of women and men in turn."""
    voices = corpus.table.drop_duplicates("speaker").sort_values("speaker")
    order = voices.assign(place=voices.groupby("sex").cumcount()).sort_values(["place", "sex"])
    table = corpus.table.reset_index()
    return {
        emotion: [
            [corpus.path(file) for file in rows.loc[rows["speaker"] == speaker, "file"]]
            for speaker in order["speaker"]
        ]
        for emotion, rows in table.groupby("emotion")
    }


class Voices:
    """Writes one recording after another: given speech of a class, or short noise.

    A speaker has one voice throughout. A file that is used again gets another gain, so that no
    two recordings are the same.
    """

    def __init__(self, recordings: Recordings | None):
        self._recordings = recordings
        self._speakers: list[str] = []
        self._said: Counter[tuple[str, str]] = Counter()
        self._used: Counter[Path] = Counter()
        self._rng = np.random.default_rng(0)

    def write(self, path: Path, speaker: str, label: str) -> None:
        """Write the next recording of a speaker and a class."""
        path.parent.mkdir(parents=True, exist_ok=True)
        audiofile.write(str(path), self._samples(speaker, label), RATE, bit_depth=16)

    def _samples(self, speaker: str, label: str) -> np.ndarray:
        if self._recordings is None:
            return (0.1 * self._rng.standard_normal(RATE // 5)).astype("float32")
        if speaker not in self._speakers:
            self._speakers.append(speaker)
        emotion = STAND_INS[label]
        voices = self._recordings[emotion]
        files = voices[self._speakers.index(speaker) % len(voices)]
        file = files[self._said[speaker, emotion] % len(files)]
        gain = 0.95 ** self._used[file]
        self._said[speaker, emotion] += 1
        self._used[file] += 1
        return gain * audiofile.read(str(file))[0]


def iemocap_tree(
    folder: Path, recordings: Recordings | None = None, sessions: Sequence[int] = (1, 2, 3, 4, 5)
) -> Path:
    """IEMOCAP: a session has an improvised and a scripted dialogue.

    In each both speakers have a turn of each class, numbered alike, and the one who wears the
    markers has one without agreement, the other one a frustrated one. Happy is ``hap`` where
    improvised and ``exc`` where scripted. So a session has 16 turns in four classes, 2 of each
    class and speaker, and 4 others.
    """
    voices = Voices(recordings)
    for session in sessions:
        for dialogue in (f"Ses0{session}F_impro01", f"Ses0{session}M_script01_1"):
            codes = ["ang", "exc" if "script" in dialogue else "hap", "neu", "sad"]
            turns = []
            for letter in "FM":
                other = "xxx" if dialogue[5] == letter else "fru"
                for number, code in enumerate([*codes, other]):
                    turns.append((f"{dialogue}_{letter}{number:03d}", code))
            place = folder / f"Session{session}"
            write_evaluation(place, dialogue, turns)
            _write_rest_of_iemocap(place, dialogue, turns)
            for turn, code in turns:
                path = place / "sentences" / "wav" / dialogue / f"{turn}.wav"
                speaker = turn[:5] + turn[-4]
                voices.write(path, speaker, _IEMOCAP_LABELS.get(code, "sad"))
    return folder


def write_evaluation(session: Path, dialogue: str, turns: Sequence[tuple[str, str]]) -> Path:
    """The label file of a dialogue of IEMOCAP: its turns and what each rater said of them."""
    blocks = [_HEADER]
    for number, (turn, code) in enumerate(turns):
        word = _RATERS.get(code, "Other")
        blocks.append(
            f"[{3 * number + 1:.4f} - {3 * number + 3:.4f}]\t{turn}\t{code}\t"
            "[2.5000, 2.5000, 2.5000]\n"
            f"C-E2:\t{word};\t()\nC-E3:\tNeutral;\t()\nC-E4:\t{word}; Other;\t(déçue [a bit])\n"
            "C-F1:\tNeutral;\t(curious)\nA-E3:\tval 3; act 2; dom  2;\t()\n"
            "A-E4:\tval 2; act 3; dom  3;\t(mildly aggravated but staying polite, attitude)\n"
            "A-F1:\tval 3; act 2; dom  1;\t()"
        )
    path = session / "dialog" / "EmoEvaluation" / f"{dialogue}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("\n\n".join(blocks).encode("latin-1") + b"\n\n")
    return path


def _write_rest_of_iemocap(session: Path, dialogue: str, turns: Sequence[tuple[str, str]]) -> None:
    """What lies beside the labels: single raters, what macOS leaves, transcripts, dialogues."""
    evaluation = session / "dialog" / "EmoEvaluation"
    single = "\n".join(f"{turn} :Anger; ()" for turn, _ in turns)
    endings = {"Categorical": "e2_cat", "Attribute": "e3_atr", "Self-evaluation": "f_cat"}
    for part, ending in endings.items():
        (evaluation / part).mkdir(exist_ok=True)
        (evaluation / part / f"{dialogue}_{ending}.txt").write_text(single)
    (evaluation / f"._{dialogue}.txt").write_bytes(_APPLE_DOUBLE)
    said = "".join(f"{turn} [001.0000-003.0000]: {TRANSCRIPT}\n" for turn, _ in turns)
    for part, content in (("transcriptions", said.encode()), ("wav", b"")):
        (session / "dialog" / part).mkdir(exist_ok=True)
        name = f"{dialogue}.{'txt' if content else 'wav'}"
        (session / "dialog" / part / name).write_bytes(content)
    sentences = session / "sentences" / "wav" / dialogue
    sentences.mkdir(parents=True, exist_ok=True)
    (sentences / f"._{turns[0][0]}.wav").write_bytes(_APPLE_DOUBLE)


def fau_aibo_tree(
    folder: Path,
    recordings: Recordings | None = None,
    *,
    children: int = 4,
    labels: str = "labels/IS2009EmotionChallenge",
    audio: str = "wav",
) -> Path:
    """FAU-Aibo: two schools whose children have the same numbers.

    Each child has 2 chunks of each of five classes; in two classes A and E are NEG. Of four
    children of Ohm, two train and two are the development partition.
    """
    voices = Voices(recordings)
    lines: dict[int, list[str]] = {2: [], 5: []}
    for school in ("Ohm", "Mont"):
        for child in range(1, children + 1):
            for turn in range(10):
                label = "AENPR"[turn % 5]
                chunk = f"{school}_{child:02d}_{turn:03d}_00"
                lines[5].append(f"{chunk} {label} 0.666")
                lines[2].append(f"{chunk} {_TWO_CLASSES[label]} 1")
                voices.write(folder / audio / f"{chunk}.wav", chunk[:-7], label)
    for classes, content in lines.items():
        write_chunk_labels(folder / labels, classes, content)
    (folder / audio / "._Ohm_01_000_00.wav").write_bytes(_APPLE_DOUBLE)
    return folder


def write_chunk_labels(folder: Path, classes: int, lines: Sequence[str]) -> Path:
    """A label file of FAU-Aibo."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"chunk_labels_{classes}cl_corpus.txt"
    path.write_text("\n".join(lines) + "\n", newline="")
    return path


def ravdess_tree(folder: Path, recordings: Recordings | None = None, *, actors: int = 4) -> Path:
    """RAVDESS: each actor says one statement once a class; beside it a song and two videos."""
    voices = Voices(recordings)
    for actor in range(1, actors + 1):
        place = folder / f"Actor_{actor:02d}"
        for number, label in enumerate(_RAVDESS_CODES, start=1):
            file = place / f"03-01-{number:02d}-01-01-01-{actor:02d}.wav"
            voices.write(file, str(actor), label)
        voices.write(place / f"03-02-03-01-01-01-{actor:02d}.wav", str(actor), "happy")
        for modality in ("01", "02"):
            (place / f"{modality}-01-03-01-01-01-{actor:02d}.mp4").write_bytes(b"a video")
        (place / f"._03-01-01-01-01-01-{actor:02d}.wav").write_bytes(_APPLE_DOUBLE)
    return folder


def crema_d_tree(folder: Path, recordings: Recordings | None = None, *, actors: int = 4) -> Path:
    """CREMA-D: each actor says one sentence once a class, and another at a level.

    Of ten listeners to the voice seven hear what was meant and three neutral; those who see the
    face, too, all hear disgust.
    """
    voices = Voices(recordings)
    for actor in range(1001, 1001 + actors):
        for code, label in _CREMA_CODES.items():
            file = folder / "AudioWAV" / f"{actor}_DFA_{code}_XX.wav"
            voices.write(file, str(actor), label)
        voices.write(folder / "AudioWAV" / f"{actor}_IEO_ANG_HI.wav", str(actor), "anger")
    stems = sorted(path.stem for path in (folder / "AudioWAV").glob("*.wav"))
    (folder / "AudioWAV" / "._1001_DFA_ANG_XX.wav").write_bytes(_APPLE_DOUBLE)
    write_votes(folder, stems)
    (folder / "AudioMP3").mkdir()
    (folder / "AudioMP3" / "1001_DFA_ANG_XX.mp3").write_bytes(b"the same, compressed")
    return folder


def write_votes(folder: Path, stems: Sequence[str]) -> Path:
    """The votes of CREMA-D, as its repository has them: by voice alone, face alone, and both."""
    lines = ['"","A","D","F","H","N","S","fileName","numResponses","agreement","emoVote"']
    for modality in (1, 2, 3):
        for number, stem in enumerate(stems, start=1):
            meant = stem.split("_")[2][0]
            heard = {meant: 7, "N": 3 + 7 * (meant == "N")} if modality == 1 else {"D": 10}
            votes = ",".join(str(heard.get(code, 0)) for code in "ADFHNS")
            lines.append(f'"{modality}{number:05d}",{votes},"{stem}",10,0.7,"{meant}"')
    path = folder / "processedResults" / "tabulatedVotes.csv"
    path.parent.mkdir()
    path.write_text("\n".join(lines) + "\n")
    return path
