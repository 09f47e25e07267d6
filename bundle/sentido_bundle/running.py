"""A bundle's graphs, open and ready to run.

Each answers for itself: `cost` says what a text takes of a batch, `inputs` makes what the graph
reads, and `run` returns its outputs by name, a row per text.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sentido_bundle.batches import MOST_ROWS
from sentido_bundle.layouts import BatchLayout, GraphInputs, Ids
from sentido_bundle.session import OpenGraph

Arrays = dict[str, NDArray[np.float32]]
Rows = Mapping[str, NDArray[np.float32] | list[NDArray[np.float32]]]


class RunnableGraph(Protocol):
    """Whatever gives named outputs for a batch of texts."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of what it gives."""

    @property
    def runs_alone(self) -> bool:
        """Whether each text is run by itself, so that a batch of several saves nothing."""

    def cost(self, ids: Ids, /) -> int:
        """Return what a text takes of a batch, in tokens with padding: 1 or more."""

    def run(self, sequences: Sequence[Ids], /) -> Rows:
        """Return each output by its name, a row per text. There is one text at least."""


class TextGraph:
    """Gives vectors of one size for each text: probabilities, and what else the model can do.

    Immutable, safe to use from any thread.
    """

    def __init__(
        self, graph: OpenGraph, outputs: Sequence[str], layout: BatchLayout, length: int
    ) -> None:
        """`length`: tokens that a text may have."""
        self.outputs = tuple(outputs)
        self._always_fit = graph.rows(length, MOST_ROWS)  # texts of any length
        self.cost = layout.cost
        self.runs_alone = layout.most_rows == 1
        self._graph = graph
        self._layout = layout

    def multiplications(self, tokens: int) -> int:
        """Return how many multiplications a text of so many tokens takes."""
        return self._graph.cost.multiplications(1, max(1, tokens))

    def inputs(self, sequences: Sequence[Ids]) -> list[GraphInputs]:
        """Return the inputs of the runs that a batch takes: of one, unless that takes too much."""
        most = self._layout.most_rows or len(sequences)
        if most > self._always_fit:
            most = self._graph.rows(max(map(self.cost, sequences)), most)
        return [
            self._layout.inputs(sequences[i : i + most]) for i in range(0, len(sequences), most)
        ]

    def compute(self, inputs: Sequence[GraphInputs]) -> Arrays:
        """Run the graph on the inputs of a batch."""
        found = [self._graph.run(self.outputs, each) for each in inputs]
        arrays = found[0] if len(found) == 1 else map(np.concatenate, zip(*found, strict=True))
        return dict(zip(self.outputs, arrays, strict=True))

    def run(self, sequences: Sequence[Ids], /) -> Arrays:
        """Return each output, (texts, size)."""
        return self.compute(self.inputs(sequences))


class TokenGraph:
    """Gives a vector for each token that the model reads; runs each text by itself.

    Immutable, safe to use from any thread.
    """

    def __init__(self, graph: OpenGraph, output: str, layout: BatchLayout) -> None:
        self.outputs = (output,)
        self.cost = layout.cost
        self.runs_alone = True
        self._graph = graph
        self._layout = layout

    def run(self, sequences: Sequence[Ids], /) -> Rows:
        """Return the output: for each text (tokens, size)."""
        (output,) = self.outputs
        return {output: [self._vectors(ids) for ids in sequences]}

    def _vectors(self, ids: Ids) -> NDArray[np.float32]:
        (padded,) = self._graph.run(self.outputs, self._layout.inputs([ids]))
        vectors: NDArray[np.float32] = padded[0, : len(ids)]
        return vectors
