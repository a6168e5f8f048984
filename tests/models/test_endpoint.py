"""A model behind the real server of transformers: its answers, its refusals, its outages."""

import threading

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
import transformers
from serving import (
    Loopback,
    TransformersServer,
    completion,
    failure,
    faults_before,
    forwarded,
    served_model,
)

from sercue.corpora.corpus import Corpus, example_corpus
from sercue.errors import InputError, ServerError
from sercue.models.registry import AudioLanguageModel
from sercue.storage.tables import read_parts
from sercue.study import run_study

PROMPTS = ["Emotion:", "Cues: energy=low, pitch=high. Emotion:", "Wie fühlt sie sich? 感情"]
MANY = [f"Cues: energy={i}. Emotion:" for i in range(60)]


@pytest.fixture(scope="module")
def serving(qwen_checkpoint, tmp_path_factory):
    process = TransformersServer(qwen_checkpoint, tmp_path_factory.mktemp("serving"))
    try:
        process.start()
        yield process
    finally:
        process.kill()


@pytest.fixture
def server(serving):
    """The server, running, whatever an earlier test did to it."""
    serving.start()
    return serving


@pytest.fixture(scope="module")
def greedy(qwen_checkpoint):
    """The answer of the same checkpoint in this process, by transformers alone."""
    processor = transformers.AutoProcessor.from_pretrained(qwen_checkpoint)
    model = transformers.Qwen2AudioForConditionalGeneration.from_pretrained(qwen_checkpoint).eval()

    def answer(audio, prompt, most=8):
        turn = [{"type": "audio", "audio": audio}, {"type": "text", "text": prompt}]
        inputs = processor.apply_chat_template(
            [{"role": "user", "content": turn}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
        with torch.inference_mode():
            made = model.generate(**inputs, do_sample=False, max_new_tokens=most)
        return processor.decode(made[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)

    return answer


@pytest.fixture(scope="module")
def recordings():
    """Two, of different lengths, whose samples are no 16-bit numbers."""
    generator = np.random.default_rng(1)
    return [generator.normal(0, 0.05, n).astype(np.float32) for n in (20_000, 9_000)]


def model_of(server, **options):
    return served_model(server.model, base_url=server.url, max_seconds=2.0, **options)


def test_served_answers_equal_those_of_the_same_checkpoint_here(server, greedy, recordings):
    """The server must hear the same samples, read the same prompt and take the likeliest token."""
    model = model_of(server, batch_size=1)
    asked = [PROMPTS, PROMPTS[1:]]
    expected = [
        [greedy(audio, prompt, 6) for prompt in own]
        for audio, own in zip(recordings, asked, strict=True)
    ]
    assert model.generate(recordings, asked, max_new_tokens=6) == expected
    assert len({answer for own in expected for answer in own}) == 5


def test_it_is_an_audio_language_model_that_is_there(server):
    """What studies rely on is the protocol; ``check`` comes before hours of features."""
    model = model_of(server, revision="seed 3")
    assert isinstance(model, AudioLanguageModel)
    model.check()
    assert (model.device, model.dtype, model.sampling_rate) == ("server", "as served", 16_000)
    assert model.facts()["revision"] == "seed 3"


def test_check_refuses_a_model_that_the_server_does_not_serve(server):
    """A mistyped name must end before the study starts, and in the server's own words."""
    with pytest.raises(InputError, match=r"endpoint:other.*status 400.*pinned to"):
        served_model("other", base_url=server.url).check()


def test_check_refuses_a_url_without_v1(server):
    """The commonest mistake in a URL gets the hint that mends it."""
    with pytest.raises(InputError, match=r"404.*up to and with /v1"):
        served_model(server.model, base_url=server.url.removesuffix("/v1")).check()


def test_scores_that_the_server_cannot_give_are_refused_with_the_way_out(server, recordings):
    """It knows no log-probabilities, and anything made up instead would be a wrong number."""
    with pytest.raises(InputError, match=r"status 422.*prompt_logprobs.*decoding: generate"):
        model_of(server).score(recordings, [PROMPTS, PROMPTS], ["angry", "neutral"])


def test_answers_come_through_faults_that_pass(server, greedy, recordings):
    """Overload, a restart behind a gateway and dropped connections are everyday, not the end."""
    dropped = (0, {}, b"")
    faults = [failure(422), failure(429, Retry_After="0.1"), dropped, failure(503), failure(500)]
    with Loopback(faults_before(faults, lambda seen: forwarded(server, seen))) as proxy:
        model = served_model(server.model, base_url=proxy.url, concurrency=2)
        answers = model.generate(recordings[:1], [PROMPTS])
    assert answers == [[greedy(recordings[0], prompt) for prompt in PROMPTS]]


def test_a_server_that_dies_ends_the_call_clearly_and_a_restart_goes_on(server, recordings):
    """Nobody watches a study at night: it must stop with words, no thread left, and resume."""
    model = model_of(server, retries=1)
    threads = threading.active_count()
    killer = server.kill_after(5)
    with pytest.raises(ServerError, match=r"gave no answer \(.+\), 2 tries over .* run again"):
        model.generate(recordings[:1], [MANY])
    killer.join()
    assert threading.active_count() == threads
    server.start()
    assert len(model.generate(recordings[:1], [PROMPTS])[0]) == len(PROMPTS)


def test_a_server_that_is_back_in_time_is_not_noticed(server, greedy, recordings):
    """Retries are there to outlast a restart."""
    before = server.answered()
    killer = server.kill_after(5, start_again=True)
    answers = model_of(server, retries=12).generate(recordings[1:], [MANY])
    killer.join()
    assert answers[0][::20] == [greedy(recordings[1], prompt) for prompt in MANY[::20]]
    assert server.answered() - before >= len(MANY)


@pytest.fixture
def corpus(tmp_path):
    made = example_corpus(speakers=3, utterances=4, labels=3)
    generator = np.random.default_rng(0)
    for file in made.table.index.get_level_values("file"):
        soundfile.write(tmp_path / file, generator.normal(0, 0.1, 8000), 16_000)
    return Corpus("made", tmp_path, made.table, made.labels, "neutral", "none", True, True)


def test_a_study_resumes_after_the_server_died(server, corpus, tmp_path, monkeypatch):
    """A finished study must not tell that its server died: same rows, and nothing asked twice."""
    monkeypatch.setattr("sercue.study._BATCHES_AT_ONCE", 1)
    words = np.random.default_rng(1).choice(["low", "mid", "high"], (len(corpus.table), 2))
    tokens = pd.DataFrame(words, corpus.table.index, ["energy", "pitch"])

    def run(store):
        model = model_of(server, batch_size=1, retries=1)
        options = {"decoding": "generate", "templates": ["plain"], "orders": 2, "replicates": 2}
        before = server.answered()
        table = run_study(corpus, tokens, model, store=store, progress=False, **options)
        return table, server.answered() - before

    whole, asked = run(tmp_path / "whole")
    # Four utterances: the server dies while the second is asked about.
    killer = server.kill_after(asked // 4 + 2)
    with pytest.raises(ServerError):
        run(tmp_path / "broken")
    killer.join()
    kept = read_parts(tmp_path / "broken")
    assert 0 < len(kept) < len(whole)
    server.start()
    resumed, again = run(tmp_path / "broken")
    pd.testing.assert_frame_equal(resumed, whole)
    assert again == asked - len(kept.drop_duplicates(["audio", "prompt"]))


def test_an_answer_that_the_server_kept_back_is_asked_again_on_the_next_run(corpus, tmp_path):
    """Stored as an empty answer, it would count as one that names no label for good."""
    filtered = iter(["content_filter"])

    def answer(seen):
        ended = next(filtered, "stop")
        message = {"role": "assistant", "content": "angry" if ended == "stop" else None}
        return completion("", choices=[{"message": message, "finish_reason": ended}])

    words = np.full((len(corpus.table), 1), "low")
    tokens = pd.DataFrame(words, corpus.table.index, ["energy"])
    asked = {"decoding": "generate", "templates": ["plain"], "conditions": ["none"]}
    with Loopback(answer) as server:
        model = served_model("m", base_url=server.url, concurrency=1)
        first, second = (
            run_study(corpus, tokens, model, store=tmp_path / "s", progress=False, **asked)
            for _ in range(2)
        )
        assert len(server.chats()) == len(first) + 1
    lost = first[~first["valid"]]
    assert lost["why_invalid"].tolist() == [
        "the server ended it with finish_reason 'content_filter'"
    ]
    assert second["answer"].tolist() == ["angry"] * len(second)
