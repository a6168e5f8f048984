"""Names of models: a wrong one must be found before anything is fetched or trained."""

import math
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
import transformers
from checkpoints import ARCHITECTURES

from sercue.corpora import CORPORA
from sercue.corpora.corpus import example_corpus
from sercue.errors import InputError
from sercue.models import CARDS, AudioLanguageModel, available_models, load_model
from sercue.models.cards import card_of, known_training
from sercue.models.checkpoint import Checkpoint

# The sizes in the config.json of each repository; what is not named is the default of transformers.
QWEN_7B = {
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "tie_word_embeddings": False,
}
QWEN_3B = {
    "hidden_size": 2048,
    "intermediate_size": 11008,
    "num_hidden_layers": 36,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "tie_word_embeddings": False,
}


def _omni(text, vocabulary):
    width = text["hidden_size"]
    return transformers.Qwen2_5OmniThinkerConfig(
        text_config={**text, "vocab_size": vocabulary},
        audio_config={"output_dim": width},
        vision_config={"hidden_size": 1280, "out_hidden_size": width},
    )


FLAMINGO = transformers.AudioFlamingo3Config(
    text_config={"model_type": "qwen2", "vocab_size": 151672, **QWEN_7B},
    tie_word_embeddings=False,
)
QWEN_30B = {
    "hidden_size": 2048,
    "num_hidden_layers": 48,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "num_experts": 128,
    "num_experts_per_tok": 8,
    "moe_intermediate_size": 768,
    "vocab_size": 152064,
}
GEMMA_E4B = {
    "hidden_size": 2560,
    "intermediate_size": 10240,
    "num_hidden_layers": 42,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "num_kv_shared_layers": 18,
    "head_dim": 256,
    "global_head_dim": 512,
    "vocab_size": 262144,
    "vocab_size_per_layer_input": 262144,
    "hidden_size_per_layer_input": 256,
    "layer_types": [*["sliding_attention"] * 5, "full_attention"] * 7,
    "use_double_wide_mlp": False,
}
PUBLISHED = {
    "qwen2-audio": transformers.Qwen2AudioConfig(
        text_config={"model_type": "qwen2", "intermediate_size": 11008, "vocab_size": 156032},
        tie_word_embeddings=False,
    ),
    "qwen2.5-omni": _omni(QWEN_7B, 152064),
    "qwen2.5-omni-3b": _omni(QWEN_3B, 151936),
    "audio-flamingo-3": FLAMINGO,
    "music-flamingo": FLAMINGO,
    "qwen3-omni": transformers.Qwen3OmniMoeThinkerConfig(
        text_config=QWEN_30B,
        audio_config={"output_dim": 2048},
        vision_config={"out_hidden_size": 2048},
    ),
    "voxtral-mini": transformers.VoxtralConfig(audio_token_id=24),
    "gemma-4-e4b": transformers.Gemma4Config(
        text_config=GEMMA_E4B, audio_config={}, vision_config={}
    ),
}
# By which small checkpoint the class of each card is tested.
SMALL = {
    "qwen2-audio": "qwen2-audio",
    "qwen2.5-omni": "qwen2.5-omni",
    "qwen2.5-omni-3b": "qwen2.5-omni",
    "audio-flamingo-3": "audio-flamingo-3",
    "music-flamingo": "audio-flamingo-3",
    "qwen3-omni": "qwen3-omni",
    "voxtral-mini": "voxtral",
    "gemma-4-e4b": "gemma-4",
}


@pytest.mark.parametrize("card", CARDS[1:], ids=lambda card: card.name)
def test_parameters_are_those_of_the_published_sizes(card):
    """Whether a model fits is told from them; the meta device builds the network without memory."""
    with torch.device("meta"):
        network = getattr(transformers, card.architecture)(PUBLISHED[card.name])
    assert sum(p.numel() for p in network.parameters()) == card.parameters


def test_cards_are_complete():
    """The table is what a user chooses from; memory is the parameters times the bytes of each."""
    table = available_models().set_index("name")
    assert list(table.index) == [card.name for card in CARDS]
    assert (table[["licence", "class", "description"]] != "").all(axis=None)
    large = table.loc["qwen2-audio"]
    assert large["GB float32"] == pytest.approx(2 * large["GB bfloat16"], rel=0.01)
    assert large["GB float16"] == large["GB bfloat16"]
    # The checkpoint on the hub is 16.79 GB in bfloat16.
    assert large["GB bfloat16"] == pytest.approx(16.79, rel=0.002)
    assert table["seconds"].tolist() == [
        30.0, 30.0, 300.0, 300.0, 600.0, 1200.0, 300.0, 2400.0, 30.0
    ]  # fmt: skip


@pytest.mark.parametrize("card", CARDS[1:], ids=lambda card: card.name)
def test_the_class_of_every_card_is_tested(card, written):
    """On a small random checkpoint (test_scoring.py): a name is a promise that it can be asked."""
    if SMALL[card.name] not in ARCHITECTURES:
        pytest.skip("needs the package mistral-common")
    checkpoint = Checkpoint(written(SMALL[card.name]), "mine")
    assert type(checkpoint.check()).__name__ == card.architecture


def test_every_repository_is_pinned_to_a_commit():
    """A branch would let two runs of one study hear two models."""
    pinned = [card.revision for card in CARDS if card.repository]
    assert len(pinned) == len(set(pinned)) == 8
    assert all(re.fullmatch("[0-9a-f]{40}", revision) for revision in pinned)


def test_training_data_are_told_of_the_corpora_that_are_listed():
    """A reader of an accuracy should know if the model may have heard the very recordings."""
    told = {name for name in CORPORA if known_training("audio-flamingo-3", name)}
    assert told == {"iemocap", "crema_d", "ravdess"}
    assert known_training("hf:nvidia/audio-flamingo-3-hf", "IEMOCAP")
    assert known_training("audio-flamingo-3", "Meld")
    assert all(bool(card.trained_on) == bool(card.trained_on_source) for card in CARDS)
    assert not any(known_training(name, "iemocap") for name in ("qwen2-audio", "hf:/a/folder"))


def test_a_card_goes_by_its_name_or_repository():
    assert card_of("endpoint:Qwen/Qwen2-Audio-7B-Instruct") == CARDS[1]
    assert card_of("sercue-tiny") == CARDS[0]
    assert all(card_of(name) is None for name in ("hf:", "endpoint:", "hf:qwen2-audio", "nothing"))


def test_the_revision_of_a_study_goes_before_that_of_the_card(monkeypatch):
    """What is asked of the hub is told by the error where it cannot be asked."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    card = CARDS[1]
    for given, asked in ((None, card.revision), ("mine", "mine")):
        with pytest.raises(InputError, match=asked):
            load_model(card.name, revision=given, device="cpu").check()


def test_a_folder_loads_by_its_path(qwen_checkpoint, audio):
    """``hf:`` takes a folder as well as a repository: how downloaded weights are used offline."""
    options = {"attention": "eager", "tree_tokens": 64}
    model = load_model(f"hf:{qwen_checkpoint}", device="cpu", batch_size=2, options=options)
    assert isinstance(model, AudioLanguageModel)
    assert (model.batch_size, model.max_seconds) == (2, 2.0)
    scores = model.score([audio], [["Emotion:"]], ["angry", "neutral"])
    assert np.isfinite(scores[0]).all()


def test_an_endpoint_goes_by_the_name_it_serves():
    """Its options come from the study as those of a checkpoint do."""
    options = {"base_url": "http://127.0.0.1:9/v1", "max_seconds": 60, "concurrency": 2}
    model = load_model("endpoint:some/model", revision="r1", batch_size=3, options=options)
    assert isinstance(model, AudioLanguageModel)
    assert (model.max_seconds, model.batch_size) == (60.0, 3)
    assert "some/model" in model.identity
    assert "r1" in model.identity


def test_long_audio_is_refused_unless_the_study_wants_windows(qwen_checkpoint):
    """Hearing windows is another way to hear: it must be asked for, and be told apart."""
    checkpoint = (f"hf:{qwen_checkpoint}", {}, 2.0)
    endpoint = ("endpoint:x", {"base_url": "http://127.0.0.1:9/v1"}, 30.0)
    for name, options, longest in (checkpoint, endpoint):
        plain = load_model(name, options=options)
        refusing = load_model(name, options={**options, "long_audio": "refuse"})
        windowed = load_model(name, options={**options, "long_audio": "windows"})
        assert plain.max_seconds == refusing.max_seconds == longest
        assert plain.identity == refusing.identity != windowed.identity
        assert windowed.max_seconds == math.inf


def test_the_protocol_refuses_what_cannot_score():
    """The check must be one that can fail."""
    assert not isinstance(object(), AudioLanguageModel)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("sercue-tony", {}, "did you mean 'sercue-tiny'"),
        ("hf:", {}, "unknown model 'hf:'"),
        ("endpoint:", {}, "unknown model 'endpoint:'"),
        ("sercue-tiny", {}, "^corpus: "),
        ("sercue-tiny", {"corpus": example_corpus()}, "^tokens: "),
        ("qwen2-audio", {"options": {"recipe": "grounded"}}, "option of qwen2-audio 'recipe'"),
        ("qwen2-audio", {"options": {"atention": "sdpa"}}, "did you mean 'attention'"),
        ("qwen2-audio", {"options": {"name": "x"}}, "Valid are: attention, .*long_audio"),
        ("qwen2-audio", {"options": {"concurrency": 2}}, "option of qwen2-audio 'concurrency'"),
        ("qwen2-audio", {"options": {"tree_tokens": "many"}}, "found 'many'; .*valid integer"),
        ("qwen2-audio", {"options": {"tree_tokens": True}}, "found True; .*valid integer"),
        ("qwen2-audio", {"options": {"tree_tokens": 0}}, "tree_tokens: found 0; .*equal to 1"),
        ("qwen2-audio", {"options": {"attention": 2}}, "attention: found 2; .*valid string"),
        ("qwen2-audio", {"options": {"long_audio": "window"}}, "did you mean 'windows'"),
        ("qwen2-audio", {"device": "tpu"}, "device: found 'tpu'"),
        ("endpoint:x", {"device": "cpu"}, "device: found 'cpu', but 'endpoint:x' runs on its"),
        ("endpoint:x", {"dtype": "float16"}, "dtype: found 'float16'.*valid is auto"),
        ("endpoint:x", {"options": {"atention": "sdpa"}}, "Valid are: base_url, .*long_audio"),
        ("endpoint:x", {"options": {"timeout": "long"}}, "timeout: found 'long'; .*valid num"),
        ("endpoint:x", {"options": {"base_url": 8000}}, "base_url: found a int; .*valid string"),
    ],
)
def test_wrong_requests_are_named(name, given, message):
    """Each of these comes from a study file."""
    with pytest.raises(InputError, match=message):
        load_model(name, **given)


def test_naming_models_imports_neither_torch_nor_transformers():
    """``import sercue`` and looking up what there is must stay quick."""
    code = (
        "import sys, sercue.models as m; m.available_models(); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_computes_needs_torch_transformers_and_numpy_alone():
    """A machine with an accelerator may have no more: neither pandas nor any reader of audio."""
    code = (
        "import sys; absent = 'pandas', 'audformat', 'audiofile', 'pyarrow'; "
        # None makes an import fail as if the package were not installed.
        "sys.modules.update(dict.fromkeys(absent)); "
        "import sercue.models; assert 'numpy' not in sys.modules; "
        "import sercue.models.prefix, sercue.models.packed"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_package_names_what_it_has():
    """Names are looked up at first use; one that is not there must be an error like any other."""
    import sercue.models

    assert set(dir(sercue.models)) == set(sercue.models.__all__)
    assert all(hasattr(sercue.models, name) for name in sercue.models.__all__)
    with pytest.raises(AttributeError, match="attribute load_modle"):
        _ = sercue.models.load_modle


def test_a_folder_is_called_by_its_last_part(qwen_checkpoint):
    """Names go into reports that are sent on; the content tells two folders of one name apart."""
    model = load_model(f"hf:{qwen_checkpoint}", device="cpu")
    assert model.name == f"hf:{qwen_checkpoint.name}"
    assert str(qwen_checkpoint.parent) not in model.identity
    served = load_model("endpoint:/srv/model", options={"base_url": "http://127.0.0.1:9/v1"})
    assert served.name == "endpoint:model"
