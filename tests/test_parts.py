"""Tables that grow part by part: whole or not at all, and a torn part is never misread."""

import pandas as pd
import pytest

from sercue.errors import StorageError
from sercue.parts import append_part, part_files, read_parts, write_table
from sercue.schema import Kind

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


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = write_table(pd.DataFrame({"x": [1]}), tmp_path / "table.parquet")

    class Unwritable(pd.DataFrame):
        def to_parquet(self, file, **options):
            file.write(b"half")
            raise OSError("no space left on device")

    with pytest.raises(StorageError, match="no space"):
        write_table(Unwritable({"x": [2]}), path)
    assert pd.read_parquet(path)["x"].tolist() == [1]
    assert [file.name for file in tmp_path.iterdir()] == ["table.parquet"]
