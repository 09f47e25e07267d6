"""The formats of files: what they are called, which endings tell them, and what they can hold.

Their readers are the table in `formats/opening.py`, their writers the one in `output/parts.py`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    """One row of the table of formats."""

    name: str
    endings: tuple[str, ...]
    is_table: bool = True  # has columns, so it can hold labels and be written
    is_compressed_inside: bool = False  # so .gz and .zst do not go with it


_ALL = (
    Format("csv", (".csv",)),
    Format("tsv", (".tsv",)),
    Format("jsonl", (".jsonl", ".ndjson")),
    Format("parquet", (".parquet", ".pq"), is_compressed_inside=True),
    Format("text", (".txt",), is_table=False),
)

FORMATS = tuple(format.name for format in _ALL)
"""The names of all formats, which can be read."""

TABLES = tuple(format.name for format in _ALL if format.is_table)
"""The formats that have columns: those that can be written."""

COMPRESSED_INSIDE = tuple(format.name for format in _ALL if format.is_compressed_inside)
"""The formats whose files are not compressed once more."""

ENDINGS = {ending: format.name for format in _ALL for ending in format.endings}
"""The format that each ending of a name tells."""
