"""Runs a graph while it is being exported, as servers run it: on one thread."""

import onnx
from onnxruntime import InferenceSession, SessionOptions


def session_of(model: onnx.ModelProto) -> InferenceSession:
    """Open a graph whose tensors are all in it."""
    options = SessionOptions()
    options.intra_op_num_threads = 1
    return InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
