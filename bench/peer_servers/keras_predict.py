"""keras.Model.predict on reviews padded to 500, in batches of 128: the model where it was trained.

    python bench/peer_servers/keras_predict.py ROUNDS

Prints the texts a second of each round, from text to probability, as a JSON array.
"""

import json
import os
import sys
import time

import keras_model
from sentido_bundle import Bundle
from sentido_export.data import load

_TEXTS = 5000


def main() -> None:
    """Measure."""
    bundle = Bundle.load(os.environ["SENTIDO_BUNDLE"])
    model = keras_model.untrained(bundle)
    texts = load("reviews", "text", "label").texts[::5][:_TEXTS]
    rates = []
    for round in range(int(sys.argv[1]) + 1):
        count = len(texts) if round else 256  # the first compiles
        began = time.perf_counter()
        ids = [bundle.tokenizer.encode(text).ids for text in texts[:count]]
        predicted = keras_model.predict(model, ids)
        rates.append(len(predicted) / (time.perf_counter() - began))
    print(json.dumps(rates[1:]))


if __name__ == "__main__":
    main()
