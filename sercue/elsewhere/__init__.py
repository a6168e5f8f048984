"""Answers made elsewhere: those of any harness, stored as a study that was run.

``read_made`` makes predictions of files (``made.py``; their formats in ``formats.py``), and
``store_made`` leaves them where notebooks 04 and 05 read a finished study, which then need neither
recordings nor a model. What only these could give is not known, and reports say so.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from sercue import provenance
from sercue.artifacts import Artifacts, at_work, check_run_folder
from sercue.elsewhere.made import Made, read_made
from sercue.errors import InputError
from sercue.privacy import shareable
from sercue.settings import (
    ANALYSIS_KEYS,
    CORPUS_KEYS,
    ELSEWHERE,
    RESULT_KEYS,
    STUDY_KEYS,
    run_folder,
)
from sercue.storage.files import cache_folder, locked, told
from sercue.storage.tables import append_part, part_files
from sercue.study.store import rows_digest
from sercue.study_corpus import corpus_facts, listing_digest, write_pseudonyms

__all__ = ["NOTEBOOKS", "Made", "read_made", "store_made"]

#: Those that need nothing but predictions.
NOTEBOOKS = ("04", "05")


def store_made(made: Made) -> Path:
    """Store answers as a finished study leaves them, in the folder of the study.

    Args:
        made: as ``read_made`` returns them

    Returns:
        the folder

    Raises:
        InputError: if the folder holds what no run wrote, or a study that was asked by sercue
        StorageError: if a file cannot be written
    """
    settings, corpus = made.settings, made.corpus
    folder = run_folder(settings)
    check_run_folder(folder)
    artifacts = Artifacts(folder / "artifacts")
    _refuse_other_studies(artifacts)
    if made.own is not None:
        place = cache_folder() / "pseudonyms" / f"{settings.study}.csv"
        write_pseudonyms(corpus, made.own, place)
    with told(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with at_work(folder, settings.fingerprint(RESULT_KEYS)):
        artifacts.refuse_newer()
        digests = pd.Series(None, corpus.table.index, dtype=object)
        content, stamp = listing_digest(corpus), settings.fingerprint(CORPUS_KEYS)
        artifacts.save_corpus(corpus, digests, stamp, content)
        for name in ("features.parquet", "descriptors.parquet"):
            artifacts.save(name, corpus.table[[]], stamp, content=content)
        _store(artifacts.folder / "predictions", made.predictions)
        artifacts.record(
            parameters=shareable(settings),
            settings=settings.fingerprint(ANALYSIS_KEYS),
            corpus=corpus_facts(corpus, digests) | {"stamp": content},
            elsewhere=[
                {"file": f.name, "digest": f.digest, "format": f.format, "rows": len(f.rows)}
                for f in made.files
            ],
            notes=[f"{name}: {told}" for name, told in made.notes if name != "answers"],
            model={
                "name": settings.model,
                "identity": settings.model,
                "device": "not known",
                "dtype": "not known",
            },
            predictions={
                "rows": len(made.predictions),
                "settings": settings.fingerprint(STUDY_KEYS),
                "content": content,
                "digest": rows_digest(made.predictions),
            },
            **provenance.environment(),
        )
    return folder


def _refuse_other_studies(artifacts: Artifacts) -> None:
    """Raise if the folder holds answers that sercue asked for: they may have cost days."""
    there = artifacts.provenance().get("parameters", {}).get("corpus", ELSEWHERE)
    if there != ELSEWHERE:
        raise InputError(
            f"out: found a study of the corpus {there!r} in {str(artifacts.folder.parent)!r}; "
            "valid is a new folder, or one that `sercue analyse` wrote"
        )


def _store(folder: Path, predictions: pd.DataFrame) -> None:
    """Leave these rows alone in a folder of parts."""
    with locked(folder):
        before = part_files(folder)
        append_part(folder, predictions.reset_index(drop=True))
        for file in before:
            file.unlink(missing_ok=True)
