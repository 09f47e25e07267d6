"""What every subcommand of `sentido` is told: whom to call, and how to print."""

import dataclasses
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from sentido_client.client import Client
from sentido_client.environment import VARIABLES, check_variables
from sentido_client.errors import SentidoError
from sentido_client.numbers import ascii_digits

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@dataclasses.dataclass(frozen=True)
class Session:
    """Whom to call and how to print. Lives as long as the command."""

    address: str
    timeout: float | None
    model: str
    model_version: str
    as_json: bool | None  # None: unless standard output is a terminal
    tls_ca: Path | None
    tls_cert: Path | None
    tls_key: Path | None
    token_file: Path | None
    insecure_tokens: bool

    @property
    def names_model(self) -> bool:
        """Whether one model is asked for, and not whichever is the server's default."""
        return bool(self.model or self.model_version)

    @property
    def asked(self) -> dict[str, Any]:
        """The arguments by which a client's verbs are told which model to ask."""
        return {"model": self.model, "model_version": self.model_version}

    def client(self) -> Client:
        """Make a client; the subcommand closes it."""
        try:
            check_variables()
            return Client(
                self.address,
                timeout=self.timeout,
                tls_ca=self.tls_ca,
                tls_cert=self.tls_cert,
                tls_key=self.tls_key,
                token_file=self.token_file,
                insecure_tokens=self.insecure_tokens,
            )
        except ValueError as error:
            raise click.UsageError(str(error)) from error


def _seconds(value: str | float | None) -> float | None:
    """Read a number of seconds, or the word none."""
    try:
        return None if value in (None, "none", "None") else float(ascii_digits(value))
    except ValueError as error:
        message = f"{value!r} is neither a number of seconds nor the word none"
        raise click.BadParameter(message) from error


_OPTIONS = (
    click.option(
        "--address",
        envvar=VARIABLES["address"],
        default="localhost:50051",
        show_default=True,
        show_envvar=True,
        help="Where the server is: host:port, or dns:///name:port for all of a name's addresses.",
    ),
    click.option(
        "--timeout",
        type=_seconds,
        metavar="SECONDS",
        default=30.0,
        show_default=True,
        help="Seconds that a call may take and a stream may go without an answer; or none.",
    ),
    click.option(
        "--tls-ca",
        envvar=VARIABLES["tls_ca"],
        type=_FILE,
        show_envvar=True,
        help="Connect over TLS; a PEM file of those who may have signed the server's certificate.",
    ),
    click.option(
        "--tls-cert",
        envvar=VARIABLES["tls_cert"],
        type=_FILE,
        show_envvar=True,
        help="A PEM file of a certificate to show to the server.",
    ),
    click.option(
        "--tls-key",
        envvar=VARIABLES["tls_key"],
        type=_FILE,
        show_envvar=True,
        help="A PEM file of that certificate's key.",
    ),
    click.option(
        "--token-file",
        envvar=VARIABLES["token_file"],
        type=_FILE,
        show_envvar=True,
        help="A file that holds the bearer token to send.",
    ),
    click.option(
        "--insecure-tokens", is_flag=True, help="Send the token over plain text to other machines."
    ),
    click.option("--model", default="", help="The model to ask; default: the server's."),
    click.option(
        "--model-version", default="", help="Its version; default: the first that the server has."
    ),
    click.option(
        "--json/--table",
        "as_json",
        default=None,
        help="One JSON object per line, or a table; default: a table on a terminal.",
    ),
)
_NAMES = frozenset(field.name for field in dataclasses.fields(Session))


def options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that every subcommand has."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def keep_options(context: click.Context) -> None:
    """Keep what was said before the subcommand's name, for `with_session`."""
    context.obj = _said(context)


def with_session(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that every subcommand has; hand them over as a Session.

    What is said before the subcommand's name counts as if it were said after it.
    """

    @options
    @click.pass_context
    @wraps(command)
    def run(context: click.Context, /, **values: Any) -> None:
        if sys.stdout is None:  # closed by whoever started us
            raise SystemExit("sentido: standard output is closed")
        found = {name: values.pop(name) for name in _NAMES}
        found |= (context.obj or {}) | _said(context)
        if found["as_json"] is None:
            found["as_json"] = not sys.stdout.isatty()
        with _errors():
            command(Session(**found), **values)

    return run


def _said(context: click.Context) -> dict[str, Any]:
    """Return the options that stand on the command line."""
    return {
        name: value
        for name, value in context.params.items()
        if name in _NAMES and context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except SentidoError as error:
        click.echo(f"sentido: {error}", err=True)
        raise SystemExit(1) from error
