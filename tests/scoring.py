"""The command `sentido-score`, and inputs for it, for the tests of scoring."""

import csv
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from conftest import BIN

SCORE = str(BIN / "sentido-score")


def sentido_score(
    *arguments: str | Path, code: int = 0, stdin: bytes | None = None
) -> "subprocess.CompletedProcess[bytes]":
    """Run the command; fails unless it ends with `code`."""
    result = subprocess.run(
        [SCORE, *map(str, arguments)], input=stdin, capture_output=True, timeout=120
    )
    assert result.returncode == code, result.stderr.decode()
    assert b"Traceback" not in result.stderr
    return result


def write_csv(path: Path, texts: Sequence[str]) -> Path:
    """Write texts with an id such as 007 and a column behind them."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text", "note"])
        writer.writerows((f"{i:05}", text, "a, b") for i, text in enumerate(texts))
    return path


def write_jsonl(path: Path, texts: Sequence[str]) -> Path:
    """Write texts with a number and what is nested."""
    lines = [json.dumps({"id": i, "text": text, "tags": ["x"]}) for i, text in enumerate(texts)]
    path.write_text("".join(line + "\n" for line in lines))
    return path


def write_parquet(path: Path, texts: Sequence[str | None], group: int = 1000) -> Path:
    """Write texts with a number."""
    pq.write_table(pa.table({"id": range(len(texts)), "text": list(texts)}), path, group)
    return path


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
