"""Figures of a model that gives one label: counted row by row, put together at the end."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentido_evaluate.figures.binned import PerLabel, wilson
from sentido_evaluate.figures.calibration import Calibration, Coverage
from sentido_evaluate.figures.scores import f1_of, label_rows, mean_auc
from sentido_evaluate.figures.slices import Slices


class SingleLabel:
    """Counts the answers to texts that have one label each. For one run."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        self._labels = labels
        self._confusion = np.zeros((len(labels), len(labels)), np.int64)  # (truth, answer)
        self._per_label = PerLabel(len(labels))
        self._calibration, self._coverage, self._slices = Calibration(), Coverage(), Slices()
        self._squares = 0.0

    @property
    def rows(self) -> int:
        """Rows that were counted."""
        return int(self._confusion.sum())

    def add(
        self,
        probabilities: NDArray[np.float32],
        truth: NDArray[np.int64],
        words: NDArray[np.int64],
        unknown: NDArray[np.int64],
    ) -> NDArray[np.bool_]:
        """Count rows; return which were answered rightly. `probabilities`: (rows, labels)."""
        count = len(self._labels)
        answers = probabilities.argmax(axis=1)
        confidence = probabilities[np.arange(len(answers)), answers]
        right: NDArray[np.bool_] = answers == truth
        pairs = np.bincount(truth * count + answers, minlength=count * count)
        self._confusion += pairs.reshape(count, count)
        held = truth[:, None] == np.arange(count)
        self._per_label.add(probabilities, held)
        self._squares += float(np.square(probabilities.astype(np.float64) - held).sum())
        self._calibration.add(confidence, right)
        self._coverage.add(confidence, right)
        self._slices.add(words, unknown, right)
        return right

    def figures(self) -> dict[str, Any]:
        """Return all figures, as they stand in the JSON."""
        confusion, rows = self._confusion, self.rows
        right, support = confusion.diagonal(), confusion.sum(axis=1)
        per_label = label_rows(
            self._labels,
            right,
            confusion.sum(axis=0) - right,
            support - right,
            self._per_label.roc_auc(),
        )
        low, high = wilson(int(right.sum()), rows)
        commonest = int(support.argmax())
        return {
            "accuracy": {
                "value": int(right.sum()) / rows,
                "low": low,
                "high": high,
                "baseline": int(support[commonest]) / rows,
                "baseline_label": self._labels[commonest],
            },
            "macro_f1": f1_of(per_label),
            # As scikit-learn: of two labels one has told the other's difference, too.
            "brier": self._squares / rows / (2 if len(self._labels) == 2 else 1),
            "roc_auc": mean_auc(per_label[-1:] if len(self._labels) == 2 else per_label),
            "labels": per_label,
            "confusion": confusion.tolist(),
            "calibration": self._calibration.figures(),
            "coverage": self._coverage.figures(),
            **self._slices.figures(),
        }
