"""The files that the stages of a run pass on, each stamped with the settings that made it."""

from __future__ import annotations

import contextlib
import logging
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

logger = logging.getLogger(__name__)
_CARD = ("name", "labels", "neutral_label", "licence", "may_share_audio", "synthetic")


@dataclass(frozen=True, eq=False)
class Finished:
    """A study that was run: what its analysis reads, without audio or model.

    Attributes:
        corpus: its table and labels; its audio may not be at hand
        digests: content identity of each utterance's audio
        features: functionals, one row an utterance
        predictions: all predictions, in no particular order
    """

    corpus: Corpus
    digests: pd.Series
    features: pd.DataFrame
    predictions: pd.DataFrame


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
            **more: what else to keep with it, fit for JSON
        """
        stamp = {"settings": settings, **more}
        write_table(stamped(_as_read_back(table), TABLES[name], **stamp), self.folder / name)

    def load(self, name: str, settings: str) -> pd.DataFrame | None:
        """A table if it is there and was made with these settings, else ``None``.

        One that cannot be read as it should be is made again, since all of them are derived.

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
        return table if self.stamp(table).get("settings") == settings else None

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

    def save_corpus(self, corpus: Corpus, digests: pd.Series, settings: str) -> None:
        """Write the corpus table with the content identity of each utterance's audio."""
        card = {name: getattr(corpus, name) for name in _CARD}
        self.save("utterances.parquet", corpus.table.assign(audio=digests), settings, corpus=card)
        self.save("left_out.parquet", corpus.left_out, settings)

    def load_corpus(self, settings: str) -> tuple[Corpus, pd.Series] | None:
        """The corpus without its audio, and the content identities, if they are there."""
        table, left_out = (
            self.load(name, settings) for name in ("utterances.parquet", "left_out.parquet")
        )
        if table is None or left_out is None:
            return None
        card = self.stamp(table)["corpus"]
        card["labels"] = tuple(card["labels"])
        rows = table.drop(columns="audio")
        return Corpus(root=Path(), table=rows, left_out=left_out, **card), table["audio"]

    def load_predictions(self, settings: str) -> pd.DataFrame | None:
        """The finished predictions, in no particular order, if they are there and complete."""
        finished = self.provenance().get("predictions", {})
        if finished.get("settings") != settings:
            return None
        table = read_parts(self.folder / "predictions")
        return table if len(table) == finished["rows"] else None

    def load_finished(self, corpus_settings: str, study_settings: str) -> Finished | None:
        """All that the analysis of a study reads, or ``None`` if a piece of it is missing."""
        stored = self.load_corpus(corpus_settings)
        features = self.load("features.parquet", corpus_settings)
        predictions = self.load_predictions(study_settings)
        if stored is None or features is None or predictions is None:
            return None
        return Finished(*stored, features, predictions)

    @property
    def provenance_file(self) -> Path:
        """``provenance.json``."""
        return self.folder / "provenance.json"

    def provenance(self) -> dict[str, Any]:
        """What ``provenance.json`` holds."""
        return provenance.read(self.provenance_file)

    def record(self, **entries: Any) -> None:
        """Set entries of ``provenance.json``; see ``provenance.record``."""
        provenance.record(self.provenance_file, **entries)


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
