"""What becomes of faults on the way to a server, of many requests at once, and of the key."""

import asyncio
import email.utils
import itertools
import logging
import os
import signal
import threading
import time
import traceback

import numpy as np
import pytest
from serving import (
    JSON,
    Loopback,
    completion,
    failure,
    faults_before,
    free_port,
    served_model,
    wait_until,
)

from sercue.errors import InputError, ServerError

AUDIO = np.zeros(1600, dtype=np.float32)
KEY = "sk-planted/0123456789"


def echo(seen):
    """Answers with the prompt, so that each answer tells which request it belongs to."""
    return completion(seen.body["messages"][0]["content"][1]["text"])


def ask(server, prompts=("a",), **options):
    model = served_model("m", base_url=server.url, **options)
    return model.generate([AUDIO], [list(prompts)])[0]


def test_the_audio_comes_first_and_the_request_is_greedy():
    """Behind the text the audio would run once a prompt, and sampled answers would differ."""
    with Loopback(echo) as server:
        ask(server, ["Emotion:"])
    body = server.chats()[0].body
    kinds = [part["type"] for part in body["messages"][0]["content"]]
    assert (body["model"], len(body["messages"]), kinds) == ("m", 1, ["input_audio", "text"])
    assert (body["temperature"], body["max_tokens"], body["repetition_penalty"]) == (0, 8, 1)


def test_answers_come_in_the_order_of_the_prompts_however_long_each_takes():
    """An answer in another's place would be a prediction for another prompt."""

    def slower_at_first(seen):
        text = seen.body["messages"][0]["content"][1]["text"]
        time.sleep(0.2 if text in ("0", "3") else 0)
        return echo(seen)

    prompts = [str(i) for i in range(12)]
    with Loopback(slower_at_first) as server:
        assert ask(server, prompts, concurrency=4) == prompts


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_requests_are_under_way_than_allowed(concurrency):
    """A small server refuses or runs out of memory beyond what it was made for."""

    def slow(seen):
        time.sleep(0.05)
        return echo(seen)

    with Loopback(slow) as server:
        ask(server, ["a"] * 12, concurrency=concurrency)
    assert server.most_at_once == concurrency


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503])
def test_statuses_that_pass_are_asked_again(status):
    """They say that the server is busy or restarts, not that the request is wrong."""
    with Loopback(faults_before([failure(status)], echo)) as server:
        assert ask(server) == ["a"]
    assert len(server.chats()) == 2


@pytest.mark.parametrize(
    "ahead", [lambda: "1.2", lambda: email.utils.formatdate(time.time() + 3, usegmt=True)]
)
def test_a_server_that_says_when_to_come_back_is_obeyed(ahead):
    """Asking sooner prolongs the ban. Unasked, the first retry comes within half a second."""
    with Loopback(faults_before([failure(429, Retry_After=ahead())], echo)) as server:
        assert ask(server) == ["a"]
    first, second = (seen.time for seen in server.chats())
    assert second - first > 1


def test_a_ban_of_an_hour_ends_the_call_and_is_named():
    """A study that sleeps an hour looks like one that hangs."""
    with Loopback(lambda _: failure(429, "too many", Retry_After="3600")) as server:
        message = r"status 429: too many, to be asked again after 3600\), 1 try over"
        with pytest.raises(ServerError, match=message):
            ask(server)


def test_a_slow_reply_is_given_up_and_asked_again():
    """A request that a server lost must not hold the study for ever."""
    with Loopback(faults_before([1.0], echo)) as server:
        assert ask(server, timeout=0.3, retries=1) == ["a"]


def test_retries_end_and_the_error_says_what_how_often_and_how_to_go_on():
    """It is read in the morning, by someone who has to decide what to do."""
    with Loopback(lambda seen: failure(503, "loading the model")) as server:
        with pytest.raises(ServerError) as caught:
            ask(server, retries=2)
        for part in ("endpoint:m", server.url, "503: loading the model", "3 tries", "run again"):
            assert part in str(caught.value)
    assert len(server.chats()) == 3


HTML = {"Content-Type": "text/html"}


@pytest.mark.parametrize(
    "reply",
    [
        (200, JSON, b'{"choices": [{"message": {"content": "ang'),
        (200, JSON, b"[]"),
        (200, JSON, b"null"),
        (200, JSON, b'{"choices": []}'),
        (200, JSON, b'{"choices": [{}]}'),
        (200, JSON, b'{"error": {"message": "out of memory"}}'),
        (200, HTML, b"<html>starting</html>"),
        (200, JSON, b'{"choices": [{"message": {"content": {"no": "text"}}}]}'),
    ],
)
def test_a_reply_that_is_no_chat_completion_never_becomes_an_answer(reply):
    """An empty answer would count as one that names no label: a wrong number, unseen."""
    with Loopback(lambda _: reply) as server, pytest.raises(ServerError, match="no chat compl"):
        ask(server)


def test_an_empty_answer_is_an_answer():
    """A model may end its turn at once; that is invalid in a study, and no fault of the server."""
    with Loopback(lambda _: completion(None)) as server:
        assert ask(server) == [""]


def test_a_wrong_request_stops_at_once_with_the_servers_words():
    """No retry mends it, and the other requests of the call would fail in the same way."""
    threads = threading.active_count()
    with Loopback(lambda _: failure(404, "no model m")) as server:
        with pytest.raises(InputError, match=r"status 404 \(no model m\)"):
            ask(server, ["a"] * 50, concurrency=1)
        assert len(server.chats()) == 1
    assert threading.active_count() == threads


class HeldBack:
    """Holds replies back until the test is over; ``given_up`` if that took too long."""

    def __init__(self):
        self._over = threading.Event()
        self.given_up = False

    def __call__(self, seen):
        self.given_up |= not self._over.wait(20)
        return echo(seen)

    def let_go(self):
        self._over.set()


def test_a_failure_does_not_wait_for_requests_that_are_under_way():
    """The others may wait for minutes; their answers are not needed any more."""
    number, held = itertools.count(), HeldBack()

    def first_fails(seen):
        if next(number):
            return held(seen)
        time.sleep(0.1)
        return failure(403, "closed")

    with Loopback(first_fails) as server:
        with pytest.raises(InputError, match="403"):
            ask(server, ["a"] * 8)
        held.let_go()
    assert not held.given_up


def test_a_call_from_within_an_event_loop_works():
    """Notebooks run their cells in one."""

    async def cell(server):
        return ask(server)

    with Loopback(echo) as server:
        assert asyncio.run(cell(server)) == ["a"]


def test_an_interrupt_ends_the_call_and_its_thread():
    """Ctrl-C must not wait for the server, nor leave requests behind."""
    threads, held = threading.active_count(), HeldBack()
    # A shell that starts the tests in the background has Ctrl-C ignored in them.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt(seen):
        os.kill(os.getpid(), signal.SIGINT)
        return held(seen)

    with Loopback(interrupt) as server:
        try:
            with pytest.raises(KeyboardInterrupt):
                ask(server)
        finally:
            signal.signal(signal.SIGINT, before)
        held.let_go()
    assert not held.given_up
    assert wait_until(lambda: threading.active_count() == threads)


def test_a_server_that_does_not_know_the_penalty_field_is_asked_without_it():
    """Servers differ in which fields they know beside OpenAI's; the refusal happens once."""

    def strict(seen):
        return failure(422, "unknown field") if "repetition_penalty" in seen.body else echo(seen)

    with Loopback(strict) as server:
        model = served_model("m", base_url=server.url, batch_size=1, concurrency=1)
        assert model.generate([AUDIO, AUDIO], [["a", "b"], ["c"]]) == [["a", "b"], ["c"]]
    assert ["repetition_penalty" in seen.body for seen in server.chats()] == [True] + [False] * 3


def test_check_says_early_that_nobody_answers():
    """Before features of hours; with no more than one retry."""
    url = f"http://127.0.0.1:{free_port()}/v1"
    with pytest.raises(ServerError, match=r"no answer \(Connection error.*2 tries"):
        served_model("m", base_url=url).check()


def shown(error):
    """All that a reader could see of an error, what led to it included."""
    return "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))


def test_the_key_is_sent_and_shown_nowhere(monkeypatch, caplog):
    """Reports, logs and notebooks are shared; this server repeats every header in its errors."""
    monkeypatch.setenv("MY_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another-server")
    caplog.set_level(logging.DEBUG)
    status = iter([401, 403, 404, 429, 500, 200])

    def telling(seen):
        if (code := next(status, 200)) == 200:
            return 200, JSON, seen.headers["authorization"].encode()
        # Whole, and where the text is cut.
        return failure(code, f"{'x' * 180 * (code % 2)}{seen.headers['authorization']}")

    with Loopback(telling) as server:
        model = served_model("m", base_url=server.url, key_variable="MY_KEY", retries=0)
        texts = [repr(model), str(vars(model)), str(vars(model._server)), model.identity]
        for _ in range(6):
            with pytest.raises((InputError, ServerError)) as caught:
                model.generate([AUDIO], [["a"]])
            error = caught.value
            while error is not None:
                texts.append(shown(error))
                error = error.__context__
        texts.append(str(model.facts()))
    assert {seen.headers["authorization"] for seen in server.chats()} == {f"Bearer {KEY}"}
    assert caplog.records
    for text in [*texts, caplog.text]:
        assert KEY[:8] not in text
        assert "sk-of-another-server" not in text


def test_without_a_key_a_server_of_ones_own_is_asked_all_the_same(monkeypatch):
    """The client insists on a key, local servers have none."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with Loopback(echo) as server:
        assert ask(server) == ["a"]
    assert server.chats()[0].headers["authorization"] == "Bearer none"


def test_a_missing_key_is_named_by_its_variable(monkeypatch):
    """The server's own words name an account, not the variable that is to be set."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    told = r"who are you.*OPENAI_API_KEY, which is not set"
    with Loopback(lambda _: failure(401, "who are you")) as server:
        with pytest.raises(InputError, match=told):
            ask(server)
        assert len(server.chats()) == 1


def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(monkeypatch):
    """The client's own error would repeat it."""
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\nsecond line")
    with pytest.raises(InputError, match="key_variable") as caught:
        served_model("m", base_url="http://127.0.0.1:9/v1").generate([AUDIO], [["a"]])
    assert KEY not in shown(caught.value)
