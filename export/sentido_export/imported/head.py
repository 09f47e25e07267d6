"""What a model's output means: which activation makes probabilities of which layer's numbers.

Used by both who build from an architecture, the ONNX graph and the Keras model, so that both name
the same tensors `probabilities`, `logits` and `hidden`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from sentido_export.errors import ExportError
from sentido_export.imported.architecture import Architecture, Layer, with_article

HEADS: Final = ("sigmoid", "softmax")
"""The activations that make probabilities."""

_OF_NUMBERS = (  # losses of models that predict numbers, without "_"
    *("mse", "mae", "mape", "msle", "meansquarederror", "meanabsoluteerror", "huber", "huberloss"),
    *("meanabsolutepercentageerror", "meansquaredlogarithmicerror", "logcosh", "poisson"),
)


@dataclass(frozen=True)
class Head:
    """An architecture whose last activation is a layer of its own.

    `logits` is the layer whose output that activation takes, `hidden` the layer whose output enters
    the last Dense (None: there is no Dense that everything passes through). `activation` is the
    last one, over `units` numbers. `is_added`: the user's model itself returns logits.
    `splits`: one sigmoid stands for two labels.
    """

    architecture: Architecture
    logits: str
    hidden: str | None
    activation: str
    units: int
    is_added: bool
    splits: bool

    @property
    def label_count(self) -> int:
        """The number of probabilities."""
        return 2 if self.splits else self.units


def find_head(
    architecture: Architecture, task: str | None = None, given: str | None = None
) -> Head:
    """Find out what the output of a model means.

    `task`: single or multi_label; None: as the activation says. `given`: the activation that a
    model whose output is logits is to get. Raises ExportError where that leaves the answer open.
    """
    layers = {layer.name: layer for layer in architecture.layers}
    last = layers[architecture.output]
    activation = str(
        last.fields.get("activation", "softmax" if last.kind == "Softmax" else "linear")
    )
    units = _units(layers, last)
    is_added = activation == "linear"
    if is_added:
        activation = _chosen(architecture, last, units, task, given)
        whole, logits = _append(architecture, last, activation), last.name
    elif given is not None and given != activation:
        raise ExportError(
            f"--head {given}: the model's last layer {last.name} already has the activation"
            f" {activation}: leave --head out"
        )
    elif last.kind in ("Activation", "Softmax"):
        whole, logits = architecture, last.inputs[0]
    else:
        bare = replace(last, fields={**last.fields, "activation": "linear"})
        others = tuple(bare if layer is last else layer for layer in architecture.layers)
        whole = _append(replace(architecture, layers=others), bare, activation)
        logits = last.name
    _check(last, activation, units, task)
    splits = activation == "sigmoid" and units == 1 and task != "multi_label"
    return Head(whole, logits, _hidden(layers, logits), activation, units, is_added, splits)


def _append(architecture: Architecture, last: Layer, activation: str) -> Architecture:
    name = f"{last.name}/{activation}"
    layer = Layer(name, "Activation", {"activation": activation}, (last.name,))
    return replace(architecture, layers=(*architecture.layers, layer), output=name)


def _chosen(
    architecture: Architecture, last: Layer, units: int, task: str | None, given: str | None
) -> str:
    """Return the activation for an output that has none."""
    if given is not None:
        return given
    if (architecture.loss or "").replace("_", "").lower() in _OF_NUMBERS:
        raise ExportError(
            f"the model was trained with the loss {architecture.loss}, and its last layer"
            f" {last.name} has no activation: it predicts a number for a text, not labels, which is"
            " not supported; if it is a classifier all the same, say so with --head sigmoid or"
            " --head softmax"
        )
    if not architecture.from_logits:
        raise ExportError(
            f"the model's last layer {last.name} has no activation, and the file does not say that"
            " it was trained with from_logits=True: say what makes its numbers probabilities with"
            " --head sigmoid or --head softmax"
        )
    loss = (architecture.loss or "").lower()
    if units == 1 or "binary" in loss or task == "multi_label":
        return "sigmoid"
    if "categorical" in loss or task == "single":
        return "softmax"
    raise ExportError(
        f"the model's last layer {last.name} returns {units} logits: say what makes them"
        " probabilities with --head softmax (one label per text) or --head sigmoid"
    )


def _check(last: Layer, activation: str, units: int, task: str | None) -> None:
    """Raise ExportError unless these are probabilities of this task."""
    if activation not in HEADS:
        raise ExportError(
            f"the model's last layer {last.name} has the activation {activation}, which does not"
            " return probabilities: a sigmoid or a softmax is needed"
        )
    if activation == "softmax" and units == 1:
        raise ExportError(
            f"the model's last layer {last.name} is a softmax of one unit, which is 1 for every"
            " text: train it with a sigmoid, or with one unit per label"
        )
    if activation == "softmax" and task == "multi_label":
        raise ExportError(
            f"--task multi_label: the model's last layer {last.name} is a softmax, whose"
            " probabilities add up to 1: leave --task out"
        )
    if activation == "sigmoid" and units > 1 and task is None:
        raise ExportError(
            f"the model's last layer {last.name} has {units} sigmoids: say whether a text has one"
            " label (--task single) or any number of them (--task multi_label)"
        )


_PASSES = ("Activation", "Softmax", "ReLU", "LeakyReLU", "ELU", "PReLU")


def _units(layers: Mapping[str, Layer], layer: Layer) -> int:
    """Return the size of the last axis. Raises ExportError where it is not that of a Dense."""
    while layer.kind in (*_PASSES, "BatchNormalization", "LayerNormalization"):
        layer = layers[layer.inputs[0]]
    if layer.kind != "Dense":
        raise ExportError(
            f"the model ends in layer {layer.name}, {with_article(layer.kind)}: only models that"
            " end in a Dense layer are supported"
        )
    return int(layer.fields["units"])


def _hidden(layers: Mapping[str, Layer], name: str) -> str | None:
    """Return the input of the last Dense before, or of, layer `name`."""
    layer = layers[name]
    while layer.kind != "Dense":
        layer = layers[layer.inputs[0]]
    return layer.inputs[0]
