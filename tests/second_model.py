"""A second model, made by hand, that has nothing in common with the default one.

Averaged embeddings of texts of one length, padded on the left; three labels, any number of which
hold; ids without a word. No hidden state, no steps, no int8 twin. It becomes a bundle by the last
step of an export, as any model does that was trained elsewhere.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from sentido_bundle import (
    Against,
    Bundle,
    Graphs,
    Inputs,
    Layout,
    Logits,
    Padding,
    Task,
    TaskKind,
    TokenizerKind,
    TokenizerRules,
    Truncation,
    Vectors,
)
from sentido_export.package import Adapted, Facts, package
from sentido_export.remembered import Remembered

LENGTH, SIZE = 8, 5
LABELS = ("calm", "loud", "odd")
THRESHOLDS = (0.5, 0.45, 0.9)
VOCABULARY = (None, "", "a", "good", "film", None, "bad", "mess", "of", "noise")
"""Ids 0 and 5 have no word; the word of id 1, which stands for unknown ones, is empty."""

_RANDOM = np.random.default_rng(7)
MATRIX = _RANDOM.normal(0, 1, (len(VOCABULARY) + 2, SIZE)).astype(np.float32)  # two rows of no id
KERNEL = _RANDOM.normal(0, 1, (SIZE, len(LABELS))).astype(np.float32)
BIAS = np.array([0.1, -0.2, 0.3], np.float32)


def answer(sequences: Sequence[NDArray[np.int32]]) -> dict[str, NDArray[np.float32]]:
    """Compute what the model says, as a Keras model without a mask does: the padding counts."""
    padded = np.zeros((len(sequences), LENGTH), np.int32)
    for row, ids in zip(padded, sequences, strict=True):
        row[LENGTH - len(ids) :] = ids
    logits = MATRIX[padded].mean(axis=1) @ KERNEL + BIAS
    return {"probabilities": 1 / (1 + np.exp(-logits)), "logits": logits}


def write(folder: Path, layout: Layout = Layout.FIXED, has_words: bool = True) -> Bundle:
    """Write the model as a bundle; in the layout `alone` no padding is read.

    `has_words`: whether the bundle gives word vectors.
    """
    is_fixed = layout is Layout.FIXED
    padding = Padding.PRE if is_fixed else None
    model = Adapted(
        labels=LABELS,
        task=Task(TaskKind.MULTI_LABEL, THRESHOLDS),
        tokenizer=TokenizerRules(TokenizerKind.KERAS, True, "!.", " ", None, ""),
        vocabulary=VOCABULARY,
        inputs=Inputs(layout, LENGTH, Truncation.POST, padding),
        graphs=_graphs(LENGTH if is_fixed else "time"),
        answer=Remembered(answer if is_fixed else _answer_alone),
        against=Against.REBUILT,
        same_bits=not is_fixed,  # ONNX Runtime multiplies one row in another way than several
        cleaned_by_caller=True,
        word_vectors=Vectors(SIZE) if has_words else None,
        logits=Logits(),
    )
    return package(folder, model, Facts("second", "7"), ["a good film", "noise of noise"])


def _answer_alone(sequences: Sequence[NDArray[np.int32]]) -> dict[str, NDArray[np.float32]]:
    means = [MATRIX[ids if len(ids) else [0]].mean(axis=0) for ids in sequences]
    logits = np.stack(means) @ KERNEL + BIAS
    return {"probabilities": 1 / (1 + np.exp(-logits)), "logits": logits}


def _graphs(time: int | str) -> Graphs:
    node = helper.make_node
    nodes = [
        node("Gather", ["embedding_matrix", "token_ids"], ["vectors"]),
        node("ReduceMean", ["vectors", "axis"], ["mean"], keepdims=0),
        node("Gemm", ["mean", "kernel", "bias"], ["logits"]),
        node("Sigmoid", ["logits"], ["probabilities"]),
    ]
    matrix = TensorProto(name="embedding_matrix", data_type=TensorProto.FLOAT, dims=MATRIX.shape)
    matrix.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "weights.bin"), ("offset", 0), ("length", MATRIX.nbytes)):
        matrix.external_data.add(key=key, value=str(value))
    stored = {"kernel": KERNEL, "bias": BIAS, "axis": np.array([1], np.int64)}
    tensors = [matrix, *(numpy_helper.from_array(array, name) for name, array in stored.items())]
    values = [
        [helper.make_tensor_value_info("token_ids", TensorProto.INT32, ["batch", time])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", len(LABELS)])
            for name in ("probabilities", "logits")
        ],
    ]
    graph = helper.make_graph(nodes, "second", *values, initializer=tensors)
    opset = [helper.make_opsetid("", 18)]
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=opset, ir_version=8)
    return Graphs(model=model.SerializeToString(), weights=MATRIX.tobytes())
