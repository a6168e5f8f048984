"""Keys of servers and hubs: sent where they belong, and in no byte that is written or printed."""

import html
import itertools
import json
import logging
import os
import shlex
import subprocess
import sys
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest
import yaml
from hub_server import hub
from serving import JSON, Loopback, failure, served_model

from sercue.cli import main
from sercue.errors import InputError, ServerError
from sercue.privacy import without_secrets
from sercue.storage.files import write_text
from sercue.tables.exhibits import table_exhibit
from sercue.tables.latex import latex_text

# With marks that JSON and URLs write otherwise.
KEY = "sk-planted/0123456789+a="
TOKEN = "hf_planted0123456789abcdef"
KEYS = {"MY_KEY": KEY, "OPENAI_API_KEY": "sk-another-0123456789", "HF_TOKEN": TOKEN}
STUDY = {
    "study": "keys",
    "corpus_options": {"speakers": 6, "sentences": 2},
    "model": "endpoint:m",
    "decoding": "generate",
    "conditions": ["none", "aligned"],
    "templates": ["plain"],
    "label_orders": 1,
    "tuning_limit": 4,
    "resamples": 100,
    "controls": False,
}


# What servers tell in a reply, by OpenAI, vLLM and others.
REPLY = {
    "id": "1",
    "object": "chat.completion",
    "created": 0,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "angry", "tool_calls": []},
            "finish_reason": "stop",
            "logprobs": {"content": [{"token": "a", "logprob": -1.0, "top_logprobs": []}]},
        }
    ],
    "usage": {"prompt_tokens": None, "completion_tokens": 1, "details": {"audio": [1]}},
    "system_fingerprint": "fp",
    "prompt_logprobs": [None, {"1": {"logprob": -1.0, "rank": 1, "decoded_token": "a"}}],
}
CARD = {"id": "m", "object": "model", "created": 0, "owned_by": "x", "root": "/weights",
        "max_model_len": None, "permission": [{"group": "y"}]}  # fmt: skip
# Without these as they are, there would be no answer to look for the key in.
KEPT = ("model", "finish_reason", "choices", "message", "prompt_tokens")


def planted(value, secret):
    """A value of JSON with the key in every text, list and mapping of it."""
    if isinstance(value, dict):
        own = {k: v if k in KEPT[:2] else planted(v, secret) for k, v in value.items()}
        return own | {secret: secret}
    if isinstance(value, list):
        return [*(planted(inner, secret) for inner in value), secret, [secret], {secret: [secret]}]
    return f"{value} {secret}" if isinstance(value, str) else value


def places(value, path=()):
    """The way to each field within a value of JSON."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for name, inner in pairs:
        yield (*path, name)
        if isinstance(inner, dict | list):
            yield from places(inner, (*path, name))


def replaced(value, path, new):
    """A value of JSON with another one at one place."""
    name, *rest = path
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[name] = replaced(copy[name], rest, new) if rest else new
    return copy


class Telltale:
    """Says the key it was sent wherever it can, until it refuses, and then in its refusal."""

    def __init__(self, status, refuses=lambda: True):
        self.status, self.refuses = status, refuses
        self._number = itertools.count()

    def __call__(self, seen):
        sent = seen.headers["authorization"]
        told = JSON | {"X-Sent": sent, "X-Request-Id": sent}
        if seen.path.endswith("/models"):
            cards = [
                planted(CARD, sent) | {"id": "m", "root": [sent, {sent: sent}]},
                planted(CARD, sent),
            ]
            return 200, told, json.dumps({"object": "list", "data": cards}).encode()
        if self.refuses():
            return failure(self.status, f"{'x' * 150} {sent}", X_Sent=sent)
        reply = planted(REPLY, sent)
        said = f"{sent} is sad" if next(self._number) % 2 else "angry"
        return 200, told, json.dumps(replaced(reply, WORDS, said)).encode()


WORDS = ("choices", 0, "message", "content")


@pytest.fixture
def study(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(STUDY))
    return file


@pytest.fixture
def shown(monkeypatch, capfd, caplog):
    """Keys in the environment, and all that this process prints and logs, down to the details."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    caplog.set_level(logging.DEBUG)

    def read():
        printed = capfd.readouterr()
        return {"stdout": printed.out, "stderr": printed.err, "logs": caplog.text}

    return read


def of_server(url):
    options = {"base_url": url, "key_variable": "MY_KEY", "retries": 0}
    return ["--set", f"model_options={json.dumps(options)}"]


def texts(folder):
    """All that stands in the files of a folder; in Parquet it is compressed."""
    for file in folder.rglob("*"):
        if file.suffix == ".parquet":
            table = pd.read_parquet(file)
            yield str(file), f"{table.attrs}{table.reset_index().to_csv()}"
        elif file.is_file():
            yield str(file), file.read_bytes().decode("latin-1")


def assert_nowhere(written, *folders):
    written = written | {name: text for folder in folders for name, text in texts(folder)}
    for secret in KEYS.values():
        assert [name for name, text in written.items() if secret[:10] in text] == []


def test_a_run_writes_the_key_nowhere(study, cache, tmp_path):
    """One notebook is told the key in all replies and runs through; the next ends in an error."""
    out = tmp_path / "out"
    refuses = (out / "03_prompting.html").exists
    program = [sys.executable, "-m", "sercue.cli", "run", str(study), "--out", str(out)]
    with Loopback(Telltale(403, refuses)) as server:
        done = subprocess.run(
            [*program, "--only", "03", "04", *of_server(server.url)],
            env=os.environ | KEYS | {"OPENAI_LOG": "debug", "SERCUE_PLAIN_PROGRESS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert {seen.headers["authorization"] for seen in server.seen} == {f"Bearer {KEY}"}
    assert done.returncode == 1
    assert_nowhere({"stdout": done.stdout, "stderr": done.stderr}, out, cache)
    # Else nothing was there to be taken out.
    assert "[key]" in (out / "tables" / "model.csv").read_text()
    assert "[key]" in (out / "tables" / "model.tex").read_text()
    assert "status 403" in done.stdout
    assert "[key] is sad" in (out / "tables" / "written_answers.csv").read_text()
    assert "[key]" in (out / "03_prompting.ipynb").read_text()
    assert "Traceback" in (out / "04_perturbation_study.ipynb").read_text()
    assert "[key]" in done.stderr


@pytest.mark.parametrize("status", [401, 404, 503])
def test_a_check_that_fails_shows_the_key_nowhere(status, study, cache, tmp_path, shown):
    with Loopback(Telltale(status)) as server:
        ends = 1 if status == 503 else 2
        assert main(["check", str(study), *of_server(server.url)]) == ends
    written = shown()
    assert f"status {status}" in written["stderr"]
    assert "[key]" in written["logs"]
    assert_nowhere(written, tmp_path)


@pytest.mark.parametrize(
    "options",
    [
        {"base_url": f"http://me:{KEY}@127.0.0.1:9/v1"},
        {"base_url": f"http://127.0.0.1:9/v1?key={KEY}"},
        {"base_url": f"http://me:{KEY.replace('/', '')}%40127.0.0.1:9/v1"},
        {"base_url": f"http://127.0.0.1:9/{TOKEN}/v1"},
        {"base_url": "http://127.0.0.1:9/v1", "Authorization": f"Bearer {KEY}"},
        {"api_key": KEY},
        {"key_variable": KEY},
    ],
)
@pytest.mark.parametrize("command", ["run", "check"])
def test_a_key_in_the_study_is_refused_before_anything_is_written(
    command, options, study, tmp_path, shown
):
    """Parameters are part of every report."""
    out = tmp_path / "out"
    given = [f"model_options={json.dumps(options)}"]
    assert main([command, str(study), "--out", str(out), "--set", *given]) == 2
    written = shown()
    assert "model_options: " in written["stderr"]
    assert_nowhere(written, tmp_path)
    assert not out.exists()


def test_a_token_of_the_hub_is_shown_nowhere(study, cache, tmp_path, shown, monkeypatch):
    """Its errors are quoted, so that one can tell an unknown repository from no network."""
    (tmp_path / "hub").mkdir()
    plain = ["--set", "model=hf:organisation/model", "decoding=score"]
    with hub({"organisation/model": (400, "odd")}, tmp_path / "hub", monkeypatch) as asked:
        assert main(["check", str(study), *plain]) == 2
    written = shown()
    assert asked
    assert "organisation/model" in written["stderr"]
    assert "[key]" in written["logs"]
    assert_nowhere(written, tmp_path)


@pytest.mark.parametrize("path", [*places(REPLY)], ids=lambda path: ".".join(map(str, path)))
@pytest.mark.parametrize("kind", [str, lambda sent: [sent], lambda sent: {sent: sent}])
def test_a_key_in_any_field_of_a_reply_is_neither_answer_nor_error(path, kind, shown):
    """Each ends in an answer, in one that is refused, or in an error that quotes it."""
    told = []

    def answer(seen):
        sent = seen.headers["authorization"]
        if seen.path.endswith("/models"):
            return 200, JSON, json.dumps({"data": [CARD | {"root": kind(sent)}]}).encode()
        return 200, JSON, json.dumps(replaced(REPLY, path, kind(sent))).encode()

    with Loopback(answer) as server:
        model = served_model("m", base_url=server.url, key_variable="MY_KEY", retries=0)
        for act in (
            model.check,
            model.facts,
            lambda: model.prompt_tokens(np.zeros(9), ["a"]),
            lambda: model.generate([np.zeros(9)], [["a"]]),
            lambda: model.score([np.zeros(9)], [["a"]], ["b"]),
        ):
            try:
                told.append(repr(act()))
            except (InputError, ServerError) as error:
                told.append(f"{error!r} {error.__context__!r}")
    assert_nowhere(shown() | {"told": " ".join(told)})


MARKED = "sk-a_b+c/d=e.f:g~h&i%j#k"


@pytest.mark.parametrize(
    "write",
    [str, repr, json.dumps, html.escape, quote, lambda key: quote(key, safe=""), shlex.quote,
     lambda key: json.dumps(key).replace("/", r"\/"), lambda key: json.dumps({key: [key]}),
     lambda key: key.replace("-", "\\u002d"), lambda key: f"{latex_text(key)} {key}"],
)  # fmt: skip
def test_a_key_is_known_in_whatever_way_it_is_written(write, monkeypatch):
    """Pages, tables and requests escape what stands in them, each in its own way."""
    monkeypatch.setenv("OPENAI_API_KEY", MARKED)
    clear = without_secrets(f"before {write(MARKED)} behind")
    assert "[key]" in clear
    assert not any(part in clear for part in ("a_b", "c/d", "e.f", "i%j", "sk-", "h&", "j#k", "c%"))


def test_tables_hold_no_key(monkeypatch, tmp_path):
    """Whatever is shown of a model, a corpus or a server ends in one."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    table = pd.DataFrame({"value": [f"['{TOKEN}']", str({TOKEN: 1})]}, ["list", "mapping"])
    table_exhibit(table, f"Sent with {TOKEN}", tmp_path / "model")
    written = dict(texts(tmp_path))
    assert len(written) == 2
    for text in written.values():
        assert "planted" not in text
        assert "[key]" in text


def test_a_key_of_digits_is_not_looked_for_within_numbers(monkeypatch, tmp_path):
    """Local servers are given such keys, and a number with a gap is no number."""
    monkeypatch.setenv("OPENAI_API_KEY", "00000000")
    write_text(tmp_path / "a.csv", "x,0.1000000005\nkey,00000000\n")
    assert (tmp_path / "a.csv").read_text() == "x,0.1000000005\nkey,[key]\n"


def test_an_error_that_quotes_what_was_given_shows_no_key(study, shown, tmp_path):
    """A key in the place of another value is the likely mistake, and logs of jobs are shared."""
    assert main(["check", str(study), "--set", f"model={TOKEN}"]) == 2
    written = shown()
    assert "unknown model '[key]'" in written["stderr"]
    assert_nowhere(written, tmp_path)
