"""Measures what one operator takes in ONNX Runtime, and prints it beside what was said of it.

A program of its own for each operator, because freed memory is used again: given the name of a
case of WIDE it prints the bytes that opening and running took, and those that were computed.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from graph_cases import INPUTS, TWO, Case, Input, longs, model_of
from numpy.typing import NDArray
from onnxruntime import InferenceSession, SessionOptions
from sentido_bundle.graphs.model_file import read_model
from sentido_bundle.graphs.walk import Needs, walk_graph

WIDTH, ROWS, TIME = 256, 8, 1000  # 8 MB in a tensor of floats


def zeros(*shape: int) -> NDArray[np.float32]:
    """Return zeros."""
    return np.zeros(shape, np.float32)


def _layer(operator: str, gates: int) -> Case:
    two = 2 * gates * WIDTH
    inputs: list[Input] = ["turned", zeros(2, gates * WIDTH, WIDTH), zeros(2, gates * WIDTH, WIDTH)]
    attributes = {"hidden_size": WIDTH, "direction": "bidirectional"}
    lengths = "from_1" if operator == "RNN" else "lengths"
    return Case(operator, [*inputs, zeros(2, two), lengths], attributes, 1)


def _case(operator: str, *inputs: Input, **attributes: object) -> Case:
    return Case(operator, inputs, attributes)


_CHANNEL = zeros(WIDTH)
WIDE: Mapping[str, Case] = {
    "LSTM": _layer("LSTM", 4),
    "GRU": _layer("GRU", 3),
    "RNN": _layer("RNN", 1),
    "Conv": _case("Conv", "channels", zeros(WIDTH, WIDTH, 5), pads=[2, 2]),
    "Conv of images": _case("Conv", "image", zeros(WIDTH, WIDTH, 1, 5), pads=[0, 2, 0, 2]),
    "Conv with dilation": _case("Conv", "channels", zeros(WIDTH, WIDTH, 5), dilations=[4]),
    "ConvInteger": _case(
        "ConvInteger", "small_channels", np.zeros((WIDTH, WIDTH, 5), np.int8), pads=[2, 2]
    ),
    "MatMul": _case("MatMul", "x", zeros(WIDTH, 1024)),
    "MatMul of two": _case("MatMul", "x", "x_transposed"),
    "MatMulInteger": _case("MatMulInteger", "small", np.zeros((WIDTH, 1024), np.int8)),
    "MaxPool": _case("MaxPool", "channels", kernel_shape=[5], auto_pad="SAME_UPPER"),
    "GlobalMaxPool": _case("GlobalMaxPool", "channels"),
    "ReduceMax": _case("ReduceMax", "x", longs(1)),
    "ReduceSum": _case("ReduceSum", "turned", longs(0)),
    "ReduceLogSumExp": _case("ReduceLogSumExp", "x", longs(1)),
    "Softmax": _case("Softmax", "x", axis=1),
    "LogSoftmax": _case("LogSoftmax", "x", axis=1),
    "LayerNormalization": _case("LayerNormalization", "x", _CHANNEL, _CHANNEL),
    "BatchNormalization": _case("BatchNormalization", "channels", *(4 * [_CHANNEL])),
    "InstanceNormalization": _case("InstanceNormalization", "channels", _CHANNEL, _CHANNEL),
    "Where": _case("Where", "mask3", "x", TWO),
    "Max": _case("Max", "x", "x", "x"),
    "Sum": _case("Sum", "x", "x", "x"),
    "Mish": _case("Mish", "x"),
    "HardSwish": _case("HardSwish", "x"),
    "Celu": _case("Celu", "x"),
    "Pow": _case("Pow", "x", _CHANNEL),
    "Clip": _case("Clip", "x", TWO / 4, TWO),
    "Pad": _case("Pad", "x", longs(0, 5, 0, 0, 5, 0)),
    "Tile": _case("Tile", "x", longs(1, 1, 2)),
    "Concat": _case("Concat", "x", "x", axis=2),
    "Transpose": _case("Transpose", "x", perm=[2, 0, 1]),
    "Slice": _case("Slice", "x", longs(-1), longs(-(2**31)), longs(1), longs(-1)),
    "ReverseSequence": _case("ReverseSequence", "turned", "lengths64"),
    "CumSum": _case("CumSum", "x", np.array(1, np.int64)),
}


def _alone(tried: Case) -> onnx.ModelProto:
    """Return the graph of a case without what its node does not need."""
    model = model_of(tried, width=WIDTH)
    needed, kept = {"y0"}, []
    for node in reversed(model.graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
            kept.append(node)
    tensors = [tensor for tensor in model.graph.initializer if tensor.name in needed]
    del model.graph.node[:], model.graph.initializer[:], model.graph.output[:]
    model.graph.node.extend(reversed(kept))
    model.graph.initializer.extend(tensors)
    return model


def peak_bytes() -> int:
    """Return what this process held at most."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def main(name: str) -> None:
    """Print what opening and running a case took, and what was said of it, in bytes."""
    model = _alone(WIDE[name])
    needs = Needs(INPUTS, {}, TIME, TIME)
    cost = walk_graph(name, read_model(model.SerializeToString()), b"", needs).cost
    model.graph.output.append(onnx.ValueInfoProto(name="y0"))
    data, options = model.SerializeToString(), SessionOptions()
    options.enable_mem_pattern = False
    options.intra_op_num_threads = 1
    feed = {"token_ids": np.ones((ROWS, TIME), np.int32), "lengths": np.full(ROWS, TIME, np.int32)}
    before = peak_bytes()
    session = InferenceSession(
        data, options, providers=["CPUExecutionProvider"], disabled_optimizers=["ConstantFolding"]
    )
    opened = peak_bytes()
    names = [each.name for each in session.get_inputs()]
    session.run(["y0"], {each: feed[each] for each in names})
    taken = {"opened": opened - before, "run": peak_bytes() - opened}
    print(json.dumps({**taken, "said": cost.memory_bytes(ROWS, TIME)}))


if __name__ == "__main__":
    main(sys.argv[1])
