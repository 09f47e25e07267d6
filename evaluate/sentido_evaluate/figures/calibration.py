"""Whether what is said to be sure to 80 % is right in 80 % of cases, and what is left out below."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentido_evaluate.figures.binned import BINS, Counts, Floats, bins_of, wilson

ECE_BINS = 15
_FINE = 100  # bins within each of them
_DRAWS = 2000
_POINTS = 50  # of a curve


class Calibration:
    """Confidences and whether they were right. For one run."""

    def __init__(self) -> None:
        self._rows = np.zeros(ECE_BINS * _FINE, np.int64)
        self._right = np.zeros(ECE_BINS * _FINE, np.int64)
        self._confidence = np.zeros(ECE_BINS * _FINE)

    def add(self, confidence: NDArray[np.float32], right: NDArray[np.bool_]) -> None:
        """Count rows, (rows,) each."""
        size, wide = len(self._rows), confidence.astype(np.float64)
        places = np.minimum((wide * size).astype(np.int64), size - 1)
        self._rows += np.bincount(places, minlength=size)
        self._right += np.bincount(places[right], minlength=size)
        self._confidence += np.bincount(places, wide, minlength=size)

    def figures(self) -> dict[str, Any]:
        """Return the bins, the expected calibration error, and what chance alone would make of it.

        Source: C. Guo et al., "On calibration of modern neural networks", ICML 2017.
        """
        rows, right = _coarse(self._rows), _coarse(self._right)
        confidence = self._confidence.reshape(ECE_BINS, _FINE).sum(axis=1)
        return {
            "ece": _ece(right.astype(np.float64), confidence, int(rows.sum())),
            "ece_if_calibrated_95": self._by_chance(confidence),
            "bins": [
                _bin(index, int(rows[index]), int(right[index]), float(confidence[index]))
                for index in range(ECE_BINS)
            ],
        }

    def _by_chance(self, confidence: Floats) -> float:
        """Return the 95th percentile of the error of answers that are right as often as they say.

        Drawn at random, always alike: each of the fine bins has the mean of its confidences.
        """
        there = np.flatnonzero(self._rows)
        rows = self._rows[there]
        means = np.clip(self._confidence[there] / np.maximum(rows, 1), 0, 1)
        generator = np.random.default_rng(0)
        right = np.zeros((_DRAWS, ECE_BINS))
        for place, count, mean in zip(there, rows, means, strict=True):
            right[:, place // _FINE] += generator.binomial(count, mean, _DRAWS)
        errors = np.abs(right - confidence).sum(axis=1) / max(1, int(rows.sum()))
        return float(np.quantile(errors, 0.95))


class Coverage:
    """How right the surest answers are, by how many of all they are. For one run."""

    def __init__(self) -> None:
        self._rows = np.zeros(BINS, np.int64)
        self._right = np.zeros(BINS, np.int64)

    def add(self, confidence: NDArray[np.float32], right: NDArray[np.bool_]) -> None:
        """Count rows, (rows,) each."""
        places = bins_of(confidence)
        np.add.at(self._rows, places, 1)
        np.add.at(self._right, places[right], 1)

    def figures(self) -> list[dict[str, float]]:
        """Return points of the curve, from the surest answers to all of them."""
        rows, right = (np.cumsum(counts[::-1]) for counts in (self._rows, self._right))
        total = int(rows[-1])
        if not total:
            return []
        steps = np.minimum(rows * _POINTS // total, _POINTS)
        last = np.flatnonzero((steps > 0) & np.diff(steps, prepend=0).astype(bool))
        return [
            {
                "coverage": int(rows[place]) / total,
                "accuracy": int(right[place]) / int(rows[place]),
            }
            for place in last
        ]


def _coarse(counts: Counts) -> Counts:
    coarse: Counts = counts.reshape(ECE_BINS, _FINE).sum(axis=1)
    return coarse


def _ece(right: Floats, confidence: Floats, rows: int) -> float | None:
    return float(np.abs(right - confidence).sum()) / rows if rows else None


def _bin(index: int, rows: int, right: int, confidence: float) -> dict[str, Any]:
    low, high = wilson(right, rows)
    return {
        "from": index / ECE_BINS,
        "to": (index + 1) / ECE_BINS,
        "rows": rows,
        "confidence": confidence / rows if rows else None,
        "accuracy": right / rows if rows else None,
        "low": low if rows else None,
        "high": high if rows else None,
    }
