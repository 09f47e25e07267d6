"""Products of matrices and convolutions, which cost the most."""

from collections.abc import Sequence

from sentido_bundle.graphs.rules.elementwise import broadcast
from sentido_bundle.graphs.sizes import Dimensions, Size, add, divide
from sentido_bundle.graphs.step import Step, expect, within_texts
from sentido_bundle.graphs.values import DataType, Value, common_span


def matmul(step: Step) -> Value:
    """Return products of matrices, as numpy multiplies them."""
    return multiplied(step, step.value(0), step.value(1), DataType.FLOAT)


def multiplied(step: Step, left: Value, right: Value, type: DataType) -> Value:
    """Return the product of two tensors and count what it costs."""
    if not left.rank or not right.rank:
        raise ValueError("multiplies a single number")
    columns = right.shape[-1:] if right.rank > 1 else ()
    rows = left.shape[-2:-1] if left.rank > 1 else ()
    inner = within_texts(left.shape[-1])
    if inner != right.shape[-2 if right.rank > 1 else -1]:
        raise ValueError(f"multiplies {left.shape} by {right.shape}")
    shape = (*broadcast((left.shape[:-2], right.shape[:-2])), *rows, *columns)
    step.multiply(*shape, inner)
    step.pack(left, right)
    return Value(type, shape)


def gemm(step: Step) -> Value:
    """Return alpha * left * right + beta * addend, each of the two turned if asked for."""
    left, right, addend = step.value(0), step.value(1), step.optional(2)
    if left.rank != 2 or right.rank != 2:
        raise ValueError(f"multiplies {left.shape} by {right.shape}")
    rows, inner = left.shape[::-1] if step["transA"] else left.shape
    depth, columns = right.shape[::-1] if step["transB"] else right.shape
    if within_texts(inner) != depth:
        raise ValueError(f"multiplies {left.shape} by {right.shape}")
    shape = (rows, columns)
    if addend is not None and broadcast((shape, addend.shape)) != shape:
        raise ValueError(f"adds the shape {addend.shape} to {shape}")
    step.multiply(rows, columns, inner)
    step.pack(left, right)
    return Value(DataType.FLOAT, shape)


def conv(step: Step) -> Value:
    """Return what filters give at each place of a signal: (batch, channels, places)."""
    return convolved(step, step.value(0), step.value(1), step.optional(2), DataType.FLOAT)


def convolved(
    step: Step, value: Value, filters: Value, bias: Value | None, type: DataType
) -> Value:
    """Check a convolution, count what it costs, and return what it gives."""
    group, spatial = step["group"], value.rank - 2
    if spatial not in (1, 2) or filters.rank != value.rank:
        raise ValueError(f"filters {value.shape} by {filters.shape}")
    count, depth, *kernel = whole_sizes("its filters", filters.shape)
    if count % group or within_texts(value.shape[1]) != depth * group:
        raise ValueError(f"filters {value.shape} by {filters.shape} in {group} groups")
    if step["kernel_shape"] not in (None, tuple(kernel)):
        raise ValueError(f"kernel_shape is {step['kernel_shape']}, its filters are {kernel}")
    if bias is not None:
        expect("its bias", bias.shape, (count,))
    places = places_of(step, value.shape[2:], kernel)
    shape = (value.shape[0], count, *places)
    step.multiply(*shape, depth, *kernel)
    step.work_on(DataType.FLOAT, value.shape[0], *places, depth * group, *kernel)
    step.work_on(DataType.FLOAT, *value.shape)
    step.work_on(DataType.FLOAT, *shape)
    step.pack(filters)
    return Value(type, shape)


def whole_sizes(what: str, shape: Dimensions) -> list[int]:
    """Return sizes, which must be numbers."""
    sizes = [size for size in shape if isinstance(size, int)]
    if len(sizes) < len(shape):
        raise ValueError(f"{what} have the shape {shape}")
    return sizes


def places_of(step: Step, sizes: Sequence[Size], kernel: Sequence[int]) -> Dimensions:
    """Return at how many places a window fits, by strides, dilations and padding."""
    count = len(sizes)
    strides = step["strides"] or (1,) * count
    dilations = step.attributes.get("dilations") or (1,) * count
    pads, auto = step["pads"] or (0,) * 2 * count, step["auto_pad"]
    if (len(strides), len(dilations), len(pads), len(kernel)) != (count, count, 2 * count, count):
        raise ValueError(f"its window has not {count} dimensions as what it moves over")
    if auto != "NOTSET" and any(pads):
        raise ValueError("has both pads and auto_pad")
    if auto.startswith("SAME") and any(dilation > 1 for dilation in dilations):
        raise ValueError("has auto_pad and dilations, which ONNX Runtime counts in two ways")
    places = []
    for index, size in enumerate(map(within_texts, sizes)):
        width = dilations[index] * (kernel[index] - 1) + 1
        before, after = pads[index], pads[index + count]
        if max(before, after) >= width > 1 or (width == 1 and before + after):
            raise ValueError(f"pads by {max(before, after)} for a window of {width}")
        room = size if auto.startswith("SAME") else add(size, before + after - width + 1)
        places.append(divide(add(room, strides[index] - 1), strides[index]))
    if any(step.least(place) < 1 for place in places):
        raise ValueError(
            f"its window of {tuple(kernel)} does not fit into the sizes {tuple(sizes)} of a text"
            f" of {step.least_tokens} tokens"
        )
    return tuple(places)


def pool(step: Step) -> Value:
    """Return the largest or the mean element in a window at each place."""
    value, kernel = step.value(0), step["kernel_shape"]
    if value.rank not in (3, 4):
        raise ValueError(f"pools the shape {value.shape}")
    within_texts(value.shape[1])
    shape = (*value.shape[:2], *places_of(step, value.shape[2:], kernel))
    step.multiply(*shape, *kernel)
    step.work_on(DataType.FLOAT, *value.shape)
    step.work_on(DataType.FLOAT, *shape)
    zero = Value(DataType.FLOAT, (), (0.0,))  # padding may count
    return Value(value.type, shape, span=common_span((value, zero)))


def global_pool(step: Step) -> Value:
    """Return the largest or the mean element of all places."""
    value = step.value(0)
    if value.rank < 3:
        raise ValueError(f"pools the shape {value.shape}")
    for size in value.shape[1:]:
        within_texts(size)
    step.multiply(*value.shape)
    shape = (*value.shape[:2], *(1 for _ in value.shape[2:]))
    return Value(value.type, shape, span=value.range)
