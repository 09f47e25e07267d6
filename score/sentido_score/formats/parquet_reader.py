"""Parquet, row group by row group; a resumed run skips those that it has read."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types

from sentido_score.callbacks import Say, quiet
from sentido_score.errors import ScoreError
from sentido_score.files.locations import InputFile, readable
from sentido_score.files.unchanged import unchanged
from sentido_score.formats.cells import json_values, texts
from sentido_score.formats.file_metadata import codec_of_texts
from sentido_score.formats.survey import difference, refuse_column, survey
from sentido_score.formats.texts import check
from sentido_score.formats.window import FIRST_ROWS, WINDOW_ROWS, Position, Rows, Window
from sentido_score.options import Options

_BUFFER = 1 << 20  # bytes of a column that are read at once: a row group may be large
_STEP_ROWS = 256  # that are read at once, before anybody knows how large they are


@dataclass(frozen=True)
class ParquetReader:
    """The files of one input, all of one schema."""

    files: Sequence[InputFile]
    options: Options
    schema: pa.Schema
    rows: tuple[int | None, ...]  # of each file; None: its footer was not looked at
    codec: str  # of the first file's texts
    format: str = "parquet"

    @classmethod
    def open(
        cls, files: Sequence[InputFile], options: Options, say: Say = quiet
    ) -> "ParquetReader":
        """Look at the footers. Raises ScoreError for other columns or no text column."""
        reader, rows = None, {}
        for file, (schema, count) in survey(_footer, files, say):
            rows[file.name] = count
            if reader is None:
                _refuse_texts(file, schema, options)
                reader = cls(files, options, schema, (), _codec(file, options))
            reader.check_schema(file, schema)
        assert reader is not None
        return replace(reader, rows=tuple(rows.get(file.name) for file in files))

    def check_schema(self, file: InputFile, schema: pa.Schema) -> None:
        """Raise ScoreError for other columns than the first file's."""
        if different := _difference(schema, self.schema):
            raise ScoreError(
                f"{file.name}: its columns are not those of {self.files[0].name}: {different}:"
                " score them apart"
            )

    @property
    def names(self) -> Sequence[str]:
        """The columns of the schema."""
        return list(self.schema.names)

    def windows(self, start: Position) -> Iterator[Window]:
        """Read rows from `start`; see Reader."""
        for number in range(start.file, len(self.files)):
            offset = start.offset if number == start.file else 0
            yield from self._windows(number, offset)

    def _windows(self, number: int, skip: int) -> Iterator[Window]:
        file, at = self.files[number], 0  # at: rows of the file before the next group
        with unchanged(file), _opened(file) as parquet:
            self.check_schema(file, parquet.schema_arrow)
            for group in range(parquet.num_row_groups):
                begin, at = at, at + parquet.metadata.row_group(group).num_rows
                if at > skip:
                    yield from self._group(number, parquet, group, begin, skip)
            _check_rows(file, "the file", at, parquet.metadata.num_rows)

    def _group(
        self, number: int, parquet: pq.ParquetFile, group: int, begin: int, skip: int
    ) -> Iterator[Window]:
        """Read a row group, `begin` rows behind the file's beginning, without the rows to skip."""
        file, at = self.files[number], begin
        for table in self._tables(file, parquet, group, is_first=begin == 0):
            done, at = max(0, skip - at), at + len(table)
            if at > skip:
                yield self._window(table.slice(done), Position(number, at))
        rows = parquet.metadata.row_group(group).num_rows
        _check_rows(file, f"row group {group}", at - begin, rows)

    def _tables(
        self, file: InputFile, parquet: pq.ParquetFile, group: int, *, is_first: bool
    ) -> Iterator[pa.Table]:
        """Read a row group's rows, as many at a time as a window may have."""
        size = min(WINDOW_ROWS, self.options.part_rows)
        most = min(FIRST_ROWS, size) if is_first else size
        batches = parquet.iter_batches(
            self._step(parquet, group),
            row_groups=[group],
            columns=self._read_columns,
            use_threads=False,
        )
        held: list[pa.RecordBatch] = []
        rows = weight = 0
        while (batch := _next(file, batches)) is not None:
            while batch.num_rows:
                piece, batch = batch.slice(0, most - rows), batch.slice(most - rows)
                held.append(piece)
                rows, weight = rows + piece.num_rows, weight + self._weight(piece)
                if rows == most or weight >= self.options.window_bytes:
                    yield pa.Table.from_batches(held)
                    held, rows, weight, most = [], 0, 0, size
        if held:
            yield pa.Table.from_batches(held)

    def _step(self, parquet: pq.ParquetFile, group: int) -> int:
        """Return how many rows to read at once: few, if they are large by what the footer says."""
        found = parquet.metadata.row_group(group)
        row_bytes = found.total_byte_size // max(1, found.num_rows) + 1
        fitting: int = self.options.window_bytes // 4 // row_bytes
        return max(1, min(_STEP_ROWS, fitting))

    @property
    def _read_columns(self) -> list[str] | None:
        """The columns that are passed on, and the texts; None: all."""
        chosen = self.options.columns
        if chosen is None:
            return None
        return [name for name in self.names if name in (*chosen, self.options.text_column)]

    def _weight(self, batch: pa.RecordBatch) -> int:
        """Return the bytes of some rows, those of texts twice: they become Python's, too."""
        texts = batch.column(self.options.text_column)
        return sum(map(_bytes_of, batch.columns)) + _bytes_of(texts)

    def _window(self, table: pa.Table, end: Position) -> Window:
        table = table.replace_schema_metadata(None)
        column = table[self.options.text_column]
        return Window(table, check(text_values(column), self.options.max_text_characters), end)

    def table(self, rows: Rows) -> tuple[pa.Table, dict[int, str]]:
        """Give the rows as they are."""
        assert isinstance(rows, pa.Table)
        return rows, {}

    def values(self, rows: Rows, name: str) -> list[object]:
        """Return what the rows hold in a column; see Reader."""
        assert isinstance(rows, pa.Table)
        return python_values(rows[name])

    def place_of(self, start: Position, row: int) -> str:
        """Name a row by its number; see Reader."""
        return f"row {start.offset + row + 1}"

    def share(self, position: Position) -> float | None:
        """Give the part of the input's rows before a position."""
        if None in self.rows:
            return position.file / len(self.files)
        rows = [count or 0 for count in self.rows]
        total = sum(rows)
        return (sum(rows[: position.file]) + position.offset) / total if total else None


def _opened(file: InputFile) -> pq.ParquetFile:
    place = file.place
    assert place is not None
    with readable(place):
        return pq.ParquetFile(
            place.system.open_input_file(place.path),
            pre_buffer=False,
            buffer_size=_BUFFER,
            coerce_int96_timestamp_unit="us",  # in ns the year 9999 becomes 1816
        )


def _footer(file: InputFile) -> tuple[pa.Schema, int]:
    """Read what a file's footer says of its columns and rows."""
    if file.place is None:
        raise ScoreError("Parquet cannot be read from standard input: name a file")
    with _opened(file) as parquet:
        return parquet.schema_arrow, parquet.metadata.num_rows


def _codec(file: InputFile, options: Options) -> str:
    """Read how a file's texts are compressed. Raises ScoreError if they are encrypted."""
    assert file.place is not None
    with _opened(file) as parquet, readable(file.place):
        return codec_of_texts(parquet, options.text_column)


def _refuse_texts(file: InputFile, schema: pa.Schema, options: Options) -> None:
    """Raise ScoreError unless a column holds texts."""
    refuse_column(file, schema.names, options.text_column)
    kind = schema.field(options.text_column).type
    values = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not any(
        test(values)
        for test in (
            pa.types.is_string,
            pa.types.is_large_string,
            pa.types.is_string_view,
            pa.types.is_binary,
            pa.types.is_large_binary,
            pa.types.is_null,
        )
    ):
        raise ScoreError(
            f"{file.name}: the column {options.text_column!r} is of type {kind}, a string is needed"
        )


def _difference(schema: pa.Schema, wanted: pa.Schema) -> str:
    """Say in what columns differ; "" if in nothing."""
    if schema.equals(wanted):
        return ""
    if different := difference(schema.names, wanted.names):
        return different
    for field, other in zip(schema, wanted, strict=True):
        if field.type != other.type:
            return f"its column {field.name!r} is of type {field.type} and not {other.type}"
        if field.nullable != other.nullable:
            return f"its column {field.name!r} is {'' if field.nullable else 'not '}nullable"
    return "its columns are of other types"


def _next(file: InputFile, batches: Iterator[pa.RecordBatch]) -> pa.RecordBatch | None:
    assert file.place is not None
    with readable(file.place):
        return next(batches, None)


def _check_rows(file: InputFile, what: str, came: int, rows: int) -> None:
    """Raise ScoreError if other rows came than the footer says."""
    if came != rows:
        raise ScoreError(
            f"{file.name}: {what} holds {came} rows, its footer says {rows}: the file is damaged"
        )


def _bytes_of(array: pa.Array) -> int:
    """Return the bytes of some values, each counted as often as it stands there."""
    is_dictionary = pa.types.is_dictionary(array.type)
    return int((array.dictionary_decode() if is_dictionary else array).nbytes)


def python_values(column: pa.ChunkedArray) -> list[object]:
    """Return a column's values: numbers as numbers, bytes decoded, others as in JSON or CSV."""
    kind = column.type.value_type if types.is_dictionary(column.type) else column.type
    if types.is_nested(kind):
        return [json.loads(text) for text in json_values(column)]
    if types.is_floating(kind):
        return [None if text is None else float(text) for text in texts(column)]
    if types.is_integer(kind) or types.is_boolean(kind):
        return list(column.to_pylist())
    is_text = types.is_string(kind) or types.is_large_string(kind)
    if is_text or types.is_binary(kind) or types.is_large_binary(kind):
        return text_values(column)
    return list(texts(column))


def text_values(column: pa.Array | pa.ChunkedArray) -> list[object]:
    """Give a column's values; what is not UTF-8 as bytes."""
    try:
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if not pa.types.is_binary(column.type) and not pa.types.is_large_binary(column.type):
            return list(column.to_pylist())
    except UnicodeDecodeError:
        pass
    return [_decoded(value) for value in column.cast(pa.large_binary()).to_pylist()]


def _decoded(value: bytes | None) -> object:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return value
