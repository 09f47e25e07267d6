"""The command `sentido-evaluate` in this process, and labelled files for it."""

import csv
import json
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from sentido_evaluate.main import main

TEXTS = [
    *[("A wonderful little film, I loved it.", "positive")] * 30,
    *[("A dull, lifeless mess.", "negative")] * 30,
    *[("A wonderful little film, I loved it.", "negative")] * 3,  # which no model gets right
]
"""63 texts, 60 of which the default bundle answers as they are labelled."""


def write(
    path: Path, rows: Sequence[Sequence[str]], names: Sequence[str] = ("text", "label")
) -> Path:
    """Write a CSV file; return where."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(rows)
    return path


def run(*arguments: str | Path) -> tuple[int, str, str]:
    """Run the command; return its exit code and what it prints."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as error:
            code = int(error.code or 0)
    return code, out.getvalue(), err.getvalue()


def found(*arguments: str | Path) -> dict[str, Any]:
    """Run the command, which must end with 0; return the JSON that it prints."""
    code, out, err = run(*arguments)
    assert code == 0, err
    return dict(json.loads(out))
