"""CSV and TSV, record by record, every byte kept.

One regular expression matches a whole record, so that a row costs microseconds and its bytes can be
passed on as they are. Quotes are as in RFC 4180: a field that begins with one may hold delimiters,
line ends and doubled quotes. TSV has no quotes: a text may begin with one.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
import pyarrow.csv as pacsv

from sentido_score.callbacks import Say, quiet
from sentido_score.errors import ScoreError
from sentido_score.files.locations import InputFile
from sentido_score.formats.reader import (
    MARK,
    MOST_RECORD,
    Record,
    chunks,
    line_of,
    share_of_bytes,
    text_windows,
)
from sentido_score.formats.survey import beginning, difference, refuse_column, survey
from sentido_score.formats.texts import RowError
from sentido_score.formats.window import Position, Rows, Window
from sentido_score.options import Options

_LINE_END = b"(?:\r\n|\n|\r)"
_NEXT_LINE = re.compile(_LINE_END)
_BLANK = re.compile(b"(?:%s)?[\r\n]*+" % MARK)


@dataclass(frozen=True)
class Dialect:
    """How fields stand in a record."""

    delimiter: bytes
    quotes: bool

    @cached_property
    def field(self) -> bytes:
        """Match one field; possessive, so that a long text is walked once."""
        plain = b"[^%s\r\n]*+" % re.escape(self.delimiter)
        if not self.quotes:
            return plain
        return b'(?:"[^"]*+(?:""[^"]*+)*+"|(?!")%s)' % plain

    @cached_property
    def loose_field(self) -> bytes:
        """Match a field, also one with something behind its closing quote."""
        plain = b"[^%s\r\n]*+" % re.escape(self.delimiter)
        return b'(?:"[^"]*+(?:""[^"]*+)*+"%s|(?!")%s)' % (plain, plain) if self.quotes else plain

    def record(self, columns: int, grouped: Sequence[int]) -> "re.Pattern[bytes]":
        """Match a record of so many fields with its line end; a group for each of some fields."""
        fields = [b"(%s)" % self.field if i in grouped else self.field for i in range(columns)]
        return re.compile(re.escape(self.delimiter).join(fields) + _LINE_END)

    @cached_property
    def any_record(self) -> "re.Pattern[bytes]":
        """Match a record of any number of fields with its line end."""
        delimiter = re.escape(self.delimiter)
        return re.compile(
            b"%s(?:%s%s)*+%s" % (self.loose_field, delimiter, self.loose_field, _LINE_END)
        )

    def split(self, raw: bytes) -> list[bytes]:
        """Cut a record without its line end into fields, quotes and all."""
        fields, position, match = [], 0, re.compile(self.loose_field).match
        while position <= len(raw):
            found = match(raw, position)
            end = found.end() if found else len(raw)
            fields.append(raw[position:end])
            position = end + 1
        return fields

    def value(self, field: bytes) -> bytes:
        """Give what a field holds."""
        if self.quotes and field[:1] == b'"':
            return field[1:-1].replace(b'""', b'"')
        return field


@dataclass(frozen=True)
class CsvReader:
    """The files of one input, each beginning with the same line of names, or empty."""

    files: Sequence[InputFile]
    options: Options
    format: str  # "csv" or "tsv"
    dialect: Dialect
    header: bytes  # the first one, with its byte order mark, without its line end
    newline: bytes
    names: tuple[str, ...]
    first: str  # the file with that header

    @classmethod
    def open(
        cls, files: Sequence[InputFile], options: Options, say: Say = quiet, format: str = "csv"
    ) -> "CsvReader":
        """Look at the files' lines of names. Raises ScoreError if one lacks the text column."""
        tabs = format == "tsv"
        dialect = Dialect(b"\t" if tabs else options.delimiter.encode(), quotes=not tabs)
        reader = None
        for file, header in survey(lambda file: _header(file, dialect), files, say):
            if header is None:  # an empty file
                continue
            names = _names(file, header, dialect)
            if reader is None:
                hint = "" if tabs else ", or the delimiter with --delimiter"
                hint += " (the first line must be one of names)"
                refuse_column(file, names, options.text_column, hint)
                reader = cls(files, options, format, dialect, *_parted(header), names, file.name)
            else:
                reader.check_names(file, names)
        if reader is None:
            raise ScoreError(f"{files[0].name}: no line of column names")
        return reader

    def windows(self, start: Position) -> Iterator[Window]:
        """Read rows from `start`; see Reader."""
        return text_windows(self.files, self._records, start, self.options)

    def table(self, rows: Rows) -> tuple[pa.Table, dict[int, str]]:
        """Give the records as columns of strings; bytes that are not UTF-8 are replaced."""
        assert isinstance(rows, list)
        if (table := self._fast_table(rows)) is not None:
            return table, {}
        split, value = self.dialect.split, self.dialect.value
        match = self.dialect.record(len(self.names), range(len(self.names))).match
        fields = []
        for raw in rows:
            found = match(raw + b"\n")
            fields.append(found.groups() if found else split(raw))
        columns = [
            pa.array([value(field).decode(errors="replace") for field in column], pa.string())
            for column in (zip(*fields, strict=True) if fields else [[] for _ in self.names])
        ]
        return pa.table(columns, names=list(self.names)), {}

    def _fast_table(self, rows: list[bytes]) -> pa.Table | None:
        """Have pyarrow take the records apart; None where it would see others, or stumble."""
        data = b"\n".join([*rows, b""])
        if not rows or len(self.names) == 1 or data.startswith(MARK):
            return None
        places = [str(place) for place in range(len(self.names))]
        try:
            table = pacsv.read_csv(
                pa.py_buffer(data),
                pacsv.ReadOptions(column_names=places, use_threads=False, block_size=len(data)),
                pacsv.ParseOptions(
                    delimiter=self.dialect.delimiter.decode(),
                    quote_char='"' if self.dialect.quotes else False,
                    newlines_in_values=self.dialect.quotes,
                ),
                pacsv.ConvertOptions(
                    column_types=dict.fromkeys(places, pa.string()), strings_can_be_null=False
                ),
            )
        except pa.ArrowInvalid:  # not UTF-8, or a line end that it takes for one
            return None
        return table.rename_columns(list(self.names)) if len(table) == len(rows) else None

    def values(self, rows: Rows, name: str) -> list[object]:
        """Return what the records hold in a column; see Reader."""
        return list(self.table(rows)[0][name].to_pylist())

    def place_of(self, start: Position, row: int) -> str:
        """Name a row's line; see Reader."""
        return line_of(self._records(self.files[start.file], start), row)

    def share(self, position: Position) -> float | None:
        """Give the part of the input's bytes before a position."""
        return share_of_bytes(self.files, position)

    def _records(self, file: InputFile, start: Position) -> Iterator[Record]:
        column = self.names.index(self.options.text_column)
        match = self.dialect.record(len(self.names), [column]).match
        any_match, value = self.dialect.any_record.match, self.dialect.value
        source = chunks(file, start.offset)
        buffer, position, end, line = b"", 0, start.offset, start.line
        is_last, cut = False, 0  # cut: bytes of a line end that the file's last record lacks
        is_torn = False  # a line feed may come behind the buffer's last carriage return
        in_header = start.offset == 0
        if in_header and (buffer := _more(source, 0) or b"").startswith(MARK):
            position = end = len(MARK)
        is_torn = buffer.endswith(b"\r")
        while True:
            found = match(buffer, position)
            if (
                found is None
                or found.end() - position > MOST_RECORD
                or (is_torn and found.end() == len(buffer))
            ):
                found, found_any = None, any_match(buffer, position)
                if is_torn and found_any is not None and found_any.end() == len(buffer):
                    found_any = None
                if found_any is not None and found_any.end() - position > MOST_RECORD:
                    found_any = None  # a quote was closed by one far behind it
                elif found_any is None and not is_last and len(buffer) - position <= MOST_RECORD:
                    more = _more(source, len(buffer) - position)
                    is_last = more is None
                    buffer, position = buffer[position:] + (more or b""), 0
                    is_torn = not is_last and buffer.endswith(b"\r")
                    if is_last and buffer and not buffer.endswith((b"\n", b"\r")):
                        buffer, cut = buffer + b"\n", 1
                    continue
                if position == len(buffer):
                    return
                line_end = found_any or _NEXT_LINE.search(buffer, position)
                stop = line_end.end() if line_end else len(buffer)  # a line of 16 MiB and more
            else:
                stop = found.end()
            raw = buffer[position:stop]
            position = stop
            at, end = line + 1, end + len(raw)
            if cut and position == len(buffer):
                end -= cut
            whole, raw = raw, raw.removesuffix(b"\n").removesuffix(b"\r")
            line += raw.count(b"\n") + (len(raw) != len(whole))
            if b"\r" in raw:
                line += raw.count(b"\r") - raw.count(b"\r\n")
            if in_header:
                if raw:
                    in_header = False
                    self.check_names(file, _names(file, raw, self.dialect))
            elif found is not None:
                if raw or len(self.names) > 1:
                    yield Record(raw, _decoded(raw, value(found[1]), at), end, line)
            elif raw:
                yield Record(*self._repaired(raw, found_any is not None, at), end, line)

    def _repaired(self, raw: bytes, is_closed: bool, line: int) -> tuple[bytes, RowError]:
        """Give a bad record as many fields as there are columns, and what is wrong with it."""
        wanted, delimiter = len(self.names), self.dialect.delimiter
        if not is_closed:
            problem = f"a quote that is not closed, or a record over {MOST_RECORD >> 20} MiB"
            return delimiter * (wanted - 1), RowError(f"line {line}: {problem}")
        fields = self.dialect.split(raw)
        if len(fields) == wanted:
            return raw, RowError(f"line {line}: something stands behind a closing quote")
        problem = f"{len(fields)} fields, the first line has {wanted}"
        if self.dialect.quotes and len(fields) > wanted:
            problem += f"; a text that holds {delimiter.decode()!r} stands in quotes"
        fields = [*fields, *[b""] * wanted][:wanted]
        return delimiter.join(fields), RowError(f"line {line}: {problem}")

    def check_names(self, file: InputFile, names: Sequence[str]) -> None:
        """Raise ScoreError for other names than the first file's; quotes make no difference."""
        if different := difference(names, self.names):
            raise ScoreError(
                f"{file.name}: its first line is not that of {self.first}: {different}: score files"
                " of other columns apart"
            )


def _decoded(raw: bytes, text: bytes, line: int) -> object:
    """Give the text of a record if all of the record is UTF-8."""
    if raw.isascii():
        return text.decode("ascii")
    try:
        raw.decode()
    except UnicodeDecodeError:
        return RowError(f"line {line}: not UTF-8")
    return text.decode()


def _more(source: Iterator[bytes], least: int) -> bytes | None:
    """Read at least so many bytes, so that a long record is walked a few times only."""
    found = bytearray()
    for chunk in source:
        found += chunk
        if len(found) >= least:
            break
    return bytes(found) or None


def _header(file: InputFile, dialect: Dialect) -> bytes | None:
    """Read the first record with its mark and line end; None for a file of blank lines at most."""
    match = dialect.any_record.match

    def found(data: bytes | bytearray) -> "re.Match[bytes] | None":
        blank = _BLANK.match(data)
        return match(data, blank.end() if blank else 0)

    def is_enough(data: bytearray) -> bool:
        record = found(data)
        return record is not None and record.end() < len(data)  # a line end may have two bytes

    data = beginning(file, is_enough)
    if not data.removeprefix(MARK).strip(b"\r\n"):
        return None
    record = found(data) or found(data + b"\n")
    if record is None:
        raise ScoreError(f"{file.name}: no line of column names: a quote in it is not closed")
    return (MARK if data.startswith(MARK) else b"") + record[0]


def _parted(header: bytes) -> tuple[bytes, bytes]:
    """Part a line of names from its line end."""
    bare = header.removesuffix(b"\n").removesuffix(b"\r")
    return bare, header[len(bare) :] or b"\n"


def _names(file: InputFile, header: bytes, dialect: Dialect) -> tuple[str, ...]:
    """Return the names in a line of names. Raises ScoreError for some that are not UTF-8."""
    bare, _ = _parted(header.removeprefix(MARK))
    try:
        return tuple(dialect.value(field).decode() for field in dialect.split(bare))
    except UnicodeDecodeError as error:
        raise ScoreError(
            f"{file.name}: the column names are not UTF-8: convert the file first, as with iconv"
        ) from error
