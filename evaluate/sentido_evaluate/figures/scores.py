"""Precision, recall and F1 of labels, from counts."""

from collections.abc import Sequence
from typing import Any

from sentido_evaluate.figures.binned import Counts, share

LabelRow = dict[str, Any]


def f1(right: int, wrong: int, missed: int) -> float:
    """Return F1, 0 where the label is neither there nor answered, as scikit-learn by default."""
    return 2 * right / (2 * right + wrong + missed) if right else 0.0


def label_rows(
    labels: Sequence[str],
    right: Counts,
    wrong: Counts,
    missed: Counts,
    areas: Sequence[tuple[float, float] | None],
) -> list[LabelRow]:
    """Return the figures of each label; None for a share of nothing."""
    rows = []
    for index, label in enumerate(labels):
        hits, false, lost = (int(counts[index]) for counts in (right, wrong, missed))
        area = areas[index]
        rows.append(
            {
                "label": label,
                "precision": share(hits, hits + false),
                "recall": share(hits, hits + lost),
                "f1": f1(hits, false, lost),
                "support": hits + lost,
                "answered": hits + false,
                "roc_auc": area[0] if area else None,
                "roc_auc_error": area[1] if area else None,
            }
        )
    return rows


def f1_of(rows: Sequence[LabelRow]) -> float | None:
    """Return macro F1: the mean over the labels that some text has or was answered with."""
    there = [row["f1"] for row in rows if row["support"] or row["answered"]]
    return sum(there) / len(there) if there else None


def mean_auc(rows: Sequence[LabelRow]) -> dict[str, float] | None:
    """Return the mean over the labels that have an area, and how far it may be off."""
    there = [row for row in rows if row["roc_auc"] is not None]
    if not there:
        return None
    return {
        "value": sum(row["roc_auc"] for row in there) / len(there),
        "error": sum(row["roc_auc_error"] for row in there) / len(there),
    }
