"""How the ids of several texts become the inputs of a graph, one class for each layout.

A layout answers for its model: `inputs` makes the graph's inputs, `cost` says what a text takes of
a batch, and `most_rows` how many texts one run may have.
"""

from collections.abc import Sequence
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from sentido_bundle.sections import Inputs, Layout, Padding

Ids = NDArray[np.int32]  # (tokens,)
GraphInputs = dict[str, NDArray[np.int32]]


class BatchLayout(Protocol):
    """What makes batches for a model."""

    @property
    def most_rows(self) -> int | None:
        """Texts that one run may have at most; None: any number."""

    def inputs(self, sequences: Sequence[Ids]) -> GraphInputs:
        """Return the inputs of the graph for one run, a row per text."""

    def cost(self, ids: Ids, /) -> int:
        """Return what a text takes of a batch, in tokens with padding: 1 or more."""


class Lengths:
    """Ids are padded on the right to the longest text, and the graph is told each length."""

    most_rows: ClassVar[int | None] = None

    def inputs(self, sequences: Sequence[Ids]) -> GraphInputs:
        """Return token_ids (batch, time) and lengths (batch,)."""
        lengths = np.array([len(ids) for ids in sequences], dtype=np.int32)
        return {"token_ids": pad(sequences), "lengths": lengths}

    def cost(self, ids: Ids, /) -> int:
        """Return the number of its tokens."""
        return len(ids) or 1


class Fixed:
    """Ids are padded to one length, on the side on which the model learned to read padding."""

    most_rows: ClassVar[int | None] = None

    def __init__(self, length: int, padding: Padding) -> None:
        self._length = length
        self._is_left = padding is Padding.PRE

    def inputs(self, sequences: Sequence[Ids]) -> GraphInputs:
        """Return token_ids (batch, length)."""
        batch = np.zeros((len(sequences), self._length), dtype=np.int32)
        for row, ids in zip(batch, sequences, strict=True):
            start = self._length - len(ids) if self._is_left else 0
            row[start : start + len(ids)] = ids
        return {"token_ids": batch}

    def cost(self, _: Ids, /) -> int:
        """Return the one length, whatever the tokens."""
        return self._length


class Alone:
    """Each text is a batch of its own, without padding; an empty one is one id of padding."""

    most_rows: ClassVar[int | None] = 1

    def inputs(self, sequences: Sequence[Ids]) -> GraphInputs:
        """Return token_ids (1, time)."""
        return {"token_ids": pad(sequences)}

    def cost(self, ids: Ids, /) -> int:
        """Return the number of its tokens."""
        return len(ids) or 1


def layout_of(inputs: Inputs) -> BatchLayout:
    """Return what makes batches as the manifest says."""
    if inputs.layout is Layout.LENGTHS:
        return Lengths()
    if inputs.padding is not None:
        return Fixed(inputs.length, inputs.padding)
    return Alone()


def pad(sequences: Sequence[Ids]) -> NDArray[np.int32]:
    """Put ids into one array, padded with 0 on the right: (batch, time), time at least 1."""
    time = max(1, max(len(ids) for ids in sequences))
    batch = np.zeros((len(sequences), time), dtype=np.int32)
    for row, ids in zip(batch, sequences, strict=True):
        row[: len(ids)] = ids
    return batch
