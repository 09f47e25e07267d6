"""Load from h2load (Debian: nghttp2-client), which costs little of the CPUs it measures."""

import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sentido.v1.prediction_pb2 import PredictRequest

_MOST_STREAMS = 1000  # of one connection


@dataclass(frozen=True)
class Load:
    """What came back."""

    rate: float  # answers a second
    p50: float  # milliseconds
    p99: float  # milliseconds
    slowest: float  # milliseconds
    cpus: float  # that the load itself took


def need_h2load() -> None:
    """End the program if h2load is not there."""
    if shutil.which("h2load") is None:
        sys.exit("bench: h2load is needed; on Debian: apt-get install nghttp2-client")


def grpc_message(body: bytes) -> bytes:
    """Frame a request as gRPC does."""
    return struct.pack(">BI", 0, len(body)) + body


class Generator:
    """Sends one request over and over. Keeps its files in a folder of its own until closed."""

    def __init__(self, url: str, body: bytes, *headers: str, http1: bool = False) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="sentido-bench-")
        self._body = Path(self._folder.name) / "body"
        self._body.write_bytes(body)
        self._url = url
        self._http1 = http1
        self._headers = [f"--header={header}" for header in headers]

    def closed(self, in_flight: int, seconds: float) -> Load:
        """Keep so many requests in flight: on one HTTP/2 connection, or as many of HTTP/1.1."""
        clients, streams = (in_flight, 1) if self._http1 else (1, in_flight)
        return self._run(seconds, f"-c{clients}", f"-m{streams}")

    def open(self, per_second: float, seconds: float) -> Load:
        """Send so many a second, whatever comes back, on 8 connections."""
        return self._run(seconds, "-c8", f"-m{_MOST_STREAMS}", f"--rps={per_second / 8:.0f}")

    def each(self, count: int) -> "np.ndarray[Any, Any]":
        """Send so many requests one after the other; give start and end of each (microseconds)."""
        lines = self._log("-c1", "-m1", f"-n{count}")
        return np.stack([lines[:, 0], lines[:, 0] + lines[:, 2]], axis=1)

    def _run(self, seconds: float, *flags: str) -> Load:
        before, began = _children_seconds(), time.perf_counter()
        window = (f"--duration={seconds * 1000:.0f}ms", "--warm-up-time=200ms")
        lines = self._log(*flags, *window)
        cpus = (_children_seconds() - before) / (time.perf_counter() - began)
        p50, p99, slowest = (float(p) / 1000 for p in np.percentile(lines[:, 2], [50, 99, 100]))
        return Load(len(lines) / seconds, p50, p99, slowest, cpus)

    def _log(self, *flags: str) -> "np.ndarray[Any, Any]":
        """Run h2load; give start (microseconds), HTTP status and duration of each request."""
        log = Path(self._folder.name) / "log"
        log.unlink(missing_ok=True)
        command: list[str | Path] = ["h2load", "-t1", *flags]
        command += [f"--data={self._body}", f"--log-file={log}"]
        command += ["--h1"] if self._http1 else []
        result = subprocess.run(
            [*command, *self._headers, self._url], capture_output=True, text=True, check=True
        )
        lines = np.array(log.read_text().split(), np.int64).reshape(-1, 3)
        good: np.ndarray[Any, Any] = lines[lines[:, 1] == 200]
        # At the edge of its window it may log one without a status.
        if len(good) < max(1, len(lines) - 1):
            raise RuntimeError(f"h2load: {self._url}: {result.stdout[-600:]}")
        return good


def grpc_generator(address: str, path: str, body: bytes, *headers: str) -> Generator:
    """Make a generator of unary gRPC calls."""
    both = ("content-type: application/grpc", "te: trailers", *headers)
    return Generator(f"http://{address}{path}", grpc_message(body), *both)


def predict_generator(address: str, text: str, *headers: str) -> Generator:
    """Make a generator of Predict calls with one text."""
    body = PredictRequest(text=text).SerializeToString()
    return grpc_generator(address, "/sentido.v1.PredictionService/Predict", body, *headers)


def together(generators: Sequence[Generator], count: int) -> float:
    """Let each generator send `count` requests in turn, all at once; give requests a second."""
    with ThreadPoolExecutor(len(generators)) as pool:
        times = np.concatenate(list(pool.map(lambda generator: generator.each(count), generators)))
    return len(times) / float(times[:, 1].max() - times[:, 0].min()) * 1e6


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
