"""Labelled texts of the user's own, on which a model that was trained elsewhere is evaluated.

They are checked before TensorFlow starts: a row that cannot be used ends the export and is named.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sentido_bundle import Bundle, Task, TaskKind
from sentido_evaluate import Columns, EvaluateError
from sentido_evaluate.stored import best_thresholds
from sentido_evaluate.truth import Held, Truth
from sentido_score.callbacks import Say
from sentido_score.errors import ScoreError
from sentido_score.files.names import quoted
from sentido_score.formats.reader import Reader

from sentido_export import data, tables
from sentido_export.errors import ExportError
from sentido_export.imported.options import OwnModelOptions
from sentido_export.split import folds, groups

_FEW = 5  # texts with a label, by which no threshold is chosen
_SHOWN = 10  # labels in a message
_HINT = "--rename NAME=LABEL says which it is, or --labels names the model's otherwise"


@dataclass(frozen=True)
class Labelled:
    """Texts, and the places of each one's labels among the model's."""

    texts: Sequence[str]
    truth: Sequence[Held]

    def having(self, label: int) -> int:
        """Return how many texts have a label."""
        return sum(label in held for held in self.truth)


def read_labelled(
    options: OwnModelOptions, labels: Sequence[str], kind: TaskKind, say: Say
) -> Labelled | None:
    """Read the texts of --data, None if it was not given. Raises ExportError."""
    if options.data is None:
        return None
    try:
        columns = Columns(
            options.text_column, options.label_column, options.label_columns, options.renamed
        )
        many = kind is TaskKind.MULTI_LABEL
        truth = Truth(columns, labels, many=many, hint=_HINT)
        rows = list(_rows(options, truth, labels, say))
    except (EvaluateError, ScoreError) as error:
        raise ExportError(f"--data: {error}") from error
    texts, held = [text for text, _ in rows], [places for _, places in rows]
    if not any(held):
        what = "holds no rows" if not texts else "no text has a label"
        raise ExportError(f"--data {options.data}: {what}: there is nothing to evaluate")
    return Labelled(texts, held)


def _rows(
    options: OwnModelOptions, truth: Truth, labels: Sequence[str], say: Say
) -> Iterable[tuple[str, Held]]:
    source = options.data or ""
    if not data.is_table(source, options.input_format):
        return _of_data_set(data.load(source, say=say), labels, options.renamed)
    table = tables.Table(
        source,
        options.text_column,
        options.label_column,
        options.delimiter,
        options.input_format,
        label_columns=options.label_columns,
        label_flag=truth.flag,
    )
    return _of_table(tables.opened(table, say), truth, say)


def _of_data_set(
    texts: data.Dataset, labels: Sequence[str], renamed: Mapping[str, str]
) -> Iterator[tuple[str, Held]]:
    names = [renamed.get(name, name) for name in texts.label_names]
    if other := [name for name in names if name not in labels]:
        raise EvaluateError(
            f"the labels {quoted(other, 3)} are none of the model's, {quoted(labels, 5)}: {_HINT}"
        )
    places = [labels.index(name) for name in names]
    for text, label in zip(texts.texts, texts.labels.tolist(), strict=True):
        yield text, frozenset((places[label],))


def _of_table(reader: Reader, truth: Truth, say: Say) -> Iterator[tuple[str, Held]]:
    for window, start in tables.windows(reader, say):
        labels, problems = truth.of(reader, window.rows), dict(window.texts.errors)
        for row, held in enumerate(labels):
            if isinstance(held, str):
                problems.setdefault(row, held)
        if problems:
            raise tables.row_error(reader, start, row := min(problems), problems[row])
        for row, text in zip(window.texts.rows, window.texts.good, strict=True):
            held = labels[row]
            assert not isinstance(held, str)
            yield text, held


@dataclass(frozen=True)
class Thresholds:
    """How the thresholds of a `multi_label` model are found: those that are given stay."""

    labels: Sequence[str]
    task: Task  # with those that were given, and 0.5
    chosen: Sequence[str]  # labels whose thresholds are chosen
    kept: Sequence[str]  # labels that too few texts have
    by: Labelled

    def facts(self) -> dict[str, object]:
        """Return what an evaluation says of it."""
        return {"chosen": [*self.chosen], "texts": len(self.by.texts)}

    def notes(self, task: Task) -> Iterator[str]:
        """Say what was chosen, and what was not."""
        found = dict(zip(self.labels, task.thresholds, strict=True))
        if self.chosen:
            shown = ", ".join(f"{label} {found[label]:.3g}" for label in self.chosen[:_SHOWN])
            left = len(self.chosen) - _SHOWN
            more = f" and {left:,} more" if left > 0 else ""
            yield (
                f"the thresholds {shown}{more} give the largest F1 on {len(self.by.texts):,} of the"
                " texts; the figures are those of the others"
            )
        for label in self.kept[:_SHOWN]:
            yield (
                f"the threshold of {label} stays 0.5: fewer than {_FEW} texts to choose it by have"
                f" that label (--threshold {label}=X)"
            )

    def choose(self, bundle: Bundle) -> Task:
        """Return the task with thresholds that give the largest F1 on the texts."""
        best = best_thresholds(bundle, self.by.texts, self.by.truth)
        found = dict(zip(self.labels, best, strict=True))
        before = zip(self.labels, self.task.thresholds, strict=True)
        kept = [found[one] if one in self.chosen else old for one, old in before]
        return Task(TaskKind.MULTI_LABEL, tuple(0.5 if one is None else one for one in kept))


def thresholds_for(
    options: OwnModelOptions, labels: Sequence[str], task: Task, texts: Labelled, say: Say
) -> tuple[Thresholds | None, Labelled]:
    """Return how to choose thresholds, None if there are none to choose, and what is left.

    They are chosen on one half of the texts, and figures are those of the other half. Texts that
    are nearly equal are in one half. Raises ExportError if a half has no labels.
    """
    open_ones = [label for label in labels if label not in options.thresholds]
    if task.kind is not TaskKind.MULTI_LABEL or not open_ones:
        return None, texts
    halves = folds(groups(texts.texts, say), 2, seed=0)
    by, rest = (_part(texts, np.flatnonzero(halves == half).tolist()) for half in range(2))
    if not (any(by.truth) and any(rest.truth)):
        raise ExportError(
            f"--data {options.data}: {len(texts.texts):,} texts are too few to choose thresholds on"
            " one half and report on the other: give more, or --threshold LABEL=X for each label"
        )
    chosen = [label for label in open_ones if by.having(labels.index(label)) >= _FEW]
    kept = [label for label in open_ones if label not in chosen]
    return Thresholds(labels, task, chosen, kept, by), rest


def _part(texts: Labelled, rows: Sequence[int]) -> Labelled:
    return Labelled([texts.texts[row] for row in rows], [texts.truth[row] for row in rows])
