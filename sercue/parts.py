"""Tables that grow part by part: a folder of Parquet files, each written whole or not at all."""

from __future__ import annotations

import logging
import os
import uuid
from pathlib import Path

import pandas as pd
import pyarrow

from sercue.errors import InputError
from sercue.schema import PREDICTIONS, Kind, check_table, stamped

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


def append_part(folder: Path, table: pd.DataFrame, kind: Kind = PREDICTIONS) -> Path:
    """Add rows as a part of their own.

    Args:
        folder: of the parts; made if it is not there
        table: the rows
        kind: what they are; the part says so

    Examples:
        >>> import tempfile
        >>> folder, kind = Path(tempfile.mkdtemp()), Kind("numbers")
        >>> _ = append_part(folder, pd.DataFrame({"x": [1]}), kind)
        >>> _ = append_part(folder, pd.DataFrame({"x": [2]}), kind)
        >>> sorted(read_parts(folder, kind)["x"])
        [1, 2]
    """
    return write_table(stamped(table, kind), folder / f"part-{uuid.uuid4().hex}.parquet")


def part_files(folder: Path) -> list[Path]:
    """The parts of a folder, in a stable order."""
    return sorted(folder.glob("part-*.parquet"))


def read_parts(folder: Path, kind: Kind = PREDICTIONS) -> pd.DataFrame:
    """All rows of all parts; an empty table if there is none.

    A part that cannot be read (a disk that filled up, a copy cut short) is set aside as
    ``*.torn`` with a warning, so that its rows are made again rather than misread.

    Args:
        folder: of the parts
        kind: what they must be

    Raises:
        InputError: if a part is not of this kind or of a version that is not read, unless it is
            of a cache, whose rows are then made again
    """
    tables = [table for file in part_files(folder) if (table := _read(file, kind)) is not None]
    return pd.concat(tables) if tables else pd.DataFrame()


def _read(file: Path, kind: Kind) -> pd.DataFrame | None:
    try:
        check_table(file, kind)
        return pd.read_parquet(file)
    except (pyarrow.ArrowInvalid, OSError) as error:
        torn = file.with_suffix(".torn")
        file.replace(torn)
        logger.warning("%s could not be read (%s); set aside as %s", file, error, torn.name)
        return None
    except InputError as error:
        if not kind.cached:
            raise
        logger.warning("%s; its rows are made again", error)
        return None
