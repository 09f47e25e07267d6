"""A link that leads to the newest of several bundles, which are folders that never change.

A server whose --bundle is the link loads the newest one when it is told to reload.
"""

import errno
import os
import tempfile
from pathlib import Path

from sentido_bundle.errors import reason

from sentido_export.errors import ExportError


def check_link(link: Path, folder: Path) -> None:
    """Raise ExportError unless `link` can be made to lead to `folder`, which is not there yet."""
    if link.exists() and not link.is_symlink():
        raise ExportError(f"{link} is no link: name another --link, or move it away")
    target, place = folder.absolute(), link.absolute()
    if place == target or target in place.parents:
        raise ExportError(f"{link} is where the bundle goes: name another --link")
    existing = next(path for path in place.parents if os.path.lexists(path))
    try:
        with tempfile.TemporaryDirectory(prefix=f".{link.name}-", dir=existing):
            pass
    except OSError as error:
        raise ExportError(f"{link} cannot be made a link: {reason(error)}") from error


def set_link(link: Path, folder: Path) -> None:
    """Make `link` lead to `folder`; whoever opens it meanwhile finds the old one or the new.

    Raises ExportError, also if something that is no link stands there.
    """
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{link.name}-", dir=link.parent) as beside:
            new = Path(beside) / "new"
            new.symlink_to(os.path.relpath(folder.resolve(), link.parent.resolve()))
            if link.exists() and not link.is_symlink():
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            new.replace(link)  # one step, whatever stood there
    except OSError as error:
        raise ExportError(
            f"{folder} is written, but {link} does not lead to it: {reason(error)}"
        ) from error
