"""The files that the stages of a run pass on, each stamped with all that it was made from.

A stamp holds ``settings``, a fingerprint of those that decide the file; ``content``, that of the
corpus with its audio; and, of what follows from the answers, ``answers``, a digest of their rows.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow

from sercue import provenance
from sercue.corpora.corpus import Corpus
from sercue.errors import InputError, StorageError
from sercue.settings import (
    ANALYSIS_KEYS,
    BASELINE_KEYS,
    CONTROL_KEYS,
    CORPUS_KEYS,
    STUDY_KEYS,
    Settings,
)
from sercue.storage.files import lock_holder, locked, take_lock
from sercue.storage.tables import (
    BINNING,
    STAMP,
    TABLES,
    UnfitError,
    check_table,
    read_json,
    read_parts,
    read_table,
    stamped,
    write_table,
)
from sercue.study.store import rows_digest

logger = logging.getLogger(__name__)
_CARD = (
    "name", "labels", "neutral_label", "licence", "may_share_audio", "synthetic", "children",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Finished:
    """A study that was run: what its analysis reads, without audio or model.

    Attributes:
        corpus: its table and labels; its audio may not be at hand
        digests: content identity of each utterance's audio
        content: identity of the whole corpus
        features: functionals, one row per utterance
        descriptors: means of low-level descriptors, one row per utterance
        predictions: all predictions, in no particular order
        answers: digest of the predictions
    """

    corpus: Corpus
    digests: pd.Series
    content: str
    features: pd.DataFrame
    descriptors: pd.DataFrame
    predictions: pd.DataFrame
    answers: str


@dataclass(frozen=True)
class Artifacts:
    """A folder of stamped tables and of ``provenance.json``.

    Attributes:
        folder: ``artifacts`` of a run; made when something is written
    """

    folder: Path

    def save(self, name: str, table: pd.DataFrame, settings: str, **more: Any) -> None:
        """Write a table.

        Args:
            name: file name, one of ``schema.TABLES``
            table: what to write
            settings: fingerprint of the settings that decide it
            **more: the rest of its stamp, and what else to keep with it; fit for JSON
        """
        if isinstance(table.index, pd.MultiIndex):
            # A file says of which type its texts were, and its bytes should not tell whether an
            # earlier notebook's table was computed or read.
            keys = table.index.to_frame()
            texts: list[str] = list(keys.select_dtypes("string"))
            keys = keys.astype(dict.fromkeys(texts, "str"))
            table = table.set_axis(pd.MultiIndex.from_frame(keys))
        stamp = {"settings": settings, **more}
        write_table(stamped(table, TABLES[name], **stamp), self.folder / name)

    def load(self, name: str, settings: str, **more: Any) -> pd.DataFrame | None:
        """A table if it is there and was made with these settings, else ``None``.

        One that cannot be read as it should be is made again, since all of them are derived.

        Args:
            name: file name, one of ``schema.TABLES``
            settings: fingerprint of the settings that decide it
            **more: what else its stamp must hold

        Raises:
            InputError: if it is of a newer version than this sercue reads
        """
        if not (self.folder / name).is_file():
            return None
        try:
            table = self.read(name)
        except UnfitError as error:
            logger.warning("%s; it is made again", error)
            return None
        stamp = self.stamp(table)
        wanted = {"settings": settings, **more}
        return table if all(stamp.get(key) == value for key, value in wanted.items()) else None

    def read(self, name: str) -> pd.DataFrame:
        """A table, whatever settings made it.

        Raises:
            InputError: if it is not there or not laid out as it should be
        """
        return read_table(self.folder / name, TABLES[name])

    def refuse_newer(self) -> None:
        """Raise if the folder is that of a newer sercue, before anything in it is replaced.

        Raises:
            InputError: naming the first file that is newer than what this sercue reads
        """
        _ = self.provenance()
        for name, kind in TABLES.items():
            with contextlib.suppress(UnfitError, pyarrow.ArrowInvalid, FileNotFoundError):
                check_table(self.folder / name, kind)
        with contextlib.suppress(UnfitError):
            read_json(self.folder / "binning.json", BINNING)

    @staticmethod
    def stamp(table: pd.DataFrame) -> dict[str, Any]:
        """What was kept with a table that ``load`` returned."""
        return dict(table.attrs.get(STAMP, {}))

    def save_corpus(self, corpus: Corpus, digests: pd.Series, settings: str, content: str) -> None:
        """Write the corpus table with the content identity of each utterance's audio."""
        stamp = {"settings": settings, "content": content}
        card = {name: getattr(corpus, name) for name in _CARD}
        table = corpus.table.assign(audio=digests)
        self.save("utterances.parquet", table, **stamp, corpus=card)
        self.save("left_out.parquet", corpus.left_out, **stamp)

    def load_corpus(self, settings: str) -> tuple[Corpus, pd.Series, str] | None:
        """The corpus without its audio, and the identities of each audio and of the whole."""
        table = self.load("utterances.parquet", settings)
        if table is None:
            return None
        stamp = self.stamp(table)
        # Of an early version there is none.
        content: str | None = stamp.get("content")
        left_out = self.load("left_out.parquet", settings, content=content)
        if left_out is None:
            return None
        card = stamp["corpus"]
        card["labels"] = tuple(card["labels"])
        rows = table.drop(columns="audio")
        corpus = Corpus(root=Path(), table=rows, left_out=left_out, **card)
        return corpus, table["audio"], content or ""

    def load_predictions(self, settings: str, content: str = "") -> tuple[pd.DataFrame, str] | None:
        """The finished predictions, in no particular order, if they are those that were recorded.

        Args:
            settings: fingerprint of the settings that decide them
            content: identity of the corpus

        Returns:
            the rows, and their digest
        """
        recorded = self.provenance().get("predictions", {})
        if (recorded.get("settings"), recorded.get("content")) != (settings, content):
            return None
        table = read_parts(self.folder / "predictions")
        digest = rows_digest(table)
        return (table, digest) if digest == recorded.get("digest") else None

    def load_finished(self, corpus_settings: str, study_settings: str) -> Finished | None:
        """All that the analysis of a study reads, or ``None`` if a piece of it is missing."""
        stored = self.load_corpus(corpus_settings)
        if stored is None:
            return None
        content = stored[-1]
        features = self.load("features.parquet", corpus_settings, content=content)
        descriptors = self.load("descriptors.parquet", corpus_settings, content=content)
        predictions = self.load_predictions(study_settings, content)
        if features is None or descriptors is None or predictions is None:
            return None
        return Finished(*stored, features, descriptors, *predictions)

    @property
    def provenance_file(self) -> Path:
        """``provenance.json``."""
        return self.folder / "provenance.json"

    def provenance(self) -> dict[str, Any]:
        """What ``provenance.json`` holds."""
        return provenance.read(self.provenance_file)

    def fingerprints(self) -> dict[tuple[str, ...], str]:
        """Of the settings that decided what lies here, by the keys of these settings."""
        tables = {
            CORPUS_KEYS: "utterances.parquet",
            CONTROL_KEYS: "controls.parquet",
            BASELINE_KEYS: "zero_shot.parquet",
        }
        there = {keys: name for keys, name in tables.items() if (self.folder / name).is_file()}
        found = {keys: str(self.stamp(self.read(n)).get("settings")) for keys, n in there.items()}
        recorded = self.provenance()
        answers = str(recorded.get("predictions", {}).get("settings"))
        return found | {STUDY_KEYS: answers, ANALYSIS_KEYS: str(recorded.get("settings"))}

    def inputs(self) -> dict[str, Any]:
        """What the stamps of measures and tests hold of the corpus and the answers stored now."""
        return stamps_of(self.provenance())

    def record(self, **entries: Any) -> None:
        """Set entries of ``provenance.json``; see ``provenance.record``."""
        provenance.record(self.provenance_file, **entries)


def stamps_of(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """The identities of the corpus and of the answers, as ``provenance.json`` has them.

    Examples:
        >>> stamps_of({"corpus": {"stamp": "c"}, "predictions": {"digest": "1-a"}})
        {'content': 'c', 'answers': '1-a'}
    """
    return {
        "content": provenance.get("corpus", {}).get("stamp"),
        "answers": provenance.get("predictions", {}).get("digest"),
    }


def made_from(
    notebook: str, settings: Settings, provenance: Mapping[str, Any]
) -> dict[str, str | None]:
    """What the numbers of a notebook rest on: settings, corpus and, from 04 on, the answers.

    Args:
        notebook: its name, which begins with its number
        settings: of the study
        provenance: what ``provenance.json`` holds of corpus and answers
    """
    stamp = {"settings": settings.fingerprint(ANALYSIS_KEYS), **stamps_of(provenance)}
    if notebook < "04":
        del stamp["answers"]
    return stamp


_PROVENANCE = Path("artifacts", "provenance.json")
_HARMLESS = {"README.md", "Thumbs.db", "desktop.ini", "lost+found"}
# The folders that a run makes; of their contents nothing can tell whose they are.
_MADE = {"artifacts", "figures", "tables"}
_VALID = (
    "valid is a folder that is new or empty, or that a run of sercue wrote "
    f"({_PROVENANCE.as_posix()} in it)"
)


def check_run_folder(folder: Path) -> None:
    """Refuse a folder in which a run would mix its files with others, or overwrite them.

    An earlier run is told by its ``artifacts/provenance.json``, written before anything else of
    it, or by its tables if that was moved away; one that was stopped before that, by the notebook
    alone that papermill had begun.

    Args:
        folder: that a study names; nothing is written, and it need not be there

    Raises:
        InputError: if it or a part of its path is a file, if it holds what no run wrote, or if a
            link in it leads elsewhere; naming the folder, what was found, and what is valid
    """
    try:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            # Of a name that is too long, or a folder that one may not enter, says so.
            folder.lstat()
        there = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
        if not there.is_dir():
            what = "a link that leads nowhere" if there.is_symlink() else "a file"
            raise InputError(f"out: found {what} at {str(there)!r}; {_VALID}")
        if there != folder:
            return
        for link in _links(folder):
            raise InputError(
                f"out: found {str(link.relative_to(folder))!r} in {str(folder)!r}, a link to "
                f"{str(link.readlink())!r}, through which a run would write elsewhere; {_VALID}, "
                "without links"
            )
        strangers = [] if _is_of_a_run(folder) else sorted(_strangers(folder))
    except OSError as error:
        raise InputError(f"out: {str(folder)!r} cannot be used ({error}); {_VALID}") from None
    if strangers:
        more = f" and {len(strangers) - 1} more" if len(strangers) > 1 else ""
        raise InputError(f"out: found {strangers[0]!r}{more} in {str(folder)!r}; {_VALID}")


@contextlib.contextmanager
def at_work(folder: Path, settings: str) -> Iterator[None]:
    """Within, no run of other settings begins in the folder; those of the same may.

    Each run holds a lock of its own for as long as it works, named after its settings.

    Args:
        folder: of the run
        settings: fingerprint of its settings

    Raises:
        InputError: if a run of other settings is at work, naming its process
    """
    place = folder / "artifacts"
    own = place / f".run-{settings}-{uuid.uuid4().hex[:8]}.lock"
    # One after the other, or of two that begin at once neither would see the other.
    with locked(place / "runs"):
        refuse_others_at_work(folder, settings)
        lock = take_lock(own)
    if lock is None:
        raise StorageError(f"{own}: in use by {lock_holder(own)}")
    try:
        yield
    finally:
        lock.release()
        with contextlib.suppress(OSError):
            own.unlink(missing_ok=True)


def refuse_others_at_work(folder: Path, settings: str) -> None:
    """Raise if a run of other settings is at work in a folder; locks of the dead are removed.

    Args:
        folder: of the run
        settings: fingerprint of its settings

    Raises:
        InputError: naming the process of the other run
    """
    for other in (folder / "artifacts").glob(".run-*.lock"):
        if other.name.startswith(f".run-{settings}-"):
            continue
        left = take_lock(other)
        if left is None:
            raise InputError(
                f"out: a run of other settings is at work in {str(folder)!r}: "
                f"{lock_holder(other)}; valid is another folder, or to wait for its end"
            )
        left.release()
        other.unlink(missing_ok=True)


def _is_of_a_run(folder: Path) -> bool:
    """By its provenance or, where that was moved away, by a table that says what it is."""
    if (folder / _PROVENANCE).is_file():
        return True
    for name, kind in TABLES.items():
        with contextlib.suppress(UnfitError, InputError, OSError, pyarrow.ArrowException):
            check_table(folder / "artifacts" / name, kind)
            return True
    return False


def _links(folder: Path) -> Iterator[Path]:
    """Symbolic links where a run writes; others may lie there, for a reader's convenience."""
    written = [
        path
        for path in folder.iterdir()
        if path.name in {*_MADE, "methods.md"} or path.suffix in (".html", ".ipynb")
    ]
    within = (path for made in written if made.name in _MADE for path in made.rglob("*"))
    return (path for path in (*written, *within) if path.is_symlink())


def _strangers(folder: Path) -> Iterator[str]:
    """The names of what is neither hidden, a README, nor of a run that had just begun."""
    for entry in folder.iterdir():
        begun = _is_executed(entry) or (
            entry.name in _MADE and all(inner.name.startswith(".") for inner in entry.iterdir())
        )
        if not (entry.name.startswith(".") or entry.name in _HARMLESS or begun):
            yield entry.name


def _is_executed(file: Path) -> bool:
    """Whether papermill wrote a notebook: those of a person do not say so."""
    if file.suffix != ".ipynb" or not file.is_file():
        return False
    try:
        return "papermill" in json.loads(file.read_text(encoding="utf-8"))["metadata"]
    except (ValueError, KeyError, TypeError):
        return False
