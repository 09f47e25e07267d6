"""When a broken stream goes on, and when it is given up."""

import math
from typing import Any

import grpc
import pytest
from sentido_client import (
    AuthenticationError,
    DeadlineError,
    OverloadedError,
    SentidoError,
    TLSError,
    UnavailableError,
)
from sentido_client.resuming import Patience, Resumption


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


def test_it_waits_longer_each_time_and_goes_on_for_as_long_as_there_is_time() -> None:
    resumption = Resumption()
    delays = [resumption.delay(AWAY, FAULT, math.inf) for _ in range(2_000)]
    assert delays[:6] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert set(delays[6:]) == {1.0}
    with pytest.raises(UnavailableError, match="away"):
        resumption.delay(AWAY, FAULT, 0)


def test_it_leaves_as_much_time_for_another_stream_as_it_waits() -> None:
    resumption = Resumption()
    assert [resumption.delay(AWAY, FAULT, left) for left in (0.18, 0.3, 0.2)] == [0.09, 0.15, 0.1]


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


def raised(fault: SentidoError) -> SentidoError:
    """Return an error as a client raises it."""
    try:
        raise fault from AWAY
    except SentidoError as error:
        return error


def test_a_stream_waits_for_its_first_server_and_then_says_why_there_is_none() -> None:
    patience, away = Patience(30), raised(UnavailableError("away"))
    assert [patience.delay(away) for _ in range(3)] == [0.1, 0.2, 0.4]
    with pytest.raises(UnavailableError, match="away"):
        patience.delay(DeadlineError("no answer in time"))
    with pytest.raises(DeadlineError):
        Patience(30).delay(DeadlineError("no answer in time"))


@pytest.mark.parametrize("error", [TLSError("no CA"), AuthenticationError("no token")], ids=repr)
def test_a_server_that_refuses_a_client_is_not_waited_for(error: SentidoError) -> None:
    with pytest.raises(type(error)):
        Patience(math.inf).delay(raised(error))
