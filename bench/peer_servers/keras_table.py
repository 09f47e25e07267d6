"""What people score a file with: a table read and written around keras.Model.predict.

    python bench/peer_servers/keras_table.py FILE.csv ROUNDS

Reads the CSV file, pads to 500, predicts in batches of 128, writes Parquet beside it. A network of
the default bundle's sizes; its weights are random, which takes as long. Prints the rows a second of
each round, from file to file, as a JSON array.
"""

import json
import os
import sys
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"

import keras
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from sentido_bundle import Bundle, default_bundle

_TOKENS = 500


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
    model.predict(np.ones((256, _TOKENS), np.int32), batch_size=128, verbose=0)  # compiles
    rates = []
    for _ in range(int(sys.argv[2])):
        began = time.perf_counter()
        rows = score_file(sys.argv[1], bundle, model)
        rates.append(rows / (time.perf_counter() - began))
    print(json.dumps(rates))


def score_file(path: str, bundle: Bundle, model: keras.Model) -> int:
    """Read, predict, write; give the number of rows."""
    options = pyarrow.csv.ParseOptions(newlines_in_values=True)
    table = pyarrow.csv.read_csv(path, parse_options=options)
    ids = [encoding.ids for encoding in bundle.tokenizer.encode_all(table["text"].to_pylist())]
    padded = keras.utils.pad_sequences(ids, _TOKENS)  # on the left, as the tutorials do
    predicted = model.predict(np.asarray(padded), batch_size=128, verbose=0)[:, 0]
    scored = table.append_column("probability", pa.array(predicted))
    pyarrow.parquet.write_table(scored, path + ".keras.parquet")
    return len(scored)


if __name__ == "__main__":
    main()
