"""Operators that work on each element alone, or on elements that stand at the same place."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import zip_longest

from sentido_bundle.graphs.sizes import Dimensions, Product, Size, add, divide, multiply
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


def unchanged(step: Step) -> Value:
    """Return the input itself."""
    return replace(step.value(0), is_stored=False)


def clip(step: Step) -> Value:
    """Return the input within two stored numbers, each of which may be left out."""
    value = step.value(0)
    bounds = [step.number(i) if step.optional(i) else None for i in (1, 2)]
    if any(other is not None and other.type != value.type for other in step.inputs[1:]):
        raise ValueError("its bounds are of another type than what they bound")
    low, high = bounds
    is_share = low is not None and high is not None and 0 <= low <= high <= 1
    span = None
    if isinstance(low, int) and isinstance(high, int) and low <= high:
        span = (low, high)
    return Value(value.type, value.shape, span=span, is_share=is_share)


def cast(step: Step) -> Value:
    """Return the input as another type."""
    value, to = step.value(0), DataType(step["to"])
    whole = to in INTEGERS and value.type not in FLOAT
    known = value.known if whole and all(map(_fits, value.known or ())) else None
    span = value.range if whole else None
    if value.type == DataType.BOOL:
        span, known = (0, 1), None
    is_share = value.is_share and to == DataType.FLOAT
    return Value(to, value.shape, known, span, is_share)


def _fits(element: Element) -> bool:
    return isinstance(element, Product) or abs(element) <= _MOST_INTEGER


def combined(step: Step) -> Value:
    """Return tensors of one type combined element by element."""
    values = step.all()
    if len({value.type for value in values}) > 1:
        raise ValueError(f"combines {', '.join(value.type.name for value in values)}")
    return Value(values[0].type, broadcast(value.shape for value in values))


def compared(step: Step) -> Value:
    """Return whether a relation holds, element by element."""
    return replace(combined(step), type=DataType.BOOL)


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
    is_share = all(value.is_share for value in values)
    return Value(values[0].type, shape, span=common_span(values), is_share=is_share)


def arithmetic(step: Step) -> Value:
    """Return a sum, difference, product or quotient; of sizes, the size that it is."""
    value, (left, right) = combined(step), step.all()
    if step.operator in ("Div", "Mod") and value.type in INTEGERS:
        _check_divisor(right)
    if value.type in FLOAT:
        return replace(value, is_share=_is_share(step.operator, left, right))
    return replace(value, known=_known(step.operator, value, left, right), span=_span(step))


def _check_divisor(divisor: Value) -> None:
    """Raise ValueError unless it is known: whole numbers divided by 0 end the process."""
    numbers = divisor.integers()
    if numbers is None or min(numbers) < 1:
        raise ValueError("divides whole numbers by what is not known to be above 0")


def _is_share(operator: str, left: Value, right: Value) -> bool:
    if operator == "Sub":  # 1 less a probability
        return right.is_share and left.known is not None and set(left.known) == {1}
    return operator == "Mul" and left.is_share and right.is_share


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
    """Return the span of a sum or a difference with a stored number."""
    left, right = step.all()
    if step.operator == "Add" and right.span is not None:
        left, right = right, left
    numbers, span = right.integers(), left.range
    if step.operator not in ("Add", "Sub") or span is None or numbers is None:
        return None
    low, high = min(numbers), max(numbers)
    if step.operator == "Sub":
        low, high = -high, -low
    try:
        return span[0] + low, add(span[1], high)
    except ValueError:
        return None


def extremes(step: Step) -> Value:
    """Return the largest or the smallest of elements at the same place."""
    values = step.all()
    span = common_span(values)
    if span is not None and step.operator == "Max":
        span = max(value.range[0] for value in values if value.range), span[1]
    is_share = all(value.is_share for value in values)
    return replace(combined(step), span=span, is_share=is_share)
