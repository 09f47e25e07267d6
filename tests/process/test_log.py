"""The log of a server whose reader pauses, is slow, or has no room: no call waits for it."""

import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from urllib.request import urlopen

import grpc
import pytest
from conftest import raw_unary
from processes import SERVER, server, unread
from prometheus_client.parser import text_string_to_metric_families
from sentido_client import Client
from waiting import PATIENCE

PREDICT = "/sentido.v1.PredictionService/Predict"
METRICS = ("--metrics-listen", "127.0.0.1:0")
MANY = 3000  # calls: their lines fill the pipe and the queue


def call(address: str, count: int) -> None:
    """Make short calls, all of which must be answered."""
    with grpc.insecure_channel(address) as channel:
        predict = raw_unary(channel, PREDICT)
        for done in range(0, count, 500):
            calls: list[Any] = [
                predict.future(b"", timeout=20) for _ in range(min(500, count - done))
            ]
            assert [each.exception() for each in calls] == [None] * len(calls)


def lost(metrics_address: str) -> int:
    """Return how many lines the metrics say were dropped."""
    with urlopen(f"http://{metrics_address}/metrics", timeout=10) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    (family,) = [each for each in families if each.name == "sentido_log_lines_dropped"]
    return int(family.samples[0].value)


def calls_and_dropped(lines: list[dict[str, Any]]) -> tuple[int, int]:
    """Return how many calls have a line, and how many lines the log says were dropped."""
    calls = sum(line["event"] == "call" for line in lines)
    return calls, sum(line["lines"] for line in lines if line["event"] == "lines dropped")


def read_until_complete(log: IO[str], lines: list[dict[str, Any]], count: int) -> None:
    """Read lines of the log until each of so many calls is written in it or said to be dropped."""
    missing = count - sum(calls_and_dropped(lines))
    while missing > 0:
        lines.append(json.loads(log.readline()))
        missing -= sum(calls_and_dropped(lines[-1:]))


def test_a_log_that_nobody_reads_holds_up_no_call_and_no_end(transport: str) -> None:
    with server(*METRICS, "--transport", transport, "--drain-seconds", "5") as running:
        metrics = running.lines[-1]["metrics"]
        call(running.address, MANY)
        with Client(running.address) as client:
            assert client.health() == "SERVING"
        assert lost(metrics) > 0
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(timeout=15) == 0
        running.end()  # what the pipe holds is whole lines
    assert 0 < calls_and_dropped(running.lines)[0] < MANY


def wait_until_busy(channel: grpc.Channel) -> None:
    """Return when the only compute thread has no time for a small call."""
    for _ in range(200):
        try:
            raw_unary(channel, PREDICT)(b"", timeout=0.1)
        except grpc.RpcError:
            return
    raise AssertionError("the server was never busy")


def test_a_second_signal_ends_a_server_whose_log_nobody_reads() -> None:
    with server("--drain-seconds", "3600") as running, unread(running):
        call(running.address, MANY)
        for _ in range(100):  # signals that come close together may count as one
            running.process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                running.process.wait(timeout=1)
                break
        assert running.process.returncode == 1


def test_a_log_that_is_read_again_says_what_it_lost() -> None:
    with server(*METRICS) as running:
        assert running.process.stderr is not None
        metrics = running.lines[-1]["metrics"]
        call(running.address, MANY)
        read_until_complete(running.process.stderr, running.lines, MANY)
        calls, dropped = calls_and_dropped(running.lines)
        assert (calls + dropped, dropped) == (MANY, lost(metrics))
        call(running.address, 1)
        running.process.send_signal(signal.SIGTERM)
        assert running.end() == 0
        assert calls_and_dropped(running.lines) == (calls + 1, dropped)
    (notice, *_) = [line for line in running.lines if line["event"] == "lines dropped"]
    assert notice["level"] == "warning"
    assert [line["event"] for line in running.lines][-2:] == ["stopping", "stopped"]


@contextmanager
def server_into(stream: int, *flags: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a server that logs to a descriptor; kill it in the end."""
    with subprocess.Popen([SERVER, *flags], stderr=stream) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("blocking", [True, False])
def test_a_slow_reader_gets_whole_lines_and_each_call_is_written_or_counted(
    blocking: bool, tmp_path: Path
) -> None:
    address = f"unix:{tmp_path}/socket"
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writing, blocking)
    lines: list[dict[str, Any]] = []
    with server_into(writing, "--listen", address) as process, open(reading) as log:
        os.close(writing)
        with Client(address) as client:
            client.wait_until_ready()
        for _ in range(10):
            call(address, 400)
            lines += [json.loads(log.readline()) for _ in range(20)]
        read_until_complete(log, lines, 4000)
        process.send_signal(signal.SIGTERM)
        lines += [json.loads(line) for line in log]
        assert process.wait(timeout=15) == 0
    calls, dropped = calls_and_dropped(lines)
    assert (calls + dropped, dropped > 0) == (4000, True)
    assert lines[-1]["event"] == "stopped"


def test_after_half_a_line_on_a_full_disk_the_next_begins_a_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        log.open("wb") as file,
        server_into(file.fileno(), "--listen", f"unix:{tmp_path}/socket", *METRICS) as process,
    ):
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
        address = f"unix:{tmp_path}/socket"
        with Client(address) as client:
            client.wait_until_ready()
        call(address, 1)
        metrics = json.loads(line_of(log, "serving"))["metrics"]
        call(address, 200)
        for _ in range(10_000):
            if dropped := lost(metrics):
                break
        else:
            raise AssertionError("nothing was lost")
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        call(address, 1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=15) == 0
    written = log.read_text().splitlines()
    whole = [json.loads(line) for line in written if line.endswith("}")]
    assert len(written) - len(whole) <= 1
    calls, said = calls_and_dropped(whole)
    assert said >= dropped
    assert calls + said == 202
    assert whole[-1]["event"] == "stopped"


def line_of(log: Path, event: str) -> str:
    """Wait until a file has the line of an event."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        for line in log.read_text().splitlines():
            if f'"event": "{event}"' in line and line.endswith("}"):
                return line
    raise AssertionError(f"no {event!r}")


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-", "2>&- 1>&-", "2>&- 1>&- 0>&-"])
@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (["--max-texts", "none"], 2),
        (["--check", "127.0.0.1:1"], 1),
        (["--listen", "nowhere.invalid:1"], 1),
        (["--version"], 0),
    ],
)
def test_an_exit_code_is_the_same_where_nothing_can_be_said(
    flags: list[str], code: int, redirection: str
) -> None:
    command = ["sh", "-c", f'exec "$@" {redirection}', "sh", SERVER, *flags]
    assert subprocess.run(command, capture_output=True, timeout=PATIENCE).returncode == code


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-", "2>&- 1>&- 0>&-"])
def test_a_log_with_nowhere_to_go_costs_no_call(redirection: str, tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/socket"
    command = ["sh", "-c", f'exec "$@" {redirection}', "sh", SERVER, "--listen", address]
    with subprocess.Popen(command) as process:
        try:
            with Client(address) as client:
                client.wait_until_ready()
                call(address, 1500)
                assert client.predict("A wonderful little film.").label == "positive"
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=15) == 0
        finally:
            process.kill()


def test_what_grpcs_core_writes_is_lines_of_the_log() -> None:
    with server("--transport", "grpcio", GRPC_VERBOSITY="DEBUG", GRPC_TRACE="api") as running:
        call(running.address, 1)
        running.process.send_signal(signal.SIGTERM)
        assert running.end() == 0  # every line was JSON
    assert {"stderr", "call", "stopped"} <= {line["event"] for line in running.lines}


def program(text: str) -> tuple[int, list[str]]:
    """Run a program whose standard error is the log's; return its exit code and lines."""
    before = "import ctypes, os, sys\nfrom sentido_server import log, stderr\n"
    result = subprocess.run(
        [sys.executable, "-c", before + text], capture_output=True, text=True, timeout=30
    )
    return result.returncode, result.stderr.splitlines()


def test_what_native_code_writes_is_escaped_shortened_and_in_the_log() -> None:
    code, lines = program("""
with stderr.into_the_log("json"):
    log.event("first")
    os.write(2, b"\\x1b[2J\\xff of native code\\n\\n" + b"x" * 100_000 + b"\\nno end")
os.write(2, b"of nobody's interest\\n")
""")
    assert code == 0
    found = [json.loads(line) for line in lines]
    assert [line["event"] for line in found] == ["first", "stderr", "stderr", "stderr"]
    assert {line["level"] for line in found[1:]} == {"warning"}
    texts = [line["text"] for line in found[1:]]
    assert texts[0] == "\x1b[2J\ufffd of native code"
    assert "\x1b" not in "".join(lines)
    assert texts[1].startswith("xxxx")
    assert len(texts[1]) <= 2000
    assert texts[2] == "no end"


def test_a_crash_still_says_where() -> None:
    code, lines = program("""
with stderr.into_the_log("json"):
    ctypes.string_at(0)
""")
    assert code == -signal.SIGSEGV
    assert lines[0].startswith("Fatal Python error: Segmentation fault")


@contextmanager
def full_pipe() -> Iterator[int]:
    """Give the end to write to of a pipe that is full and that nobody reads."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 4096)
    os.set_blocking(writing, True)
    try:
        yield writing
    finally:
        os.close(reading)
        os.close(writing)


def test_a_crash_is_not_held_up_by_a_log_that_nobody_reads() -> None:
    crash = """
import ctypes
from sentido_server import stderr
with stderr.into_the_log("json"):
    ctypes.string_at(0)
"""
    with (
        full_pipe() as pipe,
        subprocess.Popen([sys.executable, "-c", crash], stderr=pipe) as process,
    ):
        try:
            assert process.wait(timeout=20) == -signal.SIGSEGV
        finally:
            process.kill()


def test_a_start_that_fails_is_not_held_up_by_a_log_that_nobody_reads() -> None:
    with full_pipe() as pipe, server_into(pipe, "--bundle", "/no/such/bundle") as process:
        assert process.wait(timeout=20) == 1


def test_the_traceback_of_what_ends_the_process_is_not_lost() -> None:
    code, lines = program("""
with stderr.into_the_log("json"):
    raise ValueError("of ours")
""")
    assert (code, lines[-1]) == (1, "ValueError: of ours")


def test_a_child_process_writes_into_the_log_too_and_does_not_hold_up_the_end() -> None:
    code, lines = program("""
import subprocess
with stderr.into_the_log("json"):
    subprocess.run(["sh", "-c", "echo of a child >&2"], close_fds=False)
    child = subprocess.Popen(["sleep", "60"])
child.kill()
""")
    assert code == 0
    assert [json.loads(line)["text"] for line in lines] == ["of a child"]
