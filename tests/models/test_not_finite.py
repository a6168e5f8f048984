"""Numbers that are not finite stay where they arise: no other prompt, recording or label has them.

Attention gives a masked token the weight zero, and zero times NaN is NaN: in a batch, one token
whose embedding is NaN would reach every prompt that shares the pass.
"""

import numpy as np
import pytest
import torch
from test_scoring import LABELS, METHODS

from sercue.errors import InputError
from sercue.models import NoAnswer, scoring
from sercue.models.chat import AudioChatModel

PROMPTS = ["Emotion:", "Z. Emotion:", "Cues: energy=low. Emotion:"]
HURT = [False, True, False]
FIRST = "Listen to the recording. Emotion:"


@pytest.fixture(params=METHODS)
def model(request, qwen_checkpoint):
    """A model of its own, loaded and tried, which a test may damage."""
    model = AudioChatModel(qwen_checkpoint, dtype="float32", device="cpu", batch_size=4)
    model._scoring.method = request.param
    return model


def damage(model, token):
    """The embedding of one token becomes NaN."""
    with torch.no_grad():
        model._model.get_input_embeddings().weight[token] = torch.nan


def only(model, text):
    (token,) = model.checkpoint.processor.tokenizer(text)["input_ids"]
    return token


def test_a_prompt_that_is_not_finite_spoils_no_other(model, audio):
    """Neither beside it in the tree nor of another recording, and its own scores stay NaN."""
    recordings, asked = [audio, audio[:9_000]], [PROMPTS, PROMPTS[:1]]
    expected = model.score(recordings, asked, LABELS)
    damage(model, only(model, "Z"))
    found = model.score(recordings, asked, LABELS)
    assert np.isnan(found[0][HURT]).all()
    healthy = ~np.array(HURT)
    np.testing.assert_allclose(found[0][healthy], expected[0][healthy], atol=1e-5)
    np.testing.assert_allclose(found[1], expected[1], atol=1e-5)


def test_a_label_that_is_not_finite_spoils_no_other(model, audio):
    """The first token of a label with several stands in the tree beside the other labels."""
    labels = ["angry", "Zebra"]
    expected = model.score([audio], [PROMPTS[:1]], labels)[0]
    damage(model, only(model, "Z"))
    found = model.score([audio], [PROMPTS[:1]], labels)[0]
    assert np.isnan(found[0, 1])
    assert found[0, 0] == pytest.approx(expected[0, 0], abs=1e-5)


def test_what_fills_up_a_batch_spoils_nothing(model, audio):
    """Shorter recordings and shorter trees are padded with the token 0."""
    recordings, asked = [audio, audio[:9_000]], [[PROMPTS[0], PROMPTS[2]], [FIRST]]
    expected = model.score(recordings, asked, LABELS)
    answers = model.generate(recordings, asked, 4)
    damage(model, 0)
    for own, right in zip(model.score(recordings, asked, LABELS), expected, strict=True):
        np.testing.assert_allclose(own, right, atol=1e-5)
    assert model.generate(recordings, asked, 4) == answers


def test_an_answer_of_logits_that_are_not_finite_is_none(model, audio):
    """The place of NaN is what ``argmax`` returns: token 0, which would be stored as an answer."""
    expected = model.generate([audio], [PROMPTS], 4)[0]
    damage(model, only(model, "Z"))
    found = model.generate([audio], [PROMPTS], 4)[0]
    assert found == [expected[0], NoAnswer("its logits are not finite"), expected[2]]


def test_nothing_is_asked_again_where_all_share_the_fault(model, audio, monkeypatch):
    """A recording that overflows would else cost a pass for each prompt and label."""
    damage(model, only(model, "Z"))
    calls = []
    once = scoring.Scoring._score
    monkeypatch.setattr(
        scoring.Scoring, "_score", lambda *given: calls.append(given) or once(*given)
    )
    shared = [f"Z {prompt}" for prompt in PROMPTS]
    assert np.isnan(model.score([audio], [shared], LABELS)[0]).all()
    assert len(calls) == 1


def test_a_model_whose_trial_is_not_finite_is_refused_with_its_precision(qwen_checkpoint):
    """NaN is no difference that rounding explains, nor one that another method would mend."""
    model = AudioChatModel(qwen_checkpoint, name="mine", dtype="float16", device="cpu")
    with torch.no_grad():
        model._model.get_output_embeddings().weight.mul_(1e6)
    with pytest.raises(InputError, match=r"'mine': in float16.*not finite.*bfloat16 or float32"):
        model.facts()
    damaged = AudioChatModel(qwen_checkpoint, dtype="float32", device="cpu")
    damage(damaged, only(damaged, "."))
    with pytest.raises(InputError, match=r"in float32.*its weights or its config"):
        damaged.facts()
