"""The corpus of a study: read as the settings say, without what is no use; what identifies it.

Where it may not be passed on, its utterances and speakers have pseudonyms.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

import audformat
import pandas as pd

from sercue.corpora import load_corpus
from sercue.corpora.corpus import Corpus, check_partitions, utterance_ids
from sercue.errors import InputError
from sercue.features import extraction
from sercue.settings import Settings
from sercue.storage.files import cache_folder, told, write_csv, write_once

#: The content of a corpus without recordings.
NO_AUDIO = "not known, as there are no recordings"
_KEY_BYTES = 32


def listed_corpus(settings: Settings, *, own_names: bool = False) -> Corpus:
    """The corpus that the settings name, with all utterances that it lists for the study.

    No recording has been looked at: some may not be there.

    Args:
        settings: the study
        own_names: whether files and speakers keep their names although the study says
            ``anonymise``: for the owner's eyes, never for a report

    Raises:
        InputError: if the corpus is not as it must be
    """
    if settings.made_elsewhere:
        raise InputError(
            "corpus: the answers were made elsewhere, so that there are no recordings, features or "
            "tokens; valid is what `sercue analyse` stored, which needs none"
        )
    corpus = load_corpus(
        settings.corpus,
        settings.corpus_root,
        labels=settings.labels,
        drop_labels=settings.drop_labels,
        fold=settings.fold,
        channel=settings.channel,
        limit=settings.limit,
        seed=settings.seed,
        check_files=False,
        **settings.corpus_options,
    )
    if own_names or not settings.anonymise:
        return corpus
    hidden = pseudonymised(corpus)
    write_pseudonyms(hidden, corpus, cache_folder() / "pseudonyms" / f"{settings.study}.csv")
    return hidden


def usable_corpus(corpus: Corpus, facts: pd.DataFrame, bad_audio: str) -> Corpus:
    """The corpus without the recordings that cannot be used, if the study leaves them out.

    Args:
        corpus: as ``listed_corpus`` returns it
        facts: what ``inspect_audio`` found of it
        bad_audio: ``"leave_out"``, or ``"stop"`` at the first one

    Returns:
        corpus whose ``left_out`` names what was left out and why

    Raises:
        InputError: if there are such recordings and the study stops at them, naming the first
            five; if without them the partitions are not as they must be
    """
    bad = facts.loc[facts["problem"] != "", ["problem", "detail"]]
    if bad.empty:
        return corpus
    if bad_audio == "stop":
        names = utterance_ids(bad.index)
        listed = [
            f"  {name!r}: {problem}" + f" ({detail})" * bool(detail)
            for name, problem, detail in zip(names, bad["problem"], bad["detail"], strict=True)
        ]
        more = ["  ..."] if len(listed) > 5 else []
        found = f"{len(bad)} of {len(corpus.table)} recordings cannot be used"
        advice = "mend them, or set bad_audio: leave_out to go on without them"
        raise InputError(
            "\n".join([f"corpus {corpus.name!r}: {found}:", *listed[:5], *more, advice])
        )
    usable = corpus.without(bad.rename(columns={"problem": "reason"}))
    lost = [label for label in corpus.labels if label not in set(usable.table["emotion"])]
    if lost:
        raise InputError(
            f"corpus {corpus.name!r}: no usable recording is left of {', '.join(lost)}; "
            f"{len(bad)} of {len(facts)} were left out"
        )
    check_partitions(usable)
    return usable


def corpus_facts(corpus: Corpus, digests: pd.Series) -> dict[str, Any]:
    """What ``provenance.json`` says of a corpus: its size, and digests of audio and labels."""
    content = f"{pd.util.hash_pandas_object(digests, index=False).sum():016x}"
    # By the content of each recording, and not by its name.
    columns = sorted({"emotion", "speaker", "partition", "fold"} & set(corpus.table))
    known = corpus.table[columns].astype(object).set_axis(pd.Index(digests.astype(object)))
    return {
        "name": corpus.name,
        "utterances": len(corpus.table),
        "speakers": int(corpus.table["speaker"].nunique()),
        "content": content if digests.notna().any() else NO_AUDIO,
        "annotations": f"{pd.util.hash_pandas_object(known).sum():016x}",
    }


def listing_digest(corpus: Corpus) -> str:
    """A digest of all that a corpus says of its utterances, in their order."""
    said = [corpus.name, corpus.labels, corpus.neutral_label, list(corpus.table)]
    digest = hashlib.blake2b(json.dumps(said).encode(), digest_size=8)
    for table in (corpus.table, corpus.left_out):
        rows = pd.util.hash_pandas_object(table.reset_index().astype(object), index=False)
        digest.update(rows.to_numpy().tobytes())
    return digest.hexdigest()


def audio_digest(digests: pd.Series) -> str:
    """A digest of the audio of a corpus, and of what makes functionals of it."""
    text = "\n".join([extraction(), *map(str, digests)])
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


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
