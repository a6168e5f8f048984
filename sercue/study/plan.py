"""Every prompt of a study, before any model is asked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import product
from typing import TypeAlias

import numpy as np
import pandas as pd

from sercue.answers import check_distinct
from sercue.corpora.audio_variants import SILENT, SWAPPED, partners
from sercue.corpora.corpus import Corpus, utterance_ids
from sercue.errors import InputError
from sercue.storage.tables import categorical, codes_among
from sercue.tokens.catalogue import parse_conditions
from sercue.tokens.concepts import WORDS, Words
from sercue.tokens.condition import DONORS, PLUS, Condition, Material
from sercue.tokens.prompts import DEFAULT_TEMPLATES, Template, label_orders, resolve_templates

_TEXTS = ("condition", "family", "concepts", "heard")
# A template and an order of the labels, with the number of that order.
_Block: TypeAlias = tuple[str, Mapping[str, str] | None]
_Wording: TypeAlias = tuple[Template, tuple[int, list[str]]]


def plan_study(
    corpus: Corpus,
    tokens: pd.DataFrame,
    *,
    conditions: Sequence[str | Condition],
    templates: Sequence[str | Mapping[str, str] | Template] = DEFAULT_TEMPLATES,
    label_words: Mapping[str, str] | None = None,
    orders: int = 1,
    replicates: int = 1,
    seed: int = 0,
    partition: str = "test",
    words: Mapping[str, Words] | Sequence[str] = WORDS[3],
    scores: pd.DataFrame | None = None,
    concept_wordings: str = "first",
) -> pd.DataFrame:
    """Every prompt of a study, before any model is asked. See ``run_study`` for the arguments.

    Returns:
        one row per planned prediction, with the whole prompt in ``text``, its hash in ``prompt``,
        and in ``row`` the utterance's place in ``corpus.table``; ``family``, ``dose``,
        ``concepts`` and ``heard`` of the condition, ``source``, the place of the utterance whose
        audio is heard, ``heard_class``, its class, missing in silence, ``tokens_class``, the class
        of the utterance whose tokens are shown, missing where they are not those of one utterance,
        and ``shown_<concept>``, the word that the prompt shows for a concept, missing where it
        shows none. Texts are categorical: each distinct text is stored once, regardless of its
        number of rows.

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus = example_corpus(speakers=2, utterances=2)
        >>> tokens = pd.DataFrame({"energy": ["low", "high"] * 2}, index=corpus.table.index)
        >>> plan = plan_study(corpus, tokens, conditions=["aligned"], templates=["plain"])
        >>> plan[["utterance", "family", "shown_energy"]].values.tolist()
        [['s1_0.wav', 'aligned', 'low'], ['s1_1.wav', 'aligned', 'high']]
    """
    rows = np.flatnonzero(corpus.table["partition"] == partition)
    if not len(rows):
        found = ", ".join(corpus.table["partition"].unique())
        raise InputError(f"partition: no utterance in {partition!r}; found {found}")
    options = list((label_words or {label: label for label in corpus.labels}).values())
    try:
        check_distinct(options)
    except ValueError as error:
        raise InputError(f"labels: {error}") from None
    listed = [[options[i] for i in order] for order in label_orders(len(options), orders)]
    wordings = list(product(resolve_templates(templates), enumerate(listed)))
    material = Material.of_corpus(corpus, tokens, words, partition=partition, scores=scores)
    distinct, labels = _Distinct(), sorted(corpus.labels)
    asked: list[tuple[object, ...]] = []
    shown, donors, prompts = [], [], []
    for condition in parse_conditions(conditions, list(map(str, tokens))):
        number = 1 if asked_once(condition, concept_wordings) else len(wordings)
        for replicate in condition.replicates(replicates, material.words):
            prompts += [(len(asked), wording) for wording in range(number)]
            changed = condition.show(material, seed=seed, replicate=replicate)
            concepts_of = PLUS.join(condition.concepts)
            named = (condition.name, condition.family, condition.dose, concepts_of)
            asked.append((*named, condition.heard, replicate))
            shown.append(distinct.numbers(changed, condition.form, len(rows)).astype(np.int32))
            donors.append(_donor_codes(changed, labels, len(rows)))
    columns = ["condition", "family", "dose", "concepts", "heard", "replicate"]
    blocks = pd.DataFrame(asked, columns=columns)
    block, wording = np.array(prompts, np.int32).T
    who = _each_utterance(corpus, rows, times=len(block))
    concepts = list(map(str, tokens))
    seen = np.stack(shown, axis=1)[:, block]
    said = _each_prompt(wordings, distinct.shown, seen, wording, concepts)
    of_tokens = np.stack(donors, axis=1)[:, block].ravel()
    told = {"tokens_class": categorical(labels, of_tokens)}
    asked_in = _each_block(blocks, wordings, np.tile(block, len(rows)), np.tile(wording, len(rows)))
    whole = who | asked_in | told | said
    plan = pd.DataFrame(whole, copy=False)
    return _with_source(plan, corpus, seed)


def asked_once(condition: Condition, concept_wordings: str) -> bool:
    """Whether a condition is asked in the first wording and label order alone.

    Args:
        condition: the condition
        concept_wordings: as in ``run_study``

    Examples:
        >>> from sercue.tokens.catalogue import parse_condition
        >>> [asked_once(parse_condition(name, ["pitch", "energy"]), "first")
        ...  for name in ("aligned", "only(pitch)")]
        [False, True]
    """
    return bool(condition.concepts) and concept_wordings == "first"


def _with_source(plan: pd.DataFrame, corpus: Corpus, seed: int) -> pd.DataFrame:
    """The plan with the place of the utterance whose audio is heard, and its class."""
    rows, heard = plan["row"].to_numpy(), plan["heard"]
    source = rows
    if SWAPPED in heard.cat.categories:
        places = np.unique(rows)
        partner = np.arange(len(corpus.table), dtype=np.int32)
        found = pd.Index(partners(corpus.table.iloc[places], seed)["partner"])
        partner[places] = corpus.table.index.get_indexer(found)
        source = np.where(heard == SWAPPED, partner[rows], rows)
    classes = pd.Categorical(corpus.table["emotion"], categories=sorted(corpus.labels))
    class_heard = classes.take(np.where(heard == SILENT, -1, source), allow_fill=True)
    return plan.assign(source=source, heard_class=class_heard)


def _donor_codes(tokens: pd.DataFrame | None, labels: Sequence[str], rows: int) -> np.ndarray:
    """The class of the utterance whose tokens each row shows, -1 where they are not of one."""
    if tokens is None or DONORS not in tokens.attrs:
        return np.full(rows, -1)
    return codes_among(pd.Series(tokens.attrs[DONORS], dtype=object), pd.Index(labels))


class _Distinct:
    """The different token blocks of a study, numbered as they come."""

    def __init__(self) -> None:
        self._number: dict[tuple[str, tuple[tuple[str, str], ...] | None], int] = {}

    @property
    def shown(self) -> list[_Block]:
        """Form of each, and concept to word, ``None`` where no block is shown."""
        return [(form, None if block is None else dict(block)) for form, block in self._number]

    def numbers(self, tokens: pd.DataFrame | None, form: str, rows: int) -> np.ndarray:
        """The number of each row's block."""
        if tokens is None:
            return np.full(rows, self._of("", None))
        coded = [pd.factorize(tokens.iloc[:, place]) for place in range(tokens.shape[1])]
        codes = np.stack([codes for codes, _ in coded], axis=1)
        different, number = np.unique(codes, axis=0, return_inverse=True)
        words = [np.asarray(words)[different[:, i]] for i, (_, words) in enumerate(coded)]
        names = list(map(str, tokens.columns))
        blocks = [tuple(zip(names, map(str, row), strict=True)) for row in zip(*words, strict=True)]
        return np.array([self._of(form, block) for block in blocks])[number.ravel()]

    def _of(self, form: str, block: tuple[tuple[str, str], ...] | None) -> int:
        return self._number.setdefault((form, block), len(self._number))


def _each_utterance(corpus: Corpus, rows: np.ndarray, times: int) -> dict[str, object]:
    table = corpus.table.iloc[rows]
    place = np.repeat(np.arange(len(rows), dtype=np.int32), times)
    truth = pd.Categorical(table["emotion"], categories=sorted(corpus.labels))
    return {
        "utterance": categorical(utterance_ids(table.index), place),
        "speaker": categorical(table["speaker"], place),
        "truth": truth.take(place),
        "row": rows.astype(np.int32)[place],
    }


def _each_block(
    blocks: pd.DataFrame, wordings: Sequence[_Wording], block: np.ndarray, wording: np.ndarray
) -> dict[str, object]:
    """What each row has of its condition and replicate, and of its template and label order."""
    number = np.array([number for _, (number, _) in wordings], dtype=np.int16)
    return {
        **{name: categorical(blocks[name], block) for name in _TEXTS},
        "dose": blocks["dose"].to_numpy(float)[block],
        "replicate": blocks["replicate"].to_numpy(np.int16)[block],
        "template": categorical([template.name for template, _ in wordings], wording),
        "label_order": number[wording],
    }


def _each_prompt(
    wordings: Sequence[_Wording],
    blocks: Sequence[_Block],
    seen: np.ndarray,
    wording: np.ndarray,
    concepts: Sequence[str],
) -> dict[str, object]:
    """What a wording makes of a token block, each that is asked written once.

    ``seen`` has the token block of each utterance (rows) in each of its prompts (columns),
    ``wording`` the wording of each prompt.
    """
    asked, text = np.unique(seen + len(blocks) * wording, return_inverse=True)
    texts = [
        template.render(labels, block, form)
        for (template, (_, labels)), (form, block) in (
            (wordings[number // len(blocks)], blocks[number % len(blocks)]) for number in asked
        )
    ]
    hashes = [hashlib.blake2b(text.encode(), digest_size=16).hexdigest() for text in texts]
    named = dict.fromkeys([*concepts, *(name for _, block in blocks for name in block or ())])
    return {
        **{f"shown_{name}": _words(name, blocks, seen.ravel()) for name in named},
        "text": categorical(texts, text.ravel().astype(np.int32)),
        "prompt": categorical(hashes, text.ravel().astype(np.int32)),
    }


def _words(concept: str, blocks: Sequence[_Block], seen: np.ndarray) -> pd.Categorical:
    """The word shown for a concept in each row; missing where it was not shown."""
    words = [(block or {}).get(concept) for _, block in blocks]
    known = list(dict.fromkeys(word for word in words if word is not None))
    place = np.array([-1 if word is None else known.index(word) for word in words])
    return categorical(known, place[seen])
