"""How much place a study takes on the disk, and how much there is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from sercue.check.folders import nearest
from sercue.check.model import download
from sercue.check.rehearsal import Rehearsal
from sercue.controls import CONTROLS, control_conditions, why_no_controls
from sercue.errors import InputError
from sercue.models import TINY
from sercue.models.memory import size_text
from sercue.paths import cache_folder
from sercue.study import DECODINGS

# Reports, notebooks, figures and tables of the demo take 9 MB; a corpus with more classes or
# with recordings that may be heard takes more.
_REPORTS = 20_000_000
# A small model with its processor.
_TRAINED = 6_000_000
_FUNCTIONALS = 88
# Below this many times what is needed one should know.
_AMPLE = 2


@dataclass(frozen=True)
class Need:
    """What will be written to a folder.

    Attributes:
        folder: where
        what: the kinds of things, with their sizes in bytes
        way_out: what to do if there is no place
        there: bytes of it that an earlier run has written already
    """

    folder: Path
    what: Mapping[str, int]
    way_out: str
    there: int = 0

    @property
    def size(self) -> int:
        """What is still to be written, in bytes."""
        return max(sum(self.what.values()) - self.there, 0)


def check_disk_space(study: Rehearsal, run: Path) -> str:
    """What the study will write, and what is free where it does.

    Sizes of tables are those of a sample of theirs, written as the study writes them, times their
    number of rows. What an earlier run left in its folder is taken off.

    Args:
        study: the study
        run: the folder of the run

    Raises:
        InputError: if there is too little place, naming what is needed and what there is
    """
    from huggingface_hub import constants

    return told(
        [
            Need(run, written_to_run(study), "choose another folder with --out", _size_of(run)),
            Need(
                cache_folder(),
                written_to_cache(study),
                "let the environment variable SERCUE_CACHE name another folder",
            ),
            Need(
                Path(constants.HF_HUB_CACHE),
                {"weights": download(study)},
                "let the environment variable HF_HOME name another folder",
            ),
        ]
    )


def told(needs: list[Need]) -> str:
    """What is needed of each disk and free on it, in a line.

    Args:
        needs: what will be written where; folders on one disk share what is free

    Raises:
        InputError: if one disk has less than is needed
    """
    disks: dict[int, list[Need]] = {}
    for need in needs:
        if need.size:
            disks.setdefault(os.stat(nearest(need.folder)).st_dev, []).append(need)
    if not disks:
        return "all that takes place is there already"
    return "; ".join(_of_disk(shared) for shared in disks.values())


def _of_disk(needs: list[Need]) -> str:
    size = sum(need.size for need in needs)
    free = shutil.disk_usage(nearest(needs[0].folder)).free
    parts = ", ".join(
        f"{size_text(part)} of {what}" for need in needs for what, part in need.what.items() if part
    )
    there = sum(need.there for need in needs)
    parts += f", less {size_text(there)} that are there" if there else ""
    places = " and ".join(str(need.folder) for need in needs)
    if free < size:
        ways = " or ".join(need.way_out for need in needs)
        raise InputError(
            f"disk: the study needs about {size_text(size)} ({parts}), but the disk of {places} "
            f"has {size_text(free)} left; make place there, or {ways}"
        )
    warning = "warning: little is left: " if free < _AMPLE * size else ""
    return f"{warning}about {size_text(size)} ({parts}), and {size_text(free)} are free"


def _size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def written_to_run(study: Rehearsal) -> dict[str, int]:
    """What a study writes to its own folder: kinds of things and their bytes."""
    answers = _rows(study) * _bytes_a_row(_answered(study))
    return {
        "answers": round(answers),
        "features": _of_features(len(study.corpus.table)),
        "reports": _REPORTS,
    }


def written_to_cache(study: Rehearsal) -> dict[str, int]:
    """What a study adds to the cache: kinds of things and their bytes, at most."""
    models = (study.settings.model == TINY) + len(CONTROLS) * (not why_no_controls(study.settings))
    return {
        "cached features": _of_features(len(study.missing)),
        "small models": models * max(len(study.corpus.folds), 1) * _TRAINED,
    }


def _rows(study: Rehearsal) -> int:
    """Predictions that will be stored: of the study, of notebook 03's trial, of the controls."""
    s = study.settings
    wordings = len(s.templates) * s.label_orders
    rows = study.planned
    rows += len(DECODINGS) * min(s.tuning_limit, len(study.corpus.table)) * 2 * wordings
    if not why_no_controls(s):
        # Twice: as they come, and all controls in one table.
        rows += 2 * len(CONTROLS) * study.evaluated * len(control_conditions(s))
    return rows


def _answered(study: Rehearsal) -> pd.DataFrame:
    """A part of the predictions as the study will store it, but for what the answers are."""
    plan = study.some_prompts
    part = plan[plan["row"].isin(plan["row"].unique()[: 2 * study.settings.batch_size])]
    generator = np.random.default_rng(0)
    drawn = {f"p_{label}": generator.random(len(part)) for label in study.corpus.labels}
    named = pd.Series(study.corpus.labels)[
        generator.integers(len(study.corpus.labels), size=len(part))
    ]
    table = part.drop(columns=["row", "text"]).assign(
        decoding=study.settings.decoding,
        prediction=named.to_numpy(),
        valid=True,
        answer=named.to_numpy() if study.settings.decoding == "generate" else None,
        **drawn,
        label_mass=generator.random(len(part)),
        audio=study.digests.to_numpy()[part["row"]],
        model=study.settings.model,
    )
    return table.astype(dict.fromkeys(table.select_dtypes("category"), "str"))


def _of_features(utterances: int) -> int:
    sample = pd.DataFrame(
        np.random.default_rng(0).normal(size=(200, _FUNCTIONALS)),
        index=[f"{number:032x}" for number in range(200)],
        columns=[f"functional {number}" for number in range(_FUNCTIONALS)],
    )
    return round(utterances * _bytes_a_row(sample))


def _bytes_a_row(table: pd.DataFrame) -> float:
    return len(table.to_parquet()) / len(table)
