"""JupyterLab as ``make lab`` starts it, with settings and notebooks of its own."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

#: Settings without which a first start asks the outside for news, and asks its user about them.
_QUIET = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    # Every cell is drawn, seen or not, so that one can look for what the notebook ends with.
    "notebook-extension/tracker": {"windowingMode": "none"},
}


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab: the folder it serves, where it listens, and what lets one in."""

    folder: Path
    port: int
    token: str
    log: Path

    def address(self, notebook: str) -> str:
        """Where a notebook of the served folder is opened, with no other beside it."""
        return f"{self.origin}lab/tree/{notebook}?reset&token={self.token}"

    @property
    def origin(self) -> str:
        """What all addresses of this server begin with."""
        return f"http://127.0.0.1:{self.port}/"


@contextlib.contextmanager
def running_lab(notebooks: Path, home: Path) -> Iterator[Lab]:
    """Serve a folder of notebooks; nothing of the user's own JupyterLab is read or written.

    Args:
        notebooks: the folder to serve
        home: where JupyterLab may keep what it wants to keep

    Raises:
        RuntimeError: if it does not answer within a minute
    """
    home.mkdir(parents=True, exist_ok=True)
    lab = Lab(notebooks, _free_port(), secrets.token_hex(8), home / "lab.log")
    with lab.log.open("wb") as log:
        server = subprocess.Popen(_command(lab), env=_environment(home), stdout=log, stderr=log)
        try:
            _wait(lab, server)
            yield lab
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()


def _command(lab: Lab) -> list[str]:
    options = {
        "IdentityProvider.token": lab.token,
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": lab.port,
        "ServerApp.port_retries": 0,
        "ServerApp.root_dir": lab.folder,
        "ServerApp.open_browser": False,
        "ServerApp.allow_root": True,
        "LabApp.extension_manager": "readonly",
    }
    return [
        *(sys.executable, "-m", "jupyterlab"),
        *(f"--{name}={value}" for name, value in options.items()),
    ]


def _environment(home: Path) -> dict[str, str]:
    for name, values in _QUIET.items():
        file = home / "user-settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    own = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "user-settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    return dict(os.environ) | {name: str(home / folder) for name, folder in own.items()}


def _wait(lab: Lab, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(URLError, ConnectionError):
            urllib.request.urlopen(f"{lab.origin}api").close()
            return
        time.sleep(0.2)
    raise RuntimeError(f"jupyter lab does not answer:\n{lab.log.read_text()[-2000:]}")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
