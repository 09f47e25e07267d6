"""The int8 twin of `model.onnx`: made from it alone, and measured against it.

Weights are 7-bit integers, a scale for each unit and gate: ONNX Runtime multiplies them by 8-bit
activations and adds pairs in 16 bits, which CPUs without VNNI would saturate for 8-bit weights
(255 * 127 * 2 > 2^15 - 1 >= 255 * 64 * 2). So every CPU adds up the same integers.
"""

import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper
from onnxruntime.quantization import quantize_dynamic
from sentido_bundle import Bundle, GoldenText, Graphs, Int8, Outputs
from sentido_bundle.sections import MOST_INT8_TOLERANCE

from sentido_export.data import Dataset
from sentido_export.errors import ExportError
from sentido_export.remembered import Answer

_MARGIN = 2  # of the tolerance over what was measured: another CPU rounds some activations else
_LEAST_TOLERANCE = 1e-4  # golden answers are Keras', which fp32 itself meets within 1e-5

UNMEASURED = Int8(0, 0.0, 0.0, 0.0, MOST_INT8_TOLERANCE)
"""What the manifest says while a twin is being measured."""


def quantize(graphs: Graphs) -> bytes:
    """Quantize the LSTM of `graphs.model`: the same graph with a DynamicQuantizeLSTM in its place.

    What is not quantized stays where it is, the embedding matrix in `weights.bin`; the quantized
    weights are stored inline. Raises ExportError if ONNX Runtime cannot quantize the LSTM.
    """
    stored = onnx.load_model_from_string(graphs.model)
    whole = onnx.load_model_from_string(graphs.model)
    for tensor in whole.graph.initializer:
        _move_in(tensor, graphs.weights)
    twin = _quantize(whole)
    kept = {tensor.name: tensor for tensor in stored.graph.initializer}
    for tensor in twin.graph.initializer:
        array = numpy_helper.to_array(tensor)  # ONNX Runtime writes scales in another encoding
        tensor.CopyFrom(kept.get(tensor.name) or numpy_helper.from_array(array, tensor.name))
    del twin.graph.value_info[:], twin.metadata_props[:]
    operators = [node.op_type for node in twin.graph.node]
    if "LSTM" in operators or operators.count("DynamicQuantizeLSTM") != 1:
        raise ExportError(f"ONNX Runtime did not quantize the LSTM, but gave {operators}")
    return bytes(twin.SerializeToString())


def measure(
    fp32: Answer, int8: Bundle, held_out: Dataset, golden: Sequence[GoldenText], accuracy: float
) -> Int8:
    """Compare a bundle's two precisions on the texts on which fp32's `accuracy` was measured.

    The tolerance leaves room over what is found here on held-out and golden texts. Raises
    ExportError if it would be over the most that a bundle may have.
    """
    ids = [int8.tokenizer.encode(text).ids for text in held_out.texts]
    quantized = int8.run(ids)
    differences = _differences(quantized, fp32(ids))
    golden_ids = [text.ids for text in golden]
    of_golden = _differences(int8.run(golden_ids), fp32(golden_ids))
    tolerance = _MARGIN * max(*differences.values(), *of_golden.values())
    if not tolerance <= MOST_INT8_TOLERANCE:  # not: NaN is not within it
        raise ExportError(
            f"its answers differ from fp32's by {tolerance / _MARGIN:.2g}, at most"
            f" {MOST_INT8_TOLERANCE / _MARGIN:g} is allowed"
        )
    right = quantized.probabilities.argmax(axis=1) == held_out.labels
    return Int8(
        texts=len(held_out),
        accuracy=float(right.mean()),
        accuracy_loss=accuracy - float(right.mean()),
        largest_difference_probabilities=differences["probabilities"],
        largest_difference_hidden=differences.get("hidden"),
        tolerance=max(tolerance, _LEAST_TOLERANCE),
    )


def _differences(a: Outputs, b: Mapping[str, NDArray[np.float32]]) -> dict[str, float]:
    """Return the largest difference of each output."""
    return {name: float(np.abs(rows - b[name]).max()) for name, rows in a.arrays.items()}


def _quantize(model: onnx.ModelProto) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        logging.disable(logging.WARNING)  # its advice to preprocess this graph
        try:
            quantize_dynamic(
                model, path, op_types_to_quantize=["LSTM"], per_channel=True, reduce_range=True
            )
        finally:
            logging.disable(logging.NOTSET)
        return onnx.load(path)


def _move_in(tensor: TensorProto, weights: bytes) -> None:
    """Store a tensor of `weights.bin` in the graph, where ONNX Runtime's quantizer wants it."""
    if tensor.data_location != TensorProto.EXTERNAL:
        return
    facts = {entry.key: entry.value for entry in tensor.external_data}
    offset, length = int(facts["offset"]), int(facts["length"])
    tensor.ClearField("external_data")
    tensor.ClearField("data_location")
    tensor.raw_data = weights[offset : offset + length]
