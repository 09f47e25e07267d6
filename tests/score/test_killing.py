"""A run that ends early goes on where it was: no row twice, none missing, no half output."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from scoring import (
    SCORE,
    kill_and_resume,
    killed,
    sentido_score,
    write_csv,
    write_jsonl,
    write_parquet,
)
from sentido_score import Options, RunStats, ScoreError, score
from waiting import PATIENCE, wait_for

PARTS = ("--part-rows", "300")


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
def test_a_run_that_is_killed_goes_on_to_the_same_output(
    format: str, tmp_path: Path, reviews: list[str], request: pytest.FixtureRequest
) -> None:
    write = {"csv": write_csv, "jsonl": write_jsonl, "parquet": write_parquet}[format]
    path = write(tmp_path / f"in.{format}", reviews[::5])
    out, whole = tmp_path / f"out.{format}", tmp_path / f"whole.{format}"
    sentido_score(path, "--out", whole, *PARTS)
    kills = request.config.getoption("--score-kills") // 3 + 1
    kill_and_resume([path, *PARTS], out, kills)
    if format == "parquet":
        assert pq.read_table(out).equals(pq.read_table(whole))
    assert out.read_bytes() == whole.read_bytes()
    assert not Path(f"{out}.parts").exists()


def parted(tmp_path: Path, reviews: list[str]) -> tuple[Path, Path]:
    """Give an input and an output of which some parts are finished, and not all."""
    path, out = write_csv(tmp_path / "in.csv", reviews[:1500]), tmp_path / "out.csv"

    class EnoughError(Exception):
        pass

    def watch(counts: RunStats, share: float | None) -> None:
        if counts.rows > 800 and share is not None:
            raise EnoughError

    with pytest.raises(EnoughError):
        score(path, out=out, options=Options(part_rows=300), watch=watch)
    assert not out.exists()
    assert json.loads((tmp_path / "out.csv.parts" / "state.json").read_text())["parts"] >= 2
    return path, out


def test_what_is_finished_is_not_scored_again(tmp_path: Path, reviews: list[str]) -> None:
    path, out = parted(tmp_path, reviews)
    first = (tmp_path / "out.csv.parts" / "part-00000.csv").stat().st_mtime_ns
    seen: list[int] = []

    def watch(counts: RunStats, _share: float | None) -> None:
        seen.append(counts.rows)
        part = tmp_path / "out.csv.parts" / "part-00000.csv"
        assert part.stat().st_mtime_ns == first

    report = score(path, out=out, options=Options(part_rows=300), resume=True, watch=watch)
    assert seen[0] >= 600
    assert report.rows == 1500
    again = score(path, out=tmp_path / "other.csv")
    assert (again.tokens, again.unknown_words) == (report.tokens, report.unknown_words)
    assert (tmp_path / "other.csv").read_bytes() == out.read_bytes()


def test_a_resumed_run_must_be_the_same_run(
    tmp_path: Path, reviews: list[str], small_bundle: Path
) -> None:
    path, out = parted(tmp_path, reviews)
    options = Options(part_rows=300)
    with pytest.raises(ScoreError, match=r"differs in embed \(None then, 'mean' now\)"):
        score(path, out=out, options=Options(part_rows=300, embed="mean"), resume=True)
    with pytest.raises(ScoreError, match="differs in bundle"):
        score(path, small_bundle, out=out, options=options, resume=True)
    more = write_csv(tmp_path / "more.csv", ["good"])
    with pytest.raises(ScoreError, match="1 files then, 2 now"):
        score([path, more], out=out, options=options, resume=True)
    with pytest.raises(ScoreError, match="was not finished: go on with --resume"):
        score(path, out=out, options=options)
    os.utime(path, (1, 1))
    with pytest.raises(ScoreError, match=r"in\.csv was written to since"):
        score(path, out=out, options=options, resume=True)
    path.write_bytes(path.read_bytes() + b"1,more,x\n")
    with pytest.raises(ScoreError, match=r"in\.csv had \d+ bytes, it has \d+ now"):
        score(path, out=out, options=options, resume=True)
    assert score(path, out=out, options=options, overwrite=True).rows == 1501


def test_a_run_is_resumed_from_another_folder_by_other_ways_to_the_same_files(
    tmp_path: Path, reviews: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    parted(tmp_path, reviews)
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    report = score("../in.csv", out="../out.csv", options=Options(part_rows=300), resume=True)
    assert report.rows == 1500
    assert score("../sub/../in.csv", out="../out.csv", options=Options(part_rows=300), resume=True)


def test_resuming_starts_what_was_not_begun_and_leaves_what_is_finished(tmp_path: Path) -> None:
    path, out = write_csv(tmp_path / "in.csv", ["good", "bad"]), tmp_path / "out.csv"
    sentido_score(path, "--out", out, "--resume")
    before = (out.stat().st_mtime_ns, out.stat().st_ino)
    result = sentido_score(path, "--out", out, "--resume")
    assert b"finished already" in result.stderr
    assert (out.stat().st_mtime_ns, out.stat().st_ino) == before
    result = sentido_score(path, "--out", out, "--resume", "--prefix", "x_", code=1)
    assert b"is finished, but it differs in prefix ('' then, 'x_' now)" in result.stderr
    result = sentido_score(path, "--out", out, code=1)
    assert b"exists: --resume goes on with an unfinished run, --overwrite replaces it" in (
        result.stderr
    )
    os.utime(path, (1, 1))
    result = sentido_score(path, "--out", out, "--resume", code=1)
    assert b"the input (other files, or one of them was written to since)" in result.stderr
    (tmp_path / "out.csv.report.json").unlink()
    result = sentido_score(path, "--out", out, "--resume", code=1)
    assert b"does not tell whose it is" in result.stderr
    sentido_score(path, "--out", out, "--overwrite")
    result = sentido_score("-", "--out", tmp_path / "x.csv", "--resume", code=1, stdin=b"")
    assert b"standard input cannot be read again" in result.stderr


def test_a_folder_holds_finished_parts_only(tmp_path: Path, reviews: list[str]) -> None:
    path, out = write_jsonl(tmp_path / "in.jsonl", reviews[:1000]), tmp_path / "out"
    sentido_score(path, "--out", f"{out}/", *PARTS, "--format", "parquet")
    names = sorted(part.name for part in out.iterdir())
    assert names == [f"part-{number:05}.parquet" for number in range(4)]
    score(path, out=tmp_path / "whole.parquet")
    assert pq.read_table(out).equals(pq.read_table(tmp_path / "whole.parquet"))
    result = sentido_score(path, "--out", f"{out}/", *PARTS, "--format", "parquet", code=1)
    assert b"exists" in result.stderr
    again = tmp_path / "again"
    flags: list[str | Path] = [
        path,
        "--out",
        f"{again}/",
        *PARTS,
        "--format",
        "parquet",
        "--resume",
    ]
    killed(flags, again, 0.1)
    sentido_score(*flags)
    found = [part.read_bytes() for part in sorted(again.iterdir())]
    assert found == [part.read_bytes() for part in sorted(out.iterdir())]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_says_how_to_resume(
    number: signal.Signals, code: int, tmp_path: Path, reviews: list[str]
) -> None:
    path, out = write_csv(tmp_path / "in.csv", reviews[::2]), tmp_path / "out.csv"
    command: list[str | Path] = [SCORE, path, "--out", out, "--part-rows", "200"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        wait_for((tmp_path / "out.csv.parts" / "part-00000.csv").exists)
        process.send_signal(number)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == code
    assert b"the same command with --resume goes on" in said
    assert b"Traceback" not in said
    assert not out.exists()
    assert not list((tmp_path / "out.csv.parts").glob("*.tmp"))


def test_two_runs_do_not_write_one_output(tmp_path: Path, reviews: list[str]) -> None:
    path, out = write_csv(tmp_path / "in.csv", reviews[::2]), tmp_path / "out.csv"
    command: list[str | Path] = [SCORE, path, "--out", out, "--part-rows", "200"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        wait_for((tmp_path / "out.csv.parts" / "part-00000.csv").exists)
        process.send_signal(signal.SIGSTOP)  # so that it is still writing, however fast it is
        result = sentido_score(path, "--out", out, "--part-rows", "200", "--resume", code=1)
        assert b"another run is writing it" in result.stderr
        process.kill()


@pytest.mark.needs("unshare")
def test_a_full_disk_is_said_and_what_is_finished_is_kept(
    tmp_path: Path, reviews: list[str]
) -> None:
    path = write_csv(tmp_path / "in.csv", reviews[:3000])
    script = f"""
mount -t tmpfs -o size=2m tmpfs {tmp_path}/disk || exit 90
{SCORE} {path} --out {tmp_path}/disk/out.csv --part-rows 300; echo "code $?"
test -e {tmp_path}/disk/out.csv && echo half
ls {tmp_path}/disk/out.csv.parts
mount -o remount,size=64m {tmp_path}/disk
{SCORE} {path} --out {tmp_path}/disk/out.csv --part-rows 300 --resume; echo "code $?"
cp {tmp_path}/disk/out.csv {tmp_path}/out.csv
"""
    (tmp_path / "disk").mkdir()
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", script]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if result.returncode == 90 or "unshare:" in result.stderr:
        pytest.skip("this machine lets nobody mount a tmpfs")
    assert "No space left on device" in result.stderr
    assert "Traceback" not in result.stderr
    assert "half" not in result.stdout
    assert [line for line in result.stdout.splitlines() if line.startswith("code")] == [
        "code 1",
        "code 0",
    ]
    assert "part-00000.csv" in result.stdout
    assert ".tmp" not in result.stdout
    score(path, out=tmp_path / "whole.csv")
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
