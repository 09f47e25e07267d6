"""Opens an input: lists its files and picks the reader of their format."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

from sentido_score.callbacks import Say, quiet
from sentido_score.files.locations import InputFile, expand, input_format
from sentido_score.formats.csv_reader import CsvReader
from sentido_score.formats.json_lines_reader import JsonReader
from sentido_score.formats.lines_reader import LineReader
from sentido_score.formats.parquet_reader import ParquetReader
from sentido_score.formats.reader import Reader
from sentido_score.options import Options

Opener: TypeAlias = Callable[[Sequence[InputFile], Options, Say], Reader]

READERS: Mapping[str, Opener] = {
    "csv": CsvReader.open,
    "tsv": partial(CsvReader.open, format="tsv"),
    "jsonl": JsonReader.open,
    "parquet": ParquetReader.open,
    "text": LineReader.open,
}
"""How each format of `format_names.FORMATS` is opened."""

Source = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""Paths, URIs, globs or folders, one or several; "-" for standard input."""


def open_source(source: Source, options: Options, say: Say = quiet) -> Reader:
    """Find the files and their columns. Raises ScoreError if they cannot be one input."""
    files = expand([source] if isinstance(source, str | os.PathLike) else source, options, say)
    return READERS[input_format(files, options.input_format)](files, options, say)
