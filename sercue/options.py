"""What users may set: models of pydantic, and the errors for a value that is not valid."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from sercue.errors import InputError, shortened, unknown
from sercue.plain_yaml import line_of


class Options(BaseModel):
    """Keys that users may set, and no others.

    Values are not converted: the text "no" is not false, and true is not 1. Errors do not repeat
    the value of a field with ``repr=False``: it may hold a secret.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=()
    )

    @classmethod
    def names(cls) -> list[str]:
        """All keys, first those that only this kind of options has."""
        return sorted(cls.model_fields, key=lambda key: key not in cls.__annotations__)


_Model = TypeVar("_Model", bound=Options)


def checked(
    kind: type[_Model],
    values: Mapping[str, Any],
    what: str,
    source: str,
    sources: Mapping[str, str] | None = None,
    text: str | None = None,
) -> _Model:
    """Values as an object of their kind.

    Args:
        kind: which keys there are, and what is valid for each
        values: key to value
        what: what errors call a key that there is not
        source: where the values come from; errors begin with it
        sources: key to how errors begin of keys from elsewhere, as ``--set seed``
        text: the YAML document that holds the values; errors then name the line and the whole place

    Raises:
        InputError: a line per key, naming the key, what was found and what is valid

    Examples:
        >>> class Noise(Options):
        ...     level: int = 0
        >>> checked(Noise, {"level": 3}, "option of noise", "corpus_options").level
        3
        >>> checked(Noise, {"level": "3"}, "option of noise", "corpus_options")
        Traceback (most recent call last):
        ...
        sercue.errors.InputError: corpus_options: level: found '3'; Input should be a valid integer
        >>> checked(Noise, {"leval": 3}, "option of noise", "corpus_options")
        Traceback (most recent call last):
        ...
        sercue.errors.InputError: corpus_options: unknown option of noise 'leval': did you mean \
'level'? Valid are: level
    """
    sources = sources or {}
    for key in values:
        # Not by pydantic: of a key that is no text, or none that UTF-8 can hold, it tells less.
        if key not in kind.model_fields:
            where = source if text is None else f"{source}, line {line_of(text, [str(key)])}"
            raise InputError(f"{sources.get(key, where)}: {unknown(what, key, kind.names())}")
    try:
        return kind(**values)
    except ValidationError as error:
        told: dict[str, str] = {}
        for problem in error.errors(include_url=False):
            key = str(problem["loc"][0]) if problem["loc"] else ""
            place = sources.get(key, f"{source}: {key}" if key else source)
            if text is not None and key:
                steps = [step for step in problem["loc"] if step != "[key]"]
                place = f"{source}, line {line_of(text, steps)}: {'.'.join(map(str, steps))}"
            shown = not key or kind.model_fields[key].repr
            told.setdefault(key, f"{place}: {_problem(dict(problem), shown)}")
        raise InputError("\n".join(told.values())) from None


def _problem(problem: dict[str, Any], shown: bool) -> str:
    value, message = problem["input"], problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "literal_error" and isinstance(value, str):
        valid = re.findall("'(.*?)'", problem["ctx"]["expected"])
        near = get_close_matches(value[:200], valid, n=1, cutoff=0.5)
        message = f"did you mean {near[0]!r}? {message}" if near else message
    if problem["type"] == "value_error" and (not shown or not problem["loc"]):
        return message
    found = shortened(value) if shown else f"a {type(value).__name__}"
    return f"found {found}; {message}"
