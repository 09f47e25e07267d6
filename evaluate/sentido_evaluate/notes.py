"""What a person should know who sees only the headline: sentences about the figures."""

from typing import Any

_FEW = 30


def notes(found: dict[str, Any]) -> list[str]:
    """Return what the figures give reason to say."""
    said = []
    accuracy = found["accuracy"]
    baseline = accuracy.get("baseline")
    if baseline is not None and accuracy["low"] <= baseline:
        said.append(
            f"The accuracy, {accuracy['value']:.4f}, is not clearly better than always answering"
            f" {accuracy['baseline_label']!r}, {baseline:.4f}."
        )
    for row in found["labels"]:
        support, hits = row["support"], round((row["recall"] or 0) * row["support"])
        if support and not hits:
            said.append(f"None of the {support:,} texts labelled {row['label']!r} is found.")
        elif not support:
            said.append(f"No text is labelled {row['label']!r}: nothing is known of that label.")
        elif support < _FEW:
            said.append(
                f"Only {support:,} texts are labelled {row['label']!r}: its figures are rough."
            )
    calibration = found["calibration"]
    if calibration["ece"] > calibration["ece_if_calibrated_95"]:
        said.append(
            f"The probabilities are off by {calibration['ece']:.4f} on average (ECE); of"
            " well-calibrated ones 95 % of such sets would show at most"
            f" {calibration['ece_if_calibrated_95']:.4f}."
        )
    return said[:12]
