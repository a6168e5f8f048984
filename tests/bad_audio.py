"""Recordings that are no use, or odd, as they come from real disks; each with what is wrong."""

import os
import struct
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import audformat
import numpy as np
import pandas as pd
import soundfile

from sercue.corpora.corpus import Corpus
from sercue.corpora.inspection import inspect_audio

RATE = 16000
WHOLE = (0.0, None)


@dataclass(frozen=True)
class BadRecording:
    """An utterance and what must be said of it: a problem, a note, or neither.

    Attributes:
        file: its name, relative to the folder
        segment: start and end in seconds; an end of ``None`` is that of the file
        problem: why it cannot be used, or nothing
        note: what is odd about it, or nothing
    """

    file: str
    problem: str = ""
    note: str = ""
    segment: tuple[float, float | None] = WHOLE

    @property
    def key(self) -> tuple[str, pd.Timedelta, pd.Timedelta]:
        """Its row of the index of a corpus."""
        start, end = self.segment
        last = pd.NaT if end is None else pd.Timedelta(seconds=end)
        return self.file, pd.Timedelta(seconds=start), last


def voice(seconds: float = 1.0, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """A buzz of 150 Hz with some noise: no speech, yet everything can be measured in it."""
    time = np.arange(round(seconds * rate)) / rate
    tones = sum(np.sin(2 * np.pi * 150 * k * time) / k for k in range(1, 20))
    noise = np.random.default_rng(seed).normal(size=len(time))
    return 0.15 * tones + 0.01 * noise


def bad_audio(folder: Path) -> dict[str, BadRecording]:
    """Write every kind of bad and odd recording to a folder.

    Args:
        folder: where to write; made if it is not there

    Returns:
        what was made, by a name for what it is
    """
    folder.mkdir(parents=True, exist_ok=True)
    made: dict[str, BadRecording] = {}
    for part in (_not_there, _not_audio, _cut, _bad_samples, _bad_segments, _odd, _named):
        made |= part(folder)
    return made


def corpus_of(folder: Path, recordings: Iterable[BadRecording], **options) -> Corpus:
    """A corpus of one speaker and one emotion."""
    keys = [recording.key for recording in recordings]
    index = audformat.segmented_index(*zip(*keys, strict=True))
    table = pd.DataFrame({"emotion": "a", "speaker": "s", "partition": "train"}, index=index)
    return Corpus("bad", folder, table, ("a",), None, "none", **options)


def inspected(folder: Path, *recordings: BadRecording | str, cache=None, **options) -> pd.DataFrame:
    """The facts of some recordings; a name alone is a whole file."""
    listed = [BadRecording(r) if isinstance(r, str) else r for r in recordings]
    cache = folder / "cache" if cache is None else cache
    return inspect_audio(corpus_of(folder, listed, **options), cache=cache, progress=False)


def write(folder: Path, file: str, samples: np.ndarray, rate: int = RATE, **options) -> bytes:
    """Write a recording and give back its bytes. Names that libsndfile dislikes are no matter."""
    path = folder / file
    plain = folder / f"plain{path.suffix}"
    soundfile.write(plain, samples, rate, **options)
    plain.replace(path)
    return path.read_bytes()


def _not_there(folder: Path) -> dict[str, BadRecording]:
    (folder / "folder.wav").mkdir()
    (folder / "link.wav").symlink_to("gone.wav")
    (folder / "loop.wav").symlink_to("loop.wav")
    os.mkfifo(folder / "pipe.wav")
    (folder / "empty.wav").touch()
    return {
        "no such file": BadRecording("nowhere.wav", "no such file"),
        "a directory": BadRecording("folder.wav", "a directory"),
        "broken link": BadRecording("link.wav", "broken link"),
        "link to itself": BadRecording("loop.wav", "broken link"),
        "named pipe": BadRecording("pipe.wav", "not a regular file"),
        "empty file": BadRecording("empty.wav", "empty file"),
    }


def _not_audio(folder: Path) -> dict[str, BadRecording]:
    whole = write(folder, "whole.wav", voice())
    contents = {
        "text.wav": b"this is not audio\n" * 20,
        "zeros.wav": bytes(4000),
        "part_of_header.wav": whole[:30],
        "header.wav": whole[:44],
        "no_extension": whole,
        "other.m4a": whole,
        "mobile.amr": b"#!AMR\n" + bytes(100),
    }
    # The length in the header of a FLAC: the last 36 of these 64 bits.
    flac = bytearray(write(folder, "whole.flac", voice()))
    sizes = int.from_bytes(flac[18:26], "big") >> 36 << 36
    flac[18:26] = sizes.to_bytes(8, "big")
    contents["piped.flac"] = bytes(flac)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    write(folder, "no_samples.wav", np.zeros(0))
    needed = "needs a program that is not installed"
    undecoded = needed if _no_programs() else "cannot be decoded"
    return {
        "text named .wav": BadRecording("text.wav", "not audio"),
        "zero bytes named .wav": BadRecording("zeros.wav", "not audio"),
        "cut within the header": BadRecording("part_of_header.wav", "cannot be decoded"),
        "header only": BadRecording("header.wav", "no samples"),
        "header that announces nothing": BadRecording("no_samples.wav", "no samples"),
        "FLAC without a length": BadRecording("piped.flac", "cannot be decoded"),
        "WAV without an extension": BadRecording("no_extension"),
        "WAV named .m4a": BadRecording("other.m4a", "", "another format"),
        "AMR without speech": BadRecording("mobile.amr", undecoded),
    }


def _no_programs() -> bool:
    """Whether what decodes other formats is missing here."""
    try:
        subprocess.run(["mediainfo", "--version"], check=False, capture_output=True)
    except FileNotFoundError:
        return True
    return False


def _cut(folder: Path) -> dict[str, BadRecording]:
    made = {}
    options = {"cut.ogg": {"subtype": "VORBIS"}, "cut_opus.ogg": {"subtype": "OPUS"}}
    for file in ("cut.wav", "cut.flac", "cut.mp3", "cut.ogg", "cut_opus.ogg"):
        content = write(folder, file, voice(3, seed=1), **options.get(file, {}))
        (folder / file).write_bytes(content[: len(content) * 2 // 3])
        made[file.replace("_", " ")] = BadRecording(file, "cut short or damaged")
    for file in ("hole.flac", "hole.ogg", "hole.mp3"):
        content = bytearray(write(folder, file, voice(3, seed=2)))
        middle = len(content) // 2
        content[middle : middle + 300] = bytes(300)
        (folder / file).write_bytes(content)
        made[f"300 zero bytes amid {file[5:]}"] = BadRecording(file, "cut short or damaged")
    made["before the cut"] = BadRecording("cut.wav", "", "its file is cut short", (0.5, 1.5))
    made["across the cut"] = BadRecording("cut.wav", "cut short or damaged", "", (1.5, 2.5))
    return made


def _bad_samples(folder: Path) -> dict[str, BadRecording]:
    nan, infinite = voice(seed=3), voice(seed=4)
    nan[100], infinite[100] = np.nan, np.inf
    write(folder, "nan.wav", nan, subtype="FLOAT")
    write(folder, "infinite.wav", infinite, subtype="FLOAT")
    write(folder, "silence.wav", np.zeros(RATE))
    # The last bit of 16 flickers, as in a converter without an input.
    write(folder, "hiss.wav", np.random.default_rng(5).integers(-1, 2, RATE) / 2**15)
    write(folder, "dc.wav", np.full(RATE, 0.3))
    write(folder, "integers.wav", voice(seed=5) * 2**15, subtype="FLOAT")
    write(folder, "cancel.wav", np.stack([voice(), -voice()], axis=1))
    # Of one channel turned over and a thousandth weaker a thousandth is left: half of -60 dB.
    write(folder, "nearly.wav", np.stack([voice(), -0.999 * voice()], axis=1), subtype="FLOAT")
    write(folder, "short.wav", voice(959 / RATE))
    return {
        "NaN": BadRecording("nan.wav", "NaN or infinite samples"),
        "infinite": BadRecording("infinite.wav", "NaN or infinite samples"),
        "silence": BadRecording("silence.wav", "silence"),
        "hiss of the last bit": BadRecording("hiss.wav", "silence"),
        "integers as floats": BadRecording("integers.wav", "samples far above full scale"),
        "DC": BadRecording("dc.wav", "DC only"),
        "channels that cancel": BadRecording("cancel.wav", "channels cancel"),
        "channels that nearly cancel": BadRecording("nearly.wav", "channels cancel"),
        "one sample too short": BadRecording("short.wav", "too short"),
    }


def _bad_segments(folder: Path) -> dict[str, BadRecording]:
    write(folder, "dialogue.wav", np.concatenate([voice(2, seed=6), np.zeros(RATE)]))
    return {
        "segment behind the end": BadRecording(
            "dialogue.wav", "starts after the end of its file", "", (3.5, 4.0)
        ),
        "silent segment": BadRecording("dialogue.wav", "silence", "", (2.2, 2.8)),
        "segment of 50 ms": BadRecording("dialogue.wav", "too short", "", (1.0, 1.05)),
        "good segment": BadRecording("dialogue.wav", "", "", (0.5, 1.5)),
        "segment past the end": BadRecording("dialogue.wav", "", "ends after its file", (1.5, 3.2)),
    }


def _odd(folder: Path) -> dict[str, BadRecording]:
    write(folder, "clipped.wav", np.clip(8 * voice(seed=7), -1, 1))
    write(folder, "offset.wav", voice(seed=8) / 2 + 0.1)
    write(folder, "stereo.wav", np.stack([voice(seed=9), voice(seed=10)], axis=1))
    write(folder, "half.wav", np.stack([voice(seed=15), np.zeros(RATE)], axis=1))
    write(folder, "above.wav", 5 * voice(seed=16), subtype="FLOAT")
    write(folder, "telephone.wav", voice(rate=8000), 8000)
    write(folder, "shortest.wav", voice(0.06))
    content = write(folder, "flac.wav", voice(seed=11), format="FLAC")
    assert content[:4] == b"fLaC"
    write(folder, "loud.wav", voice(seed=12) / np.abs(voice(seed=12)).max())
    whole = write(folder, "streamed.wav", voice(seed=13))
    # What a program that writes to a pipe leaves in both fields of the length.
    unknown = struct.pack("<I", 0xFFFFFFFF)
    (folder / "streamed.wav").write_bytes(whole[:4] + unknown + whole[8:40] + unknown + whole[44:])
    (folder / "last_byte.wav").write_bytes(write(folder, "last_byte.wav", voice(seed=14))[:-1])
    return {
        "clipped": BadRecording("clipped.wav", "", "clipped"),
        "DC offset": BadRecording("offset.wav", "", "DC offset"),
        "stereo": BadRecording("stereo.wav", "", "several channels"),
        "one of two channels silent": BadRecording("half.wav", "", "silent channels"),
        "float above 1": BadRecording("above.wav", "", "limited to full scale"),
        "8 kHz": BadRecording("telephone.wav", "", "sampling rate below 16 kHz"),
        "FLAC named .wav": BadRecording("flac.wav", "", "another format"),
        "as short as may be": BadRecording("shortest.wav"),
        "as loud as may be": BadRecording("loud.wav"),
        "WAV from a pipe": BadRecording("streamed.wav"),
        "last byte missing": BadRecording("last_byte.wav"),
    }


def _named(folder: Path) -> dict[str, BadRecording]:
    names = {
        "spaces": " a  b .wav",
        "a newline": "a\nb.wav",
        "quotes": """it's "b".wav""",
        "markup": "<b>&amp;<script>alert(1)<.wav",
        "other letters": "Überraschung 驚き שלום.wav",
        "signs of a shell": "$HOME;*?~%20|&.wav",
        "commas": "a,b;c\t.wav",
        "upper case": "UPPER.WAV",
    }
    for number, file in enumerate(names.values()):
        write(folder, file, voice(seed=20 + number))
    return {f"name with {what}": BadRecording(file) for what, file in names.items()}
