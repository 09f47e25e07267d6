"""How far Sentido is from what the hardware allows: floors and paths, measured in one run.

    make bench-quick        a minute
    make bench              longer rounds

Every path is given as a ratio to a floor measured in the same run, since machines are shared and
noisy. The floors: K, what ONNX Runtime alone computes, one thread a CPU, on padded batches of 8
texts sorted by length; E, an empty call through the same transport; T, the tokenizer alone, one
thread. The server is a process of its own, on the same CPUs as the load. Prints a table and writes
bench/results.json.
"""

import argparse
import asyncio
import json
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession, SessionOptions
from sentido.v1.prediction_pb2 import BatchPredictRequest, PredictRequest
from sentido_bundle import Bundle, cpus, default_bundle
from sentido_bundle.bundle import graph_inputs
from sentido_export.data import load

BIN = Path(sys.executable).parent
RESULTS = Path(__file__).with_name("results.json")
PREDICT = "/sentido.v1.PredictionService/Predict"
BATCH = "/sentido.v1.PredictionService/BatchPredict"
EMPTY = "/sentido.v1.ModelService/ListNothing"
LENGTHS = (20, 160, 500)
IN_FLIGHT = (64, 16, 1)


@dataclass(frozen=True)
class Row:
    """One measured rate: texts or calls a second, of several rounds."""

    name: str
    median: float
    low: float
    high: float
    floor: str = ""  # what `ratio` is relative to
    ratio: float | None = None


class Bench:
    """Measures in rounds of equal length and collects the rows."""

    def __init__(self, rounds: int, seconds: float) -> None:
        self.rows: list[Row] = []
        self.rounds = rounds
        self.seconds = seconds

    def add(self, name: str, rates: Sequence[float], floor: str = "") -> None:
        """Add a row and print it."""
        median = statistics.median(rates)
        base = next((row.median for row in self.rows if row.name == floor), None)
        row = Row(name, median, min(rates), max(rates), floor, median / base if base else None)
        self.rows.append(row)
        ratio = f"{row.ratio:6.2f} of {floor}" if row.ratio is not None else ""
        spread = f"({row.low:,.0f} to {row.high:,.0f})"
        print(f"{name:<44} {median:>9,.0f}/s {spread:>20} {ratio}", flush=True)

    def measure(self, name: str, run: Callable[[float], float], floor: str = "") -> None:
        """Measure `run(seconds) -> rate` in rounds, after a short one to warm up."""
        run(self.seconds / 4)
        self.add(name, [run(self.seconds) for _ in range(self.rounds)], floor)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    arguments = parser.parse_args()
    bench = Bench(arguments.rounds, arguments.seconds)
    bundle = Bundle.load(default_bundle())
    texts = load("reviews", "text", "label").texts[::5]
    measure_floors(bench, bundle, texts)
    with server() as address:
        asyncio.run(measure_wire(bench, address, bundle, texts))
    facts = {"cpus": cpus.granted(), "rounds": bench.rounds, "seconds": bench.seconds}
    rows = [asdict(row) for row in bench.rows]
    RESULTS.write_text(json.dumps({**facts, "rows": rows}, indent=2) + "\n")
    print(f"written to {RESULTS.name}")


def measure_floors(bench: Bench, bundle: Bundle, texts: Sequence[str]) -> None:
    """Measure what the tokenizer and ONNX Runtime alone can do."""
    encode = bundle.tokenizer.encode
    bench.measure("T: tokenizer, one thread", lambda s: rate(lambda: encode_all(encode, texts), s))
    sequences = sorted((encode(text).ids for text in texts), key=len)
    bench.measure("K: ONNX Runtime alone, real lengths", partial(kernel, sequences))
    for length in LENGTHS:
        ids = [np.resize(sequences[-1], length)] * 64
        bench.measure(f"K{length}: {length} tokens", partial(kernel, ids))
    bench.measure(
        "in-process predict, one thread",
        lambda s: rate(lambda: len(bundle.predict(texts[:500]).hidden), s),
        "K: ONNX Runtime alone, real lengths",
    )
    int8 = Bundle.load(default_bundle(), "int8")
    bench.measure(
        "the same in int8",
        lambda s: rate(lambda: len(int8.predict(texts[:500]).hidden), s),
        "in-process predict, one thread",
    )


def encode_all(encode: Callable[[str], Any], texts: Sequence[str]) -> int:
    """Tokenize some texts; give their number."""
    for text in texts[:500]:
        encode(text)
    return 500


def rate(work: Callable[[], int], seconds: float) -> float:
    """Repeat `work`, which gives the number of things done, and give things a second."""
    done, began = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - began) < seconds:
        done += work()
    return done / elapsed


def kernel(sequences: Sequence[NDArray[np.int32]], seconds: float) -> float:
    """Run padded batches of 8 on one thread a CPU, without any code of ours around."""
    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    path = default_bundle() / "model.onnx"
    session = InferenceSession(path, options, providers=["CPUExecutionProvider"])
    batches = [graph_inputs(sequences[i : i + 8]) for i in range(0, len(sequences), 8)]

    def work(first: int) -> float:
        turns = iter(range(first, 10**9, cpus.granted()))

        def one() -> int:
            batch = batches[next(turns) * 7 % len(batches)]
            return len(session.run(["probabilities", "hidden"], batch)[0])

        return rate(one, seconds)

    with ThreadPoolExecutor(cpus.granted()) as pool:
        return sum(pool.map(work, range(cpus.granted())))


async def measure_wire(bench: Bench, address: str, bundle: Bundle, texts: Sequence[str]) -> None:
    """Measure calls through a server in a process of its own."""
    async with grpc.aio.insecure_channel(address) as channel:
        for in_flight in IN_FLIGHT:
            # An unknown method is refused by gRPC itself: what a call costs without any of ours.
            rates = [await calls(channel, EMPTY, [b""], in_flight, bench.seconds) for _ in "123"]
            bench.add(f"E{in_flight}: empty call, {in_flight} in flight", rates)
        for length in LENGTHS:
            words = (bundle.tokenizer.vocabulary[1:200] * 5)[:length]
            body = PredictRequest(text=" ".join(words)).SerializeToString()
            for in_flight in IN_FLIGHT:
                await calls(channel, PREDICT, [body], in_flight, bench.seconds / 4)
                rates = [
                    await calls(channel, PREDICT, [body], in_flight, bench.seconds)
                    for _ in range(bench.rounds)
                ]
                floor = f"K{length}: {length} tokens"
                bench.add(f"Predict, {length} tokens, {in_flight} in flight", rates, floor)
        parts = [texts[i : i + 256] for i in range(0, 4096, 256)]
        bodies = [BatchPredictRequest(texts=part).SerializeToString() for part in parts]
        rates = [
            256 * await calls(channel, BATCH, bodies, 4, bench.seconds) for _ in range(bench.rounds)
        ]
        bench.add("BatchPredict of 256, 4 callers", rates, "K: ONNX Runtime alone, real lengths")


async def calls(
    channel: grpc.aio.Channel, path: str, bodies: Sequence[bytes], in_flight: int, seconds: float
) -> float:
    """Keep calls in flight for some seconds; give calls a second."""
    method: Any = channel.unary_unary(path)
    end = time.perf_counter() + seconds
    done = 0

    async def caller(number: int) -> None:
        nonlocal done
        turn = number
        while time.perf_counter() < end:
            try:
                await method(bodies[turn % len(bodies)])
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNIMPLEMENTED or path != EMPTY:
                    raise
            turn += 1
            done += 1

    began = time.perf_counter()
    await asyncio.gather(*(caller(number) for number in range(in_flight)))
    return done / (time.perf_counter() - began)


@contextmanager
def server() -> Iterator[str]:
    """Run sentido-server on a free port, its log thrown away; give its address."""
    command: list[str | Path] = [BIN / "sentido-server", "--listen", "127.0.0.1:0"]
    log = Path(__file__).with_name("server.log")
    with log.open("w") as file, subprocess.Popen(command, stderr=file) as process:
        try:
            for _ in range(200):
                lines = [json.loads(line) for line in log.read_text().splitlines()]
                serving = [line for line in lines if line["event"] == "serving"]
                if serving:
                    break
                time.sleep(0.05)
            yield serving[0]["address"]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
            log.unlink()


if __name__ == "__main__":
    main()
