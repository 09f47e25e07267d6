"""Server processes for the benchmark: started on free ports, stopped when a block is left."""

import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BENCH = Path(__file__).parent
BIN = Path(sys.executable).parent
_START_SECONDS = 120


class Server:
    """A running sentido-server."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process = process
        self.address = ""
        self._log = log
        self._read = 0

    def lines(self) -> Iterator[dict[str, Any]]:
        """Give what the log says since the last time."""
        with self._log.open(encoding="utf-8") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith("\n"):
                    break
                self._read += len(line.encode())
                yield json.loads(line)

    def codes(self) -> Counter[str]:
        """Count the calls by code since the log was last read."""
        time.sleep(0.3)  # the log is a moment late
        return Counter(line["code"] for line in self.lines() if line["event"] == "call")

    def resident(self) -> float:
        """Give the resident memory in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
        return int(line.split()[1]) / 1000


@contextmanager
def sentido(*flags: str, programs: Path = BIN) -> Iterator[Server]:
    """Run the sentido-server of the folder `programs`."""
    command = [str(programs / "sentido-server"), "--listen", "127.0.0.1:0", *flags]
    with tempfile.TemporaryDirectory(prefix="sentido-bench-") as folder:
        log = Path(folder) / "log"
        with log.open("w") as file, _process(command, stderr=file) as process:
            server = Server(process, log)
            for line in _until(server.lines):
                if line["event"] == "serving":
                    server.address = line["address"]
                    break
            yield server


@contextmanager
def printing(command: Sequence[str | Path]) -> Iterator[str]:
    """Run a server that prints its address on a line of its own."""
    with _process(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield process.stdout.readline().decode().strip()


@contextmanager
def listening(command: Sequence[str | Path], port: int, **options: Any) -> Iterator[None]:
    """Run a server that is there when its port answers."""
    with _process(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options):
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        else:
            raise RuntimeError(f"no answer on port {port}: {command}")
        yield


def free_port() -> int:
    """Give a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _until(lines: Callable[[], Iterator[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        yield from lines()
        time.sleep(0.02)
    raise RuntimeError("the server did not start")


@contextmanager
def _process(command: Sequence[str | Path], **options: Any) -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
