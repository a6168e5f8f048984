"""Whether a study can write where it will."""

from __future__ import annotations

import tempfile
from pathlib import Path

from sercue.errors import InputError
from sercue.paths import cache_folder
from sercue.run import run_folder
from sercue.run.own_folder import check_run_folder
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
    from jupyter_core.paths import jupyter_runtime_dir

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
