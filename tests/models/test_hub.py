"""Repositories of a hub: what is fetched of them, and what to do where they cannot be had."""

import shutil

import huggingface_hub.constants
import pytest
import torch
from hub_server import COMMIT, hub
from safetensors.torch import load_file

from sercue.errors import InputError
from sercue.models.checkpoint import Checkpoint


@pytest.fixture
def copy(qwen_checkpoint, tmp_path):
    """A checkpoint that a test may damage."""
    return shutil.copytree(qwen_checkpoint, tmp_path / "copy")


@pytest.fixture
def repositories(monkeypatch, tmp_path):
    """Repositories that a hub on this machine serves: to be filled by the test."""
    held = {}
    with hub(held, tmp_path / "cache", monkeypatch) as asked:
        yield held, asked


def test_a_repository_is_checked_without_its_weights_and_loaded_at_one_commit(
    repositories, written
):
    """A check must cost no download of many GB, and the weights be those that answers name."""
    held, asked = repositories
    held["org/model"] = written("qwen2.5-omni")
    checkpoint = Checkpoint("org/model", "mine")
    checkpoint.check()
    assert checkpoint.content == COMMIT
    assert not [path for method, path in asked if method == "GET" and "safetensors" in path]
    model = checkpoint.load("cpu", "float32")
    assert ("GET", f"/org/model/resolve/{COMMIT}/model.safetensors") in asked
    # Whoever asked for the branch again could get files of a newer commit.
    assert {path for _, path in asked if "main" in path} == {"/org/model/resolve/main/config.json"}
    weights = load_file(written("qwen2.5-omni") / "model.safetensors")
    assert torch.equal(model.lm_head.weight, weights["thinker.lm_head.weight"])


def test_a_repository_without_safetensors_is_refused(repositories, copy):
    """Other formats can run code as they load."""
    held, _ = repositories
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    held["org/model"] = copy
    with pytest.raises(InputError, match="no weights in org/model"):
        Checkpoint("org/model", "mine").check()


@pytest.mark.parametrize("status", [401, 403])
def test_a_gated_repository_says_where_to_accept_its_terms(repositories, status):
    """401 without an account, 403 with one that has not accepted: the way out is the same."""
    held, _ = repositories
    held["org/gated"] = (status, "GatedRepo")
    with pytest.raises(InputError, match=r"huggingface\.co/org/gated.*hf auth login"):
        Checkpoint("org/gated", "mine").check()


def test_a_repository_that_is_not_there_or_private_says_so(repositories):
    """The hub answers both alike."""
    with pytest.raises(InputError, match=r"no repository 'org/nothing'.*private.*hf auth login"):
        Checkpoint("org/nothing", "mine").check()


def test_a_revision_that_is_not_there_is_named(repositories, copy):
    """The repository is there, so to ask for it again would not help."""
    held, _ = repositories
    held["org/model"] = copy
    with pytest.raises(InputError, match="'org/model' has no revision 'v9'"):
        Checkpoint("org/model", "mine", "v9").check()


def test_a_repository_that_cannot_be_reached_says_what_to_do(monkeypatch, tmp_path):
    """Neither on this machine nor reachable: the reader must learn both, and the way out."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"not in the local cache.*hf download nobody/nothing"):
        Checkpoint("nobody/nothing", "mine").check()


def test_weights_that_were_not_fetched_before_going_offline_are_missed(
    repositories, copy, monkeypatch
):
    """Configuration and processor are small and may be cached without them."""
    held, _ = repositories
    held["org/model"] = copy
    Checkpoint("org/model", "mine").check()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="hf download org/model"):
        Checkpoint("org/model", "mine").check()


def test_a_folder_that_is_not_there_is_not_looked_for_on_the_hub(tmp_path):
    """A mistyped path must not cost half a minute of retries, nor leave the machine."""
    with pytest.raises(InputError, match="no folder at"):
        Checkpoint(tmp_path / "nowhere", "mine").check()
