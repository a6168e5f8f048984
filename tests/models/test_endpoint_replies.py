"""What a server's reply must hold to become an answer, and how long and large it may be."""

import gzip
import json
import time

import numpy as np
import pytest
from serving import JSON, Loopback, completion, failure, faults_before, served_model

from sercue.errors import InputError, ServerError
from sercue.models import NoAnswer

AUDIO = np.zeros(1600, dtype=np.float32)
LONG = 20 * 2**20


def ask(server, prompts=("a",), **options):
    model = served_model("m", base_url=server.url, **options)
    return model.generate([AUDIO], [list(prompts)])[0]


def named(*names):
    """A server whose replies name these models, one after the other; ``...`` is no name at all."""
    waiting = iter(names)

    def answer(_):
        status, headers, body = completion("angry", model=next(waiting))
        reply = json.loads(body)
        if reply["model"] == "...":
            del reply["model"]
        return status, headers, json.dumps(reply).encode()

    return Loopback(answer)


@pytest.mark.parametrize("told", ["m", "m@main", "", None, "...", 7])
def test_a_reply_of_the_model_that_was_asked_for_is_taken(told):
    """transformers serve adds the revision to the name; some servers tell none."""
    with named(told) as server:
        assert ask(server) == ["angry"]


@pytest.mark.parametrize("told", ["other", "m-2025-06-03", "M", "mm@main", "/weights/m"])
def test_a_reply_of_another_model_is_refused_with_the_way_out(told):
    """Its answers would be stored as those of the model that was asked for."""
    with (
        named(told) as server,
        pytest.raises(ServerError, match=f"answers as '{told}', where 'm' is"),
    ):
        ask(server)


def test_an_alias_that_a_server_resolves_is_stated_and_is_part_of_the_identity():
    """What it stands for changes with time; old answers must not pass for those of the new one."""
    with named("m-2025-06-03", "m-2025-10-01") as server:
        old = served_model("m", base_url=server.url, replies_as="m-2025-06-03")
        assert old.generate([AUDIO], [["a"]]) == [["angry"]]
        with pytest.raises(ServerError, match="answers as 'm-2025-10-01'"):
            old.generate([AUDIO], [["b"]])
        new = served_model("m", base_url=server.url, replies_as="m-2025-10-01")
    plain = served_model("m", base_url=server.url)
    assert len({old.identity, new.identity, plain.identity}) == 3


@pytest.mark.parametrize("names", [("m", "other"), ("m@1", "m@2"), ("m@1", "m"), ("m", "m@1")])
def test_a_model_that_changes_while_it_is_asked_ends_the_call(names):
    """A server that was restarted with another model would mix two in one study."""
    with named(*names) as server:
        model = served_model("m", base_url=server.url)
        assert model.generate([AUDIO], [["a"]]) == [["angry"]]
        with pytest.raises(ServerError, match=f"answers as '{names[1]}', where '{names[0]}', as"):
            model.generate([AUDIO], [["b"]])


def test_a_version_of_the_server_that_changes_is_told(caplog):
    """A fingerprint is of weights and machine alike: no fault in itself, but part of a report."""
    versions = iter(["fp_1", "fp_1", "fp_2"])
    with Loopback(lambda _: completion("x", system_fingerprint=next(versions))) as server:
        model = served_model("m", base_url=server.url, concurrency=1)
        model.generate([AUDIO], [["a", "b"]])
        assert not caplog.records
        model.generate([AUDIO], [["c"]])
        told = model.facts()["server's system_fingerprint"]
    assert told == "fp_1, then fp_2; it changed while this model was asked"
    assert "system_fingerprint was fp_1 and is fp_2" in caplog.text


@pytest.mark.parametrize(
    ("ended", "content", "whole"),
    [
        ("stop", "angry", True),
        ("length", "angry because", True),
        (None, "angry", True),
        ("eos_token", "angry", True),
        ("stop", None, True),
        ("length", None, False),
        ("length", "", False),
        ("content_filter", None, False),
        ("content_filter", "ang", False),
        ("error", "ang", False),
        ("abort", "", False),
        ("tool_calls", None, False),
        (["stop"], "ang", False),
    ],
)
def test_only_what_a_server_ended_as_an_answer_is_one(ended, content, whole):
    """A cut by ``max_tokens`` is how a study asks; what a fault or a filter left is no answer."""
    choice = {"message": {"role": "assistant", "content": content}, "finish_reason": ended}
    with Loopback(lambda _: completion("", choices=[choice])) as server:
        (answer,) = ask(server)
    if whole:
        assert answer == (content or "")
    else:
        assert isinstance(answer, NoAnswer)
        assert f"finish_reason {ended!r}" in answer.reason


def test_a_refusal_without_a_text_is_no_answer():
    """OpenAI tells it in a field of its own, and ends it with ``stop``."""
    message = {"role": "assistant", "content": None, "refusal": "I cannot tell voices apart."}
    choice = {"message": message, "finish_reason": "stop"}
    with Loopback(lambda _: completion("", choices=[choice])) as server:
        assert "refusal" in ask(server)[0].reason


def test_a_redirect_is_not_followed_and_named():
    """The recordings would be posted to a host that nobody named."""
    with Loopback(lambda _: completion("angry")) as other:
        there = {"Location": f"{other.url}/chat/completions"}
        with (
            Loopback(lambda _: (307, there, b"")) as server,
            pytest.raises(InputError, match=rf"status 307.*redirects to {other.url}.*base_"),
        ):
            ask(server)
    assert other.seen == []


def test_a_reply_that_comes_byte_by_byte_is_given_up_in_time():
    """Each byte comes in time, the reply never does: the study would hang."""

    def trickle(body):
        for _ in range(200):
            time.sleep(0.05)
            yield b" "
        yield body

    with (
        Loopback(lambda _: (200, JSON, trickle(completion("angry")[2]))) as server,
        pytest.raises(ServerError, match=r"no whole reply within 0\.4 s\), 2 tries"),
    ):
        ask(server, timeout=0.4, retries=1)


def test_a_body_without_end_is_not_taken_into_memory():
    """White space before JSON is JSON: the reply would be valid, had there been memory for it."""
    parts = [b" " * 2**20] * (LONG >> 20)
    with (
        Loopback(lambda _: (200, JSON, [*parts, completion("angry")[2]])) as server,
        pytest.raises(ServerError, match=r"no chat completion.*longer than 16 MiB"),
    ):
        ask(server)


def test_a_compressed_body_is_neither_asked_for_nor_read():
    """A thousandth of its size arrives: a bound on what arrives would not hold in memory."""
    body = gzip.compress(b" " * LONG + completion("angry")[2])
    packed = JSON | {"Content-Encoding": "gzip"}
    with (
        Loopback(lambda _: (200, packed, body)) as server,
        pytest.raises(ServerError, match=r"no chat completion.*compressed by gzip"),
    ):
        ask(server)
    assert server.chats()[0].headers["accept-encoding"] == "identity"


def test_a_fault_that_passes_is_asked_again_whatever_its_body():
    """A gateway's own page says nothing about the server behind it."""
    packed = JSON | {"Content-Encoding": "gzip"}
    faults = [(503, packed, gzip.compress(b"busy")), (502, JSON, [b" " * 2**20] * 20)]
    with Loopback(faults_before(faults, lambda _: completion("angry"))) as server:
        assert ask(server) == ["angry"]


def test_half_a_letter_in_a_reply_is_replaced():
    """JSON can hold it and no file can: the batch would be lost, on each run anew."""
    body = completion("X")[2].replace(b"X", rb"\ud83d angry \ud83d\ude20")
    with Loopback(lambda _: (200, JSON, body)) as server:
        assert ask(server) == ["\N{REPLACEMENT CHARACTER} angry \N{ANGRY FACE}"]


@pytest.mark.parametrize("usage", [None, [], {"prompt_tokens": "9"}, {"prompt_tokens": True}])
def test_a_length_that_a_server_does_not_tell_is_not_known(usage):
    """Other fields than the answer are as untrustworthy as the answer."""
    with Loopback(lambda _: completion("angry", usage=usage)) as server:
        model = served_model("m", base_url=server.url)
        assert model.prompt_tokens(AUDIO, ["a", "b"]) == []
        model.check()


def test_check_refuses_a_server_whose_prompts_hold_no_text():
    """All conditions would be one prompt, and the model would seem to ignore the cues."""
    with (
        Loopback(lambda _: completion("x", usage={"prompt_tokens": 31})) as server,
        pytest.raises(InputError, match=r"counts 31 tokens.*does not reach the model"),
    ):
        served_model("m", base_url=server.url).check()


@pytest.fixture
def proxies(monkeypatch):
    """Set proxies in an environment that has no others."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return lambda **given: [monkeypatch.setenv(name, url) for name, url in given.items()]


@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks://127.0.0.1:9"])
def test_a_server_on_this_machine_is_asked_without_a_proxy(proxies, name, proxy):
    """A proxy elsewhere cannot reach it, and one that cannot be used is not needed."""
    proxies(**{name: proxy})
    with Loopback(lambda _: completion("angry")) as server:
        assert ask(server) == ["angry"]


def test_a_proxy_that_cannot_be_used_is_told_in_one_line(proxies):
    """The client's own error is a traceback that names no variable."""
    proxies(ALL_PROXY="socks://127.0.0.1:9")
    with pytest.raises(InputError, match=r"server at http://host.invalid/v1.*ALL_PROXY") as caught:
        served_model("m", base_url="http://host.invalid/v1").check()
    assert "\n" not in str(caught.value)


def test_the_proxy_between_is_named_where_a_server_does_not_answer(proxies):
    """The reply may be its own."""
    with Loopback(lambda _: failure(502, "unknown host")) as proxy:
        proxies(HTTP_PROXY=proxy.url.removesuffix("/v1"))
        message = r"at http://host.invalid/v1, through the proxy that HTTP_PROXY names, gave no"
        with pytest.raises(ServerError, match=message):
            served_model("m", base_url="http://host.invalid/v1", retries=0).generate(
                [AUDIO], [["a"]]
            )


def test_a_prompt_that_cannot_be_sent_is_told_in_one_line():
    """The client's own error is of a class that names no server."""
    with (
        Loopback(lambda _: completion("angry")) as server,
        pytest.raises(ServerError, match=r"could not be asked .*UnicodeEncodeError"),
    ):
        ask(server, ["half a letter: \ud83d"])
