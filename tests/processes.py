"""A real `sentido-server` in a process of its own, for the tests of processes."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from conftest import BIN

SERVER = str(BIN / "sentido-server")


class Server:
    """A running process and the lines of its log."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []
        self.address = self.wait_for("serving")["address"]

    def wait_for(self, event: str) -> dict[str, Any]:
        """Read the log until an event; fails at its end."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(json.loads(line))
            if self.lines[-1]["event"] == event:
                return self.lines[-1]
        raise AssertionError(f"no {event!r} in {self.lines}")

    def end(self, timeout: float = 30) -> int:
        """Wait for the end; read the rest of the log."""
        assert self.process.stderr is not None
        self.lines += [json.loads(line) for line in self.process.stderr]
        return self.process.wait(timeout)


def resident(process: int | str) -> float:
    """Give the resident memory of a process in MiB."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def failure(*flags: str, **environment: str) -> tuple[int, str]:
    """Run a server that must not start; give its exit code and what it says."""
    result = subprocess.run(
        [SERVER, *flags], capture_output=True, text=True, timeout=60, env=environment or None
    )
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.returncode, result.stderr


@contextmanager
def server(*flags: str, **environment: str) -> Iterator[Server]:
    """Run a server on a free port, or where the flags say; kill it in the end."""
    command = [SERVER, "--listen", "127.0.0.1:0", *flags]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=environment or None
    ) as process:
        try:
            yield Server(process)
        finally:
            process.kill()
