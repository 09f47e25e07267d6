"""The golden texts of a bundle: what Keras answered to some awkward texts, to compare with.

`golden.json` is an array of objects: the text, the ids that the tokenizer must give, and the
hidden state and probabilities that Keras gave for them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentido_bundle import bounds
from sentido_bundle.errors import BundleError, quoted
from sentido_bundle.strict_json import FLAT_OBJECT, parse_array


@dataclass(frozen=True)
class GoldenText:
    """One text with the answers of Keras."""

    text: str
    ids: NDArray[np.int32]  # (tokens,)
    hidden: NDArray[np.float32]  # (hidden,)
    probabilities: NDArray[np.float32]  # (labels,)


def parse_golden(data: bytes, hidden: int, labels: int) -> list[GoldenText]:
    """Read `golden.json`; `hidden` and `labels` are the sizes that each vector must have.

    Raises BundleError, also for more texts or tokens than a bundle may hold.
    """
    texts: list[GoldenText] = []
    tokens = 0
    for piece in parse_array(
        "golden.json", data, FLAT_OBJECT, "one or more texts", bounds.GOLDEN_TEXT_BYTES
    ):
        for item in piece:
            texts.append(_parse_text(item, len(texts), hidden, labels))
            tokens += len(texts[-1].ids)
            if len(texts) > bounds.GOLDEN_TEXTS or tokens > bounds.GOLDEN_TOKENS:
                raise BundleError(
                    f"golden.json: more than {bounds.GOLDEN_TEXTS:,} texts or"
                    f" {bounds.GOLDEN_TOKENS:,} tokens"
                )
    return texts


def dump_golden(texts: Sequence[GoldenText]) -> bytes:
    """Give the bytes of `golden.json`; floats in the fewest digits that give the same float32."""
    items = [
        {
            "text": golden.text,
            "ids": golden.ids.tolist(),
            "hidden": [float(str(x)) for x in golden.hidden],
            "probabilities": [float(str(x)) for x in golden.probabilities],
        }
        for golden in texts
    ]
    lines = (json.dumps(item, ensure_ascii=True, separators=(",", ":")) for item in items)
    return ("[\n" + ",\n".join(lines) + "\n]\n").encode()


def _whole_numbers(values: Any) -> NDArray[np.int32]:
    if not isinstance(values, list) or not all(type(value) is int for value in values):
        raise TypeError("ids are not whole numbers")
    return np.array(values, dtype=np.int32)


def _parse_text(item: Any, index: int, hidden: int, labels: int) -> GoldenText:
    where = f"golden.json: text {index}"
    try:
        golden = GoldenText(
            text=item["text"],
            ids=_whole_numbers(item["ids"]),
            hidden=np.array(item["hidden"], dtype=np.float32),
            probabilities=np.array(item["probabilities"], dtype=np.float32),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise BundleError(f"{where} cannot be read: {quoted(error)}") from error
    if not isinstance(golden.text, str) or golden.ids.ndim != 1:
        raise BundleError(f"{where} is not a text with an array of ids")
    for name, vector, size in (
        ("hidden", golden.hidden, hidden),
        ("probabilities", golden.probabilities, labels),
    ):
        if vector.shape != (size,) or not np.isfinite(vector).all():
            raise BundleError(f"{where}: {name} is not {size} finite numbers")
    return golden
