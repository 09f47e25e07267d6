"""What a model gives for some texts: the outputs that were asked for, by name."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sentido_bundle.errors import MissingCapabilityError


@dataclass(frozen=True)
class Outputs:
    """Named arrays with a row per text. Asking for one that the model lacks is an error."""

    arrays: Mapping[str, NDArray[np.float32]]  # (texts, size) each
    model: str  # its plain name, for the error

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        """Return an output, (texts, size). Raises MissingCapabilityError."""
        if name not in self.arrays:
            raise MissingCapabilityError(self.model, name)
        return self.arrays[name]

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """The probability of each label, (texts, labels)."""
        return self.arrays["probabilities"]

    @property
    def hidden(self) -> NDArray[np.float32]:
        """What enters the last Dense layer, (texts, size). Raises MissingCapabilityError."""
        return self["hidden"]

    @property
    def logits(self) -> NDArray[np.float32]:
        """The last layer's values before its activation. Raises MissingCapabilityError."""
        return self["logits"]
