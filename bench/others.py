"""The same work on what others made."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import peers
from common import Bench
from load import predict_generator
from servers import sentido


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
