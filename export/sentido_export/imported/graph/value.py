"""What a layer returns within a graph: a tensor, its shape, and which steps are padding."""

from dataclasses import dataclass

from sentido_bundle import Padding
from sentido_export.imported.graph.nodes import Nodes

ANY_LENGTH = 0
"""In the place of the number of steps in a shape, where texts decide it."""


@dataclass(frozen=True)
class Mask:
    """Keras' mask: which steps are real. `padding` None: it is not all on one side."""

    name: str  # a bool tensor (batch, time)
    lengths: str  # an int32 tensor (batch,), the number of real steps
    padding: Padding | None

    def of_steps(self, nodes: Nodes) -> str:
        """Return the mask as (batch, time, 1), to choose between steps."""
        return nodes.add("Unsqueeze", self.name, nodes.axes(2))


@dataclass(frozen=True)
class Value:
    """A float32 tensor (batch, *shape).

    `even`: every padded step holds the same, on whichever side the padding stands.
    """

    name: str
    shape: tuple[int, ...]
    mask: Mask | None = None
    even: bool = False

    @property
    def units(self) -> int:
        """The size of the last axis."""
        return self.shape[-1]
