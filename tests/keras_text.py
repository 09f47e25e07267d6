"""Keras' own `Tokenizer`, loaded from its file alone, quickly and without TensorFlow."""

import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

NAMES = (
    "keras.preprocessing.text",
    "tensorflow.keras.preprocessing.text",
    "keras_preprocessing.text",
    "keras.src.preprocessing.text",
    "keras.src.legacy.preprocessing.text",
    "tf_keras.src.preprocessing.text",
    "tf_keras.preprocessing.text",
    "tensorflow.python.keras.preprocessing.text",
)
"""The modules in which the releases of Keras kept it, and under which it was pickled."""


@cache
def keras_text() -> Any:
    """Return the module; what it needs of Keras, a decorator that registers, is left out."""
    (folder,) = importlib.util.find_spec("keras").submodule_search_locations  # type: ignore
    path = Path(folder) / "src/legacy/preprocessing/text.py"
    lines = path.read_text(encoding="utf-8").replace(
        "from keras.src.api_export import keras_export",
        "keras_export = lambda name: lambda exported: exported",
    )
    module = ModuleType("keras_text_alone")
    exec(compile(lines, str(path), "exec"), vars(module))
    return module


def pickle_all(folder: Path) -> None:
    """Pickle one fitted Tokenizer under all names and in all protocols. Run in a process apart."""
    import pickle

    tokenizer = fitted()
    for name in NAMES:
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            sys.modules.setdefault(".".join(parts[:end]), ModuleType(parts[end - 1]))
        vars(sys.modules[name])["Tokenizer"] = type(tokenizer)
        type(tokenizer).__module__ = name
        for protocol in range(6):
            data = pickle.dumps(tokenizer, protocol=protocol)
            (folder / f"{name}-{protocol}.pickle").write_bytes(data)


def fitted(**options: Any) -> Any:
    """Return a Tokenizer of Keras, fitted on a few texts."""
    tokenizer = keras_text().Tokenizer(**{"num_words": 50, "oov_token": "<OOV>", **options})
    tokenizer.fit_on_texts(TEXTS)
    return tokenizer


TEXTS = [
    "The cat sat on the mat, and the dog sat on the cat!",
    "Don't stop: crème brûlée 😀 is the best.",
    "Ein Buch über ΣΟΦΟΣ, 東京 and the rest",
]

if __name__ == "__main__":
    pickle_all(Path(sys.argv[1]))
