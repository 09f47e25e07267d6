"""How a run ends: exit codes, signals, and standard streams that are closed, full or not read."""

import fcntl
import os
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from scoring import SCORE, read_jsonl, sentido_score, write_jsonl
from sentido_score import Options, ScoreError, score
from waiting import PATIENCE, has_loaded, listens, wait_for

MERE_MORTAL = (  # root may read and write whatever its mode says
    ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]
    if os.geteuid() == 0
    else []
)
SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


def unread(stream: object) -> int:
    """Return the bytes that wait in a pipe."""
    found = fcntl.ioctl(stream, termios.FIONREAD, b"\0" * 4)  # type: ignore[call-overload]
    return int(struct.unpack("i", found)[0])


@pytest.mark.parametrize(("number", "code"), SIGNALS)
@pytest.mark.parametrize("library", ["", "_multiarray_umath", "libarrow", "onnxruntime"])
def test_a_signal_while_the_command_starts_is_an_exit_code(
    library: str, number: signal.Signals, code: int, tmp_path: Path
) -> None:
    path, out = write_jsonl(tmp_path / "in.jsonl", ["fine"] * 5000), tmp_path / "out.jsonl"
    command = [SCORE, str(path), "--out", str(out)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_for(lambda: listens(process.pid) and has_loaded(process.pid, library))
        process.send_signal(number)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, said
    assert b"Traceback" not in said
    assert said.startswith(b"sentido-score: ")


IN_A_FINALIZER = """
import os, sys
from sentido_score.signals import Interrupt

class Freed:
    def __del__(self):
        os.kill(os.getpid(), int(sys.argv[1]))
        len(range(1000))

interrupt = Interrupt()
try:
    Freed()
    while True:
        pass
except KeyboardInterrupt:
    print(interrupt.word)
"""


@pytest.mark.parametrize(
    ("number", "word"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")]
)
def test_a_signal_in_a_finalizer_is_heard_like_any_other(number: signal.Signals, word: str) -> None:
    command = [sys.executable, "-c", IN_A_FINALIZER, str(int(number))]
    result = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert (result.stdout, result.stderr) == (f"{word}\n", "")


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_signal_ends_a_run_whose_output_nobody_reads(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", ["fine"] * 5000)
    command = [SCORE, str(path), "--out", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_for(lambda: unread(process.stdout) > 60_000)
        process.send_signal(number)
        assert process.wait(PATIENCE) == code
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()


def test_a_signal_ends_a_run_that_waits_for_its_input(tmp_path: Path) -> None:
    command = [SCORE, "-", "--out", str(tmp_path / "out.jsonl")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_for((tmp_path / "out.jsonl.parts" / "run.json").exists)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 143
        assert process.stderr is not None
        assert b"--resume" not in process.stderr.read()  # which standard input has none of


def test_a_run_that_fails_does_not_wait_for_its_input(tmp_path: Path) -> None:
    command = [SCORE, "-", "--out", str(tmp_path / "out.jsonl"), "--max-errors", "0"]
    command += ["--max-text-characters", "1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(b"too long\n" * 9000)
        process.stdin.flush()
        assert process.wait(PATIENCE) == 1


def test_no_file_takes_the_place_of_a_closed_standard_stream(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", ["fine"] * 10)
    score(path, out=tmp_path / "wanted.jsonl")
    for closed in ("<&- >&- 2>&-", "2>&-", ">&-", "<&- 2>&-"):
        out = tmp_path / f"{len(closed)}.jsonl"
        command = f"exec {SCORE} {path} --out {out} {closed}"
        assert subprocess.run(command, shell=True, timeout=PATIENCE).returncode == 0
        assert out.read_bytes() == (tmp_path / "wanted.jsonl").read_bytes()


def test_messages_do_not_go_into_the_output_where_standard_error_is_closed(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", ["fine", "x" * 50])
    command = f"{SCORE} {path} --out - --max-text-characters 9 2>&-"
    result = subprocess.run(command, shell=True, stdout=subprocess.PIPE, timeout=PATIENCE)
    assert result.returncode == 3
    (tmp_path / "out.jsonl").write_bytes(result.stdout)
    assert len(read_jsonl(tmp_path / "out.jsonl")) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("in.jsonl --out - >&-", "standard output is closed: name a file or a folder"),
        ("- --out out.jsonl <&-", "standard input is closed: name files"),
        ("in.jsonl --out - >/dev/full", "standard output: cannot be written: No space left"),
        ("- --out out.jsonl 0>written", "standard input cannot be read: Bad file descriptor"),
    ],
)
def test_a_standard_stream_that_cannot_be_used_is_one_sentence(
    arguments: str, message: str, tmp_path: Path
) -> None:
    write_jsonl(tmp_path / "in.jsonl", ["fine"])
    result = subprocess.run(
        f"{SCORE} {arguments}",
        shell=True,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
    )
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert message in result.stderr


def test_a_run_goes_on_where_nobody_hears_what_it_says(tmp_path: Path) -> None:
    path, out = write_jsonl(tmp_path / "in.jsonl", ["fine", "x" * 50]), tmp_path / "out.jsonl"
    command = f"{SCORE} {path} --out {out} --max-text-characters 9 --prefix id 2>/dev/full"
    assert subprocess.run(command, shell=True, timeout=PATIENCE).returncode == 3
    assert len(read_jsonl(out)) == 2


@pytest.mark.needs("setpriv")
@pytest.mark.parametrize(
    ("closed", "arguments", "named"),
    [
        ("folder", "in.jsonl --out folder/out.jsonl", "folder/out.jsonl"),
        ("out.jsonl.parts", "in.jsonl --out out.jsonl", "out.jsonl.parts"),
        ("out.jsonl.parts/lock", "in.jsonl --out out.jsonl", "out.jsonl.parts"),
        ("out.jsonl.parts/run.json", "in.jsonl --out out.jsonl", "out.jsonl.parts/run.json"),
        ("out.jsonl.report.json", "in.jsonl --out out.jsonl --overwrite", "out.jsonl.report.json"),
        ("in.jsonl", "in.jsonl --out out.jsonl", "in.jsonl"),
        ("folder", "folder --out out.jsonl", "folder"),
        ("folder", "folder/*.jsonl --out out.jsonl", "folder/*.jsonl"),
    ],
)
def test_what_may_not_be_read_or_written_is_named(
    closed: str, arguments: str, named: str, tmp_path: Path
) -> None:
    write_jsonl(tmp_path / "in.jsonl", ["fine"])
    (tmp_path / "folder").mkdir()
    if closed.startswith("out.jsonl.parts"):
        (tmp_path / "out.jsonl.parts").mkdir()
    if not (tmp_path / closed).exists():
        (tmp_path / closed).touch()
    (tmp_path / closed).chmod(0)
    result = subprocess.run(
        [*MERE_MORTAL, SCORE, *arguments.split()],
        cwd=tmp_path,
        capture_output=True,
        timeout=PATIENCE,
    )
    (tmp_path / closed).chmod(0o700)
    assert (result.returncode, result.stderr.count(b"\n")) == (1, 1), result.stderr
    assert str(tmp_path / named).encode() in result.stderr
    assert b"ermission denied" in result.stderr


def test_a_working_folder_that_was_removed_is_one_sentence(tmp_path: Path) -> None:
    command = f"mkdir {tmp_path}/gone && cd {tmp_path}/gone && rmdir {tmp_path}/gone"
    command += f" && exec {SCORE} in.jsonl --out out.jsonl"
    result = subprocess.run(command, shell=True, capture_output=True, timeout=PATIENCE)
    assert result.returncode == 1
    assert b"the working folder was removed" in result.stderr


def test_too_many_errors_are_too_many_when_a_run_goes_on(tmp_path: Path) -> None:
    texts = ["x" * 50] * 3 + ["fine"] * 7
    path, out = write_jsonl(tmp_path / "in.jsonl", texts), tmp_path / "out.jsonl"
    flags = ["--part-rows", "3", "--max-text-characters", "9"]

    class EnoughError(Exception):
        pass

    def stop(*_: object) -> None:
        if (tmp_path / "out.jsonl.parts" / "part-00001.jsonl").exists():
            raise EnoughError

    options = Options(part_rows=3, max_text_characters=9)
    with pytest.raises(EnoughError):
        score(path, out=out, options=options, watch=stop)
    result = sentido_score(path, "--out", out, *flags, "--resume", "--max-errors", "2", code=1)
    assert b"rows could not be scored, at most 2 are allowed" in result.stderr
    sentido_score(path, "--out", out, *flags, "--resume", "--max-errors", "3", code=3)


def test_standard_input_is_never_told_to_resume(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    command = [SCORE, "-", "--out", str(out)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_for((tmp_path / "out.jsonl.parts" / "run.json").exists)
        process.kill()
    result = sentido_score("-", "--out", out, stdin=b"fine\n", code=1)
    assert b"start anew with --overwrite" in result.stderr
    assert b"--resume" not in result.stderr


def test_what_a_message_says_harms_no_terminal() -> None:
    assert str(ScoreError("a\x1b[31m\r\n\udce9.csv: é")) == r"a\x1b[31m\r\n\udce9.csv: é"
