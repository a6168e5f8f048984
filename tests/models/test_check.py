"""The model of a study, checked with the study before any hour of compute."""

import pytest
from machines import simulate
from serving import Loopback, completion

from sercue.check.study import check_study
from sercue.errors import InputError, ServerError


@pytest.fixture
def machine(monkeypatch, tmp_path):
    simulate(monkeypatch, tmp_path)
    return tmp_path


def test_recordings_that_are_too_long_are_told_before_the_study(study):
    """After hours of answers the study would end at the first one that cannot be heard whole."""
    with pytest.raises(InputError) as caught:
        check_study(study())
    told = str(caught.value)
    assert "1 utterances are longer than the 2 s" in told
    assert "the longest 11.wav with 5.0 s" in told
    assert "model_options: {long_audio: windows}" in told


def test_windows_make_long_recordings_valid(study):
    """It is the way out that the error names."""
    rows = dict(check_study(study(model_options={"long_audio": "windows"})).rows)
    assert "+windows on cpu" in rows["model"]


def test_check_refuses_a_model_that_does_not_fit(study, machine):
    """The command ends before the study, with the name, the size and the remedy."""
    with pytest.raises(InputError, match=r"'qwen2-audio'.*40\.3 GB.*dtype bfloat16"):
        check_study(study(model="qwen2-audio"))


def test_a_device_that_is_not_there_is_told_before_the_study(study, machine):
    """The model that is trained here needs its device only behind two notebooks."""
    with pytest.raises(InputError, match=r"device: found 'cuda', but this machine has cpu"):
        check_study(study(long=None, model="sercue-tiny", device="cuda"))


def test_check_asks_the_server_of_an_endpoint(study):
    """Port 9 takes no requests: a server that is down must be found before the study."""
    options = {"base_url": "http://127.0.0.1:9/v1", "retries": 0, "timeout": 1.0}
    keys = {"model": "endpoint:x", "device": "auto", "dtype": "auto"}
    with pytest.raises(ServerError, match=r"127\.0\.0\.1:9"):
        check_study(study(**keys, model_options=options))


def test_check_asks_whether_a_server_scores(study):
    """Most servers only write answers; a study by likelihood must learn so before its features."""
    with Loopback(lambda seen: completion("angry")) as server:
        keys = {"model": "endpoint:m", "device": "auto", "dtype": "auto"}
        keys["model_options"] = {"base_url": server.url, "retries": 0, "long_audio": "windows"}
        assert "endpoint:m@" in dict(check_study(study(**keys, decoding="generate")).rows)["model"]
        with pytest.raises(InputError, match=r"no log-probabilities of a prompt.*decoding: gener"):
            check_study(study(**keys, decoding="score"))


def test_a_long_recording_that_only_notebook_03_asks_about_is_told(study):
    """It tries the prompts on development speakers: 6.wav is of one, and of 5 s for that."""
    with pytest.raises(InputError, match=r"longest 6\.wav with 5\.0 s"):
        check_study(study(long=6))
    rows = dict(check_study(study(long=0)).rows)
    assert "its weights are here" in rows["model"]
