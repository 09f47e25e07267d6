"""The subcommands of `sentido`: arguments in, a table for people or JSON lines for programs out."""

import dataclasses
import json
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.cells import cell_len

from sentido_client import results
from sentido_client.client import Client
from sentido_client.errors import InvalidRequestError, NotFoundError
from sentido_client.numbers import WholeNumber
from sentido_client.results import Prediction, Token, Vectors
from sentido_client.session import Session, keep_options, options, with_session
from sentido_client.table import Table, is_utf8, print_table, printable, shortened
from sentido_client.text_file import TextFile

_CAPABILITIES = {  # of models, in words for people
    "hidden": "hidden states",
    "steps": "states after each token",
    "word_vectors": "word vectors",
    "logits": "logits",
    "int8": "int8 twin",
}
_SHOWN_NUMBERS = 4  # of a vector, to people
_TITLE_WIDTH = 60  # cells of a text that is a table's title
_EXAMPLES = """\b
examples:
  sentido predict "A wonderful little film." "A dull mess."
  sentido predict --file reviews.txt > predictions.jsonl
  sentido nearest wonderful
\b
completion, in ~/.bashrc (or with zsh_source, fish_source):
  eval "$(_SENTIDO_COMPLETE=bash_source sentido)\""""  # \b: click leaves the lines as they are


def run() -> int:
    """Run the command; return its exit code. Whatever is wrong is one line."""
    try:
        return int(sentido.main(prog_name="sentido", standalone_mode=False) or 0)
    except click.UsageError as error:
        if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):
            error.show()
        else:
            click.echo(f"sentido: {' '.join(error.format_message().split())}", err=True)
        return error.exit_code
    except OSError as error:  # but for a reader that has gone, which click knows
        click.echo(f"sentido: {error.strerror or error}", err=True)
        if sys.stdout is not None:  # what it still holds Python would complain of at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EXAMPLES)
@options
@click.version_option(package_name="sentido-client", message="%(prog)s %(version)s")
@click.pass_context
def sentido(context: click.Context, /, **_: Any) -> None:
    """Ask a Sentido server for predictions and embedding vectors.

    Texts are arguments, the lines of a --file, or the lines of standard input. On a terminal the
    answers are tables, in a pipe JSON objects, one per line. An option may stand before the command
    or after it.
    """
    keep_options(context)


def _texts(command: Callable[..., None]) -> Callable[..., None]:
    """Add the arguments that name texts; hand them over as an iterable."""

    @click.argument("texts", nargs=-1)
    @click.option(
        "--file",
        "-f",
        type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
        help="Read texts from a file, one per line; '-' is standard input.",
    )
    @click.option("--with-text", is_flag=True, help="Add the text to each JSON object.")
    @wraps(command)
    def with_texts(
        session: Session, texts: tuple[str, ...], file: Path | None, **rest: Any
    ) -> None:
        if texts and file:
            raise click.UsageError("give texts or --file, not both")
        command(session, texts or TextFile(file), **rest)

    return with_texts


@sentido.command()
@with_session
@_texts
@click.option(
    "--logits", is_flag=True, help="Add the values before the last activation to the JSON."
)
def predict(session: Session, texts: Iterable[str], with_text: bool, logits: bool) -> None:
    """Classify texts: print the label, or, for a model of several labels at once, those chosen.

    A text that the server refuses is answered by an error in its place; the command then ends
    with 1.
    """
    _print_answers(
        session,
        texts,
        with_text,
        lambda client, each: client.predict(
            each, **session.asked, include_logits=logits, errors="return"
        ),
        _prediction,
        ("label", "probability", "tokens", "unknown", "cut off", "text"),
        _prediction_cells,
        lambda answer: [max(cell_len(score.label) for score in answer.scores)],
    )


@sentido.command()
@with_session
@_texts
@click.option(
    "--kind",
    type=click.Choice(["hidden", "mean"]),
    default="hidden",
    show_default=True,
    help="What enters the last Dense layer, or the mean of the word vectors.",
)
@click.option("--normalize", is_flag=True, help="Divide each vector by its length.")
def embed(
    session: Session, texts: Iterable[str], with_text: bool, kind: Any, normalize: bool
) -> None:
    """Give a vector for each text.

    A text that the server refuses is answered by an error in its place; the command then ends
    with 1.
    """
    _print_answers(
        session,
        texts,
        with_text,
        lambda client, each: client.embed(
            each, **session.asked, kind=kind, normalize=normalize, errors="return"
        ),
        lambda vector: {"embedding": _numbers(vector)},
        ("dimension", "vector", "text"),
        lambda vector: (str(len(vector)), _few(vector)),
        lambda vector: [0, len(_few(vector))],
    )


@sentido.command()
@with_session
@_texts
@click.option(
    "--kind",
    type=click.Choice(["word", "hidden"]),
    default="word",
    show_default=True,
    help="The rows of the embedding matrix, or what the last recurrent layer gives.",
)
def tokens(session: Session, texts: Iterable[str], with_text: bool, kind: Any) -> None:
    """Show the tokens that the model reads in each text, with their vectors.

    Words that the model does not know are shown too.
    """
    bad = 0
    with session.client() as client:
        for index, text in enumerate(texts):
            place = _place(index, text, with_text)
            try:
                read, vectors = client.embed_tokens(text, **session.asked, kind=kind)
                words = client.tokenize(text, **session.asked).tokens
            except InvalidRequestError as error:
                bad += 1
                _print_error(session, f"text {index + 1}: {_problem(texts, index, error)}", place)
                continue
            unknown = [word for word in words if word.out_of_vocabulary]
            if session.as_json:
                facts = [dataclasses.asdict(token) for token in read]
                missing = [dataclasses.asdict(token) for token in unknown]
                numbers = [_numbers(vector) for vector in vectors]
                _print_json(
                    {**place, "tokens": facts, "vectors": numbers, "out_of_vocabulary": missing}
                )
            else:
                click.echo(f"{shortened(printable(text), _TITLE_WIDTH)}  {vectors.shape}")
                _print_tokens(read, vectors, unknown)
    if bad:
        raise SystemExit(1)


@sentido.command()
@with_session
@click.argument("words", nargs=-1, required=True)
@click.option("-k", default=10, show_default=True, type=WholeNumber(1, 1000), help="How many.")
def nearest(session: Session, words: Sequence[str], k: int) -> None:
    """Give the words whose vectors are nearest to a word's."""
    bad = 0
    with session.client() as client:
        for word in words:
            try:
                neighbours = client.nearest(word, k, **session.asked)
            except (InvalidRequestError, NotFoundError) as error:
                bad += 1
                _print_error(session, str(error), {})
                continue
            if session.as_json:
                for found in neighbours:
                    facts = dataclasses.asdict(found)
                    _print_json({"of": word, **facts, "similarity": _shortest(found.similarity)})
            else:
                click.echo(printable(word))
                rows = [(each.word, f"{each.similarity:.4f}", str(each.id)) for each in neighbours]
                print_table(("word", "similarity", "id"), rows)
    if bad:
        raise SystemExit(1)


@sentido.command(context_settings={"ignore_unknown_options": True})  # -1 is a number
@with_session
@click.argument("token_ids", nargs=-1, required=True, type=WholeNumber())
def detokenize(session: Session, token_ids: Sequence[int]) -> None:
    """Print the word of each id."""
    with session.client() as client:
        words = client.detokenize(token_ids, **session.asked)
    if session.as_json:
        for id, word in zip(token_ids, words, strict=True):
            _print_json({"id": id, "word": word})
    else:
        rows = [(str(id), word) for id, word in zip(token_ids, words, strict=True)]
        print_table(("id", "word"), rows)


@sentido.command()
@with_session
def model(session: Session) -> None:
    """Describe a model: --model NAME --model-version VERSION, or every one that the server has."""
    with session.client() as client:
        one = session.names_model
        found = [client.model(session.model, session.model_version)] if one else client.models()
    for facts in found:
        _print_model(session, facts)


@sentido.command()
@with_session
@click.argument("name")
def reload(session: Session, name: str) -> None:
    """Make the server load a model's bundle again. For administrators."""
    if session.model not in ("", name):
        raise click.UsageError(f"NAME is {name!r} and --model {session.model!r}: give one of them")
    with session.client() as client:
        _print_model(session, client.reload_model(name, session.model_version))


@sentido.command()
@with_session
@click.argument("service", default="")
def health(session: Session, service: str) -> None:
    """Print the server's health; end with 0 only if it is SERVING, and has the --model."""
    with session.client() as client:
        status = client.health(service)
        if session.names_model and status == "SERVING":
            client.model(session.model, session.model_version)  # raises NotFoundError
    if session.as_json:
        _print_json({"status": status})
    else:
        click.echo(status)
    if status != "SERVING":
        raise SystemExit(1)


def _problem(texts: Iterable[str], index: int, error: InvalidRequestError) -> str:
    """Describe what is wrong with a text, by its line if it is one of a file."""
    return texts.problem(index, error) if isinstance(texts, TextFile) else str(error)


def _keeping(texts: Iterable[str], kept: deque[str]) -> Iterator[str]:
    for text in texts:
        kept.append(text)
        yield text


def _print_answers(
    session: Session,
    texts: Iterable[str],
    with_text: bool,
    ask: Callable[[Client, Iterable[str]], Iterable[Any]],
    facts: Callable[[Any], dict[str, Any]],
    titles: Sequence[str],
    cells: Callable[[Any], Sequence[str]],
    widths: Callable[[Any], Sequence[int]],
) -> None:
    """Print the answer to each text, or its error in its place, which makes the command fail.

    As they come: of the texts only those are kept that have no answer yet.
    """
    bad = 0
    table: Table | None = None
    with session.client() as client:
        if isinstance(texts, Sequence):
            client.limits()  # fails soon where no server is; a file waits for one
        kept: deque[str] = deque()
        for index, answer in enumerate(ask(client, _keeping(texts, kept))):
            text = kept.popleft()
            place = _place(index, text, with_text)
            is_bad = isinstance(answer, InvalidRequestError)
            if is_bad:
                bad += 1
                _print_error(session, _problem(texts, index, answer), place)
            elif session.as_json:
                _print_json({**place, **facts(answer)})
            if not session.as_json:
                table = table or Table(titles, () if is_bad else widths(answer))
                row = ("error", *[""] * (len(titles) - 2)) if is_bad else cells(answer)
                table.add(*row, text)
    if bad:
        raise SystemExit(1)


def _prediction(answer: Prediction) -> dict[str, Any]:
    facts = dataclasses.asdict(answer)
    facts["probability"] = _shortest(answer.probability)
    for score in facts["scores"]:
        score["probability"] = _shortest(score["probability"])
    facts["logits"] = [_shortest(logit) for logit in answer.logits]
    if not answer.logits:  # not asked for
        del facts["logits"]
    del facts["timings"]
    return facts


def _prediction_cells(answer: Prediction) -> Sequence[str]:
    usage, chosen = answer.usage, [score for score in answer.scores if score.chosen]
    return (
        ", ".join(answer.chosen) or "none",
        ", ".join(f"{score.probability:.4f}" for score in chosen),
        str(usage.token_count),
        str(usage.out_of_vocabulary_count),
        str(usage.truncated_token_count),
    )


def _print_tokens(read: Sequence[Token], vectors: Vectors, unknown: Sequence[Token]) -> None:
    """Print the tokens that the model reads, and the words that it does not know, in order."""
    unread = [(token, "") for token in unknown if not token.id]
    vectored = [(token, _few(vector)) for token, vector in zip(read, vectors, strict=True)]
    rows = [
        (
            str(token.id) if token.id else "",
            token.text,
            str(token.start),
            str(token.end),
            "unknown" if token.out_of_vocabulary else "",
            few,
        )
        for token, few in sorted(vectored + unread, key=lambda item: item[0].start)
    ]
    print_table(("id", "token", "start", "end", "", "vector"), rows)


def _print_model(session: Session, facts: results.Model) -> None:
    found = dataclasses.asdict(facts)
    found["thresholds"] = tuple(map(_shortest, facts.thresholds))
    if session.as_json:
        _print_json(found)
        return
    print_table(("", ""), [(name, _shown(value)) for name, value in found.items()], folds=True)
    lacks = [words for name, words in _CAPABILITIES.items() if name not in facts.capabilities]
    if lacks:
        click.echo(f"It has no {' and no '.join(lacks)}; asking for what it lacks is an error.")
    if "cleaning" in facts.capabilities:
        click.echo("It cleans texts itself, as the texts were that it learned from.")
    if facts.cleaned_by_caller:
        click.echo("Send it cleaned texts: cleaned as those were that it learned from.")


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {item!r}" for key, item in value.items())
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _place(index: int, text: str, with_text: bool) -> dict[str, Any]:
    """Return what a JSON object says of its text."""
    return {"index": index, "text": text} if with_text else {"index": index}


def _print_error(session: Session, message: str, place: dict[str, Any]) -> None:
    """Say what is wrong with one text; in JSON also in the place of its answer."""
    click.echo(f"sentido: {message}", err=True)
    if session.as_json:
        _print_json({**place, "error": message})


def _print_json(facts: Any) -> None:
    line = json.dumps(facts, ensure_ascii=not is_utf8())
    try:
        line.encode()
    except UnicodeEncodeError:  # of a text that is not valid Unicode
        line = json.dumps(facts)
    click.echo(line)


def _numbers(vector: Vectors) -> list[float]:
    return [_shortest(number) for number in vector]


def _shortest(number: float) -> float:
    """Return a float32 as the float of the fewest digits that reads back as the same float32."""
    return float(str(np.float32(number)))


def _few(vector: Vectors) -> str:
    shown = " ".join(f"{number:+.4f}" for number in np.asarray(vector)[:_SHOWN_NUMBERS])
    return shown + (" ..." if len(vector) > _SHOWN_NUMBERS else "")
