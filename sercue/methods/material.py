"""Corpus, features and tokens of a study, in words."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from sercue.binning import stored_binnings
from sercue.concepts import UNKNOWN
from sercue.corpora import available_corpora
from sercue.corpora.corpus import PARTITIONS, Corpus
from sercue.evaluated import EvaluatedRun, public_value
from sercue.methods.markdown import code, plain
from sercue.methods.references import listed

_METHODS = {
    "quantile": "so that the training utterances fill the bins equally",
    "width": "into bins of equal width between the 1st and the 99th percentile of the training "
    "utterances",
    "thresholds": "at thresholds that the study states",
}


def corpus_text(run: EvaluatedRun, corpus: Corpus) -> str:
    """The corpus: what it holds, how it is divided, what of it is not used.

    Args:
        run: a finished run
        corpus: as its artifacts have it
    """
    known, shown = run.provenance["corpus"], run.parameters
    made = ", synthetic speech" if corpus.synthetic else ""
    sentences = [
        f"The corpus is {known['name']}{made}{_citation(known['name'])}: {known['utterances']} "
        f"utterances of {known['speakers']} speakers{_sexes(corpus.table)} in "
        f"{len(corpus.labels)} classes ({_counts(corpus.table['emotion'], corpus.labels)})."
    ]
    sentences += _division(corpus, shown["partition"])
    if len(corpus.left_out):
        reasons = corpus.left_out["reason"].value_counts()
        told = listed(f"{number} ({plain(reason)})" for reason, number in reasons.items())
        sentences.append(f"Of the utterances that it lists, these were left out: {told}.")
    sentences += _options(shown)
    sentences.append(f"The hash of the audio's content is {known['content']}.")
    return " ".join(sentences)


def feature_text(run: EvaluatedRun, corpus: Corpus) -> str:
    """The functionals, and how the concepts are made of them.

    Args:
        run: a finished run
        corpus: as its artifacts have it
    """
    shown, binning = run.parameters, next(iter(_binnings(run).values()))
    channel = shown["channel"]
    heard = "the mean of all channels" if channel is None else f"channel {channel} alone"
    silent = " that are not silent" if channel is None else ""
    concepts = "; ".join(
        f"{plain(concept['name'])} ({_signed(concept['functionals'])})"
        for concept in binning["concepts"]
    )
    return (
        f"From the audio, at 16 kHz with {heard}{silent}, limited to full scale, the functionals "
        "of eGeMAPSv02 [Eyben et al., 2016] were extracted with "
        f"openSMILE (Python package opensmile {run.provenance['versions']['opensmile']}). "
        f"{len(binning['concepts'])} acoustic concepts were derived from them, with these signs: "
        f"{concepts}. The score of a concept is the mean of the signed robust z-scores of its "
        "functionals (median and interquartile range of the training utterances"
        f"{_centring(shown['centre'])}). Scores were cut into {len(binning['words'])} words "
        f"({', '.join(binning['words'])}), {_METHODS[shown['binning']]}{_of_folds(run)}. "
        f"{_unknown(run, corpus)}"
    )


def threshold_table(run: EvaluatedRun) -> str:
    """The thresholds of each concept as a Markdown table; of a cross-validation, of each fold."""
    folds, lines = _binnings(run), []
    for fold, binning in folds.items():
        for concept, edges in binning["thresholds"].items():
            cells = [
                plain(concept),
                *([plain(fold)] if fold else []),
                ", ".join(f"{e:.3f}".replace("-", "−") for e in edges),
            ]
            lines.append(" | ".join(cells))
    heads = ["concept", *(["fold"] if "" not in folds else []), "thresholds of the score"]
    rule = " | ".join("---" for _ in heads)
    return "\n".join(f"| {line} |" for line in [" | ".join(heads), rule, *lines])


def own_tokens(run: EvaluatedRun, corpus: Corpus) -> pd.DataFrame:
    """The true tokens of the evaluated utterances."""
    tokens = run.artifacts.read("tokens.parquet")
    return tokens.loc[corpus.rows(run.parameters["partition"]).index]


def _citation(name: str) -> str:
    """Where a corpus of the field is described; corpora of one's own have no such place."""
    citation = str(available_corpora()["citation"].get(name, ""))
    return f" ({citation})" if re.search(r"\b(19|20)\d\d\b", citation) else ""


def _counts(values: pd.Series, names: Any) -> str:
    number = values.value_counts()
    return ", ".join(f"{plain(name)} {number.get(name, 0)}" for name in names)


def _sexes(table: pd.DataFrame) -> str:
    if "sex" not in table:
        return ""
    speakers = table.groupby("speaker")["sex"].first().dropna().value_counts().sort_index()
    return f" ({', '.join(f'{number} {plain(sex)}' for sex, number in speakers.items())})"


def _division(corpus: Corpus, partition: str) -> list[str]:
    if corpus.folds:
        return [
            f"It was cross-validated over {len(corpus.folds)} folds "
            f"({', '.join(map(plain, corpus.folds))}): each was evaluated with everything that is "
            "fitted, thresholds first, fitted on all "
            f"others.{_disjoint(corpus.table, 'fold')}"
        ]
    parts = [
        f"{name} {len(rows)} utterances of {_speakers(rows)}"
        for name in PARTITIONS
        if len(rows := corpus.rows(name))
    ]
    return [
        f"Partitions: {'; '.join(parts)}.{_disjoint(corpus.table, 'partition')} "
        f"Evaluated was {partition}; everything that is fitted was fitted on train."
    ]


def _speakers(rows: pd.DataFrame) -> str:
    number = rows["speaker"].nunique()
    return f"{number} speaker{'s' * (number != 1)}"


def _disjoint(table: pd.DataFrame, column: str) -> str:
    alone = table.groupby("speaker")[column].nunique().max() == 1
    return f" No speaker is in two {column}s." if alone else ""


def _options(shown: dict[str, Any]) -> list[str]:
    told = [
        f"{plain(key)} {code(public_value(shown[key]))}"
        for key in ("corpus_options", "drop_labels", "fold", "limit")
        if shown[key]
    ]
    told += ["names of files and speakers replaced by pseudonyms"] if shown["anonymise"] else []
    return [f"Further settings: {'; '.join(told)}."] if told else []


def _binnings(run: EvaluatedRun) -> dict[str, dict[str, Any]]:
    return stored_binnings(run.artifacts.folder / "binning.json")


def _signed(functionals: dict[str, int]) -> str:
    return ", ".join(f"{'+' if sign > 0 else '−'}{name}" for name, sign in functionals.items())


def _centring(centre: str | None) -> str:
    return f", after taking off the median of each {centre}" if centre else ""


def _of_folds(run: EvaluatedRun) -> str:
    return ", anew for each fold" if len(_binnings(run)) > 1 else ""


def _unknown(run: EvaluatedRun, corpus: Corpus) -> str:
    tokens = own_tokens(run, corpus)
    share = float((tokens == UNKNOWN).to_numpy().mean())
    return (
        f"A score that could not be measured became the word {UNKNOWN} ({share:.1%} of the "
        "evaluated tokens)."
    )
