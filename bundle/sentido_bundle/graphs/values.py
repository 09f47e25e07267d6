"""What is known of a tensor before a graph runs: its type, its shape, and the values of a few."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from sentido_bundle.graphs.sizes import Dimensions, Product, Size, at_most


class DataType(IntEnum):
    """The element types that a graph may use, by their numbers in ONNX (TensorProto.DataType)."""

    FLOAT = 1
    UINT8 = 2
    INT8 = 3
    INT32 = 6
    INT64 = 7
    BOOL = 9

    @property
    def bytes(self) -> int:
        """Return how many bytes an element has."""
        return {DataType.INT64: 8, DataType.FLOAT: 4, DataType.INT32: 4}.get(self, 1)


Types = frozenset[DataType]

FLOAT: Types = frozenset({DataType.FLOAT})
INT8: Types = frozenset({DataType.INT8})
EIGHT_BITS: Types = frozenset({DataType.INT8, DataType.UINT8})
INT32: Types = frozenset({DataType.INT32})
INT64: Types = frozenset({DataType.INT64})
BOOL: Types = frozenset({DataType.BOOL})
INTEGERS: Types = INT32 | INT64
NUMBERS: Types = FLOAT | INTEGERS
ANY: Types = frozenset(DataType)

Element = Size | float
"""An element that follows from stored tensors and shapes alone: a number, or a size."""

Span = tuple[float, Size | float]
"""The lowest and the highest value that elements can have: floats of floats, else sizes."""

MOST_KNOWN = 64
"""Of tensors with more elements than this, none are known by value."""


@dataclass(frozen=True)
class Value:
    """A tensor of a graph. `known` and `span` are None where nothing is known."""

    type: DataType
    shape: Dimensions
    known: tuple[Element, ...] | None = None
    span: Span | None = None

    @property
    def rank(self) -> int:
        """Return the number of dimensions."""
        return len(self.shape)

    @property
    def tells_sizes(self) -> bool:
        """Return whether an element is a size that differs from batch to batch."""
        return any(isinstance(element, Product) for element in self.known or ())

    @property
    def range(self) -> Span | None:
        """Return the lowest and highest value, of known elements as of others."""
        if self.known is None:
            return self.span
        numbers = [element for element in self.known if isinstance(element, (int, float))]
        if len(numbers) < len(self.known) or not numbers:
            return self.span
        return min(numbers), max(numbers)

    @property
    def is_share(self) -> bool:
        """Return whether every element is a float within 0 to 1."""
        span = self.floats
        return span is not None and 0 <= span[0] <= span[1] <= 1

    @property
    def floats(self) -> tuple[float, float] | None:
        """Return the range of floats, if it is known."""
        low, high = self.range or (0, 0)
        return (low, high) if isinstance(low, float) and isinstance(high, float) else None

    @property
    def wholes(self) -> tuple[int, Size] | None:
        """Return the range of whole numbers, if it is known."""
        low, high = self.range or (0.0, 0.0)
        return (low, high) if isinstance(low, int) and isinstance(high, int | Product) else None

    def integers(self) -> tuple[int, ...] | None:
        """Return the elements if they are known numbers and not sizes."""
        if self.known is None:
            return None
        numbers = tuple(element for element in self.known if isinstance(element, int))
        return numbers if len(numbers) == len(self.known) else None

    def sizes(self) -> tuple[Size, ...] | None:
        """Return the elements if they are known integers or sizes."""
        if self.known is None:
            return None
        sizes = tuple(element for element in self.known if isinstance(element, (int, Product)))
        return sizes if len(sizes) == len(self.known) else None


def common_span(values: Iterable[Value]) -> Span | None:
    """Return a span that holds all elements of several values, or None."""
    common: Span | None = None
    for index, value in enumerate(values):
        span = value.range
        if span is None or (index and common is None):
            return None
        common = span if common is None else _union(common, span)
    return common


def _union(one: Span, other: Span) -> Span | None:
    high = highest(one[1], other[1])
    return (min(one[0], other[0]), high) if high is not None else None


def highest(one: Size | float, other: Size | float) -> Size | float | None:
    """Return the one of two bounds that is known to be at least the other, or None."""
    if isinstance(one, float) or isinstance(other, float):
        return max(one, other) if isinstance(one, float) and isinstance(other, float) else None
    if at_most(one, other):
        return other
    return one if at_most(other, one) else None
