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

from sentido_bundle import cpus
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


def scored(path: Path, engine: str = "local", precision: str = "fp32", **places: Any) -> float:
    """Score CSV to Parquet in this process; give the rows a second, loading the bundle included."""
    began = time.perf_counter()
    options = Options(precision=precision)
    out = path.with_suffix(".parquet")
    report = score(path, out=out, options=options, engine=engine, overwrite=True, **places)
    return report.rows / (time.perf_counter() - began)


def scored_on_ray(path: Path) -> float:
    """Score on a Ray of this machine; give the rows a second once its actors have started.

    That is from when each of them has given its first window.
    """
    seen: list[tuple[float, int]] = []

    def watch(counts: Counts, _share: float | None) -> None:
        if counts.rows:
            seen.append((time.perf_counter(), counts.rows))

    score(path, out=path.with_suffix(".parquet"), engine="ray", overwrite=True, watch=watch)
    (began, first), (ended, last) = seen[cpus.granted() - 1], seen[-1]
    return (last - first) / (ended - began)


def keras_with_a_table(path: Path, rounds: int) -> Sequence[float]:
    """Score the same file with what people would write; give the rows a second of each round."""
    script = BENCH / "peer_servers" / "keras_table.py"
    command = [sys.executable, str(script), str(path), str(rounds)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    rates: list[float] = json.loads(result.stdout.splitlines()[-1])
    return rates
