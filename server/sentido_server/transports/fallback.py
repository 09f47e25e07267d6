"""The grpcio server behind the native front, on a Unix socket that must not get lost.

Folders for temporary files are cleaned. Without its socket the front goes on answering unary calls,
but no stream and no health check.
"""

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import grpc

from sentido_server import log
from sentido_server.transports.grpcio import stop

_LOOK_SECONDS = 1.0


class Fallback:
    """Serves on a socket, and on a new one in its place if it is taken away. Until `stop`."""

    def __init__(self, path: Path, make: Callable[[], grpc.Server]) -> None:
        """Bind a server that `make` makes, in a folder of our own. Raises RuntimeError."""
        self._path = path
        self._make = make
        self._servers: list[grpc.Server] = []  # those before the last one: for what they began
        self._stopping = threading.Event()
        self._watching = threading.Thread(target=self._watch, name="fallback", daemon=True)
        self._bind()

    def start(self) -> None:
        """Serve."""
        self._servers[-1].start()
        self._watching.start()

    def stop(self, seconds: float) -> threading.Event:
        """Stop; what is still open has so many seconds. As a server of gRPC's does."""
        self._stopping.set()
        self._watching.join()
        *earlier, last = [stop(server, seconds) for server in self._servers]
        for stopped in earlier:
            stopped.wait()
        return last

    def _bind(self) -> None:
        server = self._make()
        server.add_insecure_port(f"unix:{self._path}")
        self._bound = _identity(self._path)
        self._servers.append(server)

    def _watch(self) -> None:
        is_said = False
        while not self._stopping.wait(_LOOK_SECONDS):
            if _identity(self._path) == self._bound:
                continue
            try:
                self._make_again()
            except (OSError, RuntimeError) as error:
                if not is_said:
                    log.warning("socket lost", path=str(self._path), error=str(error))
                is_said = True
            else:
                log.warning("socket made again", path=str(self._path), reason="it was removed")
                is_said = False

    def _make_again(self) -> None:
        """Serve on a new socket. Raises OSError or RuntimeError."""
        folder = self._path.parent
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()  # somebody else may have been faster
        is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
        if not is_ours or found.st_mode & 0o077:
            raise OSError(f"{folder} is not a folder of this user alone")
        self._path.unlink(missing_ok=True)
        self._bind()
        self._servers[-1].start()


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from another one of its name; None if there is none."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
