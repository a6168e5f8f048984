"""Tables that grow part by part: whole or not at all, and a torn part is never misread."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from sercue.artifacts import Artifacts
from sercue.errors import StorageError
from sercue.storage.tables import Kind, append_part, part_files, read_parts, write_table

NUMBERS = Kind("numbers", columns={"x": "int"})


def test_parts_add_up(tmp_path):
    for number in range(3):
        append_part(tmp_path / "deep" / "folder", pd.DataFrame({"x": [number]}), NUMBERS)
    assert sorted(read_parts(tmp_path / "deep" / "folder", NUMBERS)["x"]) == [0, 1, 2]


def test_no_folder_is_no_rows(tmp_path):
    assert read_parts(tmp_path / "nothing").empty


@pytest.mark.parametrize("keep", [0, 3, 60])
def test_a_torn_part_is_set_aside_with_a_warning(tmp_path, caplog, keep):
    """A disk that filled up leaves an empty or a cut file; its rows must be made again."""
    append_part(tmp_path, pd.DataFrame({"x": [1]}), NUMBERS)
    torn = append_part(tmp_path, pd.DataFrame({"x": [2]}), NUMBERS)
    torn.write_bytes(torn.read_bytes()[:keep])
    assert read_parts(tmp_path, NUMBERS)["x"].tolist() == [1]
    assert torn.with_suffix(".torn").is_file()
    assert torn.name in caplog.text
    assert len(part_files(tmp_path)) == 1


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = write_table(pd.DataFrame({"x": [1]}), tmp_path / "table.parquet")

    def half_written(path, content):
        with path.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_bytes", half_written)
    with pytest.raises(StorageError, match="no space"):
        write_table(pd.DataFrame({"x": [2]}), path)
    monkeypatch.undo()
    assert pd.read_parquet(path)["x"].tolist() == [1]
    assert [file.name for file in tmp_path.iterdir()] == ["table.parquet"]


FLIPS = 300


@pytest.fixture(params=["part", "table"])
def stored(request, tmp_path):
    """A file as it was written, and a function that reads it: its rows, or nothing."""
    rows = pd.DataFrame({"p_sad": [0.1, 0.2] * 100, "model": ["low", "high"] * 100})
    if request.param == "part":
        path = append_part(tmp_path, rows.assign(x=range(200)), NUMBERS)
        return path, lambda: read_parts(tmp_path, NUMBERS)
    name, artifacts = "controls.parquet", Artifacts(tmp_path)
    artifacts.save(name, rows, "these settings")
    return tmp_path / name, lambda: artifacts.load(name, "these settings")


def test_no_flipped_bit_changes_a_value_in_silence(stored, tmp_path):
    """Page checksums leave the headers and the metadata open: each bit of the file counts."""
    path, read = stored
    content, whole = path.read_bytes(), read()
    assert len(whole) == 200
    bits = np.random.default_rng(0).choice(8 * len(content), FLIPS, replace=False)
    for bit in bits:
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        found = read()
        assert found is None or found.empty or found.equals(whole), bit


def test_pages_have_the_checksums_that_other_programs_check(tmp_path):
    """By pyarrow alone, on a page whose values are plain bytes."""
    rows = pd.DataFrame({"x": np.random.default_rng(0).random(1000)})
    path = write_table(rows, tmp_path / "table.parquet")
    content = bytearray(path.read_bytes())
    content[content.find(rows["x"].to_numpy()[500].tobytes())] ^= 1
    path.write_bytes(content)
    with pytest.raises(OSError, match="CRC"):
        pq.read_table(path, page_checksum_verification=True)


def test_files_of_before_there_were_digests_are_read(tmp_path):
    """Answers that took hours must not be lost to an update."""
    append_part(tmp_path, pd.DataFrame({"x": [1]}), NUMBERS)
    pd.DataFrame({"x": [2]}).to_parquet(tmp_path / "part-old.parquet")
    assert sorted(read_parts(tmp_path, NUMBERS)["x"]) == [1, 2]
