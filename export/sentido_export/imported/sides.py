"""Where a program pads short texts and cuts long ones, and the rows of ids that this gives."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ids = Sequence[int] | NDArray[np.int32]


@dataclass(frozen=True)
class Sides:
    """Where short texts are padded and long ones cut, in Keras' words: pre or post."""

    padding: str
    truncating: str

    def __str__(self) -> str:
        """Return them as arguments of Keras' `pad_sequences`."""
        return f"padding={self.padding!r}, truncating={self.truncating!r}"


def pad(ids: Sequence[Ids], length: int, sides: Sides) -> NDArray[np.int32]:
    """Cut and pad ids to one length, as Keras' `pad_sequences` does: (texts, length)."""
    rows = np.zeros((len(ids), length), np.int32)
    for row, each in zip(rows, ids, strict=True):
        kept = each[-length:] if sides.truncating == "pre" else each[:length]
        if len(kept):
            begin = length - len(kept) if sides.padding == "pre" else 0
            row[begin : begin + len(kept)] = kept
    return rows


def candidates(
    ids: Sequence[Ids], length: int, padding: str | None, truncating: str | None
) -> Iterator[tuple[NDArray[np.int32], tuple[Sides, ...]]]:
    """Return the rows to try, each with the sides that give them."""
    found: dict[bytes, tuple[NDArray[np.int32], tuple[Sides, ...]]] = {}
    for pad_side in ("pre", "post") if padding is None else (padding,):
        for cut_side in ("pre", "post") if truncating is None else (truncating,):
            sides = Sides(pad_side, cut_side)
            rows = pad(ids, length, sides)
            others = found.get(rows.tobytes(), (rows, ()))[1]
            found[rows.tobytes()] = (rows, (*others, sides))
    yield from found.values()
