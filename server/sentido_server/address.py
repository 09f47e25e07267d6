"""Looks at an address to listen on before gRPC does, whose errors do not say what is wrong."""

import errno
import ipaddress
import os
import re
import socket
from contextlib import closing
from pathlib import Path
from typing import Any

_PORT = re.compile(r"[0-9]{1,5}")  # int() would read digits of any script
LONGEST_PATH = 107  # bytes that a Unix socket's may have, on Linux


def check_address(listen: str) -> None:
    """Raise ValueError, saying what is wrong, unless `listen` can be given to gRPC."""
    if listen.startswith("unix:"):
        path = Path(listen.removeprefix("unix:"))
        try:
            _check_socket(path)
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}") from error
        return
    scheme, slashes, _ = listen.partition("://")
    if slashes:
        raise ValueError(f"{scheme}:// does not belong in an address to listen on")
    host, colon, port = listen.rpartition(":")
    if not (colon and host and _PORT.fullmatch(port) and int(port) < 65536):
        raise ValueError("an address and a port are needed, such as 127.0.0.1:50051")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError("an IPv6 address stands in brackets, as in [::1]:50051")
    try:
        found = socket.getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise ValueError(f"{host} is not an address: {error.strerror}") from error
    problems = [_problem(family, address) for family, _, _, _, address in found]
    if errno.EADDRINUSE in problems:  # of any: gRPC would be content with the others
        raise ValueError("the port is in use")
    if None not in problems:
        raise ValueError(os.strerror(problems[0] or 0))


def available(listen: str) -> str:
    """Return an address to listen on: `0.0.0.0` for `[::]` where the kernel has no IPv6."""
    host, _, port = listen.rpartition(":")
    if not (host.startswith("[") and is_wildcard(host)) or _has_ipv6():
        return listen
    return f"0.0.0.0:{port}"


def is_wildcard(host: str) -> bool:
    """Whether a host stands for every address of this machine, in any of its spellings.

    >>> is_wildcard("0.0.0.0"), is_wildcard("[::]"), is_wildcard("[::1]")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_unspecified
    except ValueError:  # a name
        return False


def shared_port(one: str, other: str) -> str:
    """Return the port that two addresses would both listen on, "" if there is none.

    >>> shared_port("[::]:5", "127.0.0.1:5"), shared_port("[::]:0", "[::]:0")
    ('5', '')
    """
    (host, _, port), (another, _, its) = one.rpartition(":"), other.rpartition(":")
    same_host = host == another or is_wildcard(host) or is_wildcard(another)
    return port if same_host and port == its and _PORT.fullmatch(port) and int(port) else ""


def _has_ipv6() -> bool:
    return _problem(socket.AF_INET6, ("::", 0)) is None


def is_local(listen: str) -> bool:
    """Whether only this machine reaches an address: a Unix socket, or loopback in all its meanings.

    False for a name that has no address.
    """
    if listen.startswith("unix:"):
        return True
    host = listen.rpartition(":")[0].strip("[]")
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # the second of a name that cannot be one
        return False
    return all(ipaddress.ip_address(address[0]).is_loopback for *_, address in found)


def _problem(family: int, address: Any) -> int | None:
    """Try to bind an address; give what is wrong, as in `errno`."""
    try:
        with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as gRPC does
            probe.bind(address)
            probe.listen()
    except OSError as error:
        return error.errno
    return None


def _check_socket(path: Path) -> None:
    if not path.parent.is_dir():
        raise ValueError(f"there is no folder {path.parent}")
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise ValueError(f"the path of a socket has at most {LONGEST_PATH} bytes")
    if not os.access(path.parent, os.W_OK):
        raise ValueError(f"the folder {path.parent} cannot be written to")
    if not path.exists():
        return
    if not path.is_socket():
        raise ValueError(f"{path} is not a socket")
    # gRPC would take the path over from a server that still listens on it.
    with closing(socket.socket(socket.AF_UNIX)) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return  # left behind by a server that is gone
    raise ValueError("another server listens on it")
