"""A disk, a folder or a limit that takes no more: what was done stays, and the run says why."""

import os
import resource
import shutil
import subprocess
import sys
import textwrap
from contextlib import contextmanager, suppress

import pandas as pd
import pytest
from commands import COMMAND, KEPT, files_of, left_behind, said, start
from models.serving import wait_until

from sercue.cli import main
from sercue.errors import StorageError
from sercue.storage import tables as parts
from sercue.storage.files import folder_written_aside, write_once, write_text
from sercue.storage.tables import Kind, append_part, read_parts

NUMBERS = Kind("numbers")
_STORE = """
import sys
from pathlib import Path
import numpy as np, pandas as pd
from sercue.errors import StorageError
from sercue.storage.tables import Kind, append_part, read_parts
store, numbers = Path(sys.argv[1]), Kind("numbers")
def append(number, rows):
    values = np.random.default_rng(number).random((rows, 8))
    append_part(store, pd.DataFrame(values).assign(number=number), numbers)
def fill(numbers):
    for number in numbers:
        append(number, 1000)
"""


def python(code, *arguments, command=(sys.executable, "-c")):
    program = _STORE + textwrap.dedent(code)
    done = subprocess.run([*command, program, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def small_disk(tmp_path_factory):
    """The start of a command that has a disk of 300 kB of its own, at the folder it is given."""
    script = tmp_path_factory.mktemp("disk") / "mounted.sh"
    script.write_text('mount -t tmpfs -o size=300k tmpfs "$1" || exit 77\nshift\nexec "$@"\n')
    command = ["unshare", "-rm", "sh", str(script)]
    try:
        tried = subprocess.run([*command, str(script.parent), "true"], capture_output=True)
    except FileNotFoundError:
        pytest.skip("no program unshare")
    if tried.returncode:
        pytest.skip(f"no disk can be mounted here: {tried.stderr.decode()}")
    return command


def test_a_full_disk_costs_what_was_being_written_and_no_more(small_disk, tmp_path):
    """Filled until it takes no more; then room is made, and the rest is written."""
    printed = python(
        """
        ballast = store / "ballast"
        ballast.write_bytes(bytes(100_000))
        done = 0
        try:
            for done in range(100):
                append(done, 1000)
        except StorageError as error:
            print(error)
        whole = [file for file in store.iterdir() if file.suffix == ".parquet"]
        print(len(whole) == done == len(list(store.iterdir())) - 1)
        print(read_parts(store, numbers)["number"].nunique() == done > 0)
        ballast.unlink()
        append(done, 1000)
        print(len(read_parts(store, numbers)) == (done + 1) * 1000)
        """,
        tmp_path,
        command=[*small_disk, str(tmp_path), sys.executable, "-c"],
    )
    told, *checks = printed.splitlines()
    assert told.startswith(f"{tmp_path}: part-")
    assert "no space is left on this disk (0.0 MB free): free some space" in told
    assert told.endswith(KEPT)
    assert checks == ["True"] * 3


def test_a_disk_that_turns_read_only_is_told(small_disk, tmp_path):
    """Linux does so by itself when a disk fails; root meets it as everybody does."""
    printed = python(
        """
        import subprocess
        append(0, 10)
        subprocess.run(["mount", "-o", "remount,ro", str(store)], check=True)
        try:
            append(1, 10)
        except StorageError as error:
            print(error)
        print(len(read_parts(store, numbers)))
        """,
        tmp_path,
        command=[*small_disk, str(tmp_path), sys.executable, "-c"],
    )
    told, rows = printed.splitlines()
    assert "the file system is read-only: make it writable, or name another folder" in told
    assert rows == "10"


def test_what_a_library_in_another_language_says_of_a_full_disk_is_told(small_disk, tmp_path):
    """safetensors and Praat do not raise what Python raises; a model and a corpus go by them."""
    printed = python(
        """
        import torch
        from parselmouth import Sound
        from safetensors.torch import save_file
        from sercue.storage.files import folder_written_aside
        def weights(folder):
            save_file({"a": torch.ones(300, 300)}, folder / "model.safetensors")
        def speech(folder):
            Sound(np.zeros(200_000), 16000).save(str(folder / "a.wav"), "WAV")
        for write in (weights, speech):
            try:
                with folder_written_aside(store / "made") as folder:
                    write(folder)
            except StorageError as error:
                print(error)
            print(list(store.iterdir()))
        """,
        tmp_path,
        command=[*small_disk, str(tmp_path), sys.executable, "-c"],
    )
    first, left, second, left_again = printed.splitlines()
    assert "made could not be stored: no space is left" in first
    assert "made could not be stored: no space is left" in second
    assert left == left_again == "[]"


def test_a_limit_of_the_size_of_files_is_told_and_leaves_the_parts_before(tmp_path):
    """A quota behaves alike; this one needs no rights to set."""
    printed = python(
        """
        import resource
        append(0, 10)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
        try:
            append(1, 10_000)
        except StorageError as error:
            print(error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        append(1, 10_000)
        """,
        tmp_path,
    )
    assert "the file would be larger than this process may write" in printed
    assert len(read_parts(tmp_path, NUMBERS)) == 10_010
    assert left_behind(tmp_path) == []


def test_too_many_open_files_do_not_make_a_whole_part_a_torn_one(tmp_path):
    """Set aside as torn, it would be asked of the model again."""
    part = append_part(tmp_path, pd.DataFrame({"x": [1]}), NUMBERS)
    read_parts(tmp_path, NUMBERS)  # what is imported on the way needs files of its own
    for reading in (lambda: read_parts(tmp_path, NUMBERS), lambda: parts._read(part, NUMBERS)):
        with no_more_open_files(), pytest.raises(StorageError, match="too many files are open"):
            reading()
    assert read_parts(tmp_path, NUMBERS)["x"].tolist() == [1]
    assert left_behind(tmp_path) == []


@contextmanager
def no_more_open_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = [os.open(os.devnull, os.O_RDONLY)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (held[0] + 1, hard))
    try:
        # Numbers below it may be free.
        with suppress(OSError):
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in held:
            os.close(descriptor)


def test_a_fault_inside_a_cell_reaches_the_terminal_and_the_next_run_goes_on(small_study, tmp_path):
    """A file comes to lie where the folder of the tables belongs: root meets it, too.

    Of the notebook that takes the shortest time.
    """
    out = tmp_path / "out"
    command = ["run", str(small_study.file), "--only", "03", "--out", str(out)]
    run = start(*command)
    assert wait_until((out / "artifacts" / "provenance.json").is_file)
    (out / "tables").write_text("in the way")
    told, complaints = run.communicate()
    assert run.returncode == 1
    failed = next(line for line in told.splitlines() if "failed" in line)
    assert "StorageError" in failed
    assert "a file lies where a folder belongs: move it away" in failed
    assert failed.endswith(KEPT)
    assert "Traceback" not in told + complaints
    assert "This notebook stopped with an error." in (out / "03_prompting.html").read_text()
    (out / "tables").unlink()
    assert main(command) == 0
    written = files_of(out, "csv", "tex", "svg")
    undisturbed = files_of(small_study.folder, "csv", "tex", "svg")
    assert written == {name: undisturbed[name] for name in written}
    assert left_behind(out) == []


def test_a_fault_outside_of_all_cells_is_one_line(small_study, tmp_path):
    """No file of more than 10 kB: not even the notebook that tells of the fault can be stored."""
    limited = 'ulimit -f 20; exec "$@"'
    command = [*COMMAND, "run", small_study.file, "--only", "02", "--out", tmp_path / "out"]
    done = subprocess.run(
        ["sh", "-c", limited, "sh", *map(str, command)], capture_output=True, text=True
    )
    assert done.returncode == 1
    (line,) = said(done.stderr)
    assert line.startswith(f"sercue: error: {tmp_path / 'out'}: 02_binning_design.ipynb could not")
    assert line.endswith(KEPT)
    assert left_behind(tmp_path) == []


def test_a_folder_that_vanishes_is_made_again(tmp_path):
    """Somebody tidied up in mid-run: what comes after is stored all the same."""
    append_part(tmp_path / "store", pd.DataFrame({"x": [1]}), NUMBERS)
    shutil.rmtree(tmp_path / "store")
    append_part(tmp_path / "store", pd.DataFrame({"x": [2]}), NUMBERS)
    assert read_parts(tmp_path / "store", NUMBERS)["x"].tolist() == [2]


def test_a_failed_write_leaves_the_text_as_it_was(tmp_path):
    """A name too long for any disk fails at once, for whomever."""
    with pytest.raises(StorageError, match="too long"):
        write_text(tmp_path / ("x" * 300), "text")
    write_text(tmp_path / "a.md", "first")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "a.md", "half \ud800")
    assert (tmp_path / "a.md").read_text() == "first"
    assert [file.name for file in tmp_path.iterdir()] == ["a.md"]


def test_a_folder_that_could_not_be_filled_is_not_there(tmp_path):
    def half():
        with folder_written_aside(tmp_path / "model") as aside:
            (aside / "weights").write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert list(tmp_path.iterdir()) == []


def test_a_key_is_for_its_owner_alone(tmp_path):
    write_once(tmp_path / "key", b"secret")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
