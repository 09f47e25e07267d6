"""Labelled rows with a model's answers, window by window, or with those of two models."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sentido_bundle import Bundle
from sentido_score.engines.engine import Scores
from sentido_score.engines.local import LocalEngine
from sentido_score.formats.reader import Reader
from sentido_score.formats.window import Position, Window

from sentido_evaluate.figures.multi_label import MultiLabel
from sentido_evaluate.figures.single import SingleLabel
from sentido_evaluate.truth import Held, Truth


@dataclass(frozen=True)
class Answers:
    """Rows of one window that have a text and labels, and what models say of them."""

    texts: list[str]
    places: list[tuple[Position, int]]  # of each row: where its window begins, and the row in it
    truth: list[Held]
    scores: tuple[Scores, ...]  # by model; all rows of the window that have a text
    kept: NDArray[np.int64]  # which of those these are
    errors: list[tuple[tuple[Position, int], str]]
    end: Position

    def probabilities(self, model: int = 0) -> NDArray[np.float32]:
        """Return what a model says: (rows, labels)."""
        return self.scores[model].probabilities[self.kept]

    def chosen(self, model: int = 0) -> NDArray[np.bool_]:
        """Return which labels a model gives: (rows, labels)."""
        return self.scores[model].chosen[self.kept]

    def has_label(self, model: int = 0) -> NDArray[np.bool_]:
        """Return which labels each text has: (rows, labels)."""
        held = np.zeros((len(self.truth), self.scores[model].probabilities.shape[1]), bool)
        for row, places in zip(held, self.truth, strict=True):
            row[list(places)] = True
        return held

    def renumbered(self, places: Sequence[int]) -> "Answers":
        """Return the rows with labels at other places, as another model numbers them."""
        truth = [frozenset(places[place] for place in held) for held in self.truth]
        return replace(self, truth=truth)


def answers(engines: Sequence[LocalEngine], reader: Reader, truth: Truth) -> Iterator[Answers]:
    """Read the input and let each engine answer, a window at a time."""
    start = Position()
    with ExitStack() as stack:
        streams = [stack.enter_context(closing(_scored(engine, reader))) for engine in engines]
        for together in zip(*streams, strict=True):
            window = together[0][0]
            if window.end.file != start.file:
                start = Position(window.end.file)
            yield _joined(window, start, tuple(scores for _, scores in together), reader, truth)
            start = window.end


def _scored(engine: LocalEngine, reader: Reader) -> Any:
    return engine.scored(reader, Position())


def _joined(
    window: Window, start: Position, scores: tuple[Scores, ...], reader: Reader, truth: Truth
) -> Answers:
    labels = truth.of(reader, window.rows)
    texts, places, held, kept = [], [], [], []
    errors = [((start, row), problem) for row, problem in window.texts.errors.items()]
    refused = {place: problem for each in scores for place, problem in each.errors.items()}
    errors += [((start, window.texts.rows[i]), problem) for i, problem in refused.items()]
    for index, (row, text) in enumerate(zip(window.texts.rows, window.texts.good, strict=True)):
        if index in refused:
            continue
        row_labels = labels[row]
        if isinstance(row_labels, str):
            errors.append(((start, row), row_labels))
            continue
        texts.append(text)
        places.append((start, row))
        held.append(row_labels)
        kept.append(index)
    return Answers(texts, places, held, scores, np.array(kept, np.int64), errors, window.end)


class Counted:
    """Counts one model's answers, whatever its task is. For one run."""

    def __init__(self, bundle: Bundle) -> None:
        manifest = bundle.manifest
        self.labels, self._rules = manifest.labels, manifest.tokenizer
        self.is_single = not bundle.thresholds
        self.figures: SingleLabel | MultiLabel = (
            SingleLabel(self.labels)
            if self.is_single
            else MultiLabel(self.labels, manifest.task.thresholds)
        )

    def add(self, rows: Answers, model: int = 0) -> NDArray[np.bool_]:
        """Count rows; return which were answered rightly."""
        scores, kept = rows.scores[model], rows.kept
        unknown = scores.out_of_vocabulary_counts[kept].astype(np.int64)
        words = (scores.token_counts + scores.truncated_token_counts)[kept].astype(np.int64)
        if self._rules.oov_token is None:  # unknown words are no tokens
            words = words + unknown
        if self._rules.start_id is not None:
            words = np.maximum(words - 1, 0)
        probabilities = rows.probabilities(model)
        if isinstance(self.figures, SingleLabel):
            one = np.array([place for held in rows.truth for place in held], np.int64)
            return self.figures.add(probabilities, one, words, unknown)
        many, said = rows.has_label(model), rows.chosen(model)
        return self.figures.add(probabilities, said, many, words, unknown)
