"""The table of docs/your-own-model.md: each kind of model against its Keras, and how fast both are.

Trains every model for one epoch on real reviews, with and without a mask, padded on the left and on
the right, exports it as `sentido-export --from-keras` does, and compares the bundle's answers with
`model.predict` on 500 real texts of all lengths, on empty ones and on unknown words. Rows that are
in build/bench/own_models.json already are not measured again.
"""

import json
import os
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from io import StringIO
from itertools import product
from pathlib import Path
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import keras
import numpy as np
from keras import layers
from keras.src.legacy.preprocessing.text import Tokenizer
from sentido_bundle import Bundle, cpus
from sentido_export.data import load
from sentido_export.flags import parse
from sentido_export.imported.export import export_own_model
from sentido_export.imported.options import OwnModelOptions

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "your-own-model.md"
FOLDER = ROOT / "build" / "bench" / "own_models"
RESULTS = FOLDER.with_suffix(".json")
BEGIN, END = "<!-- the table: bench/architectures.py writes it -->\n", "<!-- end of the table -->\n"

WORDS, LENGTH, TRAINED, ASKED = 5000, 100, 1000, 500
SIDES = ("pre", "post")
ROUNDS = 3

Layers = Callable[[], list[Any]]


def _both(merge: str) -> Layers:
    return lambda: [layers.Bidirectional(layers.LSTM(32), merge_mode=merge)]


def _every(*last: Callable[[], Any]) -> Layers:
    return lambda: [layers.LSTM(32, return_sequences=True), *(make() for make in last)]


MODELS: dict[str, Layers] = {
    "LSTM": lambda: [layers.LSTM(32)],
    "GRU, reset_after": lambda: [layers.GRU(32)],
    "GRU, not reset_after": lambda: [layers.GRU(32, reset_after=False)],
    "SimpleRNN": lambda: [layers.SimpleRNN(32)],
    "2 x LSTM": _every(lambda: layers.LSTM(32)),
    **{f"BiLSTM, {merge}": _both(merge) for merge in ("concat", "sum", "mul", "ave")},
    "2 x BiLSTM": lambda: [
        layers.Bidirectional(layers.LSTM(32, return_sequences=True)),
        layers.Bidirectional(layers.LSTM(32)),
    ],
    "LSTM, maximum": _every(layers.GlobalMaxPooling1D),
    "LSTM, average": _every(layers.GlobalAveragePooling1D),
    "LSTM, Flatten": _every(layers.Flatten),
    "Conv1D, maximum": lambda: [
        layers.Conv1D(32, 5, activation="relu"),
        layers.GlobalMaxPooling1D(),
    ],
    "Conv1D, LSTM": lambda: [
        layers.Conv1D(32, 5, activation="relu"),
        layers.MaxPooling1D(2),
        layers.LSTM(32),
    ],
    "averaged embeddings": lambda: [layers.GlobalAveragePooling1D()],
}


class Texts:
    """What models are trained on, and what they are asked."""

    def __init__(self) -> None:
        reviews = load("reviews", "text", "label")
        order = np.random.default_rng(0).permutation(len(reviews.texts))
        trained, asked = order[:TRAINED], order[TRAINED : TRAINED + ASKED]
        self.texts = [reviews.texts[i] for i in trained]
        self.labels = reviews.labels[trained]
        self.tokenizer = Tokenizer(num_words=WORDS)
        self.tokenizer.fit_on_texts(self.texts)
        # Every review is cut to another number of words, so that there are texts of all lengths.
        self.asked = [
            *(" ".join(reviews.texts[i].split()[: 1 + n % 200]) for n, i in enumerate(asked)),
            *("", " ", "!!!", "zxqv", "zxqv wqxz " * 80),
        ]

    def ids(self, texts: list[str], side: str) -> Any:
        """Return what a program gives its model."""
        rows = self.tokenizer.texts_to_sequences(texts)
        return keras.utils.pad_sequences(rows, LENGTH, padding=side, truncating=side)


def main() -> None:
    """Measure what is missing, and write the table into the page."""
    warnings.simplefilter("ignore")
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    texts = Texts()
    for name, mask, side in product(MODELS, (True, False), SIDES):
        key = f"{name}/{mask}/{side}"
        if key not in results:
            keras.utils.set_random_seed(0)
            results[key] = measure(name, mask, side, texts)
            RESULTS.write_text(json.dumps(results))
            print(key, results[key], flush=True)
    table = "\n".join(rows_of(results)) + "\n"
    page = PAGE.read_text(encoding="utf-8")
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    PAGE.write_text(before + BEGIN + table + END + after, encoding="utf-8")
    sys.exit(max(row["difference"] for row in results.values()) > 1e-5)


def measure(name: str, mask: bool, side: str, texts: Texts) -> dict[str, Any]:
    """Train, export and compare one model."""
    model = keras.Sequential(
        [
            keras.Input((LENGTH,), dtype="int32"),
            layers.Embedding(WORDS, 32, mask_zero=mask),
            *MODELS[name](),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy", jit_compile=False)
    model.fit(texts.ids(texts.texts, side), texts.labels, batch_size=64, verbose=0)
    bundle, ids = exported(model, side, texts), texts.ids(texts.asked, side)
    wanted, found = model.predict(ids, verbose=0)[:, 0], bundle.predict(texts.asked)
    differences = np.abs(found.probabilities[:, 1] - wanted)
    known = np.isfinite(wanted)  # not for the masked average of no word
    assert known[ids.any(axis=1)].all()
    return {
        "difference": float(differences[known].max()),
        "layout": str(bundle.manifest.inputs.layout),
        "same_bits": bundle.manifest.same_bits,
        "bundle": rate(lambda: bundle.predict(texts.asked, threads=cpus.granted()), texts),
        "keras": rate(lambda: model.predict(ids, verbose=0), texts),
    }


def exported(model: keras.Model, side: str, texts: Texts) -> Bundle:
    """Export a model as the command does."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    model.save(FOLDER / "model.keras")
    (FOLDER / "tokenizer.json").write_text(texts.tokenizer.to_json())
    flags = ["--from-keras", str(FOLDER / "model.keras"), "--padding", side, "--truncating", side]
    flags += ["--tokenizer", str(FOLDER / "tokenizer.json")]
    with redirect_stdout(StringIO()):
        options = OwnModelOptions.of(parse(flags), FOLDER / "bundle", "bench")
        return export_own_model(options)


def rate(run: Callable[[], object], texts: Texts) -> float:
    """Return the texts per second of the best of some rounds."""
    run()
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return len(texts.asked) / min(seconds)


def rows_of(results: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Return the lines of the table: a model with and without a mask, both sides in one line."""
    yield "| model | mask | difference, left | right | bundle, texts/s | Keras, texts/s | times |"
    yield "|---|---|---|---|---|---|---|"
    for name, mask in product(MODELS, (True, False)):
        left, right = (results[f"{name}/{mask}/{side}"] for side in SIDES)
        fast, slow = left["bundle"], left["keras"]
        lengths = ", real lengths" if left["layout"] == "lengths" else ""
        yield (
            f"| {name} | {'yes' if mask else 'no'}{lengths} | {left['difference']:.1e} |"
            f" {right['difference']:.1e} | {fast:,.0f} | {slow:,.0f} | {fast / slow:.1f} |"
        )


if __name__ == "__main__":
    main()
