"""keras.Model.predict on reviews padded to 500, in batches of 128: the model where it was trained.

    python bench/peer_servers/keras_predict.py ROUNDS

A network of the default bundle's sizes; its weights are random, which takes as long. Prints the
texts a second of each round, from text to probability, as a JSON array.
"""

import json
import os
import sys
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"

import keras
import numpy as np
from sentido_bundle import Bundle, default_bundle
from sentido_export.data import load

_TOKENS = 500
_TEXTS = 5000


def main() -> None:
    """Measure."""
    bundle = Bundle.load(default_bundle())
    sizes = bundle.manifest.dimensions
    model = keras.Sequential(
        [
            keras.layers.Embedding(sizes.vocabulary, sizes.embedding, mask_zero=True),
            keras.layers.LSTM(sizes.hidden),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    texts = load("reviews", "text", "label").texts[::5][:_TEXTS]
    rates = []
    for round in range(int(sys.argv[1]) + 1):
        count = len(texts) if round else 256  # the first compiles
        began = time.perf_counter()
        ids = [bundle.tokenizer.encode(text).ids for text in texts[:count]]
        padded = keras.utils.pad_sequences(ids, _TOKENS)  # on the left, as the tutorials do
        predicted = model.predict(np.asarray(padded), batch_size=128, verbose=0)
        rates.append(len(predicted) / (time.perf_counter() - began))
    print(json.dumps(rates[1:]))


if __name__ == "__main__":
    main()
