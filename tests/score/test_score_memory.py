"""Memory follows neither the length of the input nor the width of its rows."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scoring import SCORE, sentido_score, write_csv
from sentido_score import Options, ScoreError, score
from sentido_score.formats.opening import open_source
from sentido_score.formats.window import Position
from sentido_score.options import parse_bytes

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
    seen: list[float] = []  # MiB, from the first part on
    with subprocess.Popen(command) as process:
        while process.poll() is None:
            time.sleep(min(1.0, rows / 1_000_000))
            if (mib := resident(process)) is not None and next(out.glob("part-*"), None):
                seen.append(mib)
    assert process.returncode == 0
    thirds = [max(third) for third in np.array_split(seen, 3)]
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


MEMORY = 128 << 20
WIDTHS = {1: 2000, 20: 2000, 60: 1500}  # rows, by the KB of a column that nobody needs
FORMATS = ("csv", "jsonl", "parquet")
PROGRAM = """
import sys
from pathlib import Path
from sentido_score import Options, score

for path in sys.argv[2:]:
    Path("/proc/self/clear_refs").write_text("5")  # the peak is from here on
    score(path, out=path + ".out" + Path(path).suffix, options=Options(memory=int(sys.argv[1])))
    print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0], flush=True)
"""


def write_wide(path: Path, rows: int, width: int) -> Path:
    """Write rows with a column of so many KB, of which no two are alike."""
    generator = random.Random(width)
    blob = generator.randbytes(width * 1024).hex()

    def wide(row: int) -> str:
        return blob[2 * row % len(blob) :][: width * 512] + blob[: width * 1024 - width * 512]

    if path.suffix == ".parquet":
        schema = pa.schema([("text", pa.string()), ("wide", pa.string())])
        with pq.ParquetWriter(path, schema, write_batch_size=16) as writer:  # pages of 1 MB
            for first in range(0, rows, 500):
                some = [wide(row) for row in range(first, min(first + 500, rows))]
                writer.write_table(pa.table([["A good film."] * len(some), some], schema=schema))
        return path
    with path.open("w") as file:
        file.write("text,wide\n" if path.suffix == ".csv" else "")
        for row in range(rows):
            is_csv = path.suffix == ".csv"
            line = (
                f"A good film.,{wide(row)}" if is_csv else json.dumps({"text": "a", "w": wide(row)})
            )
            file.write(line + "\n")
    return path


@pytest.mark.parametrize("format", FORMATS)
def test_memory_does_not_grow_with_the_width_of_rows(format: str, tmp_path: Path) -> None:
    """The peak of a process, over that of a few rows, is at most what `--memory` allows."""
    few = write_wide(tmp_path / f"few.{format}", 10, 1)
    wide = [write_wide(tmp_path / f"{w}.{format}", rows, w) for w, rows in WIDTHS.items()]
    program = [sys.executable, "-c", PROGRAM, str(MEMORY), *map(str, (few, *wide))]
    as_the_command = {**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"}
    result = subprocess.run(program, capture_output=True, check=True, text=True, env=as_the_command)
    least, *peaks = (int(line) / 1024 for line in result.stdout.split())
    shown = ", ".join(f"{w} KB {p:.0f}" for w, p in zip(WIDTHS, peaks, strict=True))
    print(f"\n{format}, {MEMORY >> 20}MiB; MiB at most: few rows {least:.0f}, {shown}")
    assert max(peaks) - least <= MEMORY / (1 << 20)


def windows(path: Path, **options: object) -> Iterator[int]:
    """Return the bytes of each window's rows."""
    reader = open_source(path, Options(**options))  # type: ignore[arg-type]
    for window in reader.windows(Position()):
        rows = window.rows
        yield rows.nbytes if isinstance(rows, pa.Table) else sum(map(len, rows))


@pytest.mark.parametrize("format", FORMATS)
def test_windows_are_bounded_by_bytes_and_hold_every_row(format: str, tmp_path: Path) -> None:
    path = write_wide(tmp_path / f"in.{format}", 900, 20)
    most = Options(memory=MEMORY).window_bytes
    sizes = [*windows(path, memory=MEMORY)]
    assert len(sizes) > 5
    assert max(sizes) < 2 * most
    assert len([*windows(path, memory=4 << 30)]) < len(sizes)
    report = score(path, out=tmp_path / "out.jsonl", options=Options(memory=MEMORY))
    assert report.rows == 900


def test_a_value_that_a_dictionary_repeats_counts_as_often_as_it_stands_there(
    tmp_path: Path,
) -> None:
    long, path = "x" * 50_000, tmp_path / "in.parquet"
    text = pa.array(["good"] * 2000)
    for name, column in (("plain", pa.array([long] * 2000)), ("text", None)):
        texts = text if column is not None else pa.array([long] * 2000).dictionary_encode()
        pq.write_table(pa.table({"text": texts, name + "_": column or text}), path)
        assert path.stat().st_size < 1 << 20
        assert len([*windows(path, memory=MEMORY)]) >= 8


@pytest.mark.parametrize("format", FORMATS)
def test_a_run_goes_on_with_other_memory(format: str, tmp_path: Path) -> None:
    path, out = write_wide(tmp_path / f"in.{format}", 600, 20), tmp_path / "out.csv"
    calls: list[object] = []

    def stop(*_: object) -> None:
        calls.append(None)
        if len(calls) > 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score(path, out=out, options=Options(memory=MEMORY, part_rows=90), watch=stop)
    score(path, out=out, options=Options(memory=4 << 30, part_rows=90), resume=True)
    score(path, out=tmp_path / "whole.csv", options=Options(part_rows=90))
    assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_columns_that_are_not_passed_on_are_not_read(tmp_path: Path) -> None:
    path, out = tmp_path / "in.parquet", tmp_path / "out.csv"
    columns = {"id": range(3), "text": ["good"] * 3, "blob": ["x" * 500, "y" * 500, "z" * 500]}
    columns |= {"s": [{"text": "x"}] * 3, "s.text": ["y"] * 3}
    pq.write_table(pa.table(columns), path)
    blob = pq.read_metadata(path).row_group(0).column(2)
    data = bytearray(path.read_bytes())
    begin = blob.dictionary_page_offset or blob.data_page_offset
    data[begin : begin + blob.total_compressed_size] = b"\xff" * blob.total_compressed_size
    path.write_bytes(data)
    with pytest.raises(ScoreError, match=r"in\.parquet"):
        score(path, out=out)
    options = Options(columns=("s.text", "id", "label"))
    assert score(path, out=out, options=options, overwrite=True).errors == 0
    assert out.read_text().splitlines()[0] == "s.text,id,label"
    assert out.read_text().splitlines()[1].startswith("y,0,")


def test_memory_is_a_number_of_bytes_with_a_unit(tmp_path: Path) -> None:
    known = {"512MiB": 512 << 20, "2 gb": 2 * 10**9, "1.5GiB": 3 << 29, "70000000": 70_000_000}
    assert {text: parse_bytes(text) for text in known} == known
    for text in ("", "MiB", "5 parsec", "-1GiB", "1e9"):
        with pytest.raises(ValueError, match="is not a number of bytes such as 512MiB"):
            parse_bytes(text)
    with pytest.raises(
        ScoreError, match="memory: 1048576 is not a number of bytes of at least 128MiB"
    ):
        Options(memory=1 << 20)
    path, out = write_csv(tmp_path / "in.csv", ["good"]), tmp_path / "o.csv"
    result = sentido_score(path, "--out", out, "--memory", "5 parsec", code=2)
    assert b"is not a number of bytes" in result.stderr
    sentido_score(path, "--out", out, "--memory", "128MiB")
