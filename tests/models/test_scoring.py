"""The shared prefix must change nothing but the time: every number equals that of a plain run."""

import numpy as np
import pytest
import torch
from checkpoint_parts import turn
from checkpoints import ARCHITECTURES

from sercue.errors import InputError
from sercue.models import packed, scoring, suffixes
from sercue.models.chat import AudioChatModel, CheckpointOptions

PROMPTS = [
    "Listen to the recording. Cues: energy=low. Emotion:",
    "Listen to the recording. Cues: energy=high, pitch=low, dynamics=mid. Emotion:",
    "Listen to the recording. Emotion:",
    "Listen to the recording. Cues: energy=low. Emotion:",
]
OTHERS = ["What is heard? Options: neutral, angry. Cues: pitch=high. Answer:", *PROMPTS[:2]]
LABELS = ["angry", "neutral", "surprised", "very sad"]
METHODS = [scoring.TREE, scoring.SUFFIXES]
#: Positions in three dimensions and the whole past; a sliding window. These two go through every
#: case, all others through one.
WHOLE = ["qwen2.5-omni", "gemma-4"]


@pytest.fixture(scope="module", params=WHOLE)
def checkpoint(request, written):
    return written(request.param)


@pytest.fixture(scope="module")
def model(checkpoint):
    return AudioChatModel(checkpoint, dtype="float32", device="cpu")


@pytest.fixture(params=METHODS)
def method(request, model, monkeypatch):
    """Both implementations, whichever the model would choose."""
    monkeypatch.setattr(model._scoring, "method", request.param)
    return request.param


@pytest.fixture(scope="session")
def shorter(audio):
    return (audio[::-1] * 2)[:9_000].copy()


def processed(model, audio, text, label=""):
    """The processor's own inputs for a prompt, a label written behind it."""
    processor = model.checkpoint.processor
    inputs = processor.apply_chat_template(
        [turn(processor, text, audio)],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    inputs = dict(inputs)
    added = processor.tokenizer(label, add_special_tokens=False)["input_ids"] if label else []
    for name in ("input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids"):
        if name in inputs:
            fill = {"input_ids": added, "attention_mask": [1] * len(added)}
            more = torch.tensor([fill.get(name, [0] * len(added))], dtype=torch.long)
            inputs[name] = torch.cat([inputs[name], more], dim=1)
    return inputs, len(added)


def separate_score(model, audio, prompt, label, dtype=torch.float32):
    """One full forward pass over prompt and label as one text: no cache, no batch, no splice."""
    inputs, added = processed(model, audio, prompt, label)
    inputs = {k: v.to(dtype) if v.is_floating_point() else v for k, v in inputs.items()}
    with torch.no_grad():
        log_probs = model._model(**inputs).logits[0].float().log_softmax(-1)
    ids = inputs["input_ids"][0]
    return sum(float(log_probs[p - 1, ids[p]]) for p in range(len(ids) - added, len(ids)))


def separate_scores(model, audio, prompts, dtype=torch.float32):
    return np.array([[separate_score(model, audio, p, w, dtype) for w in LABELS] for p in prompts])


def greedy_ids(model, audio, prompt, most=9):
    """What ``generate`` of transformers adds to one prompt."""
    inputs, _ = processed(model, audio, prompt)
    with torch.no_grad():
        ids = model._model.generate(**inputs, max_new_tokens=most, do_sample=False)
    return ids[0, inputs["input_ids"].shape[1] :].tolist()


def decoded(model, ids):
    return model.checkpoint.processor.tokenizer.decode(ids, skip_special_tokens=True)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("architecture", [name for name in ARCHITECTURES if name not in WHOLE])
def test_every_architecture_answers_as_in_separate_passes(
    architecture, method, written, audio, shorter, monkeypatch
):
    """Recordings of three lengths, the shortest that eGeMAPS takes among them; scores and texts."""
    model = AudioChatModel(written(architecture), dtype="float32", device="cpu", batch_size=3)
    monkeypatch.setattr(model._scoring, "method", method)
    monkeypatch.setattr(model._scoring, "tree_tokens", 60)
    shortest = audio[: round(0.06 * model.sampling_rate)]
    recordings, asked = [shorter, audio, shortest], [OTHERS, PROMPTS, PROMPTS[:1]]
    found = model.score(recordings, asked, LABELS)
    for scores, recording, prompts in zip(found, recordings, asked, strict=True):
        expected = separate_scores(model, recording, prompts)
        np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-5)
    said = model.generate([audio], [PROMPTS[:2]], max_new_tokens=4)[0]
    assert said == [decoded(model, greedy_ids(model, audio, p, most=4)) for p in PROMPTS[:2]]


@pytest.mark.parametrize("tree_tokens", [8, 60, 4096])
def test_scores_equal_separate_forward_passes(model, audio, method, tree_tokens, monkeypatch):
    """Exactness, for labels of one token and of many, in one tree or in many."""
    tokens = model.checkpoint.processor.tokenizer
    lengths = [len(tokens(label, add_special_tokens=False)["input_ids"]) for label in LABELS]
    assert min(lengths) == 1
    assert max(lengths) > 3, "the test needs a label of several tokens"
    monkeypatch.setattr(model._scoring, "tree_tokens", tree_tokens)
    expected = separate_scores(model, audio, PROMPTS)
    found = model.score([audio], [PROMPTS], LABELS)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_several_recordings_score_as_each_alone(
    model, audio, shorter, method, batch_size, monkeypatch
):
    """Recordings of unlike lengths with unlike prompts run in one pass, padded to the longest."""
    monkeypatch.setattr(model._scoring, "batch_size", batch_size)
    recordings, asked = [shorter, audio, audio], [OTHERS, PROMPTS, PROMPTS[1:2]]
    found = model.score(recordings, asked, LABELS)
    for scores, recording, prompts in zip(found, recordings, asked, strict=True):
        expected = separate_scores(model, recording, prompts)
        np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-5)


def test_eager_attention_takes_the_tree(checkpoint, audio):
    """It wants another mask: one that is added to the scores."""
    eager = CheckpointOptions(attention="eager")
    model = AudioChatModel(checkpoint, eager, dtype="float32", device="cpu")
    found = model.score([audio], [PROMPTS], LABELS)[0]
    assert model._scoring.method == scoring.TREE
    expected = separate_scores(model, audio, PROMPTS)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_bfloat16_keeps_the_choice(checkpoint, audio, shorter):
    """Rounding may swap labels that tie within a hundredth, and no others."""
    model = AudioChatModel(checkpoint, dtype="bfloat16", device="cpu")
    found = np.concatenate(model.score([audio, shorter], [PROMPTS, OTHERS], LABELS))
    expected = np.concatenate(
        [
            separate_scores(model, audio, PROMPTS, torch.bfloat16),
            separate_scores(model, shorter, OTHERS, torch.bfloat16),
        ]
    )
    chosen = expected[np.arange(len(found)), found.argmax(axis=1)]
    assert (expected.max(axis=1) - chosen <= 1e-2).all()


def test_identical_prompts_score_identically(model, audio, method):
    """Prompts that share a leaf, or a repeated row, must not leak into each other."""
    scores = model.score([audio], [[PROMPTS[0]] * 3], LABELS)[0]
    np.testing.assert_allclose(scores, np.repeat(scores[:1], 3, axis=0), atol=1e-6)


def test_scores_hang_on_the_audio(model, audio, method):
    """A prefix that dropped the audio would pass every test that compares prompts alone."""
    own, other = model.score([audio, audio[::-1].copy() * 3], [PROMPTS, PROMPTS], LABELS)
    assert np.abs(own - other).max() > 1e-3


@pytest.mark.parametrize("tree_tokens", [60, 4096])
def test_greedy_answers_equal_separate_generate_calls(
    model, audio, shorter, method, tree_tokens, monkeypatch
):
    """Token for token what ``generate`` of transformers says of each prompt alone."""
    monkeypatch.setattr(model._scoring, "tree_tokens", tree_tokens)
    recordings, asked = [shorter, audio], [OTHERS, PROMPTS]
    expected = [
        [decoded(model, greedy_ids(model, recording, prompt)) for prompt in prompts]
        for recording, prompts in zip(recordings, asked, strict=True)
    ]
    assert model.generate(recordings, asked, max_new_tokens=9) == expected


@pytest.mark.parametrize("method", METHODS)
def test_greedy_answers_stop_at_the_end_of_the_turn(
    original_checkpoint, audio, method, monkeypatch
):
    """A prompt that ends early must leave, and the others go on as if it had never been there."""
    model = AudioChatModel(original_checkpoint, dtype="float32", device="cpu")
    model._scoring.method = method
    stop = greedy_ids(model, audio, PROMPTS[0])[2]
    monkeypatch.setattr(model._model.generation_config, "eos_token_id", [2, stop])
    expected = [
        [token for token in greedy_ids(model, audio, prompt) if token not in (2, stop)]
        for prompt in PROMPTS
    ]
    assert len(set(map(len, expected))) > 1, "the test needs answers of different lengths"
    answers = model.generate([audio], [PROMPTS], max_new_tokens=9)[0]
    assert answers == [decoded(model, ids) for ids in expected]


def passes(module, run):
    """Number of tokens in each pass of a module."""
    seen = []
    handle = module.register_forward_hook(
        lambda _, given, kwargs, out: seen.append(out), with_kwargs=True
    )
    run()
    handle.remove()
    return len(seen)


def test_the_audio_runs_once_for_all_prompts_of_all_wordings(model, audio, monkeypatch):
    """The reason for the shared prefix: one pass of the audio, and one of all that is behind it."""
    monkeypatch.setattr(model._scoring, "tree_tokens", 4096)
    first = ("layers.0", "encoders.0")
    layers = [module for name, module in model._model.named_modules() if name.endswith(first)]
    asked = [*PROMPTS, *OTHERS]
    # The first layer of the audio encoder once, that of the language model for prefix and tree.
    counts = sorted(
        passes(layer, lambda: model.score([audio], [asked], LABELS)) for layer in layers
    )
    assert [count for count in counts if count] == [1, 2]


def test_attention_without_such_masks_falls_back(checkpoint, audio, monkeypatch):
    """Flash attention and its like know no mask of four dimensions; suffixes need none."""
    monkeypatch.setattr(packed, "IMPLEMENTATIONS", ())
    model = AudioChatModel(checkpoint, dtype="float32", device="cpu")
    found = model.score([audio], [PROMPTS], LABELS)[0]
    assert model._scoring.method == scoring.SUFFIXES
    expected = separate_scores(model, audio, PROMPTS)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_a_method_that_is_not_exact_on_this_model_is_not_used(qwen_checkpoint, audio, monkeypatch):
    """What every model was never tested with must be found out on the model at hand."""
    right = packed.score_answers
    monkeypatch.setattr(packed, "score_answers", lambda *given: [s + 0.01 for s in right(*given)])
    model = AudioChatModel(qwen_checkpoint, dtype="float32", device="cpu")
    assert model._scoring.method == scoring.SUFFIXES
    assert "batched suffixes" in model.facts()["prompts of a recording"]
    wrong = suffixes.score_answers
    monkeypatch.setattr(suffixes, "score_answers", lambda *given: [s + 1 for s in wrong(*given)])
    with pytest.raises(InputError, match=r"differ from those of separate.*token tree 0\.01"):
        AudioChatModel(qwen_checkpoint, dtype="float32", device="cpu").facts()


@pytest.mark.parametrize("checkpoint", ["phi-4-multimodal"], indirect=True)
def test_a_model_whose_recordings_hang_on_each_other_is_asked_one_by_one(checkpoint, audio):
    """Phi-4's audio encoder lets padding in: a score would depend on who else was in the batch."""
    model = AudioChatModel(checkpoint, dtype="float32", device="cpu", batch_size=4)
    assert model.facts()["recordings at once"] == "1"
    assert model._scoring.method == scoring.TREE


class Memory:
    """A device that holds so many tokens: beyond them it raises what torch raises there."""

    def __init__(self, model, most):
        self.most, self.refused = most, 0
        self.handle = model.get_input_embeddings().register_forward_pre_hook(self)

    def __call__(self, module, given):
        if given[0].numel() > self.most:
            self.refused += 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@pytest.mark.parametrize("ahead", [False, True])
def test_out_of_memory_halves_the_batch_and_goes_on(qwen_checkpoint, audio, ahead, monkeypatch):
    """A run of days must not end for want of memory, also where the next batch is prepared."""
    monkeypatch.setattr(scoring.Scoring, "_waits", ahead)
    model = AudioChatModel(qwen_checkpoint, dtype="float32", device="cpu", batch_size=8)
    recordings = [audio * (1 + i) for i in range(6)]
    expected = model.score(recordings, [PROMPTS] * 6, LABELS)
    memory = Memory(model._model, 400)
    found = model.score(recordings, [PROMPTS] * 6, LABELS)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert memory.refused
    assert model.batch_size < 8
    assert model.facts()["recordings at once"] == str(model.batch_size)
    before = memory.refused
    model.generate(recordings, [PROMPTS] * 6, 2)
    assert memory.refused == before, "the size that was found is kept"


def test_out_of_memory_with_one_recording_splits_its_tree(qwen_checkpoint, audio):
    """Then fewer prompts run at once, and when even few are too many, the error says so."""
    model = AudioChatModel(qwen_checkpoint, dtype="float32", device="cpu", batch_size=1)
    asked = [f"{prompt} {number}" for prompt in PROMPTS for number in range(8)]
    expected = model.score([audio], [asked], LABELS)[0]
    size = model._scoring.tree_tokens
    memory = Memory(model._model, 170)
    np.testing.assert_allclose(model.score([audio], [asked], LABELS)[0], expected, atol=1e-5)
    assert model._scoring.tree_tokens < size
    memory.most = 10
    with pytest.raises(InputError, match="ran out of memory with one recording"):
        model.score([audio], [asked], LABELS)


def test_other_errors_are_not_taken_for_want_of_memory(qwen_checkpoint, audio):
    """A bug must not be hidden behind ever smaller batches."""
    model = AudioChatModel(qwen_checkpoint, dtype="float32", device="cpu")
    _ = model.facts()

    def fail(*_):
        raise RuntimeError("shapes do not match")

    model._model.get_input_embeddings().register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        model.score([audio], [PROMPTS], LABELS)
    assert model.batch_size == 8
