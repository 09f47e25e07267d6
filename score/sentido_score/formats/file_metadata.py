"""What a Parquet file says of itself: which of its key-value metadata goes on into the output.

All does but what describes the schema, which readers such as Spark would believe before the columns
themselves. pandas' index stays an index if its columns are passed on.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_PANDAS = b"pandas"
_OF_THE_SCHEMA = frozenset(
    (
        *(b"ARROW:schema", b"avro.schema", b"parquet.avro.schema", b"iceberg.schema"),
        *(b"org.apache.spark.sql.parquet.row.metadata", b"parquet.proto.descriptor"),
    )
)

Metadata = Mapping[bytes, bytes]


def kept(metadata: Metadata | None, names: Sequence[str]) -> dict[bytes, bytes]:
    """Return what an output with columns of these names, among others, says of itself."""
    found = {key: value for key, value in (metadata or {}).items() if key not in _OF_THE_SCHEMA}
    if _PANDAS in found:
        index = _of_pandas(found.pop(_PANDAS), names)
        found |= {} if index is None else {_PANDAS: index}
    return found


def _of_pandas(value: bytes, names: Sequence[str]) -> bytes | None:
    """Return pandas' own metadata without the columns that are not there; None: it is not that."""
    try:
        given: dict[str, Any] = json.loads(value)
        index = [each for each in given["index_columns"] if isinstance(each, dict) or each in names]
        columns = [each for each in given["columns"] if _stored_name(each) in names]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return json.dumps({**given, "index_columns": index, "columns": columns}).encode()


def _stored_name(column: dict[str, Any]) -> Any:
    return column.get("field_name", column.get("name"))


def codec_of_texts(parquet: pq.ParquetFile, column: str) -> str:
    """Return how the pages of a column are compressed.

    Reads a row first, which raises for a column that is encrypted: to ask pyarrow for what the
    footer says of such a column ends the process.
    """
    paths = [each.path for each in parquet.schema]
    if column not in paths or not parquet.num_row_groups:
        return "snappy"
    next(parquet.iter_batches(1, row_groups=[0], columns=[column], use_threads=False), None)
    return codec_of(parquet, paths.index(column))


def codec_of(parquet: pq.ParquetFile, place: int = 0) -> str:
    """Return how a column is compressed that is not encrypted; Snappy where nothing tells it."""
    if not parquet.num_row_groups or not parquet.metadata.num_columns:
        return "snappy"
    return _WRITTEN.get(parquet.metadata.row_group(0).column(place).compression, "snappy")


_WRITTEN = {
    "UNCOMPRESSED": "none",
    **{
        name: name.lower()
        for name in ("GZIP", "BROTLI", "LZ4", "ZSTD")
        if pa.Codec.is_available(name)
    },
}
