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

from sentido_score.errors import ScoreError
from sentido_score.options import Options
from sentido_score.places import InputFile
from sentido_score.readers import (
    MARK,
    MOST_RECORD,
    Record,
    beginning,
    chunks,
    share_of_bytes,
    text_windows,
)
from sentido_score.texts import Fault
from sentido_score.window import Position, Rows, Window


@dataclass(frozen=True)
class Dialect:
    """How fields stand in a record."""

    delimiter: bytes
    quotes: bool

    @cached_property
    def field(self) -> bytes:
        """Match one field; possessive, so that a long text is walked once."""
        plain = b"[^%s\n]*+" % re.escape(self.delimiter)
        if not self.quotes:
            return plain
        return b'(?:"[^"]*+(?:""[^"]*+)*+"|(?!")%s)' % plain

    @cached_property
    def loose_field(self) -> bytes:
        """Match a field, also one with something behind its closing quote."""
        plain = b"[^%s\n]*+" % re.escape(self.delimiter)
        return b'(?:"[^"]*+(?:""[^"]*+)*+"%s|(?!")%s)' % (plain, plain) if self.quotes else plain

    def record(self, columns: int, grouped: Sequence[int]) -> "re.Pattern[bytes]":
        """Match a record of so many fields with its line end; a group for each of some fields."""
        fields = [b"(%s)" % self.field if i in grouped else self.field for i in range(columns)]
        return re.compile(re.escape(self.delimiter).join(fields) + b"(?:\r?\n)")

    @cached_property
    def any_record(self) -> "re.Pattern[bytes]":
        """Match a record of any number of fields with its line end."""
        delimiter = re.escape(self.delimiter)
        return re.compile(
            b"%s(?:%s%s)*+(?:\r?\n)" % ((self.loose_field, delimiter, self.loose_field))
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
    """The files of one input, each beginning with the same line of names."""

    files: Sequence[InputFile]
    options: Options
    format: str  # "csv" or "tsv"
    dialect: Dialect
    header: bytes  # the first file's, with its byte order mark, without its line end
    newline: bytes
    names: tuple[str, ...]

    @classmethod
    def open(cls, files: Sequence[InputFile], options: Options, format: str) -> "CsvReader":
        """Read the line of names. Raises ScoreError if it lacks the text column."""
        tabs = format == "tsv"
        dialect = Dialect(b"\t" if tabs else options.delimiter.encode(), quotes=not tabs)
        header, newline, names = _header(files[0], dialect)
        if names.count(options.text_column) != 1:
            raise ScoreError(
                f"{files[0].name}: {names.count(options.text_column) or 'no'} column"
                f" {options.text_column!r} among {', '.join(names)[:500]}: one is needed; name it"
                " with --text-column, or the delimiter with --delimiter"
            )
        return cls(files, options, format, dialect, header, newline, names)

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

    def share(self, position: Position) -> float | None:
        """Give the part of the input's bytes before a position."""
        return share_of_bytes(self.files, position)

    def _records(self, file: InputFile, start: Position) -> Iterator[Record]:
        column, last = self.names.index(self.options.text_column), len(self.names) - 1
        match = self.dialect.record(len(self.names), [column]).match
        any_match, value = self.dialect.any_record.match, self.dialect.value
        source = chunks(file, start.offset)
        buffer, position, end, line = b"", 0, start.offset, start.line
        is_last, cut = False, 0  # cut: bytes of a line end that the file's last record lacks
        in_header = start.offset == 0
        if in_header and (buffer := _more(source, 0) or b"").startswith(MARK):
            position = end = len(MARK)
        while True:
            found = match(buffer, position)
            if found is None or found.end() - position > MOST_RECORD:
                found, found_any = None, any_match(buffer, position)
                if found_any is not None and found_any.end() - position > MOST_RECORD:
                    found_any = None  # a quote was closed by one far behind it
                elif found_any is None and not is_last and len(buffer) - position <= MOST_RECORD:
                    more = _more(source, len(buffer) - position)
                    is_last = more is None
                    buffer, position = buffer[position:] + (more or b""), 0
                    if is_last and buffer and not buffer.endswith(b"\n"):
                        buffer, cut = buffer + b"\n", 1
                    continue
                if position == len(buffer):
                    return
                stop = found_any.end() if found_any else buffer.find(b"\n", position) + 1
                if not stop:  # a line that is longer than a record may be
                    stop = len(buffer)
            else:
                stop = found.end()
            raw = buffer[position:stop]
            position = stop
            at, newlines = line + 1, raw.count(b"\n")
            end, line = end + len(raw), line + newlines
            if cut and position == len(buffer):
                end -= cut
            raw = raw.removesuffix(b"\n").removesuffix(b"\r")
            if in_header:
                in_header = False
                self._check_header(file, raw)
            elif found is not None:
                if raw or len(self.names) > 1:
                    field = found[1]
                    if column == last and not field.startswith(b'"'):
                        field = field.removesuffix(b"\r")  # of the line end
                    yield Record(raw, _decoded(raw, value(field), at), end, line)
            elif raw:
                yield Record(*self._repaired(raw, found_any is not None, at), end, line)

    def _repaired(self, raw: bytes, is_closed: bool, line: int) -> tuple[bytes, Fault]:
        """Give a bad record as many fields as there are columns, and what is wrong with it."""
        wanted, delimiter = len(self.names), self.dialect.delimiter
        if not is_closed:
            problem = f"a quote that is not closed, or a record over {MOST_RECORD >> 20} MiB"
            return delimiter * (wanted - 1), Fault(f"line {line}: {problem}")
        fields = self.dialect.split(raw)
        if len(fields) == wanted:
            return raw, Fault(f"line {line}: something stands behind a closing quote")
        problem = f"{len(fields)} fields, the first line has {wanted}"
        fields = [*fields, *[b""] * wanted][:wanted]
        return delimiter.join(fields), Fault(f"line {line}: {problem}")

    def _check_header(self, file: InputFile, raw: bytes) -> None:
        if raw.removeprefix(MARK) != self.header.removeprefix(MARK):
            raise ScoreError(
                f"{file.name}: its first line is not that of {self.files[0].name}: score files of"
                " other columns apart"
            )


def _decoded(raw: bytes, text: bytes, line: int) -> object:
    """Give the text of a record if all of the record is UTF-8."""
    if raw.isascii():
        return text.decode("ascii")
    try:
        raw.decode()
    except UnicodeDecodeError:
        return Fault(f"line {line}: not UTF-8")
    return text.decode()


def _more(source: Iterator[bytes], least: int) -> bytes | None:
    """Read at least so many bytes, so that a long record is walked a few times only."""
    found = bytearray()
    for chunk in source:
        found += chunk
        if len(found) >= least:
            break
    return bytes(found) or None


def _header(file: InputFile, dialect: Dialect) -> tuple[bytes, bytes, tuple[str, ...]]:
    """Read the first record: its bytes, its line end and the names in it."""
    match = dialect.any_record.match

    def is_enough(data: bytes) -> bool:
        return len(data) > MOST_RECORD or match(data.removeprefix(MARK)) is not None

    buffer = beginning(file, is_enough)
    bare = buffer.removeprefix(MARK)
    found = match(bare) or match(bare + b"\n")
    raw = found[0] if found else b""
    header = raw.removesuffix(b"\n").removesuffix(b"\r")
    if not header:
        raise ScoreError(f"{file.name}: no line of column names")
    try:
        names = tuple(dialect.value(field).decode() for field in dialect.split(header))
    except UnicodeDecodeError as error:
        raise ScoreError(
            f"{file.name}: the column names are not UTF-8: convert the file first, as with iconv"
        ) from error
    newline = b"\r\n" if raw.endswith(b"\r\n") else b"\n"
    return buffer[: len(buffer) - len(bare)] + header, newline, names
