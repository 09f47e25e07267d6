"""Figures of a model whose texts have any number of labels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentido_evaluate.figures.binned import PerLabel, wilson
from sentido_evaluate.figures.calibration import Calibration
from sentido_evaluate.figures.scores import f1, f1_of, label_rows, mean_auc
from sentido_evaluate.figures.slices import Slices


class MultiLabel:
    """Counts the answers to texts that have any number of labels. For one run."""

    def __init__(self, labels: tuple[str, ...], thresholds: tuple[float, ...]) -> None:
        self._labels = labels
        self._thresholds = thresholds
        self._right, self._wrong, self._missed = (np.zeros(len(labels), np.int64) for _ in "123")
        self._per_label = PerLabel(len(labels))
        self._calibration, self._slices = Calibration(), Slices()
        self._squares, self._exact, self.rows = 0.0, 0, 0

    def add(
        self,
        probabilities: NDArray[np.float32],
        answers: NDArray[np.bool_],
        truth: NDArray[np.bool_],
        words: NDArray[np.int64],
        unknown: NDArray[np.int64],
    ) -> NDArray[np.bool_]:
        """Count rows, (rows, labels); return where all labels were answered rightly."""
        self._right += (answers & truth).sum(axis=0)
        self._wrong += (answers & ~truth).sum(axis=0)
        self._missed += (~answers & truth).sum(axis=0)
        self._per_label.add(probabilities, truth)
        self._squares += float(np.square(probabilities.astype(np.float64) - truth).sum())
        self._calibration.add(probabilities.ravel(), truth.ravel())
        right: NDArray[np.bool_] = (answers == truth).all(axis=1)
        self._slices.add(words, unknown, right)
        self._exact += int(right.sum())
        self.rows += len(right)
        return right

    def figures(self) -> dict[str, Any]:
        """Return all figures, as they stand in the JSON."""
        parts = (self._right, self._wrong, self._missed)
        per_label = label_rows(self._labels, *parts, self._per_label.roc_auc())
        low, high = wilson(self._exact, self.rows)
        return {
            "accuracy": {"value": self._exact / self.rows, "low": low, "high": high},
            "macro_f1": f1_of(per_label),
            "micro_f1": f1(*(int(part.sum()) for part in parts)),
            "brier": self._squares / self.rows / len(self._labels),
            "roc_auc": mean_auc(per_label),
            "labels": [
                row | {"threshold": threshold}
                for row, threshold in zip(per_label, self._thresholds, strict=True)
            ],
            "calibration": self._calibration.figures(),
            **self._slices.figures(),
        }
