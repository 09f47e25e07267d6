"""Operators that work along a dimension: sums, means, Softmax, normalizations."""

from sentido_bundle.graphs.sizes import Dimensions, Size, multiply
from sentido_bundle.graphs.step import Step, axes_of, axis_of, expect, within_texts
from sentido_bundle.graphs.values import DataType, Element, Span, Value

_WITHIN = ("ReduceMax", "ReduceMin", "ReduceMean")


def reduce(step: Step) -> Value:
    """Return one number in the place of all along some axes."""
    value, axes = step.value(0), _axes(step)
    sizes = [within_texts(value.shape[axis]) for axis in axes]
    kept = [1 if axis in axes else size for axis, size in enumerate(value.shape)]
    shape = tuple(size for axis, size in enumerate(kept) if step["keepdims"] or axis not in axes)
    step.multiply(*value.shape)
    step.work_on(value.type, *value.shape)
    return Value(
        value.type,
        shape,
        _known(step, value) if value.rank == 1 and len(axes) == 1 else None,
        _span(step, value, sizes),
    )


def _axes(step: Step) -> list[int]:
    """Return the axes of a reduction: an attribute before opset 18 and an input since then."""
    value = step.value(0)
    is_input = step.opset >= 18 or step.operator == "ReduceSum"
    if is_input and step["axes"] is not None:
        raise ValueError("its axes are an attribute, an input is needed in this opset")
    if not is_input and step.optional(1):
        raise ValueError("its axes are an input, an attribute is needed in this opset")
    axes = step.integers(1) if step.optional(1) else step["axes"]
    if axes is None and step["noop_with_empty_axes"]:
        raise ValueError("reduces nothing")
    return axes_of(range(value.rank) if axes is None else axes, value.rank)


def _known(step: Step, value: Value) -> tuple[Element, ...] | None:
    sizes = value.sizes()
    if sizes is None or step.operator != "ReduceProd" or value.type == DataType.FLOAT:
        return None
    try:
        return (multiply(*sizes),)
    except ValueError:
        return None


def _span(step: Step, value: Value, sizes: list[Size]) -> Span | None:
    span = value.range
    if span is None or step.operator in _WITHIN:
        return span
    if step.operator != "ReduceSum" or value.wholes is None or value.wholes[0] < 0:
        return None
    high = value.wholes[1]
    return 0, 0 if high == 0 else multiply(*sizes, high)


def softmax(step: Step) -> Value:
    """Return shares that add up to 1 along an axis, or their logarithms."""
    value = step.value(0)
    axis = axis_of(step["axis"], value.rank)
    within_texts(value.shape[axis])
    step.multiply(*value.shape, 2)
    if axis != value.rank - 1:
        step.work_on(value.type, *value.shape, 2)
    return Value(value.type, value.shape)


def cumsum(step: Step) -> Value:
    """Return the sums of all elements up to each place of an axis."""
    value = step.value(0)
    within_texts(value.shape[axis_of(int(step.number(1)), value.rank)])
    return Value(value.type, value.shape)


def batch_normalization(step: Step) -> Value:
    """Return each channel scaled and moved by stored numbers."""
    value = step.value(0)
    if value.rank < 2:
        raise ValueError(f"normalizes the shape {value.shape}")
    for index in range(1, 5):
        expect(f"input {index}", step.value(index).shape, (within_texts(value.shape[1]),))
    return Value(value.type, value.shape)


def instance_normalization(step: Step) -> Value:
    """Return each channel of each text with mean 0 and variance 1, scaled and moved."""
    value = step.value(0)
    if value.rank < 3:
        raise ValueError(f"normalizes the shape {value.shape}")
    for size in value.shape[1:]:
        within_texts(size)
    for index in (1, 2):
        expect(f"input {index}", step.value(index).shape, (value.shape[1],))
    step.multiply(*value.shape, 2)
    return Value(value.type, value.shape)


def layer_normalization(step: Step) -> Value:
    """Return the elements from an axis on with mean 0 and variance 1, scaled and moved."""
    value = step.value(0)
    normalized: Dimensions = value.shape[axis_of(step["axis"], value.rank) :]
    for size in normalized:
        within_texts(size)
    expect("its scale", step.value(1).shape, normalized)
    if bias := step.optional(2):
        expect("its bias", bias.shape, normalized)
    step.multiply(*value.shape, 4)
    return Value(value.type, value.shape)


def dropout(step: Step) -> Value:
    """Return the input: nothing is dropped when texts are classified."""
    if step.optional(1) and not 0 <= step.number(1) < 1:
        raise ValueError(f"its ratio is {step.number(1)}")
    if step.optional(2) and step.number(2):
        raise ValueError("drops elements, as only training does")
    return step.value(0)
