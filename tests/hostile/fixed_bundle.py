"""A good bundle of another model than that of `bundles.py`, in each way in which it can be."""

import json

import numpy as np
from bundles import Files, Sizes, graph_of, manifest_of, with_golden
from onnx import helper, numpy_helper


def fixed(length: int = 12) -> Files:
    """Make a bundle that has nothing in common with `sized`: another model in each way.

    It reads texts of one length, padded on the right: the average of the real words' vectors,
    the largest of a convolution, and the ends of a GRU in both directions, normalized. Three
    labels at once, logits; no hidden state, no steps, no word vectors, no file of weights.
    """
    random = np.random.default_rng(0)
    stored = {
        name: random.normal(0, 0.3, shape).astype(np.float32)
        for name, shape in {
            "E": (50, 4),
            "K": (3, 4, 2),
            "b": (3,),
            "W": (2, 6, 4),
            "R": (2, 6, 2),
            "B": (2, 12),
            "scale": (11,),
            "bias": (11,),
            "mean": (11,),
            "D": (11, 3),
            "d": (3,),
        }.items()
    } | {"variance": np.ones(11, np.float32)}
    numbers = {
        "zero": np.array(0, np.int32),
        "one": np.array(1, np.float32),
        "nothing": np.zeros((), np.float32),
        "first": np.array([0], np.int64),
        "second": np.array([1], np.int64),
        "last": np.array([2], np.int64),
        "flat": np.array([-1, 4], np.int64),
    }
    node = helper.make_node
    layer = {"hidden_size": 2, "direction": "bidirectional", "linear_before_reset": 1}
    nodes = [
        node("Gather", ["E", "token_ids"], ["x"]),
        node("Greater", ["token_ids", "zero"], ["real"]),
        node("Unsqueeze", ["real", "last"], ["mask"]),
        node("Where", ["mask", "x", "nothing"], ["words"]),
        node("ReduceSum", ["words", "second"], ["sum"], keepdims=0),
        node("Cast", ["real"], ["ones"], to=1),
        node("ReduceSum", ["ones", "second"], ["count"], keepdims=1),
        node("Max", ["count", "one"], ["divisor"]),
        node("Div", ["sum", "divisor"], ["average"]),
        node("Transpose", ["x"], ["channels"], perm=[0, 2, 1]),
        node("Conv", ["channels", "K", "b"], ["filtered"], kernel_shape=[2], pads=[1, 0]),
        node("Relu", ["filtered"], ["active"]),
        node("MaxPool", ["active"], ["pooled"], kernel_shape=[2], strides=[2]),
        node("GlobalMaxPool", ["pooled"], ["peaks"]),
        node("Squeeze", ["peaks", "last"], ["peak"]),
        node("Transpose", ["x"], ["turned"], perm=[1, 0, 2]),
        node(
            "GRU",
            ["turned", "W", "R", "B"],
            ["", "ends"],
            **layer,
        ),
        node("Transpose", ["ends"], ["both"], perm=[1, 0, 2]),
        node("Reshape", ["both", "flat"], ["state"]),
        node("Concat", ["average", "peak", "state"], ["all"], axis=1),
        node("BatchNormalization", ["all", "scale", "bias", "mean", "variance"], ["normal"]),
        node("Gemm", ["normal", "D", "d"], ["logits"]),
        node("Sigmoid", ["logits"], ["probabilities"]),
    ]
    tensors = [numpy_helper.from_array(array, name) for name, array in (stored | numbers).items()]
    outputs: dict[str, list[str | int]] = {"probabilities": ["b", 3], "logits": ["b", 3]}
    model = graph_of(nodes, tensors, {"token_ids": ["b", length]}, outputs)
    manifest = {
        **manifest_of(Sizes(), {}),
        "labels": ["dry", "long", "loud"],
        "task": {"kind": "multi_label", "thresholds": [0.5, 0.4, 0.9]},
        "inputs": {"layout": "fixed", "length": length, "truncation": "post", "padding": "post"},
        "logits": {},
        "same_bits": False,  # ReduceSum adds up in another order where a batch has one text
    }
    words = json.dumps([None, *(f"w{i}" for i in range(1, 50))]).encode()
    files = {"model.onnx": model, "weights.bin": bytes(4), "vocabulary.json": words}
    return with_golden({"manifest.json": json.dumps(manifest).encode(), **files})
