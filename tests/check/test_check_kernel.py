"""The kernel that runs the notebooks must have this package, whichever environment it is of."""

import json
import sys
import venv
from pathlib import Path

import pytest

import sercue
from sercue.check.machine import check_kernel
from sercue.errors import InputError


@pytest.fixture
def plant(monkeypatch, tmp_path):
    """A kernel of the notebooks' name that Jupyter finds before this environment's own."""

    def planted(python, **environment):
        folder = tmp_path / "jupyter" / "kernels" / "python3"
        folder.mkdir(parents=True)
        spec = {"argv": [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
                "display_name": "mine", "language": "python", "env": environment}  # fmt: skip
        (folder / "kernel.json").write_text(json.dumps(spec))
        monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
        return folder

    return planted


def another_name_for_this_python(folder):
    file = folder / "python-elsewhere"
    file.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    file.chmod(0o755)
    return file


def test_the_kernel_of_this_environment_is_fine():
    assert check_kernel() == "run by the kernel 'python3' of this environment"


@pytest.mark.parametrize("python", ["python", "python3", sys.executable])
def test_a_bare_name_is_this_python(plant, python):
    """As jupyter_client has it, whatever lies on the path."""
    plant(python)
    assert check_kernel() == "run by the kernel 'python3' of this environment"


def test_a_kernel_of_an_environment_without_the_package_is_told(plant, tmp_path):
    """It is what another project's ``ipykernel install --user`` leaves behind."""
    venv.create(tmp_path / "other", with_pip=False)
    folder = plant(tmp_path / "other" / "bin" / "python", PYTHONPATH="")
    with pytest.raises(InputError) as caught:
        check_kernel()
    told = str(caught.value)
    assert str(folder) in told
    assert str(tmp_path / "other" / "bin" / "python") in told
    assert "No module named" in told
    assert "jupyter kernelspec remove python3" in told


def test_a_kernel_that_is_this_environment_by_another_name_is_fine(plant, tmp_path):
    root = str(Path(sercue.__file__).parents[1])
    folder = plant(another_name_for_this_python(tmp_path), PYTHONPATH=root)
    assert str(folder) in check_kernel()


def test_a_kernel_with_another_version_of_the_package_is_told(plant, tmp_path):
    """The notebooks would run other code than the command."""
    (tmp_path / "old" / "sercue").mkdir(parents=True)
    (tmp_path / "old" / "sercue" / "__init__.py").touch()
    plant(another_name_for_this_python(tmp_path), PYTHONPATH=str(tmp_path / "old"))
    with pytest.raises(InputError, match="with another sercue"):
        check_kernel()


def test_a_kernel_whose_python_is_gone_is_told(plant, tmp_path):
    plant(tmp_path / "gone" / "python")
    with pytest.raises(InputError, match="does not start"):
        check_kernel()
