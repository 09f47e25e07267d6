"""The command `sentido-evaluate`: flags, and errors as one sentence.

Exit codes: 0 all rows were evaluated; 1 it could not go on; 2 a bad flag; 3 some rows have errors;
4 more answers flip than --max-flips allows; 130 interrupted.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from sentido_bundle.command_line import Parser, add_precision_flag, flushed, options_of
from sentido_bundle.errors import reason
from sentido_score.errors import ScoreError, escaped
from sentido_score.formats.flags import add_table_flags
from sentido_score.progress import Progress

from sentido_evaluate.behaviour.suite import read_suite, shipped
from sentido_evaluate.errors import EvaluateError
from sentido_evaluate.evaluation import Asked, evaluate
from sentido_evaluate.flags import add_label_flags
from sentido_evaluate.page.render import render_page
from sentido_evaluate.page.writing import write_page
from sentido_evaluate.table import show
from sentido_evaluate.truth import Columns

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
and are left out; 4 more answers flip than --max-flips allows; 130 interrupted"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.max_flips is not None and arguments.compare is None:
        parser.error("--max-flips needs --compare")
    progress = Progress(sys.stderr)
    try:
        asked = _asked(arguments)
        if arguments.report is not None:
            _check_report(arguments.report)
        evaluation = evaluate(asked, watch=progress, say=_tell)
        progress.end()
        if arguments.report is not None:
            write_page(arguments.report, render_page(evaluation))
        _print(evaluation, as_json=arguments.json or not sys.stdout.isatty())
        if not flushed():
            return 1
        return _code(evaluation, arguments.max_flips)
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


def _tell(message: str) -> None:
    """Say something to people, if anybody listens."""
    with suppress(OSError):
        print(f"sentido-evaluate: {escaped(message)}", file=sys.stderr)


def _asked(arguments: argparse.Namespace) -> Asked:
    return options_of(
        Asked,
        arguments,
        source=arguments.source or None,
        columns=Columns(
            text=arguments.text_column,
            label=arguments.label_column,
            labels=arguments.label_columns,
            renamed=arguments.rename,
        ),
        suites=[read_suite(name) for name in arguments.checks],
    )


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


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="sentido-evaluate", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument(
        "--version", action="version", version=f"%(prog)s {version('sentido-evaluate')}"
    )
    data = parser.add_argument_group("labelled texts")
    data.add_argument(
        "source",
        nargs="*",
        help="files, globs, folders or URIs, as sentido-score reads them; none: checks alone, or"
        " the evaluation that the bundle brings",
    )
    add_table_flags(data)
    data.add_argument(
        "--label-column",
        default="label",
        metavar="NAME",
        help="default: label; of models that give several labels also a list of them",
    )
    add_label_flags(data, "data, or of the checks")
    model = parser.add_argument_group("model")
    model.add_argument("--bundle", metavar="DIR", help="the model (default: the shipped one)")
    add_precision_flag(model)
    model.add_argument(
        "--compare", metavar="DIR", help="another bundle: which answers would it change?"
    )
    model.add_argument(
        "--max-flips",
        type=_share,
        metavar="SHARE",
        help="with --compare: exit with 4 if more answers flip, such as 1%% or 0.01",
    )
    model.add_argument(
        "--checks",
        action="append",
        default=[],
        metavar="FILE",
        help=f"checks of behaviour: a TOML file, or one that is shipped ({', '.join(shipped())});"
        " may be repeated",
    )
    result = parser.add_argument_group("result")
    result.add_argument(
        "--report", type=Path, metavar="FILE", help="a page to look at, one .html file"
    )
    result.add_argument(
        "--texts",
        action="store_true",
        help="let page and JSON hold texts: the surest mistakes, and examples of failed checks",
    )
    result.add_argument(
        "--json", action="store_true", help="print JSON on a terminal, too (in a pipe it is so)"
    )
    return parser


def _share(text: str) -> float:
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if value == 1 and not text.endswith("%"):
        raise argparse.ArgumentTypeError(f"{text!r:.40} may be meant as 1% or as 100%: write which")
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r:.40} is not a share such as 1% or 0.01")
    return value
