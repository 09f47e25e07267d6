"""The entry of `sentido-score`: what has to be in order before seconds of imports begin."""

import os
import sys
from typing import NoReturn

from sentido_score import signals


def main() -> NoReturn:
    """Run the command, and end the process with its exit code."""
    signals.leave_at_once()
    _hold_standard_streams()
    # Arrow's own allocator keeps up to a third more than is used; read when pyarrow is imported.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    try:
        from sentido_score.main import main as run

        code = run()
    finally:
        _flush()
    os._exit(code)  # a thread may wait for a pipe that nobody writes to


def _hold_standard_streams() -> None:
    """Put /dev/null in the place of closed ones, so that no file of the run takes their numbers."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # takes the lowest free one
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115


def _flush() -> None:
    """Write out what standard output holds; whoever has closed it is told nothing more."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
