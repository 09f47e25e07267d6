"""What labels are called, how they are sorted, and which of them may be meant as one."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sentido_score.formats.labels import MISSING

_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_SHOWN = 10  # labels in a message


def in_order(labels: Iterable[str]) -> tuple[str, ...]:
    """Sort labels: numbers by size, then the others by name."""
    return tuple(sorted(labels, key=_place))


def _place(label: str) -> tuple[bool, float, str]:
    is_number = _NUMBER.fullmatch(label) is not None
    return not is_number, float(label) if is_number else 0.0, label


def listed(counts: Mapping[str, int]) -> str:
    """Return how many texts each label has, such as "neg: 40, pos: 41"; of many the first."""
    parts = [f"{label}: {counts[label]:,}" for label in in_order(counts)]
    left = len(parts) - _SHOWN
    return ", ".join(parts[:_SHOWN]) + (f" and {left:,} more labels" if left > 0 else "")


def doubts(counts: Mapping[str, int]) -> Iterator[str]:
    """Say which labels may be meant as one, or as none."""
    for labels in _alike(counts):
        names = " and ".join(f"{label!r} ({counts[label]:,} texts)" for label in labels)
        yield f"the labels {names} differ in case or spaces only: --normalize-labels makes them one"
    for label in in_order(counts.keys() & MISSING):
        yield (
            f"{counts[label]:,} texts are labelled {label!r}, as programs write a missing value:"
            " --normalize-labels leaves them out"
        )


def normalized(counts: Mapping[str, int]) -> dict[str, str | None]:
    """Return what each label becomes: of those alike the commonest, None for a missing one."""
    becomes: dict[str, str | None] = {label: label for label in counts}
    for labels in _alike(counts):
        becomes |= dict.fromkeys(labels, max(labels, key=lambda label: counts[label]))
    return becomes | dict.fromkeys(counts.keys() & MISSING)


def _alike(counts: Mapping[str, int]) -> list[Sequence[str]]:
    """Group the labels that differ in case, spaces or Unicode's forms only."""
    groups: dict[str, list[str]] = {}
    for label in in_order(counts):
        if label not in MISSING:
            folded = unicodedata.normalize("NFKC", label).casefold()
            groups.setdefault(" ".join(folded.split()), []).append(label)
    return [labels for labels in groups.values() if len(labels) > 1]
