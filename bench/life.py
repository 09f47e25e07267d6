"""A server's life: start, memory, and callers who ask for too much."""

import time
from concurrent.futures import ThreadPoolExecutor

import fairness as beside_hogs
from common import TRANSPORTS, Bench, check
from load import predict_generator
from servers import sentido


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
