"""Tables that grow part by part: a folder of Parquet files, each written whole or not at all."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sercue.categories import with_sorted_categories
from sercue.errors import InputError
from sercue.files import written_aside
from sercue.schema import PREDICTIONS, Kind, check_schema, encoded, opened, stamped
from sercue.storage import is_of_storage, storage_error, told

logger = logging.getLogger(__name__)
# Another run puts parts together and removes them; what they held is then in another one.
_LISTINGS = 5


def write_table(table: pd.DataFrame, path: Path) -> Path:
    """Write a Parquet file aside, sync it, and rename it, so that no reader sees half of it.

    It bears checksums, by which readers find what was changed since.

    Raises:
        StorageError: if it cannot be written; what lay there before is as it was
    """
    with written_aside(path, sync=True) as aside:
        aside.write_bytes(encoded(table))
    return path


def append_part(folder: Path, table: pd.DataFrame, kind: Kind = PREDICTIONS) -> Path:
    """Add rows as a part of their own.

    Args:
        folder: of the parts; made if it is not there
        table: the rows
        kind: what they are; the part says so

    Raises:
        StorageError: if they cannot be written; the parts before are as they were

    Examples:
        >>> import tempfile
        >>> folder, kind = Path(tempfile.mkdtemp()), Kind("numbers")
        >>> _ = append_part(folder, pd.DataFrame({"x": [1]}), kind)
        >>> _ = append_part(folder, pd.DataFrame({"x": [2]}), kind)
        >>> sorted(read_parts(folder, kind)["x"])
        [1, 2]
    """
    # As plain texts, which any program reads; the file holds each different one once anyway.
    texts = dict.fromkeys(table.select_dtypes("category"), "str")
    return write_table(
        stamped(table.astype(texts), kind), folder / f"part-{uuid.uuid4().hex}.parquet"
    )


def part_files(folder: Path) -> list[Path]:
    """The parts of a folder, in a stable order.

    Raises:
        StorageError: if the folder cannot be listed
    """
    with told(folder, "listed"):
        return sorted(folder.glob("part-*.parquet"))


def read_parts(folder: Path, kind: Kind = PREDICTIONS) -> pd.DataFrame:
    """All rows of all parts; an empty table if there is none.

    A part that cannot be read (a disk that filled up, a copy cut short, a bit that flipped) is set
    aside as ``*.torn`` with a warning, so that its rows are made again rather than misread.

    Args:
        folder: of the parts
        kind: what they must be

    Raises:
        InputError: if a part is not of this kind or of a version that is not read, unless it is
            of a cache, whose rows are then made again
        StorageError: if a part cannot be opened, which says nothing of what it holds
    """
    for _ in range(_LISTINGS):
        with suppress(FileNotFoundError):
            return _together(part_files(folder), kind)
    return _together([file for file in part_files(folder) if file.is_file()], kind)


def read_part(file: Path, columns: Sequence[str] | None = None) -> pd.DataFrame | None:
    """The rows of one part of predictions, or ``None`` if it is gone or torn.

    Args:
        file: the part
        columns: those to read, by default all; one that is not there is left out

    Raises:
        InputError: if it is of another kind, or of a version that is not read
        StorageError: if it cannot be opened, which says nothing of what it holds
    """
    with suppress(FileNotFoundError):
        table = _read(file, PREDICTIONS, columns)
        return None if table is None else table.to_pandas()
    # Another run has put it together with others.
    return None


def _together(files: list[Path], kind: Kind) -> pd.DataFrame:
    tables = [table for file in files if (table := _read(file, kind)) is not None]
    if not tables:
        return pd.DataFrame()
    # Texts that are held once in each part are held once in all.
    whole = pa.concat_tables(tables, promote_options="permissive").unify_dictionaries()
    return with_sorted_categories(whole.to_pandas())


def _read(file: Path, kind: Kind, columns: Sequence[str] | None = None) -> pa.Table | None:
    try:
        source = opened(file)
        schema = pq.read_schema(source)
        check_schema(file, schema, kind)
        coded = kind.coded_columns(schema.names)
        with pq.ParquetFile(source, read_dictionary=coded, page_checksum_verification=True) as part:
            return part.read(columns)
    except FileNotFoundError:
        raise
    except (pa.ArrowInvalid, OSError) as error:
        # A limit or a right that is lacking: the part is whole, and setting it aside would lose it.
        if isinstance(error, OSError) and is_of_storage(error):
            raise storage_error(error, file, "read") from error
        _set_aside(file, error)
        return None
    except InputError as error:
        if not kind.cached:
            raise
        logger.warning("%s; its rows are made again", error)
        return None


def _set_aside(file: Path, error: Exception) -> None:
    torn = file.with_suffix(".torn")
    # In a folder that may only be read it stays, and is left out again each time.
    with suppress(OSError):
        file.replace(torn)
    logger.warning("%s could not be read (%s); set aside as %s", file, error, torn.name)
