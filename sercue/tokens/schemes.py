"""Schemes: which concepts there are, what each is made of, and its words, read from a file."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from sercue.errors import InputError
from sercue.options import MOST_BYTES, Options, checked, line_of, plain_yaml
from sercue.storage.files import existing_path
from sercue.tokens.concepts import Category, Concept, Words

#: The scheme of a study that names none.
DEFAULT = "paper"
_FOLDER = Path(__file__).resolve().parents[1] / "schemes"
_Scale = dict[Literal[3, 5], list[Annotated[str, Field(min_length=1, max_length=60)]]]


class _Entry(Options):
    """One concept of a file: features of an ordinal one, measures and rules of a nominal one."""

    features: dict[str, Literal[1, -1]] | None = Field(None, min_length=1)
    words: _Scale | None = None
    by_sex: bool = False
    measures: dict[str, str] | None = None
    rules: dict[str, str] | None = None
    otherwise: str | None = None
    draw: list[str] = Field([])
    opposites: dict[str, str] = Field({})

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> _Entry:
        nominal = (self.measures, self.rules, self.otherwise)
        if (self.features is None) == (None in nominal) or (self.features and any(nominal)):
            raise ValueError("valid are either features, or measures, rules and otherwise")
        return self


class _File(Options):
    """The keys of a scheme file."""

    about: str = ""
    standardise: Literal["robust", "mean"] = "robust"
    bins: Literal[3, 5] = 3
    words: _Scale
    middle: Literal["itself", "extremes"] = "extremes"
    concepts: dict[Annotated[str, Field(pattern=r"^[^+()=]+$", max_length=60)], _Entry] = Field(
        min_length=1
    )


@dataclass(frozen=True)
class Scheme:
    """Concepts in the order in which prompts show them, and how they are made.

    Attributes:
        name: of the file, without its ending
        concepts: the concepts
        about: one line on its origin
        standardise: ``"robust"`` (median, interquartile range / 1.349) or ``"mean"`` (mean,
            standard deviation), of the training utterances
        text: the whole file, with the reasons that stand in it
    """

    name: str
    concepts: tuple[Concept | Category, ...]
    about: str = ""
    standardise: str = "robust"
    text: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the concepts."""
        return tuple(concept.name for concept in self.concepts)

    @property
    def bins(self) -> int:
        """The number of bins of its ordinal concepts; 0 if it has none."""
        return next((c.bins for c in self.concepts if isinstance(c, Concept)), 0)

    @property
    def columns(self) -> list[str]:
        """The columns of the features that the concepts need, each once."""
        return list(dict.fromkeys(c for concept in self.concepts for c in concept.columns))

    @property
    def words(self) -> dict[str, Words]:
        """The words of each concept."""
        return {concept.name: concept.words for concept in self.concepts}

    @property
    def digest(self) -> str:
        """A short hash of all that makes tokens; comments do not count.

        Examples:
            >>> read_scheme("paper").digest == read_scheme("paper", bins=3).digest
            False
        """
        made = repr((self.concepts, self.standardise))
        return hashlib.blake2b(made.encode(), digest_size=8).hexdigest()

    def __repr__(self) -> str:
        return f"Scheme({self.name!r}: {', '.join(self.names)})"


def shipped_schemes() -> dict[str, Path]:
    """The scheme files that come with the package, by name.

    Examples:
        >>> sorted(shipped_schemes())
        ['paper', 'sercue']
    """
    return {file.stem: file for file in sorted(_FOLDER.glob("*.yaml"))}


def read_scheme(
    scheme: str | Path = DEFAULT,
    *,
    bins: int | None = None,
    columns: tuple[str, ...] | None = None,
) -> Scheme:
    """Read a scheme of tokens.

    Args:
        scheme: name of a shipped scheme, or a file of your own: a relative path is looked for
            in the current folder, then in that of the project
        bins: number of bins in place of that of the file: 3 or 5
        columns: the available features, such as ``feature_columns()``; concepts may be made of
            these only. By default all names are accepted.

    Raises:
        InputError: if the file does not exist, naming each place that was searched; if it cannot be
            read, or uses a feature that does not exist, naming the line, what was found and what is
            valid

    Examples:
        >>> read_scheme("paper").words["BRIGHTNESS"].each
        ('VERY_DARK', 'DARK', 'MID', 'BRIGHT', 'VERY_BRIGHT')
        >>> read_scheme("papr")
        Traceback (most recent call last):
        ...
        sercue.errors.InputError: scheme: found 'papr', valid are paper, sercue, or a file (*.yaml)
    """
    shipped = shipped_schemes()
    if str(scheme) not in shipped and Path(scheme).suffix not in (".yaml", ".yml"):
        raise InputError(
            f"scheme: found {str(scheme)!r}, valid are {', '.join(shipped)}, or a file (*.yaml)"
        )
    try:
        file = shipped.get(str(scheme)) or existing_path(scheme, "scheme")
        with file.open("rb") as opened:
            text = opened.read(MOST_BYTES + 1).decode("utf-8")
    except InputError:
        raise
    # A name with a zero byte in it is a ValueError, as is a text that is not UTF-8.
    except (OSError, ValueError) as error:
        raise InputError(f"scheme: {scheme} cannot be read: {error}") from None
    return _parsed(text, Path(scheme).stem, str(shipped.get(str(scheme), scheme)), bins, columns)


def concepts_of(scheme: str) -> tuple[str, ...]:
    """The concepts of a shipped scheme; none of a file of one's own, which may not be at hand.

    Examples:
        >>> concepts_of("sercue")[:2], concepts_of("mine.yaml")
        (('energy', 'pitch'), ())
    """
    return read_scheme(scheme).names if scheme in shipped_schemes() else ()


@lru_cache(maxsize=64)
def _parsed(
    text: str, name: str, source: str, bins: int | None, columns: tuple[str, ...] | None
) -> Scheme:
    try:
        values = plain_yaml(text)
    except InputError as error:
        raise InputError(f"scheme: {source}: {error}") from None
    if not isinstance(values, Mapping):
        kind = type(values).__name__
        raise InputError(f"scheme: {source}: found a {kind}, valid is a mapping of scheme keys")
    held = checked(_File, values, "scheme key", f"scheme: {source}", text=text)
    concepts = tuple(
        _concept(held, key, entry, f"{source}, line {line_of(text, ['concepts', key])}")
        for key, entry in held.concepts.items()
    )
    if columns is not None:
        for concept in concepts:
            place = f"{source}, line {line_of(text, ['concepts', concept.name])}"
            _check_columns(concept, columns, place)
    if not any(isinstance(concept, Concept) for concept in concepts):
        raise InputError(
            f"scheme: {source}: concepts: found {', '.join(held.concepts)}, none with features; "
            "valid is at least one ordinal concept"
        )
    if bins is not None:
        concepts = tuple(concept.with_bins(bins) for concept in concepts)
    return Scheme(name, concepts, held.about, held.standardise, text)


def _concept(held: _File, name: str, entry: _Entry, place: str) -> Concept | Category:
    try:
        if entry.features is None:
            return Category(
                name,
                entry.measures or {},
                entry.rules or {},
                entry.otherwise or "",
                tuple(entry.draw),
                entry.opposites,
                entry.by_sex,
            )
        scales = {int(n): tuple(words) for n, words in (held.words | (entry.words or {})).items()}
        for number, words in scales.items():
            if len(set(words)) != number:
                raise InputError(
                    f"words: found {', '.join(words)}, valid are {number} different ones"
                )
        concept = Concept(name, entry.features, held.bins, scales, held.middle, entry.by_sex)
        return concept.with_bins(held.bins)
    except InputError as error:
        raise InputError(f"scheme: {place}: concepts.{name}: {error}") from None


def _check_columns(concept: Concept | Category, columns: tuple[str, ...], place: str) -> None:
    for name in concept.columns:
        if name in columns:
            continue
        # Of what stands in a rule, a measure may be meant.
        meant = [*getattr(concept, "measures", ()), *columns]
        near = " or ".join(map(repr, difflib.get_close_matches(name, meant, n=3)))
        raise InputError(
            f"scheme: {place}: concepts.{concept.name}: found feature {name!r}, "
            + f"did you mean {near}? " * bool(near)
            + "valid are functionals of eGeMAPSv02 by their names in openSMILE, means of its "
            "descriptors, voiced_share and voiced_frames"
        )
