"""Memory does not follow the number of rows, and an interrupt leaves nothing behind."""

import random
import signal
import subprocess
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import BIN
from evaluating import TEXTS
from waiting import PATIENCE, wait_for

MOST_GROWTH = 32  # MiB, from the first third of the time to the last


def labelled(path: Path, rows: int) -> Path:
    generator = random.Random(1)
    chosen = [generator.choice(TEXTS) for _ in range(rows)]
    texts = [f"{text} {number}" for number, (text, _) in enumerate(chosen)]
    table = pa.table({"text": texts, "label": [label for _, label in chosen]})
    pq.write_table(table, path, row_group_size=10_000)
    return path


def resident(process: "subprocess.Popen[bytes]") -> float:
    """Return a process' memory in MiB; 0 if it has just ended."""
    memory = Path(f"/proc/{process.pid}/status").read_text().partition("VmRSS:")[2]
    return int(memory.split()[0]) / 1024 if memory else 0


@pytest.mark.nightly
def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    path = labelled(tmp_path / "in.parquet", 1_000_000)
    seen = []
    command: list[str | Path] = [BIN / "sentido-evaluate", path, "--report", tmp_path / "page.html"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            time.sleep(0.2)
            seen.append(resident(process))
    assert process.returncode == 0
    third = len(seen) // 3
    thirds = [max(seen[part * third : (part + 1) * third]) for part in range(3)]
    print(f"\nmost MiB in each third: {thirds}")
    assert thirds[2] - thirds[0] < MOST_GROWTH


def test_an_interrupt_ends_it_with_130_and_no_half_page(tmp_path: Path) -> None:
    path = labelled(tmp_path / "in.parquet", 100_000)
    command: list[str | Path] = [BIN / "sentido-evaluate", path, "--report", tmp_path / "page.html"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        fields = Path(f"/proc/{process.pid}/task")
        wait_for(lambda: process.poll() is not None or len([*fields.iterdir()]) > 4)  # it computes
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (130, b"")
    assert err.decode().strip() == "sentido-evaluate: interrupted"
    assert [each.name for each in tmp_path.iterdir()] == ["in.parquet"]
