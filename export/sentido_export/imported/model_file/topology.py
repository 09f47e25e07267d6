"""Which layer of a model takes what: Sequential and functional models, also within each other.

Reads the configuration as Keras 2 and 3 write it; what the layers compute is not looked at here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

from sentido_export.errors import ExportError
from sentido_export.imported.model_file.calls import Call, Reference, read_call, references
from sentido_export.imported.model_file.layer import LayerConfig, entry, is_known, refused

_MODELS = ("Sequential", "Functional", "Model")
_MOST_NESTED = 20
_OWN_MODEL = (
    "is a model class of your own, whose code is not in the file: build it of Sequential or"
    " functional layers, set_weights(old.get_weights()), and save it again"
)


@dataclass(frozen=True)
class InputConfig:
    """An input of a model: `shape` is without the batch, None where the file does not say it."""

    name: str
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True)
class ModelConfig:
    """A model: its layers in the order of the file, and how often and of what each is called.

    Layers are a `LayerConfig` or a model in this one. In a Sequential model each takes the one
    before it. `calls` are by the names of layers; inputs are not called.
    """

    name: str
    class_name: str
    layers: tuple["LayerConfig | ModelConfig", ...]
    inputs: tuple[InputConfig, ...]
    calls: Mapping[str, tuple[Call, ...]]
    outputs: tuple[Reference, ...]
    trainable: bool = True

    def order(self) -> Iterator[tuple[str, int]]:
        """Return name and number of each call, each after all that it takes."""
        graph = {
            (name, number): {(r.name, r.call) for r in call.inputs if r.name in self.calls}
            for name, calls in self.calls.items()
            for number, call in enumerate(calls)
        }
        try:
            yield from (node for node in TopologicalSorter(graph).static_order() if node in graph)
        except CycleError as error:
            raise ExportError(f"the layers of {self.name!r} take each other in a circle") from error


def model(value: Any, where: str, depth: int = 0) -> ModelConfig:
    """Return the model that a configuration describes. Raises ExportError."""
    layer = entry(value, where)
    if layer.class_name not in _MODELS:
        raise ExportError(f"the model {layer.name!r} ({layer.class_name}) {_OWN_MODEL}")
    if depth > _MOST_NESTED:
        raise ExportError(f"{where} holds models in models, more than {_MOST_NESTED} levels deep")
    config = {"layers": layer.config} if isinstance(layer.config, list) else layer.config
    entries = config.get("layers")
    if not isinstance(entries, list) or not entries:
        if "layers" not in config and layer.class_name != "Sequential":
            raise ExportError(f"the model {layer.name!r} ({layer.class_name}) {_OWN_MODEL}")
        raise ExportError(f"the model {layer.name!r} has no layers: save it again when it is built")
    layers = [_layer(each, where, depth) for each in entries]
    names = [each.name for each in layers]
    if len(set(names)) != len(names):
        raise ExportError(f"the model {layer.name!r} has two layers of one name")
    build = _sequential if layer.class_name == "Sequential" else _functional
    return build(layer, config, entries, layers)


def _layer(value: Any, where: str, depth: int) -> LayerConfig | ModelConfig:
    layer = entry(value, f"a layer of {where}")
    return model(value, where, depth + 1) if layer.class_name in _MODELS else layer


def _input(layer: LayerConfig) -> InputConfig:
    for name in ("ragged", "sparse"):
        if layer.config.get(name):
            raise ExportError(f"the input {layer.name!r} is {name}, which is not computed here")
    return InputConfig(layer.name, _shape(layer.config))


def _shape(config: Mapping[str, Any]) -> tuple[int | None, ...] | None:
    """Return the shape in a configuration without its batch, a fixed one too."""
    shape = config.get("batch_shape", config.get("batch_input_shape"))
    if not isinstance(shape, list):
        return None
    if not all(size is None or (type(size) is int and size > 0) for size in shape[1:]):
        raise ExportError(f"an input has the shape {shape!s:.60}, which no input of ids can have")
    return tuple(shape[1:])


def _sequential(
    layer: LayerConfig,
    config: Mapping[str, Any],  # noqa: ARG001 - as _functional takes it
    entries: list[Any],  # noqa: ARG001
    layers: Sequence[LayerConfig | ModelConfig],
) -> ModelConfig:
    """Return a Sequential model; its input is its first layer, or what that says of it."""
    first = layers[0]
    if isinstance(first, LayerConfig) and first.class_name == "InputLayer":
        given, layers = _input(first), layers[1:]
    elif isinstance(first, LayerConfig):
        given = InputConfig(f"{first.name}_input", _shape(first.config))
    else:
        given = first.inputs[0]
    calls, before = {}, given.name
    for each in layers:
        calls[each.name] = (Call((Reference(before),)),)
        before = each.name
    return ModelConfig(
        layer.name,
        "Sequential",
        tuple(layers),
        (given,),
        calls,
        (Reference(before),),
        layer.trainable,
    )


def _functional(
    layer: LayerConfig,
    config: Mapping[str, Any],
    entries: list[Any],
    layers: Sequence[LayerConfig | ModelConfig],
) -> ModelConfig:
    """Return a functional model: its layers name what they take."""
    by_name = {each.name: each for each in layers}
    calls = {
        each.name: tuple(_call(node, each) for node in _nodes(entry_))
        for each, entry_ in zip(layers, entries, strict=True)
        if each.name not in {r.name for r in references(config.get("input_layers"))}
    }
    inputs = []
    for reference in references(config.get("input_layers")):
        given = by_name.get(reference.name)
        if not isinstance(given, LayerConfig) or given.class_name != "InputLayer":
            raise ExportError(f"the model {layer.name!r} has no input {reference.name!r}")
        inputs.append(_input(given))
    outputs = references(config.get("output_layers"))
    if not inputs or not outputs:
        raise ExportError(f"the model {layer.name!r} names no inputs or no outputs")
    shifted = _from_zero(layers, calls, outputs)
    for reference in (*shifted[1], *(r for c in shifted[0].values() for d in c for r in d.inputs)):
        known = len(calls.get(reference.name, ())) or reference.name in {i.name for i in inputs}
        if not 0 <= reference.call < known:
            raise ExportError(f"the model {layer.name!r} does not hold {reference.name!r}")
    _check_calls(*shifted)
    return ModelConfig(
        layer.name, "Functional", tuple(layers), tuple(inputs), *shifted, layer.trainable
    )


def _call(node: Any, layer: LayerConfig | ModelConfig) -> Call:
    """Return a call; of a layer that is not computed at all, that is said and not how it is called.

    So does Keras 2 write `x + y`: a TFOpLambda that is called with y.
    """
    try:
        return read_call(node, layer.name)
    except ExportError:
        if isinstance(layer, LayerConfig) and not is_known(layer.class_name):
            raise refused(layer.name, layer.class_name) from None
        raise


def _check_calls(calls: Mapping[str, tuple[Call, ...]], outputs: tuple[Reference, ...]) -> None:
    """Raise ExportError where nothing takes what one of several calls of a layer returns."""
    taken = {(reference.name, reference.call) for reference in outputs}
    for call in (call for of_layer in calls.values() for call in of_layer):
        taken |= {(r.name, r.call) for r in (*call.inputs, *filter(None, [call.mask]))}
    for name, of_layer in calls.items():
        for number in range(len(of_layer)):
            if len(of_layer) > 1 and (name, number) not in taken:
                raise ExportError(
                    f"layer {name!r} is called {len(of_layer)} times, and the file does not say"
                    f" what takes its output {number + 1}, which Keras 3.2 forgets where a layer"
                    " is shared: save the model again with Keras 3.3 or newer"
                )


def _from_zero(
    layers: Sequence[LayerConfig | ModelConfig],
    calls: dict[str, tuple[Call, ...]],
    outputs: tuple[Reference, ...],
) -> tuple[dict[str, tuple[Call, ...]], tuple[Reference, ...]]:
    """Count the calls of nested models from 0: Keras 2 counts their making as the first one."""
    nested = {each.name for each in layers if isinstance(each, ModelConfig)}
    least: dict[str, int] = {}
    for reference in (*outputs, *(r for c in calls.values() for call in c for r in call.inputs)):
        if reference.name in nested:
            least[reference.name] = min(reference.call, least.get(reference.name, reference.call))

    def shifted(r: Reference) -> Reference:
        return Reference(r.name, r.call - least.get(r.name, 0), r.output)

    moved = {
        name: tuple(replace(call, inputs=tuple(map(shifted, call.inputs))) for call in of_layer)
        for name, of_layer in calls.items()
    }
    return moved, tuple(map(shifted, outputs))


def _nodes(value: Any) -> list[Any]:
    nodes = value.get("inbound_nodes") or []
    if not isinstance(nodes, list):
        raise ExportError(f"the layer {value.get('name')!r:.80} does not say what it takes")
    return nodes
