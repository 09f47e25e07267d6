"""A connection to a Ray cluster: soon there, or a sentence that says why not.

Ray itself tries for minutes, and on the main thread takes SIGTERM for itself. So the address is
looked at first, before Ray is even imported, and Ray lives on a thread of its own.
"""

import os
import socket
from concurrent.futures import Future
from threading import Event, Thread

from sentido_score.errors import ScoreError

_REACHED = 6.0  # seconds in which an address must answer
_CONNECTED = 60.0  # seconds in which a cluster that answers must let us in

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""What an HTTP/2 client begins with: the protocol's name and an empty frame of settings."""


def look(address: str | None) -> None:
    """Raise ScoreError unless something at an address speaks HTTP/2, as every cluster does."""
    address, done = _known(address), Future[None]()
    Thread(target=_greet, args=(address or "", done), daemon=True).start()  # names may hang
    _awaited(done, _REACHED, address)


class Connection:
    """Lives until it is closed, and with it a cluster that it started on this machine."""

    def __init__(self, address: str | None) -> None:
        """Connect to a cluster, or start one. Raises ScoreError."""
        address = _known(address)
        self._closing, self._closed = Event(), Event()
        connected: Future[None] = Future()
        Thread(target=self._live, args=(address, connected), daemon=True).start()
        _awaited(connected, None if address is None else _CONNECTED, address)

    def _live(self, address: str | None, connected: "Future[None]") -> None:
        """Connect, and stay: the processes of a cluster end with the thread that started them."""
        import ray

        try:
            ray.init(address=address, log_to_driver=False, logging_level="critical")
            connected.set_result(None)
            self._closing.wait()
            ray.shutdown()
        except BaseException as error:
            if not connected.done():
                connected.set_exception(error)
        finally:
            self._closed.set()

    def close(self) -> None:
        """Disconnect."""
        self._closing.set()
        self._closed.wait()


def _known(address: str | None) -> str | None:
    """Return the address that Ray would take."""
    return address or os.environ.get("RAY_ADDRESS") or None


def _awaited(done: "Future[None]", seconds: float | None, address: str | None) -> None:
    try:
        done.result(seconds)
    except (OSError, RuntimeError, ValueError) as error:
        is_late = isinstance(error, TimeoutError) and not error.errno  # ours, or the socket's
        reason = f"no answer within {seconds:g} seconds" if is_late else str(error)
        raise ScoreError(f"no Ray cluster at {address or 'this machine'}: {reason}") from error


def _greet(address: str, done: "Future[None]") -> None:
    try:
        host, _, port = address.removeprefix("ray://").rpartition(":")
        is_port = port.isascii() and port.isdecimal()
        if host and is_port:  # neither "auto" nor a name that Ray knows how to refuse
            _exchange(host.strip("[]"), int(port))
        done.set_result(None)
    except BaseException as error:
        done.set_exception(error)


def _exchange(host: str, port: int) -> None:
    with socket.create_connection((host, port), _REACHED) as connection:
        if os.environ.get("RAY_USE_TLS", "0") != "0":
            return
        connection.sendall(_PREFACE)
        answer = connection.makefile("rb").read(4)
    if answer[3:] != b"\x04":  # the type of a frame of settings
        raise OSError("what answers there is not a Ray cluster")
