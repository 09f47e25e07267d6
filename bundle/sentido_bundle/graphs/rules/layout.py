"""Operators that put the elements of a tensor elsewhere without looking at them."""

from dataclasses import replace

from sentido_bundle.graphs.rules.elementwise import broadcast
from sentido_bundle.graphs.sizes import (
    Dimensions,
    Size,
    add,
    multiply,
    regroup,
    remaining,
)
from sentido_bundle.graphs.step import Step, axes_of, axis_of, within_texts
from sentido_bundle.graphs.values import Value, common_span


def moved(value: Value, shape: Dimensions) -> Value:
    """Return a tensor of elements of another one."""
    return Value(value.type, shape, span=value.range)


def _in_order(value: Value, shape: Dimensions) -> Value:
    """Return a tensor of the same elements in the same order."""
    return replace(moved(value, shape), known=value.known)


def reshape(step: Step) -> Value:
    """Return the elements in another shape: 0 keeps a size, -1 is what is left."""
    value, wanted = step.value(0), list(step.sizes(1))
    if wanted.count(-1) > 1 or any(isinstance(size, int) and size < -1 for size in wanted):
        raise ValueError(f"reshapes to {tuple(wanted)}")
    for index, size in enumerate(wanted):
        if size == 0:
            if index >= value.rank:
                raise ValueError(f"keeps size {index} of the shape {value.shape}")
            wanted[index] = value.shape[index]
    if -1 in wanted:
        index = wanted.index(-1)
        wanted[index] = remaining(value.shape, [size for size in wanted if size != -1])
    return _in_order(value, regroup(value.shape, wanted))


def flatten(step: Step) -> Value:
    """Return a matrix: the sizes before an axis are one, those from it on another."""
    value = step.value(0)
    axis = step["axis"] % value.rank if step["axis"] != value.rank else value.rank
    if not -value.rank <= step["axis"] <= value.rank:
        raise ValueError(f"axis {step['axis']} of {value.rank}")
    shape = multiply(*value.shape[:axis]), multiply(*value.shape[axis:])
    return _in_order(value, regroup(value.shape, shape))


def transpose(step: Step) -> Value:
    """Return a tensor with its dimensions in another order."""
    value = step.value(0)
    order = step["perm"] if step["perm"] is not None else tuple(reversed(range(value.rank)))
    if sorted(order) != list(range(value.rank)):
        raise ValueError(f"perm is {order} for the shape {value.shape}")
    shape = tuple(value.shape[axis] for axis in order)
    return replace(moved(value, shape), known=value.known if value.rank < 2 else None)


def squeeze(step: Step) -> Value:
    """Return a tensor without some dimensions of size 1."""
    value = step.value(0)
    if step.optional(1):
        dropped = axes_of(step.integers(1), value.rank)
    elif all(isinstance(size, int) for size in value.shape):
        dropped = [axis for axis, size in enumerate(value.shape) if size == 1]
    else:
        raise ValueError(f"squeezes the shape {value.shape} without naming axes")
    if any(value.shape[axis] != 1 for axis in dropped):
        raise ValueError(f"squeezes the axes {dropped} of the shape {value.shape}")
    shape = tuple(size for axis, size in enumerate(value.shape) if axis not in dropped)
    return _in_order(value, shape)


def unsqueeze(step: Step) -> Value:
    """Return a tensor with dimensions of size 1 put in."""
    value, axes = step.value(0), step.integers(1)
    rank = value.rank + len(axes)
    added, rest = axes_of(axes, rank), list(value.shape)
    shape = tuple(1 if axis in added else rest.pop(0) for axis in range(rank))
    return _in_order(value, shape)


def expand(step: Step) -> Value:
    """Return a tensor repeated to a shape that follows from shapes."""
    value = step.value(0)
    return moved(value, broadcast((value.shape, check_sizes(step, step.sizes(1)))))


def check_sizes(step: Step, sizes: Dimensions) -> Dimensions:
    """Return sizes. Raises ValueError if one of them could be below 1."""
    if any(step.least(size) < 1 for size in sizes):
        raise ValueError(f"makes the shape {sizes}")
    return sizes


def tile(step: Step) -> Value:
    """Return a tensor repeated along its dimensions."""
    value, repeats = step.value(0), check_sizes(step, step.sizes(1))
    if len(repeats) != value.rank:
        raise ValueError(f"repeats the shape {value.shape} by {repeats}")
    pairs = zip(repeats, value.shape, strict=True)
    return moved(value, tuple(multiply(repeat, size) for repeat, size in pairs))


def concat(step: Step) -> Value:
    """Return tensors put behind one another along an axis."""
    values = step.all()
    first = values[0]
    axis = axis_of(step["axis"], first.rank)
    others = {(v.type, v.rank, *v.shape[:axis], "", *v.shape[axis + 1 :]) for v in values}
    if len(others) > 1:
        raise ValueError(f"joins values of different shapes along axis {axis}")
    joined = _sum([within_texts(value.shape[axis]) for value in values])
    known = None
    if first.rank == 1 and all(value.known is not None for value in values):
        known = tuple(element for value in values for element in value.known or ())
    return Value(
        first.type,
        (*first.shape[:axis], joined, *first.shape[axis + 1 :]),
        known,
        common_span(values),
    )


def _sum(sizes: list[Size]) -> Size:
    """Return a sum of numbers and at most one other size, or of several equal ones."""
    numbers = sum(size for size in sizes if isinstance(size, int))
    others = [size for size in sizes if not isinstance(size, int)]
    if not others:
        return numbers
    if len(set(others)) > 1 or (len(others) > 1 and numbers):
        raise ValueError(f"joins the sizes {sizes}")
    return add(others[0], numbers) if len(others) == 1 else multiply(len(others), others[0])


def split(step: Step) -> list[Value]:
    """Return a tensor cut into pieces along an axis."""
    value, count = step.value(0), step.outputs
    axis = axis_of(step["axis"], value.rank)
    size = within_texts(value.shape[axis])
    if not isinstance(size, int):
        raise ValueError(f"splits the size {size}")
    if step["num_outputs"] not in (None, count):
        raise ValueError(f"num_outputs is {step['num_outputs']}, it has {count} outputs")
    is_counted = step["num_outputs"] is not None
    if step.opset >= 18 and is_counted == (step.optional(1) is not None):
        raise ValueError("says both the sizes and the number of its parts, or neither")
    even = [min(-(-size // count), size - i * -(-size // count)) for i in range(count)]
    parts = list(step.integers(1)) if step.optional(1) else even
    if len(parts) != count or sum(parts) != size or min(parts) < 1:
        raise ValueError(f"splits {size} into {parts}")
    if not step.optional(1) and step.opset < 18 and size % count:
        raise ValueError(f"splits {size} into {count} equal parts")
    before, after = value.shape[:axis], value.shape[axis + 1 :]
    return [moved(value, (*before, part, *after)) for part in parts]


def pad(step: Step) -> Value:
    """Return a tensor with a number put around it."""
    value, pads = step.value(0), step.integers(1)
    axes = list(range(value.rank))
    if step.optional(3):
        axes = [axis_of(axis, value.rank) for axis in step.integers(3)]
    if len(pads) != 2 * len(axes) or len(set(axes)) < len(axes) or min(pads) < 0:
        raise ValueError(f"pads the shape {value.shape} by {pads}")
    if step.optional(2) and (
        step.value(2).type != value.type or step.value(2).shape not in ((), (1,))
    ):
        raise ValueError("pads with what is not one number of the same type")
    shape = list(value.shape)
    for axis, before, after in zip(axes, pads, pads[len(axes) :], strict=False):
        if before + after:
            shape[axis] = add(within_texts(shape[axis]), before + after)
    return Value(value.type, tuple(shape))
