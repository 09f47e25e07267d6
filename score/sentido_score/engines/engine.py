"""What an engine is: it turns windows into scores, in order. Three of them, one result."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sentido_score.formats.reader import Reader
from sentido_score.formats.window import Position, Window


@dataclass(frozen=True)
class Model:
    """What is known of the model that scores."""

    name: str
    version: str
    digest: str  # of its bundle
    labels: tuple[str, ...]
    precision: str
    task: str  # "single" or "multi_label"

    @property
    def has_many_labels(self) -> bool:
        """Whether any number of labels can hold at once, so that each has a probability to tell."""
        return self.task == "multi_label"


@dataclass(frozen=True)
class Scores:
    """What an engine says of a window's good texts, a row a text."""

    probabilities: NDArray[np.float32]  # (texts, labels)
    chosen: NDArray[np.bool_]  # (texts, labels)
    token_counts: NDArray[np.int32]  # (texts,)
    truncated_token_counts: NDArray[np.int32]  # (texts,)
    out_of_vocabulary_counts: NDArray[np.int32]  # (texts,)
    vectors: NDArray[np.float32] | None  # (texts, dimension); None: not asked for, or missing
    errors: dict[int, str]  # by text: what was refused; its row above means nothing


class Engine(Protocol):
    """Lives until it is closed."""

    name: str
    model: Model
    dimension: int | None  # of the vectors; None: not asked for, or the model has none of them

    def scored(self, reader: Reader, start: Position) -> Iterator[tuple[Window, Scores]]:
        """Read the input from `start` and score it, in order. Raises ScoreError."""

    def close(self) -> None:
        """Let go of what it holds."""
