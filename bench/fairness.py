"""What a polite caller waits beside one who asks for too much or holds on to what it has.

The attacks are those of `tests/hostile/hogs.py`, which is run as a program: on the same CPUs as the
server and the polite caller, as everything here.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
from report import Report
from sentido.v1.prediction_pb2 import PredictRequest
from sentido.v1.prediction_pb2_grpc import PredictionServiceStub
from servers import BENCH, sentido

TESTS = BENCH.parent / "tests"
HOGS = TESTS / "hostile" / "hogs.py"
ATTACKS = (
    *("empty texts", "long words", "long texts", "token vectors", "nearest words"),
    *("large batches", "large messages begun", "calls half sent", "streams half sent"),
    *("long headers", "repeated headers", "10,000 watches", "streams that are not read"),
)
SECONDS = 8.0  # of each attack
PAUSE = 0.01  # between calls
MOST_MILLISECONDS = 250.0  # that 99 of 100 short calls may take, whatever another caller does
TEXT = "a good film with a story"


def measure(report: Report, transports: tuple[str, ...]) -> None:
    """Measure short calls alone and beside each attack, on a server of its own each."""
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    for transport in transports:
        report.section(f"a short call beside a caller who asks for too much, {transport}")
        for attack in ATTACKS:
            with sentido("--transport", transport) as server:
                alone = _calls(server.address, SECONDS / 4)
                Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")  # forget the peak
                command = [sys.executable, str(HOGS), server.address, attack, str(SECONDS)]
                with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as hog:
                    assert hog.stdout is not None
                    hog.stdout.readline()  # it has begun
                    beside = _calls(server.address, SECONDS)
                    ends = json.loads(hog.stdout.read())
                status = Path(f"/proc/{server.process.pid}/status").read_text()
            peak = int(status.partition("VmHWM:")[2].split()[0]) / 1000
            _add(report, attack, alone, beside, f"{ends}, at most {peak:.0f} MB")


def _add(report: Report, attack: str, alone: list[float], beside: list[float], note: str) -> None:
    p50, p99 = np.percentile(alone, [50, 99])
    text = f"alone {p50:.1f} and {p99:.1f}, p50 beside it {np.median(beside):.1f}, {note}"
    p99s = [float(np.percentile(beside, 99))]
    name, most = f"p99 beside {attack}", MOST_MILLISECONDS
    report.add(name, p99s, unit="ms", target=most, at_least=False, note=text)


def _calls(address: str, seconds: float) -> list[float]:
    """Call again and again; returns milliseconds. Raises grpc.RpcError if one is refused."""
    took: list[float] = []
    with grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        call: Callable[..., object] = PredictionServiceStub(channel).Predict
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            began = time.perf_counter()
            call(PredictRequest(text=TEXT), timeout=30, wait_for_ready=True)
            took.append(1000 * (time.perf_counter() - began))
            time.sleep(PAUSE)
    return took
