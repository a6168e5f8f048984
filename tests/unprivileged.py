"""Python run as somebody who may not read everything: root reads files of any mode."""

import subprocess
import sys

_BECOME_NOBODY = """
import os, sys
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
"""


def run_unprivileged(imports: str, code: str, *arguments: object) -> str:
    """What a program prints that runs, once it has imported, under another user if this is root."""
    command = [sys.executable, "-c", imports + _BECOME_NOBODY + code, *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
