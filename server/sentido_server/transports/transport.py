"""What a transport is, and what all of them share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import grpc

from sentido_server.config import Config
from sentido_server.core.call import Metadata
from sentido_server.core.pipeline import Pipeline
from sentido_server.core.rpc import Rpc
from sentido_server.transports.health import Health
from sentido_server.transports.stalls import Stalls


class Transport(Protocol):
    """A way for calls to come in, from `start` until `stop`."""

    name: str  # as the log has it

    def start(self) -> str:
        """Take calls from now on; return the address with the real port. Raises StartError."""

    @property
    def open_calls(self) -> int:
        """Calls that have no status yet."""

    def drain(self, seconds: float) -> bool:
        """Let accepted calls finish and idle streams end; return whether all did in time.

        The pipeline drains already.
        """

    def stop(self, seconds: float) -> None:
        """Close every connection; what is still open has so many seconds."""


@dataclass(frozen=True)
class Shared:
    """What the transports of a server answer with."""

    config: Config
    pipeline: Pipeline
    rpcs: Sequence[Rpc[Any]]
    health: Health
    stalls: Stalls
    check_reflection: Callable[[Metadata], None]  # raises a Fault for who may not see the services
    certificates: grpc.ServerCredentials | None


def with_port(listen: str, port: int) -> str:
    """Return the address to listen on with the port that was bound."""
    return listen if listen.startswith("unix:") else f"{listen.rpartition(':')[0]}:{port}"
