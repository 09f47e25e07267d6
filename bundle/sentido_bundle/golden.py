"""The golden texts of a bundle: what Keras answered to some awkward texts, to compare with.

`golden.json` is an array of objects: the text, the ids that the tokenizer must give, and what
Keras gave for them, by the name of the output: `probabilities` and, where the bundle has them,
`hidden` and `logits`. Steps must end in `last_step`, or in `hidden` where a text has none.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentido_bundle import bounds
from sentido_bundle.errors import BundleError, quoted
from sentido_bundle.sections import Vectors
from sentido_bundle.strict_json import FLAT_OBJECT, parse_array


@dataclass(frozen=True)
class GoldenText:
    """One text with the answers of Keras."""

    text: str
    ids: NDArray[np.int32]  # (tokens,)
    answers: Mapping[str, NDArray[np.float32]]  # by output: "probabilities", "hidden", ...


LAST_STEP = "last_step"
"""What the last recurrent layer gives for a text's last token, where that is not its `hidden`."""


def parse_golden(
    data: bytes, sizes: Mapping[str, int], steps: Vectors | None = None
) -> list[GoldenText]:
    """Read `golden.json`; `sizes`: what each text must have beside its ids, and of which size.

    `steps`: of bundles that have them; a text may then have LAST_STEP of that size. Raises
    BundleError, also for more texts or tokens than a bundle may hold.
    """
    texts: list[GoldenText] = []
    tokens = 0
    for piece in parse_array(
        "golden.json", data, FLAT_OBJECT, "one or more texts", bounds.GOLDEN_TEXT_BYTES
    ):
        for item in piece:
            more = {LAST_STEP: steps.size} if steps is not None and LAST_STEP in item else {}
            texts.append(_parse_text(item, len(texts), {**sizes, **more}))
            tokens += len(texts[-1].ids)
            if len(texts) > bounds.GOLDEN_TEXTS or tokens > bounds.GOLDEN_TOKENS:
                raise BundleError(
                    f"golden.json: more than {bounds.GOLDEN_TEXTS:,} texts or"
                    f" {bounds.GOLDEN_TOKENS:,} tokens"
                )
    return texts


def dump_golden(texts: Sequence[GoldenText]) -> bytes:
    """Return the bytes of `golden.json`; floats in the fewest digits that give the same float32."""
    items = [
        {
            "text": golden.text,
            "ids": golden.ids.tolist(),
            **{name: [float(str(x)) for x in row] for name, row in golden.answers.items()},
        }
        for golden in texts
    ]
    lines = (json.dumps(item, ensure_ascii=True, separators=(",", ":")) for item in items)
    return ("[\n" + ",\n".join(lines) + "\n]\n").encode()


def _whole_numbers(values: Any) -> NDArray[np.int32]:
    if not isinstance(values, list) or not all(type(value) is int for value in values):
        raise TypeError("ids are not whole numbers")
    return np.array(values, dtype=np.int32)


def _parse_text(item: Any, index: int, sizes: Mapping[str, int]) -> GoldenText:
    where = f"golden.json: text {index}"
    try:
        golden = GoldenText(
            text=item["text"],
            ids=_whole_numbers(item["ids"]),
            answers={name: np.array(item[name], dtype=np.float32) for name in sizes},
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise BundleError(f"{where} cannot be read: {quoted(error)}") from error
    if not isinstance(golden.text, str) or golden.ids.ndim != 1:
        raise BundleError(f"{where} is not a text with an array of ids")
    for name, vector in golden.answers.items():
        if vector.shape != (sizes[name],) or not np.isfinite(vector).all():
            raise BundleError(f"{where}: {name} is not {sizes[name]} finite numbers")
    return golden
