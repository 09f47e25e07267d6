"""Operators that pick elements by where they stand, and those that make tensors of shapes."""

from dataclasses import replace
from typing import Any

from sentido_bundle.graphs.rules.layout import check_sizes, moved
from sentido_bundle.graphs.sizes import Product, Size, add, at_most, divide
from sentido_bundle.graphs.step import Step, axis_of, within_texts
from sentido_bundle.graphs.values import MOST_KNOWN, DataType, Value

_END = 2**31 - 1  # from here on, an end of a slice is the end of the dimension


def shape(step: Step) -> Value:
    """Return the sizes of a tensor, all or those from `start` to before `end`."""
    sizes = step.value(0).shape[step["start"] : step["end"]]
    if not sizes:
        raise ValueError("returns no size at all")
    return Value(DataType.INT64, (len(sizes),), sizes)


def constant(step: Step) -> Value:
    """Return a tensor that is stored in the node."""
    value: Value = step["value"]
    return value


def constant_of_shape(step: Step) -> Value:
    """Return a tensor of one number, in a shape that follows from shapes."""
    sizes = check_sizes(step, step.sizes(0))
    value: Value | None = step["value"]
    if value is None:
        return Value(DataType.FLOAT, sizes)
    if value.known is None or len(value.known) != 1:
        raise ValueError("value is not a tensor of one element")
    count = sizes[0] if len(sizes) == 1 else 1 if not sizes else None
    small = isinstance(count, int) and count <= MOST_KNOWN
    known = value.known * count if small and isinstance(count, int) else None
    return Value(value.type, sizes, known, value.range)


def range_(step: Step) -> Value:
    """Return the whole numbers from a start up to a limit that follows from shapes."""
    values = step.all()
    if len({value.type for value in values}) > 1:
        raise ValueError("its inputs are not of one type")
    start, limit, delta = (step.element(index) for index in range(3))
    if not isinstance(start, int) or not isinstance(delta, int) or delta < 1:
        raise ValueError(f"counts from {start} in steps of {delta}")
    if isinstance(limit, float):
        raise ValueError(f"counts up to {limit}")
    count = divide(add(within_texts(limit), -start + delta - 1), delta)
    if step.least(count) < 1:
        raise ValueError(f"counts from {start} to {limit}")
    return Value(values[0].type, (count,), span=(start, add(limit, -1)))


def gather(step: Step) -> Value:
    """Return the parts of a tensor that indices name along an axis."""
    data, indices = step.value(0), step.value(1)
    axis = axis_of(step["axis"], data.rank)
    size = within_texts(data.shape[axis])
    found, least = indices.integers(), step.least(size)
    if found is None:
        step.look_up("the indices", indices, size)
    elif not all(-least <= index < least for index in found):
        raise ValueError(f"looks up {found} in {size} elements")
    known = None
    if data.known is not None and data.rank == 1 and found is not None and indices.rank < 2:
        known = tuple(data.known[index] for index in found)
    value = moved(data, (*data.shape[:axis], *indices.shape, *data.shape[axis + 1 :]))
    return replace(value, known=known)


def gather_elements(step: Step) -> Value:
    """Return the elements that indices name along an axis, at the same place on the others."""
    data, indices = step.value(0), step.value(1)
    axis = axis_of(step["axis"], data.rank)
    others = [(*v.shape[:axis], *v.shape[axis + 1 :]) for v in (data, indices)]
    if data.rank != indices.rank or others[0] != others[1]:
        raise ValueError(f"looks up the shape {indices.shape} in {data.shape}")
    step.look_up("the indices", indices, within_texts(data.shape[axis]))
    return moved(data, indices.shape)


def gather_nd(step: Step) -> Value:
    """Return the parts of a tensor that lists of indices name."""
    data, indices, batch = step.value(0), step.value(1), step["batch_dims"]
    depth = indices.shape[-1] if indices.rank else 0
    if not isinstance(depth, int) or not 0 < batch + depth <= data.rank or batch >= indices.rank:
        raise ValueError(f"looks up the shape {indices.shape} in {data.shape}")
    if data.shape[:batch] != indices.shape[:batch]:
        raise ValueError(f"looks up the shape {indices.shape} in {data.shape}")
    for size in data.shape[batch : batch + depth]:
        step.look_up("the indices", indices, within_texts(size))
    return moved(data, (*indices.shape[:-1], *data.shape[batch + depth :]))


def reverse_sequence(step: Step) -> Value:
    """Return a tensor in which the first steps of each text stand in reverse order."""
    value, lengths = step.value(0), step.value(1)
    time, batch = step["time_axis"], step["batch_axis"]
    if value.rank < 2 or {time, batch} != {0, 1}:
        raise ValueError(f"time_axis is {time}, batch_axis {batch}")
    if lengths.shape != (value.shape[batch],):
        raise ValueError(f"its lengths have the shape {lengths.shape}")
    check_lengths(lengths, within_texts(value.shape[time]))
    return moved(value, value.shape)


def check_lengths(lengths: Value, time: Size) -> None:
    """Raise ValueError unless lengths of texts are known to be within 0 to a number of steps."""
    span = lengths.wholes
    if span is None or span[0] < 0 or not at_most(span[1], time):
        raise ValueError(f"its lengths are not known to be at most {time}")


def slice_(step: Step) -> Value:
    """Return a part of a tensor between two places on each of some axes."""
    value = step.value(0)
    if len({index.type for index in step.inputs[1:] if index is not None}) > 1:
        raise ValueError("its starts, ends, axes and steps are of two types")
    starts, ends = step.sizes(1), step.sizes(2)
    axes = step.integers(3) if step.optional(3) else tuple(range(len(starts)))
    steps = step.integers(4) if step.optional(4) else (1,) * len(starts)
    axes = tuple(axis_of(axis, value.rank) for axis in axes)
    if len({len(starts), len(ends), len(axes), len(steps)}) > 1 or len(set(axes)) < len(axes):
        raise ValueError("its starts, ends, axes and steps do not fit each other")
    sizes, known = list(value.shape), value.known
    for axis, start, end, by in zip(axes, starts, ends, steps, strict=True):
        sizes[axis] = _cut(step, value.shape[axis], start, end, by)
    if known is not None:
        known = _cut_known(value, starts, ends, steps)
    return replace(moved(value, tuple(sizes)), known=known)


def _cut_known(value: Value, starts: Any, ends: Any, steps: Any) -> Any:
    numbers = (*starts, *ends)
    if value.rank != 1 or value.known is None or not all(isinstance(n, int) for n in numbers):
        return None
    end = None if ends[0] <= -_END else ends[0]
    return value.known[starts[0] : end : steps[0]]


def _cut(step: Step, size: Size, start: Size, end: Size, by: int) -> Size:
    """Return how many elements a slice leaves of a dimension."""
    if isinstance(size, int) and isinstance(start, int) and isinstance(end, int) and by:
        stop = None if by < 0 and end <= -_END else end
        left = len(range(size)[start:stop:by])
        if left < 1:
            raise ValueError(f"leaves nothing of the size {size}")
        return left
    is_whole = start == 0 and (end == size or (isinstance(end, int) and end >= _END)) and by == 1
    if is_whole:
        return size
    return _cut_symbol(step, within_texts(size), start, end, by)


def _cut_symbol(step: Step, size: Size, start: Size, end: Size, by: int) -> Size:
    """Return the same of a dimension whose size is not known yet."""
    if by == -1 and start in (-1, _END) and isinstance(end, int) and end <= -_END:
        return size  # all of it, in reverse
    if by < 1 or not isinstance(start, int):
        raise ValueError(f"cuts the size {size} from {start} to {end} in steps of {by}")
    first, last = _place(step, size, start), _place(step, size, end)
    left: Size
    if isinstance(first, Product) or (isinstance(first, int) and isinstance(last, int)):
        left = -start if last == size and isinstance(first, Product) else _between(first, last)
    else:
        left = add(last, -first)
    left = divide(add(left, by - 1), by)
    if step.least(left) < 1:
        raise ValueError(f"leaves nothing of the size {size} from {start} to {end}")
    return left


def _between(first: Size, last: Size) -> int:
    if not isinstance(first, int) or not isinstance(last, int):
        raise ValueError(f"cuts from {first} to {last}")
    return last - first


def _place(step: Step, size: Size, place: Size) -> Size:
    """Return a place counted from the beginning, which must be within every size."""
    if place == size or (isinstance(place, int) and place >= _END):
        return size
    if not isinstance(place, int) or abs(place) > step.least(size):
        raise ValueError(f"place {place} may be outside the size {size}")
    return place if place >= 0 else add(size, place)


def one_hot(step: Step) -> Value:
    """Return for each index a vector with one element that differs from the others."""
    indices, depth, values = step.value(0), step.number(1), step.value(2)
    if not isinstance(depth, int) or depth < 1 or values.shape != (2,) or not indices.rank:
        raise ValueError(f"makes vectors of {depth} elements for the shape {indices.shape}")
    axis = axis_of(step["axis"], indices.rank + 1)
    shape = (*indices.shape[:axis], depth, *indices.shape[axis:])
    return Value(values.type, shape, span=values.range)


def arg_extreme(step: Step) -> Value:
    """Return where the largest or smallest element along an axis stands."""
    value = step.value(0)
    axis = axis_of(step["axis"], value.rank)
    size = within_texts(value.shape[axis])
    kept = (1,) if step["keepdims"] else ()
    shape = (*value.shape[:axis], *kept, *value.shape[axis + 1 :])
    return Value(DataType.INT64, shape, span=(0, add(size, -1)))
