"""A server on `[::]` answers IPv6 and IPv4, and IPv4 alone where there is no IPv6."""

import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest
from conftest import ROOT
from processes import SERVER, Server, server
from sentido_client import Client
from waiting import PATIENCE

ANY = ("--listen=[::]:0", "--health-listen=[::]:0", "--metrics-listen=[::]:0")
WITHOUT_IPV6 = (sys.executable, ROOT / "tests" / "without_ipv6.py")
# A network of its own: IPv6 is switched off, or `[::]` means IPv6 alone unless a socket says else.
SETTING = 'ip link set lo up && sysctl -qw "$0" && exec "$@"'
NETWORK = ("unshare", "--map-root-user", "--net", "sh", "-c", SETTING)


def has_ipv6() -> bool:
    """Whether this machine has IPv6's loopback address."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def answers(running: Server, host: str) -> None:
    """Fail unless a server answers on all of its three ports."""
    listens = (running.address, running.health, running.metrics)
    address, health, metrics = (f"{host}:{listen.rpartition(':')[2]}" for listen in listens)
    with Client(address) as client:
        assert client.predict("A wonderful little film.").label == "positive"
    check = subprocess.run([SERVER, "--check", health], capture_output=True, timeout=PATIENCE)
    assert check.returncode == 0, check.stderr
    with urlopen(f"http://{metrics}/metrics", timeout=PATIENCE) as answer:
        assert b"sentido_model_info" in answer.read()


@pytest.mark.parametrize("transport", ["grpcio", "native"])
def test_a_server_on_any_address_answers_both_families(transport: str) -> None:
    with server(*ANY, "--transport", transport) as running:
        answers(running, "127.0.0.1")
        if has_ipv6():
            answers(running, "[::1]")


@pytest.mark.parametrize("transport", ["grpcio", "native"])
def test_without_ipv6_it_answers_ipv4_and_says_so(transport: str) -> None:
    with server(*ANY, "--transport", transport, under=WITHOUT_IPV6) as running:
        answers(running, "127.0.0.1")
        for listen in (running.address, running.health, running.metrics):
            assert listen.startswith("0.0.0.0:")


def test_without_ipv6_an_address_of_it_is_refused_in_one_sentence() -> None:
    for setting in ("listen", "health-listen", "metrics-listen"):
        command: list[str | Path] = [
            *WITHOUT_IPV6,
            SERVER,
            "--listen=127.0.0.1:0",
            f"--{setting}=[::1]:0",
        ]
        result = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        assert result.returncode == 1
        (*_, said) = result.stderr.splitlines()
        assert said.endswith("'[::1]:0': Address family not supported by protocol")


def test_without_ipv6_localhost_is_ipv4s() -> None:
    with (
        server("--metrics-listen=localhost:0", under=WITHOUT_IPV6) as running,
        urlopen(f"http://{running.metrics}/metrics", timeout=PATIENCE) as answer,
    ):
        assert answer.status == 200


@pytest.mark.needs("unshare", "nsenter", "ip", "sysctl")
@pytest.mark.parametrize(
    ("setting", "transport"),
    [
        ("net.ipv6.conf.all.disable_ipv6", "grpcio"),
        ("net.ipv6.conf.all.disable_ipv6", "native"),
        ("net.ipv6.bindv6only", "grpcio"),  # native: docs/transports.md
    ],
)
def test_it_answers_ipv4_whatever_the_machine_does_with_ipv6(setting: str, transport: str) -> None:
    network = (*NETWORK, f"{setting}=1")
    if subprocess.run([*network, "true"], capture_output=True).returncode:
        pytest.skip("this machine makes no networks for users")
    with server(*ANY, "--transport", transport, under=network) as running:
        inside = ("nsenter", f"--target={running.process.pid}", "--user", "--net", "--preserve")
        for listen in (running.address, running.health):
            check = (*inside, SERVER, "--check", f"127.0.0.1:{listen.rpartition(':')[2]}")
            result = subprocess.run(check, capture_output=True, text=True, timeout=PATIENCE)
            assert result.returncode == 0, result.stderr
        port = running.metrics.rpartition(":")[2]
        read = f"from urllib.request import urlopen; urlopen('http://127.0.0.1:{port}/metrics')"
        subprocess.run([*inside, sys.executable, "-c", read], check=True, timeout=PATIENCE)


def test_a_check_asks_a_server_on_any_address_over_ipv4() -> None:
    with server(*ANY) as running:
        port = running.address.rpartition(":")[2]
        for listen in (f"[::]:{port}", f"[0:0::0]:{port}", f"0.0.0.0:{port}"):
            command = [SERVER, "--check", "--listen", listen]
            result = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
            assert result.stdout == f"sentido-server: 127.0.0.1:{port} is SERVING\n"
