"""YAML as plain data: texts, numbers, truths, nulls, lists and mappings, and where each stands."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import yaml
from yaml.constructor import BaseConstructor, ConstructorError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from sercue.errors import InputError

#: Size of the largest study file, in bytes; a large one has two or three thousand.
MOST_BYTES = 32_768
_DEEPEST = 20
# Python refuses to read numbers of thousands of digits, and is slow before that.
_LONGEST_NUMBER = 40
_LONGEST_MESSAGE = 200
_SCALARS = ("null", "bool", "int", "float")
_PREFIX = "tag:yaml.org,2002:"


class _PlainLoader(yaml.SafeLoader):
    """YAML with texts, numbers, truths, nulls, lists and mappings.

    A key that stands twice, an alias and a tag are errors: of the first, one value would be lost
    unseen; with aliases, a small file stands for data without end.
    """

    depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            problem = f"found the alias *{event.anchor}, valid is the value itself"
            raise _refused(problem, event)
        if self.depth == _DEEPEST:
            problem = f"found more than {_DEEPEST} levels, one in another"
            raise _refused(problem, event)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, ScalarNode):
                problem = "found a list or mapping as a key, valid is a text"
                raise _refused(problem, key)
            if key.value in seen:
                problem = f"found the key {key.value!r} twice, valid is once"
                raise _refused(problem, key)
            seen.add(key.value)
        return BaseConstructor.construct_mapping(self, node, deep=deep)


def _refused(problem: str, where: Any) -> ConstructorError:
    return ConstructorError(None, None, problem, where.start_mark)


def _refuse_tag(loader: _PlainLoader, node: Node) -> None:
    problem = f"found the tag {node.tag!r}, valid is plain data without a tag"
    raise _refused(problem, node)


def _scalar(kind: str) -> Callable[[_PlainLoader, ScalarNode], Any]:
    construct = yaml.SafeLoader.yaml_constructors[_PREFIX + kind]

    def checked(loader: _PlainLoader, node: ScalarNode) -> Any:
        if len(node.value) > _LONGEST_NUMBER:
            problem = f"found {len(node.value)} digits, valid are up to {_LONGEST_NUMBER}"
            raise _refused(problem, node)
        try:
            return construct(loader, node)
        # What yaml's own constructors raise of `0x_` or `!!bool perhaps`.
        except (ValueError, KeyError, IndexError):
            problem = f"found {node.value!r}, which is not of the kind {kind}"
            raise _refused(problem, node) from None

    return checked


# Dates and the like stay the texts that they are: no study key takes anything else.
_PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in known if tag.removeprefix(_PREFIX) in _SCALARS]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_PlainLoader.yaml_constructors = (
    {_PREFIX + kind: _scalar(kind) for kind in _SCALARS}
    | {
        tag: yaml.SafeLoader.yaml_constructors[tag]
        for tag in (_PREFIX + kind for kind in ("str", "seq", "map"))
    }
    | {None: _refuse_tag}
)


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
