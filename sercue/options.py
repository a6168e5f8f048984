"""What users may set: plain data, YAML that holds nothing else, and models of pydantic.

Errors name the place of what is not valid, what was found and what is valid.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from yaml.constructor import BaseConstructor, ConstructorError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from sercue.errors import InputError, shortened, unknown

#: Size of the largest study file, in bytes; a large one has two or three thousand.
MOST_BYTES = 32_768
_DEEPEST = 20
# Python refuses to read numbers of thousands of digits, and is slow before that.
_LONGEST_NUMBER = 40
_LONGEST_MESSAGE = 200
_SCALARS, _OTHERS = ("null", "bool", "int", "float"), ("str", "seq", "map")
_PREFIX = "tag:yaml.org,2002:"
_MOST_ENTRIES = 10_000
_LONGEST_TEXT = 10_000
_BITS = 63
_VALID = "valid are texts, numbers, true and false, null, lists, and mappings with texts as keys"
# Control characters but tab and line ends, and halves of a pair, which UTF-8 has no bytes for.
_NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


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


def check_plain(value: Any) -> None:
    """Refuse what cannot be written to notebooks, JSON and Parquet and read back the same.

    Texts are not repeated in the error: in the options of a model, one may be a key.

    Args:
        value: of one key of a study

    Raises:
        ValueError: naming the place within the value, what was found and what is valid

    Examples:
        >>> check_plain({"speakers": [6, 7.5, None, True, "all"]})
        >>> check_plain({"speakers": [6, float("nan")]})
        Traceback (most recent call last):
        ...
        ValueError: speakers[1] is nan, valid are finite numbers
    """
    waiting, entries = [(value, "", 0)], 0
    # Not by recursion: lists that hold themselves have no end.
    while waiting:
        held, place, depth = waiting.pop()
        entries += 1
        if depth > _DEEPEST:
            problem: str | None = f"lies below {_DEEPEST} others, valid are fewer"
        elif entries > _MOST_ENTRIES:
            problem = f"is one of more than {_MOST_ENTRIES:,} values"
        else:
            problem = _no_plain_value(held)
        if problem:
            raise ValueError(f"{place.removeprefix('.')} {problem}".strip())
        if isinstance(held, dict):
            waiting += [(inner, f"{place}.{key[:40]}", depth + 1) for key, inner in held.items()]
        elif isinstance(held, list):
            waiting += [(inner, f"{place}[{i}]", depth + 1) for i, inner in enumerate(held)]


def _no_plain_value(value: Any) -> str | None:
    """What is wrong with a value, or with a key of it, but for the values that it holds."""
    if isinstance(value, str):
        return _problem_of_text(value)
    if isinstance(value, int):
        large = value.bit_length() > _BITS
        return f"is a number of {value.bit_length()} bits, valid are up to {_BITS}" * large or None
    if isinstance(value, float):
        return None if math.isfinite(value) else f"is {value}, valid are finite numbers"
    if isinstance(value, dict):
        return next(filter(None, map(_problem_of_key, value)), None)
    known = value is None or isinstance(value, list)
    return None if known else f"is a {type(value).__name__}, {_VALID}"


def _problem_of_key(key: Any) -> str | None:
    if not isinstance(key, str):
        kind = type(key).__name__
        return f"has the key {key!r:.40}, a {kind}; valid are texts: put it in quotes"
    problem = _problem_of_text(key)
    return f"has a key that {problem}" if problem else None


def _problem_of_text(text: str) -> str | None:
    if len(text) > _LONGEST_TEXT:
        return f"has {len(text):,} characters, valid are up to {_LONGEST_TEXT:,}"
    found = _NO_TEXT.search(text)
    return f"holds the character {found[0]!r}, which no text has" if found else None


def home_written_out(path: str) -> str:
    """A path whose ``~`` is the home folder that it stands for.

    Raises:
        ValueError: if there is no such user
    """
    try:
        return str(Path(path).expanduser()) if path.startswith("~") else path
    except RuntimeError:
        raise ValueError("valid is a path; of this user there is no home folder") from None


class _PlainLoader(yaml.SafeLoader):
    """YAML with texts, numbers, truths, nulls, lists and mappings.

    A key that stands twice, an alias and a tag are errors: of the first, one value would be lost
    unseen; with aliases, a small file stands for data without end.
    """

    depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            raise _refused(f"found the alias *{event.anchor}, valid is the value itself", event)
        if self.depth == _DEEPEST:
            raise _refused(f"found more than {_DEEPEST} levels, one in another", event)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, ScalarNode):
                raise _refused("found a list or mapping as a key, valid is a text", key)
            if key.value in seen:
                raise _refused(f"found the key {key.value!r} twice, valid is once", key)
            seen.add(key.value)
        return BaseConstructor.construct_mapping(self, node, deep=deep)


def _refused(problem: str, where: Any) -> ConstructorError:
    return ConstructorError(None, None, problem, where.start_mark)


def _refuse_tag(loader: _PlainLoader, node: Node) -> None:
    raise _refused(f"found the tag {node.tag!r}, valid is plain data without a tag", node)


def _scalar(kind: str) -> Callable[[_PlainLoader, ScalarNode], Any]:
    construct = yaml.SafeLoader.yaml_constructors[_PREFIX + kind]

    def checked(loader: _PlainLoader, node: ScalarNode) -> Any:
        if len(node.value) > _LONGEST_NUMBER:
            found = f"{len(node.value)} digits"
            raise _refused(f"found {found}, valid are up to {_LONGEST_NUMBER}", node)
        try:
            return construct(loader, node)
        # What yaml's own constructors raise of `0x_` or `!!bool perhaps`.
        except (ValueError, KeyError, IndexError):
            raise _refused(f"found {node.value!r}, which is not of the kind {kind}", node) from None

    return checked


# Dates and the like stay the texts that they are: no study key takes anything else.
_PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in known if tag.removeprefix(_PREFIX) in _SCALARS]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_PlainLoader.yaml_constructors = {
    **{_PREFIX + kind: _scalar(kind) for kind in _SCALARS},
    **{_PREFIX + kind: yaml.SafeLoader.yaml_constructors[_PREFIX + kind] for kind in _OTHERS},
    None: _refuse_tag,
}


def plain_yaml(text: bytes | str) -> Any:
    r"""What a YAML document holds: texts, numbers, truths, nulls, lists and mappings.

    Args:
        text: the document; bytes are UTF-8

    Raises:
        InputError: in one line, with the place in the text, if it is not such a document: also of
            a key that stands twice, an alias, a tag of another kind, more than 20 levels, a number
            of more than 40 digits, or more than 32,768 bytes

    Examples:
        >>> plain_yaml("{a: [1, 2.5, yes, null], date: 2026-01-01}")
        {'a': [1, 2.5, True, None], 'date': '2026-01-01'}
        >>> plain_yaml("a: 1\na: 2")
        Traceback (most recent call last):
        ...
        sercue.errors.InputError: line 2, column 1: found the key 'a' twice, valid is once
    """
    if len(text) > MOST_BYTES:
        raise InputError(f"found more than {MOST_BYTES:,} bytes, valid are fewer")
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        return yaml.load(text, Loader=_PlainLoader)
    except UnicodeDecodeError as error:
        raise InputError(
            f"found the byte 0x{error.object[error.start]:02x} at place {error.start}, valid is "
            "text in UTF-8"
        ) from None
    # Of escapes such as "\UFFFFFFFF" yaml raises what Python does.
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise InputError(_told(error)) from None


def _told(error: Exception) -> str:
    """A message of yaml on one line, without the piece of the file that it quotes."""
    if isinstance(error, yaml.reader.ReaderError):
        return f"found the character {chr(int(error.character))!r} at place {error.position}"
    if not isinstance(error, yaml.MarkedYAMLError):
        return _one_line(f"found an escape or a version that stands for nothing ({error})")
    mark = error.problem_mark or error.context_mark
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    context = f" ({error.context})" if error.context else ""
    return place + _one_line(f"{error.problem}{context}")


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]} ..."


def line_of(text: str, place: Sequence[str | int]) -> int:
    r"""The line, from 1, of an entry of a document; of the innermost one that is there.

    Args:
        text: the document, as ``plain_yaml`` reads it
        place: keys of mappings and positions in lists, from the outermost

    Examples:
        >>> line_of("a: 1\nb:\n  - x\n  - y: 2", ["b", 1, "y"])
        4
    """
    node = yaml.compose(text, Loader=_PlainLoader)
    line = 0
    for step in place:
        if isinstance(node, MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(step)]
            if not found:
                break
            line, node = found[0][0].start_mark.line, found[0][1]
        elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line
        else:
            break
    return line + 1
