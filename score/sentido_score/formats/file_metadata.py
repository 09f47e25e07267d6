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


def codec_of(metadata: pq.FileMetaData, column: str | None = None) -> str:
    """Return how the pages of a column are compressed, by default of the first one.

    Snappy where nothing tells it, or where pyarrow does not write it.
    """
    if metadata.num_row_groups:
        group = metadata.row_group(0)
        for chunk in map(group.column, range(group.num_columns)):
            if column in (None, chunk.path_in_schema):
                return _WRITTEN.get(chunk.compression, "snappy")
    return "snappy"


_WRITTEN = {
    "UNCOMPRESSED": "none",
    **{
        name: name.lower()
        for name in ("GZIP", "BROTLI", "LZ4", "ZSTD")
        if pa.Codec.is_available(name)
    },
}
