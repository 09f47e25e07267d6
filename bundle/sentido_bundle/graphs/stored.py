"""The tensors that are stored in a bundle: checked, and as values that a graph is walked with."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sentido_bundle import bounds
from sentido_bundle.errors import BundleError, quoted
from sentido_bundle.graphs.model_file import Tensor
from sentido_bundle.graphs.values import MOST_KNOWN, DataType, Value

WEIGHTS = "weights.bin"
"""The file that tensors may be stored in instead of the graph."""

_NUMPY = {
    DataType.FLOAT: "<f4",
    DataType.UINT8: "u1",
    DataType.INT8: "i1",
    DataType.INT32: "<i4",
    DataType.INT64: "<i8",
    DataType.BOOL: "?",
}


def stored_values(name: str, tensors: tuple[Tensor, ...], weights: bytes) -> Mapping[str, Value]:
    """Return the stored tensors of the graph `name`. Raises BundleError for one that is refused."""
    for tensor in tensors:
        _check_bytes(name, tensor, weights)
    claimed = sum(tensor.length for tensor in tensors)
    most = 2 * len(weights) + bounds.GRAPH_STORED_BYTES
    if claimed > most:
        raise BundleError(
            f"{name}: its tensors have {claimed:,} bytes together, at most {most:,} are allowed:"
            f" twice what {WEIGHTS} holds, and {bounds.GRAPH_STORED_BYTES:,}"
        )
    values = {tensor.name: stored_value(name, tensor, weights) for tensor in tensors}
    if len(values) < len(tensors):
        raise BundleError(f"{name}: two tensors have one name")
    return values


def stored_value(name: str, tensor: Tensor, weights: bytes) -> Value:
    """Check one tensor and return what is known of it."""
    type, where, sizes = _check_bytes(name, tensor, weights), _named(name, tensor), tensor.shape
    numbers = _numbers(tensor, type, weights)
    if type == DataType.FLOAT:
        _check_numbers(where, numbers)
    if type == DataType.BOOL and (numbers.view(np.uint8) > 1).any():
        raise BundleError(f"{where} holds a byte that is neither true nor false")
    span = (float(numbers.min()), float(numbers.max())) if type == DataType.FLOAT else None
    known = tuple(numbers.tolist()) if len(numbers) <= MOST_KNOWN and len(sizes) < 2 else None
    return Value(type, sizes, known, span)


def _check_bytes(name: str, tensor: Tensor, weights: bytes) -> DataType:
    """Raise BundleError unless there are as many bytes as type and shape say; return the type."""
    where, sizes = _named(name, tensor), tensor.shape
    if tensor.data_type not in set(DataType) or len(sizes) > bounds.GRAPH_DIMENSIONS or 0 in sizes:
        raise BundleError(f"{where} has type {tensor.data_type} and shape {quoted(sizes)}")
    type = DataType(tensor.data_type)
    claimed = math.prod(sizes) * type.bytes
    if tensor.length != claimed:
        raise BundleError(
            f"{where} claims {claimed} bytes by its shape {sizes}, but {tensor.length} are stored"
        )
    if tensor.location is not None:
        _check_place(where, tensor, len(weights))
    return type


def _named(name: str, tensor: Tensor) -> str:
    return f"{name}: tensor {quoted(tensor.name)}"


def _check_place(where: str, tensor: Tensor, size: int) -> None:
    if tensor.location != WEIGHTS:
        raise BundleError(
            f"{where} is stored in {quoted(tensor.location)}: only {WEIGHTS} in the bundle's"
            " directory is allowed"
        )
    if tensor.offset + tensor.length > size or tensor.offset % 4:
        raise BundleError(
            f"{where} is stored at {tensor.offset} to {tensor.offset + tensor.length} of"
            f" {WEIGHTS}, which has {size} bytes"
        )


def _numbers(tensor: Tensor, type: DataType, weights: bytes) -> NDArray[np.generic]:
    """Return the elements of a tensor, (elements,)."""
    data = weights if tensor.inline is None else tensor.inline
    count = math.prod(tensor.shape)
    numbers: NDArray[np.generic] = np.frombuffer(data, _NUMPY[type], count, tensor.offset)
    return numbers


def _check_numbers(where: str, numbers: NDArray[np.generic]) -> None:
    """Raise BundleError for a stored number that is too large, infinite or not a number.

    A single number may be as large as any: masks add or choose such.
    """
    largest = float(np.maximum(numbers.max(), -numbers.min()))
    most = bounds.WEIGHT if len(numbers) > 1 else float(np.finfo(np.float32).max)
    if not largest <= most:  # not: NaN is not within it
        raise BundleError(f"{where} holds {largest:g}, at most {most:g} is allowed")
