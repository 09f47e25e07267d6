"""What the configuration of a model says is understood, or refused by the name of what it is."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from model_files import (
    Layer,
    dense,
    embedding,
    functional,
    layer,
    recurrent,
    sequential,
    tiny,
)
from sentido_export.errors import ExportError
from sentido_export.imported.architecture import Architecture, TextLayer
from sentido_export.imported.head import find_head
from sentido_export.imported.model_file.read import understood


def read(config: Any, version: str | None = "2.15.0", **texts: str) -> Architecture:
    if version is not None:
        texts["keras_version"] = version
    text = config if isinstance(config, str) else json.dumps(config)
    return understood({"model_config": text, **texts}, "model.h5").architecture


def of_lstm(config: Any, version: str | None = "2.15.0") -> dict[str, Any]:
    return dict(read(config, version).layers[1].fields)


def test_a_sequential_model_is_a_chain_of_its_layers() -> None:
    found = read(tiny(last=dense(2, activation="softmax")))
    assert [(each.name, each.kind, each.inputs) for each in found.layers] == [
        ("embedding", "Embedding", ("embedding_input",)),
        ("lstm", "LSTM", ("embedding",)),
        ("dense", "Dense", ("lstm",)),
    ]
    assert found.inputs[0].length == 10
    assert found.output == "dense"
    assert found.notes == ()


def test_a_sequential_configuration_can_be_a_list_as_in_keras_2_0() -> None:
    config = tiny()
    config["config"] = config["config"]["layers"]
    assert read(config, "2.0.9").output == "dense"


def test_what_computes_nothing_in_an_answer_is_left_out() -> None:
    nothing = [
        layer("SpatialDropout1D", rate=0.2),
        layer("GaussianNoise", stddev=0.1),
        layer("GaussianDropout", rate=0.1),
        layer("AlphaDropout", rate=0.1, noise_shape=None, seed=1),
        layer("ActivityRegularization", l1=0.1, l2=0.1),
    ]
    found = read(tiny(*nothing, recurrent(), layer("Dropout", rate=0.5)))
    assert [each.kind for each in found.layers] == ["Embedding", "LSTM", "Dense"]
    assert found.layers[1].inputs == ("embedding",)


def test_a_fixed_batch_is_no_part_of_the_input() -> None:
    found = read(tiny(batch_input_shape=[64, 25]))
    assert found.inputs[0].length == 25


@pytest.mark.parametrize(
    ("version", "activation"),
    [("2.2.4", "hard_sigmoid_keras2"), ("2.3.1", "sigmoid"), ("3.1.0", "sigmoid")],
)
def test_a_recurrent_activation_that_is_absent_is_that_of_its_keras(
    version: str, activation: str
) -> None:
    lstm = recurrent()
    del lstm["config"]["recurrent_activation"]
    assert of_lstm(tiny(lstm), version)["recurrent_activation"] == activation


@pytest.mark.parametrize(
    ("version", "name", "formula"),
    [
        ("2.1.6-tf", "hard_sigmoid_keras2", "clip(0.2 x + 0.5, 0, 1)"),
        ("3.0.5", "hard_sigmoid_keras3", "relu6(x + 3) / 6"),
    ],
)
def test_hard_sigmoid_is_that_of_the_keras_that_wrote_the_file_which_is_said(
    version: str, name: str, formula: str
) -> None:
    found = read(tiny(recurrent(recurrent_activation="hard_sigmoid")), version)
    assert found.layers[1].fields["recurrent_activation"] == name
    assert len(found.notes) == 1
    assert formula in found.notes[0]
    assert version in found.notes[0]


def test_a_gru_without_reset_after_is_the_older_one() -> None:
    assert of_lstm(tiny(recurrent("GRU")))["reset_after"] is False
    assert of_lstm(tiny(recurrent("GRU", reset_after=True)))["reset_after"] is True


@pytest.mark.parametrize(("class_name", "kind"), [("CuDNNLSTM", "LSTM"), ("CuDNNGRU", "GRU")])
def test_layers_of_cudnn_are_the_layers_that_they_compute(class_name: str, kind: str) -> None:
    found = read(tiny(layer(class_name, units=3, return_sequences=False, stateful=False)), "2.2.4")
    assert found.layers[1].kind == kind
    assert found.layers[1].fields["recurrent_activation"] == "sigmoid"
    assert found.layers[1].fields.get("reset_after", True) is True


def test_a_bidirectional_layer_writes_zeros_at_padded_steps_as_keras_does() -> None:
    inner = recurrent(return_sequences=True, zero_output_for_mask=False)
    wrapped = layer("Bidirectional", layer=inner, merge_mode="sum")
    found = read(tiny(wrapped, layer("GlobalMaxPooling1D"), mask_zero=True))
    assert found.layers[1].fields["merge_mode"] == "sum"
    assert found.layers[1].fields["layer"]["zero_output_for_mask"] is True
    assert found.layers[1].fields["layer"]["kind"] == "LSTM"


def test_a_dense_in_time_distributed_is_a_dense() -> None:
    each_step = layer("TimeDistributed", layer=dense(5, "inner", activation="relu"))
    found = read(tiny(recurrent(return_sequences=True), each_step, layer("Flatten")))
    assert (found.layers[2].kind, found.layers[2].fields["units"]) == ("Dense", 5)


def test_an_activation_that_is_a_layer_comes_after_its_layer() -> None:
    leaky = layer("LeakyReLU", alpha=0.1)
    found = read(tiny(recurrent(), dense(4, "hidden", activation=leaky)))
    assert [each.kind for each in found.layers[2:]] == ["Dense", "LeakyReLU", "Dense"]
    assert found.layers[2].fields["activation"] == "linear"
    assert found.layers[3].fields == {"negative_slope": 0.1}
    assert found.layers[4].inputs == (found.layers[3].name,)


@pytest.mark.parametrize("name", ["swish", "softmax_v2", "relu6", None])
def test_activations_have_one_name_each(name: str | None) -> None:
    found = read(tiny(layer("Activation", "act", activation=name), layer("Flatten")))
    expected = {"swish": "silu", "softmax_v2": "softmax", None: "linear"}.get(name, name)
    assert found.layers[1].fields["activation"] == expected


def test_a_nested_model_is_flattened_and_its_layers_named_after_it() -> None:
    head = sequential(dense(4, "hidden", activation="relu"), dense(name="out"), name="head")
    found = read(sequential(embedding(), layer("Flatten"), head))
    assert [each.name for each in found.layers] == [
        "embedding",
        "flatten",
        "head/hidden",
        "head/out",
    ]
    assert found.output == "head/out"


def test_a_functional_model_has_branches_that_meet() -> None:
    found = read(
        functional(
            [
                (layer("Concatenate", axis=1), ["a", "b"]),
                (embedding(), ["ids"]),
                (layer("GlobalMaxPooling1D", "a"), ["embedding"]),
                (layer("GlobalAveragePooling1D", "b"), ["embedding"]),
                (dense(), ["concatenate"]),
            ],
            "dense",
        )
    )
    assert [each.name for each in found.layers][:1] == ["embedding"]
    joined = next(each for each in found.layers if each.kind == "Concatenate")
    assert (joined.inputs, joined.fields) == (("a", "b"), {"axis": -1})


def test_a_shared_layer_is_there_twice() -> None:
    found = read(
        functional(
            [
                (embedding(), [["ids"], ["other"]]),
                (layer("Add"), ["embedding", ("embedding", 1, 0)]),
                (layer("Flatten"), ["add"]),
                (dense(), ["flatten"]),
            ],
            "dense",
            inputs=("ids", "other"),
        )
    )
    assert [each.name for each in found.inputs] == ["ids", "other"]
    assert {each.name: each.inputs for each in found.layers}["embedding@2"] == ("other",)


def test_keras_2_counts_the_calls_of_a_nested_model_from_one() -> None:
    encoder = functional([(embedding(), ["ids"]), (layer("Flatten"), ["embedding"])], "flatten")
    encoder["config"]["name"] = "encoder"
    found = read(
        functional(
            [
                (encoder, [["a"], ["b"]]),
                (layer("Concatenate"), [("encoder", 1, 0), ("encoder", 2, 0)]),
                (dense(), ["concatenate"]),
            ],
            "dense",
            inputs=("a", "b"),
        )
    )
    assert next(each for each in found.layers if each.kind == "Concatenate").inputs == (
        "encoder/flatten",
        "encoder@2/flatten",
    )


@pytest.mark.parametrize(("version", "notes"), [("3.3.3", 1), ("3.9.2", 0), ("2.15.0", 0)])
def test_a_mask_that_the_keras_of_a_file_lost_is_said(version: str, notes: int) -> None:
    model = functional(
        [
            (embedding(mask_zero=True), [["ids"], ["other"]]),
            (layer("Concatenate", axis=-1), ["embedding", ("embedding", 1, 0)]),
            (recurrent(), ["concatenate"]),
            (dense(), ["lstm"]),
        ],
        "dense",
        inputs=("ids", "other"),
    )
    assert len(read(model, version).notes) == notes


def test_a_half_precision_model_is_read_and_that_is_said() -> None:
    policy = {"class_name": "Policy", "config": {"name": "mixed_float16"}}
    found = read(tiny(recurrent(dtype=policy)))
    assert "half precision" in found.notes[0]


def test_a_file_that_does_not_say_its_version_is_of_keras_2_and_that_is_said() -> None:
    found = read(tiny(), None)
    assert (found.keras_version, len(found.notes)) == ("2.0", 1)


BINARY = {"class_name": "BinaryCrossentropy", "config": {"from_logits": True}}


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("binary_crossentropy", False),
        ("mse", None),
        ({"class_name": "function", "config": "binary_crossentropy"}, False),
        (BINARY, True),
        ([BINARY], True),
        ({"dense": BINARY}, True),
        ({"class_name": "Own>Loss", "config": {}}, None),
        (None, None),
    ],
)
def test_the_loss_says_whether_the_answer_is_logits(loss: Any, expected: bool | None) -> None:
    assert read(tiny(), training_config=json.dumps({"loss": loss})).from_logits is expected


@pytest.mark.parametrize(
    "loss",
    ["mse", "mean_absolute_error", {"class_name": "MeanSquaredError", "config": {}}, ["huber"]],
)
def test_a_model_that_predicts_a_number_is_named_as_such(loss: Any) -> None:
    model = read(
        tiny(last=dense(1, activation="linear")), training_config=json.dumps({"loss": loss})
    )
    with pytest.raises(ExportError, match=r"it predicts a number for a text, not labels, .*--head"):
        find_head(model)
    assert find_head(model, given="sigmoid").activation == "sigmoid"


# What is refused, and the words that the user is told.
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "lambda": (lambda: tiny(layer("Lambda", "cut", function=["x"])), "'cut' is a Lambda, .*code"),
    "masking": (lambda: tiny(layer("Masking"), recurrent()), r"use Embedding\(mask_zero=True\)"),
    "vectorization inside": (
        lambda: sequential(sequential(layer("TextVectorization"), *tiny()["config"]["layers"])),
        "TextVectorization, which can only be the first layer, of the whole model",
    ),
    "vectorization of ids": (
        lambda: sequential(embedding(), layer("TextVectorization"), recurrent(), dense()),
        "is not the one layer that takes the model's one input",
    ),
    "own layer": (lambda: tiny(layer("Attention_layer", "att")), "'att' is an Attention_layer"),
    "registered layer": (
        lambda: tiny({**recurrent(), "registered_name": "pkg>LSTM"}),
        "pkg>LSTM, a class of your own",
    ),
    "own module": (lambda: tiny({**recurrent(), "module": "__main__"}), "a class of your own"),
    "own model": (
        lambda: {"class_name": "MyModel", "config": {"name": "m"}},
        "a model class of your own",
    ),
    "attention": (
        lambda: tiny(layer("MultiHeadAttention")),
        "MultiHeadAttention, which Sentido .*: train the model with .*GlobalMaxPooling1D",
    ),
    "a part of an attention": (
        lambda: tiny(layer("RepeatVector", n=4)),
        r"a RepeatVector, .*; if it is part of an attention, train the model with GlobalMax",
    ),
    "an addition": (
        lambda: tiny({**layer("Add"), "module": "keras.src.ops.numpy"}),
        r"the operation Add, .*: use the layer of Keras that does the same, such as .*layers.Add$",
    ),
    "an operation without a layer": (
        lambda: tiny({**layer("Einsum"), "module": "keras.src.ops.numpy"}),
        "the operation Einsum, .*: use the layer of Keras that does the same$",
    ),
    "the last step": (
        lambda: tiny({**layer("GetItem"), "module": "keras.src.ops.numpy"}),
        r"GetItem, .*: for the last step leave out return_sequences=True",
    ),
    "reshape": (
        lambda: tiny(layer("Reshape", target_shape=[40])),
        "a Reshape, which Sentido does not compute: train the model without it",
    ),
    "merge": (lambda: tiny(layer("Merge", mode="sum")), "Keras 1"),
    "stateful": (lambda: tiny(recurrent(stateful=True)), "stateful=True is not computed"),
    "time_major": (lambda: tiny(recurrent(time_major=True)), "time_major=True"),
    "unknown field": (lambda: tiny(recurrent(peephole=3)), r"'lstm' \(LSTM\): peephole=3"),
    "channels_first": (
        lambda: tiny(layer("GlobalMaxPooling1D", data_format="channels_first")),
        "data_format=channels_first",
    ),
    "groups": (
        lambda: tiny(layer("Conv1D", filters=4, kernel_size=[3], groups=2), layer("Flatten")),
        "groups=2",
    ),
    "axis": (
        lambda: tiny(layer("BatchNormalization", axis=[1]), layer("Flatten")),
        r"along axis 1, not the last",
    ),
    "lora": (lambda: tiny(last=dense(lora_rank=4)), "lora_rank=4"),
    "own activation": (
        lambda: tiny(
            last=dense(activation={"class_name": "function", "config": "mine", "module": "app"})
        ),
        "activation mine of app is not one that Sentido computes",
    ),
    "lambda as activation": (
        lambda: tiny(last=dense(activation={"class_name": "__lambda__", "config": {}})),
        "activation is Python code",
    ),
    "layer as activation": (
        lambda: tiny(recurrent(activation=layer("LeakyReLU"))),
        "activation LeakyReLU is not one that Sentido computes",
    ),
    "list as layer": (lambda: tiny({**recurrent(), "config": []}), "is not the configuration"),
    "two lists": (
        lambda: tiny(layer("Bidirectional", layer=recurrent(), merge_mode=None)),
        "merge_mode=None",
    ),
    "other backward layer": (
        lambda: tiny(
            layer(
                "Bidirectional",
                layer=recurrent(),
                backward_layer=recurrent(units=3, go_backwards=True, activation="relu"),
            )
        ),
        "backward layer is not its forward layer",
    ),
    "dense of each": (
        lambda: tiny(layer("TimeDistributed", layer=recurrent())),
        r"TimeDistributed\(LSTM\)",
    ),
    "model of each": (
        lambda: tiny(layer("TimeDistributed", layer=sequential(dense()))),
        r"TimeDistributed\(Sequential\)",
    ),
    "wrapped convolution": (
        lambda: tiny(layer("Bidirectional", layer=layer("ConvLSTM2D"))),
        r"Bidirectional\(ConvLSTM2D\)",
    ),
    "answer of each token": (
        lambda: tiny(recurrent(return_sequences=True)),
        r"shape \(None, 10, 1\), not \(None, labels\)",
    ),
    "bag of words": (
        lambda: sequential(dense(4, batch_input_shape=[None, 5000]), dense(name="out")),
        "bags of words are not computed",
    ),
    "vectors": (
        lambda: sequential(recurrent(batch_input_shape=[None, 20, 300]), dense()),
        "vectors and bags of words",
    ),
    "two outputs": (
        lambda: functional(
            [(embedding(), ["ids"]), (dense(2, "a"), ["embedding"])],
            "a",
            more_outputs=["embedding"],
        ),
        "several outputs",
    ),
    "keras 1": (lambda: tiny(), "saved by Keras 1.2.2"),
    "keras 1 without a version": (
        lambda: sequential(
            layer("Embedding", input_dim=9, output_dim=4, init="uniform", dropout=0.0)
        ),
        "is of Keras 1, and Keras 2 is the oldest",
    ),
    "quantized": (
        lambda: tiny(last=dense(dtype={"config": {"name": "int8_from_float32"}})),
        r"quantized \(int8_from_float32\)",
    ),
    "window": (
        lambda: tiny(layer("Conv1D", filters=2, kernel_size=[50]), layer("Flatten")),
        "windows of 50, longer than its input of 10",
    ),
    "flat recurrent": (lambda: tiny(layer("Flatten"), recurrent()), "takes a sequence"),
    "unlike": (
        lambda: functional(
            [
                (embedding(), ["ids"]),
                (layer("Flatten", "a"), ["embedding"]),
                (layer("GlobalMaxPooling1D", "b"), ["embedding"]),
                (layer("Add"), ["a", "b"]),
                (dense(), ["add"]),
            ],
            "dense",
        ),
        "inputs of different sizes",
    ),
    "states": (
        lambda: functional(
            [
                (embedding(), ["ids"]),
                (recurrent(return_state=True), ["embedding"]),
                (dense(), [("lstm", 0, 1)]),
            ],
            "dense",
        ),
        "the states of layer 'lstm' .*: take its output instead",
    ),
    "an addition in keras 2": (
        lambda: functional(
            [
                (embedding(), ["ids"]),
                (layer("TFOpLambda", "add"), [("embedding", 0, 0, {"y": ["embedding", 0, 0]})]),
                (dense(), ["add"]),
            ],
            "dense",
        ),
        "'add' is a TFOpLambda, which calls a function of TensorFlow: use the layer of Keras",
    ),
    "an attention with options": (
        lambda: functional(
            [
                (embedding(), ["ids"]),
                (layer("Attention", "att"), [("embedding", 0, 0, {"use_causal_mask": True})]),
                (dense(), ["att"]),
            ],
            "dense",
        ),
        "'att' is an Attention, .*: train the model with",
    ),
    "states given": (
        lambda: functional(
            [
                (embedding(), ["ids"]),
                (dense(3, "h"), ["embedding"]),
                (recurrent(), ["embedding", "h", "h"]),
                (dense(), ["lstm"]),
            ],
            "dense",
        ),
        "takes one input and is given several",
    ),
    "circle": (
        lambda: functional(
            [
                (embedding(), ["ids"]),
                (dense(3, "a"), ["b"]),
                (dense(3, "b"), ["a"]),
                (dense(), ["b"]),
            ],
            "dense",
        ),
        "in a circle",
    ),
    "nothing named so": (
        lambda: functional([(embedding(), ["nowhere"]), (dense(), ["embedding"])], "dense"),
        "does not hold 'nowhere'",
    ),
    "forgotten call": (
        lambda: functional(
            [
                (embedding(), [["ids"], ["other"]]),
                (layer("Add"), ["embedding", "embedding"]),
                (layer("Flatten"), ["add"]),
                (dense(), ["flatten"]),
            ],
            "dense",
            inputs=("ids", "other"),
        ),
        "'embedding' is called 2 times, .* takes its output 2, which Keras 3.2 forgets",
    ),
    "no layers": (lambda: sequential(), "has no layers"),
    "deep json": (lambda: '{"a":' * 10_000 + "1" + "}" * 10_000, "more than 200 levels deep"),
    "no json": (lambda: "{'a': 1}", "is not JSON"),
    "a list": (lambda: "[1, 2]", "is not a JSON object"),
    "deep models": (lambda: nested(30), "models in models"),
    "no units": (lambda: tiny(layer("LSTM")), "units is missing"),
    "units": (lambda: tiny(recurrent(units=-4)), "units -4 is not a positive integer"),
    "shape": (lambda: tiny(batch_input_shape=[None, "x"]), "which no input of ids can have"),
    "ragged": (
        lambda: sequential(layer("InputLayer", ragged=True), *tiny()["config"]["layers"]),
        "is ragged",
    ),
    "tensorflow.js": (lambda: {"modelTopology": tiny()}, "model of TensorFlow.js"),
}


def nested(levels: int) -> Layer:
    model = sequential(dense(name="d"), name="m")
    for level in range(levels):
        model = sequential(model, name=f"m{level}")
    return model


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_computed_is_refused_by_its_name(name: str) -> None:
    config, words = REFUSED[name]
    with pytest.raises(ExportError, match=words) as raised:
        read(config(), "1.2.2" if name == "keras 1" else "2.15.0")
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 600


def test_a_layer_that_is_called_in_training_is_refused() -> None:
    model = functional(
        [
            (embedding(), ["ids"]),
            (layer("Flatten"), ["embedding"]),
            (layer("Dropout", rate=0.5), ["flatten"]),
            (dense(), ["dropout"]),
        ],
        "dense",
    )
    model["config"]["layers"][3]["inbound_nodes"] = [[["flatten", 0, 0, {"training": True}]]]
    with pytest.raises(ExportError, match="'dropout' is called with training=True"):
        read(model)


# -- layers that read texts ---------------------------------------------------------------------


def vectorized(**config: Any) -> Layer:
    settings = {
        **{"max_tokens": 20, "standardize": "lower_and_strip_punctuation", "split": "whitespace"},
        **{"ngrams": None, "output_mode": "int", "output_sequence_length": 10, "ragged": False},
        **{"pad_to_max_tokens": False, "sparse": False, "vocabulary": None, "encoding": "utf-8"},
        **{"idf_weights": None, "vocabulary_size": 20, "dtype": "string", **config},
    }
    return layer("TextVectorization", "texts", **settings)


def of_texts(vectorization: Layer) -> Layer:
    return sequential(vectorization, *tiny(length=None)["config"]["layers"])


WORDS = {"assets/layers/texts/vocabulary.txt": "\n[UNK]\nfilm\ngood"}


def test_a_text_vectorization_is_taken_off_the_model() -> None:
    found = read(of_texts(vectorized()), **WORDS)
    assert [each.kind for each in found.layers] == ["Embedding", "LSTM", "Dense"]
    assert (found.inputs[0].name, found.inputs[0].length) == ("texts", 10)
    words = ("", "[UNK]", "film", "good")
    assert found.text_layer == TextLayer("texts", True, True, None, 10, words)
    assert read(tiny()).text_layer is None


def test_the_words_of_a_text_vectorization_are_found_wherever_they_stand() -> None:
    def words(**texts: str) -> tuple[str, ...] | None:
        found = read(of_texts(vectorized()), **texts).text_layer
        return None if found is None else found.words

    wanted = ("", "[UNK]", "film", "good")
    assert words(**WORDS) == wanted
    assert (
        words(
            **WORDS, **{"assets/layers/texts/_lookup_layer/vocabulary.txt": "\n[UNK]\nfilm\ngood"}
        )
        == wanted
    )
    assert words(**{"assets/a/vocabulary.txt": "\r\n[UNK]\r\nfilm\r\ngood"}) == wanted
    assert words() is None
    for given in (
        ["film", "good"],
        ["", "[UNK]", "film", "good"],
        {"class_name": "__tuple__", "items": ["film", "good"]},
    ):
        layer_ = read(of_texts(vectorized(vocabulary=given))).text_layer
        assert layer_
        assert layer_.words == wanted
    layer_ = read(of_texts(vectorized(vocabulary="words.txt"))).text_layer
    assert layer_
    assert layer_.words is None


@pytest.mark.parametrize(
    ("standardize", "read_as"),
    [
        (None, (False, False, None)),
        ("lower", (True, False, None)),
        ("strip_punctuation", (False, True, None)),
        ("my_cleaning", (False, False, "my_cleaning")),  # as Keras 2 writes a function
        (
            {"class_name": "function", "config": "my_cleaning", "registered_name": "function"},
            (False, False, "my_cleaning"),
        ),
        ({"class_name": "__lambda__", "config": {"value": []}}, (False, False, "__lambda__")),
        (
            {"class_name": "function", "config": "clean", "registered_name": "mine>clean"},
            (False, False, "mine>clean"),
        ),
    ],
)
def test_what_a_text_vectorization_does_to_texts_is_read(
    standardize: Any, read_as: tuple[bool, bool, str | None]
) -> None:
    found = read(of_texts(vectorized(standardize=standardize))).text_layer
    assert found
    assert (found.lower, found.strips, found.function) == read_as


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"ngrams": 2}, "ngrams=2 is not supported"),
        ({"ngrams": [1, 2]}, r"ngrams=\[1, 2\] is not supported"),
        ({"split": "character"}, "split=character is not supported"),
        ({"split": None}, "split=None is not supported"),
        ({"split": {"class_name": "function"}}, "split=.* is not supported"),
        ({"output_mode": "multi_hot"}, "output_mode=multi_hot gives a bag of words"),
        ({"output_mode": "count"}, "output_mode=count gives a bag of words"),
        ({"output_mode": "tf_idf"}, "output_mode=tf_idf gives a bag of words"),
        ({"ragged": True}, "ragged=True is not supported"),
        ({"encoding": "latin-1"}, "encoding=latin-1 is not supported: texts are UTF-8"),
        ({"output_sequence_length": 0}, "output_sequence_length=0 is no number of ids"),
        ({"output_sequence_length": "9"}, "output_sequence_length=9 is no number of ids"),
        ({"vocabulary": ["film", 7]}, "its vocabulary holds 7, a word is needed"),
        ({"vocabulary": ["", "[UNK]"]}, r"its vocabulary is empty: adapt\(\) was not called"),
        ({"new_setting": 3}, "new_setting=3 is not computed here"),
    ],
)
def test_a_text_vectorization_that_is_not_followed_is_refused_by_name(
    config: dict[str, Any], message: str
) -> None:
    with pytest.raises(ExportError, match=f"layer 'texts' .TextVectorization.: {message}"):
        read(of_texts(vectorized(**config)))


def test_a_text_that_two_layers_take_is_refused() -> None:
    others = [vectorized(), {**vectorized(), "config": {**vectorized()["config"], "name": "more"}}]
    layers = [(others[0], ["ids"]), (others[1], ["ids"]), (layer("Add"), ["texts", "more"])]
    with pytest.raises(ExportError, match="has 2 layers TextVectorization"):
        read(functional(layers, "add"))
    layers = [
        (vectorized(), ["ids"]),
        (embedding(), ["texts"]),
        (layer("Add"), ["embedding", "ids"]),
    ]
    with pytest.raises(ExportError, match="layer 'add' takes the text itself"):
        read(functional(layers, "add"))


def test_words_in_two_versions_are_refused() -> None:
    with pytest.raises(ExportError, match="2 different vocabularies"):
        read(of_texts(vectorized()), **WORDS, **{"assets/other/vocabulary.txt": "\n[UNK]\nnew"})
