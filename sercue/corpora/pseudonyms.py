"""Pseudonyms for utterances and speakers of a corpus that may not be passed on."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import replace
from pathlib import Path

import audformat
import pandas as pd

from sercue.corpora.corpus import Corpus
from sercue.errors import InputError
from sercue.storage.files import cache_folder, told, write_csv, write_once

_KEY_BYTES = 32


def pseudonymised(corpus: Corpus, secret: bytes | None = None) -> Corpus:
    """The same corpus with pseudonyms for its files and speakers.

    Everything that is written of it then holds pseudonyms alone; only ``Corpus.path`` knows the
    recording behind one. They come from a keyed hash (HMAC-SHA-256), so that nobody without the
    key can compute them from the names, not even with the corpus in hand. This hides names; it
    does not make a person unknowable. Labels, sex, session, fold and the codes of sentences stay,
    and so does the audio.

    Args:
        corpus: the corpus under its own names
        secret: the key; by default that of this machine, made on first use

    Returns:
        corpus whose files are ``u`` and whose speakers are ``s`` with hexadecimal digits

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> hidden = pseudonymised(example_corpus(), b"key")
        >>> name = hidden.table.index[0][0]
        >>> name, hidden.path(name).name
        ('u0bc56fa03749', 's0_0.wav')
    """
    key = machine_key() if secret is None else secret
    files = set(corpus.table.index.get_level_values("file"))
    files |= set(corpus.left_out.index.get_level_values("file"))
    names = {file: f"u{_digest(key, 'file', file, 12)}" for file in sorted(files)}
    return replace(
        corpus,
        table=_renamed(corpus.table, names, key),
        left_out=_renamed(corpus.left_out, names, key),
        files={names[file]: corpus.path(file) for file in names},
    )


def machine_key() -> bytes:
    """The key of this machine, made on first use and kept in the cache.

    Raises:
        InputError: if the file is not a key
        StorageError: if it cannot be written or read
    """
    path = cache_folder() / "pseudonyms.key"
    if not path.exists():
        write_once(path, secrets.token_bytes(_KEY_BYTES))
    with told(path, "read"):
        key = path.read_bytes()
    if len(key) != _KEY_BYTES:
        raise InputError(
            f"{path}: found {len(key)} bytes, valid are {_KEY_BYTES}; delete it to get new "
            "pseudonyms"
        )
    return key


def write_pseudonyms(corpus: Corpus, own: Corpus, path: Path) -> None:
    """Write which recording and speaker stand behind each pseudonym, for the owner's eyes.

    Args:
        corpus: as ``pseudonymised`` returned it
        own: the corpus under its own names
        path: the CSV file; it belongs beside the recordings, not beside a report
    """
    rows = pd.DataFrame(
        {
            "pseudonym": corpus.table.index.get_level_values("file"),
            "file": own.table.index.get_level_values("file"),
            "speaker_pseudonym": corpus.table["speaker"].to_numpy(),
            "speaker": own.table["speaker"].to_numpy(),
        }
    )
    write_csv(path, rows.drop_duplicates(), index=False)


def _renamed(table: pd.DataFrame, names: dict[str, str], key: bytes) -> pd.DataFrame:
    files, starts, ends = (table.index.get_level_values(level) for level in range(3))
    index = audformat.segmented_index([names[file] for file in files], starts, ends)
    known = table["speaker"].map(
        lambda speaker: f"s{_digest(key, 'speaker', speaker, 6)}", na_action="ignore"
    )
    return table.assign(speaker=known).set_axis(index)


def _digest(key: bytes, kind: str, name: str, digits: int) -> str:
    message = f"{kind} {name}".encode("utf-8", "surrogateescape")
    return hmac.new(key, message, hashlib.sha256).hexdigest()[:digits]
