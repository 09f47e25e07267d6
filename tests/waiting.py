"""Waiting in tests: for what must come, however slow the machine is.

A test says what is promised, not how fast: what it waits for comes, or the test fails after
PATIENCE. What must not be over too soon is held by something that does not depend on speed: a
caller that does not read (`processes.unread`), a source that waits for an event, SIGSTOP.
"""

import signal
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 120.0  # seconds; whatever takes longer, hangs


def wait_for(condition: Callable[[], object]) -> None:
    """Return as soon as a condition holds; fail after PATIENCE."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def listens(pid: int) -> bool:
    """Tell whether a process has a handler for SIGTERM, which Python itself has none for."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1)


def has_loaded(pid: int, library: str) -> bool:
    """Tell whether a process has loaded a shared library whose path holds this."""
    return library in Path(f"/proc/{pid}/maps").read_text()
