"""An evaluation from beginning to end: read, answer, count, sum up.

    labelled rows -> engine -> counts -> figures

What it gives is a plain dictionary, which is what the JSON holds and the page is drawn from.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from sentido_bundle import default_bundle
from sentido_bundle.settings import like, setting
from sentido_score.callbacks import Say, quiet
from sentido_score.engines.local import LocalEngine
from sentido_score.files.locations import STANDARD
from sentido_score.format_names import TABLES
from sentido_score.formats.opening import Source, open_source
from sentido_score.formats.reader import Reader
from sentido_score.options import Options
from sentido_score.output.results import RunStats

from sentido_evaluate.answers import Answers, Counted, answers
from sentido_evaluate.behaviour.asking import ask
from sentido_evaluate.behaviour.suite import Suite
from sentido_evaluate.comparison import Comparison
from sentido_evaluate.errors import EvaluateError
from sentido_evaluate.model import FORMAT, model_facts
from sentido_evaluate.notes import notes
from sentido_evaluate.problems import Problems, name_of
from sentido_evaluate.stored import read_stored
from sentido_evaluate.truth import Columns, Truth
from sentido_evaluate.worst import Worst

_EXAMPLES = 20
_TEXT = 600  # characters of a text that are shown

Watch = Callable[[RunStats, float | None], None]


@dataclass(frozen=True)
class Asked:
    """What is to be evaluated, and on what."""

    source: Source | None = setting(  # as sentido-score reads it; None: checks, or what is stored
        None,
        "files, globs, folders or URIs, as sentido-score reads them; none: checks alone, or the"
        " evaluation that the bundle brings",
        positional=True,
        words="*",
        group="labelled texts",
    )
    columns: Columns = field(default_factory=Columns)
    delimiter: str = like(Options, "delimiter")
    input_format: str | None = like(
        Options, "input_format", text="default: by the files' names", choices=TABLES
    )
    bundle: str | Path | None = setting(
        None, "the model (default: the shipped one)", once=True, metavar="DIR", group="model"
    )
    precision: str = like(Options, "precision", group="")
    compare: str | Path | None = setting(
        None, "another bundle: which answers would it change?", once=True, metavar="DIR"
    )
    suites: Sequence[Suite] = ()
    texts: bool = setting(
        False,
        "let page and JSON hold texts: the surest mistakes, and examples of failed checks",
        group="result",
    )


def evaluate(asked: Asked, *, watch: Watch = quiet, say: Say = quiet) -> dict[str, Any]:
    """Evaluate a bundle. Raises EvaluateError or ScoreError; see `docs/evaluating.md`."""
    if asked.compare is not None:
        _check_comparison(asked)
    options = _options(asked)
    engine = _engine(asked.bundle, options)
    if asked.source is None and not asked.suites:
        return read_stored(engine.bundle)
    suites = [suite.of(engine.model.labels, asked.columns.renamed) for suite in asked.suites]
    evaluation: dict[str, Any] = {"format": FORMAT, "model": model_facts(engine.bundle)}
    if asked.source is not None:
        evaluation |= _of_rows(asked, engine, options, watch, say)
    evaluation["checks"] = [ask(engine.bundle, suite, texts=asked.texts) for suite in suites]
    return evaluation


def _options(asked: Asked) -> Options:
    return Options(
        text_column=asked.columns.text,
        delimiter=asked.delimiter,
        input_format=asked.input_format,
        columns=asked.columns.names,
        partitions=False,
        precision=asked.precision,
    )


def _engine(bundle: str | Path | None, options: Options) -> LocalEngine:
    return LocalEngine(default_bundle() if bundle is None else bundle, options)


def _of_rows(
    asked: Asked, engine: LocalEngine, options: Options, watch: Watch, say: Say
) -> dict[str, Any]:
    counted = Counted(engine.bundle)
    truth = Truth(asked.columns, engine.model.labels, many=not counted.is_single)
    comparison, engines = None, [engine]
    if asked.compare is not None:
        engines.append(_engine(asked.compare, options))
        comparison = Comparison(*engines)
    assert asked.source is not None
    reader = open_source(asked.source, options, say)
    truth.check(reader)
    run = _Run(reader, counted, comparison, _EXAMPLES if asked.texts else 0, watch)
    if comparison:
        run.other = Counted(engines[1].bundle)
        run.other_truth = [engines[1].model.labels.index(label) for label in counted.labels]
    with closing(answers(engines, reader, truth)) as windows:  # type: ignore[type-var]
        for rows in windows:
            run.add(rows)
    run.say_errors(say)
    return run.figures(texts=asked.texts)


def _check_comparison(asked: Asked) -> None:
    """Raise EvaluateError unless there are texts that two models can read."""
    if asked.source is None:
        raise EvaluateError("--compare needs labelled texts")
    source = asked.source
    listed = [source] if isinstance(source, str | os.PathLike) else source
    if STANDARD in [os.fspath(one) for one in listed]:
        raise EvaluateError("standard input cannot be read twice: --compare needs files")


class _Run:
    """Counts the rows of one evaluation."""

    def __init__(
        self,
        reader: Reader,
        counted: Counted,
        comparison: Comparison | None,
        examples: int,
        watch: Watch,
    ) -> None:
        self._reader, self._counted, self._comparison = reader, counted, comparison
        self.other: Counted | None = None
        self.other_truth: list[int] = []
        self._watch = watch
        self._examples: Worst[dict[str, Any]] = Worst(examples)
        self._rows, self._problems = 0, Problems()

    def add(self, rows: Answers) -> None:
        right = self._counted.add(rows)
        if self._comparison is not None and self.other is not None:
            self._comparison.add(rows, right, self.other.add(rows.renumbered(self.other_truth), 1))
        self._keep(rows, right)
        self._problems.add(rows.errors)
        self._rows += len(rows.texts) + len(rows.errors)
        self._watch(RunStats(self._rows, self._problems.rows), self._reader.share(rows.end))

    def _keep(self, rows: Answers, right: np.ndarray[Any, np.dtype[np.bool_]]) -> None:
        probabilities, chosen = rows.probabilities(), rows.chosen()
        labels = self._counted.labels
        surest = np.where(right, -1.0, probabilities.max(axis=1, initial=0))
        for row in self._examples.wanted(surest).tolist():
            if not right[row]:
                item = {
                    "place": rows.places[row],
                    "text": rows.texts[row],
                    "labels": [labels[place] for place in sorted(rows.truth[row])],
                    "answer": [labels[place] for place in np.flatnonzero(chosen[row])],
                    "probability": float(probabilities[row].max()),
                }
                self._examples.add(float(surest[row]), item)

    def say_errors(self, say: Say) -> None:
        """Say what is wrong with bad rows. Raises EvaluateError if no row is good."""
        said = [*self._problems.sentences(self._reader)]
        if self._problems.rows == self._rows:
            raise EvaluateError(
                f"none of {self._rows:,} rows can be evaluated: {said[0]}"
                if said
                else f"{self._reader.files[0].name}: holds no rows"
            )
        for sentence in said:
            say(sentence)

    def figures(self, *, texts: bool) -> dict[str, Any]:
        errors = self._problems.rows
        counts = {"evaluated": self._rows - errors, "errors": errors}
        figures: dict[str, Any] = {"rows": counts, **self._counted.figures.figures()}
        figures["notes"] = notes(figures)
        if texts:
            figures["examples"] = [self._shown(item) for _, item in self._examples.items()]
        if self._comparison is not None and self.other is not None:
            other = self.other.figures.figures()
            figures["comparison"] = self._comparison.figures() | {
                "accuracy": other["accuracy"],
                "macro_f1": other["macro_f1"],
                "worst": [self._shown(item, texts) for item in self._comparison.worst()],
            }
        return figures

    def _shown(self, item: dict[str, Any], texts: bool = True) -> dict[str, Any]:
        """Return a row as it may be shown: by its place, with its text only if that is asked."""
        text = item["text"] if len(item["text"]) <= _TEXT else item["text"][:_TEXT] + " ..."
        shown = {**item, "place": name_of(self._reader, item["place"])}
        del shown["text"]
        return shown | ({"text": text} if texts else {})
