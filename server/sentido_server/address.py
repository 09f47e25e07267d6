"""Looks at an address to listen on before gRPC does, whose errors do not say what is wrong."""

import socket
from contextlib import closing
from pathlib import Path


def check_address(listen: str) -> None:
    """Raise ValueError, saying what is wrong, unless `listen` can be given to gRPC."""
    if listen.startswith("unix:"):
        _check_socket(Path(listen.removeprefix("unix:")))
        return
    host, colon, port = listen.rpartition(":")
    if not (colon and host and port.isdecimal() and int(port) < 65536):
        raise ValueError("an address and a port are needed, such as 127.0.0.1:50051")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError("an IPv6 address stands in brackets, as in [::1]:50051")
    try:
        socket.getaddrinfo(host.strip("[]"), port, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ValueError(f"{host} is not an address of this machine: {error.strerror}") from error


def _check_socket(path: Path) -> None:
    if not path.parent.is_dir():
        raise ValueError(f"there is no folder {path.parent}")
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
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}") from error
    raise ValueError("another server listens on it")
