"""How a functional model says what each of its layers takes: as Keras 2 and as Keras 3 write it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sentido_export.errors import ExportError


@dataclass(frozen=True)
class Reference:
    """One output of one call of a layer: as files write it, [name, call, output]."""

    name: str
    call: int = 0
    output: int = 0


@dataclass(frozen=True)
class Call:
    """One use of a layer; `mask` is what the file gives it as a mask."""

    inputs: tuple[Reference, ...]
    mask: Reference | None = None
    constants: tuple[Any, ...] = ()  # arguments that are no tensors


def read_call(node: Any, name: str) -> Call:
    """Return one call of a layer, as Keras 3 (a dict) or Keras 2 (lists) writes it."""
    if isinstance(node, dict):
        args, kwargs = node.get("args"), node.get("kwargs")
        args = args if isinstance(args, list) else []
        inputs = tuple(_tensors(args))
        options = kwargs if isinstance(kwargs, dict) else {}
        constants = tuple(a for a in args if not isinstance(a, dict | list))
        return Call(inputs, _mask(options, name), constants)
    items = [node] if isinstance(node, list) and node and isinstance(node[0], str) else node
    if not isinstance(items, list):
        raise ExportError(f"layer {name!r} does not say what it takes")
    inputs = tuple(_reference(item) for item in items)
    options = {}
    for item in items:
        options |= item[3] if len(item) > 3 and isinstance(item[3], dict) else {}
    return Call(inputs, _mask(options, name))


def _mask(options: Mapping[str, Any], name: str) -> Reference | None:
    """Return what a call is given as a mask; other options that change the answer are refused."""
    for option, value in options.items():
        if option == "mask" or value is None or value is False:
            continue
        raise ExportError(
            f"layer {name!r} is called with {option}={value!s:.60}, which is not computed here"
        )
    mask = options.get("mask")
    if mask is None:
        return None
    masks = list(_tensors([mask])) if isinstance(mask, dict) else []
    if len(masks) != 1:
        raise ExportError(f"layer {name!r} is called with a mask that is not computed here")
    return masks[0]


def _tensors(value: Any) -> Iterator[Reference]:
    """Return the outputs of layers in the arguments of a call, in their order."""
    if isinstance(value, list):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        config = value.get("config")
        yield _reference(config.get("keras_history") if isinstance(config, dict) else None)


def references(value: Any) -> tuple[Reference, ...]:
    """Return a list of references, also where it is a dict, or one that stands for itself."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list) and value and isinstance(value[0], str):
        value = [value]
    return tuple(_reference(item) for item in value) if isinstance(value, list) else ()


def _reference(value: Any) -> Reference:
    """Return a reference from [name, call, output, ...]."""
    if (
        not isinstance(value, list)
        or len(value) < 3
        or not isinstance(value[0], str)
        or not all(type(number) is int and number >= 0 for number in value[1:3])
    ):
        raise ExportError(f"the model names the layer {value!s:.60}, which is not a reference")
    return Reference(*value[:3])
