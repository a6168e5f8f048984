"""The package as users install it who have no clone: a wheel, in an environment of its own."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from cells import sentences_of_summary

ROOT = Path(__file__).resolve().parents[1]
SMALL = ["corpus_options={speakers: 6, sentences: 1}", "resamples=100", "controls=false"]


def called(*command, **options):
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """An environment with the wheel; the packages that it needs are those of the tests."""
    folder = tmp_path_factory.mktemp("wheel")
    called(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, ROOT)
    (wheel,) = folder.glob("sercue-*.whl")
    called(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    python = folder / "venv" / "bin" / "python"
    called(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", wheel)
    site = called(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    # The path of an editable install, which lies there as well, is not read from a path.
    (Path(site) / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "venv" / "bin"


def test_the_demo_runs_from_any_folder(installed, tmp_path):
    """By its name, into ``reports/demo`` of the current folder, with notebooks from the wheel.

    And with nothing that a notebook before this one left.
    """
    environment = {k: v for k, v in os.environ.items() if k not in ("SERCUE_CACHE", "PYTHONPATH")}
    # The templates of nbconvert lie there.
    environment["JUPYTER_PATH"] = str(Path(sysconfig.get_path("data"), "share", "jupyter"))
    sercue = [installed / "python", "-m", "sercue.cli"]
    where = called(
        installed / "python", "-c", "import sercue; print(sercue.__file__)", cwd=tmp_path
    )
    assert Path(where.strip()).is_relative_to(installed.parent)
    called(*sercue, "run", "demo", "--only", "02", "--set", *SMALL, cwd=tmp_path,
           env=environment)  # fmt: skip
    made = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.html")}
    assert made == {f"reports/demo/{name}.html" for name in ("index", "02_binning_design")}
    assert sentences_of_summary(tmp_path / "reports/demo/02_binning_design.ipynb") >= 3


def test_the_published_values_travel_with_the_package(installed, tmp_path):
    code = "import sercue; print(len(sercue.published_values()))"
    rows = (ROOT / "sercue" / "report" / "published.csv").read_text(encoding="utf-8").splitlines()
    found = called(installed / "python", "-c", code, cwd=tmp_path)
    assert int(found) == len(rows) - 1
