"""Trains the text classifiers that everyone starts from; run as a program by a Keras of any age.

`python classic_writer.py tf_keras|keras FOLDER REVIEWS NAME ...` writes each as NAME.h5 and
NAME.keras with its vocabulary, and NAME.jsonl with what its own program answers for some of the
reviews. They are written out as tutorials and courses have them, and trained for one step only.
"""

import importlib
import json
import os
import pickle
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


_MAKERS = (_tutorial, _imdb_bidirectional, _imdb_cnn, _course_average, _course_softmax)


def write(classic: Classic, folder: Path, texts: list[str], labels: Any) -> None:
    """Train a model for one step, and write all that people keep of it."""
    model = classic.model
    model.compile(loss=classic.loss, optimizer="adam", jit_compile=False)
    rows = np.concatenate([classic.ids(text) for text in texts[:TRAINED]])
    model.train_on_batch(rows, labels[:TRAINED])
    model.save(folder / f"{classic.name}.h5")
    model.save(folder / f"{classic.name}.keras")
    classic.save(folder / classic.name)
    shown = [*texts[:24], texts[0][:40], texts[1][:100], "good", "", "zxqv wqxz"]
    answers = np.asarray(model(np.concatenate([classic.ids(text) for text in shown])))
    with (folder / f"{classic.name}.jsonl").open("w") as file:
        for text, answer in zip(shown, answers, strict=True):
            row = {"text": text, "probabilities": [float(number) for number in answer]}
            file.write(json.dumps(row) + "\n")


def main(name: str, folder: str, reviews: str, *names: str) -> None:
    """Write some classics."""
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="", KERAS_BACKEND="tensorflow")
    keras = importlib.import_module(name)
    keras.utils.set_random_seed(1)
    rows = json.loads(Path(reviews).read_text())
    texts, labels = [row[0] for row in rows], np.array([row[1] for row in rows])
    for classic in classics(keras, texts, list(names)):
        write(classic, Path(folder), texts, labels)


if __name__ == "__main__":
    main(*sys.argv[1:])
