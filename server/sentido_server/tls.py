"""The server's certificate, key, and the authority of its callers, from files that may change."""

import ssl
from pathlib import Path

import grpc

from sentido_server.watched import FileError, Watched, read


def credentials(cert: Path, key: Path, client_ca: Path | None) -> grpc.ServerCredentials:
    """Give what a port with TLS needs; the files are looked at again for each new connection.

    With `client_ca` callers must show a certificate that it has signed. Raises FileError.
    """
    files = [cert, key] if client_ca is None else [cert, key, client_ca]
    watched = Watched(files, lambda: _read(cert, key, client_ca))
    given = watched.get()

    def changed() -> grpc.ServerCertificateConfiguration | None:
        """Give what is new; None spares gRPC setting all up again for a connection."""
        nonlocal given
        before, given = given, watched.get()
        return None if given is before else given

    return grpc.dynamic_ssl_server_credentials(
        given,
        changed,  # type: ignore[arg-type]  # gRPC says that None is for no change
        require_client_authentication=client_ca is not None,
    )


def _read(cert: Path, key: Path, client_ca: Path | None) -> grpc.ServerCertificateConfiguration:
    chain, secret = read(cert, "the certificate"), read(key, "the key")
    authority = None if client_ca is None else read(client_ca, "the clients' authority")
    # gRPC would say of bad files only that it cannot bind.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(cert, key, password="")  # never ask for one on the terminal
    except (OSError, ValueError) as error:
        raise FileError(
            f"{cert} and {key} are not a certificate and its key, without a password, in PEM:"
            f" {_reason(error)}"
        ) from error
    if client_ca is not None:
        try:
            context.load_verify_locations(client_ca)
        except (OSError, ValueError) as error:
            raise FileError(
                f"{client_ca} holds no certificates in PEM: {_reason(error)}"
            ) from error
    return grpc.ssl_server_certificate_configuration([(secret, chain)], authority)


def _reason(error: Exception) -> str:
    return getattr(error, "reason", None) or getattr(error, "strerror", None) or "no PEM"
