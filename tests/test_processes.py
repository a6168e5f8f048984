"""Work side by side: the processes that are started, and what they import."""

from sercue.running import side_by_side


def test_processes_import_what_is_installed_whatever_lies_in_the_current_folder(
    tmp_path, monkeypatch
):
    (tmp_path / "joblib.py").write_text("raise SystemExit('not the installed one')")
    monkeypatch.chdir(tmp_path)
    assert list(side_by_side(pow, [(2, 3), (3, 2)], jobs=2)) == [8, 9]
