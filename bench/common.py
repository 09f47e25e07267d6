"""What all parts of the benchmark share: the bundle, the floors that were found, and the texts."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession, SessionOptions
from report import Report, rate
from sentido_bundle import Bundle, cpus
from sentido_bundle.layouts import Lengths
from sentido_export.data import load
from servers import BENCH, Server

RESULTS = BENCH / "results.json"
MADE = BENCH.parent / "build" / "bench" / "made"  # by models.py
BUNDLE = MADE / "bundle"
GRAPH = BUNDLE / "model.onnx"
MODELS = MADE / "models"
BATCH_PREDICT = "/sentido.v1.PredictionService/BatchPredict"
BATCH_EMBED = "/sentido.v1.EmbeddingService/BatchEmbed"
EMBED_TOKENS = "/sentido.v1.EmbeddingService/EmbedTokens"
ECHO = "/bench.Echo/Echo"
LENGTHS = (20, 160, 500)
QUICK = ["bulk", "unary"]
APART = ("client", "fairness", "score")  # parts with a target of their own in the Makefile
TRANSPORTS = ("native", "grpcio")
UNARY_TARGETS = {20: 0.30, 160: 0.72, 500: 0.80}  # of K, native, 64 in flight
CPUS = cpus.granted()


T = TypeVar("T")
Batches = Sequence[Sequence[NDArray[np.int32]]]


class Bench:
    """The floors that were found, and the texts that all of it is about."""

    def __init__(self, report: Report, *, quick: bool = False) -> None:
        self.report = report
        self.quick = quick
        self.flights = (64, 1) if quick else (256, 64, 16, 1)
        self.bundle = Bundle.load(BUNDLE)
        self.reviews = load("reviews", "text", "label").texts[::5]
        self.texts = {length: self._text(length) for length in LENGTHS}
        self.batches: dict[int, Batches] = {}  # of K by tokens (0: real reviews), of the best size
        self.kernels: dict[int, float] = {}  # K by tokens
        self.alone: dict[int, float] = {}  # milliseconds of a batch of one, by tokens
        self.tokenizer: dict[int, float] = {}  # T by tokens
        self.echo: dict[tuple[str, int], float] = {}  # E by transport and calls in flight
        self.echo_p50: dict[str, float] = {}  # milliseconds, one in flight

    def _text(self, length: int) -> str:
        """Give real words, as many as the model will read tokens."""
        known = [
            word
            for review in self.reviews[:50]
            for word in self.bundle.tokenizer.words(review)
            if self.bundle.tokenizer.lookup(word)
        ]
        return " ".join(known[:length])

    def beside_kernel(
        self, measure: Callable[[], T], tokens: int = 0
    ) -> tuple[list[T], tuple[str, list[float]]]:
        """Measure in rounds, and K before and after each: the machine is not alike all the time.

        K runs as long as what it is compared with: a shared machine is faster for a moment.
        """
        seconds = self.report.seconds / 2
        measured, looks = [], [kernel(self.batches[tokens], seconds)]
        for _ in rounds(self.report):
            measured.append(measure())
            looks.append(kernel(self.batches[tokens], seconds))
        return measured, (f"K{tokens or ''}", [sum(pair) / 2 for pair in pairwise(looks)])


def make_bundles() -> None:
    """Make the bundles that are measured, once; servers and peers then load the main one."""
    if not MODELS.exists():
        print("  making the bundles ...", file=sys.stderr)
        command: list[str | Path] = [sys.executable, BENCH / "models.py", MADE]
        subprocess.run(command, check=True, capture_output=True)
    os.environ["SENTIDO_BUNDLE"] = str(BUNDLE)


def kernel(
    batches: Batches,
    seconds: float,
    threads: int = CPUS,
    graph: Path = GRAPH,
) -> float:
    """Run batches on one thread a CPU, without any code of ours around; give texts a second."""
    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    inputs = [Lengths().inputs(batch) for batch in batches]

    def work(first: int) -> float:
        turns = iter(range(first, 10**9, threads))

        def one() -> int:
            batch = inputs[next(turns) * 7 % len(inputs)]  # all over the lengths
            return len(session.run(["probabilities", "hidden"], batch)[0])

        return rate(one, seconds)

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(work, range(threads)))


def rounds(report: Report) -> range:
    """Count the rounds of a row."""
    return range(report.rounds)


def check(server: Server) -> None:
    """End the benchmark if a call failed: its rates would be of something else."""
    codes = server.codes()
    cancelled = codes.pop("CANCELLED", 0)  # what h2load left open at its end
    if set(codes) != {"OK"} or cancelled > 0.05 * codes["OK"]:
        raise RuntimeError(f"calls failed: {codes}, {cancelled} cancelled")
