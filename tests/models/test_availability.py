"""Before a study: whether its model can be had, and whether its download has a place."""

import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import transformers
from machines import GB, plant, simulate, write_header
from safetensors.numpy import save_file

from sercue.errors import InputError
from sercue.models import available_models, check_available, load_model
from sercue.models.availability import cached_snapshot, check_disk, check_fits, stored_parameters

COMMIT = "0a095220c30b7b31434169c3086508ef3ea5bf0a"


@pytest.fixture
def machine(monkeypatch, tmp_path):
    simulate(monkeypatch, tmp_path)
    return tmp_path


@pytest.fixture
def copy(qwen_checkpoint, tmp_path):
    """A checkpoint that a test may change."""
    return shutil.copytree(qwen_checkpoint, tmp_path / "copy")


def check(name, **options):
    chosen = {"device": "cpu", "dtype": "float32", **options}
    return check_available(name, load_model(name, **chosen))


@pytest.mark.parametrize("checkpoint", ["qwen2-audio", "audio-flamingo-3"], indirect=True)
def test_parameters_are_counted_without_their_weights(checkpoint):
    """The headers tell what transformers finds when it loads."""
    named = json.loads((checkpoint / "config.json").read_text())["architectures"][0]
    network = getattr(transformers, named).from_pretrained(checkpoint)
    assert stored_parameters("mine", checkpoint) == sum(p.numel() for p in network.parameters())


def test_of_a_model_that_speaks_only_the_listener_counts(tmp_path):
    """Talker and vocoder stay on the disk: 2 x 3 of these 10 numbers load."""
    tensors = {"thinker.a": np.zeros((2, 3)), "talker.b": np.zeros(3), "token2wav.c": np.zeros(1)}
    save_file(tensors, tmp_path / "model.safetensors")
    assert stored_parameters("mine", tmp_path) == 6


def test_a_missing_shard_is_told_before_the_study(copy):
    """A copy that broke off looks whole until the weights load."""
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (copy / "model.safetensors").rename(copy / "model-1.safetensors")
    (copy / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match=r"not whole.*model-2\.safetensors"):
        check(f"hf:{copy}")


def test_a_damaged_header_is_told_before_the_study(copy):
    """An error page that was saved as weights, for instance."""
    (copy / "model.safetensors").write_text("<!DOCTYPE html>")
    with pytest.raises(InputError, match="damaged or not whole"):
        check(f"hf:{copy}")


def test_a_checkpoint_that_is_here_and_fits_is_told_so(qwen_checkpoint, machine):
    """What ``sercue check`` prints: the version, the place, that nothing is fetched."""
    found = check(f"hf:{qwen_checkpoint}")
    assert found.startswith(f"hf:{qwen_checkpoint.name}@")
    assert found.endswith("on cpu; its weights are here")


def test_a_checkpoint_larger_than_the_memory_is_refused(copy, machine):
    """10e9 parameters of four bytes and a fifth are 48 GB; in two bytes 24 of the 32 GB."""
    write_header(copy / "model.safetensors", {"weights": [10_000, 1_000_000]})
    with pytest.raises(InputError) as caught:
        check(f"hf:{copy}")
    told = str(caught.value)
    assert f"model 'hf:{copy}'" in told
    assert "40.0 GB, a run about 48.0 GB, but cpu has 32.0 GB" in told
    assert "dtype bfloat16 (about 24.0 GB)" in told
    assert "device_map" not in told, "nothing to spread it over: there is one device"
    assert "endpoint:<served name>" in told
    with pytest.raises(InputError, match="all devices together have 32"):
        check_fits("mine", 10 * GB, "cpu", "float32", spread=True)
    check_fits("mine", 10 * GB, "cpu", "bfloat16")


def test_a_known_model_that_does_not_fit_is_refused_before_any_download(machine):
    """Its card knows: 8 397 094 912 x 4 bytes x 1.2 are 40.3 GB."""
    with pytest.raises(InputError, match=r"'qwen2-audio'.*about 40\.3 GB, but cpu has 32\.0 GB"):
        check("qwen2-audio")


def test_a_known_model_that_cannot_be_had_is_told_with_its_size(machine, monkeypatch):
    """Whoever is offline must fetch it elsewhere, and know how much that is."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 0, 99 * GB))
    with pytest.raises(InputError, match=r"(?s)'qwen2\.5-omni-3b'.*download of 12\.0 GB$"):
        check("qwen2.5-omni-3b")


def test_a_download_without_a_place_is_refused(machine):
    """A disk that runs full stops other programs too."""
    total = shutil.disk_usage(machine).total
    with pytest.raises(InputError, match=r"'mine'.*HF_HOME"):
        check_disk("mine", 2 * total)
    check_disk("mine", 1)


def test_a_known_model_is_refused_where_its_download_has_no_place(machine, monkeypatch):
    """Its card knows the size where the hub cannot be asked."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 0, 5 * GB))
    with pytest.raises(InputError, match=r"'qwen2\.5-omni-3b'.*12\.0 GB, but .* has 5\.0 GB left"):
        check("qwen2.5-omni-3b")


def test_an_unknown_repository_is_refused_by_its_own_check(machine):
    """Nobody tells its size: the error is the one that says how to get it."""
    with pytest.raises(InputError, match="hf download nobody/nothing") as caught:
        check("hf:nobody/nothing")
    assert "None" not in str(caught.value)


def test_a_folder_that_is_not_there_is_named(machine):
    """It is no repository, and the hub is not asked."""
    with pytest.raises(InputError, match="no folder at"):
        check(f"hf:{machine / 'nowhere'}")


@pytest.mark.parametrize(
    ("files", "whole"),
    [
        (["model.safetensors"], True),
        (["model.safetensors.index.json", "1.safetensors", "2.safetensors"], True),
        (["model.safetensors.index.json", "1.safetensors"], False),
        (["pytorch_model.bin"], False),
        ([], False),
    ],
)
def test_the_cache_counts_only_if_its_weights_are_whole(machine, files, whole):
    """A download that broke off is still a download to come."""
    index = json.dumps({"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}})
    texts = {"config.json": "{}", **dict.fromkeys(files, index)}
    snapshot = plant(machine / "hub", "some/model", COMMIT, texts)
    expected = snapshot if whole else None
    assert cached_snapshot("some/model") == expected
    assert cached_snapshot("some/model", COMMIT) == expected
    assert cached_snapshot("some/model", "other") is None


def test_the_table_names_the_commit_that_is_cached(machine):
    """Only that of the card: another one would be fetched anew."""
    files = {"config.json": "{}", "model.safetensors": ""}
    plant(machine / "hub", "Qwen/Qwen2-Audio-7B-Instruct", COMMIT, files)
    plant(machine / "hub", "Qwen/Qwen2.5-Omni-3B", "f" * 40, files)
    table = available_models().set_index("name")
    assert table["cached"].to_dict() == {
        name: COMMIT if name == "qwen2-audio" else "" for name in table.index
    }


def test_a_repository_in_the_cache_is_checked_like_a_folder(qwen_checkpoint, machine):
    """The cache holds what a folder holds; the identity names its commit."""
    snapshot = plant(machine / "hub", "some/model", COMMIT, {})
    shutil.copytree(qwen_checkpoint, snapshot, dirs_exist_ok=True)
    found = check("hf:some/model")
    assert COMMIT in found
    assert "weights are here" in found
    write_header(snapshot / "model.safetensors", {"weights": [10_000, 1_000_000]})
    with pytest.raises(InputError, match=r"'hf:some/model'.*48\.0 GB"):
        check("hf:some/model")


def test_a_known_model_in_the_cache_is_looked_for_at_the_commit_of_its_card(
    qwen_checkpoint, machine
):
    """The main branch may have moved on since: what counts is what will load."""
    repository = "Qwen/Qwen2-Audio-7B-Instruct"
    snapshot = plant(machine / "hub", repository, COMMIT, {}, branch="older")
    shutil.copytree(qwen_checkpoint, snapshot, dirs_exist_ok=True)
    found = check("qwen2-audio", dtype="bfloat16")
    assert f"qwen2-audio@{COMMIT}" in found
    assert "weights are here" in found


class Hub(BaseHTTPRequestHandler):
    """Answers as the hub does when it is asked about one repository."""

    def do_GET(self):
        known = self.path.startswith("/api/models/some/model/revision/v1?")
        answer = {
            "id": "some/model",
            "sha": COMMIT,
            "safetensors": {"parameters": {"BF16": 5000}, "total": 5000},
            "siblings": [
                {"rfilename": "config.json", "size": 7},
                {"rfilename": "model-1.safetensors", "size": 6000},
                {"rfilename": "model-2.safetensors", "size": 4000},
                {"rfilename": "adapter/model.safetensors", "size": 99},
            ],
        }
        body = json.dumps(answer if known else {"error": "Repository not found"}).encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_the_hub_tells_sizes_without_a_download(tmp_path):
    """Of a repository without a card; a server of this machine stands for the hub."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    code = (
        "from sercue.models.availability import hub_sizes; "
        "print(hub_sizes('some/model', 'v1'), hub_sizes('no/model'))"
    )
    # The client reads its address when it is imported.
    place = {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | place,
        capture_output=True,
        text=True,
        check=True,
    )
    server.shutdown()
    assert done.stdout.strip() == "(5000, 10000) (None, None)"
