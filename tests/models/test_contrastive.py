"""Contrastive baselines against transformers' own forward pass, on tiny random checkpoints."""

import shutil

import numpy as np
import pytest
import torch
import transformers
from checkpoint_parts import tokenizer

from sercue.errors import InputError
from sercue.models.contrastive import ContrastiveModel

RATE, SECONDS = 48_000, 1
SENTENCES = ["this person is feeling angry.", "this person is feeling neutral.", "Listen."]


def write_clap(folder, *, fused=False):
    """A ClapModel whose windows are of one second, and whose weights are spread widely."""
    words = tokenizer()
    config = transformers.ClapConfig(
        text_config={
            "vocab_size": len(words), "hidden_size": 32, "num_hidden_layers": 2,
            "num_attention_heads": 4, "intermediate_size": 64, "projection_dim": 32,
            "max_position_embeddings": 64, "pad_token_id": words.pad_token_id,
        },
        audio_config={
            "spec_size": 64, "num_mel_bins": 16, "window_size": 4, "patch_size": 2,
            "patch_stride": [2, 2], "depths": [1, 1], "num_attention_heads": [2, 2],
            "patch_embeds_hidden_size": 16, "hidden_size": 32, "projection_dim": 32,
            "enable_fusion": fused,
        },
        projection_dim=32,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = transformers.ClapModel(config)
        for weights in model.parameters():
            if weights.dim() > 1:
                torch.nn.init.normal_(weights, std=0.3)
    extractor = transformers.ClapFeatureExtractor(
        feature_size=16,
        sampling_rate=RATE,
        hop_length=960,
        max_length_s=SECONDS,
        truncation="fusion" if fused else "rand_trunc",
    )
    model.save_pretrained(folder)
    transformers.ClapProcessor(extractor, words).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=[False, True], ids=["unfused", "fused"])
def either(request, tmp_path_factory):
    return write_clap(tmp_path_factory.mktemp("clap"), fused=request.param)


@pytest.fixture(scope="module")
def clap(tmp_path_factory):
    return write_clap(tmp_path_factory.mktemp("clap") / "random clap")


def load(folder, **more):
    return ContrastiveModel(f"clap:{folder}", device="cpu", **more)


def noise(seconds, seed=0):
    samples = np.random.default_rng(seed).normal(0, 0.1, round(seconds * RATE))
    return np.cumsum(samples * (1 + seed % 3)).clip(-1, 1).astype(np.float32)


def forward(folder, audios):
    """transformers' own answer; none of these recordings is longer than the model takes."""
    model = transformers.ClapModel.from_pretrained(folder).eval()
    processor = transformers.ClapProcessor.from_pretrained(folder)
    inputs = processor(
        text=SENTENCES, audio=audios, sampling_rate=RATE, padding=True, return_tensors="pt"
    )
    inputs["is_longer"] = torch.zeros_like(torch.as_tensor(inputs["is_longer"]))
    with torch.inference_mode():
        return model(**inputs)


def test_similarities_are_the_logits_of_transformers(either):
    audios = [noise(seconds, seed) for seed, seconds in enumerate((0.3, 1.0, 0.77, 0.5, 0.05))]
    found = load(either, batch_size=2).similarities(audios, SENTENCES)
    expected = forward(either, audios).logits_per_audio.numpy()
    assert np.ptp(expected, axis=0).min() > 0.01
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_of_a_long_recording_the_windows_are_averaged(either):
    """And their mean names the label that the mean of their embeddings names."""
    long = noise(2.5)
    thirds = np.split(long, 3)
    found = load(either).similarities([noise(0.4, 1), long], SENTENCES)[1]
    output = forward(either, thirds)
    np.testing.assert_allclose(found, output.logits_per_audio.mean(0).numpy(), atol=1e-4)
    mean = torch.nn.functional.normalize(output.audio_embeds.mean(0), dim=0)
    assert found.argmax() == (output.text_embeds @ mean).argmax()


def test_nothing_is_drawn_at_random(either):
    """The processor draws crops of long recordings, and which of a batch counts as long."""
    model, audios = load(either), [noise(1.7), noise(0.6, 1), noise(0.2, 2)]
    first = model.similarities(audios, SENTENCES)
    for _ in range(4):
        np.testing.assert_array_equal(model.similarities(audios, SENTENCES), first)


def test_what_runs_beside_a_recording_does_not_matter(clap):
    audios = [noise(0.3 + n / 5, n) for n in range(4)]
    together = load(clap).similarities(audios, SENTENCES)
    alone = [load(clap, batch_size=1).similarities([audio], SENTENCES)[0] for audio in audios]
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_half_precision_is_near_single_precision(clap):
    audios = [noise(0.5, n) for n in range(3)]
    half = load(clap, dtype="bfloat16")
    assert half.identity.endswith("/bfloat16")
    np.testing.assert_allclose(
        half.similarities(audios, SENTENCES), load(clap).similarities(audios, SENTENCES), atol=0.3
    )


def test_where_memory_runs_out_fewer_run_at_once(clap, monkeypatch):
    model, audios = load(clap), [noise(0.5, n) for n in range(5)]
    expected, hear = model.similarities(audios, SENTENCES), model._hear

    def small(windows):
        if len(windows) > 2:
            raise RuntimeError("CUDA out of memory.")
        return hear(windows)

    monkeypatch.setattr(model, "_hear", small)
    np.testing.assert_allclose(model.similarities(audios, SENTENCES), expected, atol=1e-5)


def test_similarities_that_are_not_finite_are_no_answers(clap, monkeypatch):
    model = load(clap)
    with torch.no_grad():
        model._model.audio_projection.linear1.weight[0] = float("nan")
    with pytest.raises(InputError, match="similarities of 1 of 1 recordings are not finite"):
        model.similarities([noise(0.5)], SENTENCES)


def test_other_checkpoints_are_refused(clap, qwen_checkpoint, tmp_path):
    with pytest.raises(InputError, match="has the type 'qwen2_audio'; valid is clap"):
        load(qwen_checkpoint).check()
    shutil.copytree(clap, pickled := tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"found neither model\.safetensors nor"):
        load(pickled).check()
    with pytest.raises(InputError, match="no folder at"):
        load(tmp_path / "nowhere").check()
