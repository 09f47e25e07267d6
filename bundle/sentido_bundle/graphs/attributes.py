"""The attributes that a node may have: their types, their values, and what they are if left out."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sentido_bundle.errors import quoted
from sentido_bundle.graphs.model_file import Node

_FLOAT, _INT, _STRING, _TENSOR, _FLOATS, _INTS, _STRINGS = 1, 2, 3, 4, 6, 7, 8
_TYPE_NAMES = {
    _FLOAT: "a float",
    _INT: "an integer",
    _STRING: "a string",
    _TENSOR: "a tensor",
    _FLOATS: "a list of floats",
    _INTS: "a list of integers",
    _STRINGS: "a list of strings",
}
_LISTS = (_FLOATS, _INTS, _STRINGS)
_MOST = 2**31 - 1

NEEDED = object()
"""The default of an attribute that a node must have."""


@dataclass(frozen=True)
class Attribute:
    """One attribute of an operator. `type` is a number of AttributeProto.AttributeType."""

    type: int
    default: Any
    is_allowed: Callable[[Any], bool]  # of each element
    wanted: str

    def read(self, node: Node, name: str) -> Any:
        """Return the value that a node has. Raises ValueError for one that is not allowed."""
        if name not in node.attributes:
            if self.default is NEEDED:
                raise ValueError(f"attribute {name} is missing")
            return self.default
        found = node.attributes[name]
        if found.type != self.type:
            raise ValueError(f"attribute {name} is not {_TYPE_NAMES[self.type]}")
        if not all(map(self.is_allowed, found.values)):
            raise ValueError(f"attribute {name} is {quoted(found.values)}, not {self.wanted}")
        return found.values if self.type in _LISTS else found.values[0]


Attributes = Mapping[str, Attribute]


def whole(default: Any = NEEDED, least: int = -8, most: int = 8) -> Attribute:
    """Return an attribute of one whole number."""
    return Attribute(_INT, default, lambda x: least <= x <= most, f"within {least} to {most}")


def flag(default: Any = 0) -> Attribute:
    """Return an attribute that is 0 or 1."""
    return whole(default, 0, 1)


def only(number: int) -> Attribute:
    """Return an attribute that must have its default."""
    return whole(number, number, number)


def wholes(default: Any = NEEDED, least: int = -8, most: int = _MOST) -> Attribute:
    """Return an attribute of several whole numbers."""
    return Attribute(_INTS, default, lambda x: least <= x <= most, f"within {least} to {most}")


def one_of(*numbers: int) -> Attribute:
    """Return an attribute of one number out of a few, which a node must have."""
    return Attribute(_INT, NEEDED, numbers.__contains__, f"one of {sorted(map(int, numbers))}")


def above_0() -> Attribute:
    """Return an attribute of a number above 0, which may be left out."""
    return Attribute(_FLOAT, None, lambda x: 0 < x < math.inf, "above 0")


def number(default: float) -> Attribute:
    """Return an attribute of a finite number."""
    return Attribute(_FLOAT, default, math.isfinite, "finite")


def numbers(default: Any = None) -> Attribute:
    """Return an attribute of several finite numbers."""
    return Attribute(_FLOATS, default, math.isfinite, "finite")


def word(default: Any, *allowed: str) -> Attribute:
    """Return an attribute of one word out of a few."""
    return Attribute(_STRING, default, allowed.__contains__, f"one of {', '.join(allowed)}")


def words(default: Any, *allowed: str) -> Attribute:
    """Return an attribute of several words out of a few."""
    return Attribute(_STRINGS, default, allowed.__contains__, f"of {', '.join(allowed)}")


def tensor(default: Any = NEEDED) -> Attribute:
    """Return an attribute that is a tensor."""
    return Attribute(_TENSOR, default, lambda _: True, "a tensor")


def read_attributes(node: Node, attributes: Attributes) -> dict[str, Any]:
    """Return all attributes of an operator as a node has them, defaults filled in."""
    if unknown := node.attributes.keys() - attributes.keys():
        raise ValueError(f"attributes {quoted(sorted(unknown))} are not allowed")
    return {name: attribute.read(node, name) for name, attribute in attributes.items()}
