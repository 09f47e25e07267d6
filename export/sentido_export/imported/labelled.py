"""Labelled texts of the user's own, on which a model that was trained elsewhere is evaluated.

They are checked before TensorFlow starts: a row that cannot be used ends the export and is named.
The texts of a table are not held in memory, but read again by each step that needs them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
from numpy.typing import NDArray
from sentido_bundle import Bundle, Task, TaskKind
from sentido_evaluate import Columns, EvaluateError
from sentido_evaluate.stored import best_thresholds
from sentido_evaluate.truth import Held, Truth
from sentido_score.callbacks import Say, quiet
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


Row = tuple[str, Held]


@dataclass(frozen=True)
class Labelled:
    """Texts, which may be gone through several times, and the places of each one's labels."""

    texts: Iterable[str]
    truth: Sequence[Held]

    def having(self, label: int) -> int:
        """Return how many texts have a label."""
        return sum(label in held for held in self.truth)

    def part(self, chosen: NDArray[np.bool_]) -> "Labelled":
        """Return some of the texts; `chosen`: whether each is one of them."""
        flags = chosen.tolist()
        return Labelled(_Part(self.texts, flags), [*compress(self.truth, flags)])


@dataclass(frozen=True)
class _Part:
    texts: Iterable[str]
    chosen: Sequence[bool]

    def __iter__(self) -> Iterator[str]:
        return compress(self.texts, self.chosen)


@dataclass(frozen=True)
class _ReadAgain:
    """The texts of a table, from its file each time, which the readers hold to be unchanged."""

    rows: Callable[[], Iterable[Row]]

    def __iter__(self) -> Iterator[str]:
        try:
            for text, _ in self.rows():
                yield text
        except ScoreError as error:
            raise ExportError(f"--data: {error}") from error


def read_labelled(
    options: OwnModelOptions, labels: Sequence[str], kind: TaskKind, say: Say
) -> Labelled | None:
    """Read the texts of --data, None if it was not given. Raises ExportError."""
    if (source := options.data) is None:
        return None
    try:
        columns = Columns(
            options.text_column, options.label_column, options.label_columns, options.renamed
        )
        truth = Truth(columns, labels, many=kind is TaskKind.MULTI_LABEL, hint=_HINT)
        if data.is_table(source, options.input_format):
            labelled = _of_table(_opened(options, truth, say), truth, say)
        else:
            labelled = _of_data_set(data.load(source, say=say), labels, options.renamed)
    except (EvaluateError, ScoreError) as error:
        raise ExportError(f"--data: {error}") from error
    if not any(labelled.truth):
        what = "holds no rows" if not labelled.truth else "no text has a label"
        raise ExportError(f"--data {source}: {what}: there is nothing to evaluate")
    return labelled


def _opened(options: OwnModelOptions, truth: Truth, say: Say) -> Reader:
    table = tables.Table(
        options.data or "",
        options.text_column,
        options.label_column,
        options.delimiter,
        options.input_format,
        label_columns=options.label_columns,
        label_flag=truth.flag,
    )
    return tables.opened(table, say)


def _of_table(reader: Reader, truth: Truth, say: Say) -> Labelled:
    """Read a table once; keep its texts only if they cannot be read again."""
    is_read_once = reader.files[0].place is None  # standard input
    texts, found, alike = list[str](), list[Held](), dict[Held, Held]()
    for text, held in _rows(reader, truth, say):
        found.append(alike.setdefault(held, held))  # one set for all texts with the same labels
        if is_read_once:
            texts.append(text)
    again = _ReadAgain(lambda: _rows(reader, truth, quiet))
    return Labelled(texts if is_read_once else again, found)


def _of_data_set(
    texts: data.Dataset, labels: Sequence[str], renamed: Mapping[str, str]
) -> Labelled:
    names = [renamed.get(name, name) for name in texts.label_names]
    if other := [name for name in names if name not in labels]:
        raise EvaluateError(
            f"the labels {quoted(other, 3)} are none of the model's, {quoted(labels, 5)}: {_HINT}"
        )
    held = [frozenset((labels.index(name),)) for name in names]
    return Labelled(texts.texts, [held[label] for label in texts.labels.tolist()])


def _rows(reader: Reader, truth: Truth, say: Say) -> Iterator[Row]:
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
        return {"chosen": [*self.chosen], "texts": len(self.by.truth)}

    def notes(self, task: Task) -> Iterator[str]:
        """Say what was chosen, and what was not."""
        found = dict(zip(self.labels, task.thresholds, strict=True))
        if self.chosen:
            shown = ", ".join(f"{label} {found[label]:.3g}" for label in self.chosen[:_SHOWN])
            left = len(self.chosen) - _SHOWN
            more = f" and {left:,} more" if left > 0 else ""
            yield (
                f"the thresholds {shown}{more} give the largest F1 on {len(self.by.truth):,} of the"
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
    by, rest = texts.part(halves == 0), texts.part(halves == 1)
    if not (any(by.truth) and any(rest.truth)):
        raise ExportError(
            f"--data {options.data}: {len(texts.truth):,} texts are too few to choose thresholds on"
            " one half and report on the other: give more, or --threshold LABEL=X for each label"
        )
    chosen = [label for label in open_ones if by.having(labels.index(label)) >= _FEW]
    kept = [label for label in open_ones if label not in chosen]
    return Thresholds(labels, task, chosen, kept, by), rest
