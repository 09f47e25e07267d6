"""The server's settings, each declared once: flag, SENTIDO_* variable, default, help text."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from sentido_bundle import Precision, cpus, default_bundle
from sentido_bundle.batches import BATCH_TOKENS, LEAST_ROWS, MOST_ROWS
from sentido_bundle.command_line import Parser
from sentido_bundle.fields import is_utf8
from sentido_bundle.graphs import RunLimits
from sentido_bundle.settings import SettingError, declared, like, setting

from sentido_server import memory, origins
from sentido_server.core import batcher
from sentido_server.sources import Source

_DESCRIPTION = "Serve predictions and embedding vectors of Sentido bundles over gRPC."
_EPILOG = """\
Each flag can also be set by an environment variable, --max-texts by SENTIDO_MAX_TEXTS, or in the
TOML file of --config (SENTIDO_CONFIG) as max_texts. A flag wins over a variable, a variable over
the file. Several bundles in SENTIDO_BUNDLE are separated by ':'.

Health (grpc.health.v1) is NOT_SERVING until every bundle is loaded and verified. SIGTERM and
SIGINT finish what was accepted and exit with 0; a second one stops at once. SIGHUP loads the
bundles again.

--check [ADDRESS] asks a running server for its health instead, by default the one of these
settings; exit code 0: it is SERVING.

examples:
  sentido-server                                   serve the default bundle
  sentido-server --bundle bundles/mine --listen 0.0.0.0:50051
  sentido-server --max-texts 100 --print-config > sentido.toml
  sentido-server --check                           is it SERVING?"""

_SHARE = 4  # parts of the memory: for receiving, for streams, for messages, and for all else
_BATCH_PADDING = 0.1  # the share of a batch's tokens that may be padding


class StartError(Exception):
    """The server cannot start with its settings. The message says why and what to do."""


@dataclass(frozen=True)
class Memory:
    """How the memory for calls is shared out, so that all together stays within `bound`."""

    bound: int  # bytes of the process
    receiving_of_one: int  # of these, by one connection
    receiving: int  # unary calls whose message is received at once, of the largest size each
    streams: int  # that are open at once, with a message of the largest size each
    messages: int  # bytes, from parsing to sending; twice as many where callers have equal shares


@dataclass(frozen=True)
class Config:
    """All settings of a server."""

    bundle: tuple[str | Path, ...] = setting(
        (str(default_bundle()),),
        "folder of a bundle, or NAME=FOLDER to give its model another name; give it again for more,"
        " also for several versions of a model: the first answers calls that name no model, the"
        " first of a name those that name no version (default: the shipped one)",
    )
    precision: str = setting(
        "fp32",
        "fp32, or int8: faster, a little less exact, and a text's answer then depends a little on"
        " its batch; every bundle must hold model.int8.onnx",
        choices=tuple(Precision),
    )
    listen: str = setting(
        "127.0.0.1:50051", "address and port, port 0 for a free one, or unix:/path/to/socket"
    )
    max_text_characters: int = like(
        RunLimits, "max_text_characters", text="Unicode code points a text"
    )
    max_texts: int = setting(4096, "texts or words a call or stream message", least=1)
    max_message_bytes: int = setting(16 * 1024 * 1024, "bytes a message on the wire", least=1024)
    max_queued_tokens: int = setting(
        500_000, "calls are refused while so many tokens wait to be computed", least=1
    )
    max_run_bytes: int = like(RunLimits, "max_run_bytes")
    max_run_multiplications: int = like(RunLimits, "max_run_multiplications")
    transport: str = setting(
        "auto",
        "grpcio; native: several times faster for small calls, without TLS or bounds on what is"
        " sent, needs the extra sentido-server[native]; or auto: native where it is installed and"
        " --listen is a loopback address or a Unix socket",
        choices=("auto", "grpcio", "native"),
    )
    tls_cert: Path | None = setting(
        None,
        "PEM file of the server's certificate and those above it: serve over TLS, with grpcio;"
        " read again when it changes",
    )
    tls_key: Path | None = setting(None, "PEM file of the certificate's private key")
    tls_client_ca: Path | None = setting(
        None, "PEM file of authorities: a caller must show a certificate that one of them signed"
    )
    token_file: Path | None = setting(
        None,
        "file of a role, call or admin, and a bearer token a line: callers must send one of them;"
        " read again when it changes",
    )
    insecure_tokens: bool = setting(
        False, "take tokens over plain text from other machines, as behind a proxy or in a mesh"
    )
    reflection: bool = setting(True, "tell what services there are (grpc.reflection)")
    max_connection_calls: int = setting(
        100,
        "calls and streams in progress per connection; more have to wait; our clients' watch of"
        " health is one",
        least=2,  # of gRPC's clients that watch health: with 1 no call of theirs would ever start
        most=65535,
    )
    max_connections: int = setting(
        1000, "connections at once, with grpcio; more are closed at once", least=1
    )
    max_streams: int = setting(
        0, "streams open at once; 0 for as many as the memory allows, at most 256", least=0
    )
    max_memory_mib: int = setting(
        0,
        "MiB of memory that calls are kept within, with grpcio; 0 for what the container or the"
        " machine has",
        least=0,
    )
    stall_seconds: int = setting(
        60,
        "seconds that one message may take to arrive, or one answer to be taken; then the call is"
        " ended",
        least=1,
    )
    max_connection_age: int = setting(
        0,
        "seconds after which a connection is told to end, so that callers find new servers, with"
        " grpcio; 0 for never",
    )
    max_connection_age_grace: int = setting(
        30, "seconds that calls on such a connection have to finish", least=1
    )
    threads: int = setting(
        0,
        "compute threads; 0 for one a CPU that the process or its container may use",
        least=0,
        most=1024,
    )
    drain_delay: int = setting(
        0,
        "seconds after SIGTERM in which calls are still accepted while health says NOT_SERVING",
        least=0,
        most=3600,
    )
    drain_seconds: int = setting(
        30, "seconds that accepted calls have to finish after SIGTERM and the delay", least=0
    )
    metrics_listen: str = setting(
        "off", "address and port for Prometheus to scrape, port 0 for a free one, or off"
    )
    health_listen: str = setting(
        "off",
        "address and port that answer for health alone, in plain text also where --listen has TLS,"
        " or off",
    )
    otlp_endpoint: str = setting(
        "off",
        "collector of OpenTelemetry that gets spans of calls, such as http://localhost:4317, or"
        " off; needs the extra sentido-server[tracing]",
    )
    log_format: str = setting(
        "auto", "json, text, or auto: text on a terminal", choices=("auto", "json", "text")
    )

    given_by: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    """What gave the settings that have no default: flags, variables, and keys of a file."""

    def __post_init__(self) -> None:
        """Check what no setting can say alone. Raises SettingError."""
        for one in declared(Config):
            value = getattr(self, one.name)
            if one.type is str and not is_utf8(value):
                raise SettingError(f"{self.named(one.name)}: {value!r} is not UTF-8")
        for bundle in self.bundle:
            try:
                Source.parse(bundle)
            except ValueError as error:
                raise SettingError(f"{self.named('bundle')} {bundle!r}: {error}") from error
        for given, missing in (("tls_cert", "tls_key"), ("tls_key", "tls_cert")):
            if getattr(self, given) is not None and getattr(self, missing) is None:
                raise SettingError(f"{self.named(given)} needs {self.named(missing)} beside it")
        if self.tls_client_ca is not None and self.tls_cert is None:
            raise SettingError(f"{self.named('tls_client_ca')} needs --tls-cert and --tls-key")

    @classmethod
    def load(cls, argv: Sequence[str], environ: Mapping[str, str]) -> Self:
        """Read the settings: flag, else variable, else file, else default.

        Exits with 2 for a bad one, with 0 after printing them for --print-config.
        """
        parser = Parser(prog="sentido-server", description=_DESCRIPTION, epilog=_EPILOG)
        parser.add_argument("--check", nargs="?", help=argparse.SUPPRESS)  # taken out before
        return origins.load(cls, parser, argv, environ)

    def named(self, name: str) -> str:
        """Return what a message calls a setting: by what gave its value, else by its flag."""
        (flag,) = (one.flag for one in declared(Config) if one.name == name)
        return self.given_by.get(name, flag)

    def sources(self) -> list[Source]:
        """Return where the bundles are, and what their models are called."""
        return [Source.parse(bundle) for bundle in self.bundle]

    def batch_limits(self) -> batcher.BatchLimits:
        """Give what a batch and the queue may hold."""
        return batcher.BatchLimits(
            rows=MOST_ROWS,
            least_rows=LEAST_ROWS,
            budget=BATCH_TOKENS,
            padding=_BATCH_PADDING,
            queued=self.max_queued_tokens,
        )

    def memory(self) -> "Memory":
        """Share the memory out."""
        bound = self.max_memory_mib << 20 or memory.granted()
        messages = bound // _SHARE // self.max_message_bytes
        return Memory(
            bound=bound,
            receiving=max(4, min(messages, 256)),
            receiving_of_one=max(2, min(messages, 256) * 3 // 4),
            streams=self.max_streams or max(4, min(messages, 256)),
            messages=bound // _SHARE // 2,
        )

    def needs_grpcio(self) -> str:
        """Name the setting that only the transport grpcio has, "" if there is none."""
        if self.tls_cert is not None:
            return "--tls-cert"
        return "--max-connection-age" if self.max_connection_age else ""

    def most_threads(self) -> int:
        """Return the bound on threads of calls: all of one connection, and as many of others."""
        streams = 2 * 2 * self.memory().streams  # two each
        return 2 * 5 * self.max_connection_calls + streams + 2 * self.max_connections

    def thread_count(self) -> int:
        """Give the number of compute threads."""
        return self.threads or cpus.granted()
