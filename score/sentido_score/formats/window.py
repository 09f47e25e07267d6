"""What travels from a reader through an engine to a writer: some rows, in the input's order."""

from dataclasses import dataclass
from typing import TypeAlias

import pyarrow as pa

from sentido_score.formats.texts import Texts

WINDOW_ROWS = 4096
"""Rows of a window, unless they are so large that fewer fill it (see `Options.window_bytes`).

Enough to find texts of one length, few enough to hold several in memory.
"""

FIRST_ROWS = 512
"""Rows of a file's first window: the CPUs have work before much is read."""

Rows: TypeAlias = list[bytes] | pa.Table
"""The input's rows as they were read: records of a text format, or a piece of a Parquet file."""


@dataclass(frozen=True)
class Position:
    """A place between two rows of the input; everything before it has been read."""

    file: int = 0
    offset: int = 0  # in the file: bytes after decompression, or rows of a Parquet file
    line: int = 0  # lines before it, of a text format


@dataclass(frozen=True)
class Window:
    """Some rows that are scored together. Where windows begin depends on the input alone."""

    rows: Rows
    texts: Texts
    end: Position
    warnings: tuple[str, ...] = ()  # what a person should look at, though nothing is an error

    def __len__(self) -> int:
        return self.texts.size
