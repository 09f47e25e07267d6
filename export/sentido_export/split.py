"""Texts held out by group: texts that are nearly equal stand on one side.

    of_texts = groups(texts)
    parts = held_out(of_texts, labels, 0.1, seed=0)  # TRAIN, VALIDATION or TEST of each text
    numbers = folds(of_texts, 5, seed=0)  # 0 to 4

Else a model is asked what it has learned by heart, and its figures are too good.
"""

import hashlib
import re
from array import array
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from sentido_score.callbacks import Say, quiet

from sentido_export.errors import ExportError
from sentido_export.shingles import Components, Words, connect

TRAIN, VALIDATION, TEST = range(3)

Numbers = NDArray[np.int64]

_WORD = re.compile(r"[^\W_]+")  # characters that are isalnum()


def groups(texts: Iterable[str], say: Say = quiet) -> Numbers:
    """Return the number of each text's group, from 0 in order of the groups' first texts.

    Two texts are in one group if they have the same letters and digits in lower case (or, of texts
    without any, the same characters), or if the shorter one has at least 10 words and half of its
    phrases of 5 words are in the other, too; and if others connect them so. `say` is told if too
    much is shared to compare all of them.
    """
    words, first, same = Words(), dict[bytes, int](), array("q")
    for row, text in enumerate(texts):
        found = _WORD.findall(text.lower())
        letters = "".join(found) or text
        key = hashlib.blake2b(letters.encode(), digest_size=16).digest()
        same.append(first.setdefault(key, row))
        words.add(found)
    components, firsts = Components(len(same)), np.array(same, np.int64)
    for row in np.flatnonzero(firsts != np.arange(len(same))).tolist():
        components.join(np.array([row, firsts[row]]))
    if not connect(components, words.index()):
        say(
            "so many texts share so many phrases that not all were compared: some near copies may"
            " be held out from texts that are trained on"
        )
    return components.numbers()


def held_out(
    of_texts: Numbers,
    labels: NDArray[np.int32],
    share: float,
    seed: int,
    names: Sequence[str] = (),
) -> NDArray[np.int8]:
    """Return the part of each text: `share` of each label for VALIDATION and as many for TEST.

    `of_texts`: the group of each text; a group is in one part. The shares are as near as groups
    let them be. `names`: of the labels, for the error. Raises ExportError if a part would lack a
    label.
    """
    counts = np.bincount(labels, minlength=len(names))
    _check(of_texts, labels, counts, names)
    size = np.clip(np.round(counts * share), 1, (counts - 1) // 2).astype(np.int64)
    room = np.stack([counts - 2 * size, size, size])  # (parts, labels)
    generator = np.random.default_rng(seed)
    parts = np.full(len(labels), TRAIN, np.int8)
    rows_of = _rows_by_group(of_texts, generator)
    several = [rows for rows in rows_of if len(rows) > 1]  # the larger ones come first
    for rows in several:
        needed = np.bincount(labels[rows], minlength=len(counts))
        parts[rows] = part = _part(room, needed, generator)
        room[part] -= needed
    alone = np.array([rows[0] for rows in rows_of[len(several) :]], np.int64)
    for label in range(len(counts)):
        rows = alone[labels[alone] == label]
        for part in (TEST, VALIDATION):
            taken, rows = np.split(rows, [max(0, min(int(room[part, label]), len(rows)))])
            parts[taken] = part
    _complete(parts, rows_of, labels, names)
    return parts


def folds(of_texts: Numbers, count: int, seed: int) -> Numbers:
    """Return the number of each text's fold: folds of near size, and a group in one of them."""
    generator = np.random.default_rng(seed)
    sizes = np.zeros(count, np.int64)
    numbers = np.empty(len(of_texts), np.int64)
    for rows in _rows_by_group(of_texts, generator):
        numbers[rows] = smallest = sizes.argmin()
        sizes[smallest] += len(rows)
    return numbers


def _rows_by_group(of_texts: Numbers, generator: np.random.Generator) -> list[Numbers]:
    """Return the texts of each group: the larger groups first, else in random order."""
    rows = np.argsort(of_texts, kind="stable")
    starts = np.flatnonzero(np.diff(of_texts[rows])) + 1
    found = np.split(rows, starts) if len(rows) else []
    sizes = np.array([len(each) for each in found])
    order = generator.permutation(len(found))
    return [found[i] for i in order[np.argsort(-sizes[order], kind="stable")]]


def _part(room: Numbers, needed: Numbers, generator: np.random.Generator) -> int:
    """Draw a part for a group by how much room the parts have, of those in which it fits."""
    fits = (room >= needed).all(axis=1)
    chances = room[:, needed > 0].sum(axis=1) * fits
    return int(generator.choice(3, p=chances / chances.sum())) if fits.any() else TRAIN


def _complete(
    parts: NDArray[np.int8], rows_of: list[Numbers], labels: NDArray[np.int32], names: Sequence[str]
) -> None:
    """Give each part all labels, by moving small groups: large ones may have found no room."""
    size = labels.max() + 1
    held = np.bincount(parts * size + labels, minlength=3 * size).reshape(3, size)
    lacking = np.argwhere(held.T == 0)
    small_first = _rows_by_label(rows_of[::-1], labels) if len(lacking) else {}
    for label, part in lacking:
        for rows in small_first[label]:
            needed, source = np.bincount(labels[rows], minlength=size), parts[rows[0]]
            if (held[source] > needed)[needed > 0].all():
                held[source] -= needed
                held[part] += needed
                parts[rows] = part
                break
        else:
            raise ExportError(
                f"near copies stand in one part, and so the texts labelled {_name(label, names)}"
                " cannot be in all three, to train on, to choose the epoch by and to report"
                " figures of: leave out of the texts what many of them share, such as a signature"
            )


def _rows_by_label(rows_of: list[Numbers], labels: NDArray[np.int32]) -> dict[int, list[Numbers]]:
    """Return the groups in which each label is, in their order."""
    found: dict[int, list[Numbers]] = {}
    for rows in rows_of:
        for label in set(labels[rows].tolist()):
            found.setdefault(label, []).append(rows)
    return found


def _check(
    of_texts: Numbers, labels: NDArray[np.int32], counts: Numbers, names: Sequence[str]
) -> None:
    """Raise ExportError for a label that is in fewer groups than there are parts."""
    pairs = np.unique(np.stack([labels, of_texts]), axis=1)
    of_labels = np.bincount(pairs[0], minlength=len(counts))
    for label in np.flatnonzero(of_labels < 3)[:1]:
        count = int(counts[label])
        texts = "1 text is" if count == 1 else f"{count:,} texts are"
        copies = f", all near copies of {of_labels[label]}" if count > of_labels[label] else ""
        raise ExportError(
            f"only {texts} labelled {_name(label, names)}{copies}: three that differ are needed,"
            " one to train on, one to choose the epoch by and one to report figures of; add some,"
            " or leave that label out"
        )


def _name(label: int, names: Sequence[str]) -> str:
    return repr(names[label]) if names else str(label)
