"""Files of answers as other programs write them, each read as one table with a row per answer.

A file is recognised by its content: CSV with commas, semicolons or tabs, Parquet, JSON lines (those
of lmms-eval and lm-evaluation-harness among them), and logs of Inspect as JSON or ``.eval``.

Source:
    lmms-eval, ``lmms_eval/loggers/evaluation_tracker.py`` (samples that ``--log_samples`` writes);
    Inspect, ``inspect_ai/log/_log.py``, ``log/_recorders/eval.py`` and ``model/_model_output.py``,
    as their repositories had them in 2025
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sercue.corpora.rows import row_numbers
from sercue.errors import InputError, shortened
from sercue.privacy import public_name

#: Why there is no answer in a row; nothing where there is one.
NO_ANSWER = "no_answer"
VALID = (
    "valid are CSV, TSV or Parquet with a row per answer, JSON lines, samples of lmms-eval "
    "(*_samples_*.jsonl), and logs of Inspect (.json or .eval)"
)
_FAILED = "the harness reported an error"
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}


@dataclass(frozen=True, eq=False)
class AnswersFile:
    """A file as it was read.

    Attributes:
        name: without its folder
        digest: of its bytes
        format: in words
        rows: one per answer, under the names that the file has for its columns
        model: which the file says has answered, or an empty text
    """

    name: str
    digest: str
    format: str
    rows: pd.DataFrame
    model: str = ""


def read_file(path: Path) -> AnswersFile:
    """Read a file of answers, or of what is true of utterances.

    Args:
        path: the file

    Raises:
        InputError: if it cannot be read, is empty, or is of no format that is known
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {VALID}") from None
    if not content.strip():
        raise InputError(f"{path}: the file is empty; {VALID}")
    format, rows, model = _recognised(path, content)
    if rows.empty:
        raise InputError(f"{path}: {format}, and no row in it; valid is a row per answer")
    digest = hashlib.blake2b(content, digest_size=8).hexdigest()
    return AnswersFile(path.name, digest, format, rows, model)


def _recognised(path: Path, content: bytes) -> tuple[str, pd.DataFrame, str]:
    """The format in words, the rows, and the model."""
    if content.startswith(b"PAR1"):
        try:
            return "Parquet", pd.read_parquet(io.BytesIO(content)).reset_index(), ""
        except Exception as error:
            raise _unread(path, error) from None
    if content.startswith(b"PK"):
        return _inspect(path, *_unzipped(path, content))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: byte {error.start} is no UTF-8; valid is text in UTF-8, or Parquet"
        ) from None
    if text.lstrip()[0] not in "{[":
        return _separated(path, text)
    records = _records(path, text)
    if isinstance(records, dict):
        return _inspect(path, records, records.get("samples") or [])
    if "filtered_resps" in records[0] or "resps" in records[0]:
        rows = [_of_lmms_eval(path, place, record) for place, record in enumerate(records, 1)]
        return "samples of lmms-eval", pd.DataFrame(rows, dtype=object), ""
    return "JSON lines", pd.DataFrame(map(_flat, records), dtype=object), ""


def _separated(path: Path, text: str) -> tuple[str, pd.DataFrame, str]:
    header = text.lstrip().split("\n", 1)[0]
    separator = max(_SEPARATORS, key=header.count)
    try:
        # Everything as text, and only an empty cell as missing: "03" is a name.
        rows = pd.read_csv(
            io.StringIO(text), dtype=str, keep_default_na=False, na_values=[""], sep=separator
        )
    except (pd.errors.ParserError, csv.Error) as error:
        raise _unread(path, error) from None
    if not isinstance(rows.index, pd.RangeIndex):
        # pandas takes the first fields of longer rows for their names, and shifts the others.
        raise InputError(
            f"{path}: rows have more fields than the header, which has {rows.shape[1]}; valid is "
            "one field per column"
        )
    twice = [name for name in rows if str(name).endswith(".1") and str(name)[:-2] in rows]
    if twice:
        raise InputError(f"{path}: two columns {str(twice[0])[:-2]!r}; valid is one")
    return f"CSV with {_SEPARATORS[separator]}", rows, ""


def _records(path: Path, text: str) -> dict[str, Any] | list[dict[str, Any]]:
    """A whole log, or a record per answer: of a list, or of a line each."""
    try:
        held = json.loads(text)
    except ValueError:
        held = [_line(path, place, line) for place, line in enumerate(text.split("\n"), 1)]
        held = [record for record in held if record is not None]
    if isinstance(held, dict) and "samples" not in held:
        held = [held]
    if isinstance(held, list) and not (held and all(isinstance(one, dict) for one in held)):
        raise InputError(f"{path}: JSON without records; {VALID}")
    return held


def _line(path: Path, place: int, line: str) -> Any:
    if not line.strip():
        return None
    try:
        return json.loads(line)
    except ValueError as error:
        raise InputError(f"{path}: line {place} is no JSON ({error}); {VALID}") from None


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record with what its ``doc`` and ``metadata`` say of it; its own entries come first."""
    inner = [record.get(name) for name in ("doc", "metadata")]
    further = {k: v for held in inner if isinstance(held, dict) for k, v in held.items()}
    return _plain(further | dict(record))


def _plain(entries: Mapping[str, Any]) -> dict[str, Any]:
    """The entries that are texts or numbers."""
    return {k: v for k, v in entries.items() if not isinstance(v, dict | list)}


def _of_lmms_eval(path: Path, place: int, record: Mapping[str, Any]) -> dict[str, Any]:
    answer = record.get("filtered_resps", record.get("resps"))
    while isinstance(answer, list) and len(answer) == 1:
        (answer,) = answer
    if not isinstance(answer, str) and answer is not None:
        raise InputError(
            f"{path}: line {place}: filtered_resps is {shortened(answer)}; valid is one generated "
            "text. Likelihoods of choices are read from columns p_<label> of a CSV file"
        )
    return _flat(record) | {"answer": answer}


def _inspect(
    path: Path, header: Mapping[str, Any], samples: list[dict[str, Any]]
) -> tuple[str, pd.DataFrame, str]:
    """The samples of a log of Inspect, each with what metadata and arguments of the task say."""
    about = header.get("eval")
    if not isinstance(about, dict):
        raise InputError(f"{path}: JSON without an entry 'eval', which logs of Inspect have")
    try:
        shared = {**(about.get("metadata") or {}), **(about.get("task_args") or {})}
        rows = [_plain(shared) | _of_inspect(sample) for sample in samples]
    except (AttributeError, KeyError, TypeError, ValueError):
        raise InputError(
            f"{path}: samples or their entries are not as in logs of Inspect; valid is a log as "
            "Inspect wrote it"
        ) from None
    return (
        "log of Inspect",
        pd.DataFrame(rows, dtype=object),
        public_name(str(about.get("model", "")), "/"),
    )


def _of_inspect(sample: Mapping[str, Any]) -> dict[str, Any]:
    output, target = sample.get("output") or {}, sample.get("target")
    while isinstance(target, list) and len(target) == 1:
        (target,) = target
    told = sample.get("metadata") or {}
    return {
        **_plain(told),
        "id": str(sample.get("id")),
        "target": target,
        "answer": output.get("completion") or _said(output),
        "replicate": int(sample.get("epoch", 1)) - 1,
        NO_ANSWER: _FAILED if sample.get("error") else None,
    }


def _said(output: Mapping[str, Any]) -> str:
    """The text of the first choice, which logs that leave the completion out have."""
    choices = output.get("choices") or [{}]
    content = (choices[0].get("message") or {}).get("content") or ""
    parts = [{"text": content}] if isinstance(content, str) else content
    return "\n".join(part["text"] for part in parts if isinstance(part.get("text"), str))


def _unzipped(path: Path, content: bytes) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The header and the samples of a ``.eval``."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
            first = next(name for name in ("header.json", "start.json") if name in names)
            header = json.loads(archive.read(first))
            samples = [name for name in sorted(names) if name.startswith("samples/")]
            return header, [json.loads(archive.read(n)) for n in samples if n.endswith(".json")]
    except StopIteration:
        raise InputError(f"{path}: an archive without header.json or start.json; {VALID}") from None
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise InputError(
            f"{path}: cannot be read as an .eval log ({error}); valid is what "
            "`inspect log convert --to json` makes of it"
        ) from None


def _unread(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: cannot be read ({' '.join(str(error).split())}); {VALID}")


def as_text(cells: pd.Series, path: str) -> pd.Series:
    """Cells as texts without space around them; nothing where a cell is empty.

    Args:
        cells: texts or whole numbers, as a file has them
        path: the file, for the message

    Raises:
        InputError: if cells are decimal numbers, naming the rows
    """
    decimal = cells.map(lambda cell: isinstance(cell, float) and cell == cell and cell % 1 != 0)
    if decimal.any():
        raise InputError(
            f"{path}: column {cells.name!r}, {row_numbers(decimal)}: found a decimal number; valid "
            "is text"
        )
    whole = cells.map(lambda cell: int(cell) if isinstance(cell, float) and cell == cell else cell)
    text = whole.astype("string").str.strip()
    return text.mask(text == "").astype(object)
