"""The shared prefix must change nothing but the time: every number equals that of a plain run."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sercue.models.chat import AudioChatModel
from sercue.models.scoring import common_prefix

PROMPTS = [
    "Listen to the recording. Cues: energy=low. Emotion:",
    "Listen to the recording. Cues: energy=high, pitch=low, dynamics=mid. Emotion:",
    "Listen to the recording. Emotion:",
    "Listen to the recording. Cues: energy=low. Emotion:",
]
LABELS = ["angry", "neutral", "surprised", "very sad"]


@pytest.fixture(scope="module")
def model(checkpoint):
    return AudioChatModel(checkpoint, dtype="float32", device="cpu")


def processed(model, audio, text):
    chat = model._processor.apply_chat_template(
        [{"role": "user", "content": [{"type": "audio"}, {"type": "text", "text": text}]}],
        add_generation_prompt=True,
        tokenize=False,
    )
    return chat, model._processor(
        text=[chat], audio=[audio], sampling_rate=16_000, return_tensors="pt"
    )


def separate_score(model, audio, prompt, label):
    """One full forward pass over prompt and label as one text: no cache, no batch, no splice."""
    chat, asked = processed(model, audio, prompt)
    whole = model._processor(
        text=[chat + label], audio=[audio], sampling_rate=16_000, return_tensors="pt"
    )
    with torch.no_grad():
        log_probs = model._model(**whole).logits[0].log_softmax(-1)
    ids = whole["input_ids"][0]
    places = range(asked["input_ids"].shape[1], len(ids))
    return sum(float(log_probs[place - 1, ids[place]]) for place in places)


def greedy_ids(model, audio, prompt):
    """What ``generate`` of transformers adds to one prompt."""
    _, inputs = processed(model, audio, prompt)
    with torch.no_grad():
        ids = model._model.generate(**inputs, max_new_tokens=9, do_sample=False)
    return ids[0, inputs["input_ids"].shape[1] :].tolist()


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_scores_equal_separate_forward_passes(model, audio, batch_size):
    """Exactness, for labels of one token and of many, whatever the batch."""
    lengths = [len(model._tokens(label)) for label in LABELS]
    assert min(lengths) == 1
    assert max(lengths) > 3, "the test needs a label of several tokens"
    model.batch_size = batch_size
    expected = [[separate_score(model, audio, p, label) for label in LABELS] for p in PROMPTS]
    np.testing.assert_allclose(model.score(audio, PROMPTS, LABELS), expected, rtol=1e-5, atol=1e-5)


def test_a_single_prompt_scores_the_same_as_among_others(model, audio):
    """The prefix of one prompt is all of it but its last token: the edge of the arithmetic."""
    alone = model.score(audio, PROMPTS[1:2], LABELS)
    np.testing.assert_allclose(alone, model.score(audio, PROMPTS, LABELS)[1:2], atol=2e-5)


def test_identical_prompts_score_identically(model, audio):
    """Repeated cache rows must not leak into each other."""
    scores = model.score(audio, [PROMPTS[0]] * 3, LABELS)
    np.testing.assert_allclose(scores, np.repeat(scores[:1], 3, axis=0), atol=1e-6)


def test_scores_hang_on_the_audio(model, audio):
    """A prefix that dropped the audio would pass every test that compares prompts alone."""
    other = model.score(audio[::-1].copy() * 3, PROMPTS, LABELS)
    assert np.abs(model.score(audio, PROMPTS, LABELS) - other).max() > 1e-3


@pytest.mark.parametrize("batch_size", [2, 64])
def test_greedy_answers_equal_separate_generate_calls(model, audio, batch_size):
    """Token for token what ``generate`` of transformers says of each prompt alone."""
    model.batch_size = batch_size
    expected = [
        model._tokenizer.decode(greedy_ids(model, audio, prompt), skip_special_tokens=True)
        for prompt in PROMPTS
    ]
    assert model.generate(audio, PROMPTS, max_new_tokens=9) == expected


def test_greedy_answers_stop_at_the_end_of_the_turn(model, audio, monkeypatch):
    """A row that ends early must leave, and the others go on as if it had never been there."""
    stop = greedy_ids(model, audio, PROMPTS[0])[2]
    monkeypatch.setattr(model._model.generation_config, "eos_token_id", [2, stop])
    expected = [
        [token for token in greedy_ids(model, audio, prompt) if token not in (2, stop)]
        for prompt in PROMPTS
    ]
    assert len(set(map(len, expected))) > 1, "the test needs answers of different lengths"
    answers = model.generate(audio, PROMPTS, max_new_tokens=9)
    decode = model._tokenizer.decode
    assert answers == [decode(ids, skip_special_tokens=True) for ids in expected]


def test_the_audio_runs_once_for_all_prompts(model, audio, monkeypatch):
    """The reason for the shared prefix: one pass of the audio encoder, however many prompts."""
    base = model._model.model
    tower = getattr(base, "audio_tower", None) or model._model.audio_tower
    calls = []
    handle = tower.register_forward_hook(lambda *_: calls.append(1))
    model.score(audio, PROMPTS, LABELS)
    model.generate(audio, PROMPTS, max_new_tokens=3)
    handle.remove()
    assert len(calls) == 2


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6), min_size=1, max_size=4))
def test_common_prefix_is_the_longest_that_leaves_each_a_token(prompts):
    """Longest, shared, and never a whole prompt: each needs a last token to be read off."""
    length = common_prefix(prompts)
    shared = [p[:length] for p in prompts]
    assert all(part == shared[0] for part in shared)
    assert all(length < len(p) for p in prompts)
    longer = [p[: length + 1] for p in prompts]
    assert any(length + 1 >= len(p) for p in prompts) or any(p != longer[0] for p in longer)
