"""Parquet out: the input's columns and the results as one table."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sentido_score.formats.columns import Columns
from sentido_score.formats.file_metadata import kept
from sentido_score.formats.parquet_reader import ParquetReader
from sentido_score.formats.reader import Reader
from sentido_score.formats.window import Rows


@dataclass(frozen=True)
class TableMaker:
    """Puts the results beside the input's columns. Holds no file."""

    reader: Reader
    columns: Columns

    def prepare(self, rows: Rows) -> tuple[pa.Table, dict[int, str]]:
        """Give the input's part of the table, and by row what does not fit into it."""
        table, errors = self.reader.table(rows)
        return table.select(list(self.columns.inputs)), errors

    def table(self, given: pa.Table, results: dict[str, pa.Array]) -> pa.Table:
        """Give the table of some rows."""
        arrays = [results[key] for key in self.columns.keys]
        return pa.Table.from_arrays([*given.columns, *arrays], schema=self.schema)

    @cached_property
    def schema(self) -> pa.Schema:
        """The output's schema."""
        reader = self.reader
        found = reader.schema if isinstance(reader, ParquetReader) else reader.table([])[0].schema
        given = [found.field(name) for name in self.columns.inputs]
        metadata = kept(found.metadata, self.columns.inputs)
        return pa.schema([*given, *self.columns.results], metadata or None)

    @property
    def codec(self) -> str:
        """How pages are compressed: as the input's texts are."""
        return self.reader.codec if isinstance(self.reader, ParquetReader) else "snappy"


def parquet_writer(sink: Any, schema: pa.Schema, text_column: str, codec: str) -> pq.ParquetWriter:
    """Open a file; no dictionaries for what hardly repeats."""
    names = [
        field.name
        for field in schema
        if field.name != text_column
        and not pa.types.is_floating(field.type)
        and not pa.types.is_nested(field.type)
    ]
    return pq.ParquetWriter(sink, schema, use_dictionary=names or False, compression=codec)
