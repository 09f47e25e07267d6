"""One node of a graph with all that is known of what goes into it: what the rules are given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sentido_bundle.graphs.sizes import (
    Dimensions,
    Size,
    add,
    at_most,
    evaluate,
    has_rows,
    multiply,
)
from sentido_bundle.graphs.values import DataType, Element, Value


@dataclass
class Step:
    """A node, its attributes and its inputs. Collects what it costs beside what it returns."""

    operator: str
    opset: int
    inputs: Sequence[Value | None]  # None: left out
    attributes: Mapping[str, Any]
    outputs: int
    least_tokens: int  # of the longest text in a batch
    most_tokens: int
    multiplications: list[Size] = field(default_factory=list)
    working_bytes: list[Size] = field(default_factory=list)

    def __getitem__(self, name: str) -> Any:
        """Return an attribute."""
        return self.attributes[name]

    def optional(self, index: int) -> Value | None:
        """Return an input, or None where it is left out."""
        return self.inputs[index] if index < len(self.inputs) else None

    def value(self, index: int) -> Value:
        """Return an input that must be there."""
        value = self.optional(index)
        if value is None:
            raise ValueError(f"input {index} is left out")
        return value

    def all(self) -> list[Value]:
        """Return all inputs, none of which may be left out."""
        return [self.value(index) for index in range(len(self.inputs))]

    def integers(self, index: int) -> tuple[int, ...]:
        """Return the elements of an input, which must be known numbers: a list of a few."""
        value = self.value(index)
        numbers = value.integers()
        if numbers is None or value.rank != 1:
            raise ValueError(f"input {index} is not a stored list of a few whole numbers")
        return numbers

    def sizes(self, index: int) -> tuple[Size, ...]:
        """Return the elements of an input, which must follow from stored numbers and shapes."""
        value = self.value(index)
        sizes = value.sizes()
        if sizes is None or value.rank != 1:
            raise ValueError(f"input {index} does not follow from stored numbers and shapes alone")
        return sizes

    def number(self, index: int, may_be_list: bool = False) -> float:
        """Return an input that must be a single known number, or a list of one."""
        number = self.element(index, may_be_list)
        if not isinstance(number, (int, float)):
            raise ValueError(f"input {index} is not a stored number")
        return number

    def element(self, index: int, may_be_list: bool = False) -> Element:
        """Return the only element of an input, which must be known and have no dimensions."""
        value = self.value(index)
        if value.known is None or value.shape not in (((), (1,)) if may_be_list else ((),)):
            raise ValueError(f"input {index} is not a stored number")
        return value.known[0]

    def least(self, size: Size) -> int:
        """Return what a size is at least."""
        return evaluate(size, 1, self.least_tokens)

    def look_up(self, what: str, value: Value, size: Size) -> None:
        """Raise ValueError unless all elements are known to be within 0 to below a size."""
        low, high = value.wholes or (-1, 0)
        most = evaluate(high, 1, self.most_tokens)
        is_within = at_most(add(high, 1), size) or (isinstance(size, int) and most < size)
        if low < 0 or not is_within:
            raise ValueError(f"{what} are not known to be below {size}")

    def multiply(self, *sizes: Size) -> None:
        """Count multiplications: the product of the sizes."""
        self.multiplications.append(multiply(*sizes))

    def work_on(self, type: DataType, *sizes: Size) -> None:
        """Count memory beside the outputs: so many elements of a type."""
        self.working_bytes.append(multiply(*sizes, type.bytes))

    def pack(self, *values: Value) -> None:
        """Count the copies that ONNX Runtime makes of weights for each node when it opens a graph.

        What has a size that differs from run to run is not one.
        """
        for value in values:
            if all(isinstance(size, int) for size in value.shape):
                self.work_on(value.type, *value.shape)


def axis_of(axis: int, rank: int) -> int:
    """Return an axis counted from the first one. Raises ValueError if there is no such axis."""
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} of {rank}")
    return axis % rank


def axes_of(axes: Sequence[int], rank: int) -> list[int]:
    """Return different axes, in order and counted from the first one."""
    found = sorted(axis_of(axis, rank) for axis in axes)
    if len(set(found)) < len(found):
        raise ValueError(f"the axes {tuple(axes)} name one twice")
    return found


def within_texts(size: Size) -> Size:
    """Return a size that an operator works along. Raises ValueError if it would mix up texts."""
    if has_rows(size):
        raise ValueError(f"works along the size {size}: across the texts of a batch")
    return size


def expect(what: str, found: Dimensions, wanted: Dimensions) -> None:
    """Raise ValueError unless a shape is the one that is needed."""
    if found != wanted:
        raise ValueError(f"{what} has the shape {found}, {wanted} is needed")
