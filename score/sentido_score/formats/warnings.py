"""Says what a reader warns of, the first few times."""

from sentido_score.callbacks import Say
from sentido_score.formats.reader import Reader
from sentido_score.formats.window import Window

_MOST = 5


class Warnings:
    """Counts the warnings of one run."""

    def __init__(self, reader: Reader, say: Say) -> None:
        self._reader = reader
        self._say = say
        self._said = 0

    def tell(self, window: Window) -> None:
        """Say what a window's rows gave reason to."""
        name = self._reader.files[window.end.file].name
        for warning in window.warnings:
            self._said += 1
            if self._said <= _MOST:
                self._say(f"{name}: {warning}")
            if self._said == _MOST:
                self._say(f"{name}: more such warnings are left out")
