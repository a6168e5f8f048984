"""Recordings that lie inside a dataset: written to the cache once, byte by byte as they are."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
import soundfile

from sercue.answers import folded
from sercue.files import folder_written_aside
from sercue.paths import cache_folder
from sercue.recordings import DECODED_DIRECTLY, SUFFIXES

# The longest name of a file that common file systems take, less room for a number.
_LONGEST = 200

#: The recordings of each split, in the order of its rows: each ``bytes`` and ``path``, or nothing.
Recordings = Mapping[str, Iterable[Mapping[str, Any] | None]]


def written_files(recordings: Recordings, shared: bool) -> list[str | None]:
    """Where the recording of each row lies, after those inside the dataset have been written.

    Args:
        recordings: iterated twice if anything has to be written
        shared: whether rows with the same recording have the same file, as segments do

    Returns:
        a path a row, split by split; ``None`` for a row without a recording
    """
    rows = _described(recordings)
    files = rows["path"].copy()
    inside = rows[rows["digest"].notna()]
    if len(inside):
        names = _names(inside, shared)
        folder = cache_folder() / "datasets" / _key(names, inside["digest"])
        if not folder.is_dir():
            _write(folder, recordings, dict(zip(inside.index, names, strict=True)))
        files[inside.index] = [str(folder / name) for name in names]
    return [file or None for file in files]


def recorded_name(recording: Mapping[str, Any] | None) -> str | None:
    r"""The name of the file that a recording was made from, without its folders.

    Examples:
        >>> recorded_name({"bytes": None, "path": "wav\\03a01Fa.wav"})
        '03a01Fa.wav'
    """
    path = (recording or {}).get("path") or ""
    return PurePosixPath(path.replace("\\", "/")).name or None


def _described(recordings: Recordings) -> pd.DataFrame:
    """Of each row its split and number, path, content, and the name that a file of it might have.

    A name that begins with a point is a suffix alone.
    """
    described = [
        (split, number, *_description(recording))
        for split, listed in recordings.items()
        for number, recording in enumerate(listed)
    ]
    columns = ["split", "number", "path", "digest", "name"]
    return pd.DataFrame(described, columns=columns, dtype=object)


def _description(
    recording: Mapping[str, Any] | None,
) -> tuple[str | None, str | None, str | None]:
    path, content = (recording or {}).get("path"), (recording or {}).get("bytes")
    if content is None:
        return path, None, None
    if not content:
        return None, None, None
    name = recorded_name(recording) or ""
    # What a dataset says becomes the name of a file here: nothing hidden, nothing that leads away.
    if name.startswith(".") or not name.isprintable():
        name = ""
    return path, hashlib.sha256(content).hexdigest(), name[-_LONGEST:] + _suffix(name, content)


def _suffix(name: str, content: bytes) -> str:
    """What a name lacks to tell the format."""
    if name.lower().endswith(DECODED_DIRECTLY):
        return ""
    try:
        found = soundfile.info(io.BytesIO(content)).format
    # What is not known is left for the reader of recordings to refuse.
    except Exception:
        found = ""
    return SUFFIXES.get(found, "" if PurePosixPath(name).suffix else ".wav")


def _names(rows: pd.DataFrame, shared: bool) -> pd.Series:
    """A file for each row, below the folder of the dataset, of the same name on every call."""
    first = rows.groupby(["split", "digest" if shared else "number"], sort=False).head(1)
    alike = first["split"] + "/" + first["name"].map(folded)
    bare = first["name"].str.startswith(".")
    numbers = first["number"].map("{:06}".format) + bare.map({True: "", False: "-"})
    numbered = bare | alike.duplicated(keep=False)
    names = first["split"] + "/" + numbers.where(numbered, "") + first["name"]
    if not shared:
        return names
    at = names.groupby([first["split"], first["digest"]]).first()
    keys = pd.MultiIndex.from_frame(rows[["split", "digest"]])
    return pd.Series(at.reindex(keys).to_numpy(), index=rows.index)


def _key(names: pd.Series, digests: pd.Series) -> str:
    """What identifies the folder: the names and contents of all files in it."""
    lines = sorted({f"{digest} {name}" for name, digest in zip(names, digests, strict=True)})
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _write(folder: Path, recordings: Recordings, names: Mapping[int, str]) -> None:
    """All files or none: written aside and renamed.

    Args:
        folder: where the files are in the end
        recordings: those of all rows
        names: of the files, by the number of the row among all
    """
    rows = (recording for listed in recordings.values() for recording in listed)
    with folder_written_aside(folder) as aside:
        for number, recording in enumerate(rows):
            if number in names and recording:
                file = aside / names[number]
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(recording["bytes"])
