"""Opens an input: lists its files and picks the reader of their format."""

import os
from collections.abc import Sequence

from sentido_score.callbacks import Say, quiet
from sentido_score.files.locations import InputFile, expand, input_format
from sentido_score.formats.csv_reader import CsvReader
from sentido_score.formats.json_lines_reader import JsonReader
from sentido_score.formats.lines_reader import LineReader
from sentido_score.formats.parquet_reader import ParquetReader
from sentido_score.formats.reader import Reader
from sentido_score.formats.survey import beginning, survey
from sentido_score.options import Options

Source = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""Paths, URIs, globs or folders, one or several; "-" for standard input."""


def open_source(source: Source, options: Options, say: Say = quiet) -> Reader:
    """Find the files and their columns. Raises ScoreError if they cannot be one input."""
    files = expand([source] if isinstance(source, str | os.PathLike) else source, options, say)
    format = input_format(files, options.input_format)
    if format == "parquet":
        return ParquetReader.open(files, options, say)
    if format == "jsonl":
        _refuse_unreadable(files, say)
        return JsonReader.open(files, options)
    if format == "text":
        _refuse_unreadable(files, say)
        return LineReader(files, options)
    return CsvReader.open(files, options, format, say)


def _refuse_unreadable(files: Sequence[InputFile], say: Say) -> None:
    """Raise ScoreError for a file without a header that cannot be opened, or holds no UTF-8."""
    if files[0].place is not None:
        for _ in survey(lambda file: beginning(file, bool), files, say):
            pass
