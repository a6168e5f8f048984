"""What stands between a study and a checkpoint: identity, limits, and early, clear refusals."""

import numpy as np
import pytest
import transformers

from sercue.errors import InputError
from sercue.models.chat import AudioChatModel, CheckpointOptions, resolve_dtype
from sercue.models.registry import AudioLanguageModel

PROMPTS = ["Emotion:", "Cues: energy=low, pitch=high. Emotion:"]


def test_it_is_an_audio_language_model(qwen_checkpoint):
    """What studies rely on is the protocol."""
    model = AudioChatModel(qwen_checkpoint, device="cpu", batch_size=3)
    assert isinstance(model, AudioLanguageModel)
    assert (model.sampling_rate, model.max_seconds, model.device) == (16_000, 2.0, "cpu")
    assert model.batch_size == 3


def test_identity_is_known_without_weights(qwen_checkpoint, monkeypatch):
    """Finished predictions are looked up by it: it must be cheap, stable, unlike any other's."""

    def load(*_, **__):
        raise AssertionError("weights were loaded")

    monkeypatch.setattr(transformers.PreTrainedModel, "from_pretrained", load)
    identity = AudioChatModel(qwen_checkpoint, name="m", device="cpu").identity
    assert AudioChatModel(qwen_checkpoint, name="m", device="cpu").identity == identity
    assert AudioChatModel(qwen_checkpoint, name="n", device="cpu").identity != identity
    other = AudioChatModel(qwen_checkpoint, name="m", device="cpu", dtype="bfloat16")
    assert other.identity != identity


def test_facts_tell_how_exact_it_was(qwen_checkpoint):
    """A report says by which arithmetic its numbers came about."""
    facts = AudioChatModel(qwen_checkpoint, name="m", device="cpu").facts()
    assert facts["class"] == "Qwen2AudioForConditionalGeneration"
    assert facts["precision"] == "float32"
    assert facts["prompts of a recording"].startswith("token tree behind one pass of the audio")


@pytest.mark.parametrize(
    ("call", "parameter"),
    [
        (lambda m, a: m.score([a], [[]], ["angry"]), "prompts"),
        (lambda m, a: m.score([a, a], [PROMPTS], ["angry"]), "prompts"),
        (lambda m, a: m.score([a], [PROMPTS], []), "labels"),
        (lambda m, a: m.score([a], [PROMPTS], ["angry", ""]), "labels"),
        (lambda m, a: m.generate([a], [PROMPTS], 0), "max_new_tokens"),
        (lambda m, a: m.generate([a], [[]]), "prompts"),
    ],
)
def test_calls_without_content_name_the_parameter(qwen_checkpoint, audio, call, parameter):
    """An empty list is an error of the caller, not an empty answer."""
    with pytest.raises(InputError, match=f"^{parameter}: found"):
        call(AudioChatModel(qwen_checkpoint, device="cpu"), audio)


def test_audio_that_is_too_long_is_refused_not_cut(qwen_checkpoint):
    """A cut recording would be another recording; the message says what was found and is valid."""
    model = AudioChatModel(qwen_checkpoint, device="cpu")
    long = np.zeros(40_000, dtype=np.float32)
    with pytest.raises(InputError, match=r"found 2\.50 s.*takes 2 s at most"):
        model.score([long], [PROMPTS], ["angry"])


def test_nothing_is_asked_of_no_recordings(qwen_checkpoint):
    """The last batch of a study may be empty; that is no error."""
    assert AudioChatModel(qwen_checkpoint, device="cpu").score([], [], ["angry"]) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"device": "gpu"}, r"device: found 'gpu'.*cpu"),
        ({"device": "cpu:1"}, r"device: found 'cpu:1'.*cpu"),
        ({"dtype": "float8"}, r"dtype: found 'float8'.*bfloat16"),
        ({"batch_size": 0}, "batch_size: found 0"),
        ({"options": CheckpointOptions(device_map="gpu")}, "unknown device_map 'gpu'"),
        ({"options": CheckpointOptions(attention="flash")}, "unknown attention 'flash'"),
    ],
)
def test_options_are_checked_before_anything_loads(given, message):
    """They come from study files."""
    with pytest.raises(InputError, match=message):
        AudioChatModel("x", **{"device": "cpu", **given})


def test_the_precision_follows_the_device():
    """float32 on a GPU would take twice the memory, bfloat16 on a CPU several times as long."""
    assert resolve_dtype("auto", "cuda:1") == "bfloat16"
    assert resolve_dtype("auto", "cpu") == "float32"
