"""The corpus ``audformat``: a database in audformat on disk, as audb and audformat save them."""

from __future__ import annotations

import glob
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import audformat
import pandas as pd
import yaml

from sercue.corpora.corpus import PARTITIONS, Corpus
from sercue.corpora.rows import (
    PARTITION_NAMES,
    RowsOptions,
    assigned_partitions,
    captured_speakers,
    corpus_of_rows,
    listed_names,
    named_partitions,
    reading,
    relative_files,
)
from sercue.corpora.table import segment_bounds
from sercue.errors import InputError, shortened, unknown

LICENCE = "that of the database, from its header"
LAYOUT = (
    "a folder with db.yaml and its tables db.*.parquet or db.*.csv, as audformat and audb save "
    "them, or that header file itself"
)
TABLES = "tables in Parquet or CSV; pickles are not opened, since they can run code"
SCHEME = "emotion"
Tables = str | Sequence[str] | Mapping[str, str | Sequence[str]]


class AudformatOptions(RowsOptions):
    """Where in a database the reader finds what it needs.

    ``speaker``, ``sex``, ``partition`` and ``fold`` name a column, a scheme or a label of a scheme
    in whatever table, as ``audformat.Database.get`` finds it, or a column of one table as
    ``table.column``. What is known of a whole file holds for its segments.

    Attributes:
        table: the table of the emotions, or several; or a mapping from train, dev and test to
            tables. By default the only one with a column of the scheme ``emotion``. The splits of
            several tables are their partitions if there is one to train and one to test.
        column: the column of the emotions, by default the only one of the scheme ``emotion``
        speaker: where the speaker is found; ``file`` for the path
        speaker_pattern: a regular expression that finds the speaker in what ``speaker`` says, if
            that is more than the speaker, by its one group
        sex: where the sex is found, by default ``gender`` or ``sex`` where each speaker has one;
            used if known of everyone
        partition: where the partition is found, if not by tables
        fold: where the fold is found, of a corpus to be cross-validated
    """

    table: Tables | None = None
    column: str | None = None
    speaker: str = "speaker"
    speaker_pattern: str | None = None
    sex: str | None = None
    partition: str | None = None
    fold: str | None = None


def read_audformat(root: Path, options: AudformatOptions, *, seed: int = 0) -> Corpus:
    """Read an audformat database.

    Args:
        root: the folder that holds ``db.yaml``, or that file itself
        options: where in it the reader finds what it needs
        seed: of the speaker-disjoint partition that is made if the database has none

    Returns:
        corpus of all segments or files of the tables; those without emotion or speaker are left
        out

    Raises:
        InputError: if there is no database, or if something is not found in it
    """
    with _database(root) as db:
        rows = _emotions(db, options.table, options.column)
        index = rows.index
        rows["speaker"] = _found(db, index, options.speaker, "speaker")
        if options.speaker_pattern is not None:
            rows["speaker"] = captured_speakers(rows["speaker"], options.speaker_pattern)
        rows["sex"] = _sexes(db, index, options.sex, rows["speaker"])
        if options.partition is not None:
            rows["partition"] = _partitions(_found(db, index, options.partition, "partition"))
        if options.fold is not None:
            rows["fold"] = _found(db, index, options.fold, "fold")
        stated = _licence(db)
    folder = root if root.is_dir() else root.parent
    base, files = relative_files(index.get_level_values("file"), folder)
    starts, ends = (index.get_level_values(level) for level in ("start", "end"))
    rows = rows.set_index(audformat.segmented_index(files, starts, ends))
    return corpus_of_rows("audformat", base, rows, options, seed=seed, licence=stated)


@contextmanager
def _database(root: Path) -> Iterator[audformat.Database]:
    """The database, of its Parquet and CSV tables alone: they are read when first needed."""
    header = root / "db.yaml" if root.is_dir() else root
    if header.suffix != ".yaml" or not header.is_file():
        raise InputError(f"corpus_root: no db.yaml in {root}; expected is {LAYOUT}")
    valid = f"a database with {TABLES}"
    with tempfile.TemporaryDirectory() as folder, reading(f"a table of {header}", valid):
        for file in header.parent.glob(f"{glob.escape(header.stem)}.*"):
            # A folder of such a name could hold pickles.
            if file.suffix in (".csv", ".parquet") and file.is_file():
                (Path(folder) / file.name).symlink_to(file.resolve())
                _check_times(file)
        yield _loaded(Path(folder), header)


def _check_times(table: Path) -> None:
    """Refuse what audformat reads as nanoseconds: numbers without a unit, decimal commas."""
    if table.suffix != ".csv" or not table.stat().st_size:
        return
    names = pd.read_csv(table, nrows=0).columns
    if not {"file", "start", "end"} <= set(names):
        return
    rows = pd.read_csv(table, dtype=str, usecols=["start", "end"], keep_default_na=False)
    rows = rows.replace("NaT", "")
    for column, cells in rows.items():
        bare = cells.str.fullmatch(r"\s*[\d.eE+-]+\s*")
        if bare.any():
            raise InputError(
                f"corpus_root: {table}, column {column!r}: found {shortened(cells[bare].iloc[0])}, "
                "a number without a unit; valid is a duration as audformat writes it "
                "(0 days 00:00:01.5)"
            )
    segment_bounds(rows, table)


def _loaded(folder: Path, header: Path) -> audformat.Database:
    """The database of a header, whose tables lie in a folder."""
    with reading(header, LAYOUT):
        text = header.read_text(encoding="utf-8")
        # audformat's own way of reading YAML would make any object that it names.
        content = yaml.safe_load(text)
        if not isinstance(content, dict):
            raise ValueError("it holds no mapping")
        # Of a single key, audformat takes what it holds for the header.
        head = content if len(content) > 1 else next(iter(content.values()))
        for table in [*(head.get("tables") or ()), *(head.get("misc_tables") or ())]:
            # audformat makes the path of a file of it.
            if not isinstance(table, str) or re.search(r"[/\\\0]", table):
                raise ValueError(f"found the table {shortened(table)}, valid are names of files")
        (folder / header.name).write_text(text, encoding="utf-8")
        return audformat.Database.load(str(folder), name=header.stem)


def _emotions(db: audformat.Database, table: Tables | None, column: str | None) -> pd.DataFrame:
    """The emotion of each segment, and its partition where the tables tell it."""
    homes = _homes(db, table, column)
    parts = []
    for name, partition in homes.items():
        values = _text(db[name][_column(db, name, column)].get(), "column")
        rows = pd.DataFrame({"emotion": values})
        parts.append(rows.assign(partition=partition) if partition else rows)
    rows = pd.concat(parts)
    if rows.empty:
        raise InputError(f"table: found {', '.join(homes)}, without rows")
    return rows


def _homes(db: audformat.Database, table: Tables | None, column: str | None) -> dict[str, str]:
    """The tables to read, each with its partition, which is empty if it has none."""
    if isinstance(table, Mapping):
        homes: dict[str, str] = assigned_partitions(table, "table")
    else:
        names = [_only_table(db, column)] if table is None else listed_names(table)
        homes = dict.fromkeys(names, "")
    for name in homes:
        if name not in db.tables:
            raise unknown("table", name, db.tables)
    return homes if isinstance(table, Mapping) else _splits(db, list(homes))


def _splits(db: audformat.Database, names: list[str]) -> dict[str, str]:
    """The partition of each table by its split; none if they are not partitions."""
    types = {name: db[name].split.type if db[name].split else "" for name in names}
    complete = {"train", "test"} <= set(types.values()) <= set(PARTITIONS)
    return types if complete else dict.fromkeys(names, "")


def _candidates(db: audformat.Database, name: str, column: str | None) -> list[str]:
    """The columns of a table that may hold the emotion."""
    columns = db[name].columns
    if column is not None:
        return [column] if column in columns else []
    return [key for key in columns if SCHEME in (key, columns[key].scheme_id)]


def _only_table(db: audformat.Database, column: str | None) -> str:
    found = {name: _candidates(db, name, column) for name in db.tables}
    named = [name for name, columns in found.items() if columns]
    if len(named) != 1:
        raise InputError(
            f"table: found {', '.join(named) or 'none'} with a column "
            f"{column or SCHEME!r}; valid is the name of one table, a list of tables, or a mapping "
            f"from train, dev, test to tables. The database has {_contents(db)}"
        )
    return named[0]


def _column(db: audformat.Database, name: str, column: str | None) -> str:
    if column is not None and column not in db[name].columns:
        raise unknown(f"column of table {name!r}", column, db[name].columns)
    found = _candidates(db, name, column)
    if len(found) != 1:
        raise InputError(
            f"column: found {', '.join(found) or 'none'} in table {name!r} for {SCHEME!r}; "
            f"valid is one of {', '.join(db[name].columns)}"
        )
    return found[0]


def _contents(db: audformat.Database) -> str:
    tables = [f"{name} ({', '.join(db[name].columns) or 'no column'})" for name in db.tables]
    return "; ".join(tables) or "no table"


def _sexes(
    db: audformat.Database, index: pd.Index, sex: str | None, speakers: pd.Series
) -> pd.Series:
    if sex is not None:
        return _found(db, index, sex, "sex")
    for name in ("gender", "sex"):
        with suppress(InputError):
            found = _found(db, index, name, "sex")
            if found.groupby(speakers.to_numpy()).nunique().le(1).all():
                return found
    return pd.Series(None, index, dtype=object)


def _partitions(names: pd.Series) -> pd.Series:
    meant = named_partitions(names.dropna().unique())
    if meant is None:
        raise InputError(
            f"partition: found {', '.join(sorted(names.dropna().unique()))}; valid are "
            f"{', '.join(PARTITION_NAMES)}, with some to train and some to test"
        )
    return names.map(meant)


def _found(db: audformat.Database, index: pd.Index, where: str, option: str) -> pd.Series:
    """What the database says of each segment, or of its file as a whole."""
    files = index.get_level_values("file")
    if where == "file":
        return pd.Series(files, index=index, dtype=object)
    values = _text(_values(db, where, option), option)
    at = dict(zip(values.index, values, strict=True))
    of_file = {file: value for (file, start, end), value in at.items() if _whole(start, end)}
    found = [at.get(key) or of_file.get(key[0]) for key in index]
    if not any(found):
        raise InputError(f"{option}: {where!r} says nothing of the {len(index)} utterances")
    return pd.Series(found, index=index, dtype=object)


def _whole(start: pd.Timedelta, end: pd.Timedelta) -> bool:
    return start == pd.Timedelta(0) and pd.isna(end)


def _values(db: audformat.Database, where: str, option: str) -> pd.Series:
    for name in db.tables:
        if where.startswith(f"{name}.") and where.removeprefix(f"{name}.") in db[name].columns:
            return db[name][where.removeprefix(f"{name}.")].get()
    try:
        values = db.get(where)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{option}: {where!r} is not the same wherever the database has it; name one place as "
            f"table.column. {error}"
        ) from error
    if values.empty:
        raise InputError(
            f"{option}: found no {where!r}; valid is a column or scheme, or table.column. "
            f"The database has {_contents(db)}"
        )
    return values[where]


def _text(values: pd.Series, option: str) -> pd.Series:
    """Labels as text or nothing, by file, start and end."""
    if pd.api.types.is_float_dtype(values.dtype):
        raise InputError(f"{option}: {values.name!r} holds decimal numbers; valid are labels")
    index = audformat.utils.to_segmented_index(values.index)
    known = values.notna().to_numpy()
    text = [str(value) if there else None for value, there in zip(values, known, strict=True)]
    return pd.Series(text, index=index, dtype=object)


def _licence(db: audformat.Database) -> str:
    """Name, address and permitted use, as far as the header has them."""
    stated = f"{db.license} ({db.license_url})" if db.license_url else db.license
    # "unrestricted" is also what audformat writes if nobody said anything.
    use = f"use: {db.usage}" if db.usage != audformat.define.Usage.UNRESTRICTED else ""
    return ", ".join(filter(None, [stated, use]))
