"""Where a study may write: to a folder of its own, and nowhere else."""

import json
import shutil

import nbformat
import papermill
import pytest
import yaml
from unprivileged import run_unprivileged

from sercue.artifacts import check_run_folder
from sercue.cli import main
from sercue.errors import InputError
from sercue.run import open_run
from sercue.storage.files import project_folder

BY_HAND = nbformat.writes(nbformat.v4.new_notebook())
BEGUN = nbformat.writes(nbformat.v4.new_notebook(metadata={"papermill": {"version": "2"}}))


def fill(folder, files):
    """Files by name; those whose name ends in a slash are folders."""
    for name, content in files.items():
        path = folder / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.write_text(content)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {".DS_Store": "", "README.md": "mine", ".gitkeep": "", "Thumbs.db": ""},
        {".git/config": ""},
        {"01_feature_exploration.ipynb": BEGUN},
        {"by_papermill.ipynb": BEGUN, "artifacts/.provenance.json.1a2b": "{"},
        {"artifacts/": "", "tables/": "", "figures/": ""},
        {"artifacts/provenance.json": "{}", "thesis.tex": "", "plots/a.pdf": ""},
    ],
)
def test_new_empty_and_earlier_runs_folders_are_taken(files, tmp_path):
    """Also one that was stopped at any moment, and one to which its owner has added a file."""
    fill(tmp_path, files)
    check_run_folder(tmp_path)
    check_run_folder(tmp_path / "deep" / "below")


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"thesis.tex": ""}, "'thesis.tex'"),
        ({"a.csv": "", "b.csv": "", "c/": ""}, "'a.csv' and 2 more"),
        ({"01_feature_exploration.ipynb": BY_HAND}, "'01_feature_exploration.ipynb'"),
        ({"01_feature_exploration.ipynb": "no JSON"}, "'01_feature_exploration.ipynb'"),
        ({"01_feature_exploration.ipynb": "[]"}, "'01_feature_exploration.ipynb'"),
        ({"index.html": "a home page"}, "'index.html'"),
        ({"figures/fig1.pdf": ""}, "'figures'"),
        ({"artifacts/provenance.json/": ""}, "'artifacts'"),
        ({"tables": "a file"}, "cannot be used"),
    ],
)
def test_a_folder_of_somebody_else_is_refused_and_left_alone(files, found, tmp_path):
    """A run would mix its files with those, and overwrite what is called alike."""
    fill(tmp_path, files)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(InputError) as error:
        open_run({"out": str(tmp_path)})
    for part in ("out: ", found, str(tmp_path), "valid is a folder that is new or empty"):
        assert part in str(error.value)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_the_notebooks_folder_is_refused():
    """Executed notebooks would take the place of those that they were made from."""
    with pytest.raises(InputError, match="01_feature_exploration"):
        check_run_folder(project_folder() / "notebooks")


@pytest.mark.parametrize("name", ["file", "file/below", "x" * 300, "nowhere"])
def test_a_path_that_cannot_be_a_folder_is_named(name, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "nowhere").symlink_to(tmp_path / "not there")
    with pytest.raises(InputError, match="out: "):
        check_run_folder(tmp_path / name)


def test_a_folder_that_may_not_be_read_is_named(tmp_path):
    """It may hold anything."""
    (tmp_path / "closed").mkdir(mode=0)
    for place in (tmp_path, *tmp_path.parents[:2]):
        place.chmod(0o755)
    told = run_unprivileged(
        "import sys, pathlib\nfrom sercue.artifacts import check_run_folder\n",
        "try: check_run_folder(pathlib.Path(sys.argv[1]))\n"
        "except ValueError as error: print(error)",
        tmp_path / "closed",
    )
    assert told.startswith("out: ")
    assert "Permission denied" in told


@pytest.mark.parametrize(
    "link", ["tables", "artifacts/predictions", "index.html", "figures/uar.svg", "methods.md"]
)
def test_a_link_in_the_folder_does_not_lead_a_run_elsewhere(link, tmp_path):
    """A folder that somebody sent may hold one, beside a provenance that makes it look right."""
    fill(tmp_path, {"out/artifacts/provenance.json": "{}", "theirs/uar.csv": "1"})
    (tmp_path / "out" / link).parent.mkdir(exist_ok=True)
    (tmp_path / "out" / link).symlink_to(tmp_path / "theirs")
    with pytest.raises(InputError, match=rf"found '{link}' in .* a link to .*theirs"):
        check_run_folder(tmp_path / "out")


def test_a_link_to_the_folder_is_taken(tmp_path):
    """Reports often lie on another disk than the project."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    check_run_folder(tmp_path / "out")


@pytest.mark.parametrize("command", ["run", "check"])
def test_the_command_tells_before_anything_is_read(command, tmp_path, capsys):
    (tmp_path / "precious.txt").write_text("")
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump({"corpus": "emodb", "corpus_root": str(tmp_path / "none")}))
    assert main([command, str(file), "--out", str(tmp_path)]) == 2
    assert "out: found 'precious.txt' and 1 more" in capsys.readouterr().err


def test_a_run_that_papermill_began_and_lost_is_gone_on_with(tmp_path):
    """Papermill writes the notebook at its first cell, before the run writes anything."""
    source = project_folder() / "notebooks" / "01_feature_exploration.ipynb"
    target = tmp_path / "01_feature_exploration.ipynb"
    papermill.execute_notebook(source, target, parameters={"bins": 4}, prepare_only=True)
    check_run_folder(tmp_path)
    shutil.copy(source, target)
    with pytest.raises(InputError):
        check_run_folder(tmp_path)


def test_an_interrupted_provenance_is_no_stranger(tmp_path):
    """As a run leaves it that is killed while it writes: the part beside, not yet renamed."""
    fill(tmp_path, {"artifacts/.provenance.json.tmp": json.dumps({})[:1]})
    check_run_folder(tmp_path)
