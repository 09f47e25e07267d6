"""Evaluates and scores the same labelled file in turn: how fast each is, and how much memory.

    make bench-evaluate                                   a million rows, some minutes
    make bench-evaluate ARGS="--rows 50000 --rounds 3"    fewer

Both are run as commands, so the times include their start. The texts are real reviews, each with
its number before it, so that no two are alike.
"""

import argparse
import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from sentido_bundle import default_bundle
from sentido_export.data import load
from servers import BIN

TARGET = 0.9  # of the scorer's rate
_GROUP = 50_000  # rows


def main() -> int:
    """Measure and print; return 1 if evaluating is slower than it should be."""
    asked = _arguments()
    with tempfile.TemporaryDirectory(prefix="sentido-bench-") as folder:
        path = _labelled(Path(folder) / "in.parquet", asked.rows, asked.characters)
        size = path.stat().st_size / 1e6
        print(f"{asked.rows:,} rows, {size:.0f} MB of Parquet, {asked.bundle}", flush=True)
        commands = {
            "sentido-score": ["--out", str(path.with_name("out.parquet")), "--overwrite"],
            "sentido-evaluate": ["--report", str(path.with_name("page.html"))],
        }
        rates: dict[str, list[float]] = {name: [] for name in commands}
        for number in range(asked.rounds):
            for name in sorted(commands, reverse=bool(number % 2)):
                line = [str(BIN / name), str(path), "--bundle", str(asked.bundle), *commands[name]]
                seconds, thirds = _timed(line)
                rates[name].append(asked.rows / seconds)
                shown = ", ".join(f"{third:.0f}" for third in thirds)
                print(
                    f"{name:<17} {rates[name][-1]:9,.0f} rows/s, MiB by thirds: {shown}", flush=True
                )
    score, evaluate = (statistics.median(rates[name]) for name in commands)
    print(f"evaluating has {evaluate / score:.2f} of the scorer's rate, {TARGET} is wanted")
    return int(evaluate < TARGET * score)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--characters", type=int, default=150, help="of each text, at most")
    parser.add_argument("--bundle", type=Path, default=default_bundle())
    return parser.parse_args()


def _labelled(path: Path, rows: int, characters: int) -> Path:
    reviews = load("reviews", "text", "label")
    names = [reviews.label_names[label] for label in reviews.labels.tolist()]
    pairs = itertools.cycle(zip(reviews.texts, names, strict=True))
    schema = pa.schema({"text": pa.string(), "label": pa.string()})
    with pq.ParquetWriter(path, schema) as writer:
        for begin in range(0, rows, _GROUP):
            part = list(itertools.islice(pairs, min(_GROUP, rows - begin)))
            texts = [f"{begin + n} {text}"[:characters] for n, (text, _) in enumerate(part)]
            labels = [label for _, label in part]
            writer.write_table(pa.table({"text": texts, "label": labels}, schema))
    return path


def _timed(command: Sequence[str]) -> tuple[float, list[float]]:
    """Run a command; return its seconds, and the most MiB in each third of them."""
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        seen = list(_resident(process))
        seconds = time.perf_counter() - began
        assert process.stderr is not None
        if process.returncode:
            sys.exit(process.stderr.read().decode()[-2000:])
    thirds = [seen[len(seen) * part // 3 : len(seen) * (part + 1) // 3] for part in range(3)]
    return seconds, [max(third, default=0.0) for third in thirds]


def _resident(process: "subprocess.Popen[bytes]") -> Iterator[float]:
    """Look at a process' memory until it ends, ten times a second."""
    while process.poll() is None:
        memory = Path(f"/proc/{process.pid}/status").read_text().partition("VmRSS:")[2]
        if memory:
            yield int(memory.split()[0]) / 1024
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
