"""Callers who ask for too much: those beside them are answered, and all is given back.

Nothing here is timed: how long a polite call takes beside them is measured by
`bench/bench.py --only fairness`.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from hogs import ATTACKS
from sentido.v1.prediction_pb2 import PredictRequest
from sentido.v1.prediction_pb2_grpc import PredictionServiceStub
from sentido_bundle import Bundle
from victims import Usage, Victim, in_process, over_the_wire, victim
from waiting import PATIENCE, wait_for

HOGS = Path(__file__).parent / "hogs.py"
SEES = {**os.environ, "PYTHONPATH": str(HOGS.parent.parent)}  # what the tests share
SECONDS = 0.5
POLITE = 10  # calls beside each
MEMORY = 512  # MiB, the bound of the server
# What a hog's calls may end with. "reset" and CANCELLED: by a server that has waited long enough;
# INTERNAL: what grpc.aio makes of it where the caller still writes.
ENDS = {
    "INTERNAL",
    "OK",
    "refused",
    "open",
    "left",
    "waits",
    "reset",
    "closed",
    "CANCELLED",
    "1",
    "8",
}
# Those that ask for more than there is, at any speed.
REFUSED = {"empty texts", "large batches", "1,000 watches"}
# What gRPC's core parses past its own limit before it refuses a call; see docs/security.md.
UNBOUNDED = {"repeated headers"}
TRIED = [name for name in ATTACKS if name != "10,000 watches"]  # which take long to open


@pytest.fixture(scope="module")
def attacked(transport: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    bounds = ("--max-memory-mib", str(MEMORY), "--max-connections", "400", "--stall-seconds", "2")
    with victim(tmp_path_factory.mktemp("hogs"), "--transport", transport, *bounds) as attacked:
        yield attacked


@pytest.fixture(scope="module")
def before(attacked: Victim) -> Usage:
    over_the_wire(attacked.address)
    wait_for(lambda: attacked.in_flight() == 0)
    return attacked.usage()


@pytest.mark.parametrize("attack", TRIED, ids=lambda name: name.replace(" ", "-"))
def test_a_hog_costs_polite_callers_no_answer(
    attack: str,
    attacked: Victim,
    before: Usage,
    transport: str,
    figures: dict[str, str],
) -> None:
    attacked.forget_peak()
    command = [sys.executable, str(HOGS), attacked.address, attack, str(SECONDS)]
    with (
        grpc.insecure_channel(attacked.address) as channel,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=SEES) as hog,
    ):
        assert hog.stdout is not None
        assert hog.stdout.readline() == "ready\n"
        stub = PredictionServiceStub(channel)
        for number in range(POLITE):
            stub.Predict(PredictRequest(text=f"good {number}"), timeout=PATIENCE)
        ends = json.loads(hog.stdout.read())
    peak = attacked.peak()
    figures[f"{attack}, {transport}"] = f"{ends}, at most {peak:.0f} MiB"
    assert set(ends) <= ENDS
    if attack in REFUSED:
        assert ends["refused"]
    if transport == "grpcio" and attack not in UNBOUNDED:
        assert peak < MEMORY
    wait_for(lambda: attacked.in_flight() == 0)
    wait_for(lambda: attacked.usage().descriptors <= before.descriptors)


def test_afterwards_everything_is_given_back_and_answers_are_right_to_the_bit(
    attacked: Victim, before: Usage, bundle: Bundle
) -> None:
    attacked.wait_until_idle(before)
    assert over_the_wire(attacked.address) == in_process(bundle)
    attacked.check_log()
