"""Tables for people: each row is printed as it comes, in columns whose widths are known before."""

import shutil
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from itertools import chain, repeat

import click
from rich.cells import cell_len, chop_cells, set_cell_size

_LEAST_WIDTH = 10  # of the last column, however narrow the terminal is
_GAP = "  "
_LOOKED_AT = 4  # characters for each cell of a text that is cut: a text may have a million


class Table:
    """Prints a heading, then row by row; keeps none. Lives as long as its rows come.

    The last column has what is left of the line: a longer cell is shortened, or goes on in the next
    lines. No other column is ever cut.
    """

    def __init__(
        self, titles: Sequence[str], widths: Sequence[int], *, folds: bool = False
    ) -> None:
        """Print the heading. `widths`: of the cells in the first columns, as far as known."""
        if isinstance(sys.stdout, TextIOWrapper) and not is_utf8():
            sys.stdout.reconfigure(errors="replace")
        self._folds = folds
        self._widths = [
            max(cell_len(title), width)
            for title, width in zip(titles[:-1], chain(widths, repeat(0)), strict=False)
        ]
        before = sum(self._widths) + len(_GAP) * len(self._widths)
        self._rest = max(_LEAST_WIDTH, shutil.get_terminal_size().columns - before)
        if any(titles):
            self.add(*titles)

    def add(self, *cells: str) -> None:
        """Print a row."""
        *first, last = cells
        first = [*map(printable, first)]
        last = printable(last if self._folds else last[: _LOOKED_AT * self._rest])
        padded = [
            cell if cell_len(cell) > width else set_cell_size(cell, width)
            for cell, width in zip(first, self._widths, strict=True)
        ]
        lines = folded(last, self._rest) if self._folds else [shortened(last, self._rest)]
        for line in lines:
            click.echo(_GAP.join([*padded, line]).rstrip())
            padded = [" " * width for width in self._widths]


def print_table(
    titles: Sequence[str], rows: Sequence[Sequence[str]], *, folds: bool = False
) -> None:
    """Print a small table whose rows are all there."""
    columns = list(zip(titles, *rows, strict=True))[:-1]
    widths = [max(cell_len(printable(cell)) for cell in column) for column in columns]
    table = Table(titles, widths, folds=folds)
    for row in rows:
        table.add(*row)


def printable(text: str) -> str:
    """Return a text in one line, without anything that a terminal would obey."""
    return "".join(c if c.isprintable() else "�" for c in " ".join(text.split()))


def shortened(text: str, width: int) -> str:
    """Return a text of at most so many cells, with an ellipsis if it is longer.

    >>> shortened("A wonderful film", 8)
    'A wonde…'
    """
    return text if cell_len(text) <= width else set_cell_size(text, width - 1).rstrip() + "…"


def folded(text: str, width: int) -> list[str]:
    """Return a text's lines of at most so many cells; only what is longer than one is cut.

    >>> folded("hidden, steps, word_vectors", 8)
    ['hidden,', 'steps,', 'word_vec', 'tors']
    """
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".removeprefix(" ")
        if cell_len(longer) <= width:
            lines[-1] = longer
        else:
            lines += chop_cells(word, width)
    return lines[1:] if len(lines) > 1 and not lines[0] else lines


def is_utf8() -> bool:
    """Whether standard output takes every character."""
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
