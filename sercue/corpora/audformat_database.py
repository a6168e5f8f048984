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
    RowsOptions,
    assigned_partitions,
    captured_speakers,
    corpus_of_rows,
    listed_names,
    meant_partitions,
    reading,
    relative_files,
    segment_bounds,
)
from sercue.errors import InputError, refuse_unknown, shortened, unknown

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

    ``speaker``, ``sex``, ``partition``, ``sentence`` and ``fold`` name a column, a scheme or a
    label of a scheme in whatever table, as ``audformat.Database.get`` finds it, or a column of one
    table as ``table.column``. What is known of a whole file holds for its segments.

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
        sentence: where it is found what is said: its text, or the name of it
        fold: where the fold is found, of a corpus to be cross-validated
    """

    table: Tables | None = None
    column: str | None = None
    speaker: str = "speaker"
    speaker_pattern: str | None = None
    sex: str | None = None
    partition: str | None = None
    sentence: str | None = None
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
        speakers = _found(db, index, options.speaker, "speaker")
        rows["speaker"] = captured_speakers(speakers, options.speaker_pattern)
        if options.sex is not None:
            rows["sex"] = _found(db, index, options.sex, "sex")
        for name in ("gender", "sex") if options.sex is None else ():
            with suppress(InputError):
                found = _found(db, index, name, "sex")
                if found.groupby(rows["speaker"].to_numpy()).nunique().le(1).all():
                    rows["sex"] = found
                    break
        if options.partition is not None:
            found = _found(db, index, options.partition, "partition")
            rows["partition"] = meant_partitions(found, "partition:")
        for option in ("sentence", "fold"):
            if (named := getattr(options, option)) is not None:
                rows[option] = _found(db, index, named, option)
        stated = f"{db.license} ({db.license_url})" if db.license_url else db.license
        # "unrestricted" is also what audformat writes if nobody said anything.
        use = f"use: {db.usage}" if db.usage != audformat.define.Usage.UNRESTRICTED else ""
    folder = root if root.is_dir() else root.parent
    base, files = relative_files(index.get_level_values("file"), folder)
    starts, ends = (index.get_level_values(level) for level in ("start", "end"))
    rows = rows.set_index(audformat.segmented_index(files, starts, ends))
    licence = ", ".join(filter(None, [stated, use]))
    return corpus_of_rows("audformat", base, rows, options, seed=seed, licence=licence)


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
        with reading(header, LAYOUT):
            text = header.read_text(encoding="utf-8")
            # audformat's own way of reading YAML would make any object that it names.
            content = yaml.safe_load(text)
            if not isinstance(content, dict):
                raise ValueError("it holds no mapping")
            # Of a single key, audformat takes what it holds for the header.
            head = content if len(content) > 1 else next(iter(content.values()))
            for name in [*(head.get("tables") or ()), *(head.get("misc_tables") or ())]:
                # audformat makes the path of a file of it.
                if not isinstance(name, str) or re.search(r"[/\\\0]", name):
                    raise ValueError(f"found the table {shortened(name)}, valid are names of files")
            (Path(folder) / header.name).write_text(text, encoding="utf-8")
            db = audformat.Database.load(folder, name=header.stem)
        yield db


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


def _emotions(db: audformat.Database, table: Tables | None, column: str | None) -> pd.DataFrame:
    """The emotion of each segment, and its partition where the tables tell it."""
    schemes = {
        name: {key: (key, held.scheme_id) for key, held in db[name].columns.items()}
        for name in db.tables
    }
    columns = {
        name: [key for key in found if (key == column if column else SCHEME in found[key])]
        for name, found in schemes.items()
    }
    named = [name for name, found in columns.items() if found]
    if table is None and len(named) != 1:
        raise InputError(
            f"table: found {', '.join(named) or 'none'} with a column "
            f"{column or SCHEME!r}; valid is the name of one table, a list of tables, or a mapping "
            f"from train, dev, test to tables. The database has {_contents(db)}"
        )
    if isinstance(table, Mapping):
        homes: Mapping[str, str] = assigned_partitions(table, "table")
    else:
        homes = dict.fromkeys(named if table is None else listed_names(table), "")
    for name in homes:
        refuse_unknown("table", [name], db.tables)
        if column and column not in schemes[name]:
            raise unknown(f"column of table {name!r}", column, schemes[name])
        if len(columns[name]) != 1:
            raise InputError(
                f"column: found {', '.join(columns[name]) or 'none'} in table {name!r} for "
                f"{SCHEME!r}; valid is one of {', '.join(schemes[name])}"
            )
    splits = {name: db[name].split.type if db[name].split else "" for name in homes}
    if not isinstance(table, Mapping) and {"train", "test"} <= set(splits.values()) <= {
        *PARTITIONS
    }:
        homes = splits
    parts = []
    for name, partition in homes.items():
        rows = pd.DataFrame({"emotion": _text(db[name][columns[name][0]].get(), "column")})
        parts.append(rows.assign(partition=partition) if partition else rows)
    if all(part.empty for part in parts):
        raise InputError(f"table: found {', '.join(homes)}, without rows")
    return pd.concat(parts)


def _contents(db: audformat.Database) -> str:
    tables = [f"{name} ({', '.join(db[name].columns) or 'no column'})" for name in db.tables]
    return "; ".join(tables) or "no table"


def _found(db: audformat.Database, index: pd.Index, where: str, option: str) -> pd.Series:
    """What the database says of each segment, or of its file as a whole."""
    if where == "file":
        return pd.Series(index.get_level_values("file"), index=index, dtype=object)
    columns = {f"{name}.{key}": (name, key) for name in db.tables for key in db[name].columns}
    try:
        name, key = columns.get(where, ("", where))
        values = db[name][key].get() if name else db.get(where)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{option}: {where!r} is not the same wherever the database has it; name one place as "
            f"table.column. {error}"
        ) from error
    if not name and values.empty:
        raise InputError(
            f"{option}: found no {where!r}; valid is a column or scheme, or table.column. "
            f"The database has {_contents(db)}"
        )
    values = _text(values if name else values[where], option)
    at = dict(zip(values.index, values, strict=True))
    of_file = {
        file: value
        for (file, start, end), value in at.items()
        if start == pd.Timedelta(0) and pd.isna(end)
    }
    found = [at.get(utterance) or of_file.get(utterance[0]) for utterance in index]
    if not any(found):
        raise InputError(f"{option}: {where!r} says nothing of the {len(index)} utterances")
    return pd.Series(found, index=index, dtype=object)


def _text(values: pd.Series, option: str) -> pd.Series:
    """Labels as text or nothing, by file, start and end."""
    if pd.api.types.is_float_dtype(values.dtype):
        raise InputError(f"{option}: {values.name!r} holds decimal numbers; valid are labels")
    index = audformat.utils.to_segmented_index(values.index)
    known = values.notna().to_numpy()
    text = [str(value) if there else None for value, there in zip(values, known, strict=True)]
    return pd.Series(text, index=index, dtype=object)
