"""One recording as it lies on the disk: can it be decoded, and is all of it there?"""

from __future__ import annotations

import errno
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

import audiofile
import numpy as np
import soundfile

#: What libsndfile decodes by itself; for all else ``audiofile`` calls sox or ffmpeg.
DECODED_DIRECTLY = (".wav", ".flac", ".mp3", ".ogg")
_FORMATS = {
    ".wav": ("WAV", "WAVEX", "RF64"),
    ".flac": ("FLAC",),
    ".mp3": ("MP3",),
    ".ogg": ("OGG",),
}
# Programs that write to a pipe cannot know the length and announce about 2 or 4 GiB.
_STREAMED_BYTES = 0x7FFF0000
# openSMILE's frames are 10 ms apart: less than that, missing at the end, is less than one of them.
_NEGLIGIBLE_SECONDS = 0.01
# An Opus encoder may put 80 ms of silence in front, which the last page counts.
_OGG_SECONDS = 0.1
# libsndfile's number of samples where a header gives none, as that of a FLAC from a pipe.
_NO_LENGTH = 2**63 - 1
_OGG_PAGE_BYTES = 27 + 255 + 255 * 255


@dataclass(frozen=True)
class Finding:
    """What is wrong with a recording, or odd.

    Attributes:
        reason: the same words for all of a kind, to be counted
        detail: about this recording alone; never its name or path
    """

    reason: str
    detail: str = ""


@dataclass(frozen=True, eq=False)
class Recording:
    """What was decoded of a file.

    Attributes:
        signal: float32, shape (channels, samples)
        sampling_rate: in Hz
        format: as libsndfile names it (WAV, FLAC, MP3, OGG); else the extension
        damage: that the file announces more than could be decoded; ``None`` if all is there
        usable: samples from the start that are where they belong in spite of the damage
    """

    signal: np.ndarray
    sampling_rate: int
    format: str
    damage: Finding | None = None
    usable: int = 0


def unreadable(path: Path) -> Finding | None:
    """Why a file cannot even be opened; ``None`` if it can.

    Examples:
        >>> unreadable(Path("nowhere.wav"))
        Finding(reason='no such file', detail='')
    """
    try:
        str(path).encode()
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return Finding("a directory")
        # A pipe would be waited for without end.
        if not stat.S_ISREG(mode):
            return Finding("not a regular file")
        with path.open("rb") as file:
            return None if file.read(1) else Finding("empty file", "0 bytes")
    except UnicodeEncodeError:
        return Finding("name is not valid UTF-8")
    except ValueError:
        return Finding("no such file", "its name holds a null character")
    except OSError as error:
        return _os_finding(path, error)


def _os_finding(path: Path, error: OSError) -> Finding:
    if error.errno in (errno.EACCES, errno.EPERM):
        return Finding("no permission")
    if error.errno == errno.ELOOP or os.path.islink(path):
        return Finding("broken link")
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return Finding("no such file")
    return Finding("cannot be read", str(error.strerror))


def printable(name: str) -> str:
    r"""A name on one line that every encoding can show.

    Examples:
        >>> printable("r\udce9sum\udce9\n.wav"), printable("日本語.wav")
        ('r\\udce9sum\\udce9\\n.wav', '日本語.wav')
    """
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in name
    )


def decode(path: Path) -> Recording | Finding:
    """All samples of a file that can be opened, or why there are none.

    What a failure is called is sure only where no other thread opens a file meanwhile: before
    soundfile 0.14, libsndfile's one message for all was read without a lock.

    Args:
        path: a file that ``unreadable`` has found nothing against
    """
    if path.suffix.lower() not in DECODED_DIRECTLY:
        return _decode_by_program(path)
    try:
        with soundfile.SoundFile(path) as file:
            return _decode_open(file, path)
    except soundfile.LibsndfileError as error:
        return _undecodable(error)


def _decode_open(file: soundfile.SoundFile, path: Path) -> Recording | Finding:
    if file.frames >= _NO_LENGTH:
        return Finding("cannot be decoded", "its header does not say how long it is")
    announced, exact = _announced(file, path)
    try:
        signal = file.read(dtype="float32", always_2d=True).T
    except soundfile.LibsndfileError as error:
        return Finding("cut short or damaged", _clean(error.error_string))
    except (ValueError, MemoryError):
        return Finding("cannot be decoded", f"its header announces {file.frames:,} samples")
    read = signal.shape[1]
    damage = _damage(read, announced, file)
    if read == 0:
        return damage or Finding("no samples", f"{path.stat().st_size:,} bytes in all")
    return Recording(signal, file.samplerate, file.format, damage, read if exact else 0)


def _damage(read: int, announced: int | None, file: soundfile.SoundFile) -> Finding | None:
    if announced is None:
        return Finding("cut short or damaged", "its end is missing")
    there, whole = read / file.samplerate, announced / file.samplerate
    if whole - there < (_OGG_SECONDS if file.format == "OGG" else _NEGLIGIBLE_SECONDS):
        return None
    return Finding("cut short or damaged", f"{there:.3f} of {whole:.3f} s are there")


def _announced(file: soundfile.SoundFile, path: Path) -> tuple[int | None, bool]:
    """Samples that the file says it has, and whether those decoded are surely its first.

    ``None`` stands for a number that was lost with the end of the file.
    """
    if file.format == "OGG":
        return _ogg_samples(path, file), False
    sizes = re.search(r"^data : (\d+) \(should be (\d+)\)$", file.extra_info, re.MULTILINE)
    if sizes is None:
        return file.frames, False
    said, found = int(sizes[1]), int(sizes[2])
    if said >= _STREAMED_BYTES or found == 0:
        return file.frames, True
    return round(file.frames * said / found), True


def _ogg_samples(path: Path, file: soundfile.SoundFile) -> int | None:
    """What the last page of an Ogg file counts, or ``None`` if the file ends without one.

    libsndfile reads up to the damage and says nothing of it.

    Source:
        RFC 3533, section 6: the header of a page; RFC 7845, section 4: Opus counts at 48 kHz.
    """
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - _OGG_PAGE_BYTES))
        tail = stream.read()
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return None
    length = 27 + page[26] + sum(page[27 : 27 + page[26]])
    last_of_stream = page[5] & 4
    if len(page) < length or not last_of_stream:
        return None
    counted = int.from_bytes(page[6:14], "little", signed=True)
    return counted * file.samplerate // 48000 if file.subtype == "OPUS" else counted


def _decode_by_program(path: Path) -> Recording | Finding:
    try:
        signal, rate = audiofile.read(str(path), always_2d=True)
    except FileNotFoundError as error:
        return Finding("needs a program that is not installed", _clean(str(error)))
    except (OSError, RuntimeError, ValueError, MemoryError):
        return Finding("cannot be decoded", f"neither sox nor ffmpeg reads this {path.suffix}")
    if signal.shape[1] == 0:
        return Finding("no samples")
    return Recording(signal, rate, path.suffix[1:].upper())


def _undecodable(error: soundfile.LibsndfileError) -> Finding:
    unrecognised = 1  # SF_ERR_UNRECOGNISED_FORMAT
    reason = "not audio" if error.code == unrecognised else "cannot be decoded"
    return Finding(reason, _clean(error.error_string))


def _clean(message: str) -> str:
    """The first sentence of a library's message, without its decoration."""
    return message.strip().splitlines()[0].removeprefix("Error : ").rstrip(".")


def misnamed(suffix: str, format: str) -> bool:
    """Whether the content is of another format than the extension of the name says.

    Examples:
        >>> misnamed(".wav", "FLAC"), misnamed(".WAV", "WAVEX")
        (True, False)
    """
    return format not in _FORMATS.get(suffix.lower(), (format,))
