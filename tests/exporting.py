"""The command `sentido-export` in this process, for tests that have TensorFlow there already."""

import subprocess
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from sentido_export.main import main

SMALL = [
    *("--epochs=1", "--words=200", "--max-tokens=30", "--dimensions=4", "--units=6"),
    "--validation=0.2",
]
"""Flags of a model that is trained in a moment."""


def export_here(*flags: Any, cwd: Path = Path()) -> "subprocess.CompletedProcess[str]":
    """Run the command as `subprocess.run` would, without a process of its own."""
    words, said, errors = [str(flag) for flag in flags], StringIO(), StringIO()
    with chdir(cwd), redirect_stdout(said), redirect_stderr(errors):
        code = main(words)
    return subprocess.CompletedProcess(words, code, said.getvalue(), errors.getvalue())
