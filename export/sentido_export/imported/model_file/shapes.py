"""The shapes that layers take and return, and those of their arrays; all without the batch.

A shape is (length, units) or (units,). A length of None is what texts decide.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sentido_export.imported.model_file.kinds import MERGES, RECURRENT
from sentido_export.imported.model_file.layer import Read, Shape


class ShapeError(ValueError):
    """A layer that cannot take what it is given. The message follows the layer's name."""


# Its name in Keras and the shapes that it can have; None matches any size.
Variable = tuple[str, tuple[Shape, ...]]


def returned(read: Read, shapes: Sequence[Shape]) -> Shape:
    """Return the shape of what a layer returns. Raises ShapeError."""
    shape, fields = shapes[0], read.fields
    if read.kind in MERGES:
        return _merged(read, shapes)
    if len(shapes) != 1:
        raise ShapeError("takes one input and is given several (states of another layer?)")
    if read.kind == "Embedding":
        return (*_ranked(shape, 1), read.sizes["output_dim"])
    if read.kind in RECURRENT:
        return _recurrent(fields, _ranked(shape, 2))
    if read.kind == "Bidirectional":
        one = _recurrent(fields["layer"], _ranked(shape, 2))
        return (*one[:-1], fields["layer"]["units"] * (1 + (fields["merge_mode"] == "concat")))
    if read.kind == "Conv1D":
        return _windows(_ranked(shape, 2), fields, fields["filters"], fields["kernel_size"])
    if read.kind in ("MaxPooling1D", "AveragePooling1D"):
        return _windows(_ranked(shape, 2), fields, shape[1], fields["pool_size"])
    if read.kind in ("GlobalMaxPooling1D", "GlobalAveragePooling1D"):
        units = _ranked(shape, 2)[1]
        return (1, units) if fields["keepdims"] else (units,)
    if read.kind == "Flatten":
        return (None if None in shape else _product(shape),)
    if read.kind == "Dense":
        return (*shape[:-1], fields["units"])
    if read.kind in ("BatchNormalization", "LayerNormalization", "Softmax"):
        last_axis(read, shape)
    return shape


def last_axis(read: Read, shape: Shape) -> None:
    """Raise ShapeError unless a layer's `axis` is the last one, however it is written."""
    axis = read.config.get("axis", -1)
    if isinstance(axis, list) and len(axis) == 1:
        axis = axis[0]
    if isinstance(axis, bool) or axis not in (-1, len(shape)):
        raise ShapeError(f"works along axis {axis!s:.40}, not the last: it is not computed here")


def _ranked(shape: Shape, rank: int) -> Shape:
    if len(shape) != rank:
        wanted = "ids" if rank == 1 else "a sequence"
        raise ShapeError(f"takes {wanted}, and is given an input of shape {shown(shape)}")
    return shape


def shown(shape: Shape) -> str:
    """Return a shape as Keras prints it."""
    return str((None, *shape))


def _product(shape: Shape) -> int:
    product = 1
    for size in shape:
        product *= size or 0
    return product


def _recurrent(fields: dict[str, Any], shape: Shape) -> Shape:
    return (shape[0], fields["units"]) if fields["return_sequences"] else (fields["units"],)


def _windows(shape: Shape, fields: dict[str, Any], units: int | None, window: int) -> Shape:
    """Return the shape after windows moved along a sequence."""
    length = shape[0]
    if length is not None:
        if fields["padding"] == "valid":
            length -= (window - 1) * fields.get("dilation_rate", 1)
        length = -(-length // fields["strides"])
        if length < 1:
            raise ShapeError(f"takes windows of {window}, longer than its input of {shape[0]}")
    return (length, units)


def _merged(read: Read, shapes: Sequence[Shape]) -> Shape:
    ranks = {len(shape) for shape in shapes}
    if len(shapes) < 2 or len(ranks) != 1:
        raise ShapeError("merges inputs of different ranks, or only one")
    if read.kind != "Concatenate":
        if len({shape[-1] for shape in shapes}) != 1:
            raise ShapeError("merges inputs of different sizes, which is not computed here")
        return next((shape for shape in shapes if shape[0] is not None), shapes[0])
    axis = concatenated_axis(read, len(shapes[0]))
    if axis == -1:
        units = [shape[-1] for shape in shapes]
        return (*shapes[0][:-1], None if None in units else sum(u or 0 for u in units))
    steps = [shape[0] for shape in shapes]
    return (None if None in steps else sum(s or 0 for s in steps), shapes[0][1])


def concatenated_axis(read: Read, rank: int) -> int:
    """Return the axis of a Concatenate, counted from the end."""
    axis = read.config.get("axis", -1)
    if not isinstance(axis, int) or isinstance(axis, bool):
        raise ShapeError(f"has an axis that is not an integer: {axis!s:.40}")
    axis = axis - rank - 1 if axis > 0 else axis
    if not -rank <= axis <= -1:
        raise ShapeError(f"joins texts of a batch (axis {axis}), which is not computed here")
    return axis


def variables(read: Read, shape: Shape) -> list[Variable]:
    """Return names and shapes of a layer's arrays, in the order of Keras' `get_weights()`."""
    if read.kind == "Bidirectional":
        inner = read.fields["layer"]
        return 2 * _VARIABLES[inner["kind"]](inner, read, shape)
    return _VARIABLES[read.kind](read.fields, read, shape) if read.kind in _VARIABLES else []


def _biased(fields: dict[str, Any], kernel: Shape, bias: Shape) -> list[Variable]:
    return [("kernel", (kernel,)), *([("bias", (bias,))] if fields["use_bias"] else [])]


def _rnn(gates: int) -> Callable[[dict[str, Any], Read, Shape], list[Variable]]:
    def of(fields: dict[str, Any], _: Read, shape: Shape) -> list[Variable]:
        units, size = fields["units"], gates * fields["units"]
        biases: tuple[Shape, ...] = ((size,),)
        if gates == 4:
            biases = ((size,), (2 * size,))  # the second as a CuDNNLSTM has it
        elif fields.get("reset_after"):
            biases = ((2, size), (2 * size,))  # as a CuDNNGRU
        kernels = [("kernel", ((shape[-1], size),)), ("recurrent_kernel", ((units, size),))]
        return [*kernels, *([("bias", biases)] if fields["use_bias"] else [])]

    return of


def _normalization(fields: dict[str, Any], read: Read, shape: Shape) -> list[Variable]:
    names = [name for name, field in (("gamma", "scale"), ("beta", "center")) if fields[field]]
    if read.kind == "BatchNormalization":
        names += ["moving_mean", "moving_variance"]
    return [(name, ((shape[-1],),)) for name in names]


def _prelu(_: dict[str, Any], read: Read, shape: Shape) -> list[Variable]:
    shared = read.config.get("shared_axes") or []
    if not isinstance(shared, list):
        raise ShapeError("has shared_axes that are not a list")
    sizes = [1 if axis in shared else size for axis, size in enumerate(shape, 1)]
    return [("alpha", (tuple(sizes),))]


_VARIABLES: dict[str, Callable[[dict[str, Any], Read, Shape], list[Variable]]] = {
    "Embedding": lambda _, read, __: [
        ("embeddings", ((read.sizes["input_dim"], read.sizes["output_dim"]),))
    ],
    "LSTM": _rnn(4),
    "GRU": _rnn(3),
    "SimpleRNN": _rnn(1),
    "Conv1D": lambda fields, _, shape: _biased(
        fields, (fields["kernel_size"], shape[-1], fields["filters"]), (fields["filters"],)
    ),
    "Dense": lambda fields, _, shape: _biased(
        fields, (shape[-1], fields["units"]), (fields["units"],)
    ),
    "BatchNormalization": _normalization,
    "LayerNormalization": _normalization,
    "PReLU": _prelu,
}
