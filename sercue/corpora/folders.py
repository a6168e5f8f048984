"""The corpus ``folders``: recordings that lie in a folder for each emotion."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import audformat
import pandas as pd

from sercue.answers import plain_words
from sercue.corpora.corpus import Corpus
from sercue.corpora.recordings import DECODED_DIRECTLY
from sercue.corpora.rows import (
    PARTITION_NAMES,
    RowsOptions,
    captures,
    corpus_of_rows,
    meant_partitions,
    named_partitions,
)
from sercue.errors import InputError

LAYOUT = (
    "a folder with <emotion>/<file> or train/<emotion>/<file>, dev/..., test/...; the option "
    "speaker is a regular expression that finds the speaker in that path"
)
GROUPS = ("speaker", "emotion", "sex", "partition", "sentence", "fold")


class FoldersOptions(RowsOptions):
    r"""What a study says of a tree of recordings.

    Attributes:
        speaker: a regular expression that is found in each path below the root (with ``/``
            between folders). Its one group is the speaker: ``^[^/]+/(\d\d)`` finds 03 in
            ``happy/03a01Fa.wav``. Where more is told by the path, groups have names: ``speaker``
            and any of ``emotion`` (then the folders say nothing by themselves), ``sex``,
            ``partition``, ``sentence`` (what is said) and ``fold``.
    """

    speaker: str | None = None


def read_folders(root: Path, options: FoldersOptions, *, seed: int = 0) -> Corpus:
    """Read a tree of recordings with a folder for each emotion.

    Read are wav, flac, mp3, ogg, opus and aiff, at any depth below the folder of the emotion;
    hidden files are not. If the top folders are called train, dev (or val, valid, validation) and
    test, the emotions lie below them and these are the partitions.

    Args:
        root: the folder of the tree
        options: what the study says of it
        seed: of the speaker-disjoint partition that is made if the tree has none

    Returns:
        corpus whose labels are the names of the folders. Recordings above them, and those in
        other formats, are left out.

    Raises:
        InputError: if there is no recording, if the pattern is not valid or does not match a
            path, or if only some top folders are partitions
    """
    if not root.is_dir():
        raise InputError(f"corpus_root: {root} is no folder; expected is {LAYOUT}")
    listed = sorted(_recordings(root))
    files = [file for file in listed if _is_read(file)]
    if not files:
        formats = ", ".join(DECODED_DIRECTLY)
        raise InputError(
            f"corpus_root: no recording ({formats}) below {root}; expected is {LAYOUT}"
        )
    rows = captures(files, options.speaker, "speaker", GROUPS)
    if "partition" in rows:
        rows["partition"] = meant_partitions(rows["partition"], "speaker: its group partition")
    if "emotion" not in rows:
        rows = rows.combine_first(pd.DataFrame(_folders(files, root), dtype=object))
    rows = rows.set_index(audformat.segmented_index(files))
    others = [file for file in listed if not _is_read(file)]
    unread = pd.DataFrame({"detail": [PurePosixPath(file).suffix for file in others]}, dtype=object)
    unread = unread.assign(reason="format not read").set_index(audformat.segmented_index(others))
    rows = pd.concat([rows, unread])
    return corpus_of_rows("folders", root, rows, options, seed=seed)


def _recordings(root: Path) -> Iterator[str]:
    """The paths below the root of what its name calls audio, links followed."""

    def refuse(error: OSError) -> None:
        raise InputError(f"corpus_root: {error.filename} cannot be read ({error.strerror})")

    for folder, folders, files in os.walk(root, onerror=refuse, followlinks=True):
        here = Path(folder)
        # A folder that is called as a recording is listed as one, so that it is found not to be.
        names = files + [name for name in folders if _is_read(name)]
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".")
            and not _is_read(name)
            # A link to a folder above would lead round in circles.
            and not (
                (here / name).is_symlink()
                and here.resolve().is_relative_to((here / name).resolve())
            )
        ]
        for name in names:
            audio = (mimetypes.guess_type(name)[0] or "").startswith("audio/")
            if not name.startswith(".") and (_is_read(name) or audio):
                yield (here / name).relative_to(root).as_posix()


def _is_read(name: str) -> bool:
    return name.lower().endswith(DECODED_DIRECTLY)


def _folders(files: list[str], root: Path) -> dict[str, list[str | None]]:
    """The emotion, and the partition where the top folders are partitions."""
    folders = [PurePosixPath(file).parts[:-1] for file in files]
    tops = sorted({parts[0] for parts in folders if parts})
    others = [top for top in tops if plain_words(top) not in PARTITION_NAMES]
    if others and len(others) < len(tops):
        raise InputError(
            f"corpus_root: of the folders in {root} some are partitions "
            f"({', '.join(top for top in tops if top not in others)}) and some are not "
            f"({', '.join(others[:5])}); valid are emotions alone or partitions alone"
        )
    level = 0 if others else 1
    told = {"emotion": [parts[level] if len(parts) > level else None for parts in folders]}
    meant = named_partitions(tops) if level else None
    if meant:
        told["partition"] = [meant[parts[0]] if parts else None for parts in folders]
    return told
