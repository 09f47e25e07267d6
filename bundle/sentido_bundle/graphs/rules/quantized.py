"""8-bit twins of the operators that cost the most, and the ways to 8 bits and back."""

from sentido_bundle.graphs.rules.products import convolved, multiplied
from sentido_bundle.graphs.sizes import Dimensions
from sentido_bundle.graphs.step import Step, axis_of, expect, within_texts
from sentido_bundle.graphs.values import DataType, Value


def dynamic_quantize(step: Step) -> list[Value]:
    """Return 8-bit numbers with the scale and the zero point that fit the whole batch."""
    value = step.value(0)
    return [
        Value(DataType.UINT8, value.shape),
        Value(DataType.FLOAT, ()),
        Value(DataType.UINT8, ()),
    ]


def quantize(step: Step) -> Value:
    """Return 8-bit numbers of a stored scale and zero point."""
    value = step.value(0)
    type = _check_scale(step)
    return Value(type if type is not None else DataType.UINT8, value.shape)


def dequantize(step: Step) -> Value:
    """Return the floats that 8-bit numbers stand for."""
    value = step.value(0)
    if _check_scale(step) not in (None, value.type):
        raise ValueError("its zero point is of another type than what it is subtracted from")
    return Value(DataType.FLOAT, value.shape)


def _check_scale(step: Step) -> DataType | None:
    """Check the scale, which is one number or one along an axis; return the zero point's type."""
    value, scale, zero = step.value(0), step.value(1), step.optional(2)
    if scale.rank == 1 and scale.shape != (1,):
        axis = axis_of(step["axis"], value.rank)
        expect("its scale", scale.shape, (within_texts(value.shape[axis]),))
    elif scale.shape not in ((), (1,)):
        raise ValueError(f"its scale has the shape {scale.shape}")
    if zero is None:
        return None
    expect("its zero point", zero.shape, scale.shape)
    return zero.type


def matmul_integer(step: Step) -> Value:
    """Return products of matrices of 8-bit numbers."""
    left, right = step.value(0), step.value(1)
    _check_zero("a_zero_point", step.optional(2), left, ())
    _check_zero("b_zero_point", step.optional(3), right, right.shape[-1:])
    return multiplied(step, left, right, DataType.INT32)


def _check_zero(what: str, zero: Value | None, value: Value, columns: Dimensions) -> None:
    """Check a zero point: one number, or one per column where a column may have its own."""
    if zero is None:
        return
    if zero.type != value.type:
        raise ValueError(f"{what} is of another type than what it is subtracted from")
    if zero.shape not in ((), (1,)) and (zero.shape != columns or value.rank != 2):
        raise ValueError(f"{what} has the shape {zero.shape}")


def conv_integer(step: Step) -> Value:
    """Return a convolution of 8-bit numbers."""
    value, filters = step.value(0), step.value(1)
    _check_zero("x_zero_point", step.optional(2), value, ())
    _check_zero("w_zero_point", step.optional(3), filters, ())
    return convolved(step, value, filters, None, DataType.INT32)
