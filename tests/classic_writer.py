"""Trains the text classifiers that everyone starts from; run as a program by a Keras of any age.

`python classic_writer.py tf_keras|keras FOLDER REVIEWS NAME ...` writes each as NAME.h5 and
NAME.keras with its vocabulary, and NAME.jsonl with what its own program answers for some of the
reviews. They are written out as tutorials and courses have them, and trained for one step only.
"""

import importlib
import json
import os
import pickle
import re
import string
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

TRAINED = 16


@dataclass(frozen=True)
class Classic:
    """A model, how its program turns a text into ids, and what it wrote down of that."""

    name: str
    model: Any
    ids: Callable[[str], Any]  # (1, length)
    save: Callable[[Path], object]
    loss: str = "binary_crossentropy"
    labels: int = 1  # of a text, each by itself
    whole: Any = None  # what is kept instead of the model: it takes texts


def _imdb(keras: Any, texts: list[str], words: int, length: int) -> dict[str, Any]:
    """Number words as keras.datasets.imdb does, in the order in which the texts have them."""
    index: dict[str, int] = {}
    for text in texts:
        for word in _words(text):
            index.setdefault(word, len(index) + 1)

    def ids(text: str) -> Any:
        row = [1] + [index.get(word, words) + 3 for word in _words(text)]
        row = [id if id < words else 2 for id in row]
        return keras.utils.pad_sequences([row], maxlen=length)

    save = lambda path: path.with_suffix(".imdb.json").write_text(json.dumps(index))  # noqa: E731
    return {"ids": ids, "save": save}


def _words(text: str) -> list[str]:
    removed = str.maketrans(dict.fromkeys('!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n', " "))
    return text.lower().translate(removed).split()


def _tokenized(
    keras: Any, texts: list[str], length: int, sides: str, **options: Any
) -> dict[str, Any]:
    """Number words with a Tokenizer, which is kept as a pickle."""
    name = "tf_keras.preprocessing.text" if keras.__version__ < "3" else _LEGACY
    tokenizer = importlib.import_module(name).Tokenizer(**options)
    tokenizer.fit_on_texts(texts)

    def ids(text: str) -> Any:
        rows = tokenizer.texts_to_sequences([text])
        return keras.utils.pad_sequences(rows, maxlen=length, padding=sides, truncating=sides)

    save = lambda path: path.with_suffix(".pickle").write_bytes(pickle.dumps(tokenizer))  # noqa: E731
    return {"ids": ids, "save": save}


_LEGACY = "keras.src.legacy.preprocessing.text"


def classics(keras: Any, texts: list[str], names: list[str]) -> Iterator[Classic]:
    """Return the models of these names."""
    makers = {maker.__name__.strip("_"): maker for maker in _MAKERS}
    for name in names:
        yield makers[name](keras, keras.layers, texts)


def _sequential(keras: Any, length: int | None, *inner: Any) -> Any:
    is_two = keras.__version__ < "3"
    first = keras.layers.InputLayer((length,)) if is_two else keras.Input((length,))
    return keras.Sequential([first, *inner])


def _tutorial(keras: Any, layers: Any, texts: list[str]) -> Classic:
    return Classic(
        "tutorial",
        _sequential(
            keras,
            500,
            layers.Embedding(5000, 32),
            layers.LSTM(100),
            layers.Dense(1, activation="sigmoid"),
        ),
        **_imdb(keras, texts, 5000, 500),
    )


def _imdb_bidirectional(keras: Any, layers: Any, texts: list[str]) -> Classic:
    return Classic(
        "imdb_bidirectional",
        _sequential(
            keras,
            None,
            layers.Embedding(20000, 128),
            layers.Bidirectional(layers.LSTM(64, return_sequences=True)),
            layers.Bidirectional(layers.LSTM(64)),
            layers.Dense(1, activation="sigmoid"),
        ),
        **_imdb(keras, texts, 20000, 200),
    )


def _imdb_cnn(keras: Any, layers: Any, texts: list[str]) -> Classic:
    return Classic(
        "imdb_cnn",
        _sequential(
            keras,
            400,
            layers.Embedding(5000, 50),
            layers.Dropout(0.2),
            layers.Conv1D(250, 3, padding="valid", activation="relu", strides=1),
            layers.GlobalMaxPooling1D(),
            layers.Dense(250),
            layers.Dropout(0.2),
            layers.Activation("relu"),
            layers.Dense(1),
            layers.Activation("sigmoid"),
        ),
        **_tokenized(keras, texts, 400, "pre", num_words=5000),
    )


def _course_average(keras: Any, layers: Any, texts: list[str]) -> Classic:
    return Classic(
        "course_average",
        _sequential(
            keras,
            100,
            layers.Embedding(10000, 16),
            layers.GlobalAveragePooling1D(),
            layers.Dense(24, activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ),
        **_tokenized(keras, texts, 100, "post", num_words=10000, oov_token="<OOV>"),
    )


def _course_softmax(keras: Any, layers: Any, texts: list[str]) -> Classic:
    return Classic(
        "course_softmax",
        _sequential(
            keras,
            28,
            layers.Embedding(2000, 128),
            layers.SpatialDropout1D(0.4),
            layers.LSTM(196, dropout=0.2, recurrent_dropout=0.2),
            layers.Dense(2, activation="softmax"),
        ),
        loss="sparse_categorical_crossentropy",
        **_tokenized(keras, texts, 28, "pre", num_words=2000, split=" "),
    )


def _text_scratch(keras: Any, layers: Any, texts: list[str]) -> Classic:
    tf = importlib.import_module("tensorflow")

    def custom_standardization(input_data: Any) -> Any:
        lowercase = tf.strings.lower(input_data)
        stripped_html = tf.strings.regex_replace(lowercase, "<br />", " ")
        return tf.strings.regex_replace(stripped_html, f"[{re.escape(string.punctuation)}]", "")

    vectorize = layers.TextVectorization(
        standardize=custom_standardization,
        max_tokens=20000,
        output_mode="int",
        output_sequence_length=500,
    )
    vectorize.adapt(texts)
    model = _sequential(
        keras,
        None,
        layers.Embedding(20000, 128),
        layers.Dropout(0.5),
        layers.Conv1D(128, 7, padding="valid", activation="relu", strides=3),
        layers.Conv1D(128, 7, padding="valid", activation="relu", strides=3),
        layers.GlobalMaxPooling1D(),
        layers.Dense(128, activation="relu"),
        layers.Dropout(0.5),
        layers.Dense(1, activation="sigmoid", name="predictions"),
    )
    inputs = keras.Input(shape=(1,), dtype="string")
    steps = [
        {"lower": "ascii"},
        {"replace": "<br />", "with": " "},
        {"replace": f"[{re.escape(string.punctuation)}]", "with": ""},
    ]

    def save(path: Path) -> None:
        path.with_suffix(".words.json").write_text(json.dumps(vectorize.get_vocabulary()))
        path.with_suffix(".steps.json").write_text(json.dumps(steps))

    return Classic(
        "text_scratch",
        model,
        lambda text: np.asarray(vectorize(tf.constant([text]))),
        save,
        whole=keras.Model(inputs, model(vectorize(inputs))),
    )


def _toxic(keras: Any, layers: Any, texts: list[str]) -> Classic:
    tf = importlib.import_module("tensorflow")
    vectorizer = layers.TextVectorization(
        max_tokens=20000, output_sequence_length=1800, output_mode="int"
    )
    vectorizer.adapt(texts)

    def save(path: Path) -> None:
        own = keras.Sequential([keras.Input(shape=(1,), dtype="string"), vectorizer])
        own.save(path.with_suffix(".vectorizer.keras"))

    return Classic(
        "toxic",
        _sequential(
            keras,
            None,
            layers.Embedding(20001, 32),
            layers.Bidirectional(layers.LSTM(32, activation="tanh")),
            layers.Dense(128, activation="relu"),
            layers.Dense(256, activation="relu"),
            layers.Dense(128, activation="relu"),
            layers.Dense(6, activation="sigmoid"),
        ),
        lambda text: np.asarray(vectorizer(tf.constant([text]))),
        save,
        labels=6,
    )


_MAKERS = (
    *(_tutorial, _imdb_bidirectional, _imdb_cnn, _course_average, _course_softmax),
    *(_text_scratch, _toxic),
)


def write(classic: Classic, folder: Path, texts: list[str], labels: Any, *, is_three: bool) -> None:
    """Train a model for one step, and write all that people keep of it."""
    model = classic.model
    model.compile(loss=classic.loss, optimizer="adam", jit_compile=False)
    rows = np.concatenate([classic.ids(text) for text in texts[:TRAINED]])
    wanted = labels[:TRAINED]
    if classic.labels > 1:
        wanted = np.repeat(wanted[:, None], classic.labels, axis=1)
    model.train_on_batch(rows, wanted)
    kept = classic.whole or model
    kept.save(folder / f"{classic.name}.keras")
    in_h5 = kept if is_three else model  # Keras 2 fails on a TextVectorization in an h5
    in_h5.save(folder / f"{classic.name}.h5")
    classic.save(folder / classic.name)
    shown = [*texts[:24], texts[0][:40], texts[1][:100], "good", "", "zxqv wqxz"]
    answers = np.asarray(model(np.concatenate([classic.ids(text) for text in shown])))
    with (folder / f"{classic.name}.jsonl").open("w") as file:
        for text, answer in zip(shown, answers, strict=True):
            row = {
                "text": text,
                "probabilities": [float(number) for number in answer],
            }
            file.write(json.dumps(row) + "\n")


def main(name: str, folder: str, reviews: str, *names: str) -> None:
    """Write some classics."""
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="", KERAS_BACKEND="tensorflow")
    keras = importlib.import_module(name)
    keras.utils.set_random_seed(1)
    rows = json.loads(Path(reviews).read_text())
    texts, labels = [row[0] for row in rows], np.array([row[1] for row in rows])
    for classic in classics(keras, texts, list(names)):
        write(classic, Path(folder), texts, labels, is_three=name == "keras")


if __name__ == "__main__":
    main(*sys.argv[1:])
