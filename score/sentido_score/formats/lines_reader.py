"""Plain text: one text per line, which ends in LF, CRLF or CR. Empty lines are empty texts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from sentido_score.callbacks import Say, quiet
from sentido_score.files.locations import InputFile
from sentido_score.formats.reader import (
    MOST_RECORD,
    Record,
    line_of,
    lines,
    share_of_bytes,
    text_windows,
)
from sentido_score.formats.survey import refuse_unreadable
from sentido_score.formats.texts import RowError
from sentido_score.formats.window import Position, Rows, Window
from sentido_score.options import Options


@dataclass(frozen=True)
class LineReader:
    """The files of one input; its one column is the text's."""

    files: Sequence[InputFile]
    options: Options
    format: str = "text"

    @classmethod
    def open(cls, files: Sequence[InputFile], options: Options, say: Say = quiet) -> "LineReader":
        """Look at the files' first bytes. Raises ScoreError if one is not text."""
        refuse_unreadable(files, say)
        return cls(files, options)

    @property
    def names(self) -> Sequence[str]:
        """The name that the text's column gets."""
        return [self.options.text_column]

    def windows(self, start: Position) -> Iterator[Window]:
        """Read rows from `start`; see Reader."""
        return text_windows(self.files, self._records, start, self.options)

    def table(self, rows: Rows) -> tuple[pa.Table, dict[int, str]]:
        """Give the lines as a column of strings; bytes that are not UTF-8 are replaced."""
        texts = pa.array([raw.decode(errors="replace") for raw in rows], pa.string())
        return pa.table([texts], names=list(self.names)), {}

    def values(self, rows: Rows, name: str) -> list[object]:
        """Return the lines; see Reader."""
        return list(self.table(rows)[0][name].to_pylist())

    def place_of(self, start: Position, row: int) -> str:
        """Name a row's line; see Reader."""
        return line_of(self._records(self.files[start.file], start), row)

    def share(self, position: Position) -> float | None:
        """Give the part of the input's bytes before a position."""
        return share_of_bytes(self.files, position)

    def _records(self, file: InputFile, start: Position) -> Iterator[Record]:
        line = start.line
        for raw, end in lines(file, start, returns=True):
            line += 1
            text: object
            if len(raw) > MOST_RECORD:
                text = RowError(f"line {line}: is longer than {MOST_RECORD >> 20} MiB")
                raw = b""
            else:
                try:
                    text = raw.decode()
                except UnicodeDecodeError:
                    text = RowError(f"line {line}: not UTF-8")
            yield Record(raw, text, end, line)
