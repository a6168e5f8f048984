"""What identifies a corpus: all that it says of its utterances, and their audio."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pandas as pd

from sercue.corpora.corpus import Corpus
from sercue.features import extraction

#: The content of a corpus without recordings.
NO_AUDIO = "not known, as there are no recordings"


def corpus_facts(corpus: Corpus, digests: pd.Series) -> dict[str, Any]:
    """What ``provenance.json`` says of a corpus: its size, and digests of audio and labels."""
    content = f"{pd.util.hash_pandas_object(digests, index=False).sum():016x}"
    return {
        "name": corpus.name,
        "utterances": len(corpus.table),
        "speakers": int(corpus.table["speaker"].nunique()),
        "content": content if digests.notna().any() else NO_AUDIO,
        "annotations": f"{pd.util.hash_pandas_object(_annotations(corpus, digests)).sum():016x}",
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


def _annotations(corpus: Corpus, digests: pd.Series) -> pd.DataFrame:
    """What the corpus says of each recording, by the recording's content and not its name."""
    columns = sorted({"emotion", "speaker", "partition", "fold"} & set(corpus.table))
    return corpus.table[columns].astype(object).set_axis(pd.Index(digests.astype(object)))
