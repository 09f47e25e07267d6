"""An older output is there, whole, until the new one is; modes are kept, others' files too."""

import json
import os
import random
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from scoring import killed, sentido_score, write_csv
from sentido_score import Options, RunStats, ScoreError, score

PARTS = Options(part_rows=300)


class EnoughError(Exception):
    pass


def enough(counts: RunStats, _share: float | None) -> None:
    if counts.rows > 700:
        raise EnoughError


def contents(folder: Path) -> dict[str, bytes]:
    """Give every file of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def source(tmp_path: Path, reviews: list[str]) -> Path:
    return write_csv(tmp_path / "in.csv", reviews[:1000])


@pytest.fixture
def out(tmp_path: Path, source: Path) -> Path:
    """An output of parts that no other run of the tests gives."""
    score(source, out=f"{tmp_path}/out/", options=Options(part_rows=150, prefix="old_"))
    return tmp_path / "out"


def replaced_in_part(source: Path, out: Path) -> None:
    """Leave a run that was to replace a folder, with some parts finished."""
    with pytest.raises(EnoughError):
        score(source, out=f"{out}/", options=PARTS, overwrite=True, watch=enough)


def assert_is_new(out: Path) -> None:
    """Fail unless a folder holds the new output, and nothing of its making is left."""
    found, report = contents(out), json.loads(Path(f"{out}.report.json").read_text())
    assert sorted(found) == [f"part-0000{number}.csv" for number in range(4)]
    assert [part["bytes"] for part in report["parts"]] == [
        len(found[name]) for name in sorted(found)
    ]
    assert all(data.startswith(b"id,text,note,label") for data in found.values())
    assert not Path(f"{out}.parts").exists()


def test_an_old_folder_and_its_report_are_there_until_the_new_one_is_whole(
    source: Path, out: Path
) -> None:
    report = Path(f"{out}.report.json")
    before = contents(out), report.read_bytes()

    def watch(*_: object) -> None:
        assert (contents(out), report.read_bytes()) == before

    score(source, out=f"{out}/", options=PARTS, overwrite=True, watch=watch)
    assert_is_new(out)


def test_a_run_that_replaces_a_folder_is_resumed(source: Path, out: Path) -> None:
    before = contents(out)
    replaced_in_part(source, out)
    assert contents(out) == before
    assert score(source, out=f"{out}/", options=PARTS, resume=True).rows == 1000
    assert_is_new(out)


def test_a_run_that_replaces_a_folder_may_be_begun_anew(source: Path, out: Path) -> None:
    before = contents(out)
    replaced_in_part(source, out)
    replaced_in_part(source, out)
    assert contents(out) == before
    score(source, out=f"{out}/", options=PARTS, overwrite=True)
    assert_is_new(out)


@pytest.mark.parametrize("flag", ["--resume", "--overwrite", ""])
@pytest.mark.parametrize("slash", ["/", ""])
def test_a_kill_between_the_two_renames_is_mended_by_the_next_run(
    slash: str, flag: str, source: Path, out: Path
) -> None:
    before = contents(out)
    replaced_in_part(source, out)
    out.rename(f"{out}.parts/old")  # the first of the two
    flags = ("--out", f"{out}{slash}", "--part-rows", "300", "--format", "csv")
    if not flag:
        result = sentido_score(source, *flags, code=1)
        assert b"a run of it was not finished: go on with --resume" in result.stderr
        assert contents(out) == before
        return
    sentido_score(source, *flags[:4], flag)
    assert_is_new(out)


@pytest.mark.parametrize("is_on_record", [True, False])
@pytest.mark.parametrize("again", [{"resume": True}, {"overwrite": True}])
def test_a_run_that_is_killed_behind_the_renames_is_finished(
    again: dict[str, bool], is_on_record: bool, source: Path, out: Path
) -> None:
    in_the_way = Path(f"{out}.parts/report.json.tmp")

    def watch(*_: object) -> None:
        in_the_way.mkdir(exist_ok=True)

    with pytest.raises(ScoreError, match=r"cannot be written: Is a directory"):
        score(source, out=f"{out}/", options=PARTS, overwrite=True, watch=watch)
    in_the_way.rmdir()
    assert len(contents(out)) == 4
    assert not Path(f"{out}.report.json").exists()
    state = Path(f"{out}.parts/state.json")
    if not is_on_record:
        state.write_text(state.read_text().replace('"is_assembled": true', '"is_assembled": false'))
    score(source, out=f"{out}/", options=PARTS, **again)  # type: ignore[arg-type]
    assert_is_new(out)


def test_a_run_that_replaces_a_folder_may_be_killed_at_any_moment(source: Path, out: Path) -> None:
    old = contents(out)
    generator = random.Random(7)
    flags: list[str | Path] = [source, "--out", f"{out}/", "--part-rows", "300"]
    for _ in range(3):
        if not killed([*flags, "--overwrite"], out, generator.uniform(0, 0.6)):
            break
        assert contents(out) == old or len(contents(out)) == 4 or Path(f"{out}.parts/old").exists()
    sentido_score(*flags, "--overwrite" if len(contents(out)) == 4 else "--resume")
    assert_is_new(out)


@pytest.mark.parametrize("name", ["mine.csv", "part-00007.csv", "part-00000.csv.tmp", "sub"])
@pytest.mark.parametrize("is_begun", [True, False])
def test_a_folder_that_holds_anything_else_is_not_replaced(
    is_begun: bool, name: str, source: Path, out: Path
) -> None:
    if is_begun:
        replaced_in_part(source, out)
    if name == "sub":
        (out / name).mkdir()
    else:
        (out / name).write_bytes(b"mine")
    before = sorted(path.name for path in out.iterdir())
    with pytest.raises(ScoreError, match=rf"{name}/?: is not of the output that is to be replaced"):
        score(source, out=f"{out}/", options=PARTS, overwrite=True)
    if is_begun:
        with pytest.raises(ScoreError, match=rf"{name}/?: is not of the output"):
            score(source, out=f"{out}/", options=PARTS, resume=True)
    assert sorted(path.name for path in out.iterdir()) == before
    if name != "sub":
        (out / name).unlink()
    else:
        (out / name).rmdir()
    score(source, out=f"{out}/", options=PARTS, resume=is_begun, overwrite=not is_begun)
    assert_is_new(out)


def test_a_half_output_of_another_format_is_replaced(tmp_path: Path, source: Path) -> None:
    out = tmp_path / "half"
    with pytest.raises(EnoughError):
        score(source, out=f"{out}/", options=Options(format="jsonl", part_rows=300), watch=enough)
    (out / "part-00002.jsonl.tmp").write_bytes(b"killed while it was written")
    score(source, out=f"{out}/", options=PARTS, overwrite=True)
    assert_is_new(out)


@pytest.mark.parametrize("rows", [200, 1000])
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_a_replaced_file_keeps_its_mode_and_so_do_its_parts(
    mode: int, rows: int, tmp_path: Path, reviews: list[str]
) -> None:
    source, out = write_csv(tmp_path / "in.csv", reviews[:rows]), tmp_path / "out.csv"
    score(source, out=out)
    report = tmp_path / "out.csv.report.json"
    out.chmod(mode)

    def watch(*_: object) -> None:
        for part in (tmp_path / "out.csv.parts").glob("part-*.csv*"):
            assert stat.S_IMODE(part.stat().st_mode) in (mode, mode | stat.S_IWUSR)

    score(source, out=out, options=PARTS, overwrite=True, watch=watch)
    assert stat.S_IMODE(out.stat().st_mode) == mode
    assert stat.S_IMODE(report.stat().st_mode) == mode


def test_a_replaced_folder_and_its_parts_keep_their_modes(source: Path, out: Path) -> None:
    for path in out.iterdir():
        path.chmod(0o600)
    out.chmod(0o750)
    score(source, out=f"{out}/", options=PARTS, overwrite=True)
    assert stat.S_IMODE(out.stat().st_mode) == 0o750
    assert {stat.S_IMODE(path.stat().st_mode) for path in out.iterdir()} == {0o600}


def test_a_new_output_has_the_mode_that_the_umask_gives(tmp_path: Path, source: Path) -> None:
    score(source, out=tmp_path / "out.csv", options=PARTS)
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE((tmp_path / "out.csv").stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("end", ["/", ""])
def test_a_link_to_a_folder_is_followed(end: str, tmp_path: Path, source: Path, out: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(out)
    score(source, out=f"{link}{end}", options=PARTS, overwrite=True)
    assert link.is_symlink()
    assert_is_new(out)


@pytest.mark.parametrize("leads", [True, False])
def test_a_link_to_a_file_is_replaced(leads: bool, tmp_path: Path, source: Path) -> None:
    link, other = tmp_path / "link.csv", tmp_path / "other.csv"
    if leads:
        other.write_bytes(b"kept")
    link.symlink_to(other)
    score(source, out=link, overwrite=True)
    assert not link.is_symlink()
    assert other.exists() == leads
    if leads:
        assert other.read_bytes() == b"kept"


@pytest.mark.parametrize("harm", [Path.unlink, lambda part: part.write_bytes(b"x")])
def test_a_new_part_that_is_harmed_is_scored_again(
    harm: Callable[[Path], None], source: Path, out: Path
) -> None:
    replaced_in_part(source, out)
    harm(Path(f"{out}.parts/new/part-00001.csv"))
    score(source, out=f"{out}/", options=PARTS, resume=True)
    assert_is_new(out)
