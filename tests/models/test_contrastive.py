"""Contrastive baselines against transformers' own forward pass, on tiny random checkpoints."""

import shutil

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from checkpoint_parts import tokenizer
from conftest import write_study
from scipy.special import softmax
from sklearn.metrics import recall_score

from sercue.check.study import check_study
from sercue.errors import InputError
from sercue.models import contrastive
from sercue.models.contrastive import ContrastiveModel, label_similarities
from sercue.report.comparison import read_runs, runs_table
from sercue.report.methods import methods_text
from sercue.run import Run, open_run
from sercue.settings import ANALYSIS_KEYS, STUDY_KEYS, Settings, settings_from

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


@pytest.mark.parametrize("given", [["clip"], ["clap:"], ["hf:organisation/model"]])
def test_an_unknown_baseline_is_told_with_the_valid_ones(given):
    told = r"my.yaml: baselines: found \[.*unknown baseline .* Valid are: clap, clap:<folder, "
    with pytest.raises(InputError, match=told):
        settings_from({"baselines": given}, "my.yaml")


def test_baselines_of_one_name_are_refused():
    with pytest.raises(InputError, match=r"CLAP \(zero-shot, a\) stands twice"):
        settings_from({"baselines": ["clap:/b/a", "clap:/c/a"]}, "my.yaml")


def test_baselines_decide_the_analysis_and_not_the_answers():
    one, other = Settings(baselines=["clap"]), Settings()
    assert one.fingerprint(STUDY_KEYS) == other.fingerprint(STUDY_KEYS)
    assert one.fingerprint(ANALYSIS_KEYS) != other.fingerprint(ANALYSIS_KEYS)


NAME = "CLAP (zero-shot, random clap)"


@pytest.fixture(scope="module")
def finished(cache, clap, qwen_checkpoint, tmp_path_factory):
    """A study with a contrastive baseline, of which one recording is five seconds long."""
    settings = write_study(
        tmp_path_factory.mktemp("study"),
        qwen_checkpoint,
        baselines=[f"clap:{clap}"],
        conditions=["none", "aligned"],
        templates=["plain"],
        label_orders=1,
        labels={"angry": "angry", "neutral": "calm"},
        controls=False,
        resamples=100,
        model_options={"long_audio": "windows"},
    )
    run = Run(settings)
    _ = run.predictions, run.measures, run.tests
    return run


def test_a_baseline_answers_with_the_nearest_sentence(finished, clap):
    """The sentences have the words that prompts show; the audio is that of the utterance."""
    digests = finished.digests
    sentences = {
        "angry": "this person is feeling angry.",
        "neutral": "this person is feeling calm.",
    }
    logits = label_similarities(finished.corpus, load(clap), sentences, digests)
    table = finished.baselines[finished.baselines["condition"] == NAME]
    assert len(table) == 4
    assert table["prediction"].tolist() == logits.idxmax(axis=1).tolist()
    np.testing.assert_allclose(table[["p_angry", "p_neutral"]], softmax(logits, axis=1))


def test_a_baseline_stands_beside_the_others(finished):
    table = finished.baselines[finished.baselines["condition"] == NAME]
    row = finished.measures.set_index("condition").loc[NAME]
    assert row["baseline"]
    recall = recall_score(table["truth"], table["prediction"], average="macro")
    assert finished.references[NAME] == row["uar"] == pytest.approx(recall)
    assert next(iter(finished.references)) == "chance"


def test_a_second_run_asks_nothing_and_says_the_same(finished, monkeypatch):
    """One that evaluates what was left needs neither checkpoint nor cache."""
    monkeypatch.setattr(contrastive, "label_similarities", None)
    again = Run(finished.settings)
    columns = ["utterance", "condition", "prediction"]
    pd.testing.assert_frame_equal(again.zero_shot[columns], finished.zero_shot[columns])
    monkeypatch.setattr(contrastive, "ContrastiveModel", None)
    left = open_run(finished.settings.model_dump(), reuse=True)
    pd.testing.assert_frame_equal(left.zero_shot[columns], finished.zero_shot[columns])


def test_what_was_compared_is_not_compared_again(finished, clap, monkeypatch, tmp_path):
    model, sentences = load(clap), {"angry": SENTENCES[0], "neutral": SENTENCES[1]}
    asked = (finished.corpus, model, sentences, finished.digests)
    first = label_similarities(*asked, cache=tmp_path)
    monkeypatch.setattr(model, "similarities", None)
    pd.testing.assert_frame_equal(label_similarities(*asked, cache=tmp_path), first)
    other = {**sentences, "neutral": SENTENCES[2]}
    with pytest.raises(TypeError):
        label_similarities(finished.corpus, model, other, finished.digests, cache=tmp_path)


def test_other_baselines_are_not_taken_for_these(finished, tmp_path):
    """Of a study that now names one more, the stored answers are not all."""
    changed = finished.settings.model_copy(update={"baselines": []})
    assert open_run(changed.model_dump(), reuse=True).zero_shot.empty
    fused = write_clap(tmp_path / "fused", fused=True)
    more = [*finished.settings.baselines, f"clap:{fused}"]
    changed = finished.settings.model_copy(update={"baselines": more})
    names = open_run(changed.model_dump(), reuse=True).zero_shot["condition"].unique()
    assert names.tolist() == [NAME, "CLAP (zero-shot, fused)"]


def test_its_answers_say_of_which_kind_and_version_they_are(finished, tmp_path):
    """As other tables do: a newer one stops a run before anything is replaced."""
    folder = shutil.copytree(finished.folder, tmp_path / "copy")
    path = folder / "artifacts" / "zero_shot.parquet"
    table = pd.read_parquet(path)
    mark = table.attrs["sercue"]["schema"]
    assert mark == {"kind": "zero-shot answers", "version": 1}
    mark["version"] = 2
    table.to_parquet(path)
    with pytest.raises(InputError, match=r"zero_shot\.parquet: found .* of version 2"):
        Run(finished.settings.model_copy(update={"out": str(folder)}))


def test_provenance_methods_and_comparisons_name_it(finished, clap, tmp_path):
    folder = shutil.copytree(finished.folder, tmp_path / "copy")
    settings = finished.settings.model_copy(update={"out": str(folder)})
    run = Run(settings)
    _ = run.measures, run.tests
    known = run.artifacts.provenance()["baselines"][NAME]
    assert known == {"identity": load(clap).identity, "device": "cpu", "dtype": "float32"}
    text = methods_text(folder)
    assert f"version `{known['identity']}`" in text
    assert "“this person is feeling angry.”" in text
    assert str(clap.parent) not in text
    told = runs_table(read_runs([folder])).iloc[:, 0]
    assert told[NAME] == f"{run.references[NAME]:.3f}".lstrip("0")


def test_a_check_tells_where_it_is_and_how_much_it_hears(finished, qwen_checkpoint):
    """Four recordings are evaluated, one of them of five seconds."""
    told = dict(check_study(finished.settings).rows)["baselines"]
    assert told.startswith(f"{NAME}: clap:random clap@")
    assert told.endswith("its weights are here; 8 windows of at most 1 s")
    wrong = finished.settings.model_copy(update={"baselines": [f"clap:{qwen_checkpoint}"]})
    with pytest.raises(InputError, match="valid is clap"):
        check_study(wrong)
