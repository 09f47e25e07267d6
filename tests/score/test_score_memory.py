"""A long run takes no more memory than a short one, and its rows are those of its parts."""

import random
import subprocess
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scoring import SCORE
from sentido_score import score

FILE_ROWS = 50_000
MOST_GROWTH = 48  # MiB, from the first third of the rows to the end


def generate(folder: Path, rows: int, reviews: list[str]) -> list[Path]:
    """Write texts as long as the reviews, each of two halves that belong to different ones."""
    folder.mkdir()
    generator, paths = random.Random(7), []
    for first in range(0, rows, FILE_ROWS):
        ids = range(first, min(first + FILE_ROWS, rows))
        texts = []
        for _ in ids:
            one, other = generator.choice(reviews), generator.choice(reviews)
            texts.append(one[: len(one) // 2] + other[len(other) // 2 :])
        paths.append(folder / f"{first:09}.parquet")
        pq.write_table(pa.table({"id": ids, "text": texts}), paths[-1], row_group_size=10_000)
    return paths


def resident(process: "subprocess.Popen[bytes]") -> float | None:
    """Give a process' memory in MiB; None if it has just ended."""
    memory = Path(f"/proc/{process.pid}/status").read_text().partition("VmRSS:")[2]
    return int(memory.split()[0]) / 1024 if memory else None


def test_memory_does_not_grow_with_the_input(
    tmp_path: Path, reviews: list[str], request: pytest.FixtureRequest
) -> None:
    rows = request.config.getoption("--score-rows")
    paths = generate(tmp_path / "in", rows, reviews)
    out, part_rows = tmp_path / "out", min(65_536, rows // 20)
    command = [SCORE, str(tmp_path / "in"), "--out", f"{out}/", "--part-rows", str(part_rows)]
    began = time.monotonic()
    seen: list[tuple[float, float]] = []  # share of the parts, MiB
    with subprocess.Popen(command) as process:
        while process.poll() is None:
            time.sleep(min(1.0, rows / 1_000_000))
            done = len(list(out.glob("part-*"))) / (rows / part_rows)
            if (mib := resident(process)) is not None and (done > 0 or not seen):
                seen.append((done, mib))
    assert process.returncode == 0
    thirds = [max(mib for done, mib in seen if low <= done < low + 0.34) for low in (0, 0.33, 0.66)]
    shown = " ".join(f"{mib:.0f}" for mib in thirds)
    pace = rows / (time.monotonic() - began)
    print(f"\n{rows:,} rows, {pace:,.0f}/s; most MiB in each third: {shown}")
    assert thirds[2] - thirds[0] < MOST_GROWTH
    whole = pq.read_table(out)
    assert whole["id"].to_pylist() == list(range(rows))
    for path in {paths[0], paths[len(paths) // 2], paths[-1]}:
        score(path, out=tmp_path / "apart.parquet", overwrite=True)
        apart = pq.read_table(tmp_path / "apart.parquet")
        assert whole.slice(apart["id"][0].as_py(), len(apart)).equals(apart)
