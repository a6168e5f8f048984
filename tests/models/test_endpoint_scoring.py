"""Scores through a server that tells log-probabilities of prompts, against separate passes."""

import json

import numpy as np
import pytest
import torch
from scoring_server import PromptLogprobs
from serving import Loopback, failure, served_model

from sercue.errors import InputError

PROMPTS = ["Emotion:", "Cues: energy=low, pitch=high. Emotion:", "Wie fühlt sie sich? 感情"]
# One token, several, one beginning with another, two words, letters of several bytes.
LABELS = ["neutral", "angry", "surprised", "neutral mood", "wütend", "喜び"]


@pytest.fixture(scope="module")
def scorer(qwen_checkpoint):
    return PromptLogprobs(qwen_checkpoint, "tiny", shipped_penalty=3.0)


@pytest.fixture(scope="module")
def server(scorer):
    with Loopback(scorer) as running:
        yield running


@pytest.fixture
def model(server):
    return served_model("tiny", base_url=server.url, max_seconds=2.0)


@pytest.fixture(scope="module")
def recordings():
    generator = np.random.default_rng(2)
    return [generator.normal(0, 0.05, n).astype(np.float32) for n in (20_000, 9_000)]


def chat_inputs(scorer, audio, prompt):
    turn = [{"type": "audio", "audio": audio}, {"type": "text", "text": prompt}]
    return scorer.processor.apply_chat_template(
        [{"role": "user", "content": turn}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )


def log_likelihood(scorer, audio, prompt, label):
    """Token after token, each by a pass of its own over what stands before it."""
    inputs = chat_inputs(scorer, audio, prompt)
    total, ids = 0.0, inputs.pop("input_ids")
    del inputs["attention_mask"]
    for token in scorer.processor.tokenizer(label, add_special_tokens=False)["input_ids"]:
        with torch.inference_mode():
            logits = scorer.model(input_ids=ids, **inputs, use_cache=False).logits[0, -1]
        total += float(logits.double().log_softmax(0)[token])
        ids = torch.cat([ids, torch.tensor([[token]])], dim=1)
    return total


def test_scores_are_the_log_likelihoods_of_separate_passes(scorer, model, recordings):
    """The sum over a label's tokens, of whatever number, is the whole of the method."""
    asked = [PROMPTS, PROMPTS[:1]]
    found = model.score(recordings, asked, LABELS)
    assert [rows.shape for rows in found] == [(3, 6), (1, 6)]
    for audio, own, rows in zip(recordings, asked, found, strict=True):
        expected = [[log_likelihood(scorer, audio, p, label) for label in LABELS] for p in own]
        np.testing.assert_allclose(rows, expected, rtol=1e-4)


def test_a_prompt_costs_one_request_a_label(server, recordings):
    """Where labels begin is measured once, not for every prompt."""
    before = len(server.chats())
    model = served_model("tiny", base_url=server.url)
    model.score(recordings, [PROMPTS, PROMPTS], LABELS)
    model.score(recordings, [PROMPTS, PROMPTS], LABELS)
    assert len(server.chats()) - before == 2 * 2 * 3 * 6 + 6 + 1


def test_penalties_that_a_repository_ships_are_not_applied(scorer, model, recordings):
    """Qwen2-Audio's own settings would make a greedy answer another one."""

    def answer(prompt, **settings):
        inputs = chat_inputs(scorer, recordings[0], prompt)
        made = scorer.model.generate(**inputs, do_sample=False, max_new_tokens=12, **settings)
        told = made[0, inputs["input_ids"].shape[1] :]
        return scorer.processor.decode(told, skip_special_tokens=True)

    expected = [answer(prompt) for prompt in PROMPTS]
    assert model.generate(recordings[:1], [PROMPTS], max_new_tokens=12) == [expected]
    shipped = [answer(prompt, repetition_penalty=scorer.shipped_penalty) for prompt in PROMPTS]
    assert shipped != expected


def test_check_lists_what_the_server_serves(server):
    """The right name is usually among it."""
    with pytest.raises(InputError, match=r"model `tino` does not exist.*it lists tiny"):
        served_model("tino", base_url=server.url).check()


def test_facts_tell_what_the_server_says_of_itself(model, recordings):
    """The name alone says little of the weights behind it."""
    model.generate(recordings[:1], [PROMPTS[:1]])
    told = {key: value for key, value in model.facts().items() if key.startswith("server's")}
    assert told == {
        "server's root": "/weights/tiny",
        "server's max_model_len": "512",
        "server's system_fingerprint": "vllm-1-abc",
    }


def changed(scorer, change):
    """The scoring server with its replies changed on the way."""

    def answer(seen):
        status, headers, body = scorer(seen)
        reply = json.loads(body)
        change(reply, seen.body)
        return status, headers, json.dumps(reply).encode()

    return Loopback(answer)


def _without(reply, asked):
    del reply["prompt_logprobs"]


def _two_a_place(reply, asked):
    reply["prompt_logprobs"][5]["9999"] = {"logprob": -1.0}


def _logits(reply, asked):
    for place in reply["prompt_logprobs"][1:]:
        next(iter(place.values()))["logprob"] += 40


def _words_before_the_answer(reply, asked):
    if "continue_final_message" in asked:
        thought = {"7": {"logprob": -1.0, "decoded_token": "hm"}}
        reply["prompt_logprobs"].insert(-1, thought)


def _other_prompt(reply, asked):
    if "continue_final_message" in asked:
        reply["prompt_logprobs"].insert(1, {"7": {"logprob": -1.0, "decoded_token": "hm"}})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without, "no prompt_logprobs"),
        (_two_a_place, "one token per place"),
        (_logits, "for the logarithm of a probability"),
        (_words_before_the_answer, "'neutral' alone and right behind the prompt"),
        (_other_prompt, "'neutral' alone and right behind the prompt"),
    ],
)
def test_what_is_no_exact_score_is_refused(scorer, recordings, change, message):
    """A number that is nearly a log-likelihood would not be seen to be wrong."""
    with changed(scorer, change) as server:
        model = served_model("tiny", base_url=server.url)
        with pytest.raises(InputError, match=f"{message}.*decoding: generate"):
            model.score(recordings[:1], [PROMPTS[:1]], ["neutral"])


def with_logprob(scorer, written, text=PROMPTS[1]):
    """The scoring server; behind one prompt, the last token's log-probability as it is written."""

    def answer(seen):
        status, headers, body = scorer(seen)
        if text in str(seen.body["messages"][0]) and len(seen.body["messages"]) == 2:
            reply = json.loads(body)
            (last,) = reply["prompt_logprobs"][-1].values()
            last["logprob"] = "HERE"
            body = json.dumps(reply).replace('"HERE"', written).encode()
        return status, headers, body

    return Loopback(answer)


@pytest.mark.parametrize(
    "number", ["-Infinity", "NaN", "-1e999", "-9999.0", "-1" + 500 * "0", "-1e308"]
)
def test_a_logprob_that_is_not_finite_leaves_its_prompt_without_scores(
    scorer, model, recordings, number
):
    """An overflow in the server: any number made of it would be an answer. vLLM writes -9999."""
    expected = model.score(recordings[:1], [PROMPTS], LABELS[:2])[0]
    with with_logprob(scorer, number) as server:
        other = served_model("tiny", base_url=server.url)
        found = other.score(recordings[:1], [PROMPTS], LABELS[:2])[0]
    assert np.isnan(found[1]).all()
    np.testing.assert_array_equal(found[[0, 2]], expected[[0, 2]])


@pytest.mark.parametrize(
    "number", ["false", "true", "null", '"-0.5"', '"-Infinity"', "0.7", "Infinity", "[-0.5]",
                "1" + 500 * "0"],
)  # fmt: skip
def test_what_is_no_logarithm_of_a_probability_is_refused(scorer, recordings, number):
    """A number of another kind would be a score that nobody sees to be wrong."""
    message = "for the logarithm of a probability"
    with with_logprob(scorer, number) as server:
        model = served_model("tiny", base_url=server.url)
        with pytest.raises(InputError, match=message) as told:
            model.score(recordings[:1], [PROMPTS], LABELS[:2])
    assert len(str(told.value)) < 400


def test_prompts_that_reach_the_model_as_one_are_refused(scorer, recordings):
    """A chat template that drops the text would make all conditions equal, seen by nobody."""

    def without_text(seen):
        if seen.body:
            seen.body["messages"][0]["content"][1]["text"] = ""
        return scorer(seen)

    with Loopback(without_text) as server:
        model = served_model("tiny", base_url=server.url)
        assert model.score(recordings[:1], [["a", "a"]], LABELS[:1])[0].shape == (2, 1)
        with pytest.raises(InputError, match=r"prompts: different ones .* same tokens"):
            model.score(recordings[:1], [["a", "b"]], LABELS[:1])


def _other_answer(places):
    places[-1] = {"7": {"logprob": -1.0, "decoded_token": "hm"}}


def _more_before(places):
    places.insert(1, {"7": {"logprob": -1.0, "decoded_token": "hm"}})


@pytest.mark.parametrize("change", [_other_answer, _more_before])
def test_tokens_that_change_from_prompt_to_prompt_are_refused(scorer, recordings, change):
    """Then the measured beginning of the label does not hold for this prompt."""

    def later(reply, asked):
        question, *answer = asked["messages"]
        if PROMPTS[1] in str(question) and "angry" in str(answer):
            change(reply["prompt_logprobs"])

    with changed(scorer, later) as server:
        model = served_model("tiny", base_url=server.url)
        with pytest.raises(InputError, match="differ from prompt to prompt"):
            model.score(recordings[:1], [PROMPTS], ["neutral", "angry"])


def test_a_server_that_refuses_the_fields_is_refused_in_its_words():
    """Hosted services answer 400 to fields that are not OpenAI's."""
    with Loopback(lambda _: failure(400, "Unrecognized argument prompt_logprobs")) as server:
        model = served_model("m", base_url=server.url)
        with pytest.raises(InputError, match=r"Unrecognized argument.*decoding: generate"):
            model.score([np.zeros(1600)], [["a"]], ["angry"])


def test_a_label_without_letters_is_refused(model, recordings):
    """It has no likelihood."""
    with pytest.raises(InputError, match="labels: found"):
        model.score(recordings[:1], [PROMPTS[:1]], ["angry", ""])
