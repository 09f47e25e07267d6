"""The answers of the user's own program, to hold an export to: a text and its numbers per line."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentido_export.errors import ExportError
from sentido_export.imported.contents import read_contents

_MOST_DIGITS = 20


@dataclass(frozen=True)
class Answers:
    """Texts and what the user's `model.predict` gave for them, with the digits that were kept."""

    path: Path
    texts: tuple[str, ...]
    lines: tuple[int, ...]  # of each text in the file
    outputs: NDArray[np.float64]  # (texts, outputs)
    digits: int  # behind the point, the most of all numbers

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
    lines, texts, rows = zip(*found, strict=True)
    for line, row in zip(lines, rows, strict=True):
        if len(row) != len(rows[0]):
            raise ExportError(
                f"{path}: line {line} has {len(row)} probabilities, line {lines[0]} has"
                f" {len(rows[0])}: each needs as many as model.predict gives for one text"
            )
    digits = max(_digits(number) for row in rows for number in row)
    outputs = np.array([[float(number) for number in row] for row in rows])
    return Answers(path, texts, lines, outputs, digits)


def _rows(where: str, text: str) -> Iterator[tuple[int, str, list[Decimal]]]:
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
        yield line, value["text"], _numbers(at, value.get("probabilities"))


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


def _digits(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    return min(max(-exponent, 0), _MOST_DIGITS) if isinstance(exponent, int) else 0
