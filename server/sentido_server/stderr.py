"""Standard error, taken for the log: what others write to it becomes lines of the log.

Rust, gRPC's core, ONNX Runtime and Python itself write to descriptor 2 past our log, at any length
and in the midst of its lines. They get a pipe, which a thread reads.
"""

import faulthandler
import fcntl
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sentido_server import log

_STDERR = 2
_PIPE_BYTES = 1 << 20  # what may wait for the thread that reads
_READ_BYTES = 1 << 16
_MOST_LINE_BYTES = 8192  # kept of a line; the log keeps less


def make_sure_of_it() -> None:
    """Put something in the place of a standard error that is closed (`2>&-`).

    Else the next file opened would get its number, and what is written to it. Writing to what is
    put there fails.
    """
    if sys.stderr is None:
        os.dup2(os.open(os.devnull, os.O_RDONLY), _STDERR)
        # Python's own gets another number: failing to write would change the exit code to 120.
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, for as long as the process lives


@contextmanager
def into_the_log(log_format: str) -> Iterator[None]:
    """Send the log to standard error, and into the log what others write there, within the block.

    The end of the block waits a moment for the last lines to be read. What is written after it,
    while Python and gRPC unload, goes nowhere: it would not be a line of the log, and a full pipe
    would hold up the end.
    """
    ours = os.dup(_STDERR)
    log.set_up(log_format, ours)
    faulthandler.enable(_that_never_waits(ours))
    others, theirs = os.pipe()
    with suppress(OSError):  # a limit of this machine: it stays as small as pipes are
        fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    reading = threading.Thread(target=_read, args=(others,), name="stderr", daemon=True)
    reading.start()
    os.dup2(theirs, _STDERR)
    os.close(theirs)
    try:
        yield
    finally:
        end = time.monotonic() + log.GOODBYE_SECONDS
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, _STDERR)
        os.close(nowhere)
        reading.join(end - time.monotonic())
        if log.flush(end - time.monotonic()) and sys.exception() is not None:
            os.dup2(ours, _STDERR)  # for its traceback


def _that_never_waits(stream: int) -> int:
    """Open a stream again, so that a crash is not held up by who does not read it.

    Return the stream itself if that cannot be, as with a socket.
    """
    try:
        flags = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY
        return os.open(f"/proc/self/fd/{stream}", flags)
    except OSError:
        return stream


def _read(others: int) -> None:
    """Log what comes out of a pipe, line by line, until its end."""
    rest = b""
    while data := os.read(others, _READ_BYTES):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            _log(line)
        rest = rest[:_MOST_LINE_BYTES]
    _log(rest)


def _log(line: bytes) -> None:
    if text := line.decode(errors="replace").rstrip():
        log.warning("stderr", text=text)
