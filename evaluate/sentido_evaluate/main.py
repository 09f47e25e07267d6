"""The command `sentido-evaluate`: flags, and errors as one sentence.

Exit codes: 0 all rows were evaluated; 1 it could not go on; 2 a bad flag; 3 some rows have errors;
4 more answers flip than --max-flips allows; 130 interrupted, 143 terminated.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from sentido_bundle.command_line import Parser, flushed
from sentido_bundle.errors import reason
from sentido_bundle.settings import declared, made, parse, setting
from sentido_score.errors import ScoreError, escaped
from sentido_score.progress import Progress

from sentido_evaluate.behaviour.suite import read_suite, shipped
from sentido_evaluate.errors import EvaluateError
from sentido_evaluate.evaluation import Asked, evaluate
from sentido_evaluate.page.render import render_page
from sentido_evaluate.page.writing import write_page
from sentido_evaluate.table import show

_DESCRIPTION = """\
Show how good a model is on labelled texts: accuracy beside what guessing would reach, figures of
each label, whether its probabilities can be believed, which texts are hard, and how it behaves in
checks."""

_EPILOG = """\
examples:
  sentido-evaluate labelled.csv --label-column sentiment --report page.html
  sentido-evaluate labelled.csv --checks film-reviews --json > evaluation.json
  sentido-evaluate labelled.csv --bundle new/ --compare old/ --max-flips 1%
  sentido-evaluate labelled.csv --rename 0=negative --rename 1=positive

exit codes: 0 every row was evaluated; 1 it could not go on; 2 a bad flag; 3 some rows have errors
and are left out; 4 more answers flip than --max-flips allows; 130 interrupted,
143 terminated"""


_OF_TEXTS = ("text", "label", "labels", "delimiter", "input_format", "compare")
_OF_ANSWERS = ("renamed", "texts", "precision")  # to texts or checks


def _share(text: str) -> float:
    try:
        number = text.encode("ascii").removesuffix(b"%")
        value = float(number) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if value == 1 and not text.endswith("%"):
        raise ValueError(f"{text!r:.40} may be meant as 1% or as 100%: write which")
    if not 0 <= value <= 1:
        raise ValueError(f"{text!r:.40} is not a share such as 1% or 0.01")
    return value


@dataclass(frozen=True)
class _Command:
    """What the command is asked for besides what is to be evaluated."""

    max_flips: float | None = setting(
        None,
        "with --compare: exit with 4 if more answers flip, such as 1% or 0.01",
        read=_share,
        metavar="SHARE",
        group="model",
    )
    checks: tuple[str, ...] = setting(
        (),
        "checks of behaviour, may be repeated: a TOML file, or one that is shipped",
        metavar="FILE",
    )
    report: Path | None = setting(
        None, "a page to look at, one .html file", metavar="FILE", group="result"
    )
    json: bool = setting(False, "print JSON on a terminal, too (in a pipe it is so)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = Parser(prog="sentido-evaluate", description=_DESCRIPTION, epilog=_EPILOG)
    values = parse(parser, argv, Asked, _Command, notes={"checks": ", ".join(shipped())})
    command = made(_Command, values)
    if command.max_flips is not None and "compare" not in values:
        parser.error("--max-flips needs --compare")
    _refuse_idle(parser, values)
    progress = Progress(sys.stderr)
    try:
        asked = made(Asked, values, suites=[read_suite(name) for name in command.checks])
        if command.report is not None:
            _check_report(command.report)
        evaluation = evaluate(asked, watch=progress, say=_tell)
        progress.end()
        if command.report is not None:
            write_page(command.report, render_page(evaluation))
        _print(evaluation, as_json=command.json or not sys.stdout.isatty())
        if not flushed():
            return 1
        return _code(evaluation, command.max_flips)
    except BrokenPipeError:  # whoever read what is printed has gone
        flushed()
        return 1
    except (EvaluateError, ScoreError) as error:
        progress.end()
        _tell(str(error))
        return 1
    except OSError as error:
        progress.end()
        where = f"{error.filename}: " if error.filename else ""
        _tell(f"{where}{reason(error)}")
        return 1
    except MemoryError:
        progress.end()
        _tell("not enough memory")
        return 1


def _refuse_idle(parser: Parser, values: Mapping[str, Any]) -> None:
    """Exit with 2 for a flag that would do nothing without texts, or without checks either."""
    for one in declared(Asked):
        if one.name not in values or "source" in values:
            continue
        if one.name in _OF_TEXTS:
            parser.error(f"{one.flag} is of labelled texts, and none were given")
        if one.name in _OF_ANSWERS and "checks" not in values and values[one.name] != one.default:
            parser.error(
                f"{one.flag} is of labelled texts or --checks, and neither was given: what the"
                " bundle brings is shown as it is, figures of fp32"
            )


def _tell(message: str) -> None:
    """Say something to people, if anybody listens."""
    with suppress(OSError):
        print(f"sentido-evaluate: {escaped(message)}", file=sys.stderr)


def _print(evaluation: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(evaluation, indent=2, allow_nan=False))
    else:
        show(evaluation, Console())


def _code(evaluation: dict[str, Any], max_flips: float | None) -> int:
    if max_flips is not None:
        flips = evaluation["comparison"]["flips"]
        if flips["share"] > max_flips:
            _tell(f"{flips['rows']:,} answers flip ({flips['share']:.2%}), over {max_flips:.2%}")
            return 4
    return 3 if evaluation.get("rows", {}).get("errors") else 0


def _check_report(path: Path) -> None:
    """Raise EvaluateError if a page cannot be written there: before hours of work, not after."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise EvaluateError(f"--report {path}: its name must end in .html, so that no data is lost")
    if not path.parent.is_dir():
        raise EvaluateError(f"--report {path}: the folder {path.parent} does not exist")
    if path.is_dir():
        raise EvaluateError(f"--report {path}: is a folder")
    if not os.access(path.parent, os.W_OK):
        raise EvaluateError(f"--report {path}: the folder {path.parent} cannot be written to")
