"""Certificates are replaced while callers connect and call: nobody notices, and nothing ends.

By itself gRPC would use freed memory and end the process, about once in 1,000 such rotations.
"""

import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from certificates import Files, authority, certificate
from processes import Server, server
from sentido_client import Client
from waiting import PATIENCE

CONNECT, CALL = 6, 2  # threads that connect, or connect and call, all the time
CALLER = "call-token-0123456789"


@dataclass(frozen=True)
class Authority:
    """Who signs the certificates of the server and its callers."""

    ca: trustme.CA
    file: Path
    caller: Files

    def client(self, server: Server, **more: Any) -> Client:
        """Make a client that shows its certificate."""
        return Client(
            server.address,
            timeout=PATIENCE,
            tls_ca=self.file,
            tls_cert=self.caller.cert,
            tls_key=self.caller.key,
            **more,
        )

    def context(self) -> ssl.SSLContext:
        """Describe the same to a TLS connection without gRPC."""
        context = ssl.create_default_context(cafile=self.file)
        context.load_cert_chain(self.caller.cert, self.caller.key)
        context.set_alpn_protocols(["h2"])
        return context


@pytest.fixture
def signed(tmp_path: Path) -> Authority:
    ca, file = authority(tmp_path, "ca")
    return Authority(ca, file, certificate(ca, tmp_path, "caller", "caller"))


@contextmanager
def repeated(actions: Sequence[Callable[[], object]]) -> Iterator[list["Future[int]"]]:
    """Do each action again and again during the block; the futures are how often each was done."""
    end = threading.Event()

    def repeat(action: Callable[[], object]) -> int:
        done = 0
        while not end.is_set():
            action()
            done += 1
        return done

    with ThreadPoolExecutor(len(actions)) as threads:
        futures = [threads.submit(repeat, action) for action in actions]
        try:
            yield futures
        finally:
            end.set()


def replaced(path: Path) -> None:
    """Put a FIFO, to which nobody writes, in the place of a file."""
    os.mkfifo(f"{path}.new")
    os.replace(f"{path}.new", path)


@pytest.mark.parametrize("mutual", [False, True], ids=["tls", "mtls"])
def test_rotating_a_certificate_disturbs_no_caller_and_never_ends_the_process(
    mutual: bool, signed: Authority, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    rotations = pytestconfig.getoption("--certificate-rotations")
    files = certificate(signed.ca, tmp_path, "server")
    flags = ["--tls-cert", str(files.cert), "--tls-key", str(files.key)]
    if mutual:
        flags += ["--tls-client-ca", str(signed.file)]
    context = signed.context()

    with server(*flags) as running, signed.client(running) as open_before:
        host, _, port = running.address.rpartition(":")

        def connect() -> None:
            with (
                socket.create_connection((host, int(port)), PATIENCE) as plain,
                context.wrap_socket(plain, server_hostname=host),
            ):
                pass

        def call() -> None:
            with signed.client(running) as client:
                assert client.predict("good").label == "positive"

        open_before.predict("good")
        with repeated([connect] * CONNECT + [call] * CALL) as futures:
            for _ in range(rotations):
                certificate(signed.ca, tmp_path, "server")
                read_again(running)
                assert open_before.predict("good").label == "positive"
        assert all(future.result() for future in futures)
        running.process.terminate()
        assert running.end() == 0


def read_again(running: Server) -> None:
    """Read the log until a change was read; keep no lines, of which there are many."""
    assert running.process.stderr is not None
    for line in running.process.stderr:
        if '"read again"' in line:  # not all lines of a crash are JSON
            return
    raise AssertionError(f"the server has ended: {running.process.wait(PATIENCE)}")


def test_a_fifo_in_the_place_of_a_certificate_or_token_file_holds_nobody_up(
    signed: Authority, tmp_path: Path
) -> None:
    files = certificate(signed.ca, tmp_path, "server")
    trusted, tokens = tmp_path / "trusted.pem", tmp_path / "tokens"
    trusted.write_bytes(signed.file.read_bytes())
    tokens.write_text(f"call {CALLER}\n")
    tokens.chmod(0o600)
    flags = ["--tls-cert", files.cert, "--tls-key", files.key, "--tls-client-ca", trusted]
    with server(*map(str, flags), "--token-file", str(tokens)) as running:
        with signed.client(running, token=CALLER) as open_before:
            assert open_before.predict("good").label == "positive"
            for path in (trusted, files.key, files.cert, tokens):  # from the last that is read
                replaced(path)
                with signed.client(running, token=CALLER) as client:
                    assert client.predict("good").label == "positive"
                assert open_before.predict("good").label == "positive"
                line = running.wait_for("kept what was read before")
                assert f"{path} is not a regular file" in line["reason"]
        running.process.terminate()
        assert running.end() == 0
