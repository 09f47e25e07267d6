"""What people score a file with: a table read and written around keras.Model.predict.

    python bench/peer_servers/keras_table.py FILE.csv ROUNDS

Reads the CSV file, pads to 500, predicts in batches of 128, writes Parquet beside it. Prints
the rows a second of each round, from file to file, as a JSON array.
"""

import json
import sys
import time
from typing import Any

import keras_model
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from sentido_bundle import Bundle, default_bundle


def main() -> None:
    """Measure."""
    bundle = Bundle.load(default_bundle())
    model = keras_model.untrained(bundle)
    keras_model.predict(model, [np.ones(1, np.int32)] * 256)  # compiles
    rates = []
    for _ in range(int(sys.argv[2])):
        began = time.perf_counter()
        rows = score_file(sys.argv[1], bundle, model)
        rates.append(rows / (time.perf_counter() - began))
    print(json.dumps(rates))


def score_file(path: str, bundle: Bundle, model: Any) -> int:
    """Read, predict, write; give the number of rows."""
    options = pyarrow.csv.ParseOptions(newlines_in_values=True)
    table = pyarrow.csv.read_csv(path, parse_options=options)
    ids = [encoding.ids for encoding in bundle.tokenizer.encode_all(table["text"].to_pylist())]
    predicted = keras_model.predict(model, ids)[:, 0]
    scored = table.append_column("probability", pa.array(predicted))
    pyarrow.parquet.write_table(scored, path + ".keras.parquet")
    return len(scored)


if __name__ == "__main__":
    main()
