"""One recording as it lies on the disk: can it be decoded, and is all of it there?

Every sample that the package reads from a file is decoded here, in blocks.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import audiofile
import numpy as np
import soundfile

from sercue.errors import InputError

_FORMATS = {
    ".wav": ("WAV", "WAVEX", "RF64"),
    ".flac": ("FLAC",),
    ".mp3": ("MP3",),
    ".ogg": ("OGG",),
    ".opus": ("OGG",),
    ".aiff": ("AIFF",),
    ".aif": ("AIFF",),
}
#: Names of what libsndfile decodes by itself; for what it does not know, ``audiofile`` calls sox
#: or ffmpeg.
DECODED_DIRECTLY = tuple(_FORMATS)
#: libsndfile's name of a format to the extension of its files.
SUFFIXES = {format: suffix for suffix, formats in reversed(_FORMATS.items()) for format in formats}
# Programs that write to a pipe cannot know the length and announce about 2 or 4 GiB.
_STREAMED_BYTES = 0x7FFF0000
# openSMILE's frames are 10 ms apart: less than that, missing at the end, is less than one of them.
_NEGLIGIBLE_SECONDS = 0.01
# An Opus encoder may put 80 ms of silence in front, which the last page counts.
_OGG_SECONDS = 0.1
# libsndfile's number of samples where a header gives none, as that of a FLAC from a pipe.
_NO_LENGTH = 2**63 - 1
_OGG_PAGE_BYTES = 27 + 255 + 255 * 255
_UNREAD = "cannot be read as audio"
_UNRECOGNISED = 1  # SF_ERR_UNRECOGNISED_FORMAT
# Samples of all channels together, 4 MB: what of a recording is held at a time.
_BLOCK = 2**20
#: Blocks are whole frames of 25 ms, so that what is measured in frames is measured within a block.
FRAME_SECONDS = 0.025


@dataclass(frozen=True)
class Finding:
    """What is wrong with a recording, or odd.

    Attributes:
        reason: the same words for all of a kind, to be counted
        detail: about this recording alone; never its name or path
    """

    reason: str
    detail: str = ""


class RecordingError(InputError):
    """A recording that a library fails on.

    Args:
        path: the file
        finding: why
        failed: what cannot be done with it
    """

    def __init__(self, path: Path, finding: Finding, failed: str = _UNREAD) -> None:
        super().__init__(f"{path}: {failed} ({finding.detail or finding.reason})")
        self.path, self.finding, self.failed = path, finding, failed

    def __reduce__(self) -> tuple[type, tuple[Path, Finding, str]]:
        """As other processes send it."""
        return type(self), (self.path, self.finding, self.failed)


class Recording:
    """A file that can be decoded; its samples are read when they are asked for.

    What a failure is called is sure only where no other thread opens a file meanwhile: before
    soundfile 0.14, libsndfile's one message for all was read without a lock.

    Args:
        path: a file that ``unreadable`` has found nothing against
        start: where the part of it begins that is to be read, in seconds
        end: where that part ends; ``None`` is the end of the file

    Attributes:
        sampling_rate: in Hz
        channels: number of channels
        format: as libsndfile names it (WAV, FLAC, MP3, OGG, AIFF); else the extension

    Raises:
        RecordingError: if it is no audio, or needs a program that is not there
    """

    def __init__(self, path: Path, start: float = 0.0, end: float | None = None) -> None:
        self.path = path
        self._by_program: np.ndarray | None = None
        with naming(path):
            try:
                file = soundfile.SoundFile(path)
            except soundfile.LibsndfileError as error:
                known = path.suffix.lower() in DECODED_DIRECTLY
                if known or error.code != _UNRECOGNISED:
                    raise
                self._decode_by_program(start, end)
                return
            with file:
                self.sampling_rate, self.channels = file.samplerate, file.channels
                self.format, self.announced = file.format, file.frames
                if file.frames >= _NO_LENGTH:
                    detail = "its header does not say how long it is"
                    raise RecordingError(path, Finding("cannot be decoded", detail))
                self._whole, self._exact = _announced(file, path)

    def _decode_by_program(self, start: float, end: float | None) -> None:
        """Only the part that is to be read."""
        duration = None if end is None else end - start
        try:
            signal, self.sampling_rate = audiofile.read(
                str(self.path), offset=start or None, duration=duration, always_2d=True
            )
        except FileNotFoundError as error:
            finding = Finding("needs a program that is not installed", _clean(error, self.path))
            raise RecordingError(self.path, finding) from error
        except Exception as error:
            detail = f"neither libsndfile nor sox or ffmpeg reads this {self.path.suffix}"
            raise RecordingError(self.path, Finding("cannot be decoded", detail)) from error
        self._by_program, self._first = signal.T, round(start * self.sampling_rate)
        self.channels, self.format = len(signal), self.path.suffix[1:].upper()
        self.announced = self._whole = self._first + signal.shape[1]
        self._exact = False

    def bounds(self, start: float, end: float | None) -> tuple[int, int | None]:
        """First sample of a segment in seconds, and the one after its last; maybe beyond the end.

        Args:
            start: in seconds
            end: in seconds; ``None`` is the end of the file
        """
        first = round(start * self.sampling_rate)
        return first, None if end is None else first + round((end - start) * self.sampling_rate)

    def blocks(self, first: int = 0, last: int | None = None) -> Iterator[np.ndarray]:
        """The samples from the first to the one before the last, as far as they are there.

        Yields:
            float32, shape (samples, channels); all but the last are whole frames of 25 ms

        Raises:
            RecordingError: if they cannot be decoded
        """
        frame = max(1, round(FRAME_SECONDS * self.sampling_rate))
        size = frame * max(1, _BLOCK // (frame * self.channels))
        read = 0
        for block in self._read(first, last, size):
            read += len(block)
            yield block
        if first == 0 and last is None:
            self.samples = read

    def _read(self, first: int, last: int | None, size: int) -> Iterator[np.ndarray]:
        if self._by_program is not None:
            stop = None if last is None else last - self._first
            signal = self._by_program[first - self._first : stop]
            yield from (signal[n : n + size] for n in range(0, len(signal), size))
            return
        with (
            naming(self.path, reason="cut short or damaged"),
            soundfile.SoundFile(self.path) as file,
        ):
            left = self.announced - first if last is None else last - first
            if file.seekable():
                file.seek(min(first, self.announced))
            else:
                # As GSM 6.10: what lies before is decoded and dropped.
                while first and (dropped := len(file.read(min(first, size)))):
                    first -= dropped
            while left > 0:
                wanted = min(left, size)
                block = file.read(wanted, dtype="float32", always_2d=True)
                if len(block):
                    yield block
                # What comes after damage may lie anywhere.
                left = left - wanted if len(block) == wanted else 0

    @cached_property
    def samples(self) -> int:
        """Samples of a channel that can be decoded."""
        return sum(map(len, self.blocks()))

    @cached_property
    def damage(self) -> Finding | None:
        """That the file announces more than could be decoded; ``None`` if all is there."""
        if self._whole is None:
            return Finding("cut short or damaged", "its end is missing")
        there, whole = self.samples / self.sampling_rate, self._whole / self.sampling_rate
        if whole - there < (_OGG_SECONDS if self.format == "OGG" else _NEGLIGIBLE_SECONDS):
            return None
        return Finding("cut short or damaged", f"{there:.3f} of {whole:.3f} s are there")

    @property
    def usable(self) -> int:
        """Samples from the start that are where they belong in spite of damage."""
        return self.samples if self._exact else 0


@contextmanager
def naming(path: Path, failed: str = _UNREAD, reason: str = "cannot be decoded") -> Iterator[None]:
    """Whatever a library raises about a recording becomes one line that names the file.

    Args:
        path: the file
        failed: what cannot be done with it
        reason: what that is called in a ``Finding``, if the library does not say "not audio"

    Raises:
        RecordingError: from what was raised
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if getattr(error, "code", None) == _UNRECOGNISED:
            reason = "not audio"
        raise RecordingError(path, Finding(reason, _clean(error, path)), failed) from error


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


def _clean(error: Exception, path: Path) -> str:
    """The first line of a library's message, without its decoration and the name of the file."""
    message = str(getattr(error, "error_string", error)).strip() or type(error).__name__
    line = message.splitlines()[0].removeprefix("Error : ").rstrip(".")
    return line.replace(str(path), "the file")[:200]


def misnamed(suffix: str, format: str) -> bool:
    """Whether the content is of another format than the extension of the name says.

    Examples:
        >>> misnamed(".wav", "FLAC"), misnamed(".WAV", "WAVEX"), misnamed(".m4a", "WAV")
        (True, False, True)
    """
    if suffix.lower() in _FORMATS:
        return format not in _FORMATS[suffix.lower()]
    return bool(suffix) and format in SUFFIXES
