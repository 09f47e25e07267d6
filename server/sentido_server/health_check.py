"""`sentido-server --check`: ask a running server for its health, as a container engine does.

Speaks grpc.health.v1 and needs nothing that the server does not. Not part of serving.
"""

import argparse
from collections.abc import Sequence
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sentido_bundle.fields import is_utf8

from sentido_server.address import is_wildcard
from sentido_server.config import Config

_SECONDS = 4.0  # to answer in; container engines wait for 5


def split(argv: Sequence[str]) -> tuple[str | None, list[str]]:
    """Take `--check [ADDRESS]` out of the arguments: give ADDRESS and the rest.

    None: it is not there. "": it is there without an address.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--check", nargs="?", const="")
    found, rest = parser.parse_known_args(argv)
    return found.check, rest


def check(address: str, config: Config) -> tuple[bool, str]:
    """Ask the server at `address`, or "" for where `config` answers; give whether it is SERVING.

    Second, a line that says what it answered, or why it did not. Asks in plain text.
    """
    if not address and config.health_listen != "off":
        address = reachable(config.health_listen)
    elif not address and config.tls_cert is not None:
        return False, "--check speaks plain text: give a server with TLS --health-listen"
    target = address or reachable(config.listen)
    if not is_utf8(target):
        return False, f"{target!r} is not an address: it is not UTF-8"
    with grpc.insecure_channel(target, [("grpc.enable_http_proxy", 0)]) as channel:
        request = health_pb2.HealthCheckRequest(service="")
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=_SECONDS)
        except grpc.RpcError as error:
            failure: Any = error
            return False, f"{target} does not answer: {failure.code().name}: {failure.details()}"
    status = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    return answer.status == health_pb2.HealthCheckResponse.SERVING, f"{target} is {status}"


def reachable(listen: str) -> str:
    """Return an address at which a server that listens on `listen` is reached from its own machine.

    IPv4's loopback for `[::]` too, which takes both: it is there also where IPv6 is switched off.

    >>> reachable("[::]:50051")
    '127.0.0.1:50051'
    """
    host, colon, port = listen.rpartition(":")
    return ("127.0.0.1" if is_wildcard(host) else host) + colon + port
