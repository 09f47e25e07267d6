"""How far Sentido is from what the hardware allows: floors and paths, measured in one run.

    make bench              about 10 minutes, and once some minutes more to install the peers
    make bench-quick        about a minute: the floors, the bulk paths, one-text calls
    make bench-client       what each way to ask costs the client
    make bench-score        whole files: 25,000 reviews by each engine
    make bench-fairness     a short call beside callers who ask for too much (about 5 minutes)

Every path is a ratio to a floor measured in the same run, since machines are shared and noisy. The
floors: K, what ONNX Runtime alone computes, one thread a CPU, on batches of pre-tokenized texts
sorted by length, of the best size; T, the tokenizer alone, on one thread; E, an echo on the same
transport. Servers are processes of their own, on the same CPUs as the load. Prints a table and
writes bench/results.json.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import fairness as beside_hogs
import numpy as np
import peers
import whole_files
from load import Generator, Load, grpc_generator, need_h2load, predict_generator, together
from numpy.typing import NDArray
from onnxruntime import InferenceSession, SessionOptions
from report import Report, rate
from sentido.v1.embedding_pb2 import (
    TOKEN_EMBEDDING_KIND_HIDDEN,
    BatchEmbedRequest,
    EmbedTokensRequest,
)
from sentido.v1.prediction_pb2 import BatchPredictRequest
from sentido_bundle import Bundle, cpus, default_bundle
from sentido_bundle.bundle import graph_inputs
from sentido_client import AsyncClient, Client
from sentido_export.data import load
from sentido_score import Servers
from servers import BENCH, Server, printing, sentido

RESULTS = BENCH / "results.json"
GRAPH = default_bundle() / "model.onnx"
MODELS = BENCH.parent / "build" / "bench" / "models"
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
        self.bundle = Bundle.load(default_bundle())
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


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="a minute: the most important rows")
    parser.add_argument("--rounds", type=int, help="measurements a row (default: 3; quick: 2)")
    parser.add_argument("--seconds", type=float, help="of each (default: 0.9; quick: 0.3)")
    parser.add_argument("--only", metavar="NAME", help="run the floors and one part")
    arguments = parser.parse_args()
    need_h2load()
    seconds = arguments.seconds or (0.3 if arguments.quick else 0.9)
    rounds_a_row = arguments.rounds or (2 if arguments.quick else 3)
    report, began = Report(rounds_a_row, seconds), time.monotonic()
    bench = Bench(report, quick=arguments.quick)
    parts: dict[str, Callable[[Bench], None]] = {
        part.__name__: part
        for part in (
            bulk,
            score,
            unary,
            mixed,
            overload,
            threads,
            sizes,
            life,
            against,
            client,
            fairness,
        )
    }
    chosen = QUICK if arguments.quick else [name for name in parts if name not in APART]
    if arguments.only is not None:
        if arguments.only not in parts:
            parser.error(f"--only {arguments.only}: one of {', '.join(parts)} is needed")
        chosen = [arguments.only]
    floors(bench)
    for name in chosen:
        parts[name](bench)
    facts = {
        "cpus": CPUS,
        "load_average": os.getloadavg()[0],
        "python": sys.version.split()[0],
        "seconds": round(time.monotonic() - began),
    }
    bench.report.write(RESULTS, facts)


# -- 1. floors ---------------------------------------------------------------------------------


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
    inputs = [graph_inputs(batch) for batch in batches]

    def work(first: int) -> float:
        turns = iter(range(first, 10**9, threads))

        def one() -> int:
            batch = inputs[next(turns) * 7 % len(inputs)]  # all over the lengths
            return len(session.run(["probabilities", "hidden"], batch)[0])

        return rate(one, seconds)

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(work, range(threads)))


# -- 2. paths ----------------------------------------------------------------------------------


def bulk(bench: Bench) -> None:
    """Measure many texts at once: in-process, batch calls, one stream."""
    report, texts = bench.report, bench.reviews
    report.section("many texts at once, real reviews")

    def in_process(bundle: Bundle) -> float:
        return rate(lambda: len(bundle.predict(texts).hidden), report.seconds)

    rates, k = bench.beside_kernel(lambda: in_process(bench.bundle))
    fp32 = report.add("in-process predict of 5,000", rates, of=k, target=0.85)
    twin = Bundle.load(default_bundle(), "int8")
    rates, k = bench.beside_kernel(lambda: in_process(twin))
    int8 = report.add("in-process predict of 5,000, int8", rates, of=k)
    for transport in TRANSPORTS:
        batch_calls(bench, transport)
    with sentido() as server, Client(server.address) as made:

        def stream() -> int:
            return sum(1 for _ in made.predict(iter(texts)))

        add_client(bench, "StreamPredict, one stream, our client", stream, target=0.7)
        add_client(bench, "predict(list), our client", lambda: len(made.predict(texts)))
        check(server)
    if bench.quick:
        return
    rates = peers.keras_predict(report.rounds)
    keras = report.add("keras.predict, padded to 500, batches of 128", rates, of=k)
    for name, value, target in (("fp32", fp32, 5.0), ("int8", int8, 7.0)):
        report.add(f"in-process {name}", [value], of=("keras.predict", keras), target=target)


def score(bench: Bench) -> None:
    """Measure whole files: CSV to Parquet in this process, through a server, on Ray."""
    report, rows = bench.report, 5000 if bench.quick else 25_000
    report.section("whole files, CSV to Parquet, real reviews")
    with whole_files.reviews_as_csv(rows) as path:
        rates, k = bench.beside_kernel(lambda: whole_files.scored(path))
        fp32 = report.add(f"sentido-score of {rows:,}", rates, of=k, target=0.8)
        pairs = [
            [whole_files.scored(path, precision=precision) for precision in ("fp32", "int8")]
            for _ in rounds(report)
        ]
        turns = ("fp32, in turns", [pair[0] for pair in pairs])
        report.add("the same, int8", [pair[1] for pair in pairs], of=turns, target=1.3)
        with sentido() as server:
            servers = Servers(server.address)
            measure = partial(whole_files.scored, path, "remote", servers=servers)
            rates, k = bench.beside_kernel(measure)
            report.add("--engine remote, a server on this machine", rates, of=k, target=0.6)
            check(server)
        if whole_files.has_ray:
            rates = [whole_files.scored_on_ray(path) for _ in rounds(report)]
            of = ("local", fp32)
            report.add("--engine ray, once started", rates, of=of, target=0.75)
        if not bench.quick:
            keras = whole_files.keras_with_a_table(path, report.rounds)
            base = report.add("keras.predict with pandas around it", keras)
            of = ("keras.predict", base)
            report.add(f"sentido-score of {rows:,}", [fp32], of=of, target=4.5)


def batch_calls(bench: Bench, transport: str) -> None:
    """Measure calls with many texts, and with many vectors."""
    report, calls = bench.report, round(6 * bench.report.seconds)  # a caller's, of 256 texts each
    with sentido("--transport", transport) as server:
        callers = batch_callers(server.address, bench.reviews, BATCH_PREDICT, BatchPredictRequest)
        rates, k = bench.beside_kernel(partial(texts_together, callers, calls))
        target = None if transport == "grpcio" else 0.75
        name = f"BatchPredict of 256, 4 callers, {transport}"
        report.add(name, rates, of=k, target=target)
        callers = batch_callers(server.address, bench.reviews, BATCH_EMBED, BatchEmbedRequest)
        rates, k = bench.beside_kernel(partial(texts_together, callers, calls))
        report.add(f"BatchEmbed of 256, 4 callers, {transport}", rates, of=k)
        kind = TOKEN_EMBEDDING_KIND_HIDDEN
        body = EmbedTokensRequest(text=bench.texts[160], kind=kind).SerializeToString()
        generator = grpc_generator(server.address, EMBED_TOKENS, body)
        rates, k = bench.beside_kernel(lambda: generator.closed(16, report.seconds).rate, 160)
        report.add(f"EmbedTokens, LSTM steps of 160 tokens, {transport}", rates, of=k)
        check(server)


def texts_together(callers: Sequence[Generator], calls: int) -> float:
    """Give the texts a second of callers that send 256 a call."""
    return 256 * together(callers, calls)


def batch_callers(
    address: str,
    texts: Sequence[str],
    path: str,
    request: Any,
) -> list[Generator]:
    """Make four callers, each with 256 reviews of its own."""
    parts = [texts[i : i + 256] for i in range(0, 1024, 256)]
    bodies = [request(texts=part).SerializeToString() for part in parts]
    return [grpc_generator(address, path, body) for body in bodies]


def unary(bench: Bench) -> None:
    """Measure calls of one text each, on both transports."""
    report, seconds = bench.report, bench.report.seconds
    for transport in TRANSPORTS:
        report.section(f"Predict, one text a call, {transport}")
        with sentido("--transport", transport) as server:
            for length in LENGTHS:
                generator = predict_generator(server.address, bench.texts[length])
                generator.closed(64, seconds / 4)
                for in_flight in bench.flights:
                    loads, k = bench.beside_kernel(
                        partial(generator.closed, in_flight, seconds), length
                    )
                    add_unary(bench, (transport, length, in_flight), loads, k)
            check(server)


def add_unary(
    bench: Bench, key: tuple[str, int, int], loads: Sequence[Load], k: tuple[str, list[float]]
) -> None:
    """Report the calls of one kind against the floors."""
    report, (transport, length, in_flight) = bench.report, key
    rates = [load.rate for load in loads]
    name = f"{length} tokens, {in_flight} in flight"
    target = UNARY_TARGETS[length] if (transport, in_flight) == ("native", 64) else None
    p99 = sorted(load.p99 for load in loads)[len(loads) // 2]
    share = sorted(load.cpus for load in loads)[len(loads) // 2]
    note = f"p99 {p99:.2f} ms, load {share:.2f} CPUs"
    report.add(name, rates, of=k, target=target, note=note)
    if in_flight == 64:
        echo, texts = bench.echo[transport, 64], bench.tokenizer[length] * CPUS
        bounds = [1 / (1 / echo + 1 / texts + 1 / rate) for rate in k[1]]
        report.add(
            f"  the same, of 1 / (E + T + K{length})",
            rates,
            of=("that", bounds),
            target=0.85 if transport == "grpcio" else None,
        )
    if in_flight == 1:
        floor = bench.echo_p50[transport] + 1000 / bench.tokenizer[length] + bench.alone[length]
        p50 = [load.p50 for load in loads]
        of = ("E + T + one alone", floor)
        report.add("  its p50", p50, unit="ms", of=of, target=1.15, at_least=False)


def client(bench: Bench) -> None:
    """Measure what each way to ask for many texts costs the client."""
    report, texts = bench.report, bench.reviews
    report.section("the client, 5,000 reviews")
    with sentido() as server, Client(server.address) as made:
        ways: dict[str, Callable[[], int]] = {}
        for verb in ("predict", "embed"):
            ask = getattr(made, verb)
            ways[f"Client.{verb}(list)"] = partial(lambda ask: len(ask(texts)), ask)
            ways[f"Client.{verb}(iterable)"] = partial(
                lambda ask: sum(1 for _ in ask(iter(texts))), ask
            )
            ways[f"AsyncClient.{verb}(list)"] = partial(
                ask_async, server.address, verb, texts, False
            )
            ways[f"AsyncClient.{verb}(iterable)"] = partial(
                ask_async, server.address, verb, texts, True
            )
        for name, way in ways.items():
            add_client(bench, name, way)
        check(server)


def add_client(
    bench: Bench, name: str, way: Callable[[], int], target: float | None = None
) -> None:
    """Report the rate of a way to ask, and how many CPUs the client takes for it."""

    def measure() -> tuple[float, float]:
        began, worked = time.perf_counter(), time.process_time()
        count = way()
        elapsed = time.perf_counter() - began
        return count / elapsed, (time.process_time() - worked) / elapsed

    measured, k = bench.beside_kernel(measure)
    rates, shares = zip(*measured, strict=True)
    bench.report.add(name, rates, of=k, target=target)
    bench.report.add("  its client's CPUs", shares, unit="", target=0.25, at_least=False)


def ask_async(address: str, verb: str, texts: Sequence[str], streams: bool) -> int:
    """Ask an AsyncClient for a list, or for an iterable of it; give the number of answers."""

    async def ask() -> int:
        async with AsyncClient(address) as made:
            if not streams:
                return len(await getattr(made, verb)(texts))
            count = 0
            async for _ in getattr(made, verb)(iter(texts)):
                count += 1
            return count

    return asyncio.run(ask())


# -- 3. lengths and load ------------------------------------------------------------------------


def mixed(bench: Bench) -> None:
    """Measure short texts while long ones flood."""
    report, seconds = bench.report, bench.report.seconds
    report.section("mixed lengths, native")
    with sentido("--transport", "native") as server:
        short, long = (
            predict_generator(server.address, bench.texts[length]) for length in (20, 500)
        )
        alone = [short.closed(4, seconds).p99 for _ in rounds(report)]
        report.add("20 tokens, 4 in flight, alone: p99", alone, unit="ms")
        with ThreadPoolExecutor(1) as pool:
            flood = pool.submit(long.closed, 32, seconds * (report.rounds + 2))
            time.sleep(seconds / 2)
            among = [short.closed(4, seconds).p99 for _ in rounds(report)]
            flood.result()
        report.add("the same among 32 of 500 tokens: p99", among, unit="ms")
        check(server)
    with sentido("--transport", "native") as server:
        callers = batch_callers(server.address, bench.reviews, BATCH_PREDICT, BatchPredictRequest)
        together(callers, 8)
        server.process.terminate()
        server.process.wait()
        *_, counts = server.lines()
        size, padding = counts["tokens"], counts["padding_tokens"]
        report.add("BatchPredict: padding", [padding / (size + padding)], unit="")
        report.add("BatchPredict: texts a batch", [counts["texts"] / counts["batches"]], unit="")


def overload(bench: Bench) -> None:
    """Offer twice what the server can do, each call with a deadline of 2 s."""
    report, seconds = bench.report, max(6.0, 5 * bench.report.seconds)
    report.section("offered load of twice the capacity, native, deadlines of 2 s")
    for length in (160, 500):
        with sentido("--transport", "native") as server:
            generator = predict_generator(server.address, bench.texts[length], "grpc-timeout: 2S")
            most = generator.closed(64, bench.report.seconds).rate
            check(server)
            before = server.resident()
            load = generator.open(2 * most, seconds)
            time.sleep(0.3)
            calls = [line for line in server.lines() if line["event"] == "call"]
            times = [datetime.fromisoformat(line["time"]).timestamp() for line in calls]
            # Once the queue is full, and until what still waits in it is cancelled at the end.
            window = (min(times) + 2, min(times) + seconds)
            ended = [
                line for line, at in zip(calls, times, strict=True) if window[0] <= at < window[1]
            ]
            elapsed = window[1] - window[0]
            good = [line["milliseconds"] for line in ended if line["code"] == "OK"]
            refused = [
                line["milliseconds"] for line in ended if line["code"] == "RESOURCE_EXHAUSTED"
            ]
            other = len(ended) - len(good) - len(refused)
            allowed = most * (1 - len(refused) / elapsed / bench.echo["native", 64])
            report.add(
                f"{length} tokens: answered",
                [len(good) / elapsed],
                of=("the most less refusals", allowed),
                target=0.9,
                note=f"offered {2 * most:,.0f}/s, refused {len(refused) / elapsed:,.0f}/s,"
                f" neither {other}",
            )
            report.add(
                f"{length} tokens: p99 of the answered",
                [float(np.percentile(good, 99))],
                unit="ms",
                target=2000,
                at_least=False,
            )
            if refused:
                report.add(
                    f"{length} tokens: p99 of the refused",
                    [float(np.percentile(refused, 99))],
                    unit="ms",
                )
            report.add(f"{length} tokens: slowest, to its caller", [load.slowest], unit="ms")
            report.add(f"{length} tokens: memory more", [server.resident() - before], unit="MB")


# -- 4. scaling ---------------------------------------------------------------------------------


def threads(bench: Bench) -> None:
    """Measure one and more compute threads."""
    report, seconds = bench.report, bench.report.seconds
    report.section("compute threads, native, 160 tokens, 64 in flight")
    rates: dict[int, list[float]] = {}
    for _ in rounds(report):
        for count in (1, CPUS):
            with sentido("--transport", "native", "--threads", str(count)) as server:
                generator = predict_generator(server.address, bench.texts[160])
                generator.closed(64, seconds / 4)
                load = generator.closed(64, seconds)
                rates.setdefault(count, []).append(load.rate)
    one = report.add("1 thread", rates[1])
    report.add(f"{CPUS} threads", rates[CPUS], of=("1 thread", one), target=1.7)


def sizes(bench: Bench) -> None:
    """Measure other lengths, vocabularies and units, in-process against ONNX Runtime alone."""
    report = bench.report
    if not MODELS.exists():
        print("  making the models ...", file=sys.stderr)
        command: list[str | Path] = [sys.executable, BENCH / "models.py", MODELS]
        subprocess.run(command, check=True, capture_output=True)
    report.section("in-process predict, by length of text (10,000 words, 100 units)")
    words = " ".join(bench.texts.values()).split() * 3
    folder = MODELS / "10,000 words"
    for length in (10, 50, 200, 500, 1000, 2000):
        add_size(bench, folder, f"{length} tokens", [" ".join(words[:length])] * 512)
    report.section("in-process predict of real reviews, by size of the model")
    for folder in sorted(MODELS.iterdir(), key=lambda path: path.stat().st_mtime):
        add_size(bench, folder, folder.name, bench.reviews[:1024])


def add_size(bench: Bench, folder: Path, name: str, texts: Sequence[str]) -> None:
    """Report the rate of a bundle against that of its graph alone."""
    report, bundle = bench.report, Bundle.load(folder)
    sequences = sorted((bundle.tokenizer.encode(text).ids for text in texts), key=len)
    batches = [sequences[i : i + 8] for i in range(0, len(sequences), 8)]
    alone = kernel(batches, report.seconds, graph=folder / "model.onnx")
    report.measure(
        name,
        partial(rate, lambda: len(bundle.predict(texts).hidden)),
        of=("its graph alone", alone),
    )


# -- 5. life ------------------------------------------------------------------------------------


def life(bench: Bench) -> None:
    """Measure the start, and memory: idle, under load, and after a million calls."""
    report = bench.report
    report.section("start and memory, native")
    times, idle = [], []
    for _ in range(5):
        began = time.monotonic()
        with sentido("--transport", "native") as server:
            times.append(time.monotonic() - began)
            idle.append(server.resident())
    report.add("process start to SERVING", times, unit="s", target=1.0, at_least=False)
    report.add("resident then", idle, unit="MB", target=150, at_least=False)
    with sentido("--transport", "native") as server:
        calls, marks = 0, {}
        while calls < 1_000_000:
            with ThreadPoolExecutor() as pool:
                # Mostly short ones, so that a million of them end today.
                flights = ((20, 64), (160, 2), (500, 1))
                loads = [
                    pool.submit(
                        predict_generator(server.address, bench.texts[length]).closed, in_flight, 10
                    )
                    for length, in_flight in flights
                ]
            calls += int(10 * sum(load.result().rate for load in loads))
            marks[calls] = server.resident()
        check(server)
    for calls, megabytes in (min(marks.items()), max(marks.items())):
        report.add(f"resident after {calls:,} mixed calls", [megabytes], unit="MB")


def fairness(bench: Bench) -> None:
    """Measure what short calls take beside callers who ask for too much."""
    beside_hogs.measure(bench.report, TRANSPORTS)


# -- 6. others ----------------------------------------------------------------------------------


def against(bench: Bench) -> None:
    """Measure what people would use instead, on the same texts."""
    report, seconds = bench.report, bench.report.seconds
    flights = (64, 16, 1)
    report.section("one text a call, Sentido and others")
    ours: dict[tuple[int, int], float] = {}
    everyone: dict[str, Callable[[], AbstractContextManager[peers.Calling]]] = {
        "Sentido, native": _sentido,
        "mosec": peers.mosec,
        "MLServer": peers.mlserver,
        "grpcio, threads": peers.threads,
        "grpc.aio, window of 5 ms": peers.window,
    }
    for name, peer in everyone.items():
        with peer() as calling:
            for length, text in bench.texts.items():
                generator = calling(text)
                generator.closed(16, 0.5)
                for in_flight in flights:
                    rates = [generator.closed(in_flight, seconds).rate for _ in range(2)]
                    key, row = (length, in_flight), f"{name}: {length} tokens, {in_flight}"
                    if key not in ours:
                        ours[key] = report.add(row, rates)
                        continue
                    target = 1.0 if name in ("mosec", "MLServer") else None
                    of = ("Sentido", ours[key])
                    report.add(row, rates, of=of, target=target, at_least=False)


@contextmanager
def _sentido() -> Iterator[peers.Calling]:
    with sentido("--transport", "native") as server:
        yield partial(predict_generator, server.address)


# -- helpers ------------------------------------------------------------------------------------


def rounds(report: Report) -> range:
    """Count the rounds of a row."""
    return range(report.rounds)


def check(server: Server) -> None:
    """End the benchmark if a call failed: its rates would be of something else."""
    codes = server.codes()
    cancelled = codes.pop("CANCELLED", 0)  # what h2load left open at its end
    if set(codes) != {"OK"} or cancelled > 0.05 * codes["OK"]:
        raise RuntimeError(f"calls failed: {codes}, {cancelled} cancelled")


if __name__ == "__main__":
    main()
