"""The rows of the benchmark: what was measured, of what it is a part, and what was asked for."""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Row:
    """One measured quantity: its median and spread over some rounds."""

    section: str
    name: str
    unit: str  # "/s": texts or calls a second
    median: float
    low: float
    high: float
    rounds: int
    floor: str = ""  # what `ratio` is relative to
    ratio: float | None = None
    target: float | None = None  # of the ratio, or of the median where there is no floor
    at_least: bool = True  # else at most
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target was reached; None without one."""
        if self.target is None:
            return None
        value = self.median if self.ratio is None else self.ratio
        return value >= self.target if self.at_least else value <= self.target


class Report:
    """Collects rows, prints each as it comes, writes them all at the end."""

    def __init__(self, rounds: int, seconds: float) -> None:
        self.rounds = rounds
        self.seconds = seconds
        self.rows: list[Row] = []
        self._section = ""

    def section(self, title: str) -> None:
        """Start a part of the table."""
        self._section = title
        print(f"\n{title}", flush=True)

    def add(
        self,
        name: str,
        values: Sequence[float],
        *,
        unit: str = "/s",
        of: tuple[str, float | Sequence[float]] | None = None,
        target: float | None = None,
        at_least: bool = True,
        note: str = "",
    ) -> float:
        """Add a row; give its median.

        `of` is the name of its floor and the floor's value, or one for each of `values`.
        """
        median = statistics.median(values)
        floor, ratio = "", None
        if of is not None:
            floors = of[1] if isinstance(of[1], Sequence) else [of[1]] * len(values)
            pairs = zip(values, floors, strict=True)
            floor, ratio = of[0], statistics.median(value / base for value, base in pairs)
        spread = (min(values), max(values), len(values))
        row = Row(self._section, name, unit, median, *spread, floor, ratio, target, at_least, note)
        self.rows.append(row)
        print(_line(row), flush=True)
        return median

    def measure(self, name: str, run: Callable[[float], float], **row: Any) -> float:
        """Measure `run(seconds) -> rate` in rounds, after a short one to warm up."""
        run(self.seconds / 4)
        return self.add(name, [run(self.seconds) for _ in range(self.rounds)], **row)

    def write(self, path: Path, facts: dict[str, Any]) -> None:
        """Write all rows as JSON and say which targets were missed."""
        rows = [{**asdict(row), "met": row.met} for row in self.rows]
        path.write_text(json.dumps({**facts, "rows": rows}, indent=2) + "\n")
        missed = [row for row in self.rows if row.met is False]
        asked = sum(row.met is not None for row in self.rows)
        print(f"\n{asked - len(missed)} of {asked} targets met; written to {path.name}")
        for row in missed:
            print(f"missed: {row.section}: {_line(row).strip()}")


def rate(work: Callable[[], int], seconds: float) -> float:
    """Repeat `work`, which gives the number of things done, and give things a second."""
    done, began = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - began) < seconds:
        done += work()
    return done / elapsed


def _line(row: Row) -> str:
    def shown(value: float) -> str:
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"

    text = f"  {row.name:<46} {shown(row.median):>8} {row.unit:<3}"
    text += f" ({shown(row.low)} to {shown(row.high)})".ljust(22)
    if row.ratio is not None:
        text += f" {row.ratio:5.2f} of {row.floor}"
    if row.target is not None:
        sign = "at least" if row.at_least else "at most"
        text += f" [{sign} {row.target:g}: {'yes' if row.met else 'NO'}]"
    return text + (f" {row.note}" if row.note else "")
