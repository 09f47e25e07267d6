"""The command: what a person at a terminal sees, and what a program gets."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from scoring import SCORE, sentido_score, write_csv
from sentido_score import Options, ScoreError, score
from sentido_score.main import main
from sentido_score.options import parse_bytes
from sentido_score.progress import duration
from waiting import PATIENCE


def on_a_terminal(*arguments: str | Path) -> tuple[int, str]:
    """Run the command with a terminal as its standard error; give its code and what it said.

    It is stopped for a moment when it has said something, so that the next is due, however fast
    it is.
    """
    ours, theirs = os.openpty()
    command = [SCORE, *map(str, arguments)]
    with subprocess.Popen(command, stderr=theirs) as process:
        os.close(theirs)
        said = b""
        try:
            while chunk := os.read(ours, 65536):
                if not said:
                    process.send_signal(signal.SIGSTOP)
                    time.sleep(0.6)  # it says how far it is every half a second
                    process.send_signal(signal.SIGCONT)
                said += chunk
        except OSError:  # how a terminal ends
            pass
        os.close(ours)
        return process.wait(PATIENCE), said.decode()


def test_a_terminal_sees_progress_and_a_sum_and_a_pipe_sees_nothing(
    tmp_path: Path, reviews: list[str]
) -> None:
    path = write_csv(tmp_path / "in.csv", reviews[::8])
    flags = (path, "--out", tmp_path / "out.csv", "--part-rows", "500", "--overwrite")
    code, said = on_a_terminal(*flags)
    assert code == 0
    assert "texts/s" in said
    assert " left" in said
    assert f"{len(reviews[::8]):,} rows in " in said
    assert sentido_score(*flags).stderr == b""


@pytest.mark.parametrize(
    ("seconds", "shown"), [(41.7, "42 s"), (185, "3 min 5 s"), (7830, "2 h 10 min")]
)
def test_times_are_said_in_words(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_bad_flags_end_with_2_or_a_sentence(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "in.csv", ["x"])
    sentido_score(path, code=2)
    for flags, said in (
        (("--part-rows", "0"), b"--part-rows: '0' is not a whole number of at least 1"),
        (("--max-errors", "-1"), b"--max-errors: '-1' is not a whole number of at least 0"),
        (("--max-run-bytes", "0"), b"--max-run-bytes: '0' is not a whole number from 1 to"),
        (("--memory", "1MiB"), b"--memory: '1MiB' is not a number of bytes of at least 128MiB"),
        (("--embed", "x"), b"--embed: 'x' is not one of hidden, mean"),
    ):
        result = sentido_score(path, "--out", tmp_path / "o.csv", *flags, code=2)
        assert said in result.stderr
    for flags, said in (
        (("--delimiter", "ab"), b"delimiter is 'ab', one ASCII character is needed"),
        (("--bundle", "/nowhere"), b"bundle /nowhere"),
        (("--max-run-bytes", "9kB"), b"at most 9,000 are allowed: raise --max-run-bytes"),
        (("--max-run-multiplications", "9"), b"allowed: raise --max-run-multiplications"),
        (("--resume", "--overwrite"), b"choose one"),
    ):
        result = sentido_score(path, "--out", tmp_path / "o.csv", *flags, code=1)
        assert said in result.stderr
    result = sentido_score(path, "--out", tmp_path / "o.unknown", code=1)
    assert b"its name tells no format: end it in .parquet, .csv or .jsonl" in result.stderr
    result = sentido_score(tmp_path / "no.csv", "--out", tmp_path / "o.csv", code=1)
    assert b"no.csv: no such file or folder" in result.stderr


@pytest.mark.parametrize(
    ("engine", "flags", "engines"),
    [
        ("local", "--address=a:1 --model=m --model-version=1 --token-file=t", "remote"),
        ("local", "--tls-ca=a --tls-cert=b --tls-key=c --insecure-tokens", "remote"),
        ("local", "--ray-address=a:1", "ray"),
        ("remote", "--bundle=b --max-run-bytes=1GB --max-run-multiplications=9", "local or ray"),
        ("remote", "--ray-address=a:1", "ray"),
        ("ray", "--address=localhost:50051", "remote"),  # as it is by default, but it was given
    ],
)
def test_a_flag_of_another_engine_is_refused(
    engine: str, flags: str, engines: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for flag in flags.split():
        with pytest.raises(SystemExit, match="2"):
            main(["in.csv", "--out=out.csv", f"--engine={engine}", flag])
        wanted = f"{flag.partition('=')[0]} is of --engine {engines}, not of {engine}\n"
        assert capsys.readouterr().err == f"sentido-score: error: {wanted}"


def test_the_engine_by_default_has_its_own_flags_too(tmp_path: Path) -> None:
    path, out = write_csv(tmp_path / "in.csv", ["x"]), tmp_path / "out.csv"
    said = sentido_score(path, "--out", out, "--address", "localhost:50051", code=2).stderr
    assert said.endswith(b"--address is of --engine remote, not of local\n")
    assert not out.exists()


def test_variables_of_the_client_are_no_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTIDO_ADDRESS", "localhost:1")
    monkeypatch.setenv("SENTIDO_CONNECT_CA", "/nowhere")
    sentido_score(write_csv(tmp_path / "in.csv", ["x"]), "--out", tmp_path / "out.csv")


@pytest.mark.parametrize("flag", ["--memory", "--max-run-bytes"])
@pytest.mark.parametrize(
    "size", ["9" * 400, "512\u212aB", "1G\u0130B", "\u0661GB", "-1GB", "1e9", ""]
)
def test_a_size_that_is_none_is_one_line(flag: str, size: str) -> None:
    said = sentido_score("in.csv", "--out", "out.csv", f"{flag}={size}", code=2).stderr.decode()
    assert said.startswith(f"sentido-score: error: {flag}: ")
    assert said.endswith(" is not a number of bytes such as 512MiB\n")
    assert len(said) < 150


@pytest.mark.parametrize(
    ("text", "size"),
    [("7", 7), ("1.5 kB", 1500), ("512mib", 512 << 20), ("2GiB", 2 << 30), ("3TB", 3 * 10**12)],
)
def test_a_size_may_have_a_unit(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"part_rows": 0}, "part_rows: 0 is not a whole number of at least 1"),
        ({"part_rows": 10.5}, "part_rows: 10.5 is not a whole number of at least 1"),
        ({"format": "text"}, "format: 'text' is not one of csv, tsv, jsonl, parquet"),
        ({"embed": ""}, "embed: '' is not one of hidden, mean"),
        ({"columns": "text"}, "columns: 'text' is not strings"),
    ],
)
def test_a_program_cannot_ask_for_what_no_flag_can(value: dict[str, Any], said: str) -> None:
    with pytest.raises(ScoreError, match=re.escape(said)):
        Options(**value)


def test_a_flag_is_not_guessed_from_a_part_of_its_name(tmp_path: Path) -> None:
    path, out = write_csv(tmp_path / "in.csv", ["x"]), tmp_path / "out.csv"
    out.write_bytes(b"kept")
    result = sentido_score(path, "--out", out, "--over", code=2)
    assert b"there is no flag --over; did you mean --overwrite?" in result.stderr
    assert out.read_bytes() == b"kept"


def test_an_output_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "in.csv", ["x"])
    result = sentido_score(path, "--out", "/proc/nowhere/out.csv", code=1)
    assert b"/proc/nowhere" in result.stderr


def test_an_output_in_a_folder_that_does_not_exist_is_refused_unless_it_is_to_be_made(
    tmp_path: Path,
) -> None:
    path = write_csv(tmp_path / "in.csv", ["x"])
    for out in ("typo/out.csv", "typo/out/", "typo/../typo/out.csv"):
        with pytest.raises(ScoreError, match="typo: does not exist: choose another --out, or make"):
            score(path, out=f"{tmp_path}/{out}")
    assert [each.name for each in tmp_path.iterdir()] == ["in.csv"]
    assert score(path, out=f"{tmp_path}/out/").rows == 1
    sentido_score(path, "--out", tmp_path / "a" / "b" / "out.csv", "--make-folders")
    assert (tmp_path / "a" / "b" / "out.csv").exists()


def test_an_input_is_never_overwritten_by_its_output(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "in.csv", ["x"])
    before = path.read_bytes()
    result = sentido_score(path, "--out", path, "--overwrite", code=1)
    assert b"is also the input" in result.stderr
    assert path.read_bytes() == before


def test_other_names_of_the_input_are_no_output_either(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "in.csv", ["x"])
    before = path.read_bytes()
    (tmp_path / "sub").mkdir()
    (tmp_path / "folder").symlink_to(tmp_path)
    (tmp_path / "link.csv").symlink_to(path)
    for source, out in (
        (path, f"{tmp_path}/sub/../in.csv"),
        (path, tmp_path / "folder" / "in.csv"),
        (tmp_path / "link.csv", path),
    ):
        result = sentido_score(source, "--out", out, "--overwrite", code=1)
        assert b"is also the input" in result.stderr
        assert path.read_bytes() == before
    sentido_score(path, "--out", tmp_path / "link.csv", "--overwrite")  # replaces the link alone
    assert path.read_bytes() == before


def test_a_pipe_or_device_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    path, pipe = write_csv(tmp_path / "in.csv", ["x"]), tmp_path / "out.csv"
    os.mkfifo(pipe)
    result = sentido_score(path, "--out", pipe, "--overwrite", code=1)
    assert b"out.csv: is a device, a pipe or a socket" in result.stderr
    assert pipe.is_fifo()
