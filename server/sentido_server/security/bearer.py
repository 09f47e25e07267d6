"""Who may call what: bearer tokens from a file, each with a role.

The file has a token a line, after its role; empty lines and lines that begin with # are passed
over:

    call  3q2-7wMDAQIEBQYHCAkKCw
    admin yv66vgABAgMEBQYHCAkKCw

`call` may call every RPC that changes nothing, `admin` those and the ones that do. Of a token only
its digest is kept, and none is ever in a message or in the log.
"""

import hashlib
import hmac
import re
from pathlib import Path

from sentido_server.core.call import Metadata
from sentido_server.core.faults import PermissionDenied, Unauthenticated
from sentido_server.security.reloading_file import FileError, ReloadingFile, read

_ROLES = ("call", "admin")
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{16,512}=*")  # RFC 6750, and too long to be guessed
_Digests = tuple[tuple[bytes, bool], ...]  # SHA-256 of a token, and whether its role is admin


class Access:
    """Checks the calls of a server. Lives as long as it; safe from any thread."""

    def __init__(self, file: Path | None) -> None:
        """Take the tokens of a file, None for a server that asks for none. Raises FileError."""
        self.asks = file is not None  # else only calls of admin RPCs need a look
        self._tokens = None if file is None else ReloadingFile([file], lambda: _read(file))

    def check(self, rpc: str, admin: bool, metadata: Metadata) -> None:
        """Raise Unauthenticated or PermissionDenied unless the call may go on.

        `rpc`: what to call it. `admin`: whether it needs the role admin.
        """
        tokens: _Digests = () if self._tokens is None else self._tokens.get()
        if admin and not any(is_admin for _, is_admin in tokens):
            raise PermissionDenied(f"{rpc} is off: the server has no token of the role admin")
        if self._tokens is None:
            return
        is_admin = _is_admin(_given(metadata), tokens)
        if admin and not is_admin:
            raise PermissionDenied(f"{rpc} needs a token of the role admin")


def _given(metadata: Metadata) -> bytes:
    """Give the digest of the token that a call carries. Raises Unauthenticated."""
    values = [value for key, value in metadata if key == "authorization"]
    if not values:
        raise Unauthenticated("a token is needed: send the metadata authorization: Bearer TOKEN")
    scheme, _, token = str(values[0]).partition(" ")
    if len(values) > 1 or scheme.lower() != "bearer":
        raise Unauthenticated("the metadata authorization is not, once, Bearer TOKEN")
    return _digest(token.strip(" "))


def _is_admin(digest: bytes, tokens: _Digests) -> bool:
    """Tell whether a token's role is admin. Raises Unauthenticated for one that is unknown.

    Every token is compared, whichever is right, and each in the same time.
    """
    roles = [admin for known, admin in tokens if hmac.compare_digest(digest, known)]
    if not roles:
        raise Unauthenticated("the token is not one that the server knows")
    return any(roles)


def _read(file: Path) -> _Digests:
    found: list[tuple[bytes, bool]] = []
    try:
        lines = read(file, "the token file").decode().splitlines()
    except UnicodeDecodeError as error:
        raise FileError(f"the token file {file} is not UTF-8") from error
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 2 or words[0] not in _ROLES or not _TOKEN.fullmatch(words[1]):
            raise FileError(
                f"line {number} of the token file {file} is not a role, call or admin, and a token"
                " of 16 to 512 letters, digits and -._~+/="
            )
        found.append((_digest(words[1]), words[0] == "admin"))
    if not found:
        raise FileError(f"the token file {file} holds no token")
    return tuple(found)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
