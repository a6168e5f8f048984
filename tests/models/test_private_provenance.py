"""A real study of a checkpoint on this machine: what is recorded of it names nothing private."""

import getpass
import importlib.metadata
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pandas as pd
import yaml
from cells import sentences_of_summary
from peft import LoraConfig, get_peft_model

from sercue.corpora import load_corpus
from sercue.models.checkpoint import Checkpoint
from sercue.provenance import read
from sercue.storage.files import project_folder

USER = "some-one7"


def _study(home, checkpoint):
    """Corpus, checkpoint and study file below the home of a user, as they lie with one."""
    corpus = load_corpus("demo", speakers=6, sentences=1)
    recordings, model = home / "corpora" / "recordings", home / "models" / "mine"
    adapter = home / "models" / "tuned"
    shutil.copytree(corpus.root, recordings)
    shutil.copytree(checkpoint, model)
    base = Checkpoint(model, "mine").load("cpu", "float32")
    get_peft_model(base, LoraConfig(target_modules=["q_proj"])).save_pretrained(adapter)
    rows = corpus.table.reset_index()[["file", "emotion", "speaker", "partition"]]
    rows["file"] = [str(recordings / file) for file in rows["file"]]
    rows.to_csv(home / "corpora" / "list.csv", index=False)
    settings = {
        "study": "private", "corpus": "table", "corpus_root": str(home / "corpora" / "list.csv"),
        "model": f"hf:{model}", "templates": ["plain"],
        "model_options": {"long_audio": "windows", "adapter": str(adapter)},
        "conditions": ["none", "aligned"], "controls": False, "label_orders": 1, "resamples": 100,
    }  # fmt: skip
    file = home / "studies" / "private.yaml"
    file.parent.mkdir()
    file.write_text(yaml.safe_dump(settings))
    return file


def test_provenance_names_no_user_no_home_no_machine_and_no_folder(cache, written, tmp_path):
    home = tmp_path / "home" / USER
    home.mkdir(parents=True)
    file = _study(home, written("qwen2-audio"))
    out = home / "reports" / "private"
    named = {"HOME": str(home), "USER": USER, "LOGNAME": USER, "PYTHONPATH": str(project_folder())}
    command = [sys.executable, "-m", "sercue.cli", "run", str(file), "--out", str(out)]
    done = subprocess.run(
        [*command, "--only", "04"], cwd=home, env={**os.environ, **named}, capture_output=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert sentences_of_summary(out / "04_perturbation_study.ipynb") >= 3
    assert len(pd.read_parquet(out / "artifacts" / "predictions")) > 0
    held = read(out / "artifacts" / "provenance.json")
    assert held["parameters"]["model"] == "hf:mine"
    assert held["parameters"]["model_options"]["adapter"] == "tuned"
    assert held["model"]["name"] == "hf:mine+tuned"
    assert held["packages"]["peft"] == importlib.metadata.version("peft")
    assert held["parameters"]["corpus_root"] == "list.csv"
    assert held["command"] == "sercue run private.yaml --out private --only 04"
    private = [USER, str(tmp_path), str(Path.home()), str(project_folder()), str(Path.cwd())]
    words = [socket.gethostname(), getpass.getuser()]
    for page in ("artifacts/provenance.json", "index.html", "04_perturbation_study.html"):
        text = (out / page).read_text()
        assert [name for name in private if len(name) > 1 and name in text] == [], page
    recorded = (out / "artifacts" / "provenance.json").read_text()
    # As words of their own: such a name may be as short as "root", which "corpus_root" holds.
    assert [name for name in words if re.search(rf"(?<![\w-]){name}(?![\w-])", recorded)] == []
