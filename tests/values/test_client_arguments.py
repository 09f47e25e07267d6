"""What a client is made with: addresses, proxies, timeouts; how it is shown and pickled."""

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentido_bundle import Bundle
from sentido_client import AsyncClient, Client
from sentido_client.address import proxy

KINDS = pytest.mark.parametrize("kind", [Client, AsyncClient])


@KINDS
@pytest.mark.parametrize(
    "address",
    [
        "localhost:50051",
        "10.0.0.1:1",
        "[::1]:65535",
        "[fe80::1%eth0]:50051",
        "dns:///sentido.example:50051",
        "dns://10.0.0.53/sentido:50051",
        "dns:sentido:50051",
        "ipv4:10.0.0.1:50051,10.0.0.2:50051",
        "ipv6:[::1]:50051",
        "unix:/run/sentido.sock",
        "unix:///run/sentido.sock",
    ],
)
def test_an_address_is_taken_as_grpc_takes_it(kind: Any, address: str) -> None:
    assert kind(address).address == address


@KINDS
@pytest.mark.parametrize(
    ("address", "hint"),
    [
        ("", ""),
        ("localhost", ""),
        ("57311", ""),
        (":50051", ""),
        ("localhost:", ""),
        ("localhost:http", ""),
        ("localhost:0", ""),
        ("localhost:65536", ""),
        (" localhost:50051", ""),
        ("localhost:50051/", ""),
        ("dns:///localhost", ""),
        ("unix:", ""),
        ("http://localhost:50051", "without http://"),
        ("grpc://localhost:50051", "without grpc://"),
        ("a:1,b:2", "dns:///name:port"),
        ("ipv4:10.0.0.1:1,10.0.0.2", "dns:///name:port"),
        ("::1:50051", "brackets, as in [::1]:50051"),
    ],
)
def test_what_is_no_address_is_refused_when_the_client_is_made(
    kind: Any, address: str, hint: str
) -> None:
    with pytest.raises(ValueError, match=r"^address is ") as caught:
        kind(address)
    assert "host:port is needed" in str(caught.value)
    assert hint in str(caught.value)


@KINDS
def test_an_address_or_timeout_of_another_type_is_a_type_error(kind: Any) -> None:
    with pytest.raises(TypeError, match="address is of type int, str is needed"):
        kind(50051)
    for timeout in ("5", True, b"5"):
        with pytest.raises(TypeError, match=r"timeout is of type .* number of seconds or None"):
            kind(timeout=timeout)
    assert kind(timeout=None).timeout is None
    assert kind(timeout=np.float32(2)).timeout == 2


@pytest.mark.parametrize(
    ("address", "variables", "variable"),
    [
        ("far.example:1", {"http_proxy": "p"}, "http_proxy"),
        ("far.example:1", {"http_proxy": "p", "https_proxy": "p"}, "https_proxy"),
        ("dns:///far.example:1", {"grpc_proxy": "p", "https_proxy": "p"}, "grpc_proxy"),
        ("10.0.0.1:1", {"http_proxy": "p"}, "http_proxy"),
        ("far.example:1", {"http_proxy": "p", "no_proxy": "near, far.example"}, None),
        ("far.example:1", {"http_proxy": "p", "no_proxy": "near"}, "http_proxy"),
        ("x.example:1", {"http_proxy": "p", "no_grpc_proxy": "y", "no_proxy": "x"}, "http_proxy"),
        ("far.example:1", {}, None),
        ("localhost:1", {"http_proxy": "p"}, None),
        ("127.0.0.9:1", {"http_proxy": "p"}, None),
        ("[::1]:1", {"http_proxy": "p"}, None),
        ("dns:///server:1", {"http_proxy": "p"}, None),
        ("unix:/x", {"http_proxy": "p"}, None),
    ],
)
def test_a_proxy_stands_before_far_names_only(
    address: str,
    variables: dict[str, str],
    variable: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("grpc_proxy", "https_proxy", "http_proxy", "no_grpc_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert proxy(address) == variable


@KINDS
def test_a_client_shows_where_it_calls_and_no_token(kind: Any, tmp_path: Path) -> None:
    name = kind.__name__
    assert repr(kind()) == f"{name}('localhost:50051')"
    shown = repr(kind("[::1]:1", timeout=5, token="hush"))
    assert shown == f"{name}('[::1]:1', timeout=5, token=...)"
    file = tmp_path / "token"
    file.write_text("hush\n")
    assert "hush" not in repr(kind(token_file=file))


@KINDS
def test_a_client_is_pickled_by_its_arguments_and_never_with_a_secret(
    kind: Any, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("hush\n")
    made = kind("127.0.0.1:7", timeout=None, token_file=file)
    data = pickle.dumps(made)
    assert b"hush" not in data
    assert repr(pickle.loads(data)) == repr(copy.deepcopy(made)) == repr(made)
    for copied in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match=r"token= cannot be pickled.*token_file="):
            copied(kind(token="hush"))


@KINDS
def test_a_token_file_holds_one_token(kind: Any, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("call one\n")
    with pytest.raises(ValueError, match=r"token_file: .*token holds 2 words instead of one token"):
        kind(token_file=file)
    with pytest.raises(ValueError, match=r"token_file: cannot read .*nope: No such file"):
        kind(token_file=tmp_path / "nope")
    with pytest.raises(ValueError, match="token and token_file are both given"):
        kind(token="hush", token_file=file)


def test_a_bundle_says_which_it_is(bundle: Bundle) -> None:
    shown = repr(bundle)
    assert shown.startswith("<Bundle imdb ")
    assert "negative, positive" in shown
    assert bundle.digest[:12] in shown
