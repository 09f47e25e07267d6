"""What people score a file with: pandas and Keras alone, nothing of Sentido but its vocabulary.

    python bench/peer_servers/keras_table.py FILE.csv ROUNDS

Reads the CSV file, tokenizes with Keras' Tokenizer, pads to 500, predicts in batches of 128, writes
Parquet beside it. Prints the rows a second of each round, from file to file, as a JSON array.
"""

import json
import os
import sys
import time
from typing import Any

import keras_model
import numpy as np
import pandas as pd
from keras.src.legacy.preprocessing.text import Tokenizer
from sentido_bundle import Bundle


def main() -> None:
    """Measure."""
    bundle = Bundle.load(os.environ["SENTIDO_BUNDLE"])
    model = keras_model.untrained(bundle)
    keras_model.predict(model, [np.ones(1, np.int32)] * 256)  # compiles
    tokenizer = keras_tokenizer(bundle)
    rates = []
    for _ in range(int(sys.argv[2])):
        began = time.perf_counter()
        rows = score_file(sys.argv[1], tokenizer, model)
        rates.append(rows / (time.perf_counter() - began))
    print(json.dumps(rates))


def keras_tokenizer(bundle: Bundle) -> Any:
    """Give Keras' own tokenizer with the bundle's settings and vocabulary."""
    rules, words = bundle.manifest.tokenizer, bundle.tokenizer.vocabulary
    tokenizer = Tokenizer(
        num_words=rules.num_words,
        filters=rules.filters,
        lower=rules.lower,
        split=rules.split,
        oov_token=rules.oov_token,
    )
    tokenizer.word_index = {word: id for id, word in enumerate(words) if id}
    return tokenizer


def score_file(path: str, tokenizer: Any, model: Any) -> int:
    """Read, predict, write; give the number of rows."""
    table = pd.read_csv(path, dtype={"id": str})
    sequences = tokenizer.texts_to_sequences(table["text"])
    table["probability"] = keras_model.predict(model, sequences)[:, 0]
    table.to_parquet(path + ".keras.parquet", index=False)
    return len(table)


if __name__ == "__main__":
    main()
