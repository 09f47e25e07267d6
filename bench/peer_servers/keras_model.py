"""What keras.Model.predict is measured on: a network of the bundle's sizes.

Its weights are random, which takes as long. Imported by `keras_predict.py` and `keras_table.py`.
"""

import os
from collections.abc import Iterable, Sequence
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"

import keras
import numpy as np
from numpy.typing import NDArray
from sentido_bundle import Bundle

TOKENS = 500  # that every text is padded to


def untrained(bundle: Bundle) -> Any:
    """Make the network."""
    hidden = bundle.text_vectors("hidden").size
    return keras.Sequential(
        [
            keras.layers.Embedding(*bundle.word_vectors.matrix.shape, mask_zero=True),
            keras.layers.LSTM(hidden),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )


def predict(
    model: Any, sequences: Iterable[Sequence[int] | NDArray[np.int32]]
) -> NDArray[np.float32]:
    """Pad on the left, as the tutorials do, and predict: (texts, 1)."""
    padded = keras.utils.pad_sequences(list(sequences), TOKENS)
    predicted: NDArray[np.float32] = model.predict(np.asarray(padded), batch_size=128, verbose=0)
    return predicted
