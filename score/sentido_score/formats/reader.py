"""From files to windows of rows. A reader knows a format and the input's columns.

Readers hold no open file and can be pickled. `windows` gives the same windows whenever it is asked
to begin at the end of one of them.
"""

import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, NamedTuple, Protocol

import pyarrow as pa
from sentido_bundle.encodings import ENCODING_BYTES, why_not_text

from sentido_score.errors import ScoreError
from sentido_score.files.locations import InputFile, format_of, open_bytes, readable
from sentido_score.files.unchanged import unchanged
from sentido_score.formats.texts import RowError, check
from sentido_score.formats.window import FIRST_ROWS, WINDOW_ROWS, Position, Rows, Window
from sentido_score.options import Options

CHUNK = 1 << 20
"""Bytes of a text format that are read at once."""

MARK = b"\xef\xbb\xbf"
"""The byte order mark, which may stand at the beginning of a file."""

MOST_RECORD = 16 << 20
"""Bytes that a record of a text format may have."""


LONG_RECORD = 1000
"""Lines of a record that a person should look at."""


class Record(NamedTuple):
    """A row of a text format."""

    raw: bytes  # as it is passed on, without its line end
    text: object  # a str, or what stands in its place
    end: int  # bytes of the file up to its end
    line: int  # lines of the file up to its end


class Reader(Protocol):
    """What every format can do."""

    @property
    def format(self) -> str:
        """Its name, one of `format_names.FORMATS`."""

    @property
    def files(self) -> Sequence[InputFile]:
        """What it reads, in order."""

    @property
    def names(self) -> Sequence[str]:
        """The input's columns."""

    def windows(self, start: Position) -> Iterator[Window]:
        """Read rows from `start` to the end of the input. Raises ScoreError."""

    def table(self, rows: Rows) -> tuple[pa.Table, dict[int, str]]:
        """Give the rows as columns, and what does not fit into them, by row."""

    def values(self, rows: Rows, name: str) -> list[object]:
        """Return what the rows hold in a column: str, int, float, bool, None, or bytes and others.

        A row with an error has anything.
        """

    def place_of(self, start: Position, row: int) -> str:
        """Return where a row stands in its file, such as "line 17"; `row`: rows behind `start`."""

    def share(self, position: Position) -> float | None:
        """Give the part of the input that is before a position, None where nobody knows."""


def text_windows(
    files: Sequence[InputFile],
    records: Callable[[InputFile, Position], Iterator[Record]],
    start: Position,
    options: Options,
) -> Iterator[Window]:
    """Cut each file's records into windows; none holds rows of two files."""
    size = min(WINDOW_ROWS, options.part_rows)
    for number in range(start.file, len(files)):
        begin = start if number == start.file else Position(number)
        left = records(files[number], begin)
        count = min(FIRST_ROWS, size) if begin.offset == 0 else size
        line = begin.line
        while found := _taken(left, count, options.window_bytes):
            count = size
            texts = check((record.text for record in found), options.max_text_characters)
            rows = [record.raw for record in found]
            end = Position(number, found[-1].end, found[-1].line)
            is_long = end.line - line >= len(found) + LONG_RECORD
            yield Window(rows, texts, end, tuple(_long_records(found, line)) if is_long else ())
            line = end.line


def line_of(records: Iterator[Record], row: int) -> str:
    """Name the line on which one of some records ends."""
    return f"line {next(islice(records, row, None)).line}"


def _taken(records: Iterator[Record], most: int, size: int) -> list[Record]:
    """Take records, until they are as many or as large as a window may be."""
    found: list[Record] = []
    for record in records:
        found.append(record)
        size -= len(record.raw) + sys.getsizeof(record.text)
        if size <= 0 or len(found) == most:
            break
    return found


def _long_records(records: Sequence[Record], line: int) -> Iterator[str]:
    """Name the records of very many lines; `line`: lines before the first of them."""
    for record in records:
        is_good = not isinstance(record.text, RowError)  # and whole, but for blank lines before it
        lines = len(record.raw.splitlines()) if is_good else record.line - line
        if lines >= LONG_RECORD:
            yield (
                f"lines {record.line - lines + 1} to {record.line} are one record: if they should"
                " be several, a quote is missing or too many in the first or the last of them"
            )
        line = record.line


def chunks(file: InputFile, offset: int = 0) -> Generator[bytes, None, None]:
    """Read a file of a text format from an offset; the first chunk holds a whole MARK.

    Raises ScoreError for what is not UTF-8 text by its first bytes.
    """
    with unchanged(file), _opened(file, offset) as stream:
        chunk = _read(file, stream)
        while chunk and len(chunk) < _looked_at(chunk) and (more := _read(file, stream)):
            chunk += more
        if offset == 0:
            refuse_binary(file, chunk)
        while chunk:
            yield chunk
            chunk = _read(file, stream)


def refuse_binary(file: InputFile, beginning: bytes) -> None:
    """Raise ScoreError for UTF-16, UTF-32, Parquet, and what is compressed."""
    if (problem := why_not_text(beginning)) is not None:
        raise ScoreError(f"{file.name}: {problem}")


def _looked_at(chunk: bytes) -> int:
    """Return how many bytes tell the encoding of a text; who types waits for no more."""
    return ENCODING_BYTES if chunk[0] >= 0xFE or b"\0" in chunk else len(MARK)


@contextmanager
def _opened(file: InputFile, offset: int) -> Iterator[Any]:
    stream = open_bytes(file, offset)
    try:
        yield stream
    finally:
        if file.place is not None:
            stream.close()


def _read(file: InputFile, stream: Any) -> bytes:
    if file.place is None:
        return bytes(stream.read(CHUNK))
    with readable(file.place):
        return bytes(stream.read(CHUNK))


def lines(
    file: InputFile, start: Position, *, returns: bool = False
) -> Iterator[tuple[bytes, int]]:
    """Give each line without its end, and the bytes of the file up to behind it.

    `returns`: whether a carriage return alone ends a line, too. A longer line than a record may be
    is given in its first bytes only, as many as show that.
    """
    cut = _at_all_ends if returns else _at_line_feeds
    end, rest = start.offset, b""
    may_have_mark = start.offset == 0
    skipped = 0  # bytes of an endless line that are no longer in `rest`
    for chunk in chunks(file, start.offset):
        if may_have_mark and chunk.startswith(MARK):
            end, chunk = len(MARK), chunk[len(MARK) :]
        may_have_mark = False
        whole, rest = cut(rest + chunk)
        for line, size in whole:
            end += size + skipped
            skipped = 0
            yield line, end
        if len(rest) > 2 * MOST_RECORD:
            skipped += len(rest) - MOST_RECORD - 1
            rest = rest[: MOST_RECORD + 1]
    if rest:
        yield rest.removesuffix(b"\r") if returns else rest, end + len(rest) + skipped


def _at_line_feeds(data: bytes) -> tuple[Iterator[tuple[bytes, int]], bytes]:
    """Cut into lines, each with its bytes in the file, and what has no end yet."""
    *whole, rest = data.split(b"\n")
    return ((line.removesuffix(b"\r"), len(line) + 1) for line in whole), rest


def _at_all_ends(data: bytes) -> tuple[Iterator[tuple[bytes, int]], bytes]:
    """Cut as `_at_line_feeds`, at carriage returns too; a line feed may follow the last one."""
    whole = data.splitlines(keepends=True)
    rest = whole.pop() if whole and not data.endswith(b"\n") else b""
    return ((line.rstrip(b"\r\n"), len(line)) for line in whole), rest


def share_of_bytes(files: Sequence[InputFile], position: Position) -> float | None:
    """Give the part of uncompressed files that is before a position."""
    sizes = [file.size for file in files]
    total = sum(size or 0 for size in sizes)
    if None in sizes or not total or any(_is_compressed(file) for file in files):
        return None
    return min(1.0, (sum(size or 0 for size in sizes[: position.file]) + position.offset) / total)


def _is_compressed(file: InputFile) -> bool:
    return file.place is not None and format_of(file.place.path)[1] is not None
