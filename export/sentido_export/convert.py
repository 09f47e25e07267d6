"""From a trained Keras model to the two ONNX graphs of a bundle.

tf2onnx turns an *unmasked* LSTM into one ONNX `LSTM` node, but a masked one into a `Loop` that is
ten times slower. So an unmasked twin with the same weights is converted, and the node is then
told the real length of each text (its input `sequence_lens`), which gives what the mask gives.
"""

from collections.abc import Collection
from typing import Any

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from onnx import TensorProto, helper, numpy_helper
from sentido_bundle import Graphs

from sentido_export.errors import ExportError
from sentido_export.model import Layers
from sentido_export.weights import Weights

OPSET = 18


def convert(layers: Layers) -> Graphs:
    """Convert a model. Raises ExportError unless each graph holds one LSTM node and no Loop."""
    ids = tf.TensorSpec([None, None], tf.int32, name="token_ids")  # (batch, time)
    embeddings = layers.embedding.embeddings
    stepping = _twin(layers.lstm)

    @tf.function(input_signature=[ids])  # type: ignore[untyped-decorator]
    def model(token_ids: Any) -> dict[str, Any]:
        vectors = tf.gather(embeddings, token_ids)  # (batch, time, embedding)
        hidden = stepping(vectors)[:, -1]  # (batch, hidden)
        return {"probabilities": layers.probabilities(hidden), "hidden": hidden}

    @tf.function(input_signature=[ids])  # type: ignore[untyped-decorator]
    def steps(token_ids: Any) -> dict[str, Any]:
        return {"steps": stepping(tf.gather(embeddings, token_ids))}

    hidden, labels = layers.lstm.units, layers.label_count
    model_graph = _convert(model, {"probabilities": ["batch", labels], "hidden": ["batch", hidden]})
    step_graph = _convert(steps, {"steps": ["batch", "time", hidden]})
    weights = Weights()
    return Graphs(
        model=weights.move_out(model_graph, np.asarray(embeddings)),
        steps=weights.move_out(step_graph, np.asarray(embeddings)),
        weights=bytes(weights.data),
    )


def _twin(lstm: keras.layers.LSTM) -> keras.layers.LSTM:
    """Build an LSTM of the same weights that gives the state after every token."""
    twin = keras.layers.LSTM(lstm.units, return_sequences=True, name="lstm")
    twin.build((None, None, lstm.cell.kernel.shape[0]))
    twin.set_weights(lstm.get_weights())
    return twin


def _convert(function: Any, outputs: dict[str, list[str | int]]) -> onnx.ModelProto:
    model, _ = tf2onnx.convert.from_function(
        function, input_signature=function.input_signature, opset=OPSET
    )
    graph = model.graph
    operators = [node.op_type for node in graph.node]
    if operators.count("LSTM") != 1 or "Loop" in operators:
        raise ExportError(f"tf2onnx did not give one LSTM node and no Loop, but {operators}")
    _read_lengths(graph)
    _prune(graph)
    _number(graph, outputs)
    graph.name = "sentido"
    inputs: dict[str, list[str | int]] = {"token_ids": ["batch", "time"], "lengths": ["batch"]}
    for field, shapes, kind in (
        (graph.input, inputs, TensorProto.INT32),
        (graph.output, outputs, TensorProto.FLOAT),
    ):
        del field[:]
        field.extend(helper.make_tensor_value_info(n, kind, s) for n, s in shapes.items())
    onnx.checker.check_model(model)
    return model


def _read_lengths(graph: onnx.GraphProto) -> None:
    """Give the LSTM node the texts' lengths, and read the final state from where it then is.

    The node's inputs are X, W, R, B, sequence_lens, initial_h, initial_c; the last two are zero
    in Keras as in ONNX and are left out. Its outputs are Y (every step) and Y_h (the last one,
    (1, batch, hidden)). Converted from `steps[:, -1]`, `hidden` reads Y at the end of the padding.
    """
    node = next(node for node in graph.node if node.op_type == "LSTM")
    inputs = [*node.input[:4], "lengths"]
    del node.input[:]
    node.input.extend(inputs)
    hidden = next((n for n in graph.node if "hidden" in n.output), None)
    if hidden is None:
        return  # steps.onnx has no final state
    if len(node.output) < 2:
        node.output.append("")
    node.output[1] = "final_state"
    graph.initializer.append(numpy_helper.from_array(np.array([0], np.int64), "direction"))
    hidden.CopyFrom(helper.make_node("Squeeze", ["final_state", "direction"], ["hidden"]))


def _prune(graph: onnx.GraphProto) -> None:
    """Drop the nodes and tensors that no output needs."""
    needed = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
            kept.append(node)
    tensors = [tensor for tensor in graph.initializer if tensor.name in needed]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(reversed(kept))
    graph.initializer.extend(tensors)


def _number(graph: onnx.GraphProto, kept: Collection[str]) -> None:
    """Name nodes and tensors by the order of the nodes that use them, but those that are kept.

    tf2onnx numbers whatever it names in a process, and of equal tensors keeps any: a second export
    would get other bytes.
    """
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    names, used = {name: name for name in ("", *kept)}, list[TensorProto]()
    for number, node in enumerate(graph.node):
        node.name = f"{node.op_type}_{number}"
        for name in node.input:
            if name in tensors and name not in names:
                names[name] = f"constant_{len(used)}"
                used.append(tensors[name])
        for name in node.output:
            names.setdefault(name, f"{node.op_type}_{number}_{len(names)}")
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names[name] for name in node.output]
    for tensor in used:
        tensor.name = names[tensor.name]
    del graph.initializer[:]
    graph.initializer.extend(used)
    graph.doc_string = ""
