"""What a folder, a glob or a name stands for, and what is said of the files that are not read."""

import json
import os
from pathlib import Path

import pytest
from scoring import sentido_score, write_csv, write_jsonl
from sentido_score import Options, ScoreError, score
from sentido_score.files.locations import expand
from sentido_score.formats.opening import open_source


def names(source: str | Path, options: Options | None = None) -> list[str]:
    """List the files of a source by their last names."""
    return [os.path.basename(file.name) for file in expand([source], options)]


def heard(source: str | Path, options: Options | None = None) -> list[str]:
    """Return what is said when a source is listed."""
    sentences: list[str] = []
    expand([source], options, sentences.append)
    return sentences


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    (folder / "_temporary").mkdir(parents=True)
    for name in ("a.csv", "part-00000", "b.csv.bz3", "c.json", "_SUCCESS", ".a.csv.crc"):
        write_csv(folder / name, ["x"])
    write_csv(folder / "_temporary" / "d.csv", ["x"])
    return folder


def test_what_a_folder_holds_and_is_not_read_is_counted_and_named(folder: Path) -> None:
    hidden, unknown = heard(folder)
    assert unknown == (
        f"{folder}: 3 files are not read, since their names tell no format (--input-format reads"
        " them): 'b.csv.bz3', 'c.json', 'part-00000'"
    )
    assert hidden.startswith(f"{folder}: 3 files are not read, since their names, or those of")
    assert hidden.endswith("'.a.csv.crc', '_SUCCESS', '_temporary/d.csv'")


def test_the_command_says_what_is_not_read(folder: Path, tmp_path: Path) -> None:
    result = sentido_score(folder, "--out", tmp_path / "out.csv")
    assert b"3 files are not read, since their names tell no format" in result.stderr


def test_many_files_that_are_not_read_are_not_all_named(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", ["x"])
    for number in range(1200):
        (tmp_path / f"part-{number:05}").touch()
    (said,) = heard(tmp_path)
    assert "1,200 files are not read" in said
    assert said.endswith("'part-00000', 'part-00001', 'part-00002' and 1,197 more")


@pytest.mark.parametrize("pattern", ["", "*.jsonl", "**/*.jsonl"])
@pytest.mark.parametrize("out", ["scored.jsonl", "scored/", "deep/scored.jsonl"])
def test_an_output_among_files_that_are_none_is_refused_by_name(
    out: str, pattern: str, tmp_path: Path
) -> None:
    folder, output = tmp_path / "in", tmp_path / "in" / out
    folder.mkdir()
    write_jsonl(folder / "a.jsonl", ["x"])
    score(folder, out=f"{folder}/{out}", make_folders=True)
    if pattern == "*.jsonl" and "/" in out:
        assert names(folder / pattern) == ["a.jsonl"]
        return
    with pytest.raises(ScoreError) as refused:
        expand([folder / pattern])
    assert str(refused.value) == (
        f"{output}: is an output of sentido-score, beside files that are not, such as"
        f" {folder}/a.jsonl: name the files that are meant, or move the output away"
    )


def test_outputs_alone_or_by_name_are_an_input_and_a_report_of_others_says_nothing(
    tmp_path: Path,
) -> None:
    source, folder = write_jsonl(tmp_path / "a.jsonl", ["x"]), tmp_path / "in"
    folder.mkdir()
    for name in ("b.jsonl", "c.jsonl"):
        score(source, out=folder / name)
    assert names(folder) == ["b.jsonl", "c.jsonl"]
    assert len(expand([source, folder / "b.jsonl"])) == 2
    write_jsonl(folder / "d.jsonl", ["x"])
    for name in ("b.jsonl", "c.jsonl"):
        (folder / f"{name}.report.json").write_text('{"rows": 1}')
    assert names(folder) == ["b.jsonl", "c.jsonl", "d.jsonl"]


def test_input_format_takes_every_file_that_is_not_hidden_or_ours(
    folder: Path, tmp_path: Path
) -> None:
    score(folder, out=folder / "scored.csv")
    (folder / "scored.csv").unlink()
    options = Options(input_format="csv")
    assert names(folder, options) == ["a.csv", "b.csv.bz3", "c.json", "part-00000"]
    assert any(
        "reports of sentido-score: 'scored.csv.report.json'" in s for s in heard(folder, options)
    )
    assert score(folder, out=tmp_path / "out.csv", options=options).rows == 4
    (folder / "a.csv").unlink()
    with pytest.raises(ScoreError, match=r"ends in \.csv, .*'c\.json', 'part-00000'"):
        names(folder)


def test_what_is_compressed_otherwise_is_refused_by_name(tmp_path: Path) -> None:
    for name in ("a.csv.bz2", "d.CSV.ZIP"):
        write_csv(tmp_path / name, ["x"])
        with pytest.raises(ScoreError, match=f"{name}: is compressed in a way that is not read"):
            open_source(tmp_path / name, Options(input_format="csv"))


def test_an_empty_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_csv(tmp_path / "in.csv", ["x"])
    monkeypatch.chdir(tmp_path)
    assert names(".") == ["in.csv"]
    for sources in ([""], ["in.csv", ""]):
        with pytest.raises(ScoreError, match="an empty name was given"):
            expand(sources)
    with pytest.raises(ScoreError, match="an empty name was given"):
        score("in.csv", out="")
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_links_that_go_round_lead_nowhere_twice(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "loop").symlink_to(tmp_path / "a")
    (tmp_path / "again").symlink_to(tmp_path / "a")
    (tmp_path / "self.csv").symlink_to("self.csv")
    write_csv(tmp_path / "a" / "in.csv", ["x"])
    assert [file.name for file in expand([tmp_path])] == [f"{tmp_path}/a/in.csv"]
    assert [file.name for file in expand([tmp_path / "again"])] == [f"{tmp_path}/again/in.csv"]


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    write_csv(tmp_path / "in.csv", ["x"])
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "broken.csv").symlink_to(tmp_path / "nowhere")
    (said,) = heard(tmp_path)
    assert "2 files are not read, since they are pipes, devices or links that lead nowhere" in said
    with pytest.raises(ScoreError, match=r"pipe\.csv: is a pipe, a device or a socket"):
        expand([tmp_path / "pipe.csv"])


def test_a_name_that_is_not_utf8_is_refused_if_it_would_be_read(tmp_path: Path) -> None:
    write_csv(tmp_path / "in.csv", ["x"])
    other = os.fsencode(tmp_path) + b"/caf\xe9"
    open(other, "w").close()
    assert names(tmp_path) == ["in.csv"]
    assert "tell no format" in heard(tmp_path)[0]
    os.rename(other, other + b".csv")
    for source in (tmp_path, tmp_path / "*.csv", tmp_path / os.fsdecode(b"caf\xe9.csv")):
        with pytest.raises(ScoreError, match=r"caf\\udce9\.csv.*not UTF-8"):
            names(source)
    assert names(tmp_path / "i*.csv") == ["in.csv"]


@pytest.mark.parametrize(
    ("glob", "found"),
    [
        ("*.csv", ["a.csv", "b1.csv", "b2.csv"]),
        ("b?.csv", ["b1.csv", "b2.csv"]),
        ("b[!2].csv", ["b1.csv"]),
        ("[a-b][1]*", ["b1.csv"]),
        ("*", ["a.csv", "b1.csv", "b2.csv", "c.csv"]),
        ("s*", ["c.csv"]),
        ("**/c.csv", ["c.csv"]),
        (".*", [".d.csv"]),
    ],
)
def test_a_glob_finds_what_a_shell_finds(glob: str, found: list[str], tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("a.csv", "b1.csv", "b2.csv", "sub/c.csv", ".d.csv"):
        write_csv(tmp_path / name, ["x"])
    assert names(tmp_path / glob) == found


def test_any_folders_of_a_glob_are_none_that_a_killed_job_left(tmp_path: Path) -> None:
    (tmp_path / "_temporary" / "0").mkdir(parents=True)
    for name in ("a.csv", "_temporary/a.csv", "_temporary/0/a.csv"):
        write_csv(tmp_path / name, ["x"])
    assert names(tmp_path / "**/*.csv") == ["a.csv"]
    assert names(tmp_path / "_temporary/*.csv") == ["a.csv"]


def test_the_working_folders_own_path_is_no_glob(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run[1]*"
    folder.mkdir()
    write_csv(folder / "a.csv", ["x"])
    monkeypatch.chdir(folder)
    for glob in ("*.csv", "./?.csv", "[a].csv", "../*/a.csv"):
        assert names(glob) == ["a.csv"]
    with pytest.raises(ScoreError, match=r"b\.csv: no such file"):
        names("b.csv")


def test_a_glob_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScoreError, match=r"\[z-a\]\.csv: is not a glob"):
        expand([tmp_path / "[z-a].csv"])


def test_a_file_whose_name_looks_like_a_glob_is_read(tmp_path: Path) -> None:
    for name in ("a[1].csv", "a?.csv", "a1.csv"):
        write_csv(tmp_path / name, ["x"])
        assert names(tmp_path / name) == [name]


def test_a_name_that_would_harm_a_terminal_is_escaped(tmp_path: Path) -> None:
    path = tmp_path / "red\x1b[31m\r.csv"
    path.write_text("n\x1b[31m,x\r\n1,2\r\n")
    result = sentido_score(path, "--out", tmp_path / "out.csv", code=1)
    assert b"\x1b" not in result.stderr
    assert b"\r" not in result.stderr
    assert result.stderr.count(b"\n") == 1
    assert b"red\\x1b[31m\\r.csv': no column 'text' among 'n\\x1b[31m', 'x'" in result.stderr


def test_format_and_name_of_the_output_must_agree(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "in.csv", ["x"])
    for name, format in (("o.parquet", "jsonl"), ("o.csv.gz", "jsonl"), ("o.jsonl", "csv")):
        with pytest.raises(ScoreError, match=f"its name tells .*, and --format says {format}"):
            score(path, out=tmp_path / name, options=Options(format=format))
    assert score(path, out=tmp_path / "o.ndjson", options=Options(format="jsonl")).rows == 1


@pytest.mark.parametrize("flag", ["--resume", "--overwrite"])
def test_standard_output_is_neither_resumed_nor_replaced(flag: str, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "in.csv", ["x"])
    result = sentido_score(path, "--out", "-", flag, code=1)
    assert result.stderr.decode() == (
        f"sentido-score: standard output (--out -) keeps nothing: {flag} needs a file or a folder\n"
    )


def test_a_cluster_does_not_read_standard_input(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    result = sentido_score("-", "--out", out, "--engine", "ray", stdin=b"x\n", code=1)
    assert b"standard input (-) cannot be read by a cluster" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_reports_of_others_are_files_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "x.report.json").write_text(json.dumps({"text": "x"}))
    assert names(tmp_path, Options(input_format="jsonl")) == ["x.report.json"]


@pytest.mark.parametrize("uri", ["file://", "file:///", "s3://", "s3:///"])
def test_a_uri_without_a_path_is_refused(uri: str, tmp_path: Path) -> None:
    with pytest.raises(ScoreError, match="names no file or folder"):
        expand([uri])
    path = write_csv(tmp_path / "in.csv", ["x"])
    with pytest.raises(ScoreError, match="names no file or folder"):
        score(path, out=uri)
    with pytest.raises(ScoreError, match="/: is no place for an output"):
        score(path, out="/")
