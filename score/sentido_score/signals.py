"""SIGINT and SIGTERM end a command with 130 and 143, whenever they come.

Before a run and after it there is nothing to put in order: the process ends at once. During a run
the first signal raises KeyboardInterrupt, so that files are let go of. Whatever then hangs or takes
long (a stream that nobody reads, a server, a library) is waited for a few seconds; a second signal
waits for nothing. What a run has finished is safe from any end.
"""

import os
import signal
import sys
from contextlib import suppress
from threading import Timer
from types import FrameType
from typing import NoReturn

_WAITED = 3.0  # seconds after a signal
_SOON = 0.01  # seconds, in which a finalizer ends
_WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


def leave_at_once(command: str = "sentido-score") -> None:
    """End the process at the next signal: no run goes on."""

    def leave(number: int, _frame: FrameType | None) -> None:
        with suppress(OSError):
            os.write(2, f"{command}: {_WORDS[signal.Signals(number)]}\n".encode())
        os._exit(128 + number)

    _listen(leave)


class Interrupt:
    """What a run is ended by. Listens from when it is made until the process ends."""

    def __init__(self) -> None:
        self._number = signal.SIGINT  # libraries raise KeyboardInterrupt themselves, too
        self._has_come = False
        self._is_swallowed = False
        sys.unraisablehook = self._swallowed
        _listen(self._raise)

    @property
    def word(self) -> str:
        """What happened to the run."""
        return _WORDS[self._number]

    def leave(self) -> NoReturn:
        """End the process, whatever waits for a pipe that nobody writes to."""
        os._exit(128 + self._number)

    def _raise(self, number: int, _frame: FrameType | None) -> None:
        if self._is_swallowed:  # it comes once more
            self._is_swallowed = False
            raise KeyboardInterrupt
        if self._has_come:
            os._exit(128 + number)
        self._has_come, self._number = True, signal.Signals(number)
        timer = Timer(_WAITED, self.leave)
        timer.daemon = True
        timer.start()
        raise KeyboardInterrupt

    def _swallowed(self, found: "sys.UnraisableHookArgs") -> None:
        """Raise again what came in a finalizer or a library's callback, where it ends nothing."""
        if found.exc_type is not KeyboardInterrupt:
            sys.__unraisablehook__(found)
            return
        self._is_swallowed = True
        timer = Timer(_SOON, os.kill, (os.getpid(), self._number))
        timer.daemon = True
        timer.start()


def _listen(handler: "signal._HANDLER") -> None:
    for number in _WORDS:
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup and shells ask for
            signal.signal(number, handler)
