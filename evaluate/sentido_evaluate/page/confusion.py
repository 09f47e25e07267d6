"""Which labels are taken for which: a shaded table, or of many labels the pairs most confused."""

from html import escape
from typing import Any

from sentido_evaluate.page.parts import number, paragraph, table

_MOST_LABELS = 12
_PAIRS = 30


def confusion(evaluation: dict[str, Any]) -> str:
    """Return the part of the page; nothing for a model of several labels per text."""
    counts = evaluation.get("confusion")
    if counts is None:
        return ""
    labels = evaluation["model"]["labels"]
    if len(labels) > _MOST_LABELS:
        return _pairs(labels, counts)
    rows = "".join(
        f"<tr><th>{escape(label)}</th>{_cells(row, place)}<td class=n>{sum(row):,}</td></tr>"
        for place, (label, row) in enumerate(zip(labels, counts, strict=True))
    )
    head = "".join(f"<th class=n>{escape(label)}</th>" for label in labels)
    says = "Rows: what the texts are labelled. Columns: what the model answers."
    return (
        paragraph(says, "soft") + '<div class="wide"><table class="confusion">'
        f"<tr><th></th>{head}<th class=n>texts</th></tr>{rows}</table></div>"
    )


def _cells(row: list[int], right: int) -> str:
    total = sum(row) or 1
    return "".join(
        f'<td class="n{" hit" if place == right else ""}"'
        f' style="background:rgba(var(--heat),{0.6 * count / total:.2f})">{count:,}</td>'
        for place, count in enumerate(row)
    )


def _pairs(labels: list[str], counts: list[list[int]]) -> str:
    pairs = [
        (count, labels[i], labels[j], count / sum(row))
        for i, row in enumerate(counts)
        for j, count in enumerate(row)
        if i != j and count
    ]
    pairs.sort(key=lambda pair: -pair[0])
    rows = [(one, other, f"{n:,}", number(share)) for n, one, other, share in pairs[:_PAIRS]]
    says = f"Of {len(labels)} labels, the {len(rows)} pairs that are confused most often."
    head = ("labelled", "answered", "texts", "share of the label's")
    return paragraph(says, "soft") + table(head, rows, words=2)
