"""That our graph of a Keras model answers as the one that tf2onnx makes of the same model.

It is a second opinion by a converter that other people wrote, which traces TensorFlow's operations
and knows nothing of layers. It takes a second for a model, so that most are converted at night.
"""

import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
import onnx
import pytest
import tensorflow as tf
import tf2onnx
from numpy.typing import NDArray
from onnxruntime import InferenceSession
from own_model_cases import CASES, MODELS, TEXTS
from own_models import LENGTH, padded, read_back, with_random_weights
from sentido_bundle import Padding
from sentido_export.imported.graph.build import build_fixed
from sentido_export.imported.head import find_head

pytestmark = pytest.mark.filterwarnings("ignore:.*does not support masking.*:UserWarning")

OPSET = 18
UNKNOWN = "activations of steps"  # to tf2onnx: the Erfc of gelu
DAILY = {("lstm", False), ("gru, reset after", False), ("convolution, maximum", False)}

Floats = NDArray[np.float32]


def by_tf2onnx(model: Any) -> onnx.ModelProto:
    """Return the graph that tf2onnx makes of a Keras model, for padded ids (texts, length)."""
    ids = tf.TensorSpec([None, LENGTH], tf.int32, name="token_ids")
    count = len(model.inputs)

    @tf.function(input_signature=[ids])  # type: ignore[untyped-decorator]
    def answer(token_ids: Any) -> Any:
        return model([token_ids] * count if count > 1 else token_ids, training=False)

    return tf2onnx.convert.from_function(answer, input_signature=[ids], opset=OPSET)[0]


def run(graph: onnx.ModelProto, ids: NDArray[np.int32], output: str | None = None) -> Floats:
    session = InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(output and [output], {session.get_inputs()[0].name: ids})
    return np.concatenate([1 - found, found], axis=1) if found.shape[1] == 1 else found


@pytest.mark.parametrize(
    ("name", "mask"),
    [
        pytest.param(*case, marks=() if case in DAILY else pytest.mark.nightly)
        for case in CASES
        if case[0] != UNKNOWN
    ],
)
def test_a_graph_answers_as_the_one_that_tf2onnx_makes(name: str, mask: bool) -> None:
    model = with_random_weights(MODELS[name](mask), 0.7)
    head, theirs = find_head(read_back(model)), by_tf2onnx(model)
    for padding in Padding:
        ids = padded(TEXTS, padding)
        ours = run(build_fixed(head, LENGTH, padding).model, ids, "probabilities")
        wanted = run(theirs, ids)
        texts = np.isfinite(wanted).all(axis=1)  # Keras divides by zero for an average of no step
        assert texts.sum() >= len(TEXTS) - 1
        assert np.abs(ours - wanted)[texts].max() <= 1e-5
        assert wanted[texts].std() > 0.01
