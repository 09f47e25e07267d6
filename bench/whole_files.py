"""Files scored by `sentido-score`, for the benchmark: what to score, and how fast it goes."""

import csv
import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sentido_export.data import load
from sentido_score import Counts, Options, score
from servers import BENCH

has_ray = importlib.util.find_spec("ray") is not None


@contextmanager
def reviews_as_csv(rows: int) -> Iterator[Path]:
    """Write so many real reviews with an id, from all over the data set."""
    texts = load("reviews", "text", "label").texts
    step = max(1, len(texts) // rows)
    with TemporaryDirectory(prefix="sentido-bench-") as folder:
        path = Path(folder) / "reviews.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "text"])
            writer.writerows((f"{i:07}", text) for i, text in enumerate(texts[::step][:rows]))
        yield path


def scored(path: Path, precision: str = "fp32") -> float:
    """Score CSV to Parquet in this process; give the rows a second, loading the bundle included."""
    began = time.perf_counter()
    options = Options(precision=precision)
    report = score(path, out=path.with_suffix(".parquet"), options=options, overwrite=True)
    return report.rows / (time.perf_counter() - began)


def scored_by(path: Path, engine: str, **places: Any) -> float:
    """Score with another engine; give the rows a second after the first ones are there."""
    seen: list[tuple[float, int]] = []

    def watch(counts: Counts, _share: float | None) -> None:
        if counts.rows:
            seen.append((time.perf_counter(), counts.rows))

    score(
        path,
        out=path.with_suffix(".parquet"),
        options=Options(),
        engine=engine,
        overwrite=True,
        watch=watch,
        **places,
    )
    (began, first), (ended, last) = seen[0], seen[-1]
    return (last - first) / (ended - began)


def keras_with_a_table(path: Path, rounds: int) -> Sequence[float]:
    """Score the same file with what people would write; give the rows a second of each round."""
    script = BENCH / "peer_servers" / "keras_table.py"
    command = [sys.executable, str(script), str(path), str(rounds)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    rates: list[float] = json.loads(result.stdout.splitlines()[-1])
    return rates
