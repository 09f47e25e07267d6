"""Calls without end, from inside a client's container; run by test_scaling.py.

Each line on standard input is a number: once so many more calls of the client were answered, a line
on standard output says how all calls went since the last one. Two kinds of callers: those of
`sentido_client`, and those of plain gRPC, which spread their calls too and retry nothing. Between
calls they pause, so that other tests have the CPUs; from a line "hurry" to the next report they do
not, and each has one call in flight.
"""

import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import grpc
from sentido.v1 import prediction_pb2
from sentido_client import Client, SentidoError

CALLERS = 8  # of each kind
PAUSE = 0.1  # seconds between two calls of a caller
TEXT = "a wonderful little film that nobody will forget " * 10
PREDICT = "/sentido.v1.PredictionService/Predict"
ROUND_ROBIN = json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})


class Tally:
    """How the calls since the last report went. Shared by all callers."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._ends: Counter[str] = Counter()
        self.hurry = threading.Event()

    def call_for_ever(self, call: Callable[[], str]) -> None:
        while True:
            end = call()
            with self._changed:
                self._ends[end] += 1
                self._changed.notify()
            self.hurry.wait(PAUSE)

    def after(self, calls: int) -> Counter[str]:
        with self._changed:
            wanted = self._ends["client: OK"] + calls
            self._changed.wait_for(lambda: self._ends["client: OK"] >= wanted)
            ends, self._ends = self._ends, Counter()
            self.hurry.clear()
            return ends


def main() -> None:
    address = os.environ["SENTIDO_ADDRESS"]
    client = Client(address)
    channel = grpc.insecure_channel(
        address, [("grpc.enable_retries", 0), ("grpc.service_config", ROUND_ROBIN)]
    )
    predict: Any = channel.unary_unary(PREDICT)
    request = prediction_pb2.PredictRequest(text=TEXT).SerializeToString()

    def with_client() -> str:
        try:
            client.predict(TEXT)
        except SentidoError as error:
            return f"client: {error!r}"
        return "client: OK"

    def plain() -> str:
        try:
            predict(request, timeout=120)
        except grpc.RpcError as error:
            failure: Any = error
            return f"plain: {failure.code().name}"
        return "plain: OK"

    client.wait_until_ready()
    tally = Tally()
    for call in [with_client, plain] * CALLERS:
        threading.Thread(target=tally.call_for_ever, args=(call,), daemon=True).start()
    for line in sys.stdin:
        if line == "hurry\n":
            tally.hurry.set()
        else:
            print(json.dumps(tally.after(int(line))), flush=True)
    os._exit(0)  # callers have no end


if __name__ == "__main__":
    main()
