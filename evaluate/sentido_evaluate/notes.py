"""What a person should know who sees only the headline: sentences about the figures."""

from collections.abc import Iterator, Sequence
from typing import Any

_FEW = 30
_MOST = 10


def notes(evaluation: dict[str, Any]) -> list[str]:
    """Return what the figures give reason to say."""
    said = []
    accuracy = evaluation["accuracy"]
    baseline = accuracy.get("baseline")
    if baseline is not None and accuracy["low"] <= baseline:
        said.append(
            f"The accuracy, {accuracy['value']:.4f}, is not clearly better than always answering"
            f" {accuracy['baseline_label']!r}, {baseline:.4f}."
        )
    calibration = evaluation["calibration"]
    if calibration["ece"] > calibration["ece_if_calibrated_95"]:
        said.append(
            f"The probabilities are off by {calibration['ece']:.4f} on average (ECE); of"
            " well-calibrated ones 95 % of such sets would show at most"
            f" {calibration['ece_if_calibrated_95']:.4f}."
        )
    of_labels = list(_of_labels(evaluation["labels"]))
    said += of_labels[:_MOST]
    if (left := len(of_labels) - _MOST) > 0:
        said.append(f"{left:,} more labels are rare, missing or never found.")
    return said


def _of_labels(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Say which labels are never found, missing or rare."""
    for row in rows:
        support, hits = row["support"], round((row["recall"] or 0) * row["support"])
        if support and not hits:
            if support == 1:
                yield f"The only text labelled {row['label']!r} is not found."
            else:
                yield f"None of the {support:,} texts labelled {row['label']!r} is found."
        elif not support:
            yield f"No text is labelled {row['label']!r}: nothing is known of that label."
        elif support < _FEW:
            texts = "1 text is" if support == 1 else f"{support:,} texts are"
            yield f"Only {texts} labelled {row['label']!r}: its figures are rough."
