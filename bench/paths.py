"""The paths: bulk work, one-text calls, whole files, and what asking costs a client."""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import peers
import whole_files
from common import (
    BATCH_EMBED,
    BATCH_PREDICT,
    BUNDLE,
    CPUS,
    EMBED_TOKENS,
    LENGTHS,
    TRANSPORTS,
    UNARY_TARGETS,
    Bench,
    check,
    rounds,
)
from load import Generator, Load, grpc_generator, predict_generator, together
from report import rate
from sentido.v1.embedding_pb2 import (
    TOKEN_EMBEDDING_KIND_HIDDEN,
    BatchEmbedRequest,
    EmbedTokensRequest,
)
from sentido.v1.prediction_pb2 import BatchPredictRequest
from sentido_bundle import Bundle
from sentido_client import AsyncClient, Client
from sentido_score import Servers
from servers import sentido


def bulk(bench: Bench) -> None:
    """Measure many texts at once: in-process, batch calls, one stream."""
    report, texts = bench.report, bench.reviews
    report.section("many texts at once, real reviews")

    def in_process(bundle: Bundle) -> float:
        return rate(lambda: len(bundle.predict(texts).hidden), report.seconds)

    rates, k = bench.beside_kernel(lambda: in_process(bench.bundle))
    fp32 = report.add("in-process predict of 5,000", rates, of=k, target=0.85)
    twin = Bundle.load(BUNDLE, "int8")
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
        rates, k = bench.beside_kernel(lambda: whole_files.scored(path, BUNDLE))
        fp32 = report.add(f"sentido-score of {rows:,}", rates, of=k, target=0.8)
        pairs = [
            [
                whole_files.scored(path, BUNDLE, precision=precision)
                for precision in ("fp32", "int8")
            ]
            for _ in rounds(report)
        ]
        turns = ("fp32, in turns", [pair[0] for pair in pairs])
        report.add("the same, int8", [pair[1] for pair in pairs], of=turns, target=1.3)
        with sentido() as server:
            servers = Servers(server.address)
            measure = partial(whole_files.scored, path, engine="remote", servers=servers)
            rates, k = bench.beside_kernel(measure)
            report.add("--engine remote, a server on this machine", rates, of=k, target=0.6)
            check(server)
        if whole_files.has_ray:
            rates = [whole_files.scored_on_ray(path, BUNDLE) for _ in rounds(report)]
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
