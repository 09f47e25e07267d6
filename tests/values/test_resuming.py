"""When a broken stream goes on, and when it is given up."""

from typing import Any

import grpc
import pytest
from sentido_client import OverloadedError, SentidoError, UnavailableError
from sentido_client.resuming import Resumption


class Broken(grpc.RpcError):
    """How a call ended."""

    def __init__(self, code: grpc.StatusCode, details: str = "") -> None:
        super().__init__(code, details)

    def code(self) -> Any:
        return self.args[0]

    def details(self) -> Any:
        return self.args[1]


AWAY = Broken(grpc.StatusCode.UNAVAILABLE)
FAULT = UnavailableError("away")


def test_it_waits_longer_each_time_and_gives_up() -> None:
    resumption = Resumption()
    delays = [resumption.delay(AWAY, FAULT, 30) for _ in range(8)]
    assert delays == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0]
    with pytest.raises(UnavailableError, match="away"):
        resumption.delay(AWAY, FAULT, 30)


def test_an_answer_makes_it_begin_anew() -> None:
    resumption = Resumption()
    for _ in range(100):
        assert resumption.delay(AWAY, FAULT, 30) == 0.1
        assert resumption.fault is FAULT
        resumption.answered()
        assert resumption.fault is None


def test_it_waits_no_longer_than_the_streams_timeout() -> None:
    with pytest.raises(UnavailableError):
        Resumption().delay(AWAY, FAULT, 0.05)


def test_a_full_server_is_waited_for_as_long_as_it_asks() -> None:
    resumption, full = Resumption(), OverloadedError("full", 0.3)
    exhausted = Broken(grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert [resumption.delay(exhausted, full, 30) for _ in range(100)] == [0.3] * 100
    with pytest.raises(OverloadedError):
        resumption.delay(exhausted, full, 0.2)


@pytest.mark.parametrize(
    ("error", "goes_on"),
    [
        (Broken(grpc.StatusCode.INTERNAL, "Received RST_STREAM with error code 2"), True),
        (Broken(grpc.StatusCode.CANCELLED, "Received RST_STREAM with error code 8"), True),
        (Broken(grpc.StatusCode.INTERNAL, "internal error; the server's log has more"), False),
        (Broken(grpc.StatusCode.CANCELLED, "Channel closed!"), False),
        (Broken(grpc.StatusCode.NOT_FOUND, "no model 'x' is loaded"), False),
        (Broken(grpc.StatusCode.INVALID_ARGUMENT, "texts: has 5000 elements"), False),
    ],
    ids=str,
)
def test_only_a_lost_connection_is_worth_another_stream(error: Broken, goes_on: bool) -> None:
    fault = SentidoError("this one")
    if goes_on:
        assert Resumption().delay(error, fault, 30) == 0.1
    else:
        with pytest.raises(SentidoError, match="this one"):
            Resumption().delay(error, fault, 30)
