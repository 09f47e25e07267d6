"""The floors: what the hardware and the wire must cost."""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from common import ECHO, TRANSPORTS, Bench, kernel, rounds
from load import grpc_generator
from numpy.typing import NDArray
from report import rate
from servers import BENCH, printing


def floors(bench: Bench) -> None:
    """Measure what ONNX Runtime, the tokenizer and the transports alone can do."""
    report, encode = bench.report, bench.bundle.tokenizer.encode
    report.section("floors")
    measure = partial(rate_of_texts, encode, bench.reviews[:500])
    report.measure("T: real reviews, one thread", measure)
    for length, text in bench.texts.items():
        name, work = f"T{length}: {length} tokens, one thread", [text] * 100
        bench.tokenizer[length] = report.measure(name, partial(rate_of_texts, encode, work))
    sequences = sorted((encode(text).ids for text in bench.reviews), key=len)
    best_kernel(bench, "K: real reviews", sequences, 0)
    for length, text in bench.texts.items():
        ids = [encode(text).ids] * 240
        best_kernel(bench, f"K{length}: {length} tokens", ids, length)
        alone = 1000 / kernel([ids[:1]], report.seconds, threads=1)
        bench.alone[length] = report.add(f"one text of {length} tokens alone", [alone], unit="ms")
    for transport in TRANSPORTS:
        with printing([sys.executable, BENCH / "echo.py", transport]) as address:
            generator = grpc_generator(address, ECHO, b"")
            for in_flight in bench.flights:
                loads = [generator.closed(in_flight, report.seconds) for _ in rounds(report)]
                name = f"E: {transport} echo, {in_flight} in flight"
                rates = [load.rate for load in loads]
                bench.echo[transport, in_flight] = report.add(name, rates)
            p50 = [load.p50 for load in loads]
            name = f"E: {transport} echo, 1 in flight, p50"
            bench.echo_p50[transport] = report.add(name, p50, unit="ms")


def rate_of_texts(encode: Callable[[str], Any], texts: Sequence[str], seconds: float) -> float:
    """Tokenize for some seconds."""

    def all_of_them() -> int:
        for text in texts:
            encode(text)
        return len(texts)

    return rate(all_of_them, seconds)


def best_kernel(
    bench: Bench, name: str, sequences: Sequence[NDArray[np.int32]], tokens: int
) -> None:
    """Measure K with batches of several sizes, keep and report the best."""
    report, rates, batches = bench.report, {}, {}
    for rows in (4, 8, 16):
        batches[rows] = [sequences[i : i + rows] for i in range(0, len(sequences), rows)]
        rates[rows] = [kernel(batches[rows], report.seconds / 2) for _ in rounds(report)]
    best = max(rates, key=lambda rows: sorted(rates[rows])[len(rates[rows]) // 2])
    bench.batches[tokens] = batches[best]
    bench.kernels[tokens] = report.add(name, rates[best], note=f"batches of {best}")
