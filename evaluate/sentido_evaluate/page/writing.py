"""Writes a page: whole, or not at all."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path


def write_page(path: Path, text: str) -> None:
    """Write a page, in the place of one that is there. Raises OSError."""
    descriptor, name = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
