"""The server's process: it ends when it is told to, whatever it does, and not without a word."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress

import pytest
from processes import SERVER, server
from sentido_bundle import default_bundle
from waiting import PATIENCE

MANY = 300  # bundles: to load them all takes far longer than a stop may


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stop_does_not_wait_for_a_load(number: int, code: int) -> None:
    bundles = [flag for _ in range(MANY) for flag in ("--bundle", str(default_bundle()))]
    with subprocess.Popen(
        [SERVER, "--listen", "127.0.0.1:0", *bundles], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            assert json.loads(process.stderr.readline())["event"] == "loaded"
            process.send_signal(number)
            events = [json.loads(line)["event"] for line in process.stderr]
            assert process.wait(PATIENCE) == code
        finally:
            process.kill()
    assert events.count("loaded") < MANY - 1
    assert "stopping" in events
    assert "serving" not in events


def test_hangups_without_end_hide_no_stop() -> None:
    with server("--transport", "grpcio") as running:
        with suppress(ProcessLookupError):
            for number in range(20_000):
                os.kill(running.process.pid, signal.SIGHUP)
                if number == 10_000:
                    running.process.send_signal(signal.SIGTERM)
        assert running.end() == 0
    assert running.lines[-1]["event"] == "stopped"


def test_two_signals_that_come_together_are_one(transport: str) -> None:
    with server("--transport", transport) as running:
        running.process.send_signal(signal.SIGTERM)
        running.process.send_signal(signal.SIGTERM)
        assert running.end() == 0
    assert running.lines[-1]["event"] == "stopped"


PROGRAM = """
import threading
import time
from sentido_server import life, stderr
from sentido_server.config import Config

def die() -> None:
    while threading.excepthook is threading.__excepthook__:
        time.sleep(0.01)
    raise RuntimeError("the secret of the database")

threading.Thread(target=die, name={name!r}).start()
with stderr.into_the_log("json"):
    life.run(Config(listen="127.0.0.1:0"))
"""


@pytest.mark.parametrize("name", ["Thread-7 (_serve)", "front", "compute-0"])
def test_a_server_whose_loop_has_ended_says_so_and_ends(name: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(name=name)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert result.returncode == 1
    events = {line["event"]: line for line in map(json.loads, result.stderr.splitlines())}
    assert events["a thread ended"]["thread"] == name
    assert "die" in events["a thread ended"]["traceback"]
    assert "secret" not in result.stderr
