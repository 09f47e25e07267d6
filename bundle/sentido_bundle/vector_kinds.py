"""The kinds of vectors that a bundle may have, for texts and tokens, as the protocol names them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sentido_bundle.layouts import Ids

TEXT_KINDS = {"hidden": "hidden", "mean": "word_vectors"}
"""The kinds of vectors for a text, the usual one first, and the capability that each needs."""

TOKEN_KINDS = {"word": "word_vectors", "hidden": "steps"}
"""The kinds of vectors for a token, the usual one first, and the capability that each needs."""


@dataclass(frozen=True)
class VectorKind:
    """Vectors of one kind: an output of one of the bundle's graphs, or looked up without one."""

    size: int  # elements of a vector
    output: str | None  # None: looked up
    of: Callable[[Ids], NDArray[np.float32]]  # computes or looks it up, here and now
