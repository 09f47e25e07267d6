"""Two models on the same rows: which answers flip, and by how much probabilities differ."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sentido_score.engines.local import LocalEngine
from sentido_score.files.names import quoted

from sentido_evaluate.answers import Answers
from sentido_evaluate.errors import EvaluateError
from sentido_evaluate.figures.binned import wilson
from sentido_evaluate.worst import Worst

_WORST = 20


class Comparison:
    """Counts where a second model answers otherwise than the first. For one run."""

    def __init__(self, one: LocalEngine, other: LocalEngine) -> None:
        """Raise EvaluateError if the models do not have the same labels and task."""
        self._labels, self._model = one.model.labels, other.model
        self._is_single = not one.model.has_many_labels
        if {*self._labels} != {*self._model.labels}:
            differ = sorted({*self._labels} ^ {*self._model.labels})
            raise EvaluateError(
                f"the models cannot be compared: their labels differ in {quoted(differ, 5)}"
            )
        if one.model.task != other.model.task:
            raise EvaluateError(
                f"the models cannot be compared: one is {one.model.task}, the other"
                f" {other.model.task}"
            )
        self._order = [self._model.labels.index(label) for label in self._labels]
        count = len(self._labels)
        self._flips = np.zeros((count, count), np.int64)  # single: (answer, other's answer)
        self._changes = np.zeros((2, count), np.int64)  # multi_label: given, taken away
        self._rows = self._flipped = self._mended = self._broken = 0
        self._sum = self._largest = 0.0
        self._worst: Worst[dict[str, Any]] = Worst(_WORST)

    @property
    def flips(self) -> float:
        """The share of rows whose answer differs."""
        return self._flipped / self._rows if self._rows else 0.0

    def add(self, rows: Answers, right: NDArray[np.bool_], other_right: NDArray[np.bool_]) -> None:
        """Count rows; `right`, `other_right`: which of them each model answered rightly."""
        one, other = rows.probabilities(0), rows.probabilities(1)[:, self._order]
        differences = np.abs(one.astype(np.float64) - other)
        flipped = self._count_flips(rows.chosen(0), rows.chosen(1)[:, self._order])
        self._rows += len(one)
        self._flipped += int(flipped.sum())
        self._mended += int((~right & other_right).sum())
        self._broken += int((right & ~other_right).sum())
        if len(one):
            largest = differences.max(axis=1)
            self._sum += float(differences.mean(axis=1).sum())
            self._largest = max(self._largest, float(largest.max()))
            self._keep(rows, one, other, largest)

    def _count_flips(
        self, before: NDArray[np.bool_], after: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        if self._is_single:
            np.add.at(self._flips, (before.argmax(axis=1), after.argmax(axis=1)), 1)
        else:
            self._changes += [(~before & after).sum(axis=0), (before & ~after).sum(axis=0)]
        flipped: NDArray[np.bool_] = (before != after).any(axis=1)
        return flipped

    def _keep(
        self,
        rows: Answers,
        one: NDArray[np.float32],
        other: NDArray[np.float32],
        largest: NDArray[np.float64],
    ) -> None:
        for row in self._worst.wanted(largest).tolist():
            if not largest[row]:
                continue
            label = int(np.abs(one[row].astype(np.float64) - other[row]).argmax())
            item = {
                "place": rows.places[row],
                "text": rows.texts[row],
                "label": self._labels[label],
                "probability": float(one[row, label]),
                "other": float(other[row, label]),
            }
            self._worst.add(float(largest[row]), item)

    def worst(self) -> list[dict[str, Any]]:
        """Return the rows whose probabilities differ most."""
        return [item for _, item in self._worst.items()]

    def figures(self) -> dict[str, Any]:
        """Return all figures but the worst rows, as they stand in the JSON."""
        low, high = wilson(self._flipped, self._rows)
        model = self._model
        return {
            "model": {"name": model.name, "version": model.version, "digest": model.digest},
            "flips": {
                "rows": self._flipped,
                "share": self.flips,
                "low": low,
                "high": high,
                "by_label": self._by_label(),
            },
            "mended": self._mended,
            "broken": self._broken,
            "largest_difference": self._largest,
            "mean_difference": self._sum / self._rows,
        }

    def _by_label(self) -> list[dict[str, Any]]:
        if not self._is_single:
            return [
                {"label": label, "added": int(added), "removed": int(removed)}
                for label, added, removed in zip(self._labels, *self._changes, strict=True)
                if added or removed
            ]
        pairs = [(int(self._flips[i, j]), i, j) for i, j in np.argwhere(self._flips) if i != j]
        return [
            {"from": self._labels[i], "to": self._labels[j], "rows": rows}
            for rows, i, j in sorted(pairs, key=lambda pair: (-pair[0], pair[1:]))[:100]
        ]
