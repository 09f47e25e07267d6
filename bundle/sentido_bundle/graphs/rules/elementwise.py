"""Operators that work on each element alone, or on elements that stand at the same place."""

import operator
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import zip_longest

import numpy as np

from sentido_bundle.graphs.sizes import (
    Dimensions,
    Product,
    Size,
    add,
    at_most,
    divide,
    multiply,
)
from sentido_bundle.graphs.step import Step
from sentido_bundle.graphs.values import (
    FLOAT,
    INTEGERS,
    DataType,
    Element,
    Span,
    Value,
    common_span,
)

_MOST_INTEGER = 2**31 - 1
_MOST_EXACT = 2**24


def broadcast(shapes: Iterable[Dimensions]) -> Dimensions:
    """Return the common shape of tensors that are combined element by element."""
    common: Dimensions = ()
    for shape in shapes:
        sizes: list[Size] = []
        for one, other in zip_longest(reversed(common), reversed(shape), fillvalue=1):
            if one != other and 1 not in (one, other):
                raise ValueError(f"the shapes {common} and {shape} do not fit")
            sizes.append(other if one == 1 else one)
        common = tuple(reversed(sizes))
    return common


def unary(step: Step) -> Value:
    """Return a tensor of the same shape and type as the input."""
    value = step.value(0)
    return Value(value.type, value.shape)


def composed(step: Step) -> Value:
    """Return the same of an operator that ONNX Runtime makes of several others."""
    value = unary(step)
    step.work_on(value.type, *value.shape)
    return value


def unchanged(step: Step) -> Value:
    """Return the input itself."""
    return step.value(0)


def clip(step: Step) -> Value:
    """Return the input within two stored numbers, each of which may be left out."""
    value = step.value(0)
    bounds = [step.number(i, may_be_list=True) if step.optional(i) else None for i in (1, 2)]
    if any(other is not None and other.type != value.type for other in step.inputs[1:]):
        raise ValueError("its bounds are of another type than what they bound")
    low, high = bounds
    span = (low, high) if low is not None and high is not None and low <= high else None
    return Value(value.type, value.shape, span=span)


def cast(step: Step) -> Value:
    """Return the input as another type."""
    value, to = step.value(0), DataType(step["to"])
    whole = to in INTEGERS and value.type not in FLOAT
    known = value.known if whole and all(map(_fits, value.known or ())) else None
    span = value.range if whole or value.type == to else None
    if to == DataType.FLOAT and value.wholes is not None:
        span = _as_floats(value.wholes)
    if value.type == DataType.BOOL:
        span, known = (value.wholes or (0, 1)) if whole else (0.0, 1.0), None
    return Value(to, value.shape, known, span)


def _as_floats(span: tuple[int, Size]) -> Span | None:
    """Return the span of whole numbers as floats, which hold those up to 2 ** 24 exactly."""
    low, high = span
    if isinstance(high, int) and max(abs(low), abs(high)) <= _MOST_EXACT:
        return float(low), float(high)
    return None


def _fits(element: Element) -> bool:
    return isinstance(element, Product) or abs(element) <= _MOST_INTEGER


def combined(step: Step) -> Value:
    """Return tensors of one type combined element by element."""
    values = step.all()
    if len({value.type for value in values}) > 1:
        raise ValueError(f"combines {', '.join(value.type.name for value in values)}")
    shape = broadcast(value.shape for value in values)
    if len(values) > 2:
        step.work_on(values[0].type, *shape)  # what is combined of the first ones
    return Value(values[0].type, shape)


def compared(step: Step) -> Value:
    """Return whether a relation holds, element by element; never, if the ranges say so."""
    left, right = step.all()
    if step.operator == "Greater":
        left, right = right, left
    is_never = step.operator in ("Less", "Greater") and _is_at_least(left, right)
    return replace(combined(step), type=DataType.BOOL, span=(0, 0) if is_never else (0, 1))


def _is_at_least(left: Value, right: Value) -> bool:
    """Return whether each element of one tensor is known to be at least each of the other."""
    if left.floats is not None and right.floats is not None:
        return left.floats[0] >= right.floats[1]
    if left.wholes is not None and right.wholes is not None:
        return at_most(right.wholes[1], left.wholes[0])
    return False


def negated(step: Step) -> Value:
    """Return the opposite of each element."""
    value = step.value(0)
    low, high = value.wholes or (0, 1)
    return Value(value.type, value.shape, span=(1 - high, 1 - low) if high in (0, 1) else None)


def is_nan(step: Step) -> Value:
    """Return which elements are no numbers."""
    return Value(DataType.BOOL, step.value(0).shape)


def sloped(step: Step) -> Value:
    """Return the input, what is below 0 times a slope that fits its shape."""
    value, slope = step.all()
    if broadcast((value.shape, slope.shape)) != value.shape:
        raise ValueError(f"a slope of the shape {slope.shape} for {value.shape}")
    return unary(step)


def where(step: Step) -> Value:
    """Return elements of one of two tensors."""
    condition, *values = step.all()
    if values[0].type != values[1].type:
        raise ValueError("chooses between two types")
    shape = broadcast(value.shape for value in (condition, *values))
    step.work_on(values[0].type, *shape, 2)  # what is chosen of each, before both are joined
    return Value(values[0].type, shape, span=common_span(values))


def arithmetic(step: Step) -> Value:
    """Return a sum, difference, product or quotient; of sizes, the size that it is."""
    value, (left, right) = combined(step), step.all()
    if step.operator in ("Div", "Mod") and value.type in INTEGERS:
        _check_divisor(right)
    if value.type in FLOAT:
        return replace(value, span=_float_span(step.operator, left, right))
    return replace(value, known=_known(step.operator, value, left, right), span=_span(step))


def _check_divisor(divisor: Value) -> None:
    """Raise ValueError unless it is known: whole numbers divided by 0 end the process."""
    numbers = divisor.integers()
    if numbers is None or min(numbers) < 1:
        raise ValueError("divides whole numbers by what is not known to be above 0")


_FLOATS: dict[str, Callable[[np.float32, np.float32], np.float32]] = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mul": operator.mul,
    "Div": operator.truediv,
}


def _float_span(name: str, left: Value, right: Value) -> Span | None:
    """Return what the results of an operator are within: it is rounded as its results are."""
    one, other = left.floats, right.floats
    if name not in _FLOATS or one is None or other is None:
        return None
    if name == "Div" and other[0] <= 0 <= other[1]:
        return None
    with np.errstate(all="ignore"):
        ends = [_FLOATS[name](np.float32(a), np.float32(b)) for a in one for b in other]
    return (float(min(ends)), float(max(ends))) if np.isfinite(ends).all() else None


_ARITHMETIC: dict[str, Callable[[Size, Size], Size]] = {
    "Add": lambda a, b: add(a, b) if isinstance(b, int) else add(b, _whole(a)),
    "Sub": lambda a, b: a - b if isinstance(a, int) and isinstance(b, int) else add(a, -_whole(b)),
    "Mul": multiply,
    "Div": lambda a, b: divide(a, _whole(b)),
}


def _whole(size: Size) -> int:
    if not isinstance(size, int):
        raise ValueError("not a number")
    return size


def _known(operator: str, value: Value, left: Value, right: Value) -> tuple[Element, ...] | None:
    """Return the elements of a result, if all of them follow from numbers and shapes."""
    one, other = left.sizes(), right.sizes()
    if operator not in _ARITHMETIC or one is None or other is None or value.rank > 1:
        return None
    count = max(len(one), len(other))
    pairs = zip(
        one * (count if len(one) == 1 else 1),
        other * (count if len(other) == 1 else 1),
        strict=True,
    )
    try:
        known = tuple(_ARITHMETIC[operator](*pair) for pair in pairs)
    except ValueError:  # a number that is not a size: it can be computed, but nothing be made by it
        return None
    return known if all(map(_fits, known)) else None


def _span(step: Step) -> Span | None:
    """Return the span of a sum, a difference or a product of whole numbers."""
    left, right = (value.wholes for value in step.all())
    if left is None or right is None:
        return None
    try:
        return _SPANS[step.operator](left, right) if step.operator in _SPANS else None
    except ValueError:  # a bound that is not a size
        return None


_Wholes = tuple[int, Size]


def _product_span(left: _Wholes, right: _Wholes) -> Span:
    if min(left[0], right[0]) < 0:
        raise ValueError("a bound below 0")
    high = 0 if 0 in (left[1], right[1]) else multiply(left[1], right[1])
    return left[0] * right[0], high


_SPANS: dict[str, Callable[[_Wholes, _Wholes], Span]] = {
    "Add": lambda a, b: (a[0] + b[0], _ARITHMETIC["Add"](a[1], b[1])),
    "Sub": lambda a, b: (a[0] - _whole(b[1]), add(a[1], -b[0])),
    "Mul": _product_span,
}


def extremes(step: Step) -> Value:
    """Return the largest or the smallest of elements at the same place."""
    values = step.all()
    span = common_span(values)
    if span is not None and step.operator == "Max":
        span = max(value.range[0] for value in values if value.range), span[1]
    return replace(combined(step), span=span)
