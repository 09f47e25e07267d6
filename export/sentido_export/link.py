"""A link that leads to the newest of several bundles, which are folders that never change.

A server whose --bundle is the link loads the newest one when it is told to reload.
"""

import os
import tempfile
from pathlib import Path

from sentido_export.errors import ExportError


def check_link(link: Path) -> None:
    """Raise ExportError if something that is no link stands at `link`."""
    if link.exists() and not link.is_symlink():
        raise ExportError(f"{link} is no link: name another --link, or move it away")


def set_link(link: Path, folder: Path) -> None:
    """Make `link` lead to `folder`; whoever opens it meanwhile finds the old one or the new."""
    check_link(link)
    link.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{link.name}-", dir=link.parent) as beside:
        new = Path(beside) / "new"
        new.symlink_to(os.path.relpath(folder.resolve(), link.parent.resolve()))
        new.replace(link)  # one step, whatever stood there
