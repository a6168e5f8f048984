"""Two runs of one study at the same time: either finishes, and no file is torn or left over."""

import json
import shutil
import threading

import nbformat
from commands import files_of, left_behind, said, start

from sercue.storage.files import folder_written_aside, write_text
from sercue.study_corpus import machine_key


def test_two_runs_on_one_folder_end_with_the_files_of_one(small_study, tmp_path):
    """They write the same notebook, page, tables and figures, at nearly the same instants."""
    out = shutil.copytree(small_study.as_left, tmp_path / "out")
    shutil.rmtree(out / "tables")
    shutil.rmtree(out / "figures")
    runs = [start("run", small_study.file, "--only", "05", "--out", out) for _ in range(2)]
    for run in runs:
        _, stderr = run.communicate()
        assert run.returncode == 0, said(stderr)
    written = files_of(out, "csv", "tex", "svg")
    single = files_of(small_study.folder, "csv", "tex", "svg")
    assert written == {name: single[name] for name in written}
    assert "contrasts.csv" in written
    notebook = nbformat.read(out / "05_statistical_testing.ipynb", as_version=4)
    nbformat.validate(notebook)
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("<li>" in output.get("data", {}).get("text/html", "") for output in shown)
    for page in ("05_statistical_testing.html", "index.html"):
        assert (out / page).read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert left_behind(out) == []


def test_no_reader_sees_half_of_a_text(tmp_path):
    """Two writers of texts of different lengths, and a reader that looks all the time."""
    path = tmp_path / "index.html"
    texts = {mark * size for mark, size in (("a", 1_000_000), ("b", 10))}
    write_text(path, "b" * 10)
    writers = [
        threading.Thread(target=lambda text=text: [write_text(path, text) for _ in range(50)])
        for text in texts
    ]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        seen.add(path.read_text())
    assert seen <= texts
    assert [file.name for file in tmp_path.iterdir()] == ["index.html"]


def test_a_model_that_two_train_is_stored_once(tmp_path):
    """Whoever is second finds the folder of the first in the place of its own."""
    folder = tmp_path / "model"
    with folder_written_aside(folder) as first, folder_written_aside(folder) as second:
        (first / "training.json").write_text(json.dumps("first"))
        (second / "training.json").write_text(json.dumps("second"))
    assert json.loads((folder / "training.json").read_text()) == "second"
    assert list(tmp_path.iterdir()) == [folder]


def test_two_runs_agree_on_the_key_of_the_pseudonyms(tmp_path, monkeypatch):
    """One that read a key half written, or replaced the other's, would give other pseudonyms."""
    monkeypatch.setenv("SERCUE_CACHE", str(tmp_path))
    keys, start_line = [], threading.Barrier(8)

    def ask():
        start_line.wait()
        keys.append(machine_key())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert len(set(keys)) == 1
