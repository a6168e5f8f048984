"""Study files: what is valid, and what a bad one is told."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sercue.errors import InputError
from sercue.settings import ANALYSIS_KEYS, STUDY_KEYS, Settings, read_study, settings_from
from sercue.tokens.catalogue import shortened

CONCEPTS = ("ENERGY", "PITCH", "BRIGHTNESS", "DYNAMICS", "FORMANTS")
EDGES = {name: [-1.5, -0.5, 0.5, 1.5] for name in CONCEPTS}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"modle": "x"}, "unknown study key 'modle': did you mean 'model'?"),
        ({"corpus-root": "x"}, "unknown study key 'corpus-root': did you mean 'corpus_root'?"),
        ({"seed": "x"}, "seed: found 'x'; Input should be a valid integer"),
        ({"seed": -1}, "seed: found -1"),
        ({"seed": True}, "seed: found True"),
        ({"bins": 4}, "bins: found 4; Input should be 3 or 5"),
        ({"conditions": ["none", "aligend"]}, "did you mean 'aligned'?"),
        ({"conditions": ["corrupted(3)"]}, "p from 0 to 1"),
        ({"conditions": []}, "conditions: found none"),
        ({"conditions": "none"}, "conditions: found 'none'; Input should be a valid list"),
        ({"templates": ["plane"]}, "unknown template 'plane': did you mean 'plain'"),
        ({"decoding": "beam"}, "decoding: found 'beam'; Input should be 'score' or 'generate'"),
        ({"study": "../../elsewhere"}, "valid is a folder name"),
        ({"study": ""}, "valid is a folder name"),
        ({"device": "gpu"}, "valid are auto, cpu, mps, cuda"),
        ({"confidence": 95}, "confidence: found 95; Input should be less than 1"),
        ({"labels": "angry"}, "labels: found 'angry'"),
        ({"limit": 0}, "limit: found 0"),
        ({"scheduler": "login1:8786"}, "scheduler: found 'login1:8786'"),
        ({"thresholds": EDGES}, "binning is quantile, which does not use them"),
        ({"binning": "thresholds"}, "found None; thresholds: none for concept 'ENERGY'"),
        ({"binning": "thresholds", "thresholds": EDGES | {"PICH": [-1, 1]}},
         "unknown concept in thresholds 'PICH': did you mean 'PITCH'?"),
        ({"binning": "thresholds", "thresholds": EDGES, "bins": 3},
         "thresholds['ENERGY']: found [-1.5, -0.5, 0.5, 1.5], valid are 2 ascending numbers"),
        ({"binning": "thresholds", "thresholds": EDGES | {"PITCH": [1, 0]}}, "4 ascending numbers"),
    ],
)  # fmt: skip
def test_a_bad_value_is_named_with_what_is_valid(values, message):
    with pytest.raises(InputError) as error:
        settings_from(values, "my.yaml")
    assert str(error.value).startswith("my.yaml: ")
    assert message in str(error.value)


def test_thresholds_that_are_used_are_taken():
    values = {"binning": "thresholds", "thresholds": EDGES}
    assert settings_from(values).thresholds == EDGES


def test_all_bad_values_are_told_at_once():
    with pytest.raises(InputError) as error:
        settings_from({"seed": "x", "bins": 4})
    assert "seed" in str(error.value)
    assert "bins" in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b\n", "found a list, valid is a mapping"),
        ("just words", "found a str, valid is a mapping"),
        ("study: [", "cannot be read as a study file"),
        ("study: !!python/object/apply:os.system ['true']", "cannot be read as a study file"),
        ("1: 2", "unknown study key '1'"),
    ],
)
def test_a_file_that_is_no_study_is_refused(tmp_path, text, message):
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_study(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name):
    with pytest.raises(InputError, match="cannot be read as a study file"):
        read_study(tmp_path / name)


def test_overrides_stand_over_the_file_and_an_empty_file_is_the_demo(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("seed: 3\nmodel: qwen2-audio\n")
    assert read_study(path, {"seed": 5}).only(["seed", "model"]) == {
        "seed": 5,
        "model": "qwen2-audio",
    }
    path.write_text("")
    assert read_study(path) == Settings()


def test_conditions_are_kept_by_their_canonical_names():
    """Or `corrupted(.5)` and `corrupted(0.5)` would be two studies."""
    first = settings_from({"conditions": ["corrupted(.5)"]})
    assert first.conditions == ["corrupted(0.5)"]
    assert first.fingerprint() == settings_from({"conditions": ["corrupted(0.50)"]}).fingerprint()


@given(
    st.dictionaries(
        st.sampled_from([*Settings.model_fields, "nothing"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
            ),
            max_leaves=5,
        ),
        max_size=4,
    )
)
def test_any_values_give_settings_or_one_clear_error(values):
    try:
        settings = settings_from(values)
    except InputError as error:
        assert str(error)
    else:
        assert settings.model_dump().keys() == Settings.model_fields.keys()


@given(st.text(max_size=60))
def test_any_text_is_a_study_or_one_clear_error(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("fuzz") / "study.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        assert isinstance(read_study(path), Settings)
    except InputError as error:
        assert str(path) in str(error)


def test_where_a_study_runs_decides_no_result():
    """Or what one machine has answered would be asked again on several."""
    here, there = Settings(), Settings(scheduler="tcp://login1:8786")
    for keys in (STUDY_KEYS, ANALYSIS_KEYS):
        assert here.fingerprint(keys) == there.fingerprint(keys)


def test_settings_read_back_from_yaml_are_the_same():
    settings = Settings(seed=4, labels={"a": "angry"})
    text = yaml.safe_dump(settings.model_dump())
    assert settings_from(yaml.safe_load(text)) == settings


def test_one_word_for_many_conditions_is_the_same_study_as_all_of_them():
    """A report shows the word: run again from there, no answer may be asked a second time."""
    words = Settings(conditions=["none", "only(any)"])
    assert len(words.conditions) == 1 + 2**6 - 2
    assert Settings(conditions=words.conditions).fingerprint() == words.fingerprint()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["Fear", "fear"], '{"Fear": "fear", "fear": "fear"}'),
        ({"Fear": "fear", "fear": "FEAR"}, "as one class"),
        ({"anger": "bad", "fear": "Bad"}, "['bad', 'Bad'] are the same words"),
        ({"anger": "bad", "fear": " \u200b"}, "words that are not empty"),
        ([], "one or more labels"),
    ],
)
def test_labels_that_no_answer_can_tell_apart_are_refused(labels, message):
    with pytest.raises(InputError) as error:
        settings_from({"labels": labels})
    assert message in str(error.value)


def test_spellings_of_a_label_with_the_same_words_are_fine():
    labels = {"Fear": "fear", "fear": "fear", "joy": "glad"}
    assert settings_from({"labels": labels}).labels == labels


def test_audio_variants_add_conditions_that_are_the_same_study_when_written_out():
    crossed = Settings(audio=["silent"], conditions=["none", "shuffled", "aligned"])
    assert crossed.audio == ["own", "silent"]
    assert crossed.conditions[3:] == ["none @ silent", "aligned @ silent"]
    written_out = Settings(conditions=crossed.conditions)
    assert written_out.fingerprint() == crossed.fingerprint()
    assert Settings(**crossed.model_dump()) == crossed
    assert shortened(crossed.conditions, audio=crossed.audio) == ["none", "shuffled", "aligned"]
    assert shortened(crossed.conditions) == crossed.conditions


def test_an_unknown_audio_variant_is_named():
    with pytest.raises(InputError, match=r"audio.*'silnt'.*did you mean 'silent'"):
        settings_from({"audio": ["own", "silnt"]})
