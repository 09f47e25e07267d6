"""What files say, read again when they change: certificates and tokens are rotated in place."""

import os
import stat
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from sentido_bundle.errors import reason

from sentido_server import log

Value = TypeVar("Value")
_Marks = list[tuple[int, ...]]
_MOST_BYTES = 1 << 24  # of a file: all authorities of a Linux distribution have some 200 kB


class FileError(Exception):
    """A file that is not there, or does not hold what it should. Its content is never in it."""


class ReloadingFile(Generic[Value]):
    """The value of some files. Lives as long as the server; safe from any thread.

    A change that is not good is logged, once, and the last good value stays.
    """

    def __init__(self, files: Sequence[Path], read: Callable[[], Value]) -> None:
        """Read the files by `read`. Raises the FileError that it raises."""
        self._files = files
        self._read = read
        self._lock = threading.Lock()
        self._marks = self._look()  # before reading: a change meanwhile is then seen later
        self._value = read()

    def get(self) -> Value:
        """Give the value, of which every call costs a look at each file's dates."""
        if self._look() != self._marks and self._lock.acquire(blocking=False):
            try:
                self._read_again()
            finally:
                self._lock.release()
        return self._value

    def _read_again(self) -> None:
        marks = self._look()
        try:
            value = self._read()
        except FileError as error:
            log.warning("kept what was read before", reason=str(error))
        else:
            if self._look() != marks:  # of files that belong together, one was seen too early
                return
            self._value = value
            log.event("read again", files=[str(file) for file in self._files])
        self._marks = marks

    def _look(self) -> _Marks:
        return [_mark(file) for file in self._files]


def _mark(file: Path) -> tuple[int, ...]:
    try:
        facts = os.stat(file)
    except OSError as error:
        return (error.errno or 0,)
    return facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def read(file: Path, what: str) -> bytes:
    """Read a file that only its owner should write, `what` it is for. Raises FileError.

    Opening does not wait, as that of a FIFO would for somebody who writes.
    """
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
        try:
            return _content(descriptor, f"{what} {file}", file)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise FileError(f"cannot read {what} {file}: {reason(error)}") from error


def _content(descriptor: int, name: str, file: Path) -> bytes:
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        raise FileError(f"{name} is not a regular file")
    if mode & 0o002:
        raise FileError(f"{name} can be written by everyone: chmod o-w {file}")
    with open(descriptor, "rb", closefd=False) as opened:
        data = opened.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise FileError(f"{name} has over {_MOST_BYTES:,} bytes")
    return data


def is_open_to_all(file: Path) -> bool:
    """Whether everyone on the machine can read a file, if it is there."""
    try:
        return bool(os.stat(file).st_mode & 0o004)
    except OSError:  # whoever reads it says why it cannot be
        return False
