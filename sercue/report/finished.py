"""A finished run, read from its folder alone: no model, no audio, no corpus."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sercue.artifacts import Artifacts, stamps_of
from sercue.errors import InputError, shortened
from sercue.settings import ELSEWHERE, Settings, fixture_notice, settings_from
from sercue.tokens.binning import binning_stamp
from sercue.tokens.schemes import shipped_schemes

# Which notebook writes what the evaluation of a run consists of.
_WRITTEN_BY = {
    "utterances.parquet": "01",
    "left_out.parquet": "01",
    "binning.json": "02",
    "tokens.parquet": "02",
    "measures.parquet": "04",
    "tests.parquet": "05",
}
_TABLES = ("measures", "tests")
_OF_TOKENS = ("binning.json", "tokens.parquet")
_OF_CORPUS = ("utterances", "left_out")
# Readers whose name does not tell the corpus.
_OF_ONES_OWN = ("audformat", "datasets", "folders", "table")
# Where a server stands is of no use to a reader.
_OF_SERVERS = ("base_url", "key_variable")


@dataclass(frozen=True, eq=False)
class EvaluatedRun:
    """What a finished run left in its ``artifacts``.

    Attributes:
        folder: the folder of the run
        provenance: what ``provenance.json`` holds
        measures: measures of each condition, and of the baselines
        tests: the planned contrasts
        settings: fingerprint of the settings of the whole study, its analysis included
    """

    folder: Path
    provenance: dict[str, Any]
    measures: pd.DataFrame
    tests: pd.DataFrame
    settings: str

    @property
    def parameters(self) -> dict[str, Any]:
        """The study's keys and values, paths shortened to their last part."""
        return dict(self.provenance["parameters"])

    @property
    def model(self) -> str:
        """The name of the model, as reports call it."""
        return str(self.provenance["model"]["name"])

    @property
    def corpus(self) -> str:
        """The name of the corpus; of a reader of anybody's corpora, also what it read."""
        name = str(self.provenance["corpus"]["name"])
        root = self.parameters.get("corpus_root")
        return f"{name} {root}" if root and name in _OF_ONES_OWN else name

    @property
    def notice(self) -> str | None:
        """Why the run is no evidence, or ``None``."""
        known = self.parameters
        return fixture_notice(settings_from({key: known[key] for key in ("corpus", "model")}))

    @property
    def reliance(self) -> tuple[float, float, float]:
        """The share of the tokens in the answers with its interval; NaN if it is not known."""
        table = self.artifacts.load("reliance.parquet", self.settings, **self.inputs)
        rows = pd.DataFrame() if table is None else table[table["by"] == "all"]
        if rows.empty:
            return (float("nan"),) * 3
        row = rows[rows["response"] == "probability"].iloc[0]
        return float(row["share"]), float(row["low"]), float(row["high"])

    @property
    def inputs(self) -> dict[str, Any]:
        """The identities of the corpus and of the answers; nothing of a run of an early version."""
        return stamps_of(self.provenance)

    @property
    def artifacts(self) -> Artifacts:
        """The files of the run."""
        return Artifacts(self.folder / "artifacts")

    @property
    def made_elsewhere(self) -> bool:
        """Whether another program obtained the answers: there are no tokens of their prompts."""
        return self.parameters.get("corpus") == ELSEWHERE

    @property
    def labels(self) -> list[str]:
        """The classes, in their order."""
        names = [str(column) for column in self.measures]
        return [name.removeprefix("recall_") for name in names if name.startswith("recall_")]

    @property
    def conditions(self) -> pd.DataFrame:
        """The measures of the conditions, without those of the baselines."""
        return self.measures[~self.measures["baseline"]]

    def difference(self, condition: str, reference: str) -> tuple[float, float, float] | None:
        """A planned difference in UAR with the ends of its interval, if it was planned."""
        rows = self.tests[
            (self.tests["condition"] == condition) & (self.tests["reference"] == reference)
        ]
        if rows.empty:
            return None
        row = rows.iloc[0]
        return float(row["difference"]), float(row["low"]), float(row["high"])


def read_run(folder: str | os.PathLike[str]) -> EvaluatedRun:
    """Read what a finished run left.

    Args:
        folder: what ``sercue run`` wrote, such as ``reports/demo``

    Raises:
        InputError: if it is not the folder of a run, or the run is not finished

    Examples:
        >>> read_run("nowhere")
        Traceback (most recent call last):
        ...
        sercue.errors.InputError: nowhere: no artifacts/provenance.json in it; valid is the ...
    """
    place = Path(folder).expanduser()
    artifacts = Artifacts(place / "artifacts")
    provenance = artifacts.provenance()
    if not provenance:
        raise InputError(
            f"{folder}: no artifacts/provenance.json in it; valid is the folder that "
            "`sercue run` wrote, such as reports/demo"
        )
    _require_entries(artifacts, provenance, str(folder))
    tables = {name: artifacts.read(f"{name}.parquet") for name in _TABLES}
    stamps = {name: artifacts.stamp(table).get("settings", "") for name, table in tables.items()}
    run = EvaluatedRun(place, provenance, **tables, settings=stamps["measures"])
    # A run that was begun again with other settings leaves the tables of the run before it. Runs
    # say by what settings they were begun; where paths were shortened, the parameters do not tell.
    begun = provenance.get("settings", run.settings)
    if (
        {*stamps.values(), begun} != {begun}
        or list(run.conditions["condition"]) != run.parameters["conditions"]
        or int(run.conditions["rows"].sum()) != provenance["predictions"]["rows"]
    ):
        raise _unfinished(
            str(folder), "its artifacts are of different settings: a later run stopped halfway"
        )
    _require_one_corpus(run, str(folder))
    return run


def _require_entries(artifacts: Artifacts, provenance: dict[str, Any], folder: str) -> None:
    """Raise unless all files are there and the entries that are read are as a run writes them."""
    elsewhere = provenance.get("parameters", {}).get("corpus") == ELSEWHERE
    for name, number in _WRITTEN_BY.items():
        if name in _OF_TOKENS and elsewhere:
            continue
        if not (artifacts.folder / name).is_file():
            raise _unfinished(folder, f"no artifacts/{name}, which notebook {number} writes")
    for entry in ("parameters", "corpus", "model", "predictions", "versions"):
        if entry not in provenance:
            raise _unfinished(folder, f"no {entry!r} in artifacts/provenance.json")
    try:
        _Held(**provenance)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False)[0]
        entry = ".".join(map(str, problem["loc"]))
        found = "" if problem["type"] == "missing" else f"found {shortened(problem['input'])}; "
        raise InputError(
            f"{artifacts.provenance_file}: {entry}: {found}{problem['msg'].lower()}; valid is what "
            "a run wrote: run its notebook 05 again"
        ) from None
    lacking = [key for key in Settings.model_fields if key not in provenance["parameters"]]
    if lacking:
        raise InputError(
            f"{folder}: made by sercue {provenance['versions'].get('sercue')} without the study "
            f"keys {', '.join(lacking)}; valid is a run of this version: run its study again"
        )
    checked = dict(provenance["parameters"])
    if checked["scheme"] not in shipped_schemes():
        # A file of one's own need not be at hand, and its folder is not told.
        for key in ("scheme", "bins", "binning", "thresholds", "conditions"):
            del checked[key]
    settings_from(checked, f"{artifacts.provenance_file}: parameters")


_Text = Annotated[str, Field(min_length=1)]


class _Entries(BaseModel):
    """Entries of ``provenance.json``, as far as a comparison and the methods read them."""

    model_config = ConfigDict(strict=True, extra="ignore", protected_namespaces=())


class _Corpus(_Entries):
    name: _Text
    utterances: int = Field(ge=1)
    speakers: int = Field(ge=1)
    content: _Text


class _Model(_Entries):
    name: _Text
    identity: _Text
    device: _Text
    dtype: _Text


class _Baseline(_Entries):
    identity: _Text
    device: _Text
    dtype: _Text


class _Predictions(_Entries):
    rows: int = Field(ge=1)


class _Git(_Entries):
    commit: str | None = None
    clean: bool | None = None


class _Versions(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")
    __pydantic_extra__: dict[str, str] = Field(init=False)
    sercue: _Text
    audmetric: _Text
    opensmile: _Text


class _Held(_Entries):
    parameters: dict[str, Any]
    corpus: _Corpus
    model: _Model
    predictions: _Predictions
    baselines: dict[str, _Baseline] = {}
    versions: _Versions
    git: _Git = _Git()
    settings: _Text | None = None


def _require_one_corpus(run: EvaluatedRun, folder: str) -> None:
    """Raise unless all files are of one corpus, and measures and tests of the stored answers."""
    tables = {name: run.artifacts.read(f"{name}.parquet") for name in _OF_CORPUS}
    utterances = tables["utterances"]
    if not run.made_elsewhere:
        tables["tokens"] = run.artifacts.read("tokens.parquet")
    told = run.provenance["corpus"]["utterances"], run.provenance["corpus"]["speakers"]
    found = len(utterances), utterances["speaker"].nunique()
    if told != found:
        raise _unfinished(
            folder,
            f"artifacts/provenance.json names {told[0]} utterances of {told[1]} speakers, "
            f"artifacts/utterances.parquet has {found[0]} of {found[1]}",
        )
    content, stamp = run.inputs["content"], run.artifacts.stamp
    stale = [name for name, table in tables.items() if stamp(table).get("content") != content]
    if not run.made_elsewhere:
        binned = binning_stamp(run.artifacts.folder / "binning.json")
        stale += ["binning"] * (binned.get("content", content) != content)
    stale += [
        name
        for name in _TABLES
        if any(stamp(getattr(run, name)).get(of) != known for of, known in run.inputs.items())
    ]
    if stale:
        raise _unfinished(
            folder,
            f"{', '.join(stale)} in its artifacts {'is' if len(stale) == 1 else 'are'} not of the "
            "corpus and the answers that provenance.json names: a later run stopped halfway",
        )


def _unfinished(folder: str, why: str) -> InputError:
    return InputError(
        f"{folder}: this run is not finished: {why}; valid is a run whose five notebooks are done"
    )


def public_value(value: Any) -> str:
    """A setting of ``provenance.json`` as one line, without what says where a server stands.

    Examples:
        >>> public_value("emodb"), public_value({"speakers": 6})
        ('emodb', '{"speakers": 6}')
        >>> public_value({"base_url": "http://HOST:8000/v1", "table": "a.csv"})
        '{"table": "a.csv"}'
    """
    if isinstance(value, dict):
        value = {key: entry for key, entry in value.items() if key not in _OF_SERVERS}
    return value if isinstance(value, str) else json.dumps(value)
