"""The command `sentido-score`: flags, progress, and errors as one sentence.

Exit codes: 0 all rows were scored; 1 the run could not go on; 2 a bad flag; 3 the output is
finished, some rows have errors; 130 interrupted, 143 terminated.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

from sentido_bundle.command_line import Parser
from sentido_bundle.settings import declared, made, parse, setting

from sentido_score.errors import ScoreError, escaped
from sentido_score.files.locations import STANDARD
from sentido_score.files.names import shown
from sentido_score.options import Options, Servers
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
3 the output is finished, but some rows have an error in their place; 130 interrupted,
143 terminated"""


_ENGINES_OF: Mapping[str, Sequence[str]] = {
    **dict.fromkeys((one.name for one in declared(Servers)), ("remote",)),
    **dict.fromkeys(("bundle", "max_run_bytes", "max_run_multiplications"), ("local", "ray")),
    "ray_address": ("ray",),
}
"""The engines that settings are of, where they are not of all."""


@dataclass(frozen=True, kw_only=True)
class _Command:
    """What the command is asked for, in the order of --help: the arguments of `score`."""

    source: tuple[str, ...] = setting(
        text="files, globs, folders or URIs; - for standard input",
        positional=True,
        words="+",
        group="input",
    )
    out: str = setting(
        text="a file, a folder (ending in /) of part files, or - for standard output",
        required=True,
        once=True,
        group="output",
    )
    engine: str = setting("local", choices=ENGINES, group="engine")
    bundle: str | None = setting(
        None, "the model, of local and ray (default: the shipped one)", once=True, metavar="DIR"
    )
    options: Options
    make_folders: bool = setting(False, "make the folders that the output lies in", group="output")
    overwrite: bool = setting(False, "replace an output that exists")
    resume: bool = setting(
        False, "go on after a crash; start if nothing was begun, end if all is finished"
    )
    max_errors: int | None = setting(None, "stop at more rows with errors than this", most=None)
    servers: Servers
    ray_address: str | None = setting(None, "of ray: a cluster's (default: this machine)")

    @classmethod
    def of(cls, argv: Sequence[str] | None) -> Self:
        """Read the flags, and the variables that say where servers are. Raises ScoreError."""
        parser = Parser(prog="sentido-score", description=_DESCRIPTION, epilog=_EPILOG)
        values = parse(parser, argv, cls)
        engine = values.get("engine", cls.engine)
        _refuse_others(parser, values, engine)
        if engine == "remote":
            with suppress(ImportError):  # the engine says what it needs
                from sentido_client.environment import with_environment

                try:
                    values = with_environment(values)
                except ValueError as error:
                    raise ScoreError(str(error)) from error
        return made(cls, values)


def _refuse_others(parser: Parser, values: Mapping[str, Any], engine: str) -> None:
    """Exit with 2 for a flag of another engine: else another model than it names scores."""
    for one in declared(_Command):
        engines = _ENGINES_OF.get(one.name, ENGINES)
        if one.name in values and engine not in engines:
            parser.error(f"{one.flag} is of --engine {' or '.join(engines)}, not of {engine}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    # gRPC reads this when it is imported: its own lines are no use beside ours.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        command = _Command.of(argv)
    except ScoreError as error:
        _tell(str(error))
        return 1
    if command.ray_address is not None:  # Ray tries so often to reach a cluster, each second
        os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "4")
    progress, interrupt = Progress(sys.stderr), Interrupt()
    try:
        report = score(**vars(command), watch=progress, say=_tell)
        leave_at_once()
        progress.end()
        _sum_up(report, command.out)
        return 0 if report.errors == 0 else 3
    except KeyboardInterrupt:
        progress.end()
        _tell(f"{interrupt.word}{_again(command)}")
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


def _again(command: _Command) -> str:
    if command.out == STANDARD or command.source == (STANDARD,):
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
