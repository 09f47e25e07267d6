"""Part files: written window by window, finished, and in the end put together."""

import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from sentido_score.files.atomic import move, publish, remove, scratch, writing
from sentido_score.formats.columns import Columns
from sentido_score.formats.csv_writer import CsvWriter
from sentido_score.formats.file_metadata import codec_of
from sentido_score.formats.json_lines_writer import JsonWriter
from sentido_score.formats.parquet_writer import TableMaker, parquet_writer
from sentido_score.formats.reader import Reader
from sentido_score.formats.window import Rows
from sentido_score.options import Options
from sentido_score.output.target import Target

_GROUP_ROWS = 8192  # of a Parquet file: what is held in memory to be written at once, or less
_BLOCK = 8 << 20

Results = dict[str, pa.Array]


class Part(Protocol):
    """An open part file. What `prepare` gives goes back into `write`."""

    def prepare(self, rows: Rows) -> tuple[Any, dict[int, str]]:
        """Make the input's part of the output, and say by row what does not fit into it."""

    def write(self, given: Any, results: Results) -> None:
        """Write some rows."""

    def close(self) -> None:
        """Write the rest and the end of the file."""

    def abandon(self) -> None:
        """Let go of a file that nobody wants."""


class TextPart:
    """A part in a format of records."""

    def __init__(
        self, sink: Any, writer: CsvWriter | JsonWriter, compression: str | None, is_first: bool
    ) -> None:
        self._sink = sink if compression is None else pa.CompressedOutputStream(sink, compression)
        self._file = sink
        self._writer = writer
        self._header = writer.header if is_first else b""

    def prepare(self, rows: Rows) -> tuple[Any, dict[int, str]]:
        """See Part."""
        return self._writer.prepare(rows)

    def write(self, given: Any, results: Results) -> None:
        """See Part."""
        self._sink.write(self._header + self._writer.encode(given, results))
        self._header = b""

    def close(self) -> None:
        """See Part."""
        if self._header:
            self._sink.write(self._header)
        self._sink.close()
        self._file.close()

    def abandon(self) -> None:
        """See Part."""
        for file in (self._sink, self._file):
            _close_anyhow(file.close)


class ParquetPart:
    """A part in Parquet."""

    def __init__(self, sink: Any, maker: TableMaker, options: Options) -> None:
        self._sink = sink
        self._maker = maker
        self._schema = maker.schema
        self._writer = parquet_writer(sink, self._schema, options.text_column, maker.codec)
        self._tables: list[pa.Table] = []
        self._most_bytes = 2 * options.window_bytes

    def prepare(self, rows: Rows) -> tuple[Any, dict[int, str]]:
        """See Part."""
        return self._maker.prepare(rows)

    def write(self, given: Any, results: Results) -> None:
        """See Part."""
        self._tables.append(self._maker.table(given, results))
        rows, size = sum(map(len, self._tables)), sum(table.nbytes for table in self._tables)
        if rows >= _GROUP_ROWS or size >= self._most_bytes:
            self._flush()

    def _flush(self) -> None:
        if self._tables:
            self._writer.write_table(pa.concat_tables(self._tables))
        self._tables = []

    def close(self) -> None:
        """See Part."""
        self._flush()
        self._writer.close()
        self._sink.close()

    def abandon(self) -> None:
        """See Part."""
        for close in (self._writer.close, self._sink.close):
            _close_anyhow(close)
        self._writer.is_open = False  # or it tries again when it is collected, and complains


def _close_anyhow(close: Callable[[], None]) -> None:
    """Close a file that is thrown away; why it broke was said."""
    with suppress(OSError, ValueError, pa.ArrowException):
        close()


def open_part(
    sink: Any, reader: Reader, columns: Columns, target: Target, options: Options, is_first: bool
) -> Part:
    """Begin a part file; the first one of a file has the line of names."""
    return WRITERS[target.format].begin(sink, reader, columns, target, options, is_first)


def assemble(target: Target, parts: int, options: Options) -> None:
    """Make the output of its parts and put it in its place, all at once. Can be done again.

    The report of an older output goes at the last moment, so that it has one if this fails.
    """
    if target.is_folder:
        return
    if parts == 1:
        remove(target.report)
        if target.part(0).exists():  # not yet moved
            move(target.part(0), target.whole)
        return
    whole = target.work.within("whole")
    with scratch(whole, like=target.whole) as path:
        with writing(whole):
            WRITERS[target.format].join(target, parts, path, options)
        publish(path, target.whole, by=whole, before=lambda: remove(target.report))


def _join_bytes(target: Target, parts: int, path: Path, _options: Options) -> None:
    """Put parts one behind the other; so can gzip members and zstd frames be."""
    with path.open("wb") as sink:
        for number in range(parts):
            part = target.part(number)
            with part.system.open_input_stream(part.path, compression=None) as source:
                shutil.copyfileobj(source, sink, _BLOCK)


def _join_parquet(target: Target, parts: int, path: Path, options: Options) -> None:
    writer = None
    try:
        for number in range(parts):
            part = target.part(number)
            with pq.ParquetFile(part.system.open_input_file(part.path)) as source:
                if writer is None:
                    schema, texts = source.schema_arrow, options.text_column
                    codec = codec_of(source)
                    writer = parquet_writer(str(path), schema, texts, codec)
                for group in range(source.num_row_groups):
                    writer.write_table(source.read_row_group(group))
    finally:
        if writer is not None:
            writer.close()


@dataclass(frozen=True)
class Writer:
    """How a format is written: how a part file begins, and how parts become one file."""

    begin: Callable[[Any, Reader, Columns, Target, Options, bool], Part]
    join: Callable[[Target, int, Path, Options], None]


def _records(
    open_writer: Callable[[Reader, Columns, Options], CsvWriter | JsonWriter],
) -> Writer:
    """Return how a format of records is written; its first part has the line of names."""

    def begin(
        sink: Any, reader: Reader, columns: Columns, target: Target, options: Options, first: bool
    ) -> Part:
        writer = open_writer(reader, columns, options)
        return TextPart(sink, writer, target.compression, first or target.is_folder)

    return Writer(begin, _join_bytes)


def _begin_parquet(
    sink: Any, reader: Reader, columns: Columns, _target: Target, options: Options, _first: bool
) -> Part:
    return ParquetPart(sink, TableMaker(reader, columns), options)


WRITERS: Mapping[str, Writer] = {
    "csv": _records(
        lambda reader, columns, options: CsvWriter(reader, columns, options.delimiter, quotes=True)
    ),
    "tsv": _records(lambda reader, columns, _: CsvWriter(reader, columns, "\t", quotes=False)),
    "jsonl": _records(lambda reader, columns, _: JsonWriter(reader, columns)),
    "parquet": Writer(_begin_parquet, _join_parquet),
}
"""How each format of `format_names.TABLES` is written."""
