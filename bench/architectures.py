"""The table of docs/your-own-model.md: each kind of model against its Keras, and how fast both are.

Trains every model for one epoch on real reviews, with and without a mask, exports it as
`sentido-export --from-keras` does, padded on the left, on the right, and on the left by the path
that computes padding, and compares the bundles' answers with `model.predict` on 500 real texts of
all lengths, on empty ones and on unknown words. Then all of them are timed, one after the other.
What is in build/bench/own_models.json already is not done again; `--prepare` leaves the times out.
"""

import argparse
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

WORDS, TRAINED, ASKED = 5000, 1000, 500
SHORT, LONG = 100, 500  # tokens that a model reads
LONG_NAME = "LSTM of 100 units, length 500"
SIDES = ("pre", "post")
ROUNDS, SECONDS = 3, 1.0  # that a rate is measured for, at least
KERAS_BATCH = 128

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
    LONG_NAME: lambda: [layers.LSTM(100)],
}


class Texts:
    """What models of one length are trained on, and what they are asked."""

    def __init__(self, length: int) -> None:
        reviews = load("reviews", "text", "label")
        order = np.random.default_rng(0).permutation(len(reviews.texts))
        trained, asked = order[:TRAINED], order[TRAINED : TRAINED + ASKED]
        self.length = length
        self.texts = [reviews.texts[i] for i in trained]
        self.labels = reviews.labels[trained]
        self.tokenizer = Tokenizer(num_words=WORDS)
        self.tokenizer.fit_on_texts(self.texts)
        # A model of 100 tokens gets each review cut to another number of words, so that there are
        # texts of all lengths; one of 500 gets whole reviews.
        cut = (" ".join(reviews.texts[i].split()[: 1 + n % 200]) for n, i in enumerate(asked))
        whole = (reviews.texts[i] for i in asked)
        self.asked = [
            *(cut if length == SHORT else whole),
            *("", " ", "!!!", "zxqv", "zxqv wqxz " * 80),
        ]

    def ids(self, texts: list[str], side: str) -> Any:
        """Return what a program gives its model."""
        rows = self.tokenizer.texts_to_sequences(texts)
        return keras.utils.pad_sequences(rows, self.length, padding=side, truncating=side)


def main() -> None:
    """Measure what is missing, and write the table into the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], allow_abbrev=False)
    parser.add_argument("--prepare", action="store_true", help="train, export and compare alone")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    texts = {length: Texts(length) for length in (SHORT, LONG)}
    steps = [prepare] if arguments.prepare else [prepare, measure]
    for step, name, mask in product(steps, MODELS, (True, False)):
        row = results.setdefault(f"{name}/{mask}", {})
        if step.__name__ not in row:
            row[step.__name__] = step(name, mask, texts[LONG if name == LONG_NAME else SHORT])
            RESULTS.write_text(json.dumps(results))
            print(name, mask, row[step.__name__], flush=True)
    if not arguments.prepare:
        table = "\n".join(rows_of(results)) + "\n"
        page = PAGE.read_text(encoding="utf-8")
        before, after = page.split(BEGIN)[0], page.split(END)[1]
        PAGE.write_text(before + BEGIN + table + END + after, encoding="utf-8")
    sys.exit(max(largest(row["prepare"]) for row in results.values()) > 1e-5)


def largest(prepared: dict[str, Any]) -> float:
    """Return the largest difference of a model's bundles from Keras."""
    return max(float(bundle["difference"]) for bundle in prepared.values())


def prepare(name: str, mask: bool, texts: Texts) -> dict[str, Any]:
    """Train, export and compare one model: what is found of each of its bundles, by its name."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((texts.length,), dtype="int32"),
            layers.Embedding(WORDS, 32, mask_zero=mask),
            *MODELS[name](),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy", jit_compile=False)
    model.fit(texts.ids(texts.texts, "pre"), texts.labels, batch_size=64, verbose=0)
    folder = folder_of(name, mask)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model.save(folder / "model.keras")
    (folder / "tokenizer.json").write_text(texts.tokenizer.to_json())
    wanted = {side: answers_of(model, texts, side) for side in SIDES}
    found = {}
    for bundle_name, side in (("pre", "pre"), ("post", "post"), ("fixed", "pre")):
        bundle = exported(folder, side, bundle_name)
        known = np.isfinite(wanted[side])  # not for the masked average of no word
        assert known[texts.ids(texts.asked, side).any(axis=1)].all()
        differences = np.abs(bundle.predict(texts.asked).probabilities[:, 1] - wanted[side])
        found[bundle_name] = {
            "difference": float(differences[known].max()),
            "path": bundle.manifest.training["path"],
            "same_bits": bundle.manifest.same_bits,
        }
    return found


def answers_of(model: keras.Model, texts: Texts, side: str) -> Any:
    """Return what Keras answers, (texts,)."""
    return model.predict(texts.ids(texts.asked, side), batch_size=KERAS_BATCH, verbose=0)[:, 0]


def folder_of(name: str, mask: bool) -> Path:
    """Return where the model and its bundles are kept."""
    return FOLDER / f"{name}, {'masked' if mask else 'unmasked'}".replace(" ", "_")


def exported(folder: Path, side: str, name: str) -> Bundle:
    """Export a model as the command does; the bundle `fixed` computes padding in any case."""
    flags = ["--from-keras", str(folder / "model.keras"), "--padding", side, "--truncating", side]
    flags += ["--tokenizer", str(folder / "tokenizer.json")]
    with redirect_stdout(StringIO()):
        options = OwnModelOptions.of(parse(flags), folder / name, "bench")
        return export_own_model(options, is_fixed=name == "fixed")


def measure(name: str, mask: bool, texts: Texts) -> dict[str, float]:
    """Return how many texts per second the model answers as each of these."""
    folder, threads = folder_of(name, mask), cpus.granted()
    model = keras.models.load_model(folder / "model.keras")
    ids = texts.ids(texts.asked, "pre")
    rates = {
        "keras": rate(lambda: model.predict(ids, batch_size=KERAS_BATCH, verbose=0), texts),
    }
    for bundle_name in ("pre", "fixed"):
        bundle = Bundle.load(folder / bundle_name)
        rates[bundle_name] = rate(
            lambda bundle=bundle: bundle.predict(texts.asked, threads=threads),  # type: ignore[misc]
            texts,
        )
    return rates


def rate(run: Callable[[], object], texts: Texts) -> float:
    """Return the texts per second of the best of some rounds."""
    run()
    seconds: list[float] = []
    while len(seconds) < ROUNDS or sum(seconds) < SECONDS:
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return len(texts.asked) / min(seconds)


def rows_of(results: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Return the lines of the table: a model with and without a mask, both sides in one line."""
    yield (
        "| model | mask | path, left | right | difference, left | right | bundle, texts/s |"
        " Keras, texts/s | times | padded graph, texts/s | times |"
    )
    yield "|" + "---|" * 11
    for name, mask in product(MODELS, (True, False)):
        row = results[f"{name}/{mask}"]
        left, right = (row["prepare"][side] for side in SIDES)
        fast, slow, padded = (row["measure"][what] for what in ("pre", "keras", "fixed"))
        yield (
            f"| {name} | {'yes' if mask else 'no'} | {left['path']} | {right['path']} |"
            f" {left['difference']:.1e} | {right['difference']:.1e} | {fast:,.0f} | {slow:,.0f} |"
            f" {fast / slow:.1f} | {padded:,.0f} | {fast / padded:.1f} |"
        )


if __name__ == "__main__":
    main()
