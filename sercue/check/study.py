"""Validate a whole study before any hour of compute, and say what it costs."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd

from sercue.check.machine import check_folders, check_kernel, nearest
from sercue.check.model import (
    check_baselines,
    check_chat,
    check_context,
    check_model,
    download,
    first_model,
    why_not_at_hand,
)
from sercue.check.rehearsal import Rehearsal, spread
from sercue.corpora.audio import read_utterance
from sercue.corpora.audio_variants import SWAPPED, partners
from sercue.corpora.corpus import Corpus
from sercue.corpora.corpus_check import check_corpus
from sercue.corpora.inspection import inspect_audio
from sercue.errors import InputError
from sercue.models import TINY
from sercue.models.availability import size_text
from sercue.report.notebooks import notebook_files
from sercue.settings import Settings
from sercue.statistics.controls import CONTROLS, control_conditions, trains_here, why_no_controls
from sercue.storage.files import cache_folder
from sercue.storage.tables import part_files, read_part
from sercue.study import DECODINGS
from sercue.study_corpus import listed_corpus, usable_corpus
from sercue.tables.limits import limits, other_folds
from sercue.tokens.condition import parts_heard


@dataclass(frozen=True, eq=False)
class StudyCheck:
    """What there is to say of a study before it runs.

    Attributes:
        corpus: findings about the corpus, as ``check_corpus`` returns them
        rows: what else was checked and what was found, to print
        problem: why the study cannot run, if it cannot
    """

    corpus: pd.DataFrame
    rows: list[tuple[str, str]]
    problem: InputError | None = None


def check_study(settings: Settings, *, measure: bool = False) -> StudyCheck:
    """Check everything that could fail late in a study: corpus, prompts, model, folders, kernel.

    For the model: whether it is available, whether the disk has space for its download, whether it
    fits the memory of the device, and whether it takes recordings and prompts of this length. A
    model on a server and a scheduler must answer. No weights are downloaded.

    Args:
        settings: the study; its keys and values are already valid
        measure: whether to measure how long the study will take as well, and to count its prompts
            exactly: features of some recordings are extracted (and cached), and a model whose
            weights are available is loaded and asked about a few utterances. These answers are
            not stored.

    Returns:
        what was found. Recordings that cannot be used are all in its table; if the study stops
        at them, its ``problem`` says so, and the model has not been looked at.

    Raises:
        InputError: naming what else is wrong, what was found and what is valid
        ServerError: if the model's server, or the scheduler, does not answer
    """
    # First of all, since what is seen of the recordings is cached.
    run = check_folders(settings)
    rows = [
        ("study", f"{settings.study}: all keys and values are valid"),
        ("notebooks", f"{len(notebook_files())}, {check_kernel()}"),
    ]
    if settings.scheduler is not None:
        from sercue.distributed.connection import connected_workers

        rows.append(("scheduler", connected_workers(settings.scheduler)))
    listed = listed_corpus(settings, own_names=True)
    facts = inspect_audio(listed)
    findings = check_corpus(listed, facts)
    try:
        corpus = usable_corpus(listed, facts, settings.bad_audio)
    except InputError as problem:
        return StudyCheck(findings, [*rows, ("corpus", repr(listed))], problem)
    _check_evaluated(settings, corpus)
    minutes = facts.loc[corpus.table.index, "seconds"].sum() / 60
    rows += [
        ("corpus", repr(corpus)),
        ("audio", f"{len(corpus.table)} of {len(facts)} recordings are used, {minutes:.1f} min"),
        *(("inference", limit) for limit in limits(corpus, settings.partition)),
        *(("inference", limit) for limit in _of_other_folds(settings, corpus)),
    ]
    with tempfile.TemporaryDirectory() as folder:
        study = Rehearsal(settings, listed, corpus, facts, Path(folder), measured=measure)
        rows += _rehearsed(study, run)
    return StudyCheck(findings, rows)


def _rehearsed(study: Rehearsal, run: Path) -> Iterator[tuple[str, str]]:
    """What is found by going through the study; the cheapest refusals come first."""
    yield "features", check_features(study)
    yield "prompts", check_prompts(study)
    yield "model", check_model(study)
    yield "context", check_context(study)
    yield "chat", check_chat(study)
    if study.run.settings.baselines:
        yield "baselines", check_baselines(study)
    yield "disk", check_disk_space(study, run)
    if study.measured:
        yield "time", check_time(study, run)


def _of_other_folds(settings: Settings, corpus: Corpus) -> list[str]:
    """For how many utterances swapped audio may have been heard in training, if for any."""
    if not trains_here(settings) or all(
        parts_heard(name)[1] != SWAPPED for name in settings.conditions
    ):
        return []
    return other_folds(partners(corpus.rows(settings.partition), settings.seed), corpus)


def _check_evaluated(settings: Settings, corpus: Corpus) -> None:
    """Intervals resample speakers and a shuffle swaps utterances: one of either is too few."""
    rows = corpus.rows(settings.partition)
    speakers = rows["speaker"].nunique()
    if speakers < 2:
        raise InputError(
            f"partition: {settings.partition!r} of corpus {corpus.name!r} has {len(rows)} "
            f"utterances of {speakers} speaker{'s' * (speakers != 1)}; valid is a partition with "
            "two speakers or more, since intervals are taken over speakers; fold: all evaluates "
            "all speakers, each in turn"
        )


def duration(seconds: float) -> str:
    """A time to two figures, in the unit that one would say it in.

    Args:
        seconds: the time

    Examples:
        >>> [duration(seconds) for seconds in (0.034, 4.13, 700, 11_500, 400_000)]
        ['0.034 s', '4.1 s', '12 min', '3.2 h', '4.6 days']
    """
    for unit, size in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 1.5 * size:
            return f"{_two_figures(seconds / size)} {unit}"
    return f"{_two_figures(seconds)} s"


def _two_figures(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


# Rows that are planned in some seconds.
_COUNTED = 300_000


def check_prompts(study: Rehearsal) -> str:
    """The number of prompts, and what merging equal ones leaves of it.

    Args:
        study: the study; if it is measured and its tokens are known, every prompt is written out

    Raises:
        InputError: if a condition, the templates or the label orders cannot be had here
    """
    s, total, counted = study.run.settings, study.planned, " at most"
    # Planned in any case: a condition that cannot be had with these utterances ends the study.
    _ = study.some_prompts
    what = ["row", "heard", "prompt"]
    if study.measured and study.extracted and total <= _COUNTED:
        counted = f", {len(study.run.plan()[what].drop_duplicates())} after merging equal ones"
    elif study.measured and study.extracted:
        sample = study.every_prompt[what]
        different = round(total * len(sample.drop_duplicates()) / len(sample))
        share = f"counted on {sample['row'].nunique()} utterances"
        counted = f", about {different} after merging equal ones ({share})"
    everywhere, once = study.variants
    single = f", and {once} about single concepts in the first of them" * bool(once)
    return (
        f"{study.evaluated} utterances of {s.partition!r} x {everywhere} conditions and replicates "
        f"x {len(s.templates)} templates x {s.label_orders} label orders{single} = "
        f"{total} prompts{counted}"
    )


# As long as one waits for an exact count of prompts without asking why.
_WORTH_WAITING = 20.0


def check_features(study: Rehearsal) -> str:
    """What is in the cache, and the time that the rest will take.

    Args:
        study: the study; if it is measured, a few are extracted and timed, and all of them where
            that takes a moment

    Raises:
        InputError: if one of the few cannot be processed
    """
    utterances, missing = len(study.run.corpus.table), study.missing
    if missing.empty:
        return f"eGeMAPS of all {utterances} utterances is in the cache"
    left = f"eGeMAPS of {len(missing)} of {utterances} utterances is still to be extracted"
    if not study.measured:
        return left
    seconds = study.seconds.set_axis(study.run.corpus.table.index).loc[missing.index]
    by_length = np.argsort(seconds.to_numpy(), kind="stable")
    # All cores are busy only with several apiece.
    few = missing.index[spread(by_length, 4 * joblib.cpu_count())]
    table = study.run.corpus.table.loc[few]
    # The first one waits for openSMILE to load.
    study.extract(table[:1])
    begun = time.perf_counter()
    study.extract(table)
    each = (time.perf_counter() - begun) / max(len(few) - 1, 1)
    whole = each * (len(missing) - len(few))
    if whole <= _WORTH_WAITING:
        study.extract(study.run.corpus.table, progress=True)
        return f"eGeMAPS of all {utterances} utterances is in the cache, {len(missing)} now added"
    return f"{left}: about {duration(whole)}, {duration(each)} each, measured on {len(few)}"


# Reports, notebooks, figures and tables of the demo take 9 MB; a corpus with more classes or
# with recordings that may be heard takes more.
_REPORTS = 20_000_000
# A small model with its processor.
_TRAINED = 6_000_000
_FUNCTIONALS = 88
_DESCRIPTORS = 52
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

    there = sum(file.stat().st_size for file in run.rglob("*") if file.is_file())
    variable = "let the environment variable {} name another folder"
    hub = Path(constants.HF_HUB_CACHE)
    return told(
        [
            Need(run, written_to_run(study), "choose another folder with --out", there),
            Need(cache_folder(), written_to_cache(study), variable.format("SERCUE_CACHE")),
            Need(hub, {"weights": download(study)}, variable.format("HF_HOME")),
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
    found = []
    for shared in disks.values():
        size, there = sum(need.size for need in shared), sum(need.there for need in shared)
        free = shutil.disk_usage(nearest(shared[0].folder)).free
        kinds = [kind for need in shared for kind in need.what.items()]
        parts = ", ".join(f"{size_text(part)} of {what}" for what, part in kinds if part)
        parts += f", less {size_text(there)} that are there" if there else ""
        if free < size:
            places = " and ".join(str(need.folder) for need in shared)
            ways = " or ".join(need.way_out for need in shared)
            raise InputError(
                f"disk: the study needs about {size_text(size)} ({parts}), but the disk of "
                f"{places} has {size_text(free)} left; make place there, or {ways}"
            )
        warning = "warning: little is left: " if free < _AMPLE * size else ""
        found.append(f"{warning}about {size_text(size)} ({parts}), and {size_text(free)} are free")
    return "; ".join(found) or "all that takes place is there already"


def written_to_run(study: Rehearsal) -> dict[str, int]:
    """What a study writes to its own folder: kinds of things and their bytes."""
    s = study.run.settings
    wordings = len(s.templates) * s.label_orders
    # Predictions of the study, and of notebook 03's trial.
    rows = study.planned
    rows += len(DECODINGS) * min(s.tuning_limit, len(study.run.corpus.table)) * 2 * wordings
    if not why_no_controls(s):
        # Twice: as they come, and all controls in one table.
        rows += 2 * len(CONTROLS) * study.evaluated * len(control_conditions(s))
    return {
        "answers": round(rows * _bytes_a_row(_answered(study))),
        "features": _of_features(len(study.run.corpus.table), _FUNCTIONALS),
        "reports": _REPORTS,
    }


def written_to_cache(study: Rehearsal) -> dict[str, int]:
    """What a study adds to the cache: kinds of things and their bytes, at most."""
    s = study.run.settings
    models = (s.model == TINY) + len(CONTROLS) * (not why_no_controls(s))
    return {
        "cached features": _of_features(len(study.missing), _FUNCTIONALS + _DESCRIPTORS),
        "small models": models * max(len(study.run.corpus.folds), 1) * _TRAINED,
    }


def _answered(study: Rehearsal) -> pd.DataFrame:
    """A part of the predictions as the study will store it, but for what the answers are."""
    plan = study.some_prompts
    part = plan[plan["row"].isin(plan["row"].unique()[: 2 * study.run.settings.batch_size])]
    generator = np.random.default_rng(0)
    labels, s = study.run.corpus.labels, study.run.settings
    drawn = {f"p_{label}": generator.random(len(part)) for label in labels}
    named = np.array(labels, dtype=object)[generator.integers(len(labels), size=len(part))]
    table = part.drop(columns=["row", "text"]).assign(
        decoding=s.decoding,
        prediction=named,
        valid=True,
        answer=named if s.decoding == "generate" else None,
        **drawn,
        label_mass=generator.random(len(part)),
        audio=study.run.digests.to_numpy()[part["row"]],
        model=s.model,
    )
    return table.astype(dict.fromkeys(table.select_dtypes("category"), "str"))


def _of_features(utterances: int, columns: int) -> int:
    sample = pd.DataFrame(
        np.random.default_rng(0).normal(size=(200, columns)),
        index=[f"{number:032x}" for number in range(200)],
        columns=[f"feature {number}" for number in range(columns)],
    )
    return round(utterances * _bytes_a_row(sample))


def _bytes_a_row(table: pd.DataFrame) -> float:
    return len(table.to_parquet()) / len(table)


# What the sample may take; a model that would take longer over one utterance is asked some of
# its prompts.
_BUDGET = 60.0
_FEW_PROMPTS = 16
_WORTH_REPEATING = 5.0


def check_time(study: Rehearsal, run: Path) -> str:
    """Ask the model about some utterances, spread over the lengths there are, and scale up.

    The model is asked as the study does: all different prompts of several utterances in one call.
    A first call, which loads the weights and tries the model, is not timed.

    Args:
        study: the study
        run: the folder of the run, where an earlier one may have left answers

    Returns:
        the time of the study's answers, or why it was not measured

    Raises:
        InputError: whatever the model refuses
        ServerError: if its server stops answering
    """
    reason = why_not_at_hand(study)
    if reason:
        return f"not measured: {reason}"
    trial = _Trial(study)
    seconds, measured_on = _measured(trial)
    found = (
        f"about {duration(seconds * study.evaluated)} for all answers: {duration(seconds)} an "
        f"utterance of {trial.prompts:.0f} prompts, measured on {measured_on}"
    )
    # Of what an earlier run answered, the run finds out which still holds.
    files = part_files(run / "artifacts" / "predictions")
    parts = (read_part(file, ["utterance"]) for file in files)
    if rows := sum(len(part) for part in parts if part is not None):
        found += (
            f"; {rows} of {study.planned} are stored, and only what changed since is asked again"
        )
    return found


def _measured(trial: _Trial) -> tuple[float, str]:
    """Seconds an utterance, and what was asked to find out."""
    middle = spread(trial.rows, 1)
    trial.seconds(middle, most=1)
    few = trial.seconds(middle, most=_FEW_PROMPTS)
    # More than it will be: the more prompts, the more of them share what they begin with.
    whole = few * max(1.0, trial.prompts / _FEW_PROMPTS)
    if whole > _BUDGET:
        return whole, f"{min(_FEW_PROMPTS, round(trial.prompts))} prompts of one utterance"
    sample = spread(trial.rows, min(trial.at_once, max(2, int(_BUDGET / whole))))
    seconds = trial.seconds(sample)
    if seconds < _WORTH_REPEATING:
        # Memory that a device gives for the first time takes it longer.
        seconds = min(seconds, trial.seconds(sample))
    return seconds / len(sample), f"{len(sample)} utterances"


class _Trial:
    """The model of a study, and the prompts of some utterances.

    Attributes:
        rows: the utterances, from the shortest to the longest
        prompts: different ones of an utterance, on average
        at_once: how many utterances the study hands over in one call
    """

    def __init__(self, study: Rehearsal) -> None:
        self._study = study
        self._model: Any = first_model(study)
        different = study.every_prompt.drop_duplicates(["row", "heard", "prompt"])
        of_sound = different.groupby(["row", "heard"], observed=True)["text"].agg(list)
        # Of each utterance the prompts behind each of its sounds, its own first.
        self._texts = of_sound.groupby(level="row").agg(list)
        seconds = study.seconds.set_axis(study.run.corpus.table.index)
        lengths = seconds.loc[study.sampled.table.index].to_numpy()
        rows = self._texts.index.to_numpy()
        self.rows: np.ndarray = rows[np.argsort(lengths[rows], kind="stable")]
        self.prompts = len(different) / len(self.rows)
        self.at_once = 2 * study.run.settings.batch_size

    def seconds(self, rows: Sequence[int] | np.ndarray, most: int | None = None) -> float:
        """How long it takes to read some utterances and to answer their prompts, in seconds.

        Args:
            rows: which utterances
            most: how many prompts each, evenly spread; all by default
        """
        s, index = self._study.run.settings, self._study.sampled.table.index
        texts = [self._texts[row] for row in rows]
        if most is not None:
            texts = [[list(spread(np.array(own[0], dtype=object), most))] for own in texts]
        begun = time.perf_counter()
        # Other audio is as long as the utterance's own, but that of another utterance.
        audios = [
            read_utterance(self._study.run.corpus, index[row], self._model.sampling_rate)
            for row, own in zip(rows, texts, strict=True)
            for _ in own
        ]
        texts = [prompts for own in texts for prompts in own]
        if s.decoding == "score":
            self._model.score(audios, texts, list(self._study.run.label_words.values()))
        else:
            self._model.generate(audios, texts, s.max_new_tokens)
        return time.perf_counter() - begun
