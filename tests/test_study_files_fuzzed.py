"""Anything at all as a study file: settings that work, or one clear error, and nothing else."""

import json
import tracemalloc

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from papermill.translators import translate_parameters

from sercue.cli import _assignment
from sercue.errors import InputError
from sercue.privacy import shareable, without_private_paths
from sercue.settings import Settings, read_study, run_folder, settings_from
from sercue.tokens.catalogue import parse_conditions
from sercue.tokens.prompts import resolve_templates

LONGEST = 4000  # of a message; all keys wrong at once make some thirty lines
MOST_BYTES = 20e6  # of memory that a small file may take
few = settings(
    max_examples=150,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

keys = st.sampled_from(sorted(Settings.model_fields))
atoms = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**31, 2**63, -(2**64), 10**400, 3.0, 0.5, -0.0, float("nan"), 1e308])
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["\ud800", "a\0b", "x" * 5000, "../x", "~", "~root/x", "~nobody-at-all", "",
                       "hf:", "hf:~/x", "endpoint:", "cuda:99", "all", "corrupted(.5)", "only(any)",
                       "corrupted(1e-400)", "flip(energy + energy)", "\u202eabc", "C:\\x",
                       "{labels}"])
    | st.binary(max_size=5)
    | st.dates()
)  # fmt: skip
names = st.text(max_size=8) | st.sampled_from(
    ["api_key", "base_url", "key_variable", "labels", "name", "instruction", "cues", "answer",
     "energy", "root", "\ud800", "tree_tokens"]
)  # fmt: skip
values = st.recursive(
    atoms,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(names | st.integers() | st.none(), inner, max_size=3)
    ),
    max_leaves=6,
)
valid = st.fixed_dictionaries(
    {},
    optional={
        "study": st.from_regex(r"\A[a-z][a-z .+-]{0,20}\Z"),
        "labels": st.lists(st.text("abcÄß |/.", max_size=4), max_size=3)
        | st.dictionaries(st.text("ab", max_size=2), st.text("cd", max_size=2), max_size=3),
        "thresholds": st.dictionaries(st.text(max_size=5), st.lists(st.floats(), max_size=3)),
        "conditions": st.lists(
            st.sampled_from(["none", "aligned", "masked(0.5)", "only(each)", "flip( pitch )"])
        ),
        "corpus_options": st.dictionaries(st.text(max_size=4), atoms, max_size=3),
        "model": st.sampled_from(["sercue-tiny", "hf:~/mine", "endpoint:m", "hf:/x/y"]),
        "confidence": st.floats(0, 1),
        "seed": st.integers(-1, 2**33),
        "templates": st.just(["plain", {"name": "m", "instruction": "{labels}", "cues": "{tokens}",
                                        "answer": "\n"}]),
    },
)  # fmt: skip
words = st.sampled_from(
    ["seed", "labels", "conditions", "corpus_options", ": ", "- ", "\n", "  ", "[", "]", "{", "}",
     "&a ", "*a", "<<", "? ", "!!python/object:x ", "!!int ", "!!set ", "0x_", "1e400", ".inf",
     '"\\ud800"', '"\\0"', '"\\UFFFFFFFF"', "2020-13-45", "1:99", "|\n", ">-\n", "---", "...",
     "%YAML 9", "'", '"', "#", "\t", "\x07", "~", "=", "no", "99999999999999999999999", ",", "@"]
)  # fmt: skip
texts = st.lists(words | st.text(max_size=4), max_size=25).map("".join)


def work(given):
    """All that is done with settings before a study starts."""
    text = json.dumps(given.model_dump(), allow_nan=False)
    text.encode("utf-8")
    again = settings_from(yaml.safe_load(yaml.safe_dump(given.model_dump())))
    assert again == given
    assert settings_from(json.loads(text)).fingerprint() == given.fingerprint()
    json.dumps(shareable(given), allow_nan=False, ensure_ascii=False).encode("utf-8")
    assert without_private_paths("/nowhere", given)
    str(run_folder(given)).encode("utf-8")
    assert parse_conditions(given.conditions)
    assert resolve_templates(given.templates)
    cell = {}
    exec(translate_parameters("python3", "python", given.model_dump(), "Parameters"), {}, cell)
    assert settings_from(cell) == given


def told_or_works(read, *starts):
    tracemalloc.start()
    try:
        study = read()
    except InputError as error:
        message = str(error)
        message.encode("utf-8", "backslashreplace")
        assert message.startswith(starts)
        assert 0 < len(message) < LONGEST
    else:
        work(study)
    finally:
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert most < MOST_BYTES


def read_bytes(folder, content):
    file = folder / "study.yaml"
    file.write_bytes(content)
    told_or_works(lambda: read_study(file), f"{file}: ")


@given(st.binary(max_size=200))
@few
def test_any_bytes(tmp_path, content):
    read_bytes(tmp_path, content)


@given(texts)
@few
def test_any_text_made_of_what_yaml_has(tmp_path, text):
    read_bytes(tmp_path, text.encode("utf-8", "surrogatepass"))


@given(st.dictionaries(keys, values, min_size=1, max_size=4))
@few
def test_any_values_of_any_keys_as_a_file(tmp_path, study):
    """Tuples, bytes and dates among them, as yaml itself writes them."""
    read_bytes(tmp_path, yaml.dump(study, allow_unicode=True).encode("utf-8", "surrogatepass"))


@given(st.dictionaries(keys, values, min_size=1, max_size=4))
@few
def test_any_values_of_any_keys_as_parameters_of_a_notebook(study):
    told_or_works(lambda: settings_from(study, "here"), "here: ")


@given(valid)
@few
def test_values_of_the_right_kind(study):
    """Among which more are valid than among any."""
    told_or_works(lambda: settings_from(study, "here"), "here: ")


@given(st.sampled_from(["seed=", "labels=", "=", "", "x"]), texts)
@few
def test_any_assignment(key, text):
    def read():
        return settings_from(dict([_assignment(key + text)]), "here")

    told_or_works(read, "here: ", "--set")


@given(st.dictionaries(st.text(max_size=300) | st.integers() | st.binary() | st.none(), atoms))
@few
def test_any_keys(study):
    told_or_works(lambda: settings_from(study, "here"), "here: ")


@pytest.mark.parametrize("depth", [25, 100_000])
def test_values_without_end(depth):
    """From Python alone: lists that hold themselves, or one another by the thousand."""
    within = within_itself = []
    within_itself.append(within_itself)
    for _ in range(depth):
        within = [within, within] if depth < 100 else [within]
    for value in (within, within_itself):
        for key in ("corpus_options", "labels", "out"):
            told_or_works(lambda v=value, k=key: settings_from({k: v}, "here"), "here: ")
            told_or_works(lambda v=value, k=key: settings_from({k: {"a": v}}, "here"), "here: ")
