"""How a client connects: over TLS or in plain text, with or without a token."""

import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, Self

import grpc

from sentido_client.address import authority, is_loopback, is_near

File = str | PathLike[str]
_TOKEN = re.compile(r"[!-~]+")  # no spaces, no line ends, as metadata cannot carry them


@dataclass(frozen=True)
class Security:
    """What a client proves and asks for. Made from files once; holds what was in them."""

    address: str
    ca: bytes | None = None  # PEM; None for plain text
    cert: bytes | None = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)
    metadata: tuple[tuple[str, str], ...] | None = field(default=None, repr=False)  # of each call

    @classmethod
    def load(
        cls,
        address: str,
        tls_ca: File | None,
        tls_cert: File | None,
        tls_key: File | None,
        token: str | None,
        token_file: File | None,
        insecure_tokens: bool,
    ) -> Self:
        """Read and check the files. Raises ValueError, in which no token ever is."""
        if (tls_cert is None) != (tls_key is None):
            raise ValueError("tls_cert and tls_key are needed together")
        if tls_cert is not None and tls_ca is None:
            raise ValueError("tls_cert needs tls_ca, the authority of the server's certificate")
        if token_file is not None:
            if token is not None:
                raise ValueError("token and token_file are both given: one is needed")
            token = _read_token(token_file)
        if token is not None and not _TOKEN.fullmatch(token):
            raise ValueError("token is empty or holds spaces or other than ASCII characters")
        if token and tls_ca is None and not insecure_tokens and not is_loopback(address):
            raise ValueError(
                f"the token would go to {address} over plain text, where others can read it: give"
                " tls_ca, or take the risk with insecure_tokens"
            )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # gRPC says little of bad files
        ca = cert = key = None
        if tls_ca is not None:
            ca = _read("tls_ca", tls_ca)
            _check("tls_ca", tls_ca, lambda: context.load_verify_locations(tls_ca))
        if tls_cert is not None and tls_key is not None:
            cert, key = _read("tls_cert", tls_cert), _read("tls_key", tls_key)
            _check("tls_cert", tls_cert, lambda: context.load_cert_chain(tls_cert, tls_key, ""))
        metadata = None if token is None else (("authorization", f"Bearer {token}"),)
        return cls(address, ca, cert, key, metadata)

    def channel(self, library: Any, options: Sequence[tuple[str, Any]]) -> Any:
        """Make a channel of a library, grpc or grpc.aio."""
        if is_near(self.address):
            options = [*options, ("grpc.enable_http_proxy", 0)]
        host = authority(self.address)
        if host is not None:
            options = [*options, ("grpc.default_authority", host)]
        if self.ca is None:
            return library.insecure_channel(self.address, options)
        credentials = grpc.ssl_channel_credentials(self.ca, self.key, self.cert)
        return library.secure_channel(self.address, credentials, options)


def _read(name: str, file: File) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise ValueError(f"{name}: cannot read {file}: {error.strerror}") from error


def _read_token(file: File) -> str:
    """Read the one token of a file."""
    words = _read("token_file", file).decode("ascii", "replace").split()
    if len(words) != 1:
        raise ValueError(f"token_file: {file} holds {len(words)} words instead of one token")
    return words[0]


def _check(name: str, file: File, load: Any) -> None:
    try:
        load()
    except (OSError, ValueError) as error:
        what = "certificates" if name == "tls_ca" else "certificate of the key in tls_key,"
        reason = getattr(error, "reason", None) or "no PEM"
        raise ValueError(f"{name}: {file} holds no {what} in PEM: {reason}") from error
