"""Answers that are computed once, however many steps of an export need them."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Answer = Callable[[Sequence[NDArray[np.int32]]], Mapping[str, NDArray[np.float32]]]
"""Answers ids, (tokens,) each: by the name of the output, (texts, size) each."""


class Remembered:
    """An `Answer` that passes on only ids that it was not asked about before.

    For one export of a model whose weights no longer change.
    """

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._rows: dict[bytes, Mapping[str, NDArray[np.float32]]] = {}

    def __call__(self, sequences: Sequence[NDArray[np.int32]]) -> Mapping[str, NDArray[np.float32]]:
        """Answer ids; there is at least one text."""
        keys = [ids.tobytes() for ids in sequences]
        pairs = zip(keys, sequences, strict=True)
        if new := {key: ids for key, ids in pairs if key not in self._rows}:
            answers = self._answer([*new.values()])
            for row, key in enumerate(new):
                self._rows[key] = {name: rows[row] for name, rows in answers.items()}
        names = self._rows[keys[0]]
        return {name: np.stack([self._rows[key][name] for key in keys]) for name in names}
