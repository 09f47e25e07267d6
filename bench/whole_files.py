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
from sentido_score import Options, score
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


def scored(
    path: Path,
    bundle: Path | None = None,
    engine: str = "local",
    precision: str = "fp32",
    **places: Any,
) -> float:
    """Score CSV to Parquet in this process; give the rows a second once the bundle is loaded."""
    options, out = Options(precision=precision), path.with_suffix(".parquet")
    report = score(path, bundle, out=out, options=options, engine=engine, overwrite=True, **places)
    return report.texts_per_second


def scored_on_ray(path: Path, bundle: Path) -> float:
    """Score on a Ray of this machine; give the rows a second once its actors have started.

    The file four times takes longer than once by what the rows take: starting takes as long in
    either. Four times, because one file is soon done beside the seconds that Ray takes to start.
    """
    out, seconds, rows = path.with_suffix(".parquet"), [], 0
    for sources in ([path], [path] * 4):
        began = time.perf_counter()
        rows = score(sources, bundle, out=out, engine="ray", overwrite=True).rows - rows
        seconds.append(time.perf_counter() - began)
    return rows / (seconds[1] - seconds[0])


def keras_with_a_table(path: Path, rounds: int) -> Sequence[float]:
    """Score the same file with what people would write; give the rows a second of each round."""
    script = BENCH / "peer_servers" / "keras_table.py"
    command = [sys.executable, str(script), str(path), str(rounds)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    rates: list[float] = json.loads(result.stdout.splitlines()[-1])
    return rates
