"""Makes one list of layers of a model and the models in it, each with its shapes checked."""

from dataclasses import dataclass, field
from typing import Any

from sentido_export.errors import ExportError
from sentido_export.imported.architecture import Input, Layer
from sentido_export.imported.model_file.calls import Call, Reference
from sentido_export.imported.model_file.fields import Version
from sentido_export.imported.model_file.kinds import MERGES, POINTWISE, RECURRENT
from sentido_export.imported.model_file.layer import (
    OPERATION,
    LayerConfig,
    Read,
    Shape,
    read,
    refused,
)
from sentido_export.imported.model_file.shapes import (
    ShapeError,
    Variable,
    concatenated_axis,
    returned,
    shown,
    variables,
)
from sentido_export.imported.model_file.topology import ModelConfig

Path = tuple[str, ...]  # names of models, outermost first, and of a layer in them
_OF_MASKS = (  # operations by which Keras 3 writes down the masks that it passes on itself
    *("NotEqual", "ExpandDims", "ZerosLike", "OnesLike", "LogicalOr", "LogicalAnd"),
    *("Concatenate", "Any", "All", "BroadcastTo", "Cast"),
)
_PASSING = (*POINTWISE, *MERGES, "PReLU", "BatchNormalization", "LayerNormalization")
_MOST_LAYERS = 5000


@dataclass(frozen=True)
class Flat:
    """A layer of the list; it takes `path`'s arrays from number `first` on."""

    layer: Layer
    path: Path
    first: int
    shape: Shape  # of what it returns


@dataclass
class Flattened:
    """All layers of a model, of which `outputs` are returned; `variables` are of each path."""

    version: Version
    inputs: list[Input] = field(default_factory=list)
    layers: list[Flat] = field(default_factory=list)
    variables: dict[Path, list[Variable]] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    shapes: dict[str, Shape] = field(default_factory=dict)
    masked: set[str] = field(default_factory=set)
    reads: dict[Path, list[Read]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def flatten(model: ModelConfig, version: Version) -> Flattened:
    """Return all layers of a model in the order in which they are computed."""
    flat = Flattened(version)
    for given in model.inputs:
        shape = (None,) if given.shape is None else given.shape
        if len(shape) != 1:
            raise ExportError(
                f"the input {given.name!r} has the shape {shown(shape)}, and ids have"
                " (None, length): texts, vectors and bags of words are not computed here"
            )
        flat.inputs.append(Input(given.name, shape[0]))
        flat.shapes[given.name] = shape
    flat.outputs = _add(flat, model, (), [given.name for given in model.inputs])
    return flat


def _add(flat: Flattened, model: ModelConfig, path: Path, given: list[str]) -> tuple[str, ...]:
    """Add the layers of a model that takes `given`; return the names of its outputs."""
    known = {each.name: each for each in model.layers}
    values: dict[tuple[str, int], tuple[str, ...]] = {
        (one.name, 0): (name,) for one, name in zip(model.inputs, given, strict=True)
    }

    def name_of(reference: Reference) -> str:
        names = values.get((reference.name, reference.call))
        if names is None:
            raise refused(reference.name, known[reference.name].class_name)
        if reference.output >= len(names):
            raise ExportError(
                f"the states of layer {reference.name!r} (return_state=True) are taken by another"
                " layer, which is not computed here: take its output instead, which is its state h"
                " where it has no return_sequences=True"
            )
        return names[reference.output]

    for name, number in model.order():
        each, call = known[name], model.calls[name][number]
        if each.class_name.startswith(OPERATION):
            continue
        inputs = [name_of(reference) for reference in call.inputs]
        step = name if not number else f"{name}@{number + 1}"
        if isinstance(each, ModelConfig):
            if len(inputs) != len(each.inputs):
                raise ExportError(f"the model {name!r} takes {len(each.inputs)} inputs")
            values[name, number] = _add(flat, each, (*path, step), inputs)
            continue
        values[name, number] = (_leaf(flat, each, (*path, step), inputs),)
        _check_mask(flat, model, call, name, inputs)
    return tuple(map(name_of, model.outputs))


def _leaf(flat: Flattened, layer: LayerConfig, path: Path, inputs: list[str]) -> str:
    """Add one layer, or its parts; return the name of its output."""
    own = tuple(part.partition("@")[0] for part in path)
    if not inputs:
        raise ExportError(f"layer {layer.name!r} takes nothing")
    if own not in flat.reads:
        flat.reads[own] = read(layer, flat.version)
    known, first = own in flat.variables, 0
    for index, part in enumerate(flat.reads[own]):
        if not part.kind:
            inputs = inputs[:1]
            continue
        name = _unused(flat, "/".join(path) + ("/activation" if index else ""))
        first += _append(flat, part, name, inputs, own, first, known)
        inputs = [name]
    flat.variables.setdefault(own, [])
    return inputs[0]


def _unused(flat: Flattened, name: str) -> str:
    candidate, number = name, 1
    while candidate in flat.shapes:
        number += 1
        candidate = f"{name}@{number}"
    return candidate


def _append(
    flat: Flattened, part: Read, name: str, inputs: list[str], path: Path, first: int, known: bool
) -> int:
    """Append a layer, its arrays too where they are not known; return how many it has."""
    if len(flat.layers) >= _MOST_LAYERS:
        raise ExportError(f"the model has more than {_MOST_LAYERS:,} layers")
    shapes = [flat.shapes[taken] for taken in inputs]
    fields: dict[str, Any] = dict(part.fields)
    try:
        shape = returned(part, shapes)
        if part.kind == "Concatenate":
            fields["axis"] = concatenated_axis(part, len(shape))
        arrays = variables(part, shapes[0])
    except ShapeError as error:
        raise ExportError(f"layer {name!r} ({part.kind}) {error}") from error
    _check_ids(flat, part, name, inputs)
    if not known:
        flat.variables.setdefault(path, []).extend(arrays)
    flat.layers.append(Flat(Layer(name, part.kind, fields, tuple(inputs)), path, first, shape))
    flat.shapes[name] = shape
    masked = any(taken in flat.masked for taken in inputs)
    if _returns_mask(part, masked):
        flat.masked.add(name)
    if part.kind == "Concatenate" and masked and (3, 0) <= flat.version < (3, 4):
        flat.notes.append(
            f"Keras 3.0 to 3.3 lose the mask behind {name!r} (Concatenate): it is kept here, as"
            " Keras 2 and newer versions do."
        )
    return len(arrays)


def _check_ids(flat: Flattened, part: Read, name: str, inputs: list[str]) -> None:
    """Raise ExportError unless ids go into an Embedding, and only ids do."""
    of_model = {given.name for given in flat.inputs}
    for taken in inputs:
        if (taken in of_model) != (part.kind == "Embedding"):
            raise ExportError(
                f"layer {name!r} ({part.kind}) takes {taken!r}: the ids of a text go into an"
                " Embedding and nowhere else; vectors and bags of words are not computed here"
            )


def _returns_mask(part: Read, given: bool) -> bool:
    if part.kind == "Embedding":
        return bool(part.fields["mask_zero"])
    fields = part.fields.get("layer", part.fields)
    sequence = part.kind in (*RECURRENT, "Bidirectional") and fields["return_sequences"]
    return given and (sequence or part.kind in _PASSING)


def _check_mask(
    flat: Flattened, model: ModelConfig, call: Call, name: str, inputs: list[str]
) -> None:
    """Raise ExportError where a layer is given a mask that Keras would not pass on itself."""
    if call.mask is None:
        return
    by_keras = any(taken in flat.masked for taken in inputs) and _is_passed_on(model, call.mask)
    if not by_keras:
        raise ExportError(
            f"layer {name!r} is called with a mask of your own, which is not computed here: use"
            " Embedding(mask_zero=True)"
        )


def _is_passed_on(model: ModelConfig, mask: Reference) -> bool:
    """Return whether a mask is made of `ids != 0` by Keras' own operations."""
    known = {each.name: each for each in model.layers}
    rest, seen = [mask], set()
    while rest:
        reference = rest.pop()
        if reference in seen:
            continue
        seen.add(reference)
        each = known.get(reference.name)
        if each is None or not each.class_name.startswith(OPERATION):
            return False
        operation = each.class_name.removeprefix(OPERATION)
        if operation not in _OF_MASKS or reference.call >= len(model.calls[reference.name]):
            return False
        call = model.calls[reference.name][reference.call]
        if operation == "NotEqual" and call.constants != (0,):
            return False
        if operation not in ("NotEqual", "ZerosLike", "OnesLike"):
            rest.extend(call.inputs)
    return True
