"""Where a program and an export part, by what the program wrote down beside its answers.

First the ids of a text, then what each layer of the model gives for them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentido_export.imported.answers import Answers, Details

Read = Callable[[str], Sequence[tuple[str, int]]]
"""The words of a text with the ids that the export gives them, in their order, nothing cut."""

Measure = Callable[[NDArray[np.int32]], Mapping[str, float]]
"""The average size of what each layer gives for the ids of one text, (1, length); in order."""

_SAME_SHARE = 1e-3
_SHOWN = 8


def difference(answers: Answers, length: int, read: Read, measure: Measure) -> str:
    """Return a sentence on where the program and the export part; "" where nothing tells it."""
    sentences: list[str] = []
    for text, line, details in zip(answers.texts, answers.lines, answers.details, strict=True):
        if details.ids is None:
            continue
        if found := _ids_differ(details.ids, read(text), length):
            return f"line {line}: {found}"
        sentences = sentences or [_layers_differ(line, details, length, measure)]
    return sentences[0] if sentences else ""


def _ids_differ(theirs: tuple[int, ...], words: Sequence[tuple[str, int]], length: int) -> str:
    """Return a sentence on the first id that differs, "" if the same words have the same ids."""
    ours = tuple(id for _, id in words)
    bare = _without_padding(theirs)
    if bare in (ours, ours[:length], ours[-length:]):
        return ""
    count = len(bare)
    if count and bare in (ours[:count], ours[-count:]):
        return (
            f"the ids are the same, but your program gives the model {count} of the text's"
            f" {len(ours)}, and the export {min(length, len(ours))}: compare --max-tokens,"
            f" {length}, with maxlen in your program"
        )
    is_end = ours[-1:] == bare[-1:]  # of a text that was cut at its beginning
    for (word, id), other in zip(words[max(0, len(ours) - count) * is_end :], bare, strict=False):
        if id != other:
            return (
                f"the ids differ: {word!r:.60} is {id} here and {other} in your program (it reads"
                f" {_shown(bare)}, the export {_shown([i for _, i in words])}): the vocabulary,"
                " or the text steps before it, are not those of your program"
            )
    return (
        f"the ids differ in number: your program reads {len(bare)}, the export {len(words)}"
        f" ({_shown(bare)} and {_shown([i for _, i in words])}): texts are cut to another length,"
        " or split into other words"
    )


def _layers_differ(line: int, details: Details, length: int, measure: Measure) -> str:
    same = f"line {line}: the ids are the same, so that the vocabulary is right"
    assert details.ids is not None
    if len(details.ids) != length or not details.layers:
        return f"{same}, and the model file is another one than your program's"
    ours = measure(np.array([details.ids], np.int32))
    known = [name for name in ours if name in details.layers]
    for name in known:
        here, there = ours[name], details.layers[name]
        if not abs(here - there) <= _SAME_SHARE * max(abs(there), _SAME_SHARE):
            return (
                f"{same}; the first layer that differs is {name!r}, whose output has the average"
                f" size {here:.6g} here and {there:.6g} in your program: its weights in the file"
                " are not those of your program"
            )
    return f"{same}, and {len(known)} layers give the same: the last steps differ"


def _without_padding(ids: tuple[int, ...]) -> tuple[int, ...]:
    real = [index for index, id in enumerate(ids) if id]
    return ids[real[0] : real[-1] + 1] if real else ()


def _shown(ids: Sequence[Any]) -> str:
    return ", ".join(map(str, ids[:_SHOWN])) + (", ..." if len(ids) > _SHOWN else "")
