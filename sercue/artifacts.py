"""The files that the stages of a run pass on, each stamped with all that it was made from.

A stamp holds ``settings``, a fingerprint of those that decide the file; ``content``, that of the
corpus with its audio; and, of what follows from the answers, ``answers``, a digest of their rows.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow

from sercue import provenance
from sercue.corpora.corpus import Corpus
from sercue.parts import read_parts, write_table
from sercue.schema import (
    BINNING,
    STAMP,
    TABLES,
    UnfitError,
    check_table,
    read_json,
    read_table,
    stamped,
)
from sercue.settings import ANALYSIS_KEYS, Settings
from sercue.study.store import rows_digest

logger = logging.getLogger(__name__)
_CARD = ("name", "labels", "neutral_label", "licence", "may_share_audio", "synthetic")


@dataclass(frozen=True, eq=False)
class Finished:
    """A study that was run: what its analysis reads, without audio or model.

    Attributes:
        corpus: its table and labels; its audio may not be at hand
        digests: content identity of each utterance's audio
        content: identity of the whole corpus
        features: functionals, one row per utterance
        predictions: all predictions, in no particular order
        answers: digest of the predictions
    """

    corpus: Corpus
    digests: pd.Series
    content: str
    features: pd.DataFrame
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
        stamp = {"settings": settings, **more}
        write_table(stamped(_as_read_back(table), TABLES[name], **stamp), self.folder / name)

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
        predictions = self.load_predictions(study_settings, content)
        if features is None or predictions is None:
            return None
        return Finished(*stored, features, *predictions)

    @property
    def provenance_file(self) -> Path:
        """``provenance.json``."""
        return self.folder / "provenance.json"

    def provenance(self) -> dict[str, Any]:
        """What ``provenance.json`` holds."""
        return provenance.read(self.provenance_file)

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


def _as_read_back(table: pd.DataFrame) -> pd.DataFrame:
    """A table whose index is of the type of text that pandas makes of it in reading.

    A file says of which type its texts were, and its bytes should not tell whether an earlier
    notebook's table was computed or read.
    """
    if not isinstance(table.index, pd.MultiIndex):
        return table
    keys = table.index.to_frame()
    texts: list[str] = list(keys.select_dtypes("string"))
    return table.set_axis(pd.MultiIndex.from_frame(keys.astype(dict.fromkeys(texts, "str"))))
