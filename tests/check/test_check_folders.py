"""Folders that a study cannot write to are found before it has something to write."""

import tempfile
from pathlib import Path

import pytest
from unprivileged import run_unprivileged

from sercue.check.machine import check_folders, check_writable
from sercue.errors import InputError
from sercue.settings import Settings

_IMPORTS = """
from pathlib import Path
from sercue.check.machine import check_writable
from sercue.errors import InputError
"""
_CODE = """
for path in sys.argv[1:]:
    try:
        check_writable(Path(path), "out", "choose another")
    except InputError as error:
        print(error)
"""


def test_nothing_is_left_behind(cache, tmp_path):
    """Of a study that is only checked there must be no folder."""
    before = list(tmp_path.rglob("*"))
    out = tmp_path / "a" / "b"
    assert check_folders(Settings(out=str(out))) == out
    assert list(tmp_path.rglob("*")) == before


@pytest.fixture
def theirs():
    """A folder of whoever runs this, in which anybody may look and nobody write."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        yield Path(folder)
        Path(folder).chmod(0o755)


def test_a_folder_of_somebody_else_is_told(theirs):
    """It may be there, or be one to make where nothing can be made."""
    folders = [theirs, theirs / "new" / "folder"]
    told = run_unprivileged(_IMPORTS, _CODE, *folders).splitlines()
    for folder, line in zip(folders, told, strict=True):
        reason = f"nothing can be written to {folder} (Permission denied: {theirs}"
        assert line.startswith(f"out: {reason}")
        assert line.endswith("); choose another")


def test_a_folder_that_cannot_be_seen_is_told(theirs):
    """Whether it is there is not known, let alone whether it can be written to."""
    theirs.chmod(0o000)
    told = run_unprivileged(_IMPORTS, _CODE, theirs / "run")
    assert told.startswith(f"out: nothing can be written to {theirs / 'run'} (Permission denied")


def test_a_file_where_the_folder_should_be_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/run \(Not a directory"):
        check_writable(tmp_path / "file" / "run", "out", "choose another")


def test_a_file_in_the_way_of_the_artifacts_is_told(cache, tmp_path):
    """The folder of an earlier run may hold anything."""
    (tmp_path / "figures").touch()
    with pytest.raises(InputError, match=r"out: .*cannot be used .*Not a directory.*figures"):
        check_folders(Settings(out=str(tmp_path)))
