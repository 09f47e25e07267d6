"""How right the answers are to texts of each kind: by length, and by the share of unknown words."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentido_evaluate.figures.binned import wilson

_WORDS = (0, 1, 6, 11, 21, 51, 101, 201, 501, 1001)
_SHARES = (0.0, 1e-9, 0.02, 0.05, 0.1, 0.2, 0.5)


class Slices:
    """Counts rows by their words and unknown words. For one run."""

    def __init__(self) -> None:
        self._by_words = _Slice(_WORDS)
        self._by_share = _Slice(_SHARES)

    def add(
        self, words: NDArray[np.int64], unknown: NDArray[np.int64], right: NDArray[np.bool_]
    ) -> None:
        """Count rows, (rows,) each. A text without words has no share of unknown ones."""
        self._by_words.add(words.astype(np.float64), right)
        some = words > 0
        self._by_share.add(unknown[some] / words[some], right[some])

    def figures(self) -> dict[str, Any]:
        """Return the accuracy of each slice that has rows."""
        return {
            "by_words": self._by_words.figures(whole=True),
            "by_out_of_vocabulary_share": self._by_share.figures(whole=False),
        }


class _Slice:
    def __init__(self, edges: tuple[float, ...]) -> None:
        self._edges = edges
        self._rows = np.zeros(len(edges), np.int64)
        self._right = np.zeros(len(edges), np.int64)

    def add(self, values: NDArray[np.float64], right: NDArray[np.bool_]) -> None:
        places = np.searchsorted(self._edges, values, side="right") - 1
        self._rows += np.bincount(places, minlength=len(self._edges))
        self._right += np.bincount(places[right], minlength=len(self._edges))

    def figures(self, *, whole: bool) -> list[dict[str, Any]]:
        slices = []
        for index, (rows, right) in enumerate(
            zip(self._rows.tolist(), self._right.tolist(), strict=True)
        ):
            if rows:
                low, high = wilson(right, rows)
                slices.append(
                    {
                        "range": self._name(index, whole),
                        "rows": rows,
                        "accuracy": right / rows,
                        "low": low,
                        "high": high,
                    }
                )
        return slices

    def _name(self, index: int, whole: bool) -> str:
        """Name a slice: "6 to 10" words, or "2 % to 5 %" of the words."""
        edges = self._edges
        is_last = index == len(edges) - 1
        if whole:
            first = int(edges[index])
            last = None if is_last else int(edges[index + 1]) - 1
            return f"{first} or more" if last is None else _span(str(first), str(last))
        if index == 0:
            return "none"
        first_share = "over 0" if edges[index] < 1e-6 else f"{edges[index]:.0%}"
        return f"{first_share} to {1 if is_last else edges[index + 1]:.0%}"


def _span(first: str, last: str) -> str:
    return first if first == last else f"{first} to {last}"
