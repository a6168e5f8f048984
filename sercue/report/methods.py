"""The methods of a finished study, in words fit for a paper, from its artifacts alone.

The words are those of ``templates/methods.md.j2``; here are the facts that it is filled with.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from sercue.answers import READ
from sercue.corpora import available_corpora
from sercue.corpora.audio_variants import OWN, SILENT, SWAPPED, partners
from sercue.corpora.corpus import RATED, Corpus
from sercue.corpora.corpus_check import home_column
from sercue.elsewhere.made import NOT_STATED
from sercue.errors import InputError
from sercue.features import HEARD
from sercue.models.cards import CARDS, TINY, contrastive_name, known_training
from sercue.notation import percent, shortest, with_minus
from sercue.report.finished import EvaluatedRun, public_value, read_run
from sercue.report.templates import TEMPLATES
from sercue.statistics.attribution import subset_conditions
from sercue.statistics.baselines import SENTENCE, SVM, TOKENS_ONLY
from sercue.statistics.contrasts import own_reference
from sercue.statistics.crossing import CONFLICT, WORDLESS, crossed_variants
from sercue.statistics.resampling import ENUMERATED
from sercue.storage.files import write_text
from sercue.tokens.binning import Binning, stored_binnings
from sercue.tokens.catalogue import (
    about_concepts,
    describe_conditions,
    doses_of,
    facts_by_name,
    is_ours,
)
from sercue.tokens.concepts import UNKNOWN, Concept, Words
from sercue.tokens.condition import AT, parts_heard, parts_of
from sercue.tokens.prompts import FORMS, label_orders, resolve_templates
from sercue.tokens.schemes import concepts_of

_MARKS = re.compile(r"([\\`*_\[\]<>|~$&#!])")
_SOFTWARE = ("python", "torch", "transformers", "opensmile", "statsmodels", "scikit-learn", "scipy")
# What answers and features are obtained with.
_ASKING = ("torch", "transformers", "opensmile")
_PAGE = 3  # doses, from which on Page's test is made


def methods_text(folder: str | os.PathLike[str]) -> str:
    """The methods of a finished study, in Markdown, to be shortened for a paper.

    Everything comes from the artifacts of the run: corpus, features and thresholds, prompts in
    full, model, conditions, seeds, statistics with their references, versions. What is not in the
    artifacts is omitted.

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
    # By the stamp that the utterances bear: paths among the settings may have been shortened.
    stamp = run.artifacts.stamp(run.artifacts.read("utterances.parquet"))
    stored = run.artifacts.load_corpus(stamp.get("settings", ""))
    if stored is None:
        raise InputError(
            f"{run.folder}: artifacts/left_out.parquet and artifacts/utterances.parquet are not of "
            "one study; valid is a run whose five notebooks are done"
        )
    corpus, versions = stored[0], run.provenance["versions"]
    asked = _elsewhere_facts(run) if run.made_elsewhere else _asked_facts(run, corpus)
    concepts = asked.pop("named")
    loader = jinja2.FileSystemLoader(TEMPLATES)
    environment = jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined)
    environment.filters |= {f.__name__: f for f in (paragraph, plain, code, block, listed)}
    return environment.get_template("methods.md.j2").render(
        **{name: run.provenance[name] for name in ("corpus", "model", "predictions", "versions")},
        settings=run.parameters,
        notice=run.notice,
        neutral=corpus.neutral_label,
        git={"commit": None, "clean": None} | run.provenance.get("git", {}),
        software=[
            f"{name} {versions[name]}"
            for name in _SOFTWARE
            if name in versions and not (run.made_elsewhere and name in _ASKING)
        ],
        languages=READ,
        **_corpus_facts(run, corpus),
        **asked,
        **_statistics_facts(run, concepts),
        priors=_prior_sources(run, corpus),
        rated=bool(corpus.table.filter(regex=f"^{RATED}").shape[1]),
    )


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


def paragraph(text: str) -> str:
    r"""A text on one line, since Markdown need not break it.

    Examples:
        >>> paragraph("One sentence.\n\n  Another.\n")
        'One sentence. Another.'
    """
    return " ".join(text.split())


def plain(text: object) -> str:
    r"""A text whose marks are no markup, on one line.

    Examples:
        >>> print(plain("*sad*\n<b>"))
        \*sad\* \<b\>
    """
    return _MARKS.sub(r"\\\1", paragraph(str(text)))


def code(text: str) -> str:
    """A text as code within a line.

    Examples:
        >>> print(code("a`b"))
        `` a`b ``
    """
    fence = _fence(text, 1)
    space = " " if "`" in text else ""
    return f"{fence}{space}{paragraph(text)}{space}{fence}"


def block(text: str) -> str:
    """A text as a block of its own, line by line."""
    fence = _fence(text, 3)
    return f"{fence}text\n{text}\n{fence}"


def _fence(text: str, least: int) -> str:
    """Backticks that the text does not hold."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    return "`" * max(least, longest + 1)


def listed(parts: Iterable[str]) -> str:
    """Words in a row, the last after *and*.

    Examples:
        >>> listed(["a", "b", "c"]), listed(["a"])
        ('a, b and c', 'a')
    """
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last


def _corpus_facts(run: EvaluatedRun, corpus: Corpus) -> dict[str, Any]:
    """What the corpus holds, how it is divided, what of it is not used."""
    table, settings = corpus.table, run.parameters
    citation = str(available_corpora()["citation"].get(run.corpus, ""))
    emotions, speakers = table["emotion"].value_counts(), table.groupby("speaker")
    sexes = speakers["sex"].first().value_counts().sort_index() if "sex" in table else pd.Series()
    partitions = {name: corpus.rows(name)["speaker"] for name in corpus.partitions}
    left_out = corpus.left_out["reason"].value_counts()
    options = ("corpus_options", "drop_labels", "fold", "limit")
    return {
        "synthetic": corpus.synthetic,
        # Where a corpus of the field is described; corpora of one's own have no such place.
        "citation": citation if re.search(r"\b(19|20)\d\d\b", citation) else "",
        "sexes": [f"{number} {plain(sex)}" for sex, number in sexes.items()],
        "classes": [f"{plain(label)} {emotions.get(label, 0)}" for label in corpus.labels],
        "folds": [plain(fold) for fold in corpus.folds],
        "partitions": {name: (len(of), of.nunique()) for name, of in partitions.items()},
        "disjoint": speakers[home_column(corpus)].nunique().max() == 1,
        "left_out": [f"{number} ({plain(reason)})" for reason, number in left_out.items()],
        "further": [
            f"{plain(key)} {code(public_value(settings[key]))}" for key in options if settings[key]
        ],
    }


def _asked_facts(run: EvaluatedRun, corpus: Corpus) -> dict[str, Any]:
    """Tokens, prompts, model and conditions of a study that sercue asked."""
    tokens = run.artifacts.read("tokens.parquet")
    binnings = stored_binnings(run.artifacts.folder / "binning.json")
    words = next(iter(binnings.values())).words
    heard = dict.fromkeys(parts_heard(name)[1] for name in run.parameters["conditions"])
    evaluated, near = corpus.rows(run.parameters["partition"]), {}
    if SWAPPED in heard:
        near = partners(evaluated, run.parameters["seed"])["by"].value_counts().to_dict()
    return {
        "elsewhere": [],
        "named_model": True,
        "asked": [],
        "ours": [],
        **_token_facts(run, binnings, tokens.loc[evaluated.index]),
        **_prompt_facts(run, corpus),
        **_condition_facts(run, words),
        "audio": [name for name in heard if name != OWN],
        "heard_most": HEARD,
        "partners": [f"{name}: {number}" for name, number in near.items() if number],
        "named": list(words),
    }


def _elsewhere_facts(run: EvaluatedRun) -> dict[str, Any]:
    """The files of answers that another program obtained, and how their conditions are called."""
    names = run.parameters["conditions"]
    return {
        "elsewhere": [
            f"{plain(one['file'])} ({plain(one['format'])}, digest {code(one['digest'])})"
            for one in run.provenance.get("elsewhere", [])
        ],
        "named_model": run.model != NOT_STATED,
        "asked": list(map(code, names)),
        "ours": [code(name) for name in names if is_ours(name)],
        "conditions": names,
        "templates": run.parameters["templates"],
        "orders": range(run.parameters["label_orders"]),
        "unknown": UNKNOWN,
        "named": concepts_of(run.parameters["scheme"]),
    }


def _token_facts(
    run: EvaluatedRun, binnings: Mapping[str, Binning], tokens: pd.DataFrame
) -> dict[str, Any]:
    """How concepts are made of features, and words of concepts; the evaluated true tokens."""
    first, by_fold = next(iter(binnings.values())), "" not in binnings
    ordinal = [concept for concept in first.concepts if isinstance(concept, Concept)]
    signed = {
        plain(concept.name): [
            f"{'+' if sign > 0 else '−'}{feature}" for feature, sign in concept.features.items()
        ]
        for concept in ordinal
    }
    scales: dict[tuple[str, ...], list[str]] = {}
    for concept in ordinal:
        scales.setdefault(concept.words.each, []).append(plain(concept.name))
    return {
        "scheme": run.parameters["scheme"],
        "second_hand": run.parameters["scheme"] == "paper",
        "concepts": [f"{concept} ({', '.join(names)})" for concept, names in signed.items()],
        "scales": [
            f"{listed(names)}: {', '.join(plain(word) for word in words)}"
            for words, names in scales.items()
        ],
        "categories": [
            {
                "name": plain(concept.name),
                "measures": [f"{code(n)} is {code(m)}" for n, m in concept.measures.items()],
                "rules": [f"{plain(word)} if {code(rule)}" for word, rule in concept.rules.items()],
                "otherwise": plain(concept.otherwise),
                "by_sex": concept.by_sex and len(first.locations) > 1,
            }
            for concept in first.concepts
            if not isinstance(concept, Concept)
        ],
        "by_sex": [plain(c.name) for c in ordinal if len(first.thresholds[c.name]) > 1],
        "pooled": [
            plain(concept.name)
            for concept in ordinal
            if concept.by_sex
            and run.parameters["binning"] != "thresholds"
            and all(len(one.thresholds[concept.name]) == 1 for one in binnings.values())
        ],
        "robust": first.standardise == "robust",
        "binnings": len(binnings),
        "binned_by_fold": by_fold,
        "thresholds": [
            [
                plain(concept) + (f", {sex}" if sex else ""),
                *([plain(fold)] if by_fold else []),
                with_minus(", ".join(f"{edge:.3f}" for edge in edges)),
            ]
            for fold, binning in binnings.items()
            for concept in binning.thresholds
            for sex, edges in binning.edges(concept)
        ],
        "tokens": {str(name): str(word) for name, word in tokens.iloc[0].items()},
        "unknown": UNKNOWN,
        "unmeasured": percent((tokens == UNKNOWN).to_numpy().mean(), 1),
    }


def _prompt_facts(run: EvaluatedRun, corpus: Corpus) -> dict[str, Any]:
    """The templates, what they show for the labels, and how answers are read."""
    settings = run.parameters
    shown = settings["labels"] if isinstance(settings["labels"], dict) else {}
    words = [str(shown.get(label, label)) for label in corpus.labels]
    orders = label_orders(len(words), settings["label_orders"])
    return {
        "templates": resolve_templates(settings["templates"]),
        "orders": [", ".join(plain(words[place]) for place in order) for order in orders],
        # All rows of the design: one for each label, of an odd number two.
        "balanced": len(orders) == len(words) * (1 + len(words) % 2),
        "options": [words[place] for place in orders[0]],
        "renamed": [
            (plain(word), plain(label))
            for word, label in zip(words, corpus.labels, strict=True)
            if word != label
        ],
        "card": next((card for card in CARDS if card.name == settings["model"]), None),
        "model_options": public_value(settings["model_options"]),
        "training": plain(known_training(settings["model"], run.corpus)),
    }


def _condition_facts(run: EvaluatedRun, words: Mapping[str, Words]) -> dict[str, Any]:
    """What each condition shows: those about concepts last and by kind, as there may be many."""
    table = describe_conditions(run.parameters["conditions"], words=words)
    kind = {
        name: f"{parts_of(name)[0]}(...)" if about_concepts(name) else name for name in table.index
    }
    conditions: dict[str, list[str]] = {}
    for name in sorted(kind, key=about_concepts):
        conditions.setdefault(kind[name], []).append(name)
    return {
        "conditions": conditions,
        "shown": table["what is shown"].to_dict(),
        "random": dict.fromkeys(f"`{kind[name]}`" for name in table.index[table["random"]]),
        "mirrored": bool({"conflicting", "flip(...)"} & set(conditions)),
        "middle_stays": all(
            own.opposites[own.plain] == (own.plain,)
            for own in words.values()
            if own.ordered and own.plain
        ),
        "opposites": {
            plain(concept): [
                f"{plain(other)} for {plain(word)}" for word, (other,) in own.opposites.items()
            ]
            for concept, own in words.items()
            if own.opposites and not own.ordered
        },
    }


def _statistics_facts(run: EvaluatedRun, concepts: Sequence[str]) -> dict[str, Any]:
    """What was measured and tested, as far as the study has what it takes."""
    settings, measured = run.parameters, set(run.measures["condition"])
    names, weights = settings["conditions"], run.provenance.get("baselines", {})
    contrastive = map(contrastive_name, settings["baselines"])
    speakers = 0 if run.tests.empty else int(run.tests["speakers"].max())
    doses = {k: v for k, v in doses_of(facts_by_name(names)).items() if len(v) > 1}
    reliance = run.artifacts.load("reliance.parquet", run.settings, **run.inputs)
    return {
        "tokens_only": TOKENS_ONLY in measured,
        "svm": SVM in measured,
        "contrastive": {n: weights[n] for n in contrastive if n in measured and n in weights},
        "sentence": SENTENCE,
        "level": percent(settings["confidence"]),
        "contrasts": len(run.tests),
        "reference": own_reference(names),
        "primary": "primary" in set(run.tests["step"]),
        "flips": _decided_by_flips(run.tests),
        "speakers": speakers,
        "enumerated": speakers <= ENUMERATED,
        "collapse": "aligned" in set(run.tests["reference"]),
        "margin": shortest(settings["margin"]),
        "doses": doses,
        "page": any(len(conditions) >= _PAGE for conditions in doses.values()),
        "audio_effects": bool(crossed := crossed_variants(names)),
        "voices": [name for name in crossed if name in WORDLESS and SILENT in crossed],
        "follow": {"aligned", CONFLICT} <= set(names) and not run.made_elsewhere,
        "reliance": reliance is not None,
        "scored": settings["decoding"] == "score",
        "controls": _has_controls(run),
        "forms": [code(name) for name in FORMS if name in names],
        "single": any(map(about_concepts, names)),
        "single_once": settings.get("concept_wordings") == "first"
        and not run.made_elsewhere
        and len(settings["templates"]) * settings["label_orders"] > 1,
        "changed": {"aligned", "conflicting"} <= set(names),
        "hiding": any(parts_of(name)[0] in ("only", "without") for name in names),
        "shapley": set(subset_conditions(concepts)) <= set(names),
    }


def _prior_sources(run: EvaluatedRun, corpus: Corpus) -> list[str]:
    """Whose answers told the label prior, in words."""
    sources = ["silence"] if f"none{AT}{SILENT}" in run.parameters["conditions"] else []
    if corpus.folds:
        # The models that are trained here, one per fold, tell no prior of each other.
        trained = run.parameters["model"] == TINY
        return sources if trained else [*sources, "the speakers of the other folds"]
    stamp = {"settings": run.provenance["predictions"].get("settings", ""), **run.inputs,
             "tuning_limit": run.parameters["tuning_limit"]}  # fmt: skip
    other = run.artifacts.load("tried.parquet", **stamp) is not None
    return [*sources, "speakers who were not evaluated"] if other else sources


def _decided_by_flips(tests: pd.DataFrame) -> str:
    """Which contrasts are decided by sign flips of speakers, in words; empty if none is."""
    flips = tests["decided_by"] == "flips"
    if flips.all():
        return "all contrasts" if len(tests) else ""
    return "the primary contrast" if flips.any() else ""


def _has_controls(run: EvaluatedRun) -> bool:
    name = "controls.parquet"
    if not run.parameters["controls"] or not (run.artifacts.folder / name).is_file():
        return False
    table = run.artifacts.read(name)
    # They rest on the corpus, and not on the answers of the model under study.
    of_corpus = run.artifacts.stamp(table).get("content") == run.inputs["content"]
    return of_corpus and not table.empty
