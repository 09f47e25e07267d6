"""CSV and TSV out: the input's bytes where it is CSV too, then the results."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from sentido_score.formats.cells import encoded, not_utf8, texts
from sentido_score.formats.columns import Columns
from sentido_score.formats.csv_reader import CsvReader
from sentido_score.formats.reader import Reader
from sentido_score.formats.window import Rows


@dataclass(frozen=True)
class CsvWriter:
    """Turns rows and results into records. Holds no file."""

    reader: Reader
    columns: Columns
    delimiter: str
    quotes: bool

    @property
    def header(self) -> bytes:
        """Give the line of names."""
        names = self._names([field.name for field in self.columns.results])
        if self._source is not None and self.columns.are_all_inputs:
            given = [self._source.header]
        else:
            given = self._names(self.columns.inputs)
        return self._delimiter.join([*given, *names]) + self._newline

    def prepare(self, rows: Rows) -> tuple[Sequence[bytes], dict[int, str]]:
        """Give the input's part of each record; nothing that CSV could not hold."""
        source = self._source
        if source is not None and self.columns.are_all_inputs:
            assert isinstance(rows, list)
            return rows, {}
        if source is not None:
            places = [source.names.index(name) for name in self.columns.inputs]
            fields = [source.dialect.split(raw) for raw in rows]
            return [self._delimiter.join(each[place] for place in places) for each in fields], {}
        table, errors = self.reader.table(rows)
        if not self.columns.inputs:
            return [b""] * len(table), errors
        columns = []
        for name in self.columns.inputs:
            cells, bad = encoded(self._cells(texts(table[name])))
            columns.append(cells)
            errors |= {row: not_utf8(name) for row in bad if row not in errors}
        return [self._delimiter.join(each) for each in zip(*columns, strict=True)], errors

    def encode(self, given: Sequence[bytes], results: dict[str, pa.Array]) -> bytes:
        """Give the records of some rows."""
        cells = [encoded(self._cells(texts(results[key])))[0] for key in self.columns.keys]
        if self.columns.inputs:
            cells = [list(given), *cells]
        lines = [self._delimiter.join(each) for each in zip(*cells, strict=True)]
        return self._newline.join([*lines, b""])

    @property
    def _source(self) -> CsvReader | None:
        """The reader, if its records can be passed on."""
        reader = self.reader
        if isinstance(reader, CsvReader):
            dialect = reader.dialect
            if (dialect.delimiter, dialect.quotes) == (self._delimiter, self.quotes):
                return reader
        return None

    @property
    def _delimiter(self) -> bytes:
        return self.delimiter.encode()

    @property
    def _newline(self) -> bytes:
        return self._source.newline if self._source is not None else b"\n"

    @cached_property
    def _special(self) -> "re.Pattern[str]":
        return re.compile(f'[{re.escape(self.delimiter)}"\r\n]|^$')

    def _names(self, names: Sequence[str]) -> list[bytes]:
        return encoded(self._cells(names))[0]

    def _cells(self, values: Sequence[str | None]) -> list[str]:
        if not self.quotes:
            return [re.sub(r"[\t\r\n]", " ", value or "") for value in values]
        search = self._special.search
        return [
            ""
            if value is None
            else f'"{value.replace(chr(34), chr(34) * 2)}"'
            if search(value)
            else value
            for value in values
        ]
