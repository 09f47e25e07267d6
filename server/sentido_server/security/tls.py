"""The server's certificate, key, and the authority of its callers, from files that may change."""

import os
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import grpc

from sentido_server.security.reloading_file import FileError, ReloadingFile, read

_STEPS = 20  # waits before a new certificate is used
_STEP_SECONDS = 0.01


class _Pem(NamedTuple):
    """What the files hold."""

    chain: bytes
    key: bytes
    client_ca: bytes | None


def credentials(cert: Path, key: Path, client_ca: Path | None) -> grpc.ServerCredentials:
    """Return what a port with TLS needs; the files are looked at again for each new connection.

    With `client_ca` callers must show a certificate that it has signed. Raises FileError.
    """
    files = [cert, key] if client_ca is None else [cert, key, client_ca]
    watched = ReloadingFile(files, lambda: _read(cert, key, client_ca))
    used = watched.get()

    def changed() -> grpc.ServerCertificateConfiguration | None:
        """Return what is new, None if nothing is. gRPC calls it per connection, one at a time."""
        nonlocal used
        pem = watched.get()
        if pem == used:
            return None
        used = pem
        _let_others_begin()
        return _configuration(pem)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(used),
        changed,  # type: ignore[arg-type]  # gRPC says that None is for no change
        require_client_authentication=client_ca is not None,
    )


def _let_others_begin() -> None:
    """Wait until connections that came before this one have begun their handshakes.

    A thread of gRPC's asks for what is new under a lock and then takes the certificate without
    one: were another put in its place in between, it would use freed memory (grpc/grpc#36693). The
    lock is ours meanwhile, so nobody is added; whoever is in between needs microseconds, once it
    is given the CPU. We ask for it many times, so that a busy machine makes the wait longer.
    """
    for _ in range(_STEPS):
        time.sleep(_STEP_SECONDS)


def _configuration(pem: _Pem) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(pem.key, pem.chain)], pem.client_ca)


def _read(cert: Path, key: Path, client_ca: Path | None) -> _Pem:
    chain, secret = read(cert, "the certificate"), read(key, "the key")
    authority = None if client_ca is None else read(client_ca, "the clients' authority")
    # gRPC would say of bad files only that it cannot bind.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        with _file_of(chain) as chain_file, _file_of(secret) as secret_file:
            # No password, so that OpenSSL never asks for one on the terminal.
            context.load_cert_chain(chain_file, secret_file, password="")
    except (OSError, ValueError) as error:
        raise FileError(
            f"{cert} and {key} are not a certificate and its key, without a password, in PEM:"
            f" {_reason(error)}"
        ) from error
    if authority is not None:
        try:
            with _file_of(authority) as authority_file:
                context.load_verify_locations(authority_file)
        except (OSError, ValueError) as error:
            raise FileError(
                f"{client_ca} holds no certificates in PEM: {_reason(error)}"
            ) from error
    return _Pem(chain, secret, authority)


@contextmanager
def _file_of(data: bytes) -> Iterator[str]:
    """Give the path of data as a file: `ssl` takes paths only, where others may stand by now."""
    descriptor = os.memfd_create("pem")
    with open(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        yield f"/dev/fd/{descriptor}"


def _reason(error: Exception) -> str:
    return getattr(error, "reason", None) or getattr(error, "strerror", None) or "no PEM"
