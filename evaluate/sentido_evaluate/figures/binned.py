"""Counts of probabilities in bins, and what can be told from them in constant memory."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

BINS = 50_000
"""Of log-odds, in equal steps: as fine near 0 and 1, where most probabilities are, as between."""

_LEAST_BINS = 2000
_ALL_BINS = 1_000_000  # of all labels together: 24 MB
_MOST_LOG_ODDS = 17.0  # beyond what float32 tells from 0 and 1
_Z = 1.96
_AT_ONCE = 1_000_000  # probabilities


def bins_of(probabilities: NDArray[Any], bins: int = BINS) -> NDArray[np.int64]:
    """Return the bin of each probability; a larger one is in the same bin or a later one."""
    clipped = np.clip(probabilities.astype(np.float64), 1e-9, 1 - 1e-9)
    log_odds = np.log(clipped) - np.log1p(-clipped)
    steps = (log_odds + _MOST_LOG_ODDS) * (bins / (2 * _MOST_LOG_ODDS))
    return np.clip(steps.astype(np.int64), 0, bins - 1)


def wilson(right: int, count: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a share that was found in `count` trials.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    Journal of the American Statistical Association 22 (1927).
    """
    if count == 0:
        return 0.0, 1.0
    share = right / count
    centre = share + _Z * _Z / (2 * count)
    margin = _Z * math.sqrt(share * (1 - share) / count + _Z * _Z / (4 * count * count))
    scale = 1 + _Z * _Z / count
    return max(0.0, (centre - margin) / scale), min(1.0, (centre + margin) / scale)


def share(right: int, count: int) -> float | None:
    """Return a share, None of nothing."""
    return right / count if count else None


def roc_auc(
    positive: Counts, negative: Counts, mixed: NDArray[np.bool_]
) -> tuple[float, float] | None:
    """Return the area under the ROC curve, and how far it is at most from the exact one.

    `positive`, `negative`: (bins,), how many of each there are in every bin; `mixed`: whether they
    differ within it. Two probabilities in one bin count as equal, which is the only error. None
    where one of both is missing.
    """
    plus, minus = positive.astype(np.float64), negative.astype(np.float64)
    pairs = plus.sum() * minus.sum()
    if pairs == 0:
        return None
    below = np.cumsum(minus) - minus
    ties = plus * minus / 2
    return float((plus * below + ties).sum()) / pairs, float(ties[mixed].sum()) / pairs


def best_threshold(positive: Counts, negative: Counts) -> float | None:
    """Return the probability from which on it is best to say that a text has a label: largest F1.

    `positive`, `negative`: (bins,), as for `roc_auc`. A threshold is an edge of a bin; of several
    neighbours that are equally good it is the middle one. None if no text has the label.
    """
    if not positive.any():
        return None
    right, said = (np.cumsum(counts[::-1])[::-1] for counts in (positive, positive + negative))
    f1 = 2 * right / (said + positive.sum())
    best = np.flatnonzero(f1 == f1.max())
    runs = np.split(best, np.flatnonzero(np.diff(best) > 1) + 1)
    longest = max(runs, key=len)
    edge = int(longest[len(longest) // 2])
    log_odds = edge * (2 * _MOST_LOG_ODDS / len(positive)) - _MOST_LOG_ODDS
    return float(f"{1 / (1 + math.exp(-log_odds)):.6g}")


class PerLabel:
    """How the probabilities of each label are spread, with and without the label. For one run."""

    def __init__(self, labels: int) -> None:
        self._bins = min(BINS, max(_LEAST_BINS, _ALL_BINS // labels))
        self._counts = np.zeros((2, labels, self._bins), np.int64)
        self._least = np.full((labels, self._bins), np.inf, np.float32)
        self._most = np.full((labels, self._bins), -np.inf, np.float32)

    def add(self, probabilities: NDArray[np.float32], truth: NDArray[np.bool_]) -> None:
        """Count rows, (rows, labels) each."""
        rows, labels = probabilities.shape
        step = max(1, _AT_ONCE // labels)
        for begin in range(0, rows, step):
            part = slice(begin, begin + step)
            values = probabilities[part].ravel()
            places = np.tile(np.arange(labels), len(truth[part])) * self._bins
            places += bins_of(values, self._bins)
            np.minimum.at(self._least.reshape(-1), places, values)
            np.maximum.at(self._most.reshape(-1), places, values)
            of_kind = truth[part].ravel() * (labels * self._bins)
            np.add.at(self._counts.reshape(-1), places + of_kind, 1)

    def thresholds(self) -> list[float | None]:
        """Return what `best_threshold` says of each label."""
        return [best_threshold(plus, minus) for minus, plus in zip(*self._counts, strict=True)]

    def roc_auc(self) -> list[tuple[float, float] | None]:
        """Return what `roc_auc` says of each label against all others."""
        mixed = self._least < self._most
        return [
            roc_auc(plus, minus, m) for minus, plus, m in zip(*self._counts, mixed, strict=True)
        ]
