"""Tables that grow part by part: a folder of Parquet files, each written whole or not at all."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

logger = logging.getLogger(__name__)


def write_table(table: pd.DataFrame, path: Path) -> Path:
    """Write a Parquet file aside, sync it, and rename it, so that no reader sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with aside.open("wb") as file:
            table.to_parquet(file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return path


def append_part(folder: Path, table: pd.DataFrame) -> Path:
    """Add rows as a part of their own.

    Examples:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = append_part(folder, pd.DataFrame({"x": [1]}))
        >>> _ = append_part(folder, pd.DataFrame({"x": [2]}))
        >>> sorted(read_parts(folder)["x"])
        [1, 2]
    """
    return write_table(table, folder / f"part-{uuid.uuid4().hex}.parquet")


def part_files(folder: Path) -> list[Path]:
    """The parts of a folder, in a stable order."""
    return sorted(folder.glob("part-*.parquet"))


def read_parts(folder: Path) -> pd.DataFrame:
    """All rows of all parts; an empty table if there is none.

    A part that cannot be read (a disk that filled up, a copy cut short) is set aside as
    ``*.torn`` with a warning, so that its rows are made again rather than misread.
    """
    tables = [table for file in part_files(folder) if (table := _read(file)) is not None]
    if not tables:
        return pd.DataFrame()
    # Texts that are held once in each part are held once in all.
    return pa.concat_tables(tables, promote_options="permissive").unify_dictionaries().to_pandas()


def read_part(file: Path, columns: Sequence[str] | None = None) -> pd.DataFrame | None:
    """The rows of one part, or ``None`` if it is gone or torn.

    Args:
        file: the part
        columns: those to read, by default all; one that is not there is left out
    """
    table = _read(file, columns)
    return None if table is None else table.to_pandas()


def _read(file: Path, columns: Sequence[str] | None = None) -> pa.Table | None:
    try:
        with pq.ParquetFile(file) as part:
            return part.read(columns)
    except FileNotFoundError:
        # Another run has merged it into a larger one.
        return None
    except (pa.ArrowInvalid, OSError) as error:
        torn = file.with_suffix(".torn")
        file.replace(torn)
        logger.warning("%s could not be read (%s); set aside as %s", file, error, torn.name)
        return None
