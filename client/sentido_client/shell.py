"""The subcommands of `sentido`: arguments in, a table for people or JSON lines for programs out."""

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from sentido_client import results
from sentido_client.client import Client
from sentido_client.errors import InvalidRequestError, NotFoundError, SentidoError

_SHOWN_NUMBERS = 4  # of a vector, to people
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_EXAMPLES = """\b
examples:
  sentido predict "A wonderful little film." "A dull mess."
  sentido predict --file reviews.txt > predictions.jsonl
  sentido nearest wonderful"""  # \b: click leaves the lines as they are


@dataclasses.dataclass(frozen=True)
class Session:
    """What every subcommand is told: whom to call, and how to print."""

    address: str
    timeout: float | None
    model: str
    as_json: bool
    security: dict[str, Any]

    def client(self) -> Client:
        """Make a client; the subcommand closes it."""
        try:
            return Client(self.address, timeout=self.timeout, **self.security)
        except ValueError as error:
            raise click.UsageError(str(error)) from error


def _options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that every subcommand has; hand them over as a Session."""

    @click.option(
        "--address",
        envvar="SENTIDO_ADDRESS",
        default="localhost:50051",
        show_default=True,
        show_envvar=True,
        help="Where the server is: host:port, or dns:///name:port for all of a name's addresses.",
    )
    @click.option(
        "--timeout",
        type=_seconds,
        metavar="SECONDS",
        default=30.0,
        show_default=True,
        help="Seconds that a call may take and a stream may go without an answer; or none.",
    )
    @click.option(
        "--tls-ca",
        envvar="SENTIDO_TLS_CA",
        type=_FILE,
        show_envvar=True,
        help="Connect over TLS; a PEM file of those who may have signed the server's certificate.",
    )
    @click.option(
        "--tls-cert", type=_FILE, help="A PEM file of a certificate to show to the server."
    )
    @click.option("--tls-key", type=_FILE, help="A PEM file of that certificate's key.")
    @click.option(
        "--token-file",
        envvar="SENTIDO_TOKEN_FILE",
        type=_FILE,
        show_envvar=True,
        help="A file that holds the bearer token to send.",
    )
    @click.option(
        "--insecure-tokens", is_flag=True, help="Send the token over plain text to other machines."
    )
    @click.option("--model", default="", help="The model to ask; default: the server's.")
    @click.option(
        "--json/--table",
        "as_json",
        default=None,
        help="One JSON object a line, or a table; default: a table on a terminal.",
    )
    @wraps(command)
    def with_session(
        *,
        address: str,
        timeout: float | None,
        model: str,
        as_json: bool | None,
        tls_ca: Path | None,
        tls_cert: Path | None,
        tls_key: Path | None,
        token_file: Path | None,
        insecure_tokens: bool,
        **rest: Any,
    ) -> None:
        if sys.stdout is None:  # closed by whoever started us
            raise SystemExit("sentido: standard output is closed")
        as_json = not sys.stdout.isatty() if as_json is None else as_json
        with _errors():
            security = {
                "tls_ca": tls_ca,
                "tls_cert": tls_cert,
                "tls_key": tls_key,
                "token": None if token_file is None else _token(token_file),
                "insecure_tokens": insecure_tokens,
            }
            command(Session(address, timeout, model, as_json, security), **rest)

    return with_session


def _seconds(value: str | float) -> float | None:
    """Read a number of seconds, or the word none."""
    try:
        return None if value == "none" else float(value)
    except ValueError as error:
        message = f"{value!r} is neither a number of seconds nor the word none"
        raise click.BadParameter(message) from error


def _token(file: Path) -> str:
    """Read the one token of a file."""
    words = file.read_text(encoding="ascii", errors="replace").split()
    if len(words) != 1:
        raise click.UsageError(f"{file} holds {len(words)} words instead of one token")
    return words[0]


def _texts(command: Callable[..., None]) -> Callable[..., None]:
    """Add the arguments that name texts; hand them over as an iterable."""

    @click.argument("texts", nargs=-1)
    @click.option(
        "--file",
        "-f",
        type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
        help="Read texts from a file, one a line; '-' is standard input.",
    )
    @wraps(command)
    def with_texts(
        session: Session, texts: tuple[str, ...], file: Path | None, **rest: Any
    ) -> None:
        if texts and file:
            raise click.UsageError("give texts or --file, not both")
        command(session, texts or _Lines(file), **rest)

    return with_texts


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EXAMPLES)
@click.version_option(package_name="sentido-client", message="%(prog)s %(version)s")
def sentido() -> None:
    """Ask a Sentido server for predictions and embedding vectors.

    Texts are arguments, the lines of a --file, or the lines of standard input. On a terminal the
    answers are tables, in a pipe JSON objects, one a line.
    """


@sentido.command()
@_options
@_texts
def predict(session: Session, texts: Iterable[str]) -> None:
    """Classify texts.

    A text that the server refuses is answered by an error in its place; the command then ends
    with 1.
    """
    _print_answers(
        session,
        texts,
        lambda client, each: client.predict(each, model=session.model, errors="return"),
        dataclasses.asdict,
        {
            "label": lambda answer: answer.label,
            "probability": lambda answer: f"{answer.probability:.4f}",
            "tokens": lambda answer: str(answer.usage.token_count),
            "unknown": lambda answer: str(answer.usage.out_of_vocabulary_count),
            "cut off": lambda answer: str(answer.usage.truncated_token_count),
        },
    )


@sentido.command()
@_options
@_texts
@click.option(
    "--kind",
    type=click.Choice(["hidden", "mean"]),
    default="hidden",
    show_default=True,
    help="The LSTM's final state, or the mean of the word vectors.",
)
@click.option("--normalize", is_flag=True, help="Divide each vector by its length.")
def embed(session: Session, texts: Iterable[str], kind: Any, normalize: bool) -> None:
    """Give a vector for each text.

    A text that the server refuses is answered by an error in its place; the command then ends
    with 1.
    """
    _print_answers(
        session,
        texts,
        lambda client, each: client.embed(
            each, model=session.model, kind=kind, normalize=normalize, errors="return"
        ),
        lambda vector: {"embedding": _numbers(vector)},
        {"dimension": lambda vector: str(len(vector)), "vector": _few},
    )


@sentido.command()
@_options
@_texts
@click.option(
    "--kind",
    type=click.Choice(["word", "hidden"]),
    default="word",
    show_default=True,
    help="The rows of the embedding matrix, or the LSTM's state after each token.",
)
def tokens(session: Session, texts: Iterable[str], kind: Any) -> None:
    """Show the tokens that the model reads in each text, with their vectors."""
    bad = 0
    with session.client() as client:
        for number, text in enumerate(texts, start=1):
            try:
                found, vectors = client.embed_tokens(text, model=session.model, kind=kind)
            except InvalidRequestError as error:
                bad += 1
                _print_error(session, f"text {number}: {_problem(texts, number - 1, error)}")
                continue
            if session.as_json:
                facts = [dataclasses.asdict(token) for token in found]
                _print_json({"tokens": facts, "vectors": [_numbers(v) for v in vectors]})
                continue
            title = _plain(f"{_short(text)}  {vectors.shape}")
            table = Table(
                "id", "token", "start", "end", "vector", title=title, title_justify="left"
            )
            for token, vector in zip(found, vectors, strict=True):
                place = (str(token.start), str(token.end))
                table.add_row(str(token.id), _plain(token.text), *place, _few(vector))
            _print_table(table)
    if bad:
        raise SystemExit(1)


@sentido.command()
@_options
@click.argument("words", nargs=-1, required=True)
@click.option("-k", default=10, show_default=True, type=click.IntRange(1, 1000), help="How many.")
def nearest(session: Session, words: Sequence[str], k: int) -> None:
    """Give the words whose vectors are nearest to a word's."""
    bad = 0
    with session.client() as client:
        for word in words:
            try:
                neighbours = client.nearest(word, k, model=session.model)
            except (InvalidRequestError, NotFoundError) as error:
                bad += 1
                _print_error(session, str(error))
                continue
            table = Table("word", "similarity", "id", title=_plain(word), title_justify="left")
            for found in neighbours:
                if session.as_json:
                    _print_json({"of": word, **dataclasses.asdict(found)})
                else:
                    table.add_row(_plain(found.word), f"{found.similarity:.4f}", str(found.id))
            if not session.as_json:
                _print_table(table)
    if bad:
        raise SystemExit(1)


@sentido.command()
@_options
def model(session: Session) -> None:
    """Describe a model: --model NAME, or every one that the server has."""
    with session.client() as client:
        found = [client.model(session.model)] if session.model else client.models()
    for facts in found:
        if session.as_json:
            _print_json(dataclasses.asdict(facts))
        else:
            _print_model(facts)


@sentido.command()
@_options
@click.argument("name")
def reload(session: Session, name: str) -> None:
    """Make the server load a model's bundle again. For administrators."""
    with session.client() as client:
        facts = client.reload_model(name)
    if session.as_json:
        _print_json(dataclasses.asdict(facts))
    else:
        _print_model(facts)


@sentido.command()
@_options
@click.argument("service", default="")
def health(session: Session, service: str) -> None:
    """Print the server's health; end with 0 only if it is SERVING."""
    with session.client() as client:
        status = client.health(service)
    if session.as_json:
        _print_json({"status": status})
    else:
        click.echo(status)
    if status != "SERVING":
        raise SystemExit(1)


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except SentidoError as error:
        click.echo(f"sentido: {error}", err=True)
        raise SystemExit(1) from error
    except BrokenPipeError:
        raise
    except OSError as error:
        click.echo(f"sentido: {error.strerror or error}", err=True)
        raise SystemExit(1) from error


class _Lines:
    """The lines of a file or of standard input, without their ends. Can be read once.

    Bytes that are not UTF-8 become lone surrogates, which the client refuses text by text.
    """

    def __init__(self, file: Path | None) -> None:
        """Open it. Raises SystemExit for UTF-16 and UTF-32."""
        is_standard = file is None or str(file) == "-"
        if sys.stdin is None and is_standard:
            raise SystemExit("sentido: standard input is closed: give texts or --file")
        if file is None and sys.stdin.isatty():
            click.echo("reading texts from the terminal, one a line; end with Ctrl-D", err=True)
        self._name = "standard input" if is_standard else str(file)
        descriptor = os.dup(sys.stdin.fileno()) if is_standard else os.open(str(file), os.O_RDONLY)
        source = open(descriptor, "rb")  # noqa: SIM115
        self._bad: set[int] = set()
        if _is_wide(source.peek(4)[:4]):
            source.close()
            raise SystemExit(
                f"sentido: {self._name}: is UTF-16 or UTF-32, not UTF-8: convert it first, as with"
                " iconv -f UTF-16 -t UTF-8"
            )
        self._source = TextIOWrapper(
            source, encoding="utf-8-sig", errors="surrogateescape", newline="\n"
        )

    def __iter__(self) -> Iterator[str]:
        with self._source:
            for index, line in enumerate(self._source):
                if not line.isascii() and not _is_unicode(line):
                    self._bad.add(index)
                yield line.removesuffix("\n").removesuffix("\r")

    def problem(self, index: int, error: InvalidRequestError) -> str:
        """Describe what is wrong with a line."""
        if index not in self._bad:
            return str(error)
        self._bad.remove(index)
        return f"line {index + 1} of {self._name}: not UTF-8"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_wide(beginning: bytes) -> bool:
    """Whether a text begins as UTF-16 or UTF-32 do: with their mark, or a NUL beside a letter."""
    if beginning.startswith((b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")):
        return True
    is_letter = tuple(byte > 0 for byte in beginning)
    return is_letter in (
        (True, False, True, False),
        (False, True, False, True),
        (True, False, False, False),
        (False, False, False, True),
    )


def _problem(texts: Iterable[str], index: int, error: InvalidRequestError) -> str:
    """Describe what is wrong with a text, by its line if it is one of a file."""
    return texts.problem(index, error) if isinstance(texts, _Lines) else str(error)


def _keeping(texts: Iterable[str], kept: list[str] | None) -> Iterator[str]:
    for text in texts:
        if kept is not None:
            kept.append(text)
        yield text


def _print_answers(
    session: Session,
    texts: Iterable[str],
    ask: Callable[[Client, Iterable[str]], Iterable[Any]],
    facts: Callable[[Any], dict[str, Any]],
    columns: dict[str, Callable[[Any], str]],
) -> None:
    """Print the answer to each text, or its error in its place, which makes the command fail."""
    bad = 0
    table = Table(*columns, "text")
    with session.client() as client:
        if isinstance(texts, Sequence):
            client.limits()  # fails soon where no server is; a file waits for one
        kept: list[str] = []  # only for the table
        each = _keeping(texts, kept if not session.as_json else None)
        for index, answer in enumerate(ask(client, each)):
            if isinstance(answer, InvalidRequestError):
                bad += 1
                problem = _problem(texts, index, answer)
                click.echo(f"sentido: {problem}", err=True)
                said = {"error": problem, "index": answer.index}
                row = ["error", *[""] * (len(columns) - 1)]
            else:
                said = facts(answer) if session.as_json else {}
                row = [] if session.as_json else [cell(answer) for cell in columns.values()]
            if session.as_json:
                _print_json(said)
            else:
                table.add_row(*map(_plain, row), _plain(_short(kept[index])))
    if not session.as_json:
        _print_table(table)
    if bad:
        raise SystemExit(1)


def _print_model(facts: results.Model) -> None:
    table = Table("", Column(_plain(facts.name), overflow="fold"))
    for name, value in dataclasses.asdict(facts).items():
        if isinstance(value, dict):
            value = "\n".join(f"{key} {item!r}" for key, item in value.items())
        shown = ", ".join(value) if isinstance(value, tuple) else str(value)
        table.add_row(name, _plain(shown))
    _print_table(table)


def _print_error(session: Session, message: str) -> None:
    """Say what is wrong with one text; in JSON also in the place of its answer."""
    click.echo(f"sentido: {message}", err=True)
    if session.as_json:
        _print_json({"error": message})


def _print_json(facts: Any) -> None:
    click.echo(json.dumps(facts, ensure_ascii=not _is_utf8()))


def _print_table(table: Table) -> None:
    if isinstance(sys.stdout, TextIOWrapper) and not _is_utf8():
        sys.stdout.reconfigure(errors="replace")
    Console().print(table)


def _is_utf8() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def _numbers(vector: results.Vectors) -> list[float]:
    """Give floats in the fewest digits that read back as the same float32."""
    return [float(str(number)) for number in vector]


def _few(vector: results.Vectors) -> str:
    shown = " ".join(f"{number:+.4f}" for number in np.asarray(vector)[:_SHOWN_NUMBERS])
    return shown + (" ..." if len(vector) > _SHOWN_NUMBERS else "")


def _plain(text: str) -> Text:
    """Show a text as it is: no markup, no emoji codes, nothing that a terminal would obey."""
    return Text("".join(c if c.isprintable() or c == "\n" else "�" for c in text))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:59] + "…"
