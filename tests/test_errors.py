"""Messages: whatever foreign text goes into one, it can be read in a terminal."""

import pickle

import pytest

from sercue.errors import DecodingError, InputError, ServerError, StorageError, shortened

KINDS = [InputError, DecodingError, ServerError, StorageError]
LONG = "x" * 1_000_000
PROSE = "labels: valid are words that no other label has, see the study file. " * 5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "foreign",
    [repr(LONG), LONG, f"({' '.join('abc' for _ in range(10_000))})", f'"{LONG} y"'],
    ids=["quoted", "as it is", "a library's message", "quoted, with a space"],
)
def test_a_message_quotes_some_200_characters(kind, foreign):
    message = str(kind(f"labels: found {foreign}; valid is another"))
    assert message.startswith("labels: found ")
    assert message.endswith("; valid is another")
    assert len(message) < 14 + 220 + 18


def test_a_message_has_a_limit_in_lines_and_columns():
    lines = str(InputError("\n".join(["a b " * 10_000] * 1000))).splitlines()
    assert len(lines) == 41
    assert lines[-1] == "... and 960 further lines"
    assert max(map(len, lines)) == 1500


def test_prose_of_this_package_stays_whole():
    assert str(InputError(PROSE)) == PROSE
    assert str(InputError("5\u202f% of the model's words, 'Ärger', '怒り'")).count("\\") == 0


@pytest.mark.parametrize(
    ("sign", "written"),
    [("\x1b", r"\x1b"), ("\r", r"\r"), ("\u202e", r"\u202e"), ("\udcff", r"\udcff")],
    ids=["escape", "carriage return", "right to left", "lone surrogate"],
)
def test_what_does_not_print_is_written_as_python_does(sign, written):
    assert str(InputError(f"found a{sign}b")) == f"found a{written}b"


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_that_is_sent_by_a_worker_says_the_same(kind):
    error = kind(f"labels: found {LONG}")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (kind, str(error))


def test_a_long_value_is_quoted_by_its_ends():
    """Eight texts of 100 characters in each of eight lists are 6,400."""
    assert len(shortened([[LONG] * 9] * 9)) == 200
    assert len(shortened({LONG: {LONG: LONG}})) == 200
