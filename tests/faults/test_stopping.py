"""A run that is told to stop: what it says, its exit status, what it leaves running and stored."""

import os
import signal
import subprocess
import sys

import pandas as pd
import pytest
from commands import (
    COMMAND,
    KEPT,
    alive,
    any_runs,
    descendants,
    heed_signals,
    left_behind,
    said,
    start,
)
from models.serving import wait_until

from sercue.run import open_run

SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143}


@pytest.fixture(scope="module")
def stopped(small_study, tmp_path_factory):
    """Of each signal, sent twice while a cell runs: status, what was said, and what still lives.

    Both at once: most of the time goes into starting.
    """
    outs = {number: tmp_path_factory.mktemp("stopped") / number.name for number in SIGNALS}
    runs = {n: start("run", small_study.file, "--only", "02", "--out", outs[n]) for n in SIGNALS}
    found = {}
    for number, run in runs.items():
        # Written by the first cell that does anything.
        assert wait_until((outs[number] / "artifacts" / "utterances.parquet").is_file)
        below = descendants(run)
        assert any_runs(below, "sercue.report.kernels")
        for _ in range(2):
            if number == signal.SIGINT:
                # A terminal sends it to all of its group.
                os.killpg(run.pid, number)
            else:
                run.send_signal(number)
        _, stderr = run.communicate(timeout=60)
        found[number] = run.returncode, said(stderr), alive(below), outs[number]
    return found


@pytest.mark.parametrize("number", SIGNALS)
def test_a_stopped_run_says_so_and_leaves_nothing_running(stopped, number):
    """A scheduler reads the status; a kernel left behind would hold the GPU."""
    status, lines, living, out = stopped[number]
    assert status == SIGNALS[number]
    assert lines == [f"sercue: stopped; {KEPT}"]
    assert living == []
    assert left_behind(out) == []


def test_a_check_that_is_stopped_says_so(tmp_path):
    """It waits for its study file here, since a pipe has nothing to read yet."""
    pipe = tmp_path / "study.yaml"
    os.mkfifo(pipe)
    check = start("check", pipe)
    # Opens as soon as somebody reads at the other end.
    with pipe.open("w"):
        check.send_signal(signal.SIGTERM)
        _, stderr = check.communicate(timeout=60)
    assert check.returncode == 143
    assert said(stderr) == [f"sercue: stopped; {KEPT}"]


def test_a_run_that_ignores_the_end_of_a_session_goes_on_ignoring_it():
    """``nohup`` asks for it by ignoring the signal before the command starts."""
    code = """
import signal
from sercue.running import stoppable
signal.signal(signal.SIGHUP, signal.SIG_IGN)
with stoppable():
    signal.raise_signal(signal.SIGHUP)
print("went on")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "went on\n")


def test_a_second_signal_does_not_break_off_what_cleans_up():
    """Impatience, or a scheduler that sends one to every process of a group, twice."""
    code = """
import signal
from sercue.running import Stopped, stoppable
try:
    with stoppable():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)
            print("cleaned up")
except Stopped as stopped:
    print(stopped.status)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "cleaned up\n143\n"


@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_that_a_library_turned_into_its_own_error_still_stops(name, status):
    """An import that is broken off says that a module is broken; the status must not."""
    code = f"""
import signal, sys
from sercue import cli
def command(options, given):
    try:
        signal.raise_signal(signal.{name})
    except BaseException:
        raise ImportError("numpy failed to import")
cli._corpora = command
sys.argv = ["sercue", "corpora"]
sys.exit(cli.main())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, preexec_fn=heed_signals
    )
    assert done.returncode == status
    assert said(done.stderr) == [f"sercue: stopped; {KEPT}"]


def test_a_reader_that_has_seen_enough_gets_no_traceback():
    """``sercue corpora | head -1``: the rest is not wanted, and nothing is wrong."""
    listing = subprocess.Popen(
        [*COMMAND, "corpora"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    listing.stdout.close()
    assert listing.stderr.read() == ""
    assert listing.wait() == 141


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_processes_side_by_side_end_with_the_one_that_started_them(number, status):
    """A notebook's process may be ended or killed; they would go on and hold its memory."""
    code = """
import sys, time
from sercue.running import side_by_side
from sercue.running import Stopped, stoppable
try:
    with stoppable():
        list(side_by_side(time.sleep, [(0.2,)] * 50, 2))
except Stopped as stopped:
    sys.exit(stopped.status)
"""
    done = subprocess.Popen([sys.executable, "-c", code])
    # They end within moments of the signal: whom to watch is settled before it is sent.
    assert wait_until(lambda: any_runs(descendants(done), "loky"))
    workers = descendants(done)
    done.send_signal(number)
    assert done.wait(timeout=60) == status
    assert workers
    assert wait_until(lambda: not alive(workers))


def test_an_interrupted_cell_leaves_a_run_that_goes_on(small_study, tmp_path, monkeypatch):
    """In JupyterLab the same ``run`` is called again, with what it had answered so far."""
    run = open_run(small_study.settings | {"out": str(tmp_path)})
    model, asked = run.model, []
    score = model.score

    def interrupted(audios, prompts, labels):
        asked.append(len(audios))
        if len(asked) == 2:
            signal.raise_signal(signal.SIGINT)
        return score(audios, prompts, labels)

    monkeypatch.setattr(model, "score", interrupted)
    # In the background it would be ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    # Half of the evaluated utterances a call, so that there is a second one.
    monkeypatch.setattr(type(model), "batch_size", 4)
    with pytest.raises(KeyboardInterrupt):
        _ = run.predictions
    signal.signal(signal.SIGINT, before)
    predictions = run.predictions
    finished = open_run(small_study.settings | {"out": str(small_study.folder)}, reuse=True)
    columns = ["utterance", "condition", "replicate", "template", "label_order", "prediction"]
    pd.testing.assert_frame_equal(
        predictions[columns],
        finished.predictions[columns],
        check_dtype=False,
        check_categorical=False,
    )
    # Those of the call that was broken off are asked again, and no others.
    assert sum(asked) - asked[1] == len(set(predictions["utterance"]))
    assert len(asked) > 2
