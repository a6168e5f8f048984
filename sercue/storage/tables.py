"""The layout of the files that sercue reads back: each bears the version of its own.

A file without a version is one of the first layout, version 0. Raise a kind's ``version`` whenever
its columns or entries change their meaning, name or type, and either bring older ones to it where
they are read, or raise ``lowest``, so that they are refused by name.

A Parquet file also bears a digest of its own bytes, so that a bit that flips on a disk or in a copy
is found when the file is read. The checksums of Parquet itself cover the pages alone.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types

from sercue.errors import InputError
from sercue.storage.files import is_of_storage, storage_error, told, write_text, written_aside

#: Where a table keeps what sercue says of it, in ``attrs`` and so in a Parquet file's metadata.
STAMP = "sercue"
_SCHEMA = "schema"
# Begins the value of an entry of a Parquet file's metadata; the digest follows, in hexadecimals.
_MARK = b"sercue-digest:"
_NO_DIGEST = b"0" * 32


class UnfitError(InputError):
    """A file that is not laid out as its kind is; what is only derived can be made again."""


@dataclass(frozen=True)
class Kind:
    """What files of a kind look like.

    Attributes:
        name: how messages call them, and how they call themselves
        version: of the layout that is written
        columns: column to its type: ``text``, ``float``, ``int``, ``bool`` or ``time``. A name
            with a ``*`` holds for all columns that match it, if there are any; the first name
            that matches counts.
        entries: of a JSON file, entry to its type: ``list``, ``dict``, ``str``, ...
        lowest: the oldest version that can be read
        cached: whether what does not fit is left out and made again, rather than refused
        coded: whether texts are read as categories, each different one held once
    """

    name: str
    version: int = 1
    columns: Mapping[str, str] = field(default_factory=dict)
    entries: Mapping[str, type] = field(default_factory=dict)
    lowest: int = 0
    cached: bool = False
    coded: bool = False

    def type_of(self, column: str) -> str | None:
        """The type that a column must have; ``None`` if any will do."""
        return next((t for n, t in self.columns.items() if fnmatchcase(column, n)), None)


_UTTERANCE = {"file": "text", "start": "time", "end": "time"}

PREDICTIONS = Kind(
    "predictions",
    # Version 0 does not say which words were scored, or how many tokens an answer may have.
    lowest=1,
    coded=True,
    columns={
        "utterance": "text", "speaker": "text", "truth": "text", "condition": "text",
        "family": "text", "dose": "float", "concepts": "text",
        "replicate": "int", "template": "text", "label_order": "int", "decoding": "text",
        "prediction": "text", "valid": "bool", "why_invalid": "text", "answer": "text",
        "label_mass": "float", "audio": "text", "prompt": "text", "model": "text",
        "options": "text", "p_*": "float", "shown_*": "text",
        # As patterns, since answers of before audio was varied lack them; a plan tells them.
        "heard*": "text", "tokens_class*": "text",
    },
)  # fmt: skip
CACHED_FEATURES = Kind(
    "cached features",
    # Version 1 held functionals alone: it lacks columns, and its rows are made again.
    version=2,
    columns={"audio": "text", "voiced_share": "float", "voiced_frames": "float", "*": "float"},
    cached=True,
)
_NUMBERS = {"audio": "text", "*": "float"}
CACHED_PRAAT = Kind("cached measures of Praat", columns=_NUMBERS, cached=True)
#: Of a contrastive model: the similarity of each recording to each sentence.
CACHED_SIMILARITIES = Kind("cached similarities", columns=_NUMBERS, cached=True)
CACHED_FACTS = Kind(
    "cached facts of recordings",
    columns={
        "seconds": "float", "sampling_rate": "int", "channels": "int", "format": "text",
        "peak": "float", "level": "float", "offset": "float", "clipped": "float",
        "problem": "text", "detail": "text", "note": "text", "note_detail": "text",
    },
    cached=True,
)  # fmt: skip
#: The tables of ``artifacts``, by file name.
TABLES = {
    "utterances.parquet": Kind("utterances", columns=_UTTERANCE | {
        "emotion": "text", "speaker": "text", "partition": "text", "audio": "text",
        "rated_*": "float",
    }),
    "left_out.parquet": Kind("left out", columns=_UTTERANCE | {"reason": "text", "detail": "text"}),
    "features.parquet": Kind("features", columns=_UTTERANCE | {"*": "float"}),
    "descriptors.parquet": Kind("descriptors", columns=_UTTERANCE | {"*": "float"}),
    "tokens.parquet": Kind("tokens", columns=_UTTERANCE | {"*": "text"}),
    "controls.parquet": Kind("controls", columns={
        "model": "text", "p_*": "float", "shown_*": "text",
    }),
    "tried.parquet": Kind("tried answers", columns={
        "utterance": "text", "speaker": "text", "truth": "text", "condition": "text",
        "template": "text", "label_order": "int", "p_*": "float",
    }),
    "zero_shot.parquet": Kind("zero-shot answers", columns={
        "utterance": "text", "condition": "text", "prediction": "text", "p_*": "float",
    }),
    "measures.parquet": Kind("measures", columns={
        "condition": "text", "utterances": "int", "rows": "int", "baseline": "bool",
        "uar": "float", "uar_low": "float", "uar_high": "float", "recall_*": "float",
    }),
    "tests.parquet": Kind("tests", columns={
        "condition": "text", "reference": "text", "difference": "float", "low": "float",
        "high": "float", "p": "float", "holm_p": "float", "speakers": "int",
        "step": "text", "decided_by": "text",
    }),
    "answer.parquet": Kind("answer", columns={"line": "text", "text": "text"}),
    "reliance.parquet": Kind("reliance", columns={
        "share": "float", "low": "float", "high": "float", "w_*": "float",
    }),
}  # fmt: skip
BINNING = Kind(
    "binning",
    # Before version 2, all concepts had the same words, and one set of edges.
    version=2,
    lowest=2,
    entries={"concepts": list, "locations": dict, "scales": dict, "thresholds": dict},
)
#: Each of its entries may be lacking.
PROVENANCE = Kind(
    "provenance",
    entries={
        "command": str, "corpus": dict, "notebooks": dict, "parameters": dict, "predictions": dict,
        "run_count": int, "runs": list, "scheme": str, "seconds": dict, "settings": str,
        "versions": dict,
    },
)  # fmt: skip
TRAINING = Kind("training", entries={"recipe": dict, "dev uar": dict, "training seconds": float})

_IS: dict[str, tuple[Callable[[pa.DataType], bool], ...]] = {
    "text": (types.is_string, types.is_large_string),
    "float": (types.is_floating,),
    "int": (types.is_integer,),
    "bool": (types.is_boolean,),
    "time": (types.is_duration,),
}


def stamped(table: pd.DataFrame, kind: Kind, **more: Any) -> pd.DataFrame:
    """A table that says of which kind and version it is; the rows are not copied.

    Args:
        table: what is to be written
        kind: its kind
        **more: what else to keep with it, fit for JSON

    Examples:
        >>> stamped(pd.DataFrame(), BINNING).attrs["sercue"]
        {'schema': {'kind': 'binning', 'version': 2}}
    """
    marked = table.copy(deep=False)
    marked.attrs = {STAMP: {**more, _SCHEMA: _mark(kind)}}
    return marked


def check_table(path: Path, kind: Kind) -> None:
    """Raise unless a Parquet file is of a kind, by its metadata alone: no row is read.

    Args:
        path: the file
        kind: of which it must be

    Raises:
        UnfitError: if it is of another kind, of a version that is no longer read, or if a column
            is missing or of another type
        InputError: if it is of a newer version than this sercue reads
        pyarrow.ArrowInvalid: if it is not a whole Parquet file
    """
    check_schema(path, pq.read_schema(path), kind)


def check_schema(path: Path, schema: pa.Schema, kind: Kind) -> None:
    """Raise as ``check_table`` does; see there.

    Args:
        path: the file that the schema is of
        schema: as it was read
        kind: of which it must be
    """
    try:
        attrs = json.loads((schema.metadata or {}).get(b"PANDAS_ATTRS", b"{}"))
        mark = dict(attrs[STAMP]).get(_SCHEMA)
    # Written by others, or of version 0.
    except (ValueError, TypeError, KeyError):
        mark = None
    number = _number(path, mark, kind)
    missing = [name for name in kind.columns if "*" not in name and name not in schema.names]
    wrong = [f"no column {name!r}" for name in missing]
    for column in schema:
        valid = kind.type_of(column.name)
        if valid is not None and not _holds(column.type, valid):
            wrong.append(f"column {column.name!r} is {column.type}, valid is {valid}")
    if wrong:
        raise _unfit(path, kind, "; ".join(wrong))
    _check_age(path, number, kind)


def encoded(table: pd.DataFrame) -> memoryview:
    """A table as a Parquet file with checksums: those of its pages, and a digest of all its bytes.

    Args:
        table: what is to be written

    Examples:
        >>> table = pd.DataFrame({"x": [1]})
        >>> pd.read_parquet(io.BytesIO(encoded(table))).equals(table)
        True
    """
    rows = pa.Table.from_pandas(table)
    # As pandas writes and reads them.
    attrs = {b"PANDAS_ATTRS": json.dumps(table.attrs)} if table.attrs else {}
    rows = rows.replace_schema_metadata({**(rows.schema.metadata or {}), **attrs})
    file = io.BytesIO()
    with pq.ParquetWriter(file, rows.schema, write_page_checksum=True) as writer:
        writer.write_table(rows)
        writer.add_key_value_metadata({"digest": (_MARK + _NO_DIGEST).decode()})
    content = file.getbuffer()
    place = _place_of_digest(content)
    content[place : place + len(_NO_DIGEST)] = _digest(content, place)
    return content


def opened(path: Path) -> pa.BufferReader:
    """A Parquet file to read from, if its bytes are those that were written.

    One without a digest, of another program or an earlier sercue, is taken as it is.

    Args:
        path: the file

    Raises:
        pyarrow.ArrowInvalid: if its bytes were changed
        OSError: if it cannot be read
    """
    content = path.read_bytes()
    place = _place_of_digest(content)
    if place >= 0 and content[place : place + len(_NO_DIGEST)] != _digest(content, place):
        raise pa.ArrowInvalid("its bytes are not those that were written")
    return pa.BufferReader(content)


def _place_of_digest(content: bytes | memoryview) -> int:
    """Where the digest stands; -1 if there is none."""
    # The metadata are at the end; texts before them may hold anything.
    return max((found.end() for found in re.finditer(_MARK, content)), default=-1)


def _digest(content: bytes | memoryview, place: int) -> bytes:
    """The digest of a file, that which stands at the place counted as zeros."""
    with memoryview(content) as view:
        digest = hashlib.blake2b(view[:place], digest_size=len(_NO_DIGEST) // 2)
        digest.update(_NO_DIGEST)
        digest.update(view[place + len(_NO_DIGEST) :])
    return digest.hexdigest().encode()


def read_table(path: Path, kind: Kind) -> pd.DataFrame:
    """A table of a kind.

    Args:
        path: the Parquet file
        kind: of which it must be

    Raises:
        InputError: as ``check_table`` raises it, or if the file cannot be read
    """
    try:
        source = opened(path)
        check_schema(path, pq.read_schema(source), kind)
        source.seek(0)
        return pd.read_parquet(source, page_checksum_verification=True)
    except (pa.ArrowInvalid, OSError) as error:
        raise _unfit(path, kind, f"it cannot be read: {error}") from None


def read_json(path: Path, kind: Kind) -> dict[str, Any]:
    """What a JSON file of a kind holds, without its version; ``check_entries`` is the rest.

    Args:
        path: the file
        kind: of which it must be

    Raises:
        UnfitError: if it cannot be read, is no mapping, is of another kind, or of a version that
            is no longer read
        InputError: if it is of a newer version than this sercue reads
    """
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unfit(path, kind, f"it cannot be read: {error}") from None
    if not isinstance(held, dict):
        raise _unfit(path, kind, f"it holds a {type(held).__name__}, valid is a mapping")
    _check_age(path, _number(path, held.pop(_SCHEMA, None), kind), kind)
    return held


def check_entries(path: Path, held: Mapping[str, Any], kind: Kind) -> None:
    """Raise unless all entries of a kind are there.

    Args:
        path: where they were read
        held: entry to value
        kind: what they should be

    Raises:
        UnfitError: naming each entry that is missing or of another type
    """
    wrong = [
        f"entry {name!r} is {type(held[name]).__name__}, valid is {valid.__name__}"
        if name in held
        else f"no entry {name!r}"
        for name, valid in kind.entries.items()
        if not isinstance(held.get(name), valid)
    ]
    if wrong:
        raise _unfit(path, kind, "; ".join(wrong))


def write_json(path: Path, content: Mapping[str, Any], kind: Kind) -> None:
    """Write a JSON file with its version: aside, synced and renamed, so that none is half there.

    Args:
        path: the file; its folder is made
        content: its entries, fit for JSON; NaN is written as such
        kind: its kind

    Raises:
        StorageError: if it cannot be written
    """
    text = json.dumps({_SCHEMA: _mark(kind), **content}, indent=2) + "\n"
    write_text(path, text, sync=True)


def _mark(kind: Kind) -> dict[str, Any]:
    return {"kind": kind.name, "version": kind.version}


def _number(path: Path, mark: Any, kind: Kind) -> int:
    """The version of a file, if it is of this kind and not newer than this sercue."""
    mark = {"kind": kind.name, "version": 0} if mark is None else mark
    number = mark.get("version") if isinstance(mark, dict) else None
    if not isinstance(number, int) or isinstance(number, bool):
        raise _unfit(path, kind, f"its version is {mark!r}, valid is a whole number")
    if mark.get("kind") != kind.name:
        raise _unfit(path, kind, f"it says that it is of the kind {mark.get('kind')!r}")
    if number > kind.version:
        raise InputError(
            f"{path}: found {kind.name} of version {number}, sercue {version('sercue')} reads "
            f"versions up to {kind.version}; update sercue, or name another folder"
        )
    return number


def _check_age(path: Path, number: int, kind: Kind) -> None:
    if number < kind.lowest:
        raise _unfit(
            path, kind, f"found version {number}, valid are {kind.lowest} to {kind.version}"
        )


def _unfit(path: Path, kind: Kind, why: str) -> UnfitError:
    return UnfitError(
        f"{path}: no {kind.name} as sercue {version('sercue')} reads them: {why}; move it "
        "elsewhere, or name another folder"
    )


def _holds(found: pa.DataType, valid: str) -> bool:
    if types.is_dictionary(found):
        found = found.value_type
    # A column without a single value has no type of its own.
    return types.is_null(found) or any(is_it(found) for is_it in _IS[valid])


def categorical(values: Iterable[str], codes: np.ndarray) -> pd.Categorical:
    """``values[codes]``, each different text held once, categories in the order of the alphabet.

    Sorted categories let a column sort and group as the texts themselves would.

    Args:
        values: texts; one may stand twice
        codes: a position in them for each row; -1 where there is no text

    Examples:
        >>> categorical(["b", "a"], np.array([0, 0, 1]))
        ['b', 'b', 'a']
        Categories (2, str): ['a', 'b']
        >>> categorical(["b"], np.array([0, -1])).isna()
        array([False,  True])
    """
    number, texts = pd.factorize(pd.Index(list(values), dtype=object), sort=True)
    # As small as the codes will be: a study may have millions of rows.
    number = number.astype(np.min_scalar_type(-len(texts) - 1))
    return pd.Categorical.from_codes(
        np.append(number, number.dtype.type(-1))[codes], categories=pd.Index(texts, dtype="str")
    )


def codes_among(column: pd.Series, values: pd.Index) -> np.ndarray:
    """The position of each row's text in ``values``; -1 for another, or for none.

    Args:
        column: texts, categorical or not
        values: texts, each once

    Examples:
        >>> codes_among(pd.Series(["b", "c", None, "a"]), pd.Index(["a", "b"]))
        array([ 1, -1, -1,  0])
    """
    held = column.astype("category").cat
    # Looked up only where they are not the very same: there may be a hundred thousand.
    if held.categories is values:
        return held.codes.to_numpy()
    # A missing text has the code -1, which finds the last place.
    return np.append(values.get_indexer(held.categories), -1)[held.codes]


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


def through_cache(
    folder: Path,
    kind: Kind,
    digests: pd.Series,
    measured: Callable[[pd.Series], Iterable[pd.DataFrame]],
) -> pd.DataFrame:
    """What a cache holds of each recording; what it lacks is measured, and stored as it comes.

    Args:
        folder: of the cache's parts
        kind: what they are, indexed by the content of the audio
        digests: that content, one per utterance
        measured: the digests that are lacking, if any, each once, to their rows, part by part

    Returns:
        float64, indexed as ``digests``

    Raises:
        StorageError: if a part cannot be read or stored
    """
    stored = read_parts(folder, kind)
    lacking = digests[~digests.isin(stored.index) & ~digests.duplicated()]
    if len(lacking):
        for rows in measured(lacking):
            if len(rows):
                append_part(folder, rows, kind)
        stored = read_parts(folder, kind)
    stored = stored[~stored.index.duplicated()]
    return stored.loc[digests.to_numpy()].astype(float).set_index(digests.index)


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
    table = whole.to_pandas()
    # Sorted, so that a column groups as its texts would.
    for name, column in table.select_dtypes("category").items():
        table[name] = column.cat.reorder_categories(sorted(column.cat.categories))
    return table


def _read(file: Path, kind: Kind, columns: Sequence[str] | None = None) -> pa.Table | None:
    try:
        source = opened(file)
        schema = pq.read_schema(source)
        check_schema(file, schema, kind)
        texts = [name for name in schema.names if kind.type_of(name) == "text"]
        coded = texts if kind.coded else None
        with pq.ParquetFile(source, read_dictionary=coded, page_checksum_verification=True) as part:
            return part.read(columns)
    except FileNotFoundError:
        raise
    except (pa.ArrowInvalid, OSError) as error:
        # A limit or a right that is lacking: the part is whole, and setting it aside would lose it.
        if isinstance(error, OSError) and is_of_storage(error):
            raise storage_error(error, file, "read") from error
        torn = file.with_suffix(".torn")
        # In a folder that may only be read it stays, and is left out again each time.
        with suppress(OSError):
            file.replace(torn)
        logger.warning("%s could not be read (%s); set aside as %s", file, error, torn.name)
        return None
    except InputError as error:
        if not kind.cached:
            raise
        logger.warning("%s; its rows are made again", error)
        return None
