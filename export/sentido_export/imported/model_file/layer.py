"""Reads the configuration of one layer by the table of `kinds.py`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sentido_export.errors import ExportError
from sentido_export.imported.architecture import with_article
from sentido_export.imported.model_file.fields import FieldError, Version
from sentido_export.imported.model_file.kinds import (
    ALIASES,
    POINTWISE,
    RECURRENT,
    SPECS,
    Spec,
    why_refused,
    why_refused_operation,
)

Shape = tuple[int | None, ...]  # without the batch; None is a length that texts decide
_KERAS = re.compile(r"(tf_keras|keras|tensorflow(\.python)?\.keras)(\.|$)")
_MOST_NAME = 200  # characters
OPERATION = "operation "  # how the class name of an operation on tensors begins here
_OF_TRAINING = ("_initializer", "_regularizer", "_constraint")
_OF_NO_ANSWER = frozenset(
    (
        *("name", "trainable", "dtype", "seed", "input_dtype", "autocast", "dynamic"),
        *("batch_input_shape", "batch_shape", "input_shape", "build_config"),
    )
)
_OF_KERAS_1 = frozenset(("init", "inner_activation", "nb_filter", "filter_length", "W_regularizer"))
_WITH_ACTIVATION = ("Dense", "Conv1D", "Activation")
_APART = ("InputLayer", "Bidirectional", "TimeDistributed", "TextVectorization")
_ACTIVATION_LAYERS = ("LeakyReLU", "ReLU", "ELU", "PReLU", "Softmax", "ThresholdedReLU")


@dataclass(frozen=True)
class LayerConfig:
    """A layer as a file describes it, before anything of it is checked."""

    name: str
    class_name: str
    config: Mapping[str, Any]
    trainable: bool = True


@dataclass(frozen=True)
class Read:
    """What a layer computes: kind "" is nothing. `sizes` and `axis` are for its shapes only."""

    kind: str
    fields: dict[str, Any]
    sizes: dict[str, Any]
    config: Mapping[str, Any]


def entry(value: Any, where: str) -> LayerConfig:
    """Return the layer that a file describes. Raises ExportError where it is not Keras' own."""
    if not isinstance(value, dict) or not _is_layer(value.get("class_name"), value.get("config")):
        raise ExportError(f"{where} is not the configuration of a layer: save the model again")
    class_name, config = str(value["class_name"]), value["config"]
    name = value.get("name") or (config.get("name") if isinstance(config, dict) else None)
    name = str(name or class_name)[:_MOST_NAME]
    module, registered = value.get("module"), value.get("registered_name")
    own = isinstance(module, str) and not _KERAS.match(module)
    if own or ">" in class_name or ">" in str(registered):
        raise ExportError(
            f"layer {name!r} is {str(registered or class_name)[:_MOST_NAME]}, a class of your own,"
            " whose code is not in the file: use layers that Keras brings, or serve the model with"
            " TensorFlow"
        )
    if _is_operation(value, config):
        class_name = f"{OPERATION}{class_name}"
    trainable = not isinstance(config, dict) or config.get("trainable", True) is not False
    return LayerConfig(name, ALIASES.get(class_name, class_name), config, trainable)


def _is_layer(class_name: Any, config: Any) -> bool:
    """Return whether this can be a layer; a Sequential model of Keras 2.0 is a list."""
    if not isinstance(class_name, str) or not 0 < len(class_name) <= _MOST_NAME:
        return False
    return isinstance(config, dict) or (class_name == "Sequential" and isinstance(config, list))


def _is_operation(value: Mapping[str, Any], config: Any) -> bool:
    """Return whether this is one of Keras 3's operations, some of which are named as layers are."""
    module, nodes = value.get("module"), value.get("inbound_nodes")
    if isinstance(module, str):
        return ".ops." in module
    called = isinstance(nodes, list) and any(isinstance(node, dict) for node in nodes)
    spec = SPECS.get(str(value.get("class_name")), Spec("unknown"))
    of_layer = not spec.kind or value.get("class_name") == "InputLayer"  # without `trainable`, too
    return called and not of_layer and not {"trainable", "layers"} & set(config)


def is_known(class_name: str) -> bool:
    """Whether layers of a class can be computed, or are read apart from the others."""
    return class_name in SPECS or class_name in _APART


def refused(name: str, class_name: str) -> ExportError:
    """Return the error for a layer that is not computed here."""
    if class_name.startswith(OPERATION):
        reason = why_refused_operation(class_name.removeprefix(OPERATION))
        return ExportError(f"layer {name!r} is the {class_name}, {reason}")
    return ExportError(f"layer {name!r} is {with_article(class_name)}, {why_refused(class_name)}")


def read(layer: LayerConfig, version: Version) -> list[Read]:
    """Return what a layer computes, in order: an activation that is a layer comes second."""
    if layer.class_name == "Bidirectional":
        return [_bidirectional(layer, version)]
    if layer.class_name == "TimeDistributed":
        return _each_step(layer, version)
    spec = SPECS.get(layer.class_name)
    if spec is None:
        raise refused(layer.name, layer.class_name)
    if not spec.kind:
        return [Read("", {}, {}, layer.config)]
    activation, second = layer.config.get("activation"), []
    if (
        spec.kind in _WITH_ACTIVATION
        and isinstance(activation, dict)
        and activation.get("class_name") in _ACTIVATION_LAYERS
    ):
        second = read(entry(activation, f"the activation of {layer.name!r}"), version)
        layer = replace(layer, config={**layer.config, "activation": None})
    return [_plain(layer, spec, version), *second]


def _plain(layer: LayerConfig, spec: Spec, version: Version) -> Read:
    """Return a layer of one class, all of whose fields are known."""
    config = layer.config
    if _OF_KERAS_1 & config.keys():
        raise ExportError(
            f"layer {layer.name!r} ({layer.class_name}) is of Keras 1, and Keras 2 is the oldest"
            " that is read: load the model with Keras 2.2 and save it again"
        )
    try:
        for name, value in config.items():
            _check_field(name, value, spec)
        fields = {name: field.of(name, config, version) for name, field in spec.fields.items()}
        sizes = {name: field.of(name, config, version) for name, field in spec.sizes.items()}
    except FieldError as error:
        raise ExportError(f"layer {layer.name!r} ({layer.class_name}): {error}") from error
    if "pool_size" in fields:
        fields["strides"] = fields["strides"] or fields["pool_size"]
    return Read(spec.kind, fields, sizes, config)


def _check_field(name: str, value: Any, spec: Spec) -> None:
    """Refuse a field that could change the answer; Keras' new ones are off where null or false."""
    known = (*spec.fields, *spec.sizes, *(n for f in spec.fields.values() for n in f.names))
    if name in spec.only:
        if value not in spec.only[name]:
            raise FieldError(f"{name}={value!s:.60} is not computed here")
    elif not (
        name in known
        or name in spec.ignored
        or name in _OF_NO_ANSWER
        or name.endswith(_OF_TRAINING)
        or value is None
        or value is False
    ):
        raise FieldError(f"{name}={value!s:.60} is not computed here")


def _wrapped(layer: LayerConfig, key: str) -> LayerConfig:
    return entry(layer.config.get(key), f"{key} of layer {layer.name!r} ({layer.class_name})")


def _each_step(layer: LayerConfig, version: Version) -> list[Read]:
    """Return the layer in a TimeDistributed, where it does to each step what it does to all."""
    inner = _wrapped(layer, "layer")
    spec = SPECS.get(inner.class_name)
    if spec is None or (spec.kind and spec.kind not in POINTWISE):
        raise refused(layer.name, f"TimeDistributed({inner.class_name})")
    return read(inner, version)


def _bidirectional(layer: LayerConfig, version: Version) -> Read:
    """Return a Bidirectional, whose two layers differ in their direction and weights only."""
    inner = _wrapped(layer, "layer")
    spec = SPECS.get(inner.class_name)
    if spec is None or spec.kind not in RECURRENT:
        raise refused(layer.name, f"Bidirectional({inner.class_name})")
    merge_mode = layer.config.get("merge_mode", "concat")
    if merge_mode not in ("concat", "sum", "mul", "ave"):
        raise ExportError(
            f"layer {layer.name!r} (Bidirectional): merge_mode={merge_mode!r:.60} is not computed"
            " here"
        )
    forward = _plain(inner, spec, version)
    fields = {**forward.fields, "zero_output_for_mask": forward.fields["return_sequences"]}
    if layer.config.get("backward_layer") is not None:
        backward = _plain(_wrapped(layer, "backward_layer"), spec, version)
        opposite = {**forward.fields, "go_backwards": not forward.fields["go_backwards"]}
        if backward.fields | {"zero_output_for_mask": None} != opposite | {
            "zero_output_for_mask": None
        }:
            raise ExportError(
                f"layer {layer.name!r} (Bidirectional): its backward layer is not its forward layer"
                " read from the other end, which is not computed here"
            )
    both = {"merge_mode": merge_mode, "layer": {"kind": spec.kind, **fields}}
    return Read("Bidirectional", both, {}, layer.config)
