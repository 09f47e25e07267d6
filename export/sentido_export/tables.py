"""Labelled texts of a table, read by the scorer's readers, so that what trains also scores."""

from collections.abc import Iterator
from dataclasses import dataclass

from sentido_score.callbacks import Say
from sentido_score.errors import ScoreError
from sentido_score.format_names import TABLES
from sentido_score.formats.columns import blind_to_case, refuse_doubles
from sentido_score.formats.labels import label_of
from sentido_score.formats.opening import open_source
from sentido_score.formats.reader import Reader
from sentido_score.formats.survey import refuse_column
from sentido_score.formats.warnings import Warnings
from sentido_score.formats.window import Position, Window
from sentido_score.options import Options

from sentido_export.errors import ExportError


@dataclass(frozen=True)
class Table:
    """A table and how to read it."""

    source: str  # a file, a glob or a URI
    text_column: str = "text"
    label_column: str = "label"
    delimiter: str = ","
    input_format: str | None = None  # None: by the name
    only: tuple[str, str] | None = None  # a column, and what it must hold in the rows to read
    may_lack_labels: bool = False
    label_columns: tuple[str, ...] = ()  # in the place of `label_column`
    label_flag: str = "--label-column"  # what names them

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the columns that hold labels."""
        return self.label_columns or (self.label_column,)


def labelled(table: Table, say: Say) -> Iterator[tuple[str, str | None]]:
    """Read each row's text and label. Raises ExportError naming the row that cannot be used."""
    try:
        yield from _rows(table, opened(table, say), say)
    except ScoreError as error:
        raise ExportError(str(error)) from error


def opened(table: Table, say: Say) -> Reader:
    """Open a table that has its columns. Raises ScoreError."""
    if table.text_column == table.label_column:
        raise ScoreError(
            f"--text-column and --label-column both are {table.text_column!r}: name two columns"
        )
    others = () if table.only is None else (table.only[0],)
    options = Options(
        text_column=table.text_column,
        delimiter=table.delimiter,
        input_format=table.input_format,
        columns=(*table.labels, *others),
        partitions=False,
    )
    reader = open_source(table.source, options, say)
    if reader.format not in TABLES:
        raise ScoreError(
            f"{table.source}: lines of text have no labels: give a table, or a folder with a folder"
            " of .txt files per label"
        )
    if reader.format != "jsonl":  # whose columns are those of objects that may be bad
        _refuse_label(table, reader)
    refuse_doubles(reader.names, hint="")
    for pair in blind_to_case(reader.names):
        for name in {table.text_column, *table.labels} & {*pair}:
            say(f"the columns {pair[0]!r} and {pair[1]!r} differ in case only: {name!r} is read")
    return reader


def _refuse_label(table: Table, reader: Reader) -> None:
    """Raise ScoreError unless each of the label columns is there, once."""
    for name in table.labels:
        refuse_column(reader.files[0], reader.names, name, flag=table.label_flag)


def _rows(table: Table, reader: Reader, say: Say) -> Iterator[tuple[str, str | None]]:
    for window, start in windows(reader, say):
        yield from _row_by_row(table, reader, window, start)


def windows(reader: Reader, say: Say) -> Iterator[tuple[Window, Position]]:
    """Read a table window by window, each with where it begins."""
    start, warnings = Position(), Warnings(reader, say)
    for window in reader.windows(start):
        if window.end.file != start.file:
            start = Position(window.end.file)
        warnings.tell(window)
        yield window, start
        start = window.end


def _row_by_row(
    table: Table, reader: Reader, window: Window, start: Position
) -> Iterator[tuple[str, str | None]]:
    rows = list(range(len(window)))
    if table.only is not None:
        name, wanted = table.only
        found = reader.values(window.rows, name)
        rows = [row for row in rows if found[row] == wanted]
    for row in rows:
        if (problem := window.texts.errors.get(row)) is not None:
            raise row_error(reader, start, row, problem)
    _refuse_label(table, reader)
    values = reader.values(window.rows, table.label_column)
    texts = dict(zip(window.texts.rows, window.texts.good, strict=True))
    for row in rows:
        try:
            label = label_of(values[row])
        except ValueError as error:
            raise row_error(reader, start, row, str(error)) from error
        if label is None and not table.may_lack_labels:
            problem = "no label: add it, or leave such rows out with --normalize-labels"
            raise row_error(reader, start, row, problem)
        yield texts[row], label


def row_error(reader: Reader, start: Position, row: int, problem: str) -> ScoreError:
    """Name a row; what is wrong with a record begins with its line anyway."""
    file = reader.files[start.file]
    is_read_once = file.place is None  # standard input
    place = "" if is_read_once or problem.startswith("line ") else reader.place_of(start, row)
    return ScoreError(": ".join(filter(None, (file.name, place, problem))))
