"""The command `sentido-score`, and inputs for it, for the tests of scoring."""

import csv
import json
import random
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from conftest import BIN
from sentido_bundle import default_bundle
from waiting import PATIENCE, wait_for

SCORE = str(BIN / "sentido-score")


def sentido_score(
    *arguments: str | Path, code: int = 0, stdin: bytes | None = None
) -> "subprocess.CompletedProcess[bytes]":
    """Run the command; fails unless it ends with `code`."""
    result = subprocess.run(
        [SCORE, *map(str, arguments)], input=stdin, capture_output=True, timeout=PATIENCE
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


def copy_bundle(folder: Path) -> Path:
    """Make a bundle that differs from the default one in its digest alone."""
    shutil.copytree(default_bundle(), folder)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["created"] = "2020-01-01T00:00:00Z"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def changed(path: Path) -> int | None:
    """Return when a file was last written to, None if it does not exist."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def killed(arguments: Sequence[str | Path], out: Path, seconds: float) -> bool:
    """Run the command, kill it some seconds after it began to work; tell whether it was alive."""
    lock, command = Path(f"{out}.parts/lock"), [SCORE, *map(str, arguments)]
    before = changed(lock)
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        wait_for(lambda: process.poll() is not None or changed(lock) not in (None, before))
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return True
        assert code == 0, process.communicate()
        return False


def kill_and_resume(
    arguments: Sequence[str | Path], out: Path, kills: int, most: float = 0.5
) -> None:
    """Kill runs at random moments of their work and resume them, so often; then let it finish.

    `most`: seconds that a run works at most before it is killed.
    """
    generator = random.Random(len(str(out)))
    while kills:
        kills -= killed([*arguments, "--out", out, "--resume"], out, generator.uniform(0, most))
        if out.exists() and not Path(f"{out}.parts/run.json").exists():
            out.unlink()  # it was done before: begin again
            Path(f"{out}.report.json").unlink()
    sentido_score(*arguments, "--out", out, "--resume")
