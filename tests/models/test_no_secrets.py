"""Keys of servers and hubs: sent where they belong, and in no byte that is written or printed."""

import itertools
import json
import logging
import os
import subprocess
import sys

import pandas as pd
import pytest
import yaml
from hub_server import hub
from serving import JSON, Loopback, completion, failure

from sercue.cli import main

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


class Telltale:
    """Says the key it was sent wherever it can, until it refuses, and then in its refusal."""

    def __init__(self, status, refuses=lambda: True):
        self.status, self.refuses = status, refuses
        self._number = itertools.count()

    def __call__(self, seen):
        sent = seen.headers["authorization"]
        told = JSON | {"X-Sent": sent, "X-Request-Id": sent}
        if seen.path.endswith("/models"):
            card = {"id": "m", "object": "model", "created": 0, "owned_by": sent, "root": sent}
            other = card | {"id": f"other of {sent}"}
            return 200, told, json.dumps({"object": "list", "data": [card, other]}).encode()
        if self.refuses():
            return failure(self.status, f"{'x' * 150} {sent}", X_Sent=sent)
        content = f"{sent} is sad" if next(self._number) % 2 else "angry"
        return 200, told, completion(content, system_fingerprint=sent)[2]


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
