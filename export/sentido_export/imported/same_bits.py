"""Measures whether a text gives the same bits, whatever texts are beside it in a batch."""

import numpy as np
import onnx
from numpy.typing import NDArray
from sentido_bundle import Inputs
from sentido_bundle.batches import MOST_ROWS
from sentido_bundle.layouts import layout_of

from sentido_export.imported.graph.session import session_of

_LENGTHS = (0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 500, 7)
_SIZES = (2, 3, 4, 5, 8, 12, MOST_ROWS)


def gives_same_bits(model: onnx.ModelProto, inputs: Inputs, ids: int) -> bool:
    """Run texts of many lengths alone and in batches. `ids`: entries of the vocabulary.

    Of ONNX Runtime's RNN it is known that it multiplies the texts of a batch together, though few
    texts may not show it.
    """
    if layout_of(inputs).most_rows == 1:
        return True
    if any(node.op_type == "RNN" for node in model.graph.node):
        return False
    session, layout = session_of(model), layout_of(inputs)

    def run(texts: list[NDArray[np.int32]]) -> list[NDArray[np.float32]]:
        outputs: list[NDArray[np.float32]] = session.run(None, layout.inputs(texts))
        return outputs

    texts = [_text(index, min(length, inputs.length), ids) for index, length in enumerate(_LENGTHS)]
    alone = [run([text]) for text in texts]
    for size in _SIZES:
        for index, rows in enumerate(zip(*run(texts[-size:]), strict=True)):
            one = alone[len(texts) - size + index]
            if any(
                row.tobytes() != single.tobytes() for row, single in zip(rows, one, strict=True)
            ):
                return False
    return True


def _text(seed: int, length: int, ids: int) -> NDArray[np.int32]:
    return np.random.default_rng(seed).integers(1, max(2, ids), length).astype(np.int32) % ids
