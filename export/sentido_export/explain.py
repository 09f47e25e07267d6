"""The walk-through of `sentido-export --explain-embedding`: what an embedding layer does.

Two sentences go through Keras' own classes, one step at a time, and every claim is checked.
"""

import keras
import numpy as np
from numpy.typing import NDArray
from sentido_bundle import Tokenizer, fit_vocabulary

from sentido_export.errors import ExportError
from sentido_export.export import keras_rules

TEXTS = ("This is a text", "This is not a text")
WORDS, LENGTH, DIMENSIONS = 10, 6, 3


def explain_embedding(seed: int) -> None:
    """Print the walk-through. Raises ExportError if what it shows does not agree."""
    rules = keras_rules(WORDS)
    print("Two texts are to become numbers that a network can learn from:")
    for sentence in TEXTS:
        print(f"  {sentence!r}")

    print("\n1. Every different word gets an id, the most frequent word first. Id 0 stays free.")
    vocabulary, found = fit_vocabulary(TEXTS, rules)
    print(f"Found {found} unique tokens.")
    print("  " + ", ".join(f"{word!r} = {index}" for index, word in enumerate(vocabulary) if index))

    print(f"\n2. Each text becomes the ids of its words, padded with 0 on the left to {LENGTH}.")
    tokenizer = Tokenizer(vocabulary, rules)
    sequences = [tokenizer.encode(sentence).ids for sentence in TEXTS]
    padded = keras.utils.pad_sequences(sequences, maxlen=LENGTH)  # (texts, time)
    for row, sentence in zip(padded, TEXTS, strict=True):
        print(f"  {row}  {sentence!r}")
    _check(np.array_equal(padded, [[0, 0, 1, 2, 3, 4], [0, 1, 2, 5, 3, 4]]), "the padded ids")

    print(
        f"\n3. An embedding layer turns every id into a vector of {DIMENSIONS} numbers: the"
        f" {padded.shape} ids become an array of {(*padded.shape, DIMENSIONS)}."
    )
    keras.utils.set_random_seed(seed)
    layer = keras.layers.Embedding(WORDS, DIMENSIONS)
    output = np.asarray(layer(padded))  # (texts, time, dimensions)
    print(f"Output, shape {output.shape}:\n{_indent(output)}")
    _check(output.shape == (2, LENGTH, DIMENSIONS), "the shape of the output")

    print(
        f"\n4. The layer is nothing but a matrix of {WORDS} rows, one for each id that there may"
        " be. Its numbers start at random and are learned like any other weights."
    )
    (weights,) = layer.get_weights()  # (words, dimensions)
    print(f"Weights, shape {weights.shape}:\n{_indent(weights)}")

    print(
        "\n5. The output is made of rows of that matrix: position by position, the row of the id."
    )
    for text, position in ((0, 2), (1, 1), (1, 3)):
        id = int(padded[text, position])
        print(
            f"  text {text}, position {position}: {vocabulary[id]!r} = {id}:"
            f" output {output[text, position]} = row {id} {weights[id]}"
        )
    _check(np.array_equal(output, weights[padded]), "the output and the rows of the weights")
    print("Checked: every one of the output's vectors equals the row of its id, bit for bit.")
    print("So the same word has the same vector wherever it stands ('text' ends both texts).")
    _check(np.array_equal(output[0, 5], output[1, 5]), "the vectors of one word in two texts")


def _indent(array: NDArray[np.float32]) -> str:
    return "\n".join("  " + line for line in str(array).splitlines())


def _check(holds: bool, what: str) -> None:
    if not holds:
        raise ExportError(f"{what}: not as shown above; this is a bug")
