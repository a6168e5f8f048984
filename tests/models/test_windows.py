"""Long recordings: heard whole, window by window, and never guessed where windows disagree."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sercue.answers import parse_answer
from sercue.errors import InputError
from sercue.models.chat import AudioChatModel
from sercue.models.registry import AudioLanguageModel
from sercue.models.windows import Windowed, split_evenly

LABELS = ["angry", "neutral"]


class Ear:
    """Answers from the samples alone, by arithmetic that a test can repeat; keeps its calls."""

    name, identity, device, dtype = "ear", "ear@1/float64", "cpu", "float64"
    sampling_rate, batch_size = 4, 2

    def __init__(self, max_seconds):
        self.max_seconds = max_seconds
        self.calls = []

    def check(self):
        raise InputError("model 'ear': deaf")

    def facts(self):
        return {"name": "ear", "identity": self.identity, "longest recording": "2 s"}

    def score(self, audios, prompts, labels):
        self.calls.append([np.array(audio) for audio in audios])
        return [
            np.array([[audio.sum() * len(p) + k for k, _ in enumerate(labels)] for p in texts])
            for audio, texts in zip(audios, prompts, strict=True)
        ]

    def generate(self, audios, prompts, max_new_tokens=8):
        self.calls.append([np.array(audio) for audio in audios])
        heard = ["angry" if audio.mean() > 0 else "neutral" for audio in audios]
        return [[word] * len(texts) for word, texts in zip(heard, prompts, strict=True)]


@given(st.integers(0, 400), st.integers(1, 60))
def test_windows_hold_every_sample_once_and_are_as_equal_and_few_as_can_be(size, longest):
    """Nothing may be cut, heard twice or heard in scraps: a short last window hears little."""
    samples = np.arange(size)
    windows = split_evenly(samples, longest)
    assert np.concatenate(windows).tolist() == samples.tolist()
    lengths = [len(window) for window in windows]
    assert max(lengths) <= longest
    assert max(lengths) - min(lengths) <= 1
    assert (len(windows) - 1) * longest < max(size, 1)


@given(
    st.lists(st.lists(st.integers(-9, 9), min_size=1, max_size=40), min_size=1, max_size=4),
    st.sampled_from([0.25, 1.0, 2.4, 100.0]),
)
def test_scores_are_means_over_the_windows(recordings, max_seconds):
    """The ear's score is linear in the sum of its samples, so the mean over n windows of all
    scores is the score of the sum over all samples, divided by n."""
    ear = Ear(max_seconds)
    prompts = [["a", "four"][: 1 + i % 2] for i, _ in enumerate(recordings)]
    audios = [np.array(recording, dtype=float) for recording in recordings]
    scores = Windowed(ear).score(audios, prompts, LABELS)
    for audio, texts, found in zip(audios, prompts, scores, strict=True):
        number = math.ceil(audio.size / math.floor(max_seconds * 4))
        expected = [[audio.sum() / number * len(p) + k for k in (0, 1)] for p in texts]
        np.testing.assert_allclose(found, expected, atol=1e-9)


def test_windows_of_all_utterances_go_to_the_model_in_one_call():
    """The model fills its batches from what it is given: a call per utterance would starve them."""
    ear = Ear(2.0)
    Windowed(ear).score([np.ones(20), np.ones(3), np.ones(9)], [["a"]] * 3, LABELS)
    assert [[len(window) for window in call] for call in ear.calls] == [[7, 7, 6, 3, 5, 4]]


def test_windows_that_disagree_make_an_invalid_answer():
    """Two labels named are no label: none is guessed, and none outvotes the other."""
    words = {label: label for label in LABELS}
    loud_then_quiet, loud = np.array([1.0] * 8 + [-1.0] * 8), np.ones(16)
    answers = Windowed(Ear(2.0)).generate([loud_then_quiet, loud, -loud[:4]], [["a", "b"]] * 3)
    assert answers[0] == ["angry | neutral"] * 2
    assert parse_answer(answers[0][0], words) is None
    assert parse_answer(answers[1][0], words) == "angry"
    assert answers[2] == ["neutral", "neutral"]


def test_what_the_model_takes_whole_is_passed_on_untouched(qwen_checkpoint, audio):
    """A study of short recordings must not change because windows were allowed."""
    model = AudioChatModel(qwen_checkpoint, device="cpu")
    prompts = [["Emotion:", "Cues: energy=low. Emotion:"]]
    plain, windowed = (m.score([audio], prompts, LABELS) for m in (model, Windowed(model)))
    assert np.array_equal(plain[0], windowed[0])
    assert model.generate([audio], prompts, 3) == Windowed(model).generate([audio], prompts, 3)


def test_a_long_recording_scores_as_the_mean_of_its_parts(qwen_checkpoint):
    """A checkpoint that takes 2 s hears 5 s as three parts; asked apart, they tell the same."""
    model = AudioChatModel(qwen_checkpoint, device="cpu")
    long = np.random.default_rng(2).normal(0, 0.05, 5 * 16_000).astype(np.float32)
    parts = [long[:26_667], long[26_667:53_334], long[53_334:]]
    apart = [model.score([part], [["Emotion:"]], LABELS)[0] for part in parts]
    found = Windowed(model).score([long], [["Emotion:"]], LABELS)[0]
    np.testing.assert_allclose(found, sum(apart) / 3, rtol=1e-4)
    with pytest.raises(InputError):
        model.score([long], [["Emotion:"]], LABELS)


def test_it_is_a_model_that_says_what_it_does():
    """Stored answers about windows must never pass for answers about whole recordings."""
    model = Windowed(Ear(2.0))
    assert isinstance(model, AudioLanguageModel)
    assert model.identity == "ear@1/float64+windows"
    assert (model.name, model.sampling_rate, model.max_seconds) == ("ear", 4, math.inf)
    assert (model.device, model.dtype, model.batch_size) == ("cpu", "float64", 2)
    facts = model.facts()
    assert facts["identity"] == model.identity
    assert "beyond 2 s" in facts["longest recording"]
    assert "means" in facts["windows"]


def test_the_models_own_check_counts():
    """Windows make no model that cannot be had one that can."""
    with pytest.raises(InputError, match="deaf"):
        Windowed(Ear(2.0)).check()


def test_what_is_no_recording_is_left_for_the_model_to_refuse(qwen_checkpoint):
    """Stereo, an empty array and failed reads stay what they are, whatever their length."""
    model = Windowed(AudioChatModel(qwen_checkpoint, device="cpu"))
    stereo = np.zeros((2, 80_000))
    for samples in (stereo, stereo.T, stereo[:1], np.zeros(0), np.full(80_000, np.nan)):
        with pytest.raises(InputError, match="found"):
            model.score([samples], [["Emotion:"]], LABELS)


def test_a_model_without_a_limit_hears_everything_whole():
    """A server may take recordings of any length."""
    ear = Ear(math.inf)
    Windowed(ear).score([np.ones(999)], [["a"]], LABELS)
    assert [len(audio) for audio in ear.calls[0]] == [999]


def test_a_limit_below_one_sample_is_named():
    """It can only be a wrong setting, and would split for ever."""
    with pytest.raises(InputError, match=r"max_seconds: ear takes 0\.1 s"):
        Windowed(Ear(0.1)).score([np.ones(3)], [["a"]], LABELS)
