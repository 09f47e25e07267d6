"""Further sources of texts with the same labels, which are trained on beside the first."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sentido_export import data
from sentido_export.errors import ExportError
from sentido_export.split import groups


@dataclass(frozen=True)
class Further:
    """One such source; its figures are reported beside those of the first."""

    name: str
    train: data.Dataset
    test: data.Dataset


def split_further(
    name: str, found: data.Dataset, first: Sequence[data.Dataset], share: float, seed: int
) -> Further:
    """Hold `share` of a source out; leave out what is nearly equal to a text of the first.

    `first`: all parts of the first source.

    Raises ExportError if it has a label that the first has not, or too few texts are left.
    """
    labels = first[0].label_names
    found = _relabelled(name, found, labels)
    before = [text for part in first for text in part.texts]
    of_texts = groups([*before, *found.texts])
    is_other = ~np.isin(of_texts[len(before) :], of_texts[: len(before)])
    try:
        parts = data.split(found.take(np.flatnonzero(is_other)), share, seed)
    except ExportError as error:
        copies = int(len(found) - is_other.sum())
        left_out = (
            f", without {copies:,} near copies of texts of the first source" if copies else ""
        )
        raise ExportError(f"{name}{left_out}: {error}") from error
    train = data.Dataset(
        [*parts.train.texts, *parts.validation.texts],
        np.concatenate([parts.train.labels, parts.validation.labels]),
        labels,
    )
    return Further(name, train, parts.test)


def _relabelled(name: str, found: data.Dataset, labels: Sequence[str]) -> data.Dataset:
    if other := [label for label in found.label_names if label not in labels]:
        raise ExportError(
            f"{name}: the label {other[0]!r} is none of {', '.join(map(repr, labels[:10]))}, which"
            " the first source has"
        )
    index = np.array([labels.index(label) for label in found.label_names], np.int32)
    return data.Dataset(found.texts, index[found.labels], tuple(labels))
