"""The project's own promises: one list of packages, a fast import, notebooks fit for git."""

import ast
import graphlib
import json
import re
import runpy
import statistics
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import sercue
from sercue.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
STUDIES = sorted((ROOT / "notebooks" / "studies").glob("*.yaml"))


def test_environment_names_the_interpreter_and_the_project_and_nothing_else():
    """A second list of packages would drift away from the first."""
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert set(environment) == {"name", "channels", "dependencies"}
    assert environment["name"] == PROJECT["name"]
    assert environment["channels"] == ["conda-forge"]
    interpreter, pip, section = environment["dependencies"]
    assert interpreter == f"python{PROJECT['requires-python']}"
    assert pip == "pip"
    assert section == {"pip": ["-c constraints.txt", "-e ."]}


def test_constraints_bound_every_dependency_and_nothing_else():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    bounds = dict(re.match(r"([\w-]+)(.*)", x).groups() for x in lines if x and x[0] != "#")
    extras = [name for group in PROJECT["optional-dependencies"].values() for name in group]
    named = {name.partition("[")[0] for name in [*PROJECT["dependencies"], *extras]}
    assert sorted(bounds) == sorted(named)
    assert bounds["torch"].startswith("==")
    assert all("<=" in bound or "==" in bound for bound in bounds.values())


def test_dependencies_are_names_without_versions():
    """Versions stand in constraints.txt, once."""
    assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in PROJECT["dependencies"])


def test_the_packages_that_users_expect_are_there():
    expected = {"jupyterlab", "papermill", "opensmile", "transformers", "torch", "seaborn",
                "pandas", "statsmodels"}  # fmt: skip
    assert expected <= set(PROJECT["dependencies"])


def test_import_is_lazy():
    """`import sercue` must not pull in what takes seconds."""
    code = (
        "import sys, sercue; dir(sercue);"
        "print([m for m in ('torch', 'transformers', 'seaborn', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_run_and_a_check_begin_without_what_takes_seconds():
    """Models, statistics and figures are for the notebooks' processes, which import them."""
    heavy = ("torch", "transformers", "scipy.stats", "sklearn", "statsmodels", "matplotlib")
    code = (
        "import sys, sercue.cli, sercue.report.notebooks, sercue.check.study;"
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_package_is_found_from_the_folder_that_holds_its_clone(tmp_path):
    """There a folder `sercue` without `__init__.py` lies on the path: no more than a namespace.

    An install from before `package-dir` stood in pyproject.toml must be made again.
    """
    (tmp_path / "sercue").mkdir()
    code = "import sercue; print(sercue.open_run.__name__)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stdout.strip() == "open_run", done.stderr


def test_every_public_name_is_there_and_documented():
    for name in sercue.__all__:
        value = getattr(sercue, name)
        if callable(value):
            assert value.__doc__, name
    with pytest.raises(AttributeError, match="attribute nothing"):
        _ = sercue.nothing


def test_imports_go_down_the_house():
    """Each room imports from floors below its own: there is no circle of rooms."""
    rooms = {}
    for path in (ROOT / "sercue").rglob("*.py"):
        room, below = path.relative_to(ROOT / "sercue").parts[0].removesuffix(".py"), set()
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "sercue":
                names = [node.module, *(f"{node.module}.{name.name}" for name in node.names)]
                below |= {f"{name}.".split(".")[1] for name in names}
        rooms.setdefault(room, set()).update(below - {room, ""})
    floors = list(graphlib.TopologicalSorter(rooms).static_order())
    assert floors.index("storage") < floors.index("corpora") < floors.index("statistics")


def test_no_module_has_the_name_of_a_public_function():
    """Or whoever imports the module would take the function away."""
    modules = {path.stem for path in Path(sercue.__file__).parent.iterdir()}
    assert not modules & set(sercue.__all__)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
class TestEveryNotebook:
    def test_is_stored_without_outputs(self, path):
        for cell in code_cells(path):
            assert cell["outputs"] == []
            assert cell["execution_count"] is None

    def test_has_one_parameters_cell_with_every_key_and_its_default(self, path):
        """A key that it lacks would silently take its default, whatever its calls read."""
        assert declared(path) == Settings().model_dump()

    def test_is_thin(self, path):
        """Calls and prose: functions and loops belong into the package."""
        sources = ["".join(cell["source"]) for cell in code_cells(path)]
        for node in ast.walk(ast.parse("\n".join(sources))):
            assert not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.For | ast.While)
        lengths = [len([x for x in source.splitlines() if x.strip()]) for source in sources]
        assert statistics.median(lengths) <= 5

    def test_opens_with_a_question_and_has_a_computed_summary(self, path):
        """At its end; of the notebooks that answer the study's question, before all else."""
        sources = ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"]]
        assert sources[0].startswith("# ")
        assert "?" in sources[0]
        place = [source.strip() for source in sources].index("## Summary")
        assert place == (3 if path.stem[:2] in ("04", "05") else len(sources) - 2)
        assert "sercue.bullets(" in sources[place + 1]
        assert not re.search(r"\d\.\d", sources[place + 1])

    def test_runs_on_any_python_kernel(self, path):
        assert json.loads(path.read_text())["metadata"]["kernelspec"]["name"] == "python3"


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_study_file_is_valid(path):
    from sercue.settings import read_study

    assert read_study(path).study == path.stem


def test_the_docs_list_every_key_once():
    text = (ROOT / "docs" / "running.md").read_text()
    (table,) = re.findall(r"\| topic \| keys \|\n(.*?)\n\n", text, flags=re.DOTALL)
    assert sorted(re.findall(r"`(\w+)`", table)) == sorted(Settings.model_fields)


def test_the_docs_describe_every_public_name(tmp_path):
    """As built by Sphinx, whose configuration writes the pages of the API reference."""
    runpy.run_path(str(ROOT / "docs" / "conf.py"))["write_api"](tmp_path)
    pages = [path.read_text() for path in tmp_path.iterdir()]
    found = [name for page in pages for name in re.findall(r"\.\. auto\w+:: (?:\w+\.)*(\w+)", page)]
    assert sorted(found) == sorted(sercue.__all__)


def test_citations_agree():
    """What README gives as BibTeX is what CITATION.cff says."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    software, paper = re.findall(r"^@\w+\{.*?^\}", (ROOT / "README.md").read_text(), re.M | re.S)
    assert cited["version"] == PROJECT["version"]
    assert f"title   = {{{cited['title']}}}" in software
    assert f"version = {{{cited['version']}}}" in software
    study = cited["references"][0]
    assert f"{{{' and '.join(a['family-names'] for a in study['authors'])}}}" in paper
    assert f"{{{study['title']}}}" in paper
    assert f"{{{study['notes'].removeprefix('arXiv:')}}}" in paper
    assert f"{{{study['year']}}}" in paper


def code_cells(path):
    return [c for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]


def declared(path):
    (cell,) = (c for c in code_cells(path) if "parameters" in c["metadata"].get("tags", []))
    values = {}
    exec("".join(cell["source"]), {}, values)
    return values
