"""What is wrong with rows: each problem once, with the first row that has it and how many do."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sentido_score.formats.reader import Reader
from sentido_score.formats.window import Position

_MOST = 5

Place = tuple[Position, int]
"""Of a row: where its window begins, and the row in it."""


@dataclass
class Problems:
    """Counts rows with errors. For one run."""

    rows: int = 0
    _found: dict[str, tuple[Place, int]] = field(default_factory=dict)  # the first row, how many

    def add(self, errors: Iterable[tuple[Place, str]]) -> None:
        """Count rows; the first few problems are kept."""
        for place, problem in errors:
            self.rows += 1
            if problem in self._found or len(self._found) < _MOST:
                first, count = self._found.get(problem, (place, 0))
                self._found[problem] = first, count + 1

    def sentences(self, reader: Reader) -> Iterator[str]:
        """Say what is wrong, and with how many rows."""
        for problem, (place, count) in self._found.items():
            more = count - 1
            rows = f" (and in {more:,} more {'row' if more == 1 else 'rows'})" if more else ""
            yield _sentence(reader, place, problem) + rows
        if left := self.rows - sum(count for _, count in self._found.values()):
            yield f"{left:,} more {'row has' if left == 1 else 'rows have'} other errors"


def _sentence(reader: Reader, place: Place, problem: str) -> str:
    """Name a row; what is wrong with a record begins with its line anyway."""
    if problem.startswith("line "):
        return f"{reader.files[place[0].file].name}: {problem}"
    return f"{name_of(reader, place)}: {problem}"


def name_of(reader: Reader, place: Place) -> str:
    """Return the file and line or row of a row."""
    start, row = place
    file = reader.files[start.file]
    if file.place is None:
        return "standard input"
    return f"{file.name}: {reader.place_of(start, row)}"
