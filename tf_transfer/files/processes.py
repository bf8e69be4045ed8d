"""The one place that starts other programs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def run_module(module: str, arguments: Sequence[str], folder: Path) -> subprocess.CompletedProcess:
    """Runs ``python -m MODULE ARGUMENTS`` of this Python and waits for its end.

    It works in ``folder`` and is isolated (``-I``), so that no file of the user's working folder is
    taken for a
    module: a ``pip.py`` that lies there is not run. What it starts itself does not look into
        ``PYTHONPATH`` either.

    Args:
        folder: an empty folder of the caller's; it also takes the program's temporary files.

    Returns:
        Its exit code and what it wrote to standard error.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, "-I", "-m", module, *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=environment | {"TMPDIR": str(folder)},
    )
