"""Sizes of a tensor's dimensions, in which two sizes are not known yet: the batch and the time.

A size is a whole number, or a product with the number of texts in a batch (BATCH) or with what
operators make of the tokens of its longest text (TIME, `Ticks`). No size shrinks where one of the
two grows, so what the largest batch takes is the most that any batch takes.

The factors of a product stand in the order in which its elements lie in memory: (batch, time)
reshaped to one dimension is another size than (time, batch), because the rows of the batch lie
elsewhere in it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import gcd
from typing import Final

BATCH: Final = "batch"
TIME: Final = "time"

Shape = tuple[int | str, ...]
"""A shape as callers write it: whole numbers, BATCH and TIME."""


@dataclass(frozen=True)
class Ticks:
    """The size (time + offset) // stride: what convolutions and pools leave of the time."""

    offset: int = 0
    stride: int = 1

    def __str__(self) -> str:
        if self == Ticks():
            return TIME
        return f"({TIME} {self.offset:+d}) // {self.stride}"


Factor = int | str | Ticks

_MOST_FACTORS = 64  # of a size; more come of tensors that are multiplied with themselves


@dataclass(frozen=True)
class Product:
    """A size with at least one factor that is not a number; numbers stand nowhere side by side."""

    factors: tuple[Factor, ...]

    def __str__(self) -> str:
        return " * ".join(map(str, self.factors))

    __repr__ = __str__


Size = int | Product
Dimensions = tuple[Size, ...]


def sizes_of(shape: Shape) -> Dimensions:
    """Return the sizes that a shape names."""
    named: dict[str, Size] = {BATCH: Product((BATCH,)), TIME: Product((Ticks(),))}
    return tuple(named[size] if isinstance(size, str) else size for size in shape)


def factors(size: Size) -> tuple[Factor, ...]:
    """Return the factors of a size."""
    return size.factors if isinstance(size, Product) else (size,)


def multiply(*sizes: Size) -> Size:
    """Return the product of sizes, its factors in the order given."""
    merged: list[Factor] = [1]
    for factor in (factor for size in sizes for factor in factors(size)):
        last = merged[-1]
        if isinstance(factor, int) and isinstance(last, int):
            merged[-1] = last * factor
        else:
            merged.append(factor)
    if len(merged) > _MOST_FACTORS:
        raise ValueError(f"makes a size of over {_MOST_FACTORS} factors")
    if all(isinstance(factor, int) for factor in merged):
        return merged[0] if isinstance(merged[0], int) else 0
    if any(isinstance(factor, int) and factor < 1 for factor in merged):
        raise ValueError("a size is multiplied by less than 1")
    return Product(tuple(factor for factor in merged if factor != 1))


def add(size: Size, number: int) -> Size:
    """Return the size and a number more. Raises ValueError where that is not a size."""
    if isinstance(size, int):
        return size + number
    match size.factors:
        case (Ticks(offset, stride),):
            return Product((Ticks(offset + number * stride, stride),))
    if number == 0:
        return size
    raise ValueError(f"adds {number} to the size {size}")


def divide(size: Size, number: int) -> Size:
    """Return the size divided by a number above 0, rounded down. Raises ValueError as `add`."""
    if number < 1 or (isinstance(size, int) and size < 0):
        raise ValueError(f"divides the size {size} by {number}")
    if isinstance(size, int):
        return size // number
    match size.factors:
        case (Ticks(offset, stride),):
            return Product((Ticks(offset, stride * number),))
    for index, factor in enumerate(size.factors):
        if isinstance(factor, int) and factor % number == 0:
            rest = (*size.factors[:index], factor // number, *size.factors[index + 1 :])
            return multiply(*(item if isinstance(item, int) else Product((item,)) for item in rest))
    raise ValueError(f"divides the size {size} by {number}")


def evaluate(size: Size, rows: int, tokens: int) -> int:
    """Return the size in a batch of so many texts, the longest of so many tokens."""
    return evaluate_factors(factors(size), rows, tokens)


def evaluate_factors(factors: Iterable[Factor], rows: int, tokens: int) -> int:
    """Return the product of factors in such a batch."""
    result = 1
    for factor in factors:
        if isinstance(factor, int):
            result *= factor
        elif isinstance(factor, Ticks):
            result *= (tokens + factor.offset) // factor.stride
        else:
            result *= rows
    return result


def has_rows(size: Size) -> bool:
    """Return whether the elements of a dimension belong to different texts."""
    return BATCH in factors(size)


def at_most(size: Size, other: Size) -> bool:
    """Return whether a size is known never to be above another one."""
    if size == other:
        return True
    match factors(size), factors(other):
        case (int(number),), (int(most),):
            return number <= most
        case (Ticks(offset, stride),), (Ticks(most, another),):
            return stride == another and offset <= most
        case (int(number),), _:
            return number <= evaluate(other, 1, 1)
    return False


def regroup(source: Sequence[Size], wanted: Sequence[Size]) -> Dimensions:
    """Return the dimensions after a reshape of `source` to `wanted`, elements left in their order.

    Raises ValueError for another number of elements, or if texts would be mixed up.
    """
    rest = list(factors(multiply(*source)))
    dimensions = tuple(_take(rest, size) for size in wanted)
    if rest not in ([], [1]):
        raise ValueError(f"reshapes {tuple(source)} to {tuple(wanted)}")
    return dimensions


def _take(rest: list[Factor], wanted: Size) -> Size:
    """Take the factors of one dimension off the beginning of `rest`."""
    number = 1
    symbols: list[Factor] = []
    for factor in factors(wanted):
        if isinstance(factor, int):
            number *= factor
        else:
            symbols.append(factor)
    taken: list[Size] = []
    while number != 1 or symbols:
        first = rest.pop(0) if rest else 0
        if isinstance(first, int) and (shared := gcd(first, number)) > 1 and first > 0:
            number //= shared
            taken.append(shared)
            rest[:0] = [first // shared] if first > shared else []
        elif first in symbols:
            symbols.remove(first)
            taken.append(Product((first,)))
        else:
            raise ValueError(f"reshapes to {wanted}, which texts or steps would be mixed in")
    return multiply(*taken)


def remaining(source: Sequence[Size], wanted: Sequence[Size]) -> Size:
    """Return the size that is left of `source` beside the sizes `wanted`: what -1 stands for."""
    number, symbols = 1, []
    for factor in factors(multiply(*source)):
        if isinstance(factor, int):
            number *= factor
        else:
            symbols.append(factor)
    for factor in (factor for size in wanted for factor in factors(size)):
        if isinstance(factor, int):
            if factor < 1 or number % factor:
                raise ValueError(f"reshapes {tuple(source)} to {tuple(wanted)} and a rest")
            number //= factor
        elif factor in symbols:
            symbols.remove(factor)
        else:
            raise ValueError(f"reshapes {tuple(source)} to {tuple(wanted)} and a rest")
    return multiply(number, *(Product((symbol,)) for symbol in symbols))
