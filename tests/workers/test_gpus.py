"""Workers of one machine that see all of its GPUs take one each."""

import subprocess
import sys

import pytest

from sercue.distributed.worker import take_slot

_TAKE_AND_WAIT = """
import sys
from pathlib import Path
from sercue.distributed.worker import take_slot
print(take_slot(Path(sys.argv[1]), 2), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other_worker(tmp_path):
    """Another process that takes one of two GPUs and keeps it until it is killed."""
    command = [sys.executable, "-c", _TAKE_AND_WAIT, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        yield process
        process.kill()


def test_a_gpu_that_another_process_has_is_left_to_it(other_worker, tmp_path):
    """Until it ends, even by SIGKILL: a worker that comes in its place gets it."""
    assert other_worker.stdout.readline() == "0\n"
    assert take_slot(tmp_path, 2) == 1
    assert take_slot(tmp_path, 2) is None
    other_worker.kill()
    other_worker.wait()
    assert take_slot(tmp_path, 2) == 0
