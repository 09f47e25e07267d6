"""TLS and mTLS with real certificates: a real server process, both clients, and the command."""

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from certificates import Files, authority, certificate
from conftest import BIN, config, running
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from processes import SERVER, Server, server
from sentido_client import AsyncClient, Client, TLSError, UnavailableError
from sentido_server.config import StartError
from waiting import PATIENCE

CALL, ADMIN = "call-token-0123456789", "admin-token-0123456789"


@dataclass(frozen=True)
class World:
    """Two authorities, of which the servers' callers trust the first."""

    folder: Path
    ca: trustme.CA
    ca_file: Path
    other: trustme.CA
    other_file: Path
    good: Files


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("certificates")
    ca, ca_file = authority(folder, "ca")
    other, other_file = authority(folder, "other")
    return World(folder, ca, ca_file, other, other_file, certificate(ca, folder, "good"))


def flags(files: Files, *more: object) -> list[str]:
    return ["--tls-cert", str(files.cert), "--tls-key", str(files.key), *map(str, more)]


@pytest.fixture(scope="module")
def secure(world: World) -> Iterator[Server]:
    with server(*flags(world.good)) as running:
        yield running


@pytest.fixture(scope="module")
def mutual(world: World) -> Iterator[Server]:
    with server(*flags(world.good, "--tls-client-ca", world.ca_file)) as running:
        yield running


def trouble(address: str, **arguments: Any) -> UnavailableError:
    """The error of either client, which is the same."""

    async def main() -> None:
        async with AsyncClient(address, timeout=PATIENCE, **arguments) as client:
            await client.health()

    with (
        Client(address, timeout=PATIENCE, **arguments) as client,
        pytest.raises(UnavailableError) as caught,
    ):
        client.health()
    with pytest.raises(UnavailableError) as again:
        asyncio.run(main())
    assert type(caught.value) is type(again.value)
    return caught.value


def test_it_serves_tls_on_grpcio_and_says_so(secure: Server, world: World) -> None:
    lines = {line["event"]: line for line in secure.lines}
    assert lines["transport"]["reason"] == "--tls-cert needs it"
    assert lines["serving"]["transport"] == "grpcio"
    assert not [line for line in secure.lines if line["level"] != "info"]

    async def main() -> str:
        async with AsyncClient(secure.address, tls_ca=world.ca_file) as client:
            await client.wait_until_ready()
            labels = [p.label async for p in client.predict(iter(["good"]))]
            return (await client.predict("good")).label + labels[0]

    with Client(secure.address, tls_ca=world.ca_file) as client:
        client.wait_until_ready()
        assert client.health() == "SERVING"
        assert client.predict("good").label == "positive"
        assert [p.label for p in client.predict(iter(["good"]))] == ["positive"]
    assert asyncio.run(main()) == "positive" * 2


def test_a_certificate_of_another_authority_is_named(secure: Server, world: World) -> None:
    error = trouble(secure.address, tls_ca=world.other_file)
    assert isinstance(error, TLSError)
    assert "is not signed by an authority in tls_ca" in str(error)
    with (
        Client(secure.address, tls_ca=world.other_file) as client,
        pytest.raises(TLSError, match="is not signed by an authority"),
    ):
        client.predict("good")
    with (
        Client(secure.address, tls_ca=world.other_file) as client,
        pytest.raises(TLSError, match=r"after 0.2 seconds: .* is not signed by an authority"),
    ):
        client.wait_until_ready(0.2)


def test_plain_text_to_a_tls_port_is_named(secure: Server) -> None:
    assert "as one does that speaks TLS (give tls_ca)" in str(trouble(secure.address))


def test_tls_to_a_plain_text_port_is_named(world: World) -> None:
    with running(config()) as address:
        error = trouble(address, tls_ca=world.ca_file)
    assert isinstance(error, TLSError)
    assert "the server speaks plain text: leave tls_ca out" in str(error)


@pytest.mark.parametrize(
    ("name", "hosts", "days", "message"),
    [
        ("expired", (), -1, "the server's certificate has expired"),
        ("elsewhere", ("example.org",), 1, "the server's certificate is for another name"),
    ],
)
def test_a_certificate_that_is_not_valid_is_named(
    name: str, hosts: tuple[str, ...], days: int, message: str, world: World
) -> None:
    files = certificate(world.ca, world.folder, name, *hosts, days=days)
    with running(config(tls_cert=files.cert, tls_key=files.key)) as address:
        error = trouble(address, tls_ca=world.ca_file)
    assert isinstance(error, TLSError)
    assert message in str(error)


def test_a_caller_without_a_known_certificate_is_turned_away(mutual: Server, world: World) -> None:
    mine = certificate(world.ca, world.folder, "mine", "caller")
    strange = certificate(world.other, world.folder, "strange", "caller")
    old = certificate(world.ca, world.folder, "old", "caller", days=-1)
    known: dict[str, Any] = {"tls_ca": world.ca_file, "tls_cert": mine.cert, "tls_key": mine.key}
    with Client(mutual.address, **known) as client:
        assert client.predict("good").label == "positive"
    hint = "wants another certificate (give tls_cert and tls_key)"
    assert hint in str(trouble(mutual.address, tls_ca=world.ca_file))
    for files in (strange, old):
        shown = {**known, "tls_cert": files.cert, "tls_key": files.key}
        assert hint in str(trouble(mutual.address, **shown))


def test_a_rotated_certificate_is_served_to_new_connections(world: World, tmp_path: Path) -> None:
    files = certificate(world.ca, tmp_path, "rotated")
    with server(*flags(files)) as running, Client(running.address, tls_ca=world.ca_file) as open:
        assert open.predict("good").label == "positive"
        certificate(world.other, tmp_path, "rotated")
        with Client(running.address, tls_ca=world.other_file) as client:
            assert client.predict("good").label == "positive"
        assert open.predict("good").label == "positive"  # its connection stays
        assert isinstance(trouble(running.address, tls_ca=world.ca_file), TLSError)
        running.wait_for("read again")
        files.cert.write_text("junk")
        for _ in range(2):
            with Client(running.address, tls_ca=world.other_file) as client:
                assert client.predict("good").label == "positive"
        line = running.wait_for("kept what was read before")
        assert line["level"] == "warning"
        assert str(files.cert) in line["reason"]
        assert open.predict("good").label == "positive"
        running.process.terminate()
        assert running.end() == 0
        assert [line["event"] for line in running.lines].count(line["event"]) == 1


def test_files_that_are_no_certificate_and_key_are_one_sentence(world: World) -> None:
    junk = world.folder / "junk"
    junk.write_text("junk")
    loose = world.folder / "loose"
    loose.write_bytes(world.good.key.read_bytes())
    loose.chmod(0o606)
    missing = world.folder / "missing"
    strange = certificate(world.other, world.folder, "mismatch")
    pair = "are not a certificate and its key, without a password, in PEM: "
    cases: list[tuple[dict[str, Path], str]] = [
        ({"tls_cert": junk}, pair),
        ({"tls_key": strange.key}, pair + "KEY_VALUES_MISMATCH"),
        ({"tls_key": missing}, f"cannot read the key {missing}: No such file or directory"),
        ({"tls_key": loose}, f"the key {loose} can be written by everyone: chmod o-w {loose}"),
        ({"tls_client_ca": junk}, f"{junk} holds no certificates in PEM: "),
        ({"tls_client_ca": missing}, f"cannot read the clients' authority {missing}: No such"),
    ]
    for settings, message in cases:
        given = {"tls_cert": world.good.cert, "tls_key": world.good.key, **settings}
        with pytest.raises(StartError) as caught, running(config(**given)):
            pass
        assert message in str(caught.value)


def test_a_key_with_a_password_is_refused_and_never_asked_for(world: World) -> None:
    locked = world.folder / "locked.key"
    key = load_pem_private_key(world.good.key.read_bytes(), None)
    secret = BestAvailableEncryption(b"x")
    locked.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret))
    with (
        pytest.raises(StartError, match="without a password"),
        running(config(tls_cert=world.good.cert, tls_key=locked)),
    ):
        pass


def refusal(*arguments: str) -> tuple[int, str]:
    result = subprocess.run([SERVER, *arguments], capture_output=True, text=True, timeout=60)
    return result.returncode, result.stderr.splitlines()[-1]


def test_what_tls_cannot_go_without_is_said(world: World) -> None:
    cert, key = flags(world.good)[:2], flags(world.good)[2:]
    code, message = refusal("--transport", "native", *cert, *key)
    assert (code, "--transport native has no --tls-cert: use --transport grpcio" in message) == (
        1,
        True,
    )
    assert refusal(*cert) == (
        2,
        "sentido-server: error: --tls-cert needs --tls-key beside it",
    )
    code, message = refusal("--tls-client-ca", str(world.ca_file))
    assert (code, message) == (
        2,
        "sentido-server: error: --tls-client-ca needs --tls-cert and --tls-key",
    )


def test_plain_text_beyond_the_machine_is_a_warning_and_tls_is_not(world: World) -> None:
    with server("--listen", "0.0.0.0:0") as running:
        (line,) = [line for line in running.lines if line["level"] == "warning"]
        assert line["event"] == "plain text beyond this machine"
    with server("--listen", "0.0.0.0:0", *flags(world.good)) as running:
        assert not [line for line in running.lines if line["level"] == "warning"]


def test_the_command_calls_over_tls_with_a_token_and_shows_none(
    world: World, tmp_path: Path
) -> None:
    tokens, token = tmp_path / "tokens", tmp_path / "token"
    tokens.write_text(f"call {CALL}\nadmin {ADMIN}\n")
    tokens.chmod(0o644)
    token.write_text(f"{CALL}\n")
    with server(*flags(world.good, "--token-file", tokens)) as running:
        (warning,) = [line for line in running.lines if line["level"] == "warning"]
        assert warning["file"] == str(tokens)
        command = [str(BIN / "sentido"), "predict", "good", "--address", running.address]
        arguments = ["--tls-ca", str(world.ca_file)]

        def call(*more: str, **variables: str) -> "subprocess.CompletedProcess[str]":
            environment = {**os.environ, **variables}
            return subprocess.run(
                [*command, *more], capture_output=True, text=True, timeout=60, env=environment
            )

        by_flag = call(*arguments, "--token-file", str(token))
        assert json.loads(by_flag.stdout)["label"] == "positive"
        by_variable = call(
            SENTIDO_CONNECT_CA=str(world.ca_file),
            SENTIDO_CONNECT_TOKEN_FILE=str(token),
            SENTIDO_TLS_CERT="/of/the/server",
            SENTIDO_TOKEN_FILE="/of/the/server",
        )
        assert by_variable.stdout == by_flag.stdout
        nobody = call(*arguments)
        assert (nobody.returncode, nobody.stdout) == (1, "")
        assert nobody.stderr.startswith("sentido: a token is needed")
        servers = call(*arguments, "--token-file", str(tokens))  # the server's, by mistake
        assert servers.returncode == 2
        assert f"{tokens} holds 4 words instead of one token" in servers.stderr
        token.write_text("wrong-token-0123456789")
        wrong = call(*arguments, "--token-file", str(token))
        assert wrong.stderr == "sentido: the token is not one that the server knows\n"
        running.process.terminate()
        assert running.end() == 0
    log = json.dumps(running.lines)
    assert [line["code"] for line in running.lines if line["event"] == "call"].count("OK") >= 2
    assert "token-0123456789" not in log + by_flag.stderr + servers.stderr + wrong.stderr
