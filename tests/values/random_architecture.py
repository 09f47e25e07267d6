"""Architectures of random layers that read the steps of a text, with random weights, by a seed."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sentido_export.imported.architecture import Architecture, Input, Layer

_UNITS = 3
_GATES = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}
_MERGES = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate")

Branch = tuple[str, int]  # a layer, and the size of its vectors


def random_architecture(seed: int, ids: int, length: int) -> Architecture:
    """Return some Embeddings, some layers over their steps, and what ends in one softmax."""
    builder = _Builder(seed, ids, length)
    branches = [builder.embedding() for _ in range(builder.random.choice((1, 1, 2)))]
    for _ in range(builder.random.randrange(1, 5)):
        index = builder.random.randrange(len(branches))
        branch = builder.steps(branches[index])
        if builder.random.random() < 0.3:
            branches.append(branch)
        else:
            branches[index] = branch
    alike = [branch for branch in branches if branch[1] == branches[0][1]][:2]
    if len(alike) == 2 and builder.random.random() < 0.7:
        merged = builder.steps(builder.merged(alike))
        branches = [merged, *(branch for branch in branches if branch not in alike)]
    ends = [builder.end(branch) for branch in branches for _ in range(2)]
    names, size = [name for name, _ in ends], sum(size for _, size in ends)
    joined = builder.add("Concatenate", names, {"axis": -1})
    fields = {"units": 2, "activation": "softmax", "use_bias": True}
    last = builder.add("Dense", [joined], fields, (size, 2), (2,))
    return Architecture((Input("ids", length),), tuple(builder.layers), last, "3.0.0")


class _Builder:
    def __init__(self, seed: int, ids: int, length: int) -> None:
        self.random, self.layers = Random(seed), list[Layer]()
        self._numbers, self._ids, self._length = np.random.default_rng(seed), ids, length

    def add(
        self, kind: str, inputs: Sequence[str], fields: Mapping[str, Any], *shapes: tuple[int, ...]
    ) -> str:
        """Add a layer with weights of some shapes; return its name."""
        name = f"{kind.lower()}_{len(self.layers)}"
        weights = tuple(map(self._weights, shapes))
        self.layers.append(Layer(name, kind, fields, tuple(inputs), weights))
        return name

    def embedding(self) -> Branch:
        """Add an Embedding, with a mask or without one."""
        mask = self.random.random() < 0.5
        return self.add("Embedding", ["ids"], {"mask_zero": mask}, (self._ids, _UNITS)), _UNITS

    def steps(self, branch: Branch) -> Branch:
        """Add a layer that returns a vector for each step."""
        (name, size), choice = branch, self.random.randrange(8)
        if choice < 4:
            return self._recurrent(branch, is_every=True)
        if choice == 4:
            fields: dict[str, Any] = {"units": 4, "activation": "softplus", "use_bias": True}
            return self.add("Dense", [name], fields, (size, 4), (4,)), 4
        if choice == 5:
            fields = {"epsilon": 0.1, "center": True, "scale": True}
            return self.add("LayerNormalization", [name], fields, (size,), (size,)), size
        if choice == 6:
            slopes = (self.random.choice((1, self._length)), size)
            return self.add("PReLU", [name], {}, slopes), size
        return self.add("Activation", [name], {"activation": "tanh"}), size

    def merged(self, branches: Sequence[Branch]) -> Branch:
        """Add a layer that merges the steps of branches."""
        kind, size = self.random.choice(_MERGES), branches[0][1]
        names = [name for name, _ in branches]
        if kind == "Concatenate":
            return self.add(kind, names, {"axis": -1}), size * len(branches)
        return self.add(kind, names, {}), size

    def end(self, branch: Branch) -> Branch:
        """Add a layer that returns one vector."""
        (name, size), choice = branch, self.random.randrange(8)
        if choice < 4:
            return self._recurrent(branch, is_every=False)
        if choice == 4:
            return self.add("Flatten", [name], {}), size * self._length
        kind = "GlobalMaxPooling1D" if choice < 6 else "GlobalAveragePooling1D"
        return self.add(kind, [name], {"keepdims": False}), size

    def _recurrent(self, branch: Branch, *, is_every: bool) -> Branch:
        """Add a recurrent layer, in a Bidirectional or alone."""
        (name, size), kind = branch, self.random.choice(tuple(_GATES))
        width, is_biased = _GATES[kind] * _UNITS, self.random.random() < 0.8
        fields: dict[str, Any] = {
            "units": _UNITS,
            "activation": "tanh",
            "use_bias": is_biased,
            "return_sequences": is_every,
            "go_backwards": self.random.random() < 0.15,
            "zero_output_for_mask": self.random.random() < 0.3,
        }
        fields |= {} if kind == "SimpleRNN" else {"recurrent_activation": "sigmoid"}
        fields |= {"reset_after": self.random.random() < 0.5} if kind == "GRU" else {}
        shapes: list[tuple[int, ...]] = [(size, width), (_UNITS, width)]
        if is_biased:
            shapes.append((2, width) if fields.get("reset_after") else (width,))
        if self.random.random() < 0.7:
            return self.add(kind, [name], fields, *shapes), _UNITS
        mode = self.random.choice(("concat", "sum", "mul", "ave"))
        both = {"merge_mode": mode, "layer": {**fields, "kind": kind}}
        units = _UNITS * (2 if mode == "concat" else 1)
        return self.add("Bidirectional", [name], both, *shapes, *shapes), units

    def _weights(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        return self._numbers.normal(0, 0.8, shape).astype(np.float32)
