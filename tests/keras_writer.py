"""Writes model files by a Keras that is named; run as a program, for tests of reading them.

`python keras_writer.py tf_keras|keras FOLDER [MODEL...]` writes each model as NAME.h5, NAME.keras,
NAME.json and NAME.weights.h5, and NAME.npz with the weights of each layer that Keras itself has,
and what it answers for some ids.
"""

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

IDS, LENGTH = 30, 12


def models(keras: Any, two: bool) -> dict[str, Callable[[], Any]]:
    """Return what builds models, by their names: of each layer, way to nest and oddity.

    Keras 2 takes a second to build each recurrent layer with a mask, so it builds fewer.
    """
    layers = keras.layers

    def sequential(*inner: Any, length: int | None = LENGTH, mask: bool = False) -> Any:
        first = [layers.Embedding(IDS, 5, mask_zero=mask), *inner]
        given = layers.InputLayer((length,)) if two else keras.Input((length,))
        return keras.Sequential([given, *first, layers.Dense(1, activation="sigmoid")])

    def merged(mode: str, kind: str) -> Any:
        inner = getattr(layers, kind)(3)
        return sequential(layers.Bidirectional(inner, merge_mode=mode), mask=not two)

    def stack() -> Any:
        return sequential(
            layers.SpatialDropout1D(0.2),
            layers.Bidirectional(layers.LSTM(3, return_sequences=True, dropout=0.1)),
            layers.GaussianNoise(0.1),
            layers.LSTM(4, return_sequences=True, recurrent_dropout=0.1),
            layers.TimeDistributed(layers.Dense(3, activation="tanh")),
            layers.GlobalMaxPooling1D(),
            layers.Dropout(0.5),
            mask=not two,
        )

    def convolution() -> Any:
        return sequential(
            layers.Conv1D(6, 3, activation="relu", padding="causal", dilation_rate=2),
            layers.BatchNormalization(),
            layers.MaxPooling1D(2),
            layers.Conv1D(4, 2, strides=2, padding="same"),
            layers.LeakyReLU(),
            layers.AveragePooling1D(2, strides=1, padding="same"),
            layers.Flatten(),
            layers.Dense(5),
            layers.LayerNormalization(),
            layers.PReLU(),
            layers.Dense(4, activation=layers.ELU()),
            layers.ReLU(max_value=6.0),
            layers.Activation("swish"),
        )

    def branches() -> Any:
        ids = keras.Input((LENGTH,), name="ids")
        embedded = layers.Embedding(IDS, 5, name="table")(ids)
        shared = layers.Dense(3, activation="gelu", name="shared")
        pooled = [
            shared(layers.GlobalMaxPooling1D()(layers.Conv1D(4, size)(embedded))) for size in (2, 3)
        ]
        joined = layers.Concatenate()([*pooled, layers.GlobalAveragePooling1D()(embedded)])
        return keras.Model(ids, layers.Dense(3, activation="softmax")(joined))

    def nested() -> Any:
        inner = [
            layers.BatchNormalization(),
            layers.Dense(5, trainable=False),
            layers.Dense(5),
            layers.BatchNormalization(center=False),
        ]
        head = keras.Sequential([keras.Input((5,)), *inner])
        return sequential(layers.GlobalAveragePooling1D(), head)

    def twice() -> Any:
        ids = keras.Input((LENGTH,))
        state = layers.LSTM(4)(layers.Embedding(IDS, 5, mask_zero=not two)(ids))
        encoder = keras.Model(ids, state, name="encoder")
        left, right = keras.Input((LENGTH,), name="left"), keras.Input((LENGTH,), name="right")
        both = layers.Subtract()([encoder(left), encoder(right)])
        return keras.Model([left, right], layers.Dense(1, activation="sigmoid")(both))

    def masks() -> Any:
        left, right = keras.Input((LENGTH,), name="left"), keras.Input((LENGTH,), name="right")
        masked = layers.Embedding(IDS, 5, mask_zero=True)
        steps = layers.Concatenate()([masked(left), masked(right)])
        steps = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(steps)
        steps = layers.Dense(4)(layers.Dropout(0.2)(steps))
        average = layers.GlobalAveragePooling1D()(layers.GRU(3, return_sequences=True)(steps))
        return keras.Model([left, right], layers.Dense(2, activation="softmax")(average))

    builders = {
        "lstm": lambda: sequential(layers.LSTM(4), mask=True),
        "any_length": lambda: sequential(layers.LSTM(4, use_bias=False), length=None),
        "gru": lambda: sequential(layers.GRU(4, go_backwards=True)),
        "gru_before": lambda: sequential(layers.GRU(4, reset_after=False, activation="relu")),
        "hard": lambda: sequential(layers.LSTM(4, recurrent_activation="hard_sigmoid")),
        "rnn": lambda: sequential(layers.SimpleRNN(4, activation="relu")),
        "concat": lambda: merged("concat", "LSTM"),
        "sum": lambda: merged("sum", "GRU"),
        "mul": lambda: merged("mul", "LSTM"),
        "ave": lambda: merged("ave", "GRU"),
        "other_end": lambda: sequential(
            layers.Bidirectional(layers.GRU(3), backward_layer=layers.GRU(3, go_backwards=True))
        ),
        "stack": stack,
        "convolution": convolution,
        "branches": branches,
        "nested": nested,
        "twice": twice,
    }
    return builders if two else builders | {"masks": masks}


def half(keras: Any) -> Any:
    """Return a model that computes in half precision."""
    policy = keras.mixed_precision.Policy if hasattr(keras, "mixed_precision") else None
    keras.mixed_precision.set_global_policy(policy("mixed_float16") if policy else "mixed_float16")
    layers = keras.layers
    inner = [keras.Input((LENGTH,)), layers.Embedding(IDS, 5), layers.GlobalMaxPooling1D()]
    model = keras.Sequential([*inner, layers.Dense(1, activation="sigmoid", dtype="float32")])
    keras.mixed_precision.set_global_policy("float32")
    return model


def by_name(model: Any, before: str = "") -> Iterator[tuple[str, list[Any]]]:
    """Return the weights of each layer that has any."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from by_name(layer, f"{before}{layer.name}/")
        elif layer.get_weights():
            yield before + layer.name, layer.get_weights()


def spread(model: Any, random: np.random.Generator) -> None:
    """Give every weight another value, so that none can be taken for another."""
    values = []
    for weight in model.weights:
        least = 0.1 if "variance" in weight.name else -0.7
        values.append(random.uniform(least, 0.7, weight.shape).astype("f4"))
    model.set_weights(values)


def write(model: Any, path: Path, random: np.random.Generator) -> None:
    """Write a model in all formats, and what it holds and answers."""
    spread(model, random)
    model.save(path.with_suffix(".h5"))
    model.save(path.with_suffix(".keras"))
    path.with_suffix(".json").write_text(model.to_json())
    model.save_weights(path.with_suffix(".weights.h5"))
    ids = random.integers(1, IDS, (8, LENGTH)).astype("i4")
    for text, real in zip(ids, range(LENGTH, LENGTH - 8, -1), strict=True):
        text[real:] = 0
    weights = {
        f"{name}:{number}": value
        for name, values in by_name(model)
        for number, value in enumerate(values)
    }
    given = ids if len(model.inputs) == 1 else [ids, ids]
    answers = np.asarray(model(given, training=False), "f4")
    np.savez(path.with_suffix(".npz"), **{"ids:": ids, "answers:": answers, **weights})


def write_cudnn(keras: Any, folder: Path, random: np.random.Generator) -> None:
    """Write a model of cuDNN's layers, and the weights that Keras 2 makes of it without them."""
    layers = keras.layers
    cudnn = importlib.import_module("tf_keras.src.layers")
    for kind in ("LSTM", "GRU"):
        both = [
            keras.Sequential(
                [
                    layers.InputLayer((LENGTH,)),
                    layers.Embedding(IDS, 5),
                    layers.Bidirectional(layer(3, return_sequences=True)),
                    layer(4),
                    layers.Dense(1, activation="sigmoid"),
                ]
            )
            for layer in (getattr(cudnn, f"CuDNN{kind}"), getattr(layers, kind))
        ]
        spread(both[0], random)
        path = folder / f"cudnn_{kind}"
        both[0].save(path.with_suffix(".h5"))
        both[0].save_weights(path.with_suffix(".weights.h5"), save_format="h5")
        both[1].load_weights(path.with_suffix(".h5"))
        named = zip(by_name(both[0]), by_name(both[1]), strict=True)
        np.savez(
            path.with_suffix(".npz"),
            **{f"{one[0]}:{n}": value for one, other in named for n, value in enumerate(other[1])},
        )


def main(name: str, folder: str, *names: str) -> None:
    """Write all models, or those of some names."""
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="", KERAS_BACKEND="tensorflow")
    keras, two, random = importlib.import_module(name), name == "tf_keras", np.random.default_rng(1)
    for one, build in models(keras, two).items():
        if one in names or not names:
            model = build()
            model.compile(loss=keras.losses.BinaryCrossentropy(from_logits=True))
            write(model, Path(folder) / one, random)
    write(half(keras), Path(folder) / "half", random)
    if two:
        write_cudnn(keras, Path(folder), random)


if __name__ == "__main__":
    main(*sys.argv[1:])
