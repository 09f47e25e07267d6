"""The folder of the socket between the native front and the grpcio server behind it.

In the folder for temporary files, for its owner alone, and locked as long as its server lives: so
the next server can tell, and clear away, what a killed one has left.
"""

import fcntl
import os
import shutil
import socket
import stat
import tempfile
from contextlib import closing, suppress
from pathlib import Path

from sentido_server.config import StartError

_PREFIX = "sentido-"
_SOCKET = "grpcio.sock"


class SocketFolder:
    """A folder for one socket. Lives until `remove`, or until the next server starts."""

    def __init__(self) -> None:
        """Make it, and clear away those of killed servers. Raises StartError."""
        try:
            _clear(Path(tempfile.gettempdir()))
            self._path = Path(tempfile.mkdtemp(prefix=_PREFIX))
            self._lock = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        except OSError as error:
            raise StartError(
                f"--transport native needs a folder for its socket, and there is none: {error};"
                " set TMPDIR to a folder that can be written to, or use --transport grpcio"
            ) from error

    @property
    def socket(self) -> Path:
        """The path of the socket."""
        return self._path / _SOCKET

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self._path, ignore_errors=True)
        os.close(self._lock)


def _clear(folder: Path) -> None:
    """Remove what killed servers of this user have left in the folder for temporary files."""
    for path in folder.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # of somebody else, or of a server that lives
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                _clear_one(path, descriptor)
            finally:
                os.close(descriptor)


def _clear_one(path: Path, descriptor: int) -> None:
    """Remove a folder if it holds nothing but a socket that nobody listens on."""
    found = os.fstat(descriptor)
    is_ours = found.st_uid == os.geteuid() and not stat.S_IMODE(found.st_mode) & 0o077
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises OSError if its server lives
    if is_ours and os.listdir(descriptor) == [_SOCKET] and _is_dead(path / _SOCKET):
        os.unlink(_SOCKET, dir_fd=descriptor)
        path.rmdir()


def _is_dead(path: Path) -> bool:
    """Whether nobody listens: a folder that was made again is not locked."""
    with closing(socket.socket(socket.AF_UNIX)) as probe:
        probe.setblocking(False)  # one that hangs takes no more connections, and is not dead
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return True
    return False
