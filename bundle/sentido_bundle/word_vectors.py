"""The vectors of words: rows of a model's embedding matrix, their means and their neighbours."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Neighbour:
    """A word near another one."""

    id: int
    text: str
    similarity: float  # cosine, -1 to 1


class WordVectors:
    """A row for each id of a vocabulary. Immutable; every method is safe from any thread."""

    def __init__(self, matrix: NDArray[np.float32], vocabulary: Sequence[str | None]) -> None:
        """Take the rows, (ids, size), and the word of each id, None for one without."""
        self.matrix = matrix
        self._vocabulary = vocabulary

    @property
    def size(self) -> int:
        """Elements of a vector."""
        return int(self.matrix.shape[1])

    def rows(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the row of each token: (tokens,) -> (tokens, size)."""
        return self.matrix[ids]

    def mean(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the mean of the tokens' rows: (tokens,) -> (size,); zeros for no tokens."""
        if len(ids) == 0:
            return np.zeros(self.size, np.float32)
        mean: NDArray[np.float32] = self.matrix[ids].mean(axis=0, dtype=np.float32)
        return mean

    def nearest(self, id: int, limit: int) -> list[Neighbour]:
        """Return the words nearest to a word by cosine similarity, without the word itself.

        Ids without a word, padding among them, are left out.
        """
        similarities = self._unit_rows @ self._unit_rows[id]  # (ids,)
        similarities[self._wordless] = similarities[id] = -np.inf
        others = len(similarities) - len(self._wordless) - 1
        best = np.argsort(-similarities, kind="stable")  # of equals the lower id first
        found = []
        for i in best[: max(0, min(limit, others))].tolist():
            text = self._vocabulary[i]
            assert text is not None
            found.append(Neighbour(i, text, min(1.0, float(similarities[i]))))
        return found

    @cached_property
    def _unit_rows(self) -> NDArray[np.float32]:
        return normalize(self.matrix)

    @cached_property
    def _wordless(self) -> NDArray[np.intp]:
        return np.flatnonzero([word is None for word in self._vocabulary])


def normalize(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Divide each vector (the last axis) by its Euclidean length; zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: NDArray[np.float32] = np.divide(
        vectors, np.where(lengths == 0, 1, lengths), dtype=np.float32
    )
    return unit
