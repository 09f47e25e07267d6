"""Parity: that ONNX Runtime repeats what Keras answers."""

from collections.abc import Sequence

import numpy as np
from sentido_bundle import Bundle, GoldenText, Parity, Tokenizer

from sentido_export.errors import ExportError
from sentido_export.golden_texts import GOLDEN_TEXTS
from sentido_export.model import Layers

TOLERANCE = 1e-5


def golden_answers(layers: Layers, tokenizer: Tokenizer) -> list[GoldenText]:
    """Let Keras answer the golden texts."""
    sequences = [tokenizer.encode(text).ids for text in GOLDEN_TEXTS]
    answers = zip(GOLDEN_TEXTS, sequences, *layers.answer(sequences), strict=True)
    return [GoldenText(text, ids, hidden, scores) for text, ids, hidden, scores in answers]


def compare(layers: Layers, bundle: Bundle, texts: Sequence[str]) -> Parity:
    """Compare Keras and the bundle on the golden texts and on `texts`.

    Raises ExportError if a hidden state or a probability differs by more than the tolerance.
    """
    texts = [*GOLDEN_TEXTS, *texts]
    sequences = [bundle.tokenizer.encode(text).ids for text in texts]
    hidden, probabilities = layers.answer(sequences)
    outputs = bundle.run(sequences)
    difference = max(
        float(np.abs(outputs.hidden - hidden).max()),
        float(np.abs(outputs.probabilities - probabilities).max()),
    )
    if not difference <= TOLERANCE:  # not: NaN is no match
        raise ExportError(
            f"ONNX Runtime's answers differ from Keras' by {difference:.2g}, at most"
            f" {TOLERANCE:.0e} is allowed: no bundle was written"
        )
    return Parity(texts=len(texts), largest_difference=difference, tolerance=TOLERANCE)
