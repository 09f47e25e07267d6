"""A run deletes and replaces only what a run of the same output wrote."""

import json
import os
from pathlib import Path

import pytest
from scoring import sentido_score, write_csv, write_jsonl
from sentido_score import Options, RunStats, ScoreError, score
from sentido_score.files.work_folders import Record

PARTS = Options(part_rows=300)


def contents(folder: Path) -> dict[str, bytes]:
    """Give every file below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def broken_off(source: Path, out: Path | str) -> None:
    """Leave a run with some parts finished, and not all."""

    class EnoughError(Exception):
        pass

    def watch(counts: RunStats, _share: float | None) -> None:
        if counts.rows > 700:
            raise EnoughError

    with pytest.raises(EnoughError):
        score(source, out=out, options=PARTS, watch=watch)


@pytest.mark.parametrize("flags", [(), ("--resume",), ("--overwrite",)])
@pytest.mark.parametrize("out", ["reviews/", "reviews.csv"])
def test_a_folder_in_the_work_folders_place_keeps_all_that_is_in_it(
    out: str, flags: tuple[str, ...], tmp_path: Path
) -> None:
    folder = tmp_path / f"{out.rstrip('/')}.parts"
    folder.mkdir()
    write_csv(folder / "a.csv", ["good"])
    (folder / "part-00000.csv").write_bytes(b"mine")
    (folder / "run.json").write_bytes(b'{"mine": 1}')
    before = contents(tmp_path)
    source = write_csv(tmp_path.parent / f"{tmp_path.name}.csv", ["good"])
    for read in (source, folder / "a.csv"):
        result = sentido_score(read, "--out", f"{tmp_path}/{out}", *flags, code=1)
        assert folder.name.encode() in result.stderr
        assert b"choose another output" in result.stderr
    assert contents(tmp_path) == before


def test_a_file_of_others_whose_name_is_not_utf8_is_refused_like_any_other(tmp_path: Path) -> None:
    source, name = write_csv(tmp_path / "in.csv", ["x"]), os.fsdecode(b"caf\xe9")
    for folder in ("out", "x.csv.parts"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes(b"mine")
    assert score(source, out=f"{tmp_path}/out/").rows == 1
    with pytest.raises(ScoreError, match=r"caf\\udce9': is not of the output that is to be"):
        score(source, out=f"{tmp_path}/out/", overwrite=True)
    with pytest.raises(ScoreError, match=r"x\.csv\.parts: is not the work folder of this output"):
        score(source, out=tmp_path / "x.csv")


def test_the_work_folder_of_another_output_is_not_taken_over(
    tmp_path: Path, reviews: list[str]
) -> None:
    source = write_csv(tmp_path / "in.csv", reviews[:1000])
    broken_off(source, tmp_path / "a.csv")
    (tmp_path / "a.csv.parts").rename(tmp_path / "b.csv.parts")
    before = contents(tmp_path)
    with pytest.raises(ScoreError, match=r"its record names '.*a\.csv'"):
        score(source, out=tmp_path / "b.csv", options=PARTS, overwrite=True)
    assert contents(tmp_path) == before


def test_what_others_put_into_our_work_folder_stays(tmp_path: Path, reviews: list[str]) -> None:
    source, out = write_csv(tmp_path / "in.csv", reviews[:1000]), tmp_path / "out.csv"
    broken_off(source, out)
    note = tmp_path / "out.csv.parts" / "note.txt"
    note.write_bytes(b"mine")
    score(source, out=out, options=PARTS, overwrite=True)
    assert contents(tmp_path / "out.csv.parts") == {"note.txt": b"mine"}


def test_an_empty_work_folder_is_used_and_removed(tmp_path: Path) -> None:
    source, out = write_csv(tmp_path / "in.csv", ["x"]), tmp_path / "out.csv"
    (tmp_path / "out.csv.parts").mkdir()
    (tmp_path / "out.csv.parts" / "lock").touch()  # killed before there was a record
    score(source, out=out)
    assert not (tmp_path / "out.csv.parts").exists()


@pytest.mark.parametrize("size", [0, 1, 20, 100])
def test_a_work_folder_without_a_whole_record_yet_is_used_and_removed(
    size: int, tmp_path: Path
) -> None:
    path, out = write_jsonl(tmp_path / "in.jsonl", ["fine"]), tmp_path / "out.jsonl"
    work = Path(f"{out}.parts")
    work.mkdir()
    (work / "lock").touch()
    record = Record(str(out), {"bundle": "x" * 64}).encode()
    (work / "run.json.tmp").write_bytes(record[:size])
    sentido_score(path, "--out", out)
    assert out.exists()
    assert not work.exists()


def test_what_a_run_leaves_that_is_killed_in_its_last_step_goes_with_the_next(
    tmp_path: Path,
) -> None:
    source, out = write_csv(tmp_path / "in.csv", ["good"]), tmp_path / "out.csv"
    score(source, out=out)
    left = tmp_path / "out.csv.parts"
    left.mkdir()
    (left / "lock").touch()
    score(source, out=out, resume=True)
    assert not left.exists()


def test_a_file_of_others_by_the_name_of_a_begun_record_stays(tmp_path: Path) -> None:
    path, out = write_jsonl(tmp_path / "in.jsonl", ["fine"]), tmp_path / "out.jsonl"
    work = Path(f"{out}.parts")
    work.mkdir()
    (work / "run.json.tmp").write_bytes(b"{'mine': 1}")
    result = sentido_score(path, "--out", out, code=1)
    assert b"is not the work folder of this output" in result.stderr
    assert (work / "run.json.tmp").read_bytes() == b"{'mine': 1}"


def test_a_report_with_values_of_other_types_is_none_of_ours(tmp_path: Path) -> None:
    path, out = write_jsonl(tmp_path / "in.jsonl", ["fine"]), tmp_path / "out.jsonl"
    score(path, out=out)
    report = tmp_path / "out.jsonl.report.json"
    facts = json.loads(report.read_bytes())
    for name in facts:
        for other in (None, [5]):
            report.write_text(json.dumps({**facts, name: other}))
            with pytest.raises(ScoreError, match="is not a report of sentido-score"):
                score(path, out=out, resume=True)
    report.write_text("[" * 100_000)
    with pytest.raises(ScoreError, match="is not a report of sentido-score"):
        score(path, out=out, overwrite=True)


@pytest.mark.parametrize("is_folder", [True, False])
def test_what_is_no_report_is_not_replaced_by_one(is_folder: bool, tmp_path: Path) -> None:
    source, report = write_csv(tmp_path / "in.csv", ["x"]), tmp_path / "out.csv.report.json"
    if is_folder:
        report.mkdir()
        (report / "mine").write_bytes(b"mine")
    else:
        report.write_bytes(b'{"rows": 3}')
    before = contents(tmp_path)
    for flags in ((), ("--resume",), ("--overwrite",)):
        result = sentido_score(source, "--out", tmp_path / "out.csv", *flags, code=1)
        assert b"out.csv.report.json: is not a report of sentido-score" in result.stderr
    assert contents(tmp_path) == before


def test_what_stands_beside_an_output_is_not_used_to_write_it(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "in.csv", ["x"])
    for name in ("out.csv.tmp", "out.csv.report.json.tmp"):
        (tmp_path / name).write_bytes(b"mine")
    score(source, out=tmp_path / "out.csv")
    for name in ("out.csv.tmp", "out.csv.report.json.tmp"):
        assert (tmp_path / name).read_bytes() == b"mine"


def test_a_folder_with_a_file_of_others_is_not_replaced(tmp_path: Path, reviews: list[str]) -> None:
    source, out = write_csv(tmp_path / "in.csv", reviews[:700]), tmp_path / "out"
    score(source, out=f"{out}/", options=PARTS)
    (out / "mine.csv").write_bytes(b"mine")
    before = contents(tmp_path)
    with pytest.raises(ScoreError, match=r"mine\.csv: is not of the output that is to be replaced"):
        score(source, out=f"{out}/", options=PARTS, overwrite=True)
    assert contents(tmp_path) == before
    (out / "mine.csv").unlink()
    score(source, out=f"{out}/", options=Options(part_rows=1000), overwrite=True)
    assert [path.name for path in out.iterdir()] == ["part-00000.csv"]


@pytest.mark.parametrize("name", ["out", "OUT/../out", "link", "file:"])
def test_no_input_lies_in_the_output_folder_however_it_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "OUT").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "out")
    write_csv(tmp_path / "out" / "part-00000.csv", ["x"])
    write_csv(tmp_path / "out" / "in.csv", ["x"])
    before = contents(tmp_path)
    source = f"file://{tmp_path}/out" if name == "file:" else f"{tmp_path}/{name}"
    for out in (f"{tmp_path}/out/", f"{tmp_path}/link/", f"file://{tmp_path}/out/"):
        for flag in ("--resume", "--overwrite"):
            result = sentido_score(f"{source}/in.csv", "--out", out, flag, code=1)
            assert b"where the run writes: choose another output" in result.stderr
    assert contents(tmp_path) == before


def test_a_report_of_the_output_is_no_input(tmp_path: Path) -> None:
    source, out = write_csv(tmp_path / "in.csv", ["x"]), tmp_path / "out.csv"
    score(source, out=out)
    report = tmp_path / "out.csv.report.json"
    before = report.read_bytes()
    flags = ("--out", out, "--overwrite", "--input-format", "text")
    result = sentido_score(report, *flags, code=1)
    assert b"where the run writes" in result.stderr
    assert report.read_bytes() == before


@pytest.mark.parametrize("out", ["scored.jsonl", "scored/"])
@pytest.mark.parametrize("again", [True, False])
def test_the_parts_of_a_run_that_broke_off_are_not_read_as_input(
    again: bool, out: str, tmp_path: Path, reviews: list[str]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write_jsonl(folder / "in.jsonl", reviews[:1000])
    broken_off(folder, f"{folder}/{out}")
    assert score(folder, out=tmp_path / "other.jsonl").rows == 1000
    assert score(f"{folder}/**/*.jsonl", out=tmp_path / "glob.jsonl").rows == 1000
    report = score(folder, out=f"{folder}/{out}", options=PARTS, resume=again, overwrite=not again)
    assert report.rows == 1000


def test_naming_what_is_not_finished_says_so(tmp_path: Path, reviews: list[str]) -> None:
    source, out = write_csv(tmp_path / "in.csv", reviews[:1000]), tmp_path / "out"
    broken_off(source, f"{out}/")
    for name in ("out", "out/part-00000.csv", "out.parts", "out.parts/state.json"):
        with pytest.raises(ScoreError, match="belongs to a run that has not finished"):
            score(tmp_path / name, out=tmp_path / "other.csv")
    assert json.loads((tmp_path / "out.parts" / "run.json").read_text())["output"] == str(out)
