"""Keras' activations as ONNX nodes, and as the functions that ONNX' recurrent operators know."""

from collections.abc import Callable, Sequence
from math import sqrt

from sentido_export.errors import ExportError
from sentido_export.imported.graph.nodes import Nodes

_LEAKY = 0.2  # the slope of Keras' leaky_relu where it is only named

_NODES: dict[str, Callable[[Nodes, str], str]] = {
    "linear": lambda _, x: x,
    "relu": lambda nodes, x: nodes.add("Relu", x),
    "relu6": lambda nodes, x: nodes.add("Clip", x, nodes.number(0), nodes.number(6)),
    "leaky_relu": lambda nodes, x: nodes.add("LeakyRelu", x, alpha=_LEAKY),
    "elu": lambda nodes, x: nodes.add("Elu", x, alpha=1.0),
    "selu": lambda nodes, x: nodes.add("Selu", x),
    "gelu": lambda nodes, x: _gelu(nodes, x),
    "silu": lambda nodes, x: nodes.add("Mul", x, nodes.add("Sigmoid", x)),
    "mish": lambda nodes, x: nodes.add("Mul", x, nodes.add("Tanh", nodes.add("Softplus", x))),
    "softplus": lambda nodes, x: nodes.add("Softplus", x),
    "softsign": lambda nodes, x: nodes.add("Softsign", x),
    "softmax": lambda nodes, x: nodes.add("Softmax", x, axis=-1),
    "log_softmax": lambda nodes, x: nodes.add("LogSoftmax", x, axis=-1),
    "sigmoid": lambda nodes, x: nodes.add("Sigmoid", x),
    "tanh": lambda nodes, x: nodes.add("Tanh", x),
    "exponential": lambda nodes, x: nodes.add("Exp", x),
    "hard_sigmoid_keras2": lambda nodes, x: nodes.add("HardSigmoid", x, alpha=0.2, beta=0.5),
    "hard_sigmoid_keras3": lambda nodes, x: nodes.add("HardSigmoid", x, alpha=1 / 6, beta=0.5),
}

# name in ONNX, alpha and beta where it takes them
_FUNCTIONS: dict[str, tuple[str, float | None, float | None]] = {
    "linear": ("Affine", 1.0, 0.0),
    "relu": ("Relu", None, None),
    "leaky_relu": ("LeakyRelu", _LEAKY, None),
    "elu": ("Elu", 1.0, None),
    "softplus": ("Softplus", None, None),
    "softsign": ("Softsign", None, None),
    "sigmoid": ("Sigmoid", None, None),
    "tanh": ("Tanh", None, None),
    "hard_sigmoid_keras2": ("HardSigmoid", 0.2, 0.5),
    "hard_sigmoid_keras3": ("HardSigmoid", 1 / 6, 0.5),
}


def activate(nodes: Nodes, name: str, tensor: str) -> str:
    """Apply an activation of `architecture.ACTIVATIONS`."""
    return _NODES[name](nodes, tensor)


def recurrent_functions(layer: str, names: Sequence[str]) -> dict[str, list[str] | list[float]]:
    """Return the attributes of LSTM, GRU or RNN that name its activations.

    Raises ExportError for one that the operators do not know.
    """
    for name in names:
        if name not in _FUNCTIONS:
            raise ExportError(
                f"layer {layer}: the activation {name} is not one that ONNX Runtime computes in a"
                f" recurrent layer ({', '.join(_FUNCTIONS)}): train it with one of these"
            )
    functions = [_FUNCTIONS[name] for name in names]
    attributes: dict[str, list[str] | list[float]] = {
        "activations": [function for function, _, _ in functions]
    }
    if alphas := [alpha for _, alpha, _ in functions if alpha is not None]:
        attributes["activation_alpha"] = alphas
    if betas := [beta for _, _, beta in functions if beta is not None]:
        attributes["activation_beta"] = betas
    return attributes


def _gelu(nodes: Nodes, x: str) -> str:
    """Return x * (1 + erf(x / sqrt 2)) / 2."""
    erf = nodes.add("Erf", nodes.add("Mul", x, nodes.number(1 / sqrt(2))))
    half = nodes.add("Mul", x, nodes.number(0.5))
    return nodes.add("Mul", half, nodes.add("Add", erf, nodes.number(1)))
