"""Whether this machine can run a study: its folders, and a kernel for the notebooks."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sercue.errors import InputError
from sercue.storage.files import cache_folder

if TYPE_CHECKING:
    from sercue.settings import Settings

# What a run makes in its folder; of an earlier run they may be somebody else's.
_BELOW = ("", "artifacts", "artifacts/predictions", "figures", "tables")


def check_folders(settings: Settings) -> Path:
    """Try to write where the study will, and leave nothing behind.

    Args:
        settings: the study

    Returns:
        the folder of the run

    Raises:
        InputError: naming the folder and what is wrong with it
    """
    # Here, since they load all of the package, and a folder alone can be checked without.
    from jupyter_core.paths import jupyter_runtime_dir

    from sercue.artifacts import check_run_folder
    from sercue.settings import run_folder

    run = run_folder(settings)
    check_run_folder(run)
    way_out = "choose another folder with --out"
    for below in _BELOW:
        check_writable(run / below, "out", way_out)
    check_writable(
        cache_folder(), "cache", "let the environment variable SERCUE_CACHE name another folder"
    )
    # There the kernels that run the notebooks leave word of their ports.
    check_writable(
        Path(jupyter_runtime_dir()),
        "notebooks",
        "let the environment variable JUPYTER_RUNTIME_DIR name another folder",
    )
    return run


def check_writable(folder: Path, what: str, way_out: str) -> None:
    """Refuse a folder in which, or in the nearest one above which, no file can be made.

    Args:
        folder: where files will lie; it need not be there yet
        what: how the error begins
        way_out: how the error ends

    Raises:
        InputError: naming the folder
    """
    try:
        # Where the system can, such a file never has a name.
        with tempfile.TemporaryFile(dir=nearest(folder)):
            pass
    except OSError as error:
        reason = f"{error.strerror}: {error.filename}"
        raise InputError(
            f"{what}: nothing can be written to {folder} ({reason}); {way_out}"
        ) from None


def nearest(folder: Path) -> Path:
    """A folder, or the nearest one above it that is there.

    Raises:
        OSError: if that cannot be seen
    """
    absolute = folder.absolute()
    return next(place for place in (absolute, *absolute.parents) if place.exists())


#: The kernel that the notebooks name, and so the one that papermill starts.
KERNEL = "python3"
#: What jupyter_client takes for the Python that starts a kernel, whatever lies on the path.
_THIS_PYTHON = ("python", *(name.format(*sys.version_info) for name in ("python{}", "python{}.{}")))
_MEND = f"remove it, so that this environment's own is found: jupyter kernelspec remove {KERNEL}"
_SECONDS_TO_IMPORT = 60.0
_PROGRAM = "import ipykernel, sercue; print(sercue.__file__)"


def check_kernel() -> str:
    """Find the kernel that will be started, and whether it has this package.

    A kernel of the same name that another environment left in the user's folder goes before that
    of this one. No kernel is started: its Python imports the package, unless it is this one.

    Returns:
        what was found

    Raises:
        InputError: naming the kernel's folder and its Python, if there is no such kernel, or if it
            runs another ``sercue`` or none
    """
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        spec: Any = KernelSpecManager().get_kernel_spec(KERNEL)
    except NoSuchKernel:
        raise InputError(
            f"notebooks: found no Jupyter kernel {KERNEL!r}, which runs them; install ipykernel "
            f"into the environment of {sys.executable}"
        ) from None
    python = spec.argv[0]
    # Not resolved: the Pythons of two environments may be links to one file.
    here = os.path.abspath(python) == os.path.abspath(sys.executable)
    if here or python in _THIS_PYTHON:
        return f"run by the kernel {KERNEL!r} of this environment"
    _check_import(python, spec)
    return f"run by the kernel {KERNEL!r} in {spec.resource_dir}, whose Python is {python}"


def _check_import(python: str, spec: Any) -> None:
    told = f"notebooks: the kernel {KERNEL!r} in {spec.resource_dir} is of another Python, {python}"
    try:
        with tempfile.TemporaryDirectory() as elsewhere:
            done = subprocess.run(
                [python, "-c", _PROGRAM],
                cwd=elsewhere,
                env=os.environ | dict(spec.env),
                capture_output=True,
                encoding="utf-8",
                errors="backslashreplace",
                timeout=_SECONDS_TO_IMPORT,
                check=True,
            )
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(f"{told}, which cannot import sercue ({last}); {_MEND}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"{told}, which does not start ({error}); {_MEND}") from None
    found = Path(done.stdout.strip().splitlines()[-1]).resolve()
    here = Path(__file__).resolve().parents[1] / "__init__.py"
    if found != here:
        raise InputError(f"{told}, with another sercue ({found}, not {here}); {_MEND}")
