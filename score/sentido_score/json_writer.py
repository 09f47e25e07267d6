"""JSON lines out: the input's bytes where it is JSON lines too, then the results."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from sentido_score.json_reader import parse
from sentido_score.plain import dumps, objects, strings
from sentido_score.readers import Reader
from sentido_score.results import Columns
from sentido_score.window import WINDOW_ROWS, Rows


@dataclass(frozen=True)
class JsonWriter:
    """Turns rows and results into objects, one a line. Holds no file."""

    reader: Reader
    columns: Columns
    header: bytes = b""

    def prepare(self, rows: Rows) -> tuple[Sequence[bytes], dict[int, str]]:
        """Give each object without its last brace, and by row what has no place in it."""
        if self.reader.format != "jsonl":
            table, errors = self.reader.table(rows)
            chosen = table.select(list(self.columns.inputs))
            return [dumps(each)[:-1] for each in objects(chosen)], errors
        if not self.columns.are_all_inputs:
            return [self._chosen(raw) for raw in rows], {}
        given, errors = [], {}
        keys = [json.dumps(field.name).encode() for field in self.columns.results]
        for row, raw in enumerate(rows):
            assert isinstance(raw, bytes)
            found = raw.strip()[:-1].rstrip() or b"{"
            if any(key in found for key in keys) and (name := self._clash(raw)):
                errors[row] = (
                    f"the field {name!r} is in none of the first {WINDOW_ROWS} objects, so a result"
                    " is called so: choose a --prefix"
                )
                found = b"{"
            given.append(found)
        return given, errors

    def encode(self, given: Sequence[bytes], results: dict[str, pa.Array]) -> bytes:
        """Give the lines of some rows."""
        fields = []
        for key, field in zip(self.columns.keys, self.columns.results, strict=True):
            name = json.dumps(field.name, ensure_ascii=False)
            is_text = pa.types.is_string(field.type)
            values = strings(results[key])
            if is_text:
                values = [value and json.dumps(value, ensure_ascii=False) for value in values]
            fields.append([f"{name}: {'null' if value is None else value}" for value in values])
        rows = map(", ".join, zip(*fields, strict=True)) if fields else [""] * len(given)
        lines = [
            b"%s%s%s}\n" % (start, b"" if start == b"{" or not row else b", ", row.encode())
            for start, row in zip(given, rows, strict=True)
        ]
        return b"".join(lines)

    def _chosen(self, raw: object) -> bytes:
        value = parse(raw) if isinstance(raw, bytes) and raw else {}
        assert isinstance(value, dict)
        chosen = {name: value[name] for name in self.columns.inputs if name in value}
        try:
            return dumps(chosen)[:-1]
        except UnicodeEncodeError:  # a lone surrogate: escaped, as it came
            return json.dumps(chosen).encode()[:-1]

    def _clash(self, raw: bytes) -> str | None:
        value = parse(raw)
        names = (field.name for field in self.columns.results)
        return next((name for name in names if name in value), None)
