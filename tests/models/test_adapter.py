"""Fine-tuned models: an adapter on a checkpoint answers as peft's own model, by its own name."""

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints import build_checkpoint
from hub_server import COMMIT, hub
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from test_scoring import LABELS, METHODS, PROMPTS, decoded, greedy_ids, processed, separate_scores

from sercue.errors import InputError
from sercue.models import chat, load_model
from sercue.models.chat import AudioChatModel, CheckpointOptions
from sercue.models.checkpoint import Checkpoint

# The projections of queries and values are in the audio encoder, too.
TUNED = {"r": 4, "lora_alpha": 32, "lora_dropout": 0.5, "target_modules": ["q_proj", "v_proj"]}
ARCHITECTURES = ["qwen2-audio", "audio-flamingo-3", "qwen2.5-omni", "gemma-4", "phi-4-multimodal"]
MODULES = {
    "phi-4-multimodal": ["qkv_proj", "gate_up_proj"],
    # Its audio encoder has linear layers of its own kind, which peft does not adapt.
    "gemma-4": r".*language_model.*\.(q_proj|v_proj)",
}


def plain(folder):
    return AudioChatModel(folder, device="cpu", dtype="float32")


def tuned(folder, adapter, **options):
    own = CheckpointOptions(adapter=str(adapter), **options)
    return AudioChatModel(folder, own, device="cpu", dtype="float32")


def train(folder, out, audio, steps=3, **changes):
    """A few steps towards one answer, from a fixed seed; saved as peft saves it."""
    base = plain(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        network = get_peft_model(base._model, LoraConfig(**{**TUNED, **changes}))
        inputs, added = processed(base, audio, PROMPTS[0], "angry")
        optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], 0.05)
        for _ in range(steps):
            logits = network(**inputs).logits[0, -added - 1 : -1]
            loss = torch.nn.functional.cross_entropy(logits, inputs["input_ids"][0, -added:])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    network.save_pretrained(out)
    return out


@pytest.fixture(scope="module")
def trained(written, audio, tmp_path_factory):
    """The folder of an adapter of each architecture, trained once."""
    folders = {}

    def made(architecture):
        if architecture not in folders:
            out = tmp_path_factory.mktemp("adapters") / architecture
            modules = MODULES.get(architecture, TUNED["target_modules"])
            folders[architecture] = train(written(architecture), out, audio, target_modules=modules)
        return folders[architecture]

    return made


@pytest.fixture
def copy(trained, tmp_path):
    """An adapter that a test may damage."""
    return shutil.copytree(trained("qwen2-audio"), tmp_path / "copy")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_scores_and_answers_are_those_of_peft(architecture, written, trained, audio):
    """By both implementations of the shared prefix; peft's model runs each prompt by itself."""
    model = tuned(written(architecture), trained(architecture))
    oracle = plain(written(architecture))
    before = separate_scores(oracle, audio, PROMPTS)
    oracle.__dict__["_model"] = PeftModel.from_pretrained(oracle._model, trained(architecture))
    oracle._model.eval()
    expected = separate_scores(oracle, audio, PROMPTS)
    assert np.abs(expected - before).max() > 0.5, "the test needs an adapter that changes answers"
    for method in METHODS:
        model._scoring.method = method
        found = model.score([audio], [PROMPTS], LABELS)[0]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
        said = model.generate([audio], [PROMPTS[:2]], max_new_tokens=4)[0]
        assert said == [decoded(oracle, greedy_ids(oracle, audio, p, 4)) for p in PROMPTS[:2]]


def test_merged_into_its_base_it_answers_alike(written, trained, audio, tmp_path):
    """So a fine-tuned model may as well come as a checkpoint of its own."""
    folder = written("qwen2-audio")
    base = Checkpoint(folder, "mine").load("cpu", "float32")
    merged = PeftModel.from_pretrained(base, trained("qwen2-audio")).merge_and_unload()
    merged.save_pretrained(tmp_path)
    build_checkpoint("qwen2-audio")[1].save_pretrained(tmp_path)
    expected = plain(tmp_path).score([audio], [PROMPTS], LABELS)[0]
    found = tuned(folder, trained("qwen2-audio")).score([audio], [PROMPTS], LABELS)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_modules_that_were_trained_whole_are_put_on_as_well(written, audio, tmp_path):
    """New tokens and projectors come so; they are no low-rank update of what was there."""
    folder = written("qwen2-audio")
    adapter = train(folder, tmp_path / "a", audio, modules_to_save=["lm_head", "linear"])
    model, oracle = tuned(folder, adapter), plain(folder)
    oracle.__dict__["_model"] = PeftModel.from_pretrained(oracle._model, adapter).eval()
    found = model.score([audio], [PROMPTS], LABELS)[0]
    expected = separate_scores(oracle, audio, PROMPTS)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_names_of_weights_from_before_transformers_5_are_understood(written, trained, copy, audio):
    """Adapters of that time call the layers otherwise; not understood, they would do nothing."""
    from safetensors.torch import save_file

    weights = load_file(copy / "adapter_model.safetensors")
    new = "base_model.model.model."
    assert all(name.startswith(new) for name in weights)
    old = {
        name.replace(f"{new}language_model.", "base_model.model.language_model.model.").replace(
            f"{new}audio_tower.", "base_model.model.audio_tower."
        ): value
        for name, value in weights.items()
    }
    assert not old.keys() & weights.keys()
    save_file(old, copy / "adapter_model.safetensors", metadata={"format": "pt"})
    expected = tuned(written("qwen2-audio"), trained("qwen2-audio"))
    found = tuned(written("qwen2-audio"), copy)
    np.testing.assert_array_equal(
        found.score([audio], [PROMPTS], LABELS)[0], expected.score([audio], [PROMPTS], LABELS)[0]
    )


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_keeps_what_the_adapter_does(written, trained, audio, dtype):
    """Its weights may be stored in another precision than the base runs in."""
    folder, adapter = written("qwen2-audio"), trained("qwen2-audio")
    options = CheckpointOptions(adapter=str(adapter))
    half = AudioChatModel(folder, options, device="cpu", dtype=dtype)
    expected = tuned(folder, adapter).score([audio], [PROMPTS], LABELS)[0]
    found = half.score([audio], [PROMPTS], LABELS)[0]
    np.testing.assert_allclose(found, expected, atol=0.5)
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).all()


def test_base_and_adapter_are_never_taken_for_each_other(written, trained, copy):
    """Stored answers are looked up by the identity, which is known without weights."""
    folder = written("qwen2-audio")
    base, own = plain(folder), tuned(folder, trained("qwen2-audio"))
    same = tuned(folder, copy)
    assert base.identity.partition("@")[2].split("/")[0] in own.identity
    assert own.identity != base.identity
    assert own.identity.partition("@")[2] == same.identity.partition("@")[2]
    weights = copy / "adapter_model.safetensors"
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.write_bytes(changed)
    assert tuned(folder, copy).identity.partition("@")[2] != own.identity.partition("@")[2]


def test_reports_name_the_adapter_and_no_folder(written, trained):
    folder, adapter = written("qwen2-audio"), trained("qwen2-audio")
    model = load_model(f"hf:{folder}", device="cpu", options={"adapter": str(adapter)})
    assert model.name == f"hf:{folder.name}+{adapter.name}"
    facts = model.facts()
    assert facts["adapter"].startswith(f"{adapter.name}@")
    assert "LORA" in facts["adapter"]
    assert not any(str(adapter.parent) in told for told in facts.values())
    number = sum(
        value.numel() for value in load_file(adapter / "adapter_model.safetensors").values()
    )
    base = int(plain(folder).facts()["parameters"].replace(",", ""))
    assert int(facts["parameters"].replace(",", "")) == base + number


def test_a_worker_gets_the_same_model(written, trained, audio, monkeypatch):
    """It is sent what it takes to load it, from a process in another folder."""
    folder, adapter = written("qwen2-audio"), trained("qwen2-audio")
    monkeypatch.chdir(adapter.parent)
    model = tuned(folder, adapter.name)
    sent = pickle.dumps(model)
    monkeypatch.chdir("/")
    received = pickle.loads(sent)
    assert received.identity == model.identity
    expected = model.score([audio], [PROMPTS[:1]], LABELS)
    assert (received.score([audio], [PROMPTS[:1]], LABELS)[0] == expected[0]).all()


def _only_pickled(folder):
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")


def _pickled_beside(folder):
    (folder / "non_lora_trainables.bin").write_bytes(b"x")


def _no_weights(folder):
    (folder / "adapter_model.safetensors").unlink()


def _no_config(folder):
    (folder / "adapter_config.json").unlink()


def _no_header(folder):
    weights = folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])


def _set(**values):
    def damage(folder):
        path = folder / "adapter_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_only_pickled, r"only adapter_model\.bin \(a \.bin can run code.*safetensors"),
        (_pickled_beside, r"non_lora_trainables\.bin.*another model.*hf:FOLDER"),
        (_no_weights, r"no adapter_model\.safetensors; valid is what save_pretrained"),
        (_no_config, r"no adapter_config\.json in"),
        (_no_header, "weights of adapter copy cannot be read"),
        (_set(r=8), "adapter copy cannot be put on it"),
        (_set(peft_type="MAGIC"), r"adapter_config\.json of adapter copy is not usable"),
        (_set(target_modules=["none_of_these"]), "none_of_these"),
        (_set(target_modules=["q_proj"]), "adapter copy has, but the model takes none of"),
        (_set(target_modules=["q_proj", "v_proj", "k_proj"]), "adapter copy lacks"),
    ],
)
def test_adapters_that_cannot_be_used_are_refused_before_weights_load(
    written, copy, damage, message
):
    """Each would end in an error hours later, or in a model that is neither base nor fine-tuned."""
    damage(copy)
    with pytest.raises(InputError, match=message) as caught:
        tuned(written("qwen2-audio"), copy).check()
    assert "\n" not in str(caught.value)


def test_an_adapter_of_another_model_is_refused(written, trained):
    """Its layers may have the same names."""
    with pytest.raises(InputError, match="adapter qwen2-audio"):
        tuned(written("phi-4-multimodal"), trained("qwen2-audio")).check()


def test_an_adapter_is_no_model(written, trained, copy):
    """Transformers would load the base that its configuration names, and peft's weights with it."""
    with pytest.raises(InputError, match=r"found an adapter in .*model_options: \{adapter: FOLDER"):
        plain(copy).check()
    shutil.copytree(written("qwen2-audio"), copy, dirs_exist_ok=True)
    with pytest.raises(InputError, match="found an adapter in"):
        plain(copy).check()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"adapter": "/no/where"}, "adapter: no folder at '/no/where'"),
        ({"adapter": ""}, "adapter: found ''"),
        ({"adapter_revision": "main"}, "adapter_revision: found 'main' without an adapter"),
    ],
)
def test_options_that_cannot_be_are_refused(qwen_checkpoint, options, message):
    with pytest.raises(InputError, match=message):
        load_model(f"hf:{qwen_checkpoint}", device="cpu", options=options).check()


def test_a_folder_has_no_revision(qwen_checkpoint, copy):
    options = {"adapter": str(copy), "adapter_revision": "v2"}
    with pytest.raises(InputError, match="adapter_revision: found 'v2', but 'copy' is a folder"):
        load_model(f"hf:{qwen_checkpoint}", device="cpu", options=options)


def test_without_peft_the_extra_is_named(qwen_checkpoint, copy, monkeypatch):
    """It is no dependency of the project."""
    monkeypatch.setattr(chat.backends, "is_peft_available", lambda: False)
    with pytest.raises(InputError, match=r"adapter: found 'copy', .*pip install 'sercue\[peft\]'"):
        tuned(qwen_checkpoint, copy)


def test_weights_that_were_cut_short_are_refused(written, copy):
    """As an interrupted copy leaves them: their header is whole."""
    weights = copy / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(InputError, match="adapter copy cannot be put on it"):
        tuned(written("qwen2-audio"), copy).facts()


def test_files_that_change_behind_a_study_are_refused(written, copy):
    """Its answers would stand under the identity of the adapter of before."""
    model = tuned(written("qwen2-audio"), copy)
    assert model.identity
    (copy / "README.md").write_text("Another adapter.")
    with pytest.raises(InputError, match="have changed since"):
        model.facts()


def test_an_adapter_comes_from_a_folder_of_a_repository(
    written, trained, tmp_path, monkeypatch, audio
):
    """As Audio Flamingo 3 and Phi-4-multimodal keep theirs; the commit is part of the identity."""
    repository = tmp_path / "repository"
    shutil.copytree(trained("qwen2-audio"), repository / "speech")
    with hub({"org/model": repository}, tmp_path / "cache", monkeypatch) as asked:
        model = tuned(written("qwen2-audio"), "org/model/speech")
        model.check()
        assert model.identity.endswith(f"+{COMMIT}/float32")
        assert not [path for kind, path in asked if kind == "GET" and "safetensors" in path]
        found = model.score([audio], [PROMPTS[:1]], LABELS)[0]
    local = tuned(written("qwen2-audio"), trained("qwen2-audio"))
    assert (found == local.score([audio], [PROMPTS[:1]], LABELS)[0]).all()


def test_pickled_weights_beside_it_in_a_repository_are_found(
    written, trained, tmp_path, monkeypatch
):
    """Such is the think mode of Audio Flamingo 3."""
    repository = tmp_path / "repository"
    shutil.copytree(trained("qwen2-audio"), repository / "think")
    _pickled_beside(Path(repository / "think"))
    with (
        hub({"org/model": repository}, tmp_path / "cache", monkeypatch),
        pytest.raises(InputError, match=r"org/model/think holds non_lora_trainables\.bin"),
    ):
        tuned(written("qwen2-audio"), "org/model/think").check()
