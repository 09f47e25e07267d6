"""One temperature for all answers, so that a model is right as often as it says.

Source: C. Guo et al., "On calibration of modern neural networks", ICML 2017.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sentido_evaluate.figures.single import SingleLabel

Scores = NDArray[np.float64]  # (texts, labels): their softmax is the probabilities

_LEAST = 1e-7  # probability: about what float32 can tell from 0 beside 1


def log_probabilities(probabilities: NDArray[np.float32]) -> Scores:
    """Return scores whose softmax is these probabilities."""
    return np.log(np.maximum(probabilities.astype(np.float64), _LEAST))


def log_loss(
    scores: Scores,
    labels: NDArray[np.int32],
    temperature: float = 1.0,
    weights: NDArray[np.floating] | None = None,
) -> float:
    """Return the mean log loss of scores that are divided by a temperature.

    `weights`: how much each text counts, (texts,).
    """
    of_texts = log_softmax(scores / temperature, axis=1)[np.arange(len(labels)), labels]
    return -float(np.average(of_texts, weights=weights))


def fit_temperature(
    scores: Scores,
    labels: NDArray[np.int32],
    weights: NDArray[np.floating] | None = None,
    least: float = 0.02,
    most: float = 50.0,
) -> float:
    """Return the temperature with the lowest log loss. `weights`: how much each text counts."""
    found = minimize_scalar(
        lambda log: log_loss(scores, labels, float(np.exp(log)), weights),
        bounds=(np.log(least), np.log(most)),
        method="bounded",
    )
    return float(np.exp(found.x))


def fit_for_folding(
    scores: Scores, labels: NDArray[np.int32], weights: NDArray[np.floating] | None = None
) -> float:
    """Return the temperature that is folded into a model, within what training can be off by."""
    return fit_temperature(scores, labels, weights, least=0.5, most=10.0)


def fold(dense: Any, temperature: float) -> None:
    """Divide what a last Dense layer gives before its activation by a temperature."""
    dense.set_weights([weights / temperature for weights in dense.get_weights()])


@dataclass(frozen=True)
class Trust:
    """How far probabilities can be believed."""

    ece: float  # expected calibration error
    brier: float

    @classmethod
    def of(cls, probabilities: NDArray[np.float32], labels: NDArray[np.int32]) -> "Trust":
        """Measure answers, as `sentido-evaluate` does."""
        counted = SingleLabel(tuple(map(str, range(probabilities.shape[1]))))
        nothing = np.zeros(len(labels), np.int64)
        counted.add(probabilities, labels.astype(np.int64), nothing, nothing)
        figures = counted.figures()
        return cls(figures["calibration"]["ece"], figures["brier"])
