"""Finds which array of a file belongs to which layer, and checks that all are there.

There are two ways: HDF5 files of Keras 2, which Keras 3 still writes, list layers and their arrays
in order; `.keras` and `.weights.h5` files have a path for each layer, made of the names of classes.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sentido_export.errors import ExportError
from sentido_export.imported.model_file.arrays import ArrayFile
from sentido_export.imported.model_file.flatten import Path
from sentido_export.imported.model_file.layer import LayerConfig, Shape
from sentido_export.imported.model_file.shapes import Variable
from sentido_export.imported.model_file.topology import ModelConfig

Array = NDArray[np.float32]
_MOST_BYTES = 2 << 30  # of all arrays: what an ONNX graph can hold
_NOT_TRAINED = ("moving_mean", "moving_variance")
_NAMES = {"kernel", "recurrent_kernel", "bias", "embeddings", "gamma", "beta", "alpha"}
_NAMES |= set(_NOT_TRAINED)
_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
_PLACES = (  # where in a layer's group its arrays are, in the order of `get_weights()`
    *("vars", "cell/vars", "layer/vars", "layer/cell/vars"),
    *("forward_layer/vars", "forward_layer/cell/vars"),
    *("backward_layer/vars", "backward_layer/cell/vars", "activation/vars"),
)
_AGAIN = (
    "save the model again where it was trained, after its training, as model.keras with Keras 3 (of"
    " .h5 files Keras 3.0 to 3.2 lose parts), as model.h5 with Keras 2"
)
Wanted = tuple[Path, int, Variable]  # the layer, the array's number in it, what it must be


def read_weights(
    file: ArrayFile, model: ModelConfig, variables: Mapping[Path, list[Variable]], name: str
) -> dict[Path, list[Array]]:
    """Return the arrays of each layer. Raises ExportError if one is missing or does not fit."""
    if not file.arrays:
        raise ExportError(
            f"{name} holds no weights: the model was saved before it was built or trained; {_AGAIN}"
        )
    find = _by_order if file.by_order else _by_path
    places = find(file, model, variables, name)
    size = sum(4 * math.prod(file.arrays[index][2]) for index in places.values())
    if size > _MOST_BYTES:
        raise ExportError(f"{name} holds {size:,} bytes of weights: at most {_MOST_BYTES:,}")
    arrays: dict[Path, list[Array]] = {path: [] for path in variables}
    for (path, _), array in zip(places, file.read(list(places.values())), strict=True):
        if not np.isfinite(array).all():
            raise ExportError(
                f"the weights of layer {'/'.join(path)!r} are not all finite numbers: the training"
                " has failed; lower the learning rate and train again"
            )
        arrays[path].append(array)
    return arrays


def _fits(shape: Shape, variable: Variable) -> bool:
    return any(
        len(shape) == len(other)
        and all(b is None or a == b for a, b in zip(shape, other, strict=True))
        for other in variable[1]
    )


def _mismatch(
    name: str, layer: str, wanted: Sequence[Variable], found: Sequence[Shape]
) -> ExportError:
    needs = ", ".join(f"{variable[0]} {variable[1][0]}" for variable in wanted) or "none"
    holds = ", ".join(map(str, found)) or "none"
    return ExportError(
        f"{name} is broken: layer {layer!r} needs the arrays {needs:.300}, and the file holds"
        f" {holds:.300}; {_AGAIN}"
    )


# -- layers and arrays in order -----------------------------------------------------------------


def _by_order(
    file: ArrayFile, model: ModelConfig, variables: Mapping[Path, list[Variable]], name: str
) -> dict[tuple[Path, int], int]:
    """Return the index in the file of each array, as Keras finds them: by order."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, (layer, called, _) in enumerate(file.arrays):
        if not called.endswith("seed_generator_state"):
            groups[layer].append(index)
    wanted = {layer.name: list(_of(layer, (), variables, True)) for layer in model.layers}
    wanted = {layer: found for layer, found in wanted.items() if found}
    same = set(wanted) == set(groups)
    if len(wanted) != len(groups):
        raise _layers_differ(name, list(wanted), list(groups))
    places: dict[tuple[Path, int], int] = {}
    for layer, group in zip(wanted, wanted if same else groups, strict=True):
        places |= _matched(file, name, layer, wanted[layer], groups[group])
    return places


def _layers_differ(name: str, wanted: list[str], found: list[str]) -> ExportError:
    missing = [layer for layer in wanted if layer not in found]
    reason = f"none for {', '.join(missing[:3])}" if missing else f"also {found[-1]}"
    return ExportError(
        f"{name} holds weights for {len(found)} layers, and the model has {len(wanted)} layers with"
        f" weights ({reason:.200}): the file is broken or of another model; {_AGAIN}"
    )


def _of(
    layer: LayerConfig | ModelConfig,
    path: Path,
    variables: Mapping[Path, list[Variable]],
    trained: bool,
) -> Iterator[tuple[bool, Wanted]]:
    """Return the arrays of a layer or model, in the order of its layers; false: not trained."""
    path, trained = (*path, layer.name), trained and layer.trainable
    if isinstance(layer, ModelConfig):
        for inner in layer.layers:
            yield from _of(inner, path, variables, trained)
    else:
        for number, variable in enumerate(variables.get(path, ())):
            yield trained and variable[0] not in _NOT_TRAINED, (path, number, variable)


def _matched(
    file: ArrayFile, name: str, layer: str, wanted: list[tuple[bool, Wanted]], group: list[int]
) -> dict[tuple[Path, int], int]:
    """Match arrays with those wanted: trained ones first, or, as older Keras 2, layer by layer."""
    layerwise = [one for _, one in wanted]
    trained_first = [one for _, one in sorted(wanted, key=lambda each: not each[0])]
    for order in (trained_first, layerwise):
        if len(order) == len(group) and all(
            _fits(file.arrays[index][2], variable) and _called(file.arrays[index][1], variable[0])
            for index, (_, _, variable) in zip(group, order, strict=True)
        ):
            found = {
                (path, number): index for index, (path, number, _) in zip(group, order, strict=True)
            }
            return {(path, number): found[path, number] for path, number, _ in layerwise}
    shapes = [file.arrays[index][2] for index in group]
    raise _mismatch(name, layer, [one[2] for one in trained_first], shapes)


def _called(found: str, wanted: str) -> bool:
    """Return whether an array's name in the file can be that of a variable."""
    last = re.sub(r"(_\d+)?(:\d+)?$", "", found.rpartition("/")[2])
    return last not in _NAMES or last == wanted


# -- a path for each layer ----------------------------------------------------------------------


def _by_path(
    file: ArrayFile, model: ModelConfig, variables: Mapping[Path, list[Variable]], name: str
) -> dict[tuple[Path, int], int]:
    """Return the index in the file of each array: the nth of a class is its nth layer."""
    groups: dict[str, dict[int, int]] = defaultdict(dict)
    for index, (path, _, _) in enumerate(file.arrays):
        group, _, last = path.rpartition("/")
        if last.isdigit() and len(last) < 6:
            groups[group][int(last)] = index
    return dict(_in_model(file, model, (), variables, name, groups, ""))


def _in_model(
    file: ArrayFile,
    model: ModelConfig,
    path: Path,
    variables: Mapping[Path, list[Variable]],
    name: str,
    groups: Mapping[str, Mapping[int, int]],
    inside: str,
) -> Iterator[tuple[tuple[Path, int], int]]:
    by_class: dict[str, list[LayerConfig | ModelConfig]] = defaultdict(list)
    for layer in model.layers:
        if any(True for _ in _of(layer, path, variables, True)):
            by_class[_snake(layer.class_name)].append(layer)
    for class_name, layers in by_class.items():
        places = _groups_of(groups, inside, class_name)
        if len(places) != len(layers):
            raise ExportError(
                f"{name} holds weights for {len(places)} layers of the class {class_name}, and the"
                f" model has {len(layers)}: the file is broken or of another model; {_AGAIN}"
            )
        for layer, place in zip(layers, places, strict=True):
            inner = (*path, layer.name)
            if isinstance(layer, ModelConfig):
                yield from _in_model(file, layer, inner, variables, name, groups, f"{place}/")
                continue
            found = [
                group[number]
                for group in (groups.get(f"{place}/{vars_}", {}) for vars_ in _PLACES)
                for number in sorted(group)
            ]
            shapes = [file.arrays[index][2] for index in found]
            wanted = variables[inner]
            if len(found) != len(wanted) or not all(map(_fits, shapes, wanted)):
                raise _mismatch(name, "/".join(inner), wanted, shapes)
            yield from (((inner, number), index) for number, index in enumerate(found))


def _groups_of(groups: Mapping[str, object], inside: str, class_name: str) -> list[str]:
    """Return the groups of a class in a model's group, in the order of their numbers."""
    found: dict[int, str] = {}
    for container in _CONTAINERS:
        pattern = re.compile(rf"({re.escape(inside + container)}/{class_name}(?:_(\d+))?)/")
        for group in groups:
            if match := pattern.match(f"{group}/"):
                found[int(match[2] or 0)] = match[1]
    return [found[number] for number in sorted(found)]


def _snake(class_name: str) -> str:
    """Return a class as Keras names it in paths: batch_normalization for BatchNormalization."""
    name = "Functional" if class_name == "Model" else class_name
    return re.sub(r"(?<=.)(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])", "_", name).lower()
