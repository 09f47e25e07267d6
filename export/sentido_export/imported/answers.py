"""The answers of the user's own program, to hold an export to: a text and its numbers per line."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentido_export.errors import ExportError
from sentido_export.imported.contents import read_contents

_MOST_DIGITS = 20


@dataclass(frozen=True)
class Details:
    """What a program also wrote down for one text, to find a mistake by.

    `ids` are those that its model read, None where they were not written down; `layers` the average
    size of what each layer gave for them.
    """

    ids: tuple[int, ...] | None = None
    layers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Answers:
    """Texts and what the user's `model.predict` gave for them, with the digits that were kept."""

    path: Path
    texts: tuple[str, ...]
    lines: tuple[int, ...]  # of each text in the file
    outputs: NDArray[np.float64]  # (texts, outputs)
    digits: int  # behind the point, the most of all numbers
    details: tuple[Details, ...]  # of each text

    @property
    def rounding(self) -> float:
        """Half a unit of the last digit."""
        return 0.5 * 10.0**-self.digits

    def some(self, count: int) -> "Answers":
        """Return a few answers, to texts from the shortest to the longest."""
        by_length = sorted(range(len(self.texts)), key=lambda index: len(self.texts[index]))
        steps = np.linspace(0, len(by_length) - 1, min(count, len(by_length)))
        chosen = [by_length[round(step)] for step in steps]
        return replace(
            self,
            texts=tuple(self.texts[index] for index in chosen),
            lines=tuple(self.lines[index] for index in chosen),
            outputs=self.outputs[chosen],
            details=tuple(self.details[index] for index in chosen),
        )


def read_answers(path: Path) -> Answers:
    """Read one JSON object per line, with `text` and `probabilities`. Raises ExportError."""
    data = read_contents(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ExportError(f"{path}: is not UTF-8 at byte {error.start:,}: save it so") from error
    found = list(_rows(str(path), text))
    if not found:
        raise ExportError(f"{path}: holds no answers: write one JSON object per line")
    lines, texts, rows, details = zip(*found, strict=True)
    for line, row in zip(lines, rows, strict=True):
        if len(row) != len(rows[0]):
            raise ExportError(
                f"{path}: line {line} has {len(row)} probabilities, line {lines[0]} has"
                f" {len(rows[0])}: each needs as many as model.predict gives for one text"
            )
    digits = max(_digits(number) for row in rows for number in row)
    outputs = np.array([[float(number) for number in row] for row in rows])
    return Answers(path, texts, lines, outputs, digits, details)


def _rows(where: str, text: str) -> Iterator[tuple[int, str, list[Decimal], Details]]:
    for line, content in enumerate(text.split("\n"), 1):
        if not content.strip():
            continue
        at = f"{where}: line {line}"
        try:
            value = json.loads(content, parse_float=Decimal, parse_int=Decimal)
        except (ValueError, RecursionError) as error:
            raise ExportError(
                f"{at} is not JSON ({error}): write each with json.dumps, one per line"
            ) from error
        if not isinstance(value, dict) or not isinstance(value.get("text"), str):
            raise ExportError(
                f'{at} is not an object with a text: {{"text": ..., "probabilities": [...]}} is'
                " needed"
            )
        numbers = _numbers(at, value.get("probabilities"))
        yield line, value["text"], numbers, _details(at, value)


def _numbers(at: str, value: Any) -> list[Decimal]:
    """Return the numbers for one text; a batch of one, as `predict` returns it, is taken apart."""
    if isinstance(value, Decimal):
        value = [value]
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    if not isinstance(value, list) or not value:
        raise ExportError(f"{at} has no probabilities: a list of what model.predict gave is needed")
    for number in value:
        if not isinstance(number, Decimal) or not math.isfinite(float(number)):
            raise ExportError(f"{at}: {number!s:.40} is not a number that model.predict gives")
    return value


def _details(at: str, value: Mapping[str, Any]) -> Details:
    """Return the ids and layers of a text, each if it is there."""
    ids, layers = value.get("ids"), value.get("layers", {})
    if isinstance(ids, list) and len(ids) == 1 and isinstance(ids[0], list):
        ids = ids[0]  # as pad_sequences and texts_to_sequences return those of one text
    if ids is not None and not (isinstance(ids, list) and all(map(_is_id, ids))):
        raise ExportError(f"{at}: its ids are not whole numbers: a list of them is needed")
    if not isinstance(layers, dict) or not all(isinstance(n, Decimal) for n in layers.values()):
        raise ExportError(f"{at}: its layers are not an object of names and numbers")
    whole = None if ids is None else tuple(map(int, ids))
    return Details(whole, {name: float(number) for name, number in layers.items()})


def _is_id(number: Any) -> bool:
    return isinstance(number, Decimal) and number.is_finite() and number == int(number)


def _digits(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    return min(max(-exponent, 0), _MOST_DIGITS) if isinstance(exponent, int) else 0
