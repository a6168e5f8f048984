"""Malformed study files: each is told its place or key, what was found, and what is valid."""

import pytest

from sercue.cli import _assignment
from sercue.errors import InputError
from sercue.settings import read_study

NESTED = "[" * 500 + "]" * 500
LAUGHS = b"corpus_options:\n  a: &a [x, x]\n" + b"".join(
    b"  %c: &%c [*%c, *%c]\n" % (i, i, i - 1, i - 1) for i in range(ord("b"), ord("z") + 1)
)
UNREADABLE = "cannot be read as a study file: "

#: The file, and what its error must say: the place or key, what was found, what is valid.
FILES = {
    "empty list": (b"[]", ["found a list", "valid is a mapping"]),
    "no UTF-8": (b"study: \xff\xfe", [UNREADABLE, "byte 0xff at place 7", "valid is", "UTF-8"]),
    "UTF-16": ("study: a".encode("utf-16"), [UNREADABLE, "byte 0xff at place 0", "UTF-8"]),
    "zero byte": (b"study: a\x00b", [UNREADABLE, r"'\x00' at place 8"]),
    "two documents": (b"seed: 1\n---\nseed: 2", ["line 2", "found another document"]),
    "unclosed list": (b"labels: [a, b", ["line 1", "expected ',' or ']'"]),
    "tab": (b"labels:\n\t- a", ["line 2, column 1", r"'\t' that cannot start"]),
    "key twice": (b"seed: 1\nbins: 3\nseed: 2", ["line 3", "'seed' twice", "valid is once"]),
    "key twice, within": (b"labels: {a: b, a: c}", ["column 16", "'a' twice", "valid is once"]),
    "list as key": (b"? [a]\n: 1", ["line 1", "a list or mapping as a key", "valid is a text"]),
    "an object": (
        b"study: !!python/object/apply:os.system ['true']",
        ["line 1", "python/object/apply:os.system", "valid is plain data"],
    ),
    "bytes": (b"study: !!binary aGVsbG8=", ["tag:yaml.org,2002:binary", "valid is plain data"]),
    "alias to itself": (b"labels: &a [*a]", ["column 13", "the alias *a", "valid is the value"]),
    "billion laughs": (LAUGHS, ["line 3", "the alias *a", "valid is the value itself"]),
    "merge key": (b"<<: {seed: 1}", ["unknown study key '<<'", "Valid are"]),
    "deep nesting": (f"corpus_options: {{a: {NESTED}}}".encode(), ["more than 20 levels"]),
    "5,000 digits": (b"seed: " + b"9" * 5000, ["line 1, column 7", "5000 digits", "up to 40"]),
    "hexadecimal nothing": (b"seed: 0x_", ["line 1, column 7", "'0x_'", "int"]),
    "escape beyond Unicode": (b'study: "\\UFFFFFFFF"', [UNREADABLE, "stands for nothing"]),
    "too large": (b"# " + b"x" * 40_000, [UNREADABLE, "32,768 bytes", "valid"]),
    "surrogate": (b'out: "a\\ud800"', ["out: ", r"'\ud800'", "which no text has"]),
    "escaped zero byte": (b'out: "a\\0b"', ["out: ", r"'\x00'", "which no text has"]),
    "no number": (b"margin: .nan", ["margin: found nan", "valid are finite numbers"]),
    "no number, deep": (
        b"corpus_options: {a: [1, .inf]}",
        ["corpus_options: a[1] is inf", "valid are finite numbers"],
    ),
    "date": (b"seed: 2026-01-01", ["seed: found '2026-01-01'", "valid integer"]),
    "truth for text": (b"labels: [yes, no]", ["labels: found True", "valid string"]),
    "number as key": (b"labels: {1: one}", ["labels: found {1: 'one'}", "valid are texts: put it"]),
    "large seed": (b"seed: 4294967296", ["seed: found 4294967296", "less than 4294967296"]),
    "huge number": (b"limit: 0x" + b"f" * 30, ["limit: ", "120 bits", "valid are up to 63"]),
    "long study name": (b"study: " + b"a" * 101, ["study: found 'aaa", "at most 100 bytes"]),
    "study name that climbs": (b"study: ../x", ["study: found '../x'", "valid is a folder name"]),
    "study name of points": (b"study: ..", ["study: found '..'", "valid is a folder name"]),
    "no folder": (b"out: ''", ["out: found ''", "valid is a text that is not empty"]),
    "nobody's home": (b"out: ~nobody-of-this-name/x", ["out: found '~nobody", "no home folder"]),
    "no labels": (b"labels: []", ["labels: found []", "valid are one or more labels"]),
    "empty words": (b"labels: {a: x, b: ' '}", ["labels: found", "words that are not empty"]),
    "label twice": (b"labels: [sad, Sad]", ["labels: found ['sad', 'Sad']", "words of their own"]),
    "option that is a key": (
        b"corpus_options: {labels: [a]}",
        ["corpus_options: 'labels' is a study key of its own", "sercue corpora"],
    ),
    "long value": (b"device: " + b"x" * 9000, ["device: found 'xxx", "valid are auto, cpu"]),
    "long condition": (b"conditions: [" + b"x" * 9000 + b"]", ["conditions: ", "200 characters"]),
    "long key": (b"x" * 900 + b": 1", ["unknown study key 'xxx", "Valid are: study"]),
    "key in the options": (
        b"model_options: {api_key: sk-0123456789}",
        ["model_options: 'api_key'", "not shown here", "OPENAI_API_KEY"],
    ),
    "password in a URL": (
        b"model_options: {base_url: 'http://me:sk-0123456789@host/v1'}",
        ["model_options: base_url: found a user, a password or a query", "valid is http://HOST"],
    ),
    "key for its variable": (
        b"model_options: {key_variable: sk-0123456789}",
        ["model_options: key_variable: found what names no", "valid is a name such as OPENAI"],
    ),
}


@pytest.mark.parametrize(("content", "told"), FILES.values(), ids=FILES)
def test_a_malformed_study_is_told_where_what_and_what_is_valid(content, told, tmp_path):
    file = tmp_path / "study.yaml"
    file.write_bytes(content)
    with pytest.raises(InputError) as error:
        read_study(file)
    message = str(error.value)
    assert message.startswith(f"{file}: ")
    assert [part for part in told if part not in message] == []
    # One can read it in a terminal, and send it to a colleague.
    assert len(message.splitlines()) == 1
    assert len(message) < 1000
    assert "sk-0123456789" not in message


@pytest.mark.parametrize("name", ["a\0b", "x" * 300, ".", "/dev/zero"])
def test_a_file_that_is_none_is_told_by_its_name(name, tmp_path):
    """The last is a device that has no end."""
    with pytest.raises(InputError) as error:
        read_study(tmp_path / name)
    assert UNREADABLE in str(error.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("seed", "--set: found 'seed', valid is KEY=VALUE"),
        ("=1", "--set: found '=1', valid is KEY=VALUE"),
        ("labels=[a", "--set labels: '[a' is not valid YAML: line 1"),
        ("labels={a: 1, a: 2}", "found the key 'a' twice"),
        ("out=&a [*a]", "found the alias *a"),
        ("seed=0x_", "--set seed: '0x_' is not valid YAML"),
        ("seed=" + "9" * 5000, "found 5000 digits"),
        ("study=!!python/name:os.system", "valid is plain data without a tag"),
        ("limit=" + "[" * 400, "more than 20 levels"),
        ("study=\udcff", "--set study: '\\udcff' is not valid YAML"),
    ],
)
def test_a_malformed_assignment_is_told_by_its_key(text, told):
    with pytest.raises(InputError) as error:
        _assignment(text)
    assert told in str(error.value)
    assert len(str(error.value)) < 500
