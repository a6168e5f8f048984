"""The methods of a study as one document."""

from __future__ import annotations

import os
from pathlib import Path

from sercue.corpora.corpus import Corpus
from sercue.errors import InputError
from sercue.evaluated import EvaluatedRun, read_run
from sercue.files import write_text
from sercue.methods.asking import condition_text, model_text, prompt_text
from sercue.methods.inference import statistics_text
from sercue.methods.markdown import plain
from sercue.methods.material import corpus_text, feature_text, threshold_table
from sercue.methods.references import cited, listed

_SOFTWARE = ("python", "torch", "transformers", "opensmile", "statsmodels", "scikit-learn", "scipy")


def methods_text(folder: str | os.PathLike[str]) -> str:
    """The methods of a finished study, in Markdown, fit to be shortened for a paper.

    Everything comes from the artifacts of the run: corpus, features and thresholds, prompts in
    full, model, conditions, seeds, statistics with their references, versions. What they do not
    say is not said.

    Args:
        folder: what ``sercue run`` wrote

    Raises:
        InputError: if it is not the folder of a finished run

    Examples:
        >>> methods_text("nowhere")
        Traceback (most recent call last):
        ...
        sercue.errors.InputError: nowhere: no artifacts/provenance.json in it; valid is the ...
    """
    run = read_run(folder)
    corpus = _corpus(run)
    parts = [
        f"# Methods of the study {plain(run.parameters['study'])}",
        *([f"> {run.notice}"] if run.notice else []),
        "The protocol follows Tsangko, Triantafyllopoulos and Schuller [Tsangko et al., 2026]; "
        "what it leaves open is filled as said here.",
        f"**Corpus.** {corpus_text(run, corpus)}",
        f"**Features and tokens.** {feature_text(run, corpus)}",
        threshold_table(run),
        f"**Prompts.** {prompt_text(run, corpus)}",
        f"**Model.** {model_text(run)}",
        f"**Conditions.** {condition_text(run)}",
        f"**Statistics.** {statistics_text(run)}",
        f"**Software.** {_software(run)}",
    ]
    references = "\n".join(f"- {reference}" for reference in cited("\n".join(parts)))
    return "\n\n".join([*parts, f"## References\n\n{references}"]) + "\n"


def write_methods(folder: str | os.PathLike[str]) -> Path:
    """Write ``methods.md`` into the folder of a finished run; see ``methods_text``.

    Args:
        folder: what ``sercue run`` wrote

    Returns:
        the file

    Raises:
        InputError: if it is not the folder of a finished run
        StorageError: if it cannot be written
    """
    path = Path(folder).expanduser() / "methods.md"
    write_text(path, methods_text(folder))
    return path


def _corpus(run: EvaluatedRun) -> Corpus:
    """The corpus as the artifacts have it, by the stamp that they bear."""
    stamp = run.artifacts.stamp(run.artifacts.read("utterances.parquet"))
    stored = run.artifacts.load_corpus(stamp.get("settings", ""))
    if stored is None:
        raise InputError(
            f"{run.folder}: artifacts/left_out.parquet and artifacts/utterances.parquet are not of "
            "one study; valid is a run whose five notebooks are done"
        )
    return stored[0]


def _software(run: EvaluatedRun) -> str:
    versions, git = run.provenance["versions"], run.provenance.get("git", {})
    state = {True: "", False: ", with uncommitted changes", None: ""}[git.get("clean")]
    commit = f" (commit {git['commit']}{state})" if git.get("commit") else ""
    others = listed(f"{name} {versions[name]}" for name in _SOFTWARE if name in versions)
    return f"sercue {versions['sercue']}{commit}, with {others}."
