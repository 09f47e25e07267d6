"""What a client is given and gives back, before any server is asked."""

import asyncio
import copy
import inspect
import pickle
import re
from typing import Any

import pytest
import sentido_client
from sentido_client import (
    AsyncClient,
    BundleChangedError,
    Client,
    InvalidRequestError,
    MissingCapabilityError,
    OverloadedError,
    SentidoError,
    Violation,
)
from sentido_client.environment import from_environment

ERRORS = [
    OverloadedError("busy", 1.5),
    BundleChangedError("another", "a", "b", "fp32"),
    MissingCapabilityError("lacks", "imdb", "logits"),
    InvalidRequestError("bad", [Violation("texts[1]", "is long", 1)]),
    *(
        kind("a message")
        for name in sentido_client.__all__
        if inspect.isclass(kind := getattr(sentido_client, name))
        and issubclass(kind, SentidoError)
        and kind not in (OverloadedError, BundleChangedError, MissingCapabilityError)
    ),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_can_be_sent_to_another_process_and_copied(error: SentidoError) -> None:
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is type(error)
        assert (str(again), vars(again)) == (str(error), vars(error))


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf")])
def test_a_time_to_wait_must_be_one(timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout is"):
        Client("localhost:1").wait_until_ready(timeout)
    with pytest.raises(ValueError, match="timeout is"):
        asyncio.run(AsyncClient("localhost:1").wait_until_ready(timeout))


def test_a_time_to_wait_must_be_a_number() -> None:
    wrong: Any = "5"
    with pytest.raises(TypeError, match="timeout is of type str"):
        Client("localhost:1").wait_until_ready(wrong)


@pytest.mark.parametrize("ids", [{1, 2}, {1: "a"}, "12", b"12", 5])
def test_ids_must_be_in_an_order(ids: Any) -> None:
    with pytest.raises(TypeError, match="token_ids is of type"):
        Client("localhost:1").detokenize(ids)


def test_a_token_wins_over_the_variable_of_a_token_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTIDO_CONNECT_TOKEN_FILE", "/nowhere")
    monkeypatch.delenv("SENTIDO_ADDRESS", raising=False)
    assert "/nowhere" not in repr(Client.from_environment(token="a" * 20))


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("SENTIDO_ADRESS", "SENTIDO_ADDRESS"),
        ("SENTIDO_ADDR", "SENTIDO_ADDRESS"),
        ("sentido_address", "SENTIDO_ADDRESS"),
        ("SENTIDO_CONECT_CA", "SENTIDO_CONNECT_CA"),
        ("SENTIDO_CONNECT_CERTS", "SENTIDO_CONNECT_CERT"),
        ("SENTIDO_CONNECT_TOKEN", "SENTIDO_CONNECT_TOKEN_FILE"),
    ],
)
def test_a_variable_that_is_nearly_one_is_refused_with_the_one_that_was_meant(
    given: str, meant: str
) -> None:
    with pytest.raises(ValueError, match=f"there is no variable {given}; did you mean {meant}"):
        from_environment({given: "a"})
    assert from_environment({given: ""}) == {}


@pytest.mark.parametrize("k", ["5", 5.0, True, None])
def test_the_number_of_neighbours_must_be_a_whole_number(k: Any) -> None:
    with pytest.raises(TypeError, match=f"k is of type {type(k).__name__}, int is needed"):
        Client("localhost:1").nearest("good", k)


@pytest.mark.parametrize(
    "address",
    [
        *("localhost:1", "a.b:1", "[::1]:1", "dns:///a:1", "ipv4:127.0.0.1:1,127.0.0.2:1"),
        *("ipv6:[::1]:1", "unix:a.sock", "unix:/a.sock", "unix:///a.sock", "unix-abstract:a"),
    ],
)
def test_addresses_that_grpc_takes_are_taken(address: str) -> None:
    Client(address)


@pytest.mark.parametrize(
    ("address", "hint"),
    [
        *(("localhost", "host:port is needed"), ("http://a:1", "without http://")),
        *(("a:1,b:2", "for several servers a name"), ("::1:50051", "stands in brackets")),
        *(("ipv4:localhost:1", "takes numbers only"), ("ipv4:[::1]:1", "takes numbers only")),
        *(("ipv6:127.0.0.1:1", "takes numbers only"), ("ipv4:1.2.3.4:1,b:2", "numbers only")),
        *(("unix://a.sock", "unix:///absolute/path"), ("unix:", "unix:path"), ("unix:///", "or")),
        *(("\udcff:1", "is not UTF-8"), ("unix:\udcff", "is not UTF-8"), ("a:\u0661", "host:port")),
    ],
)
def test_any_other_address_is_refused_with_what_is_needed(address: str, hint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(hint)):
        Client(address)


def test_only_the_digits_of_ascii_make_an_address_this_machine_s() -> None:
    Client("127.0.0.9:1", token="a" * 20)
    with pytest.raises(ValueError, match="over plain text"):
        Client("127.0.0.\u0669:1", token="a" * 20)
