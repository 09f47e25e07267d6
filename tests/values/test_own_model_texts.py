"""Models that read texts by Keras' `TextVectorization`: its ids, and what of it is understood."""

import json
import os
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import config, running
from keras import layers
from own_models import sequential, with_random_weights
from sentido_bundle import Against, Bundle, Layout, Padding, Tokenizer, Truncation
from sentido_bundle.sections import TokenizerKind
from sentido_client import Client
from sentido_export.errors import ExportError
from sentido_export.flags import parse
from sentido_export.imported.architecture import TextLayer
from sentido_export.imported.export import export_own_model
from sentido_export.imported.model_file.read import read_model, read_text_layer
from sentido_export.imported.options import OwnModelOptions
from sentido_export.imported.vectorized import read_vectorized
from user_texts import generated

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not support masking.*:UserWarning"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # of saving
]

LENGTH, ROWS = 9, 40
TRAINED = [
    "The film was good, wasn't it? A good FILM!",
    "a bad film; the worst -- of Émile's films\tand the last",
    "Über den Film: sehr gut",
]
TEXTS = [
    *("", " ", "good", "The FILM was NOT very good!", "zxqv", "wasn't\u00a0it", "ÜBER Über über"),
    *("a\x0bbad\x1cfilm\x00", "[UNK] film", "'", "film " * 30, "東京 the film 👍"),
]


@pytest.fixture(scope="module")
def texts(reviews: list[str], request: pytest.FixtureRequest) -> list[str]:
    """Real texts and generated ones, twice as many."""
    count = request.config.getoption("--tokenizer-texts")
    chosen = random.Random(2)
    real = chosen.sample(reviews, count)
    return [text[:2000] for text in real] + [generated(chosen, real) for _ in range(2 * count)]


def vectorizer(trained: list[str] = TRAINED, **options: Any) -> Any:
    layer = layers.TextVectorization(**{"output_sequence_length": LENGTH, **options})
    layer.adapt(trained)
    return layer


def ids_of(layer: Any, texts: list[str]) -> list[list[int]]:
    rows = np.asarray(layer(tf.constant(texts)))
    return [row[: np.count_nonzero(row)].tolist() for row in rows]


@pytest.mark.parametrize(
    "standardize", ["lower_and_strip_punctuation", "lower", "strip_punctuation", None]
)
def test_the_ids_are_those_of_keras(standardize: str | None, texts: list[str]) -> None:
    # Keras' get_vocabulary() loses NUL at the end of a word.
    trained = [text.replace("\0", "") for text in [*texts[::3], *TRAINED]]
    keras_layer = vectorizer(trained, standardize=standardize, output_sequence_length=None)
    words = tuple(keras_layer.get_vocabulary())
    lower, strips = "lower" in str(standardize), "strip" in str(standardize)
    vocabulary = read_vectorized(TextLayer("texts", lower, strips, None, None, words), None)
    tokenizer = Tokenizer(vocabulary.words(), vocabulary.rules())
    every, known = [*texts, *TEXTS], set(words)
    wanted = ids_of(keras_layer, every)
    assert max(map(len, wanted)) > 20
    assert {1} < {id for ids in wanted for id in ids}
    assert [encoding.ids.tolist() for encoding in tokenizer.encode_all(every)] == wanted
    for text, ids in list(zip(every, wanted, strict=True))[::4]:
        encoding = tokenizer.encode(text)
        assert encoding.ids.tolist() == ids
        unknown = [word for word in tokenizer.words(text) if word not in known]
        assert encoding.out_of_vocabulary_count == len(unknown)
        assert [token.id for token in tokenizer.read_tokens(text)] == ids


def test_each_token_stands_where_its_word_does() -> None:
    vocabulary = read_vectorized(
        TextLayer("texts", True, True, None, None, ("", "[UNK]", "isnt", "é")), None
    )
    tokenizer = Tokenizer(vocabulary.words(), vocabulary.rules())
    text = " '(ISN'T)\t-- É é..."
    tokens = tokenizer.tokens(text)
    assert [(t.text, t.id, text[t.start : t.end]) for t in tokens] == [
        ("isnt", 2, "ISN'T"),
        ("É", 1, "É"),
        ("é", 3, "é"),
    ]
    assert [t.out_of_vocabulary for t in tokens] == [False, True, False]
    assert tokenizer.read_tokens(text) == tokens
    assert (tokenizer.lookup("ISNT"), tokenizer.lookup("É")) == (2, None)


# -- texts that are not padded ------------------------------------------------------------------

ALONE: dict[str, list[Any]] = {
    "maximum": [layers.Conv1D(4, 3, padding="same"), layers.GlobalMaxPooling1D()],
    "average": [layers.GlobalAveragePooling1D()],
    "causal": [layers.Conv1D(4, 3, padding="causal", dilation_rate=2), layers.LSTM(3)],
    "bidirectional": [layers.Bidirectional(layers.GRU(3))],
    "simple": [layers.SimpleRNN(3, go_backwards=True)],
}


@pytest.mark.parametrize(
    ("name", "mask"),
    [
        ("maximum", False),
        ("bidirectional", True),
        *(
            pytest.param(name, mask, marks=pytest.mark.nightly)
            for name, mask in [
                *(("average", False), ("causal", False), ("simple", True)),
                *(("maximum", True), ("average", True), ("bidirectional", False)),
            ]
        ),
    ],
)
def test_texts_of_any_length_are_computed_one_by_one(
    name: str, mask: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layer = vectorizer(output_sequence_length=None, max_tokens=20)
    made = [type(each).from_config(each.get_config()) for each in ALONE[name]]
    model = whole(layer, with_random_weights(sequential(*made, mask=mask, length=None), 0.7))
    model.save(tmp_path / "model.keras")
    bundle = export(tmp_path / "model.keras", tmp_path / "out", "--max-tokens", "50")
    assert "path alone" in capsys.readouterr().out
    assert bundle.manifest.inputs.layout is Layout.ALONE
    assert bundle.manifest.same_bits
    texts = [text for text in TEXTS if text.strip(" '")]  # Keras fails on texts without words
    wanted = np.concatenate([answers_of(model, [text]) for text in texts])
    assert np.abs(bundle.predict(texts).probabilities[:, 1:] - wanted).max() <= 1e-5
    assert np.isfinite(bundle.predict(TEXTS).probabilities).all()


def test_a_masked_lstm_alone_takes_the_lengths_of_texts_of_any_length(tmp_path: Path) -> None:
    layer = vectorizer(output_sequence_length=None, max_tokens=20)
    inner = with_random_weights(sequential(layers.LSTM(3), mask=True, length=None), 0.7)
    model, path = whole(layer, inner), tmp_path / "model.keras"
    model.save(path)
    with pytest.raises(ExportError, match="has no output_sequence_length, so that it cuts no text"):
        export(path, tmp_path / "out")
    bundle = export(path, tmp_path / "out", "--max-tokens", "50")
    assert bundle.manifest.inputs.layout is Layout.LENGTHS
    texts = [text for text in TEXTS if text.strip(" '")]
    found = bundle.predict(texts).probabilities[:, 1:]
    assert np.abs(found - answers_of(model, texts)).max() <= 1e-5


@pytest.mark.parametrize(
    "middle", [[layers.Conv1D(4, 3)], [layers.MaxPooling1D(2)]], ids=["convolution", "pooling"]
)
def test_a_model_that_reads_more_steps_than_a_text_may_have_is_refused(
    middle: list[Any], tmp_path: Path
) -> None:
    layer = vectorizer(output_sequence_length=None)
    model = sequential(*middle, layers.GlobalMaxPooling1D(), mask=False, length=None)
    whole(layer, model).save(tmp_path / "model.keras")
    with pytest.raises(ExportError, match="steps at a time, and a text that is not padded may"):
        export(tmp_path / "model.keras", tmp_path / "out", "--max-tokens", "50")


# -- models -------------------------------------------------------------------------------------


def inner(*, mask: bool = False) -> Any:
    middle = (layers.Conv1D(4, 3, activation="relu"), layers.GlobalMaxPooling1D())
    model = sequential(
        *(() if mask else middle), *([layers.GRU(4)] * mask), mask=mask, length=LENGTH
    )
    return with_random_weights(model, 0.7)


def whole(layer: Any, model: Any) -> Any:
    text = keras.Input((1,), dtype="string")
    return keras.Model(text, model(layer(text)))


def export(model: Path, out: Path, *flags: str | Path) -> Bundle:
    arguments = parse(["--from-keras", str(model), *map(str, flags)])
    return export_own_model(OwnModelOptions.of(arguments, out, "mine"))


def answers_of(model: Any, texts: list[str]) -> Any:
    return np.asarray(model(tf.constant([[text] for text in texts])))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a model that reads texts, its parts, and what it answers."""
    folder = tmp_path_factory.mktemp("texts")
    layer, model = vectorizer(max_tokens=20), inner()
    end_to_end = whole(layer, model)
    end_to_end.save(folder / "whole.keras")
    end_to_end.save(folder / "whole.h5")
    model.save(folder / "ids.keras")
    keras.Sequential([keras.Input((1,), dtype="string"), layer]).save(folder / "texts.keras")
    keras.Sequential([keras.Input((1,), dtype="string"), layer, model]).save(folder / "chain.keras")
    (folder / "words.json").write_text(json.dumps(layer.get_vocabulary()))
    (folder / "words.txt").write_text("\n".join(layer.get_vocabulary()[2:]))
    with (folder / "answers.jsonl").open("w") as file:
        for text, row in zip(TEXTS, answers_of(end_to_end, TEXTS).tolist(), strict=True):
            file.write(json.dumps({"text": text, "probabilities": row}) + "\n")
    return folder


WAYS: dict[str, tuple[str, ...]] = {
    "a model that reads texts": ("whole.keras",),
    "a chain of layers": ("chain.keras",),
    "a layer in a file of its own": ("ids.keras", "--tokenizer", "texts.keras"),
    "a layer in another model": ("ids.keras", "--tokenizer", "whole.keras"),
    "an h5 file and its words": ("whole.h5", "--vocabulary", "words.json"),
    "an h5 file and a text of words": ("whole.h5", "--vocabulary", "words.txt"),
}
AT_NIGHT = ("a chain of layers", "a layer in another model", "an h5 file and a text of words")


@pytest.mark.parametrize(
    "way", [pytest.param(way, marks=pytest.mark.nightly if way in AT_NIGHT else ()) for way in WAYS]
)
def test_a_model_of_texts_answers_as_keras_does(way: str, files: Path, tmp_path: Path) -> None:
    model, *flags = (str(files / each) if "." in each else each for each in WAYS[way])
    bundle = export(Path(model), tmp_path / "out", *flags, "--check", files / "answers.jsonl")
    rows = [json.loads(line) for line in (files / "answers.jsonl").read_text().splitlines()]
    wanted = np.array([row["probabilities"] for row in rows])
    found = bundle.predict([row["text"] for row in rows])
    assert np.abs(found.probabilities[:, 1:] - wanted).max() <= 1e-5
    manifest = bundle.manifest
    assert manifest.parity.against is Against.CHECK
    assert manifest.tokenizer.kind is TokenizerKind.TEXT_VECTORIZATION
    assert (manifest.inputs.layout, manifest.inputs.length) == (Layout.FIXED, LENGTH)
    assert manifest.inputs.padding is Padding.POST
    assert manifest.inputs.truncation is Truncation.POST
    assert bundle.tokenizer.oov_id == 1


def test_a_model_of_texts_is_served_with_its_own_way_to_split_them(
    files: Path, tmp_path: Path
) -> None:
    export(files / "whole.keras", tmp_path / "texts")
    rows = [json.loads(line) for line in (files / "answers.jsonl").read_text().splitlines()]
    with (
        running(config(bundle=(str(tmp_path / "texts"),))) as address,
        Client(address) as client,
    ):
        found = [
            answer.scores[1].probability for answer in client.predict([r["text"] for r in rows])
        ]
        tokens = client.tokenize("WASN'T it?").tokens
        rules = client.model().preprocessing
    assert np.abs(np.array(found)[:, None] - [row["probabilities"] for row in rows]).max() <= 1e-5
    assert [(t.text, t.start, t.end) for t in tokens] == [("wasnt", 0, 6), ("it", 7, 9)]
    assert (rules.kind, rules.out_of_vocabulary_id) == ("text_vectorization", 1)


def test_the_words_that_the_layer_was_given_are_in_its_configuration(tmp_path: Path) -> None:
    layer = layers.TextVectorization(output_sequence_length=4, vocabulary=["good", "film"])
    path = tmp_path / "texts.keras"
    keras.Sequential([keras.Input((), dtype="string"), layer]).save(path)
    assert read_text_layer(path).words == ("", "[UNK]", "good", "film")


REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "words that are lost": (
        ("whole.h5",),
        r"has lost its words.*json\.dump\(layer\.get_vocabulary\(\).*--vocabulary",
    ),
    "words twice": (
        ("whole.keras", "--vocabulary", "words.json"),
        "brings its words: leave the flag out",
    ),
    "another Tokenizer": (("whole.keras", "--tokenizer", "words.json"), "--tokenizer: .* itself"),
    "settings": (("whole.keras", "--no-lower"), "--no-lower: .* itself says"),
    "sides": (("whole.keras", "--padding", "pre"), "pads and cuts on the right"),
    "another length": (("whole.keras", "--max-tokens", "7"), "reads 9 ids, no other"),
    "no layer": (("ids.keras", "--tokenizer", "ids.keras"), "without a TextVectorization"),
    "words of imdb": (("whole.h5", "--vocabulary", "keras-imdb"), "numbers words otherwise"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_options_that_do_not_go_with_it_are_refused(what: str, files: Path, tmp_path: Path) -> None:
    given, message = REFUSED[what]
    model, *flags = (str(files / each) if "." in each else each for each in given)
    with pytest.raises(ExportError, match=message):
        export(Path(model), tmp_path / "out", *flags)
    assert not list(tmp_path.iterdir())


def own(texts: Any) -> Any:
    return tf.strings.regex_replace(tf.strings.lower(texts), "<br />", " ")


def test_a_function_of_the_users_own_is_refused_unless_callers_do_what_it_does(
    tmp_path: Path,
) -> None:
    path = tmp_path / "model.keras"
    model = whole(vectorizer(standardize=own, max_tokens=20), inner())
    model.save(path)
    with pytest.raises(ExportError, match=r"standardizes texts by own, .*--cleaning FILE"):
        export(path, tmp_path / "out")
    bundle = export(path, tmp_path / "out", "--cleaned-by-caller")
    cleaned = [own(text).numpy().decode() for text in TEXTS]
    found = bundle.predict(cleaned).probabilities[:, 1:]
    assert np.abs(found - answers_of(model, TEXTS)).max() <= 1e-5


def scratch(texts: Any) -> Any:
    """Standardize as `text classification from scratch` does, but leave apostrophes."""
    plain = tf.strings.regex_replace(tf.strings.lower(texts), "<br />", " ")
    return tf.strings.regex_replace(plain, "[^a-z' ]", "")


def test_a_function_that_is_given_as_cleaning_answers_as_keras_in_each_form(tmp_path: Path) -> None:
    layer, model = vectorizer(standardize=scratch, max_tokens=20), inner()
    end_to_end, texts = whole(layer, model), [*TEXTS, "good<br />film", "It WASN'T;the film"]
    end_to_end.save(tmp_path / "whole.keras")
    end_to_end.save(tmp_path / "whole.h5")
    model.save(tmp_path / "ids.h5")
    words, steps = tmp_path / "words.json", tmp_path / "steps.json"
    words.write_text(json.dumps(layer.get_vocabulary()))
    replaced = ({"replace": "<br />", "with": " "}, {"replace": "[^a-z' ]", "with": ""})
    steps.write_text(json.dumps([{"lower": "ascii"}, *replaced]))
    wanted, sides = answers_of(end_to_end, texts), ["--padding", "post", "--truncating", "post"]
    forms: dict[str, list[str | Path]] = {
        "whole.keras": [],
        "whole.h5": ["--vocabulary", words],
        "ids.h5": ["--vocabulary", words, "--filters=", *sides],
    }
    for name, flags in forms.items():
        bundle = export(tmp_path / name, tmp_path / f"of {name}", *flags, "--cleaning", steps)
        found = bundle.predict(texts).probabilities[:, 1:]
        assert np.abs(found - wanted).max() <= 1e-5, name


def test_a_layer_of_another_length_than_the_model_is_refused(files: Path, tmp_path: Path) -> None:
    path = tmp_path / "texts.keras"
    layer = vectorizer(output_sequence_length=LENGTH + 1)
    keras.Sequential([keras.Input((1,), dtype="string"), layer]).save(path)
    with pytest.raises(ExportError, match=r"gives 10 ids .* but the model reads 9"):
        export(files / "ids.keras", tmp_path / "out", "--tokenizer", path)


def test_more_words_than_the_model_has_rows_are_refused(files: Path, tmp_path: Path) -> None:
    words = tmp_path / "words.json"
    words.write_text(json.dumps(["", "[UNK]", *(f"word{number}" for number in range(40))]))
    with pytest.raises(ExportError, match="ids go up to 41, but the model's Embedding has 20 rows"):
        export(files / "whole.h5", tmp_path / "out", "--vocabulary", words)


def test_the_layer_is_left_out_of_what_is_computed(files: Path) -> None:
    found = read_model(files / "whole.keras")
    assert [each.kind for each in found.layers] == [
        *("Embedding", "Conv1D", "GlobalMaxPooling1D", "Dense")
    ]
    assert found.text_layer is not None
    assert found.inputs[0].name == found.text_layer.name
    assert replace(found.text_layer, words=None) == TextLayer(
        found.text_layer.name, True, True, None, LENGTH, None
    )
