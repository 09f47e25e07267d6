"""An input is a fixed list of files: each once, and each as it was when the run began."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from scoring import sentido_score, write_csv, write_jsonl, write_parquet
from sentido_score import Options, ScoreError, score

WRITERS = {"csv": write_csv, "jsonl": write_jsonl, "parquet": write_parquet}


def test_a_file_is_scored_once_however_often_it_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    path = write_csv(folder / "2026-11-26.csv", ["good", "bad"])
    (folder / "latest.csv").symlink_to(path)
    os.link(path, folder / "linked.csv")
    (tmp_path / "again").symlink_to(folder)
    sources: tuple[list[str | Path], ...] = (
        [folder],
        [path, path],
        [folder, f"{folder}/*.csv"],
        [f"file://{path}", path],
        [f"{folder}/../in/2026-11-26.csv", tmp_path / "again" / "latest.csv", path],
    )
    for number, source in enumerate(sources):
        assert score([*source], out=tmp_path / f"{number}.csv").rows == 2


def test_files_are_read_in_the_order_in_which_they_are_named_first(tmp_path: Path) -> None:
    first, second = (write_csv(tmp_path / f"{name}.csv", [name]) for name in "ba")
    out = tmp_path / "out.csv"
    score([first, second, first], out=out)
    assert [line.split(b",")[1] for line in out.read_bytes().splitlines()[1:]] == [b"b", b"a"]


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b'"half')


def rewrite(path: Path) -> None:
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data.replace(b"good", b"evil"))


@pytest.mark.parametrize("harm", [cut, grow, rewrite, Path.unlink])
@pytest.mark.parametrize("format", list(WRITERS))
def test_a_file_that_changes_before_it_is_read_ends_the_run(
    format: str, harm: Callable[[Path], None], tmp_path: Path
) -> None:
    write = WRITERS[format]
    first = write(tmp_path / f"a.{format}", ["good"] * 20_000)
    second = write(tmp_path / f"b.{format}", ["good"] * 1000)
    out = tmp_path / "out.csv"
    is_harmed: list[bool] = []

    def watch(*_: object) -> None:
        if not is_harmed:
            is_harmed.append(True)
            harm(second)

    with pytest.raises(ScoreError, match=rf"b\.{format}: was changed after the run began"):
        score([first, second], out=out, options=Options(part_rows=300), watch=watch)
    assert not out.exists()
    assert not Path(f"{out}.report.json").exists()


@pytest.mark.parametrize("harm", [cut, grow])
def test_a_file_that_changes_while_it_is_read_ends_the_run(
    harm: Callable[[Path], None], tmp_path: Path, reviews: list[str]
) -> None:
    path, out = write_csv(tmp_path / "in.csv", reviews[:6000]), tmp_path / "out.csv"
    is_harmed: list[bool] = []

    def watch(*_: object) -> None:
        if not is_harmed:
            is_harmed.append(True)
            harm(path)

    with pytest.raises(ScoreError, match=r"in\.csv: was changed after the run began"):
        score(path, out=out, options=Options(part_rows=300), watch=watch)
    assert not out.exists()
    result = sentido_score(path, "--out", out, "--part-rows", "300", "--resume", code=1)
    assert b"differs in the input" in result.stderr
    assert b"start anew with --overwrite" in result.stderr


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
@pytest.mark.parametrize("format", ["csv", "tsv", "jsonl", "txt"])
def test_a_file_in_utf_16_is_named_with_the_remedy(
    format: str, encoding: str, tmp_path: Path
) -> None:
    text = '{"text": "good"}\n' if format == "jsonl" else "text\tn\ngood\t1\n"
    path = tmp_path / f"in.{format}"
    path.write_bytes(text.encode(encoding))
    with pytest.raises(
        ScoreError, match=r"in\.\w+: is UTF-.*, not UTF-8: convert it first"
    ) as error:
        score(path, out=tmp_path / "out.jsonl")
    name = str(error.value).partition("iconv -f ")[2].partition(" ")[0]
    assert path.read_bytes().decode(name).lstrip("\ufeff") == text


def test_a_text_that_holds_nul_is_a_text(tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    for data in (b"a\0", b"a\0b", b"\0\0\0\0", b"ab\0\0cd\0\0", b"\xffgood\n"):
        path.write_bytes(data)
        assert score(path, out=tmp_path / "out.jsonl", overwrite=True).rows == 1
