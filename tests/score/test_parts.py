"""A part is finished when its rows, bytes and digest are on record; the report comes last."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scoring import sentido_score, write_csv
from sentido_score import Options, RunStats, ScoreError, score

PARTS = Options(part_rows=300)


class EnoughError(Exception):
    pass


def broken_off(source: Path, out: str) -> None:
    """Leave a run with some parts finished, and not all."""

    def watch(counts: RunStats, _share: float | None) -> None:
        if counts.rows > 700:
            raise EnoughError

    with pytest.raises(EnoughError):
        score(source, out=out, options=PARTS, watch=watch)


def in_half(part: Path) -> None:
    part.write_bytes(part.read_bytes()[: part.stat().st_size // 2])


def other_bytes(part: Path) -> None:
    part.write_bytes(part.read_bytes().swapcase())


@pytest.mark.parametrize("harm", [Path.unlink, in_half, other_bytes])
@pytest.mark.parametrize("is_folder", [True, False])
def test_a_finished_part_that_is_harmed_is_scored_again(
    is_folder: bool, harm: Callable[[Path], None], tmp_path: Path, reviews: list[str]
) -> None:
    source, whole = write_csv(tmp_path / "in.csv", reviews[:1000]), tmp_path / "whole.csv"
    score(source, out=whole)
    out = f"{tmp_path}/out/" if is_folder else f"{tmp_path}/out.csv"
    broken_off(source, out)
    parts = tmp_path / ("out" if is_folder else "out.csv.parts")
    harm(parts / "part-00001.csv")
    report = score(source, out=out, options=PARTS, resume=True)
    assert report.rows == 1000
    if is_folder:
        lines = [part.read_bytes().split(b"\n", 1) for part in sorted(parts.iterdir())]
        assert lines[0][0] + b"\n" + b"".join(rest for _, rest in lines) == whole.read_bytes()
    else:
        assert Path(out).read_bytes() == whole.read_bytes()


def test_a_part_that_goes_while_the_run_goes_on_is_scored_again(
    tmp_path: Path, reviews: list[str]
) -> None:
    source, out = write_csv(tmp_path / "in.csv", reviews[:1000]), tmp_path / "out.csv"
    taken: list[Path] = []

    def watch(counts: RunStats, _share: float | None) -> None:
        if counts.rows > 700 and not taken:
            taken.append(tmp_path / "out.csv.parts" / "part-00001.csv")
            taken[0].unlink()

    assert score(source, out=out, options=PARTS, watch=watch).rows == 1000
    assert taken
    score(source, out=tmp_path / "whole.csv")
    assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()


@pytest.mark.parametrize("count", [200, 1000])
def test_there_is_no_report_without_its_output(
    count: int, tmp_path: Path, reviews: list[str]
) -> None:
    source, out = write_csv(tmp_path / "in.csv", reviews[:count]), tmp_path / "out.csv"

    def stand_in_the_way(*_: object) -> None:
        out.mkdir(exist_ok=True)

    with pytest.raises(ScoreError, match=r"out\.csv: cannot be written"):
        score(source, out=out, options=PARTS, watch=stand_in_the_way)
    assert not (tmp_path / "out.csv.report.json").exists()
    out.rmdir()
    assert score(source, out=out, options=PARTS, resume=True).rows == count
    assert not (tmp_path / "out.csv.parts").exists()


def test_an_old_output_keeps_its_report_until_the_new_one_is_whole(
    tmp_path: Path, reviews: list[str]
) -> None:
    source, out = write_csv(tmp_path / "in.csv", reviews[:1000]), tmp_path / "out.csv"
    report = tmp_path / "out.csv.report.json"
    score(source, out=out)
    before = out.read_bytes(), report.read_bytes()

    def watch(*_: object) -> None:
        assert (out.read_bytes(), report.read_bytes()) == before

    score(source, out=out, options=PARTS, overwrite=True, watch=watch)
    assert report.read_bytes() != before[1]


@pytest.mark.parametrize("is_in_one_part", [True, False])
def test_an_old_output_keeps_its_report_if_the_new_one_cannot_be_put_together(
    is_in_one_part: bool, tmp_path: Path, reviews: list[str]
) -> None:
    source, out = write_csv(tmp_path / "in.csv", reviews[:1000]), tmp_path / "out.csv"
    report = tmp_path / "out.csv.report.json"
    score(source, out=out)
    before = out.read_bytes(), report.read_bytes()
    in_the_way = "part-00000.csv" if is_in_one_part else "whole.tmp"

    def stand_in_the_way(*_: object) -> None:
        (tmp_path / "out.csv.parts" / in_the_way).mkdir(exist_ok=True)

    options = Options() if is_in_one_part else PARTS
    with pytest.raises(ScoreError, match="cannot be written"):
        score(source, out=out, options=options, overwrite=True, watch=stand_in_the_way)
    assert (out.read_bytes(), report.read_bytes()) == before
    (tmp_path / "out.csv.parts" / in_the_way).rmdir()
    score(source, out=out, options=options, resume=True)
    assert report.read_bytes() != before[1]


def test_the_report_of_a_folder_lists_its_files(tmp_path: Path, reviews: list[str]) -> None:
    source, out = write_csv(tmp_path / "in.csv", reviews[:700]), tmp_path / "out"
    score(source, out=f"{out}/", options=PARTS)
    listed = json.loads((tmp_path / "out.report.json").read_text())["parts"]
    assert [part["rows"] for part in listed] == [300, 300, 100]
    for part in listed:
        data = (out / part["name"]).read_bytes()
        assert (part["bytes"], part["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize(
    ("harm", "said"),
    [(Path.unlink, "is missing"), (lambda part: part.write_bytes(b"id"), "has 2 bytes")],
    ids=["missing", "cut"],
)
def test_a_part_that_a_finished_folder_lacks_is_named(
    harm: Callable[[Path], object], said: str, tmp_path: Path, reviews: list[str]
) -> None:
    path, out = write_csv(tmp_path / "in.csv", reviews[:300]), tmp_path / "out"
    options = Options(part_rows=100, format="csv")
    score(path, out=f"{out}/", options=options)
    part = out / "part-00001.csv"
    whole = part.read_bytes()
    harm(part)
    with pytest.raises(ScoreError) as refused:
        score(path, out=f"{out}/", options=options, resume=True)
    assert str(refused.value) == (
        f"{part}: {said}, and the report of the finished output says {len(whole)} bytes: put it"
        " back, or start anew with --overwrite"
    )
    score(path, out=f"{out}/", options=options, overwrite=True)
    assert part.read_bytes() == whole
    assert score(path, out=f"{out}/", options=options, resume=True).was_finished


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet"])
def test_a_finished_file_that_is_changed_is_named(
    ending: str, tmp_path: Path, reviews: list[str]
) -> None:
    path, out = write_csv(tmp_path / "in.csv", reviews[:300]), tmp_path / f"out.{ending}"
    size = score(path, out=out, options=PARTS).output_bytes
    assert size == out.stat().st_size
    assert score(path, out=out, options=PARTS, resume=True).was_finished
    with out.open("ab") as file:
        file.write(b"\n")
    with pytest.raises(ScoreError) as refused:
        score(path, out=out, options=PARTS, resume=True)
    assert str(refused.value) == (
        f"{out}: has {size + 1} bytes, and the report of the finished output says {size} bytes: put"
        " it back, or start anew with --overwrite"
    )


def test_a_part_that_others_put_into_a_folder_is_neither_kept_silently_nor_removed(
    tmp_path: Path, reviews: list[str]
) -> None:
    source, out = write_csv(tmp_path / "in.csv", reviews[:1000]), tmp_path / "out"
    broken_off(source, f"{out}/")
    (out / "part-00009.csv").write_bytes(b"mine")
    with pytest.raises(ScoreError, match=r"part-00009\.csv: is not of the output"):
        score(source, out=f"{out}/", options=PARTS, resume=True)
    (out / "part-00009.csv").rename(tmp_path / "mine")
    score(source, out=f"{out}/", options=PARTS, resume=True)
    assert sorted(part.name for part in out.iterdir()) == [f"part-0000{n}.csv" for n in range(4)]


def test_a_damaged_state_begins_the_run_anew(tmp_path: Path, reviews: list[str]) -> None:
    source, out = write_csv(tmp_path / "in.csv", reviews[:1000]), tmp_path / "out.csv"
    for number, damage in enumerate((b"", b"[]", b"\xff", b"[" * 100_000, b'{"parts": "x"}')):
        broken_off(source, str(out))
        name = "part-00000.json" if number % 2 else "state.json"
        (tmp_path / "out.csv.parts" / name).write_bytes(damage)
        assert score(source, out=out, options=PARTS, resume=True).rows == 1000
        out.unlink()


def test_parquet_of_fewer_rows_than_its_footer_says_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    pq.write_table(
        pa.table({"text": list("abcde")}),
        path,
        compression="none",
        use_dictionary=False,
        store_schema=False,
        write_statistics=False,
    )
    data = path.read_bytes()
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    claims = data[footer:].replace(b"\x16\x0a", b"\x16\x10")  # 8 rows for 5
    path.write_bytes(data[:footer] + claims)
    result = sentido_score(path, "--out", tmp_path / "out.csv", code=1)
    assert b"row group 0 holds 5 rows, its footer says 8" in result.stderr
    assert not (tmp_path / "out.csv").exists()
