"""Whether the kernel that runs the notebooks is this very environment."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from sercue.errors import InputError

#: The kernel that the notebooks name, and so the one that papermill starts.
KERNEL = "python3"
#: What jupyter_client takes for the Python that starts a kernel, whatever lies on the path.
_THIS_PYTHON = (
    "python",
    "python{}".format(*sys.version_info),
    "python{}.{}".format(*sys.version_info),
)
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
    if python in _THIS_PYTHON or _same(python, sys.executable):
        return f"run by the kernel {KERNEL!r} of this environment"
    _check_import(python, spec)
    return f"run by the kernel {KERNEL!r} in {spec.resource_dir}, whose Python is {python}"


def _same(one: str, other: str) -> bool:
    # Not resolved: the Pythons of two environments may be links to one file.
    return os.path.abspath(one) == os.path.abspath(other)


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
