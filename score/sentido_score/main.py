"""The command `sentido-score`: flags, progress, and errors as one sentence.

Exit codes: 0 all rows were scored; 1 the run could not go on; 2 a bad flag; 3 the output is
finished, some rows have errors; 130 interrupted, 143 terminated.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version

from sentido_bundle.command_line import Parser, add_precision_flag, options_of

from sentido_score.errors import ScoreError, escaped
from sentido_score.files.locations import STANDARD
from sentido_score.files.names import shown
from sentido_score.format_names import FORMATS, TABLES
from sentido_score.formats.flags import add_table_flags
from sentido_score.options import EMBEDDINGS, Options, Servers, parse_bytes
from sentido_score.output.report import Report
from sentido_score.progress import Progress, duration
from sentido_score.scoring import ENGINES, score
from sentido_score.signals import Interrupt, leave_at_once

_DESCRIPTION = """\
Score whole files: labels, probabilities and vectors beside each text. CSV, TSV, JSON lines,
Parquet or plain text, a file, a glob, a folder or standard input (-); .gz and .zst too; local or
s3://, gs://, whatever pyarrow opens."""

_EPILOG = """\
examples:
  sentido-score reviews.parquet --out scored.parquet
  sentido-score reviews.csv.gz --out scored.parquet --text-column review --embed hidden
  cat texts.txt | sentido-score - --out - --format jsonl
  sentido-score 's3://bucket/in/*.parquet' --out s3://bucket/out/ --resume

exit codes: 0 every row was scored; 1 the run could not go on (--resume goes on); 2 a bad flag;
3 the output is finished, but some rows have an error in their place; 130 interrupted"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    arguments = _parser().parse_args(argv)
    # gRPC reads this when it is imported: its own lines are no use beside ours.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    if arguments.ray_address is not None:  # Ray tries so often to reach a cluster, each second
        os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "4")
    progress, interrupt = Progress(sys.stderr), Interrupt()
    try:
        report = _score(arguments, progress)
        leave_at_once()
        progress.end()
        _sum_up(report, arguments.out)
        return 0 if report.errors == 0 else 3
    except KeyboardInterrupt:
        progress.end()
        _tell(f"{interrupt.word}{_again(arguments)}")
        interrupt.leave()
    except BrokenPipeError:
        leave_at_once()
        sys.stdout = None  # whoever read it has gone
    except Exception as error:
        leave_at_once()
        progress.end()
        _tell(_sentence(error))
    return 1


def _tell(message: str) -> None:
    """Say something to people, if anybody listens."""
    with suppress(OSError):
        print(f"sentido-score: {message}", file=sys.stderr)


def _again(arguments: argparse.Namespace) -> str:
    if arguments.out == STANDARD or arguments.source == [STANDARD]:
        return ""
    return ": what is finished is kept; the same command with --resume goes on"


def _sentence(error: Exception) -> str:
    """Return what to say of an error. Raises it in Python's development mode if it is a fault."""
    if isinstance(error, ScoreError):
        return str(error)
    if sys.flags.dev_mode:
        raise error
    lines = f"{type(error).__name__}: {error}".splitlines()
    return (
        f"unexpected {escaped(lines[0])}: this is a fault of sentido-score, please report it"
        " (PYTHONDEVMODE=1 shows where it is)"
    )


def _score(arguments: argparse.Namespace, progress: Progress) -> Report:
    return score(
        arguments.source,
        arguments.bundle,
        out=arguments.out,
        options=options_of(Options, arguments),
        engine=arguments.engine,
        servers=_servers(arguments),
        ray_address=arguments.ray_address,
        resume=arguments.resume,
        overwrite=arguments.overwrite,
        max_errors=arguments.max_errors,
        make_folders=arguments.make_folders,
        watch=progress,
        say=_tell,
    )


def _servers(arguments: argparse.Namespace) -> Servers:
    """Return where the servers are: by flags, else by variables."""
    names = ("address", "tls_ca", "tls_cert", "tls_key", "token_file")
    given = {name: value for name in names if (value := getattr(arguments, name)) is not None}
    if arguments.engine == "remote":
        with suppress(ImportError):  # the engine says what it needs
            from sentido_client.environment import with_environment

            try:
                given = with_environment(given)
            except ValueError as error:
                raise ScoreError(str(error)) from error
    return Servers(
        model=arguments.model,
        model_version=arguments.model_version,
        insecure_tokens=arguments.insecure_tokens,
        **given,
    )


def _sum_up(report: Report, out: str) -> None:
    """Sum up, to people."""
    if report.was_finished:
        _tell(f"{shown(out)} is finished already")
        return
    if sys.stderr.isatty():
        _tell(
            f"{report.rows:,} rows in {duration(report.seconds)}"
            f" ({report.texts_per_second:,.0f} texts/s), {report.truncated_texts:,} texts cut,"
            f" {report.unknown_words:,} unknown words"
        )
    if report.errors:
        _tell(
            f"{report.errors:,} of {report.rows:,} rows could not be scored: their error says why"
        )


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="sentido-score", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument(
        "--version", action="version", version=f"%(prog)s {version('sentido-score')}"
    )
    given = parser.add_argument_group("input")
    given.add_argument(
        "source", nargs="+", help="files, globs, folders or URIs; - for standard input"
    )
    add_table_flags(
        given,
        FORMATS,
        "by the files' names, of which only those that tell a format are read in a folder; of"
        " standard input, text: one text per line",
    )
    given.add_argument(
        "--no-partitions",
        dest="partitions",
        action="store_false",
        help="make no columns of folders such as year=2023/",
    )
    given.add_argument(
        "--max-text-characters",
        type=int,
        default=Options.max_text_characters,
        metavar="N",
        help=f"a longer text is an error in its row (default: {Options.max_text_characters:,})",
    )

    output = parser.add_argument_group("output")
    output.add_argument(
        "--out",
        required=True,
        help="a file, a folder (ending in /) of part files, or - for standard output",
    )
    output.add_argument(
        "--format", choices=TABLES, help="default: by the output's name, or as the input"
    )
    output.add_argument(
        "--columns",
        type=_names,
        metavar="A,B",
        help="write these of the input's and the results only",
    )
    output.add_argument("--prefix", default="", help="of the results' names")
    output.add_argument(
        "--embed",
        choices=EMBEDDINGS,
        help="add a vector: what enters the last Dense layer, or the mean of the word vectors",
    )
    output.add_argument(
        "--all-probabilities",
        action="store_true",
        help="a column a label, in the place of the likeliest label's probability",
    )
    output.add_argument(
        "--make-folders", action="store_true", help="make the folders that the output lies in"
    )
    output.add_argument("--overwrite", action="store_true", help="replace an output that exists")
    output.add_argument(
        "--resume",
        action="store_true",
        help="go on after a crash; start if nothing was begun, end if all is finished",
    )
    output.add_argument(
        "--part-rows",
        type=int,
        default=Options.part_rows,
        metavar="N",
        help=f"rows after which what is done is safe from a crash (default: {Options.part_rows:,})",
    )
    output.add_argument(
        "--max-errors", type=int, metavar="N", help="stop at more rows with errors than this"
    )

    engine = parser.add_argument_group("engine")
    engine.add_argument(
        "--memory",
        type=_bytes,
        default=Options.memory,
        metavar="SIZE",
        help="what the rows that are held at once may take, beside the process and its model;"
        f" at least 128MiB (default: {Options.memory >> 30}GiB)",
    )
    engine.add_argument("--engine", choices=ENGINES, default="local", help="default: local")
    engine.add_argument(
        "--bundle", metavar="DIR", help="the model, of local and ray (default: the shipped one)"
    )
    add_precision_flag(engine)
    engine.add_argument(
        "--max-run-bytes",
        type=_bytes,
        default=Options.max_run_bytes,
        metavar="SIZE",
        help="what one run of the model's graph may take, of local and ray: as many texts are run"
        f" at once as fit, on each CPU (default: {Options.max_run_bytes >> 20}MiB)",
    )
    engine.add_argument(
        "--max-run-multiplications",
        type=int,
        default=Options.max_run_multiplications,
        metavar="N",
        help=f"likewise (default: {Options.max_run_multiplications})",
    )
    engine.add_argument(
        "--address",
        help="servers, of remote: host:port, or dns:///name:port (default: SENTIDO_ADDRESS or"
        " localhost:50051)",
    )
    engine.add_argument(
        "--model", default="", help="of remote: the model to ask; default: the server's"
    )
    engine.add_argument(
        "--model-version",
        default="",
        metavar="VERSION",
        help="of remote: its version; default: the first that the server has",
    )
    for flag, variable, text in (
        (
            "--tls-ca",
            "SENTIDO_CONNECT_CA",
            "connect over TLS; a PEM file of the authorities to trust",
        ),
        ("--tls-cert", "SENTIDO_CONNECT_CERT", "a PEM file of a certificate to show to the server"),
        ("--tls-key", "SENTIDO_CONNECT_KEY", "a PEM file of that certificate's key"),
        (
            "--token-file",
            "SENTIDO_CONNECT_TOKEN_FILE",
            "a file that holds the bearer token to send",
        ),
    ):
        text = f"of remote: {text} (default: {variable})"
        engine.add_argument(flag, metavar="FILE", help=text)
    engine.add_argument(
        "--insecure-tokens",
        action="store_true",
        help="of remote: send the token over plain text to other machines",
    )
    engine.add_argument(
        "--ray-address",
        metavar="ADDRESS",
        help="of ray: a cluster's (default: this machine)",
    )
    return parser


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def _bytes(text: str) -> int:
    try:
        return parse_bytes(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
