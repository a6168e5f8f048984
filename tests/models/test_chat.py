"""What stands between a study and a checkpoint: the processor's ids, and early, clear refusals."""

import json
import shutil

import huggingface_hub.constants
import numpy as np
import pytest
import torch
import transformers

from sercue.errors import InputError
from sercue.models.chat import AudioChatModel, inserted_tokens, resolve_dtype
from sercue.models.checkpoint import folder_digest
from sercue.models.registry import AudioLanguageModel

PROMPTS = ["Emotion:", "Cues: energy=low, pitch=high. Emotion:", "Wie fühlt sie sich? 感情"]


@pytest.fixture
def copy(qwen_checkpoint, tmp_path):
    """A checkpoint that a test may damage."""
    return shutil.copytree(qwen_checkpoint, tmp_path / "copy")


def test_spliced_ids_equal_the_processors(checkpoint, audio):
    """The audio is prepared once; every prompt's ids must be what the processor would have made."""
    model = AudioChatModel(checkpoint, device="cpu")
    inputs, ids = model.encode(audio, PROMPTS)
    for prompt, found in zip(PROMPTS, ids, strict=True):
        turn = [{"type": "audio", "audio": audio}, {"type": "text", "text": prompt}]
        expected = model._processor.apply_chat_template(
            [{"role": "user", "content": turn}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
        assert found == expected["input_ids"][0].tolist()
        assert torch.equal(inputs["input_features"], expected["input_features"])


@pytest.mark.parametrize("checkpoint", ["audio-flamingo-3"], indirect=True)
def test_audio_of_several_windows_is_spliced_whole(checkpoint):
    """Audio Flamingo 3 takes several windows of its feature extractor: three here, of 2 s."""
    model = AudioChatModel(checkpoint, device="cpu")
    long = np.random.default_rng(1).normal(0, 0.05, 5 * 16_000).astype(np.float32)
    _, ids = model.encode(long, PROMPTS)
    sound = model._processor.audio_token_id
    # 500 frames: half of them behind the convolutions, half of these behind the pooling.
    assert [prompt.count(sound) for prompt in ids] == [125] * 3
    assert np.isfinite(model.score(long, PROMPTS, ["angry"])).all()


def test_it_is_an_audio_language_model(qwen_checkpoint):
    """What studies rely on is the protocol."""
    model = AudioChatModel(qwen_checkpoint, device="cpu")
    assert isinstance(model, AudioLanguageModel)
    assert (model.sampling_rate, model.max_seconds, model.device) == (16_000, 2.0, "cpu")


def test_identity_loads_no_weights_and_follows_the_content(copy, monkeypatch):
    """Finished predictions are looked up by it: it must be cheap, stable, unlike any other's."""

    def load(*_, **__):
        raise AssertionError("weights were loaded")

    monkeypatch.setattr(transformers.PreTrainedModel, "from_pretrained", load)
    identity = AudioChatModel(copy, name="m", device="cpu").identity
    assert AudioChatModel(copy, name="m", device="cpu").identity == identity
    assert AudioChatModel(copy, name="m", device="cpu", dtype="bfloat16").identity != identity
    weights = copy / "model.safetensors"
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.write_bytes(changed)
    assert AudioChatModel(copy, name="m", device="cpu").identity != identity


def test_digest_of_large_files_sees_changes_at_both_ends(tmp_path):
    """Only blocks of large files are read; their first and last bytes must be among them."""
    file = tmp_path / "model.safetensors"
    size = 65 * 2**20
    digests = set()
    for place in (None, 0, size - 1):
        with file.open("wb") as out:
            out.truncate(size)
            if place is not None:
                out.seek(place)
                out.write(b"x")
        digests.add(folder_digest(tmp_path))
    assert len(digests) == 3


def test_audio_that_is_too_long_is_refused_not_cut(qwen_checkpoint):
    """A cut recording would be another recording; the message says what was found and is valid."""
    model = AudioChatModel(qwen_checkpoint, device="cpu")
    with pytest.raises(InputError, match=r"found 2\.50 s.*takes 2 s at most"):
        model.score(np.zeros(40_000, dtype=np.float32), PROMPTS, ["angry"])


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros((1, 16_000)), np.full(16_000, np.nan)])
def test_audio_that_is_no_recording_is_refused(qwen_checkpoint, samples):
    """Silence from a failed read must not become a prediction."""
    with pytest.raises(InputError, match="audio: found shape"):
        AudioChatModel(qwen_checkpoint, device="cpu").score(samples, PROMPTS, ["angry"])


def test_audio_too_short_for_one_audio_token_is_refused(qwen_checkpoint):
    """The model would be asked about a recording that is not in the prompt."""
    short = np.ones(100, dtype=np.float32)
    with pytest.raises(InputError, match="no audio"):
        AudioChatModel(qwen_checkpoint, device="cpu").score(short, PROMPTS, ["angry"])


@pytest.mark.parametrize(
    ("call", "parameter"),
    [
        (lambda m, a: m.score(a, [], ["angry"]), "prompts"),
        (lambda m, a: m.score(a, PROMPTS, []), "labels"),
        (lambda m, a: m.score(a, PROMPTS, ["angry", ""]), "labels"),
        (lambda m, a: m.generate(a, PROMPTS, 0), "max_new_tokens"),
    ],
)
def test_calls_without_content_name_the_parameter(qwen_checkpoint, audio, call, parameter):
    """An empty list is an error of the caller, not an empty answer."""
    with pytest.raises(InputError, match=f"^{parameter}: found"):
        call(AudioChatModel(qwen_checkpoint, device="cpu"), audio)


def _no_config(folder):
    (folder / "config.json").unlink()


def _no_weights(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _unknown_architecture(folder):
    config = json.loads((folder / "config.json").read_text())
    config["architectures"] = ["ModelOfTheFuture"]
    (folder / "config.json").write_text(json.dumps(config))


def _unknown_type(folder):
    config = json.loads((folder / "config.json").read_text())
    config["model_type"] = "model-of-the-future"
    (folder / "config.json").write_text(json.dumps(config))


def _no_processor(folder):
    (folder / "tokenizer.json").unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_no_config, "no config.json"),
        (_no_weights, "no weights.*model.safetensors"),
        (_unknown_architecture, "ModelOfTheFuture"),
        (_unknown_type, "cannot use its config.json"),
        (_no_processor, "no processor"),
    ],
)
def test_check_refuses_damaged_checkpoints_by_name(copy, damage, message):
    """A study must learn this before hours of features, not after."""
    damage(copy)
    with pytest.raises(InputError, match=message) as caught:
        AudioChatModel(copy, name="mine", device="cpu").check()
    assert "mine" in str(caught.value)


@pytest.mark.parametrize("checkpoint", ["audio-flamingo-3"], indirect=True)
def test_check_refuses_a_model_without_chat_template(checkpoint, tmp_path):
    """A base model would answer, and its answers would mean little."""
    folder = shutil.copytree(checkpoint, tmp_path / "base")
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(InputError, match="no chat template"):
        AudioChatModel(folder, device="cpu").check()


def test_a_template_with_the_text_first_is_refused(copy, audio):
    """Then the audio would run once a prompt, and the tokens would not come last."""
    template = copy / "chat_template.jinja"
    template.write_text("{{ messages[0]['content'][1]['text'] }}<|AUDIO|>")
    with pytest.raises(InputError, match="audio before the text"):
        AudioChatModel(copy, device="cpu").encode(audio, PROMPTS)


def test_a_repository_that_cannot_be_had_says_what_to_do(monkeypatch):
    """Neither on this machine nor reachable: the reader must learn both, and the way out."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="hf download nobody/nothing"):
        AudioChatModel("nobody/nothing", device="cpu").check()


def test_a_folder_that_is_not_there_is_not_looked_for_on_the_hub(tmp_path):
    """A mistyped path must not cost half a minute of retries, nor leave the machine."""
    with pytest.raises(InputError, match="no folder at"):
        AudioChatModel(tmp_path / "nowhere", device="cpu").check()


def test_devices_and_precisions_are_checked():
    """They come from study files."""
    with pytest.raises(InputError, match=r"device: found 'gpu'.*cpu"):
        AudioChatModel("x", device="gpu")
    with pytest.raises(InputError, match=r"dtype: found 'float8'.*bfloat16"):
        AudioChatModel("x", device="cpu", dtype="float8")
    with pytest.raises(InputError, match="batch_size"):
        AudioChatModel("x", device="cpu", batch_size=0)
    assert resolve_dtype("auto", "cuda:1") == "bfloat16"
    assert resolve_dtype("auto", "cpu") == "float32"


def test_inserted_tokens_refuses_what_is_no_insertion():
    """Ids that differ elsewhere cannot be spliced; nothing must be guessed."""
    assert inserted_tokens([1, 2, 3], [1, 9, 9, 4])[1] == []
    assert inserted_tokens([1, 2, 3], [1, 2, 3])[1] == []
