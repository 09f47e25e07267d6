"""JSON lines out: the input's bytes where it is JSON lines too, then the results."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from sentido_score.formats.cells import encoded, json_objects, json_string, json_values, not_utf8
from sentido_score.formats.columns import Columns
from sentido_score.formats.json_objects import dumped, members, parse
from sentido_score.formats.reader import Reader
from sentido_score.formats.window import WINDOW_ROWS, Rows


@dataclass(frozen=True)
class JsonWriter:
    """Turns rows and results into objects, one a line. Holds no file."""

    reader: Reader
    columns: Columns
    header: bytes = b""

    def prepare(self, rows: Rows) -> tuple[Sequence[bytes], dict[int, str]]:
        """Give each object without its last brace, and by row what has no place in it."""
        if self.reader.format != "jsonl":
            return self._of_table(rows)
        assert isinstance(rows, list)
        if not self.columns.are_all_inputs:
            return [self._chosen(raw) for raw in rows], {}
        given, errors = [], {}
        search = self._suspicious.search
        for row, raw in enumerate(rows):
            found = raw
            if search(raw) and (name := self._clash(raw)):
                errors[row] = (
                    f"the field {name!r} is in none of the first {WINDOW_ROWS} objects, so a result"
                    " is called so: choose a --prefix"
                )
                found = self._without_results(raw)
            given.append(found.strip()[:-1].rstrip() or b"{")
        return given, errors

    def _of_table(self, rows: Rows) -> tuple[Sequence[bytes], dict[int, str]]:
        table, errors = self.reader.table(rows)
        chosen = table.select(list(self.columns.inputs))
        found, bad = encoded([each[:-1] for each in json_objects(chosen)])
        if bad:
            for name in chosen.column_names:
                _, places = encoded(json_values(chosen[name]))
                errors |= {row: not_utf8(name) for row in places if row not in errors}
        return found, errors

    def encode(self, given: Sequence[bytes], results: dict[str, pa.Array]) -> bytes:
        """Give the lines of some rows."""
        fields = []
        for key, field in zip(self.columns.keys, self.columns.results, strict=True):
            name = json_string(field.name)
            fields.append([f"{name}: {value}" for value in json_values(results[key])])
        rows = map(", ".join, zip(*fields, strict=True)) if fields else [""] * len(given)
        lines = [
            b"%s%s%s}\n" % (start, b"" if start == b"{" or not row else b", ", row.encode())
            for start, row in zip(given, rows, strict=True)
        ]
        return b"".join(lines)

    def _chosen(self, raw: bytes) -> bytes:
        if not raw:
            return b"{"
        value = parse(raw)
        assert isinstance(value, dict)
        names = [name for name in self.columns.inputs if name in value]
        try:
            return _ENCODE({name: value[name] for name in names}).encode()[:-1]
        except (TypeError, ValueError, RecursionError):
            # A lone surrogate, or what Python cannot write: as it stands in the line.
            found = members(raw.decode()).values
            return dumped({name: found[name] for name in names})[:-1]

    @cached_property
    def _names(self) -> list[str]:
        return [field.name for field in self.columns.results]

    def _is_result(self, name: str) -> bool:
        return name.casefold() in self._folded

    @cached_property
    def _folded(self) -> frozenset[str]:
        return frozenset(name.casefold() for name in self._names)

    @cached_property
    def _suspicious(self) -> "re.Pattern[bytes]":
        """Match what a line must hold to have a field that is called like a result."""
        names = "|".join(re.escape(f'"{name}"') for name in self._names)
        is_plain = all(re.fullmatch(r"[\w -]*", name, re.ASCII) for name in self._names)
        # A letter may be written as an escape, and a special one in more ways.
        escape = r"\\u00[2-7]" if is_plain else r"\\"
        return re.compile(f"{names}|{escape}".encode(), re.IGNORECASE)

    def _clash(self, raw: bytes) -> str | None:
        """Return a field that is called like a result, in whatever case."""
        return next((name for name in parse(raw) if self._is_result(name)), None)

    def _without_results(self, raw: bytes) -> bytes:
        found = members(raw.decode()).values
        return dumped({name: text for name, text in found.items() if not self._is_result(name)})


_ENCODE = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
