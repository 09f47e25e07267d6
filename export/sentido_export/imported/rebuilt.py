"""A Keras model of our own with the user's layers, fields and weights: what the graph is held to.

Made of the installed Keras' classes from plain values. Nothing of the user's file is deserialized.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from sentido_bundle.golden import LAST_STEP

from sentido_export.errors import ExportError
from sentido_export.imported.architecture import Layer
from sentido_export.imported.head import Head

_BATCH = 64  # texts


class Rebuilt:
    """A Keras model of the user's layers; used to answer the texts that a graph is compared on."""

    def __init__(self, head: Head, length: int | None, last_step: str | None = None) -> None:
        """Build it for ids of shape (texts, length). Raises ExportError if Keras cannot.

        Without a length each text is answered by itself, without its padding, on the right.
        `last_step`: a layer whose output is an answer, too.
        """
        self._head, self._is_alone = head, length is None
        self._outputs = _outputs(head, last_step)
        try:
            self._ids, self._tensors = _tensors(head, length)
            outputs = [self._tensors[name] for name in self._outputs.values()]
            self._model = keras.Model(self._ids, outputs)
        except (ValueError, TypeError, NotImplementedError) as error:
            reason = " ".join(str(error).split())
            raise ExportError(f"Keras cannot build this model again: {reason:.300}") from error

        @tf.function(  # type: ignore[untyped-decorator]
            input_signature=[tf.TensorSpec([None, length], tf.int32)]
        )
        def run(batch: Any) -> Any:
            return self._model(batch, training=False)

        self._run = run

    def answer(self, ids: NDArray[np.int32]) -> dict[str, NDArray[np.float32]]:
        """Answer padded ids (texts, length): by the names that a graph gives its outputs."""
        outputs = self._all(ids)
        if self._head.splits:
            other, negative = 1 - outputs["probabilities"], -outputs["logits"]
            for name, first in (("probabilities", other), ("logits", negative)):
                outputs[name] = np.concatenate([first, outputs[name]], axis=1)
        return outputs

    def predict(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return what the user's own `model.predict` gives for padded ids (texts, length)."""
        return self._all(ids)["logits" if self._head.is_added else "probabilities"]

    def sizes(self, ids: NDArray[np.int32]) -> dict[str, float]:
        """Return the average size of what each layer gives for padded ids, in their order.

        Layers are named as the user's are: what follows an activation is of the layer that has it.
        """
        layers = [layer.name for layer in self._head.architecture.layers]
        outputs = keras.Model(self._ids, [self._tensors[name] for name in layers])(ids)
        found: dict[str, float] = {}
        for name, output in zip(layers, outputs if len(layers) > 1 else [outputs], strict=True):
            whose = name.rpartition("/")[0]
            is_own = whose in found and name.endswith(("/activation", "/sigmoid", "/softmax"))
            found[whose if is_own else name] = float(np.abs(np.asarray(output)).mean())
        return found

    def _all(self, ids: NDArray[np.int32]) -> dict[str, NDArray[np.float32]]:
        found = [self._run(batch) for batch in self._batches(ids)]
        whole = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return dict(zip(self._outputs, whole, strict=True))

    def _batches(self, ids: NDArray[np.int32]) -> Iterator[NDArray[np.int32]]:
        if self._is_alone:
            yield from (row[None, : max(1, np.count_nonzero(row))] for row in ids)
        else:
            yield from (ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH))


def _outputs(head: Head, last_step: str | None) -> dict[str, str]:
    """Return the layers that answer, by the names of their answers."""
    found = {"probabilities": head.architecture.output, "logits": head.logits}
    others = {"hidden": head.hidden, LAST_STEP: last_step}
    return found | {name: layer for name, layer in others.items() if layer is not None}


def _tensors(head: Head, length: int | None) -> tuple[Any, dict[str, Any]]:
    """Return the input of the model, and what each layer gives, by its name."""
    architecture = head.architecture
    ids = keras.Input((length,), dtype="int32", name="token_ids")
    tensors: dict[str, Any] = {entry.name: ids for entry in architecture.inputs}
    for layer, made in _layers(architecture.layers):
        into = [tensors[name] for name in layer.inputs]
        tensors[layer.name] = made(into if len(into) > 1 else into[0])
        made.set_weights(list(layer.weights))
    return ids, tensors


def _layers(layers: Sequence[Layer]) -> Iterator[tuple[Layer, keras.layers.Layer]]:
    for layer in layers:
        yield layer, _MAKERS.get(layer.kind, _plain)(layer)


def _plain(layer: Layer) -> keras.layers.Layer:
    return getattr(keras.layers, layer.kind)(**_arguments(layer.fields))


def _embedding(layer: Layer) -> keras.layers.Embedding:
    return keras.layers.Embedding(*layer.weights[0].shape, **layer.fields)


def _bidirectional(layer: Layer) -> keras.layers.Bidirectional:
    inner = _arguments(layer.fields["layer"])
    wrapped = getattr(keras.layers, inner.pop("kind"))(**inner)
    return keras.layers.Bidirectional(wrapped, merge_mode=layer.fields["merge_mode"])


class _Average(keras.layers.GlobalAveragePooling1D):  # type: ignore[misc]
    """Keras' average, but zeros where it divides by zero: for a text without a step."""

    def call(self, inputs: Any, mask: Any = None) -> Any:
        average = super().call(inputs, mask=mask)
        if mask is None:
            return average
        is_empty = keras.ops.logical_not(keras.ops.any(mask, axis=1))  # (batch,)
        while len(is_empty.shape) < len(average.shape):
            is_empty = keras.ops.expand_dims(is_empty, -1)
        return keras.ops.where(is_empty, 0.0, average)


def _average(layer: Layer) -> keras.layers.Layer:
    return _Average(**layer.fields)


def _prelu(layer: Layer) -> keras.layers.PReLU:
    shape = layer.weights[0].shape
    return keras.layers.PReLU(shared_axes=[i + 1 for i, size in enumerate(shape) if size == 1])


_MAKERS: Mapping[str, Callable[[Layer], keras.layers.Layer]] = {
    "Embedding": _embedding,
    "Bidirectional": _bidirectional,
    "GlobalAveragePooling1D": _average,
    "PReLU": _prelu,
}


@keras.saving.register_keras_serializable("sentido")  # type: ignore[untyped-decorator]
def hard_sigmoid_keras2(x: Any) -> Any:
    """Return what Keras 2 called hard_sigmoid: Bidirectional looks it up by its name."""
    return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)


_ACTIVATIONS = {"hard_sigmoid_keras2": hard_sigmoid_keras2, "hard_sigmoid_keras3": "hard_sigmoid"}


def _arguments(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields as Keras takes them."""
    return {
        name: _ACTIVATIONS.get(value, value) if name.endswith("activation") else value
        for name, value in fields.items()
    }
