"""Texts of mixed lengths, and more load than the server has capacity for."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import numpy as np
from common import BATCH_PREDICT, Bench, check, rounds
from load import predict_generator, together
from paths import batch_callers
from sentido.v1.prediction_pb2 import BatchPredictRequest
from servers import sentido


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
