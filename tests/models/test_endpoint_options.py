"""What may be said of a server, and what is known of it without asking."""

import base64
import io
import re
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from serving import served_model

from sercue.corpora.audio import wav_base64
from sercue.errors import InputError

URL = "http://127.0.0.1:9/v1"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("batch_size", 0),
        ("concurrency", 0),
        ("concurrency", True),
        ("timeout", 0),
        ("timeout", float("inf")),
        ("timeout", float("nan")),
        ("retries", -1),
        ("retries", 1.5),
        ("sampling_rate", 0),
        ("max_seconds", -1.0),
        ("revision", ""),
        ("replies_as", " "),
    ],
)
def test_options_out_of_range_are_named_with_what_was_found(option, value):
    """They come from study files."""
    with pytest.raises(InputError) as caught:
        served_model("m", base_url=URL, **{option: value})
    assert f"{option}: found {value!r}" in str(caught.value)
    assert re.search(", valid|; (Input|String) should", str(caught.value))


@pytest.mark.parametrize("url", ["ftp://host/v1", "host:8000/v1", "http://", "http://h:x/v1", ""])
def test_a_url_that_is_none_is_refused(url):
    """It would fail later, in words of the network."""
    with pytest.raises(InputError, match=r"base_url: found .* valid is http"):
        served_model("m", base_url=url)


@pytest.mark.parametrize(
    "url",
    [
        "https://me:secret@host/v1",
        "me:secret@host/v1",
        "http://secret@host/v1",
        "https://host/v1?api-key=secret",
    ],
)
def test_a_url_with_a_password_is_refused_and_not_repeated(url, monkeypatch):
    """URLs are shown in errors; the refusal of one must not show what it is refused for."""
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    for given in (url, None):
        with pytest.raises(InputError, match="base_url") as caught:
            served_model("m", base_url=given)
        assert "secret" not in str(caught.value)


def test_a_key_in_place_of_its_variable_is_refused_and_not_repeated():
    """The likely mistake: the key itself where the name of its variable belongs."""
    with pytest.raises(InputError, match=r"key_variable.*OPENAI_API_KEY") as caught:
        served_model("m", base_url=URL, key_variable="sk-0123")
    assert "sk-0123" not in str(caught.value)


def test_the_url_is_the_environments_unless_one_is_given(monkeypatch):
    """Study files are shared, and servers differ from place to place."""
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(InputError, match="OPENAI_BASE_URL is not set"):
        served_model("m")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://elsewhere/v1/")
    assert "http://elsewhere/v1'" in repr(served_model("m"))
    assert "elsewhere" not in repr(served_model("m", base_url=URL))


def test_identity_asks_nobody_and_knows_what_decides_answers():
    """Finished predictions are read by it when the server is long gone, or moved."""
    identity = served_model("m", base_url=URL).identity
    assert identity.startswith("endpoint:m@unversioned")
    assert served_model("m", base_url="http://moved:1/v1", retries=0).identity == identity
    for change in ({"revision": "2"}, {"sampling_rate": 8000}):
        assert served_model("m", base_url=URL, **change).identity != identity


@pytest.mark.parametrize(
    ("audios", "prompts", "message"),
    [
        ([np.zeros(16_001)], [["a"]], r"audio: found 1\.00 s.*takes 1 s at most"),
        ([np.zeros(0)], [["a"]], "audio: found shape"),
        ([np.full(9, np.nan)], [["a"]], "audio: found shape"),
        ([np.zeros((2, 9))], [["a"]], "audio: found shape"),
        # What 16-bit integers look like to who forgets to divide them.
        ([np.arange(9) * 1000], [["a"]], "audio: found samples up to 8,000"),
        ([np.zeros(9)], [], "prompts: found"),
        ([np.zeros(9)], [[]], "prompts: found"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_is_sent(audios, prompts, message):
    """No server is there: whatever is sent would end in another error."""
    model = served_model("m", base_url=URL, max_seconds=1.0)
    with pytest.raises(InputError, match=message):
        model.generate(audios, prompts)


def test_nothing_to_ask_is_no_request():
    """A study whose answers are all stored needs no server."""
    model = served_model("m", base_url=URL)
    assert model.generate([], []) == model.score([], [], ["angry"]) == []


def test_a_recording_arrives_sample_for_sample():
    """Rounded to 16 bits, the served model would hear another recording than a local one."""
    samples = np.random.default_rng(0).normal(0, 0.6, 1001).astype(np.float32)
    assert np.abs(samples).max() > 1
    file = io.BytesIO(base64.b64decode(wav_base64(samples, 8000)))
    read, rate = soundfile.read(file, dtype="float32")
    assert rate == 8000
    np.testing.assert_array_equal(read, samples)


def run_python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


def test_neither_torch_nor_transformers_is_imported():
    """A machine that only asks a server need not wait for them, nor have them."""
    code = (
        "import sys; from sercue.models import load_model; import openai\n"
        f"model = load_model('endpoint:m', options={{'base_url': {URL!r}, 'retries': 0}})\n"
        "try: model.check()\n"
        "except RuntimeError: print([m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    assert run_python(code).stdout == "[]\n"


def test_a_missing_client_is_named_when_a_server_is_asked():
    """The client is an extra; a list of models must not need it."""
    code = (
        "import sys; sys.modules['openai'] = None\n"
        "from sercue.models import load_model\n"
        f"model = load_model('endpoint:m', options={{'base_url': {URL!r}}})\n"
        "print(model.identity)\n"
        "try: model.check()\n"
        "except ValueError as error: print(error)"
    )
    assert "pip install openai" in run_python(code).stdout
