"""What stands between a study and a model's files: early, clear refusals, and the right weights."""

import hashlib
import json
import shutil

import pytest
import torch
import transformers
from checkpoints import build_checkpoint
from safetensors.torch import load_file, save_file

from sercue.errors import InputError
from sercue.models import checkpoint as checkpoints
from sercue.models.chat_inputs import ChatInputs
from sercue.models.checkpoint import ATTENTION, Checkpoint, check_loading, folder_digest


@pytest.fixture
def copy(qwen_checkpoint, tmp_path):
    """A checkpoint that a test may damage."""
    return shutil.copytree(qwen_checkpoint, tmp_path / "copy")


def logits(model, processor, audio):
    encoded = ChatInputs(processor, "mine").encode([audio], [["Emotion:"]])
    ids = torch.tensor(encoded.ids[0])
    with torch.no_grad():
        return model(**encoded.inputs, input_ids=ids, attention_mask=torch.ones_like(ids)).logits


def test_content_loads_no_weights_and_follows_the_files(copy, monkeypatch):
    """Finished predictions are looked up by it: it must be cheap, stable, unlike any other's."""

    def load(*_, **__):
        raise AssertionError("weights were loaded")

    monkeypatch.setattr(transformers.PreTrainedModel, "from_pretrained", load)
    content = Checkpoint(copy, "mine").content
    assert Checkpoint(copy, "other").content == content
    weights = copy / "model.safetensors"
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.write_bytes(changed)
    assert Checkpoint(copy, "mine").content != content


def test_the_digest_of_large_files_sees_every_byte(tmp_path, cache):
    """A few blocks of them are not enough: fine-tuned weights may differ in one layer alone."""
    file = tmp_path / "model.safetensors"
    size = 65 * 2**20
    digests = set()
    for place in (None, 0, 100_000, size - 1):
        with file.open("wb") as out:
            out.truncate(size)
            if place is not None:
                out.seek(place)
                out.write(b"x")
        digests.add(folder_digest(tmp_path))
    assert len(digests) == 4


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_flipped_bit_in_the_cache_of_the_hub_is_found_as_the_weights_load(copy):
    """Its files of weights are named by their SHA-256, and the identity is the commit alone."""
    weights = copy / "model.safetensors"
    blob = copy / hashlib.sha256(weights.read_bytes()).hexdigest()
    weights.rename(blob)
    weights.symlink_to(blob)
    checkpoints.check_weights(copy, "mine")
    flip(blob)
    with pytest.raises(InputError, match=r"'mine': .*model\.safetensors is damaged"):
        checkpoints.check_weights(copy, "mine")


def test_weights_whose_hash_is_remembered_are_hashed_again_as_they_load(copy, cache, monkeypatch):
    """A disk that fails alters bytes and no time of change, by which the hash is looked up."""
    monkeypatch.setattr(checkpoints, "_REMEMBERED", (copy / "model.safetensors").stat().st_size)
    before = set((cache / "digests").glob("*"))
    Checkpoint(copy, "mine").load("cpu", "float32")
    (kept,) = set((cache / "digests").glob("*")) - before
    assert (
        kept.read_text()
        == hashlib.sha256((copy / "model.safetensors").read_bytes()).hexdigest()[:32]
    )
    kept.write_text("0" * 32)
    with pytest.raises(InputError, match="is damaged"):
        Checkpoint(copy, "mine").load("cpu", "float32")


def test_weights_that_change_behind_a_study_are_refused(copy):
    """Its answers would stand under the identity of the weights of before."""
    checkpoint = Checkpoint(copy, "mine")
    assert checkpoint.content
    flip(copy / "model.safetensors")
    with pytest.raises(InputError, match="have changed since"):
        checkpoint.load("cpu", "float32")


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


def _set(file, **values):
    """A damage: some values of a JSON file are others."""

    def damage(folder):
        found = json.loads((folder / file).read_text())
        for path, value in values.items():
            *parts, key = path.split("__")
            place = found
            for part in parts:
                place = place[part]
            place[key] = value
        (folder / file).write_text(json.dumps(found))

    return damage


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
        # Of each a list or a loop would be made before anything is looked at.
        (_set("config.json", text_config__num_hidden_layers=10**9), "num_hidden_layers 10{9}; val"),
        (_set("config.json", text_config__hidden_size=10**9), "hidden_size 10{9}; valid"),
        (_set("config.json", text_config__rms_norm_eps=float("nan")), "rms_norm_eps nan; valid"),
        (_set("processor_config.json", feature_extractor__n_fft=10**9), "n_fft 10{9}; valid"),
        (_set("config.json", text_config__hidden_size=64), "cannot be made of its config.json and"),
        (_set("config.json", text_config__num_attention_heads=0), "ZeroDivisionError"),
        (_set("config.json", audio_config__encoder_layers=3), "lacks 15 weights"),
        (_set("config.json", text_config__num_hidden_layers=3), "validate_layer_type.*num_hidden"),
        (_set("config.json", text_config="none"), "cannot use its config.json"),
        (_set("config.json", architectures=[7]), "a list of names"),
        (_set("config.json", architectures=["WhisperModel"]), "do not make a model that answers"),
        (_set("config.json", architectures=["BertTokenizer"]), "does not have"),
        (_set("config.json", text_config__layer_types=["linear_attention"] * 2), "linear_attenti"),
        (_set("config.json", quantization_config={"quant_method": "awq"}), "gptqmodel"),
        (_set("config.json", audio_config__num_mel_bins=8), "features of 16 bands"),
        (_set("generation_config.json", eos_token_id=10**6), "eos_token_id 1000000; valid"),
        (_set("generation_config.json", eos_token_id=["<end>"]), "generation_config.json"),
        (_set("processor_config.json", feature_extractor__sampling_rate=-1), "sampling_rate -1"),
        (_set("tokenizer_config.json", model_max_length="abc"), "its tokenizer cannot write"),
        (_set("tokenizer_config.json", pad_token=None, eos_token=None), "neither a token for padd"),
    ],
)
def test_check_refuses_damaged_checkpoints_by_name(copy, damage, message):
    """A study must learn this before hours of features, not after."""
    damage(copy)
    with pytest.raises(InputError, match=message) as caught:
        Checkpoint(copy, "mine").check()
    assert str(caught.value).startswith("model 'mine': ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700


def test_check_refuses_a_model_without_chat_template(written, tmp_path):
    """A base model would answer, and its answers would mean little."""
    folder = shutil.copytree(written("audio-flamingo-3"), tmp_path / "base")
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(InputError, match="no chat template"):
        Checkpoint(folder, "mine").check()


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ messages[0]['content'][1]['text'] }}<|AUDIO|>", "audio before the text"),
        ("{{ '<|AUDIO|>' + messages[0]['content'] }}", "does not take an audio with a text"),
        ("{{ raise_exception('no audio please') }}", "no audio please"),
        ("{{ messages[0]['content'][1]['text'] }}", "audio before the text"),
    ],
)
def test_check_refuses_a_template_that_does_not_put_the_audio_first(copy, template, message):
    """Templates for text alone are common in repositories of models that hear."""
    (copy / "chat_template.jinja").write_text(template)
    with pytest.raises(InputError, match=message):
        Checkpoint(copy, "mine").check()


def test_a_template_that_is_kept_with_the_tokenizer_is_found(written, tmp_path, audio):
    """Where older repositories have it; processors of transformers do not look there."""
    folder = shutil.copytree(written("audio-flamingo-3"), tmp_path / "old")
    template = (folder / "chat_template.jinja").read_text()
    (folder / "chat_template.jinja").unlink()
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    checkpoint = Checkpoint(folder, "mine")
    checkpoint.check()
    assert ChatInputs(checkpoint.processor, "mine").encode([audio], [["Emotion:"]]).ids


@pytest.mark.parametrize(
    ("architecture", "named"),
    [
        ("qwen2.5-omni", "Qwen2_5OmniForConditionalGeneration"),
        ("qwen2.5-omni", "Qwen2_5OmniModel"),
        ("qwen3-omni", "Qwen3OmniMoeForConditionalGeneration"),
    ],
)
def test_of_a_model_that_speaks_only_the_thinker_is_loaded(
    written, tmp_path, audio, architecture, named
):
    """Talker and vocoder would cost memory and answer nothing; the thinker must be the same."""
    folder = shutil.copytree(written(architecture), tmp_path / "omni")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": [named]}))
    checkpoint = Checkpoint(folder, "mine")
    model = checkpoint.load("cpu", "float32")
    whole, _ = build_checkpoint(architecture)
    assert model.state_dict().keys() == whole.thinker.state_dict().keys()
    expected = logits(whole.thinker, checkpoint.processor, audio)
    assert torch.equal(logits(model, checkpoint.processor, audio), expected)


def test_the_talker_is_in_the_files_that_the_thinker_comes_from(written):
    """Else the test above would show nothing."""
    names = load_file(written("qwen2.5-omni") / "model.safetensors")
    assert {name.split(".")[0] for name in names} == {"thinker", "talker", "token2wav"}


@pytest.mark.parametrize("checkpoint", ["qwen2.5-omni", "gemma-4"], indirect=True)
def test_processors_load_without_the_parts_for_images(checkpoint):
    """Those need torchvision, which sound does not; the class must still be the model's own."""
    processor = Checkpoint(checkpoint, "mine").processor
    config = transformers.AutoConfig.from_pretrained(checkpoint)
    assert isinstance(
        processor, transformers.models.auto.processing_auto.PROCESSOR_MAPPING[type(config)]
    )


def test_a_model_whose_files_lack_weights_is_refused(copy):
    """Transformers would draw them at random, and the model would answer all the same."""
    weights = load_file(copy / "model.safetensors")
    del weights[next(name for name in weights if name.endswith("model.norm.weight"))]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"lacks 1 weights.*norm\.weight"):
        Checkpoint(copy, "mine").load("cpu", "float32")


def test_weights_that_were_cut_short_are_refused(copy):
    """As an interrupted copy leaves them; the file is to be named, not the hub."""
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"weights in .*copy cannot be read"):
        Checkpoint(copy, "mine").load("cpu", "float32")


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_the_attention_that_is_asked_for_is_used(qwen_checkpoint, attention):
    """In the language model and in the encoder of audio alike."""
    model = Checkpoint(qwen_checkpoint, "mine").load("cpu", "float32", attention)
    used = {m.config._attn_implementation for m in model.modules() if hasattr(m, "config")}
    assert used == {attention}


def test_unknown_loading_options_are_refused(copy):
    """A name that transformers does not know it would look for on the hub, and run from there."""
    with pytest.raises(InputError, match=r"unknown attention 'kernels-community/flash-attn'.*sdpa"):
        Checkpoint(copy, "mine").load("cpu", "float32", "kernels-community/flash-attn")
    with pytest.raises(InputError, match=r"unknown device_map 'cpu'.*auto"):
        Checkpoint(copy, "mine").load("cpu", "float32", None, "cpu")


@pytest.mark.parametrize("attention", [name for name, there in ATTENTION.items() if there])
def test_attention_whose_package_is_missing_is_refused(attention):
    """Transformers would take another one from the hub in its place."""
    if ATTENTION[attention]():
        pytest.skip("it is installed")
    with pytest.raises(InputError, match=f"found '{attention}'.*not installed.*sdpa"):
        check_loading(attention, None)


def test_attention_that_the_architecture_lacks_is_refused(qwen_checkpoint):
    """With the architecture's name: another model may well have it."""
    with pytest.raises(InputError, match=r"attention: found 'flex_attention'.*Qwen2Audio"):
        Checkpoint(qwen_checkpoint, "mine").check("flex_attention")


def test_a_device_map_gives_the_same_model(qwen_checkpoint, audio, monkeypatch):
    """It says where the layers are, not what they do; a model that is spread must not be moved."""
    pytest.importorskip("accelerate")
    checkpoint = Checkpoint(qwen_checkpoint, "mine")
    plain = checkpoint.load("cpu", "float32")

    def move(*_):
        raise AssertionError("the model was moved")

    monkeypatch.setattr(transformers.PreTrainedModel, "to", move)
    spread = checkpoint.load("cpu", "float32", None, "auto")
    expected = logits(plain, checkpoint.processor, audio)
    assert torch.equal(logits(spread, checkpoint.processor, audio), expected)


def test_a_device_map_without_its_package_is_refused(monkeypatch):
    """It is no dependency of the project."""
    monkeypatch.setattr(checkpoints.backends, "is_accelerate_available", lambda: False)
    with pytest.raises(InputError, match=r"device_map: found 'auto'.*accelerate"):
        check_loading(None, "auto")
