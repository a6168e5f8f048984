"""All conditions by name, as studies and tables write them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd

from sercue.corpora.audio_variants import AUDIO_VARIANTS, OWN
from sercue.errors import InputError, refuse_unknown, unknown
from sercue.tokens import changes
from sercue.tokens.concepts import Words
from sercue.tokens.condition import (
    AT,
    PLUS,
    Condition,
    Material,
    listed_concepts,
    parts_heard,
    parts_of,
    told_by_name,
)
from sercue.tokens.prompts import FORMS
from sercue.tokens.schemes import read_scheme

_PLAIN: dict[str, Condition] = {
    condition.name: condition
    for condition in (
        Condition("none", "no token block: audio alone", lambda material, generator: None),
        changes.aligned(),
        changes.shuffled(),
        changes.shuffled_within("shuffled_within_class", "emotions", "class"),
        changes.shuffled_within("shuffled_within_speaker", "speakers", "speaker"),
        changes.conflicting(),
        changes.counter_emotion(),
        changes.constant(),
        *map(changes.in_form, FORMS),
    )
}
_DOSES: dict[str, Callable[[float], Condition]] = {
    "corrupted": changes.corrupted,
    "replaced": changes.replaced,
    "masked": changes.masked,
}
#: Conditions of the tokens that a study crosses with its audio variants, as far as it has them.
CROSSED = ("none", "aligned", "conflicting")
_OF_CONCEPTS: dict[str, Callable[[Sequence[str]], Condition]] = {
    "only": changes.only,
    "without": changes.without,
    "flip": changes.flip,
}


def parse_condition(text: str, concepts: Sequence[str] | None = None) -> Condition:
    """The condition that a study file names.

    Equal spellings have one name: spacing and the order of concepts do not matter, and ``only`` of
    all concepts is ``aligned``, ``without`` all of them ``masked(1)``.

    Args:
        text: a name, with its parameter in brackets: ``corrupted(0.5)``, ``only(energy + pitch)``;
            after an ``@``, what is heard instead of the utterance: ``aligned @ reversed``
        concepts: names of all concepts, in their order; by default those of the scheme ``paper``

    Raises:
        InputError: if the name is unknown, or if its parameter is missing or not valid

    Examples:
        >>> parse_condition("corrupted(.50)").name
        'corrupted(0.5)'
        >>> parse_condition("only(high  pitch+energy)", ["energy", "high pitch", "rate"]).name
        'only(energy + high pitch)'
        >>> parse_condition("masked(1.0)@reversed").name
        'masked(1) @ reversed'
    """
    concepts = read_scheme().names if concepts is None else concepts
    if AT.strip() in text:
        tokens, heard = parts_heard(text)
        refuse_unknown(f"condition {text!r}: audio", [heard], AUDIO_VARIANTS)
        own = parse_condition(tokens, concepts)
        if heard == OWN:
            return own
        return replace(
            own,
            name=f"{own.name}{AT}{heard}",
            description=f"{own.description}; heard is {AUDIO_VARIANTS[heard].description}",
        )
    name, inside = parts_of(text)
    if name in _PLAIN:
        if inside is not None:
            raise InputError(f"condition {text!r}: {name} takes no parameter")
        return _PLAIN[name]
    if name in _DOSES:
        return _DOSES[name](_probability(str(text), name, inside))
    if name in _OF_CONCEPTS:
        return _of_concepts(str(text), name, inside, concepts)
    raise unknown("condition", text, condition_names())


def is_ours(name: str) -> bool:
    """Whether a condition is written as one of ours, whatever its dose and concepts.

    Examples:
        >>> [name for name in ("masked(1)", "aligned @ silent", "without") if is_ours(name)]
        ['masked(1)', 'aligned @ silent']
    """
    tokens = parts_heard(name)[0]
    family, dose, concepts = told_by_name(tokens)
    return (
        tokens in _PLAIN
        or (family in _DOSES and not np.isnan(dose))
        or (family in _OF_CONCEPTS and bool(concepts))
    )


def parse_conditions(
    texts: Sequence[str | Condition], concepts: Sequence[str] | None = None
) -> list[Condition]:
    """All conditions of a study, each once; conditions of one's own are taken as they are.

    Two words stand for several conditions: ``only(each)``, ``without(each)`` and ``flip(each)``
    for one condition per concept, and ``only(any)`` for every subset of the concepts that is
    neither empty nor complete (62 subsets of six concepts).

    Args:
        texts: names, or conditions
        concepts: names of all concepts, in their order; by default those of the scheme ``paper``

    Raises:
        InputError: if there is none, if one is unknown, or if one stands twice

    Examples:
        >>> [condition.name for condition in parse_conditions(["none", "masked(1.0)"])]
        ['none', 'masked(1)']
        >>> [c.name for c in parse_conditions(["flip(each)"], ["energy", "pitch"])]
        ['flip(energy)', 'flip(pitch)']
        >>> len(parse_conditions(["none", "only(any)", "aligned"]))
        64
    """
    concepts = read_scheme().names if concepts is None else concepts
    texts = [name for text in texts for name in _written_out(text, concepts)]
    conditions = [t if isinstance(t, Condition) else parse_condition(t, concepts) for t in texts]
    names = [condition.name for condition in conditions]
    if not names:
        raise InputError(f"conditions: found none, valid are {', '.join(condition_names())}")
    for name in names:
        if names.count(name) > 1:
            spelt = [
                repr(getattr(text, "name", text))
                for text, parsed in zip(texts, names, strict=True)
                if parsed == name
            ]
            raise InputError(f"conditions: {name} stands twice, as {' and '.join(spelt)}")
    return conditions


def crossed(names: Sequence[str], audio: Sequence[str]) -> list[str]:
    """The conditions of a study with those that its audio variants add at the end.

    Args:
        names: names of conditions, as ``parse_conditions`` gives them
        audio: names of ``AUDIO_VARIANTS``

    Returns:
        ``names``, and ``CROSSED``, as far as the study has them, with each variant but ``own``;
        what is there already is not added

    Examples:
        >>> crossed(["none", "shuffled", "aligned"], ["own", "silent"])
        ['none', 'shuffled', 'aligned', 'none @ silent', 'aligned @ silent']
    """
    others = [name for name in audio if name != OWN]
    added = [f"{name}{AT}{heard}" for heard in others for name in CROSSED if name in names]
    return list(dict.fromkeys([*names, *added]))


def shortened(
    names: Sequence[str], concepts: Sequence[str] | None = None, audio: Sequence[str] = ()
) -> list[str]:
    """Conditions as a study file may say them: those that one word stands for as that word.

    Args:
        names: names of conditions, as ``parse_conditions`` gives them
        concepts: names of all concepts, in their order; by default those of the scheme ``paper``
        audio: the audio variants of the study; the conditions that they add are left out

    Returns:
        entries of which ``parse_conditions`` and ``crossed`` make the same conditions in the same
        order

    Examples:
        >>> shortened(["none", "flip(a)", "flip(b)", "flip(c)"], ["a", "b", "c"])
        ['none', 'flip(each)']
    """
    concepts = read_scheme().names if concepts is None else concepts
    given = [name for name in names if parts_heard(name)[1] == OWN]
    short = given if crossed(given, audio) == list(names) else list(names)
    for word in (f"{family}({many})" for many in ("any", "each") for family in _OF_CONCEPTS):
        whole = _written_out(word, concepts)
        if len(whole) < 2:
            continue
        starts = range(len(short) - len(whole) + 1)
        place = next((n for n in starts if short[n : n + len(whole)] == whole), None)
        if place is not None:
            short[place : place + len(whole)] = [word]
    return short


def describe_conditions(
    texts: Sequence[str | Condition],
    material: Material | None = None,
    *,
    seed: int = 0,
    words: Mapping[str, Words] | None = None,
) -> pd.DataFrame:
    """One line per condition, for the report.

    Args:
        texts: names, or conditions
        material: what they will be applied to, if this is to be described, too
        seed: the study's seed
        words: concept to its words; by default those of the material, or of the scheme ``paper``

    Returns:
        DataFrame by ``condition`` with ``what is shown`` and ``random`` (whether replicates
        differ). With a material also, for the first replicate, ``tokens not own``, the share of
        the tokens shown that are not the utterance's own, and ``utterances not own``, the share
        of utterances shown such a token, both in [0, 1] (even exchanged tokens can be equal by
        chance); and ``remarks``: unknown tokens, and utterances to which the condition cannot be
        applied as described

    Raises:
        InputError: if a condition is not valid, or if the material is not enough for it

    Examples:
        >>> describe_conditions(["none"]).loc["none", "what is shown"]
        'no token block: audio alone'
        >>> own = pd.DataFrame({"energy": ["mid", "high"], "pitch": ["high", "unknown"]})
        >>> material = Material(own, ("low", "mid", "high"))
        >>> described = describe_conditions(["masked(1)"], material)
        >>> described.loc["masked(1)", ["tokens not own", "utterances not own"]].tolist()
        [0.75, 1.0]
        >>> described.loc["masked(1)", "remarks"]
        "1 of 4 tokens are 'unknown' and are so without being masked"
    """
    if words is None:
        words = read_scheme().words if material is None else material.words
    conditions = parse_conditions(texts, list(words))
    table = pd.DataFrame(
        {
            "what is shown": [condition.description for condition in conditions],
            "random": [condition.is_random(words) for condition in conditions],
        },
        index=pd.Index([condition.name for condition in conditions], name="condition"),
    )
    if material is None:
        return table
    foreign = [
        # In another form, the utterance's own tokens may be written otherwise.
        _not_own(material.tokens if one.form else one.show(material, seed=seed), material)
        for one in conditions
    ]
    table["tokens not own"] = [float(np.mean(cells)) for cells in foreign]
    table["utterances not own"] = [float(np.mean(cells.max(axis=1))) for cells in foreign]
    table["remarks"] = [condition.remarks(material) for condition in conditions]
    return table


def condition_names() -> list[str]:
    """What a study file may list under ``conditions``."""
    doses = [f"{name}(p)" for name in _DOSES]
    several = [f"{name}(each)" for name in _OF_CONCEPTS]
    return [*_PLAIN, *doses, *(f"{name}(concepts)" for name in _OF_CONCEPTS), *several, "only(any)"]


def condition_facts(table: pd.DataFrame) -> pd.DataFrame:
    """What the conditions in a table are: their family, dose and concepts.

    Predictions say it themselves. Of conditions that a table only names, as ``measures`` does, the
    names of ours tell it (``facts_by_name``).

    Args:
        table: with a column ``condition``, and ``family``, ``dose`` and ``concepts`` where known

    Returns:
        DataFrame by ``condition``, in order of first appearance, with ``family``, ``dose`` (NaN
        without one), ``concepts`` (a tuple of names, empty if it is about none or all of them) and
        ``heard`` (the audio variant)
    """
    if not {"family", "dose", "concepts"} <= set(table):
        return facts_by_name(table["condition"].unique())
    rows = table.drop_duplicates("condition")
    facts = zip(rows["family"], rows["dose"], map(listed_concepts, rows["concepts"]), strict=True)
    return _facts(rows["condition"], list(facts))


def facts_by_name(names: Iterable[str]) -> pd.DataFrame:
    """What the names of conditions say; one that is none of ours is a family of its own.

    Args:
        names: of conditions, each once

    Returns:
        as ``condition_facts``

    Examples:
        >>> facts_by_name(["none", "masked(1e-05)", "only(a + b)"]).values.tolist()
        [['none', nan, (), 'own'], ['masked', 1e-05, (), 'own'], ['only', nan, ('a', 'b'), 'own']]
    """
    names = list(names)
    return _facts(names, list(map(told_by_name, names)))


def doses_of(facts: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Families of conditions that have a dose, such as ``corrupted(p)``.

    One that is only there in full, as ``masked(1)`` by itself, is no matter of dose.

    Args:
        facts: of conditions, as ``condition_facts`` gives them

    Returns:
        family to condition to dose, doses ascending; ``aligned``, if there, is dose 0 of each

    Examples:
        >>> doses_of(facts_by_name(["none", "corrupted(0.5)", "aligned", "corrupted(1e-05)"]))
        {'corrupted': {'aligned': 0.0, 'corrupted(1e-05)': 1e-05, 'corrupted(0.5)': 0.5}}
    """
    own = {"aligned": 0.0} if "aligned" in facts.index else {}
    dosed = facts[facts["dose"].notna() & (facts["heard"] == OWN)]
    dosed = dosed.sort_values("dose", kind="stable")
    partial = set(dosed.loc[dosed["dose"] < 1, "family"])
    return {
        family: own | dosed.loc[dosed["family"] == family, "dose"].to_dict()
        for family in facts["family"].unique()
        if family in partial
    }


def about_concepts(name: str) -> bool:
    """Whether a condition of ours shows, hides or mirrors some of the concepts.

    Examples:
        >>> [name for name in ("aligned", "only(pitch)", "flip(energy)") if about_concepts(name)]
        ['only(pitch)', 'flip(energy)']
    """
    return bool(told_by_name(name)[-1])


def main_conditions(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table for the conditions that keep audio and form, and concern all concepts.

    Args:
        table: with a column ``condition``
    """
    facts = condition_facts(table)
    whole = (facts["concepts"].map(len) == 0) & ~facts["family"].isin(FORMS)
    return with_own_audio(table[table["condition"].isin(facts.index[whole])])


def with_own_audio(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table without those of conditions with other audio.

    Args:
        table: with a column ``condition``
    """
    own = [name for name in table["condition"].unique() if parts_heard(name)[1] == OWN]
    return table[table["condition"].isin(own)]


def is_main(name: str) -> bool:
    """Whether a condition of ours keeps audio and form, and is about no single concept.

    Examples:
        >>> names = ("aligned", "only(pitch)", "aligned @ silent", "prose")
        >>> [name for name in names if is_main(name)]
        ['aligned']
    """
    family, _, concepts = told_by_name(name)
    return parts_heard(name)[1] == OWN and not concepts and family not in FORMS


def few_conditions(names: Sequence[str], most: int = 6) -> list[str]:
    """A few conditions that show what all do: the audio alone, own, others', opposite, no tokens.

    Args:
        names: names of conditions
        most: how many at most; those for which there is room left in the order given

    Returns:
        of ``none``, ``aligned``, ``shuffled``, ``conflicting``, ``masked(1)``, the highest dose of
        each family, and the others, the first ones that are there; in the order given

    Examples:
        >>> names = ["none", "aligned", "constant", "corrupted(0.5)", "corrupted(1)"]
        >>> few_conditions(names, 3), few_conditions(names, 4)
        (['none', 'aligned', 'corrupted(1)'], ['none', 'aligned', 'constant', 'corrupted(1)'])
    """
    highest = [list(doses)[-1] for doses in doses_of(facts_by_name(names)).values()]
    first = ["none", "aligned", "shuffled", "conflicting", "masked(1)", *highest, *names]
    chosen = [name for name in dict.fromkeys(first) if name in names][:most]
    return [name for name in names if name in chosen]


def one_of_each(names: Sequence[str]) -> list[str]:
    """One condition of each kind: of the conditions about concepts, the first of each family.

    Args:
        names: names of conditions

    Examples:
        >>> one_of_each(["none", "only(energy)", "only(pitch)", "flip(energy)", "aligned"])
        ['none', 'only(energy)', 'flip(energy)', 'aligned']
    """
    facts = facts_by_name(names)
    repeated = facts.duplicated(["family", "heard"]) & (facts["concepts"].map(len) > 0)
    return facts.index[~repeated].tolist()


def _facts(
    names: Iterable[str], facts: Sequence[tuple[str, float, tuple[str, ...]]]
) -> pd.DataFrame:
    index = pd.Index(list(names), dtype="str", name="condition")
    table = pd.DataFrame(facts, index, columns=["family", "dose", "concepts"])
    return table.assign(heard=[parts_heard(name)[1] for name in index])


def _written_out(text: str | Condition, concepts: Sequence[str]) -> list[str | Condition]:
    """The conditions that one entry of a study's list stands for."""
    if isinstance(text, Condition):
        return [text]
    family, inside = parts_of(text)
    many = (inside or "").strip()
    if many not in ("each", "any") or family not in _OF_CONCEPTS:
        return [text]
    largest = len(concepts) - 1 if many == "any" else 1
    subsets = (part for size in range(1, largest + 1) for part in combinations(concepts, size))
    return [f"{family}({PLUS.join(subset)})" for subset in subsets]


def _probability(text: str, name: str, inside: str | None) -> float:
    try:
        value = float(inside or "")
    except ValueError:
        value = float("nan")
    if not 0 <= value <= 1:
        raise InputError(f"condition {text!r}: valid is {name}(p) with p from 0 to 1")
    # What the name says is what is done; and zero has no sign.
    return abs(float(f"{value:g}"))


def _of_concepts(text: str, name: str, inside: str | None, concepts: Sequence[str]) -> Condition:
    chosen = [" ".join(part.split()) for part in (inside or "").split("+")]
    for concept in chosen:
        if concept not in concepts:
            raise InputError(
                f"condition {text!r}: {unknown('concept', concept, concepts)}; "
                f"several are joined by +, none at all is the condition masked(1)"
            )
        if chosen.count(concept) > 1:
            raise InputError(f"condition {text!r}: {concept} stands twice")
    if len(chosen) < len(concepts):
        return _OF_CONCEPTS[name]([concept for concept in concepts if concept in chosen])
    if name == "without":
        return changes.masked(1)
    return _PLAIN[{"only": "aligned", "flip": "conflicting"}[name]]


def _not_own(shown: pd.DataFrame | None, material: Material) -> np.ndarray:
    """Which of the tokens shown are not the utterance's own; NaN where none is shown."""
    if shown is None:
        return np.full((len(material.tokens), 1), np.nan)
    own = material.tokens.reindex(columns=shown.columns)
    return (shown.to_numpy() != own.to_numpy()).astype(float)
