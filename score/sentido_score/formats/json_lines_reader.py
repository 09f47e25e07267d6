"""JSON lines: an object a line, each read on its own, its bytes kept."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pyarrow as pa

from sentido_score.callbacks import Say, quiet
from sentido_score.errors import ScoreError
from sentido_score.files.locations import InputFile
from sentido_score.files.names import quoted
from sentido_score.formats.json_objects import Verbatim, members, parse, repaired
from sentido_score.formats.reader import (
    MARK,
    MOST_RECORD,
    Record,
    line_of,
    lines,
    share_of_bytes,
    text_windows,
)
from sentido_score.formats.survey import beginning, refuse_unreadable
from sentido_score.formats.texts import RowError
from sentido_score.formats.window import WINDOW_ROWS, Position, Rows, Window
from sentido_score.options import Options

_LARGEST = 2**63
_PEEK = 16 << 20  # bytes of standard input
_MOST_LOOKED_AT = 256 << 20  # bytes
_ENCODE = json.JSONEncoder(allow_nan=False).encode


@dataclass(frozen=True)
class JsonReader:
    """The files of one input. Its columns are the fields of its first 4,096 objects, over files.

    A field that only a later object has is passed on to JSON lines like any other; a table has no
    column for it, which is that row's error.
    """

    files: Sequence[InputFile]
    options: Options
    schema: pa.Schema
    format: str = "jsonl"

    @classmethod
    def open(cls, files: Sequence[InputFile], options: Options, say: Say = quiet) -> "JsonReader":
        """Look at the first objects. Raises ScoreError if none of them has the text column."""
        refuse_unreadable(files, say)
        kinds: dict[str, set[str]] = {}
        for value in islice(_objects(files), WINDOW_ROWS):
            for name, each in value.items():
                if _is_unicode(name):
                    kinds.setdefault(name, set()).add(_kind(each))
        names = list(kinds)
        if names and options.text_column not in names:
            raise ScoreError(
                f"{files[0].name}: no field {options.text_column!r} among {quoted(names)} of the"
                f" first {WINDOW_ROWS} objects: name it with --text-column"
            )
        fields = [(name, _type(found)) for name, found in kinds.items()]
        return cls(files, options, pa.schema(fields or [(options.text_column, pa.string())]))

    @property
    def names(self) -> Sequence[str]:
        """The fields of the first objects."""
        return list(self.schema.names)

    def windows(self, start: Position) -> Iterator[Window]:
        """Read rows from `start`; see Reader."""
        return text_windows(self.files, self._records, start, self.options)

    def table(self, rows: Rows) -> tuple[pa.Table, dict[int, str]]:
        """Give the objects as columns, and by row what does not fit into them."""
        known, errors = set(self.names), {}
        objects: list[dict[str, Any]] = []
        for row, raw in enumerate(rows):
            value = parse(raw) if raw else {}
            objects.append(value if isinstance(value, dict) else {})
            if others := objects[-1].keys() - known:
                errors[row] = (
                    f"the field {min(others)!r} is in none of the first {WINDOW_ROWS} objects:"
                    " write .jsonl to keep it"
                )
        columns = [self._column(field, rows, objects, errors) for field in self.schema]
        return pa.table(columns, schema=self.schema), errors

    def _column(
        self,
        field: pa.Field,
        rows: Rows,
        objects: Sequence[dict[str, Any]],
        errors: dict[int, str],
    ) -> pa.Array:
        """Give a field of the objects; adds the errors of those that do not fit."""
        values = []
        for row, value in enumerate(objects):
            found = value.get(field.name)
            if field.type == pa.string() and not isinstance(found, str | None):
                found = _as_json(found, rows[row], field.name)
            if not _fits(found, field.type):
                if isinstance(found, str) and field.type == pa.string():
                    problem = f"the field {field.name!r} holds a lone surrogate"
                    found = found.encode(errors="replace").decode()
                else:
                    problem = (
                        f"the field {field.name!r} does not fit the column's type {field.type},"
                        " which the first objects gave it: write .jsonl to keep it"
                    )
                    found = None
                errors.setdefault(row, problem)
            values.append(found)
        return pa.array(values, field.type)

    def values(self, rows: Rows, name: str) -> list[object]:
        """Return what the objects hold in a field; None where they lack it."""
        objects = (parse(raw) if raw else {} for raw in rows)
        return [value.get(name) if isinstance(value, dict) else None for value in objects]

    def place_of(self, start: Position, row: int) -> str:
        """Name a row's line; see Reader."""
        return line_of(self._records(self.files[start.file], start), row)

    def share(self, position: Position) -> float | None:
        """Give the part of the input's bytes before a position."""
        return share_of_bytes(self.files, position)

    def _records(self, file: InputFile, start: Position) -> Iterator[Record]:
        line = start.line
        for raw, end in lines(file, start):
            line += 1
            raw = raw.removeprefix(MARK)  # of files that were put together
            if raw.strip():
                yield Record(*self._row(raw, line), end, line)

    def _row(self, raw: bytes, line: int) -> tuple[bytes, object]:
        """Give what can be passed on of a line, and its text."""
        if len(raw) > MOST_RECORD:
            return b"", RowError(f"line {line}: is longer than {MOST_RECORD >> 20} MiB")
        value = parse(raw)
        if isinstance(value, str):
            return repaired(raw), RowError(f"line {line}: {value}")
        text = value.get(self.options.text_column)
        if isinstance(text, Verbatim):
            text = RowError(f"the text is of type {text.kind}, a string is needed")
        return raw, text


def _objects(files: Sequence[InputFile]) -> Iterator[dict[str, Any]]:
    """Read the input's first objects, over files; lines that are none are passed over."""
    left = _MOST_LOOKED_AT
    for file in files:
        for raw in _lines(file):
            left -= len(raw)
            value = parse(raw) if raw.strip() else {}
            if isinstance(value, str):
                value = parse(repaired(raw))
            if isinstance(value, dict) and value:
                yield value
            if left < 0:
                return


def _lines(file: InputFile) -> Iterator[bytes]:
    """Read lines from a file's beginning; of standard input a piece that can be read again."""
    if file.place is not None:
        yield from (raw.removeprefix(MARK) for raw, _ in lines(file, Position()))
        return
    data = beginning(file, lambda data: len(data) >= _PEEK or data.count(b"\n") >= WINDOW_ROWS)
    yield from (raw.removeprefix(MARK) for raw in data.split(b"\n"))


def _kind(value: object) -> str:
    """Tell values apart by the columns that hold them."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if type(value) is int and -_LARGEST <= value < _LARGEST:
        return "int" if abs(value) < 2**53 else "long"
    return "float" if isinstance(value, float) and math.isfinite(value) else "other"


def _type(kinds: set[str]) -> pa.DataType:
    """Find the type of a column; what is mixed or nested is kept as JSON in strings."""
    found = kinds - {"null"}
    if found == {"bool"}:
        return pa.bool_()
    if found and found <= {"int", "long"}:
        return pa.int64()
    if found and found <= {"int", "float"}:
        return pa.float64()
    return pa.string()


def _fits(value: object, kind: pa.DataType) -> bool:
    if value is None:
        return True
    if kind == pa.bool_():
        return isinstance(value, bool)
    if kind == pa.int64():
        return type(value) is int and -_LARGEST <= value < _LARGEST
    if kind == pa.float64():
        if isinstance(value, float):
            return math.isfinite(value)  # 1e400 is more than it holds
        return type(value) is int and abs(value) < 2**53
    return not isinstance(value, str) or _is_unicode(value)


def _as_json(value: object, raw: bytes, name: str) -> str:
    """Give the value of a field as JSON, as it stands in its line where Python cannot write it."""
    try:
        return _ENCODE(value)
    except (TypeError, ValueError, RecursionError):
        return members(raw.decode()).values[name]


def _is_unicode(value: str) -> bool:
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
