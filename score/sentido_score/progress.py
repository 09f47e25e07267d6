"""How far a run is, on a terminal."""

import time
from typing import TextIO

from sentido_score.output.results import RunStats

_EVERY = 0.5  # seconds


class Progress:
    """Rewrites one line of a terminal, and writes nothing elsewhere. Used for one run."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream if stream is not None and stream.isatty() else None
        self._began = time.monotonic()
        self._first: tuple[int, float | None] | None = None  # rows and share, at the beginning
        self._shown = 0.0

    def __call__(self, counts: RunStats, share: float | None) -> None:
        """Show what was met so far."""
        now = time.monotonic()
        if self._first is None:
            self._first = (counts.rows, share)
        if self._stream is None or now - self._shown < _EVERY:
            return
        self._shown = now
        self._write(f"\r{self._line(counts, share, now - self._began)}\x1b[K")

    def end(self) -> None:
        """Leave the line empty."""
        if self._stream is not None and self._shown:
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        """Write to the terminal, unless it has gone: the run goes on without it."""
        try:
            assert self._stream is not None
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            self._stream = None

    def _line(self, counts: RunStats, share: float | None, elapsed: float) -> str:
        rows, begin = self._first or (0, None)
        pace = (counts.rows - rows) / elapsed if elapsed > 0 else 0.0
        line = f"{counts.rows:,} rows  {pace:,.0f} texts/s"
        if counts.errors:
            line += f"  {counts.errors:,} errors"
        if share is None or begin is None:
            return line
        line = f"{share:4.0%}  {line}"
        if share > begin:
            line += f"  {duration(elapsed * (1 - share) / (share - begin))} left"
        return line


def duration(seconds: float) -> str:
    """Give a time in words: 42 s, 3 min 5 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
