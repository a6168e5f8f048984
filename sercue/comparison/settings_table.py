"""What the studies of a comparison are, and in which settings they differ."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence

import pandas as pd

from sercue.baselines import SVM, TOKENS_ONLY, chance
from sercue.comparison.layout import number
from sercue.evaluated import EvaluatedRun, public_value
from sercue.interventions import shortened

# These name a run, and are in its row already.
_NAMING = ("study", "out")
_LONGEST = 120


def runs_table(runs: Mapping[str, EvaluatedRun]) -> pd.DataFrame:
    """What each study rests on: utterances, speakers, classes, floors and ceilings, weights.

    One row a fact, one column a study.

    Args:
        runs: as ``read_runs`` returns them
    """
    columns = {study: _facts(run) for study, run in runs.items()}
    return pd.DataFrame(columns, dtype=object).rename_axis("fact")


def settings_table(runs: Mapping[str, EvaluatedRun]) -> pd.DataFrame:
    """The settings and versions in which the studies differ: one row a key, one column a study.

    Of lists it is told what a study lacks; a study that does not know a key has a dash.

    Args:
        runs: as ``read_runs`` returns them
    """
    told = {study: _settings(run) for study, run in runs.items()}
    keys = list(dict.fromkeys(key for values in told.values() for key in values))
    rows = {key: [values.get(key, "–") for values in told.values()] for key in keys}
    differing = {key: row for key, row in rows.items() if len(set(row)) > 1}
    shown = {key: _told(row) for key, row in differing.items()}
    return pd.DataFrame.from_dict(shown, orient="index", columns=list(told)).rename_axis("setting")


def _facts(run: EvaluatedRun) -> dict[str, str]:
    uar = run.measures.set_index("condition")["uar"]
    corpus, shown = run.provenance["corpus"], run.parameters
    return {
        "model": run.model,
        "weights": run.provenance["model"]["identity"],
        "corpus": f"{run.corpus}: {corpus['utterances']} utterances, {corpus['speakers']} speakers",
        "evaluated": f"{int(run.conditions['utterances'].max())} utterances",
        "speakers of intervals": str(run.tests["speakers"].max()) if len(run.tests) else "–",
        "classes": ", ".join(run.labels),
        "chance": number(chance(run.labels)),
        TOKENS_ONLY: number(uar[TOKENS_ONLY]) if TOKENS_ONLY in uar else "–",
        SVM: number(uar[SVM]) if SVM in uar else "–",
        "intervals": f"{shown['confidence']:.0%}",
    }


def _settings(run: EvaluatedRun) -> dict[str, str]:
    given = {**run.parameters, "conditions": shortened(run.parameters["conditions"])}
    chosen = {k: public_value(v) for k, v in given.items() if k not in _NAMING}
    facts = {
        "corpus content": str(run.provenance["corpus"].get("content")),
        "ran on": str(run.provenance["model"].get("device")),
        "precision": str(run.provenance["model"].get("dtype")),
        "git commit": str(run.provenance.get("git", {}).get("commit"))[:12],
    }
    versions = {f"{name} version": text for name, text in run.provenance["versions"].items()}
    return chosen | facts | versions


def _told(row: Sequence[str]) -> list[str]:
    """Values of one setting; of long lists only what a study lacks of all that the others name."""
    if not all(value.startswith("[") for value in row):
        return ["–" if value == "null" else textwrap.shorten(value, _LONGEST) for value in row]
    lists = [list(map(str, json.loads(value))) for value in row]
    union = list(dict.fromkeys(entry for entries in lists for entry in entries))
    return [_lacking([entry for entry in union if entry not in held], union) for held in lists]


def _lacking(lacks: Sequence[str], union: Sequence[str]) -> str:
    number = f"{len(union) - len(lacks)} of {len(union)}"
    return f"{number}: not {textwrap.shorten(', '.join(lacks), _LONGEST)}" if lacks else number
