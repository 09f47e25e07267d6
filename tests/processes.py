"""A real `sentido-server` in a process of its own, for the tests of processes."""

import json
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from conftest import BIN
from prometheus_client.parser import text_string_to_metric_families
from raw import Raw, Sent, framed
from sentido.v1.embedding_pb2 import BatchEmbedRequest
from waiting import PATIENCE, wait_for

SERVER = str(BIN / "sentido-server")


class Server:
    """A running process and the lines of its log."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []
        serving = self.wait_for("serving")
        self.address: str = serving["address"]
        self.metrics = str(serving["metrics"])  # where it shows them
        self.health = str(serving["health"])  # where it answers for health alone

    def wait_for(self, event: str) -> dict[str, Any]:
        """Read the log until an event; fails at its end."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(json.loads(line))
            if self.lines[-1]["event"] == event:
                return self.lines[-1]
        raise AssertionError(f"no {event!r} in {self.lines}")

    def in_flight(self) -> float:
        """Return how many calls it has accepted and not finished, by its metrics."""
        return self.metric("sentido_calls_in_flight")

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of this name that have these labels."""
        with urlopen(f"http://{self.metrics}/metrics", timeout=PATIENCE) as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
        samples = [sample for family in families for sample in family.samples]
        found = [s for s in samples if s.name == name and labels.items() <= s.labels.items()]
        assert found, name
        return float(sum(sample.value for sample in found))

    def end(self) -> int:
        """Wait for the end; read the rest of the log."""
        assert self.process.stderr is not None
        self.lines += [json.loads(line) for line in self.process.stderr]
        return self.process.wait(PATIENCE)

    def end_by(self, number: signal.Signals) -> int:
        """Send a signal until the process has ended: one soon after another may count as the same.

        Reads the rest of the log.
        """

        def has_ended() -> bool:
            self.process.send_signal(number)
            return self.process.poll() is not None

        wait_for(has_ended)
        return self.end()


@contextmanager
def unread(running: Server) -> Iterator[Callable[[], str]]:
    """Hold a server's draining: by a call that is accepted and computed, and its answer not read.

    Yields what reads the answer at last, and returns how the call ends.
    """
    request = BatchEmbedRequest(texts=["good"] * 4000)  # vectors of 1.6 MB: not sent unasked
    path = "/sentido.v1.EmbeddingService/BatchEmbed"
    with Raw(running.address) as raw:
        stream = raw.send(Sent(framed(request.SerializeToString()), path=path))
        while not running.lines[-1].get("texts"):
            running.wait_for("call")
        yield lambda: raw.outcome(stream)


def resident(process: int | str) -> float:
    """Give the resident memory of a process in MiB."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def failure(*flags: str, **environment: str) -> tuple[int, str]:
    """Run a server that must not start; give its exit code and what it says."""
    result = subprocess.run(
        [SERVER, *flags], capture_output=True, text=True, timeout=PATIENCE, env=environment or None
    )
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.returncode, result.stderr


@contextmanager
def server(*flags: str, under: Sequence[str | Path] = (), **environment: str) -> Iterator[Server]:
    """Run a server on a free port, or where the flags say; kill it in the end.

    `under`: the words of a command that is followed by the server's.
    """
    command = [*under, SERVER, "--listen", "127.0.0.1:0", *flags]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=environment or None
    ) as process:
        try:
            yield Server(process)
        finally:
            process.kill()
