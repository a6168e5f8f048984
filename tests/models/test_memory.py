"""Whether a model fits: told from its parameters and the memory of the machine."""

from pathlib import Path

import psutil
import pytest
import torch
from machines import GB, simulate

from sercue.errors import InputError
from sercue.models import availability as memory
from sercue.models import available_models, fits_this_device
from sercue.models.availability import check_fits, device_memory


@pytest.fixture
def machine(monkeypatch, tmp_path):
    simulate(monkeypatch, tmp_path)
    return tmp_path


def test_the_memory_of_the_cpu_is_that_of_the_machine():
    """psutil reads it elsewhere."""
    limit = Path("/sys/fs/cgroup/memory.max")
    contained = limit.is_file() and limit.read_text().strip().isdigit()
    if not contained:
        assert device_memory("cpu") == pytest.approx(psutil.virtual_memory().total, rel=1e-3)
    assert device_memory("cpu") <= psutil.virtual_memory().total


def test_a_container_may_take_no_more_than_its_limit(machine, monkeypatch):
    """There the machine tells of memory that the process will be killed for."""
    limit = machine / "memory.max"
    monkeypatch.setattr(memory, "_CONTAINER_LIMIT", limit)
    for text, expected in (("8000000000\n", 8 * GB), ("max\n", 32 * GB)):
        limit.write_text(text)
        assert device_memory("cpu") == expected


def test_a_model_may_be_spread_over_all_devices(machine, monkeypatch):
    """48 GB fit neither one card with 20 GB left nor the 32 GB beside it: all together they do."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (20 * GB, 24 * GB))
    with pytest.raises(InputError, match=r"cuda has 20\.0 GB; valid are model option device_map"):
        check_fits("mine", 10 * GB, "cuda", "float32")
    check_fits("mine", 10 * GB, "cuda", "float32", spread=True)
    with pytest.raises(InputError, match=r"all devices together have 72\.0 GB"):
        check_fits("mine", 20 * GB, "cuda", "float32", spread=True)


def test_a_model_that_fits_nowhere_here_names_no_precision(machine):
    """Advice that does not help costs a download."""
    with pytest.raises(InputError) as caught:
        check_fits("mine", 70 * GB, "cpu", "float32")
    assert "dtype" not in str(caught.value)
    assert "a smaller model" in str(caught.value)


def test_the_table_tells_what_fits(machine):
    """On 32 GB the 3B models run in float32 (22.6 GB); the 7B ones would, in two bytes."""
    table = fits_this_device(available_models()).set_index("name")
    assert {name: text.split(":")[0] for name, text in table["fits here"].items()} == {
        "sercue-tiny": "yes",
        "qwen2-audio": "no",
        "qwen2.5-omni": "no",
        "qwen2.5-omni-3b": "yes",
        "audio-flamingo-3": "no",
        "music-flamingo": "no",
        "qwen3-omni": "no",
        "voxtral-mini": "yes",
        "gemma-4-e4b": "no",
    }
    assert "bfloat16 (about 20.2 GB)" in table.loc["qwen2-audio", "fits here"]
