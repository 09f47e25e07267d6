"""That models of other people become bundles that answer as their programs do, or are refused."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras
import numpy as np
import pytest
from conftest import BIN, ROOT
from keras import layers
from own_models import IDS, LENGTH, functional, sequential, with_random_weights
from sentido_bundle import Against, Bundle, BundleError, Layout, TaskKind
from sentido_export import data
from sentido_export.errors import ExportError
from sentido_export.flags import parse
from sentido_export.imported.export import export_own_model
from sentido_export.imported.options import OwnModelOptions

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not support masking.*:UserWarning"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # of saving
]

WORDS = (
    *("the", "a", "film", "was", "good", "bad", "great", "awful", "not", "very"),
    *("movie", "it", "and", "but", "of", "to", "is", "this", "that"),
)
TEXTS = ["", "good", "the film was not very good", "zxqv", "bad " * 40, " ".join(WORDS)]


def export(model: Path, out: Path, *flags: str | Path) -> Bundle:
    """Export as the command does, in this process."""
    arguments = parse(["--from-keras", str(model), *map(str, flags)])
    return export_own_model(OwnModelOptions.of(arguments, out, "mine"))


@pytest.fixture(scope="module")
def word_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("words") / "word_index.json"
    path.write_text(json.dumps({word: number + 1 for number, word in enumerate(WORDS)}))
    return path


def ids_of(text: str, side: str = "pre", length: int = LENGTH) -> Any:
    known = [WORDS.index(word) + 1 for word in text.split() if word in WORDS]
    return keras.utils.pad_sequences([known], length, padding=side, truncating=side)


def answers_of(model: keras.Model, texts: list[str], side: str = "pre") -> Any:
    rows = np.concatenate([ids_of(text, side) for text in texts])
    return np.asarray(model([rows] * len(model.inputs) if len(model.inputs) > 1 else rows))


def saved(model: keras.Model, folder: Path) -> Path:
    path = folder / "model.keras"
    with_random_weights(model, 0.7).save(path)
    return path


def lstm(*, mask: bool = True, length: int | None = LENGTH) -> keras.Model:
    return sequential(layers.LSTM(4), mask=mask, length=length)


# -- what everyone starts from ------------------------------------------------------------------

WRITERS = {"tf_keras": BIN.parent / "keras2" / "bin" / "python", "keras": Path(sys.executable)}
FORMATS = (".h5", ".keras")
CLASSICS = {  # which Keras saves it, in which format, when not all of them do in both
    "tutorial": ("tf_keras", ".h5"),
    "course_average": ("tf_keras", ".keras"),
    "course_softmax": ("keras", ".h5"),
    "imdb_cnn": ("keras", ".keras"),
    "text_scratch": ("tf_keras", ".h5"),
    "toxic": ("tf_keras", ".keras"),
}
LONG = "imdb_bidirectional"  # whose training is traced for ten seconds: with --all-classics only


@pytest.fixture(scope="module")
def classics(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> list[Path]:
    """Return the model files of the classics, written by both Keras at the same time."""
    every = request.config.getoption("--all-classics")
    reviews = tmp_path_factory.mktemp("reviews") / "reviews.json"
    loaded = data.load("reviews", "text", "label")
    rows = zip(loaded.texts[:100], loaded.labels[:100].tolist(), strict=True)
    reviews.write_text(json.dumps(list(rows)))
    writers, files = [], []
    for name, python in WRITERS.items():
        folder = tmp_path_factory.mktemp(name)
        names = [one for one, (writer, _) in CLASSICS.items() if every or writer == name]
        names += [LONG] * every
        program = [str(python), str(ROOT / "tests" / "classic_writer.py")]
        command = [*program, name, str(folder), str(reviews), *names]
        writers.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        endings = {one: FORMATS if every else CLASSICS[one][1:] for one in names}
        files += [folder / f"{one}{ending}" for one in names for ending in endings[one]]
    for writer in writers:
        _, errors = writer.communicate(timeout=3600 if every else 280)
        assert writer.returncode == 0, errors[-2000:]
    return files


def flags_of(path: Path) -> list[str | Path]:
    """Return what says how the program of a classic numbers words."""
    of_ids = path.parent.name.startswith("tf_keras")  # in an h5: the TextVectorization is beside it
    words, imdb, layer = (
        path.with_suffix(ending) for ending in (".words.json", ".imdb.json", ".vectorizer.keras")
    )
    if words.exists():
        lost = ["--vocabulary", words, *(["--max-tokens", "500"] if of_ids else [])]
        steps = ["--cleaning", path.with_suffix(".steps.json")]
        return [*(lost if path.suffix == ".h5" else ()), *steps]
    if layer.exists():
        return ["--tokenizer", layer, "--task", "multi_label"]
    if imdb.exists():
        length = ["--max-tokens", "200"] if path.stem == LONG else []
        return ["--vocabulary", "keras-imdb", "--word-index", imdb, *length]
    return ["--tokenizer", path.with_suffix(".pickle")]


@pytest.mark.nightly
def test_the_classics_answer_as_their_own_programs_do(classics: list[Path], tmp_path: Path) -> None:
    for number, path in enumerate(classics):
        flags = flags_of(path)
        answers = path.with_suffix(".jsonl")
        bundle = export(path, tmp_path / str(number), *flags, "--check", answers)
        rows = [json.loads(line) for line in answers.read_text().splitlines()]
        wanted = np.array([row["probabilities"] for row in rows])
        found = bundle.predict([row["text"] for row in rows]).probabilities
        assert np.abs(found[:, -wanted.shape[1] :] - wanted).max() <= 1e-5, path
        assert bundle.manifest.parity.against is Against.CHECK
    assert len(classics) >= len(CLASSICS)


# -- what the options say -----------------------------------------------------------------------


@pytest.mark.parametrize("side", ["pre", "post"])
def test_a_model_without_a_mask_is_padded_as_it_learned(
    side: str, tmp_path: Path, word_index: Path
) -> None:
    model = sequential(layers.Conv1D(4, 3), layers.GlobalMaxPooling1D(), mask=False)
    path = saved(model, tmp_path)
    flags = ["--padding", side, "--truncating", side, "--labels", "bad,good"]
    bundle = export(path, tmp_path / "out", "--word-index", word_index, *flags)
    found = bundle.predict(TEXTS)
    assert np.abs(found.probabilities[:, 1:] - answers_of(model, TEXTS, side)).max() <= 1e-5
    assert bundle.labels == ("bad", "good")
    assert bundle.manifest.inputs.layout is Layout.FIXED
    assert set(bundle.manifest.capabilities) == {"hidden", "word_vectors", "logits"}
    assert np.abs(found.logits[:, 0] + found.logits[:, 1]).max() == 0


def test_a_masked_lstm_alone_takes_the_lengths_and_has_steps(
    tmp_path: Path, word_index: Path
) -> None:
    model = lstm(length=None)
    path = saved(model, tmp_path)
    flags = ["--word-index", str(word_index), "--truncating", "pre", "--max-tokens", str(LENGTH)]
    bundle = export(path, tmp_path / "out", *flags)
    found = bundle.predict(TEXTS)
    assert np.abs(found.probabilities[:, 1:] - answers_of(model, TEXTS)).max() <= 1e-5
    assert bundle.manifest.inputs.layout is Layout.LENGTHS
    assert bundle.manifest.same_bits
    ids = bundle.tokenizer.encode(TEXTS[2]).ids
    assert np.abs(bundle.run_steps(ids)[-1] - found.hidden[2]).max() <= 1e-6


def test_steps_end_in_what_the_recurrent_layer_returns(tmp_path: Path, word_index: Path) -> None:
    model = sequential(layers.GRU(5), layers.Dense(3, activation="relu"), mask=True)
    flags = ["--word-index", str(word_index), "--truncating", "pre"]
    bundle = export(saved(model, tmp_path), tmp_path / "out", *flags)
    ids = bundle.tokenizer.encode(TEXTS[2]).ids
    gru = keras.Model(model.inputs[0], model.layers[1].output)
    assert np.abs(bundle.run_steps(ids)[-1] - answers_of(gru, TEXTS[2:3])[0]).max() <= 1e-5
    assert bundle.predict(TEXTS).hidden.shape == (len(TEXTS), 3)


def test_large_numbers_are_compared_by_their_size(tmp_path: Path, word_index: Path) -> None:
    model = sequential(layers.GlobalMaxPooling1D(), layers.Dense(6, activation="relu"), mask=False)
    path = tmp_path / "model.keras"
    with_random_weights(model, 30).save(path)
    bundle = export(path, tmp_path / "out", "--word-index", word_index, *SIDES)
    found = bundle.predict(TEXTS)
    assert np.abs(found.hidden).max() > 1000
    assert np.abs(found.probabilities[:, 1:] - answers_of(model, TEXTS)).max() <= 1e-5


def test_the_path_of_a_model_is_said_and_bits_that_depend_on_a_batch_are(
    tmp_path: Path, word_index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = sequential(layers.SimpleRNN(4), mask=False)
    bundle = export(saved(model, tmp_path), tmp_path / "out", "--word-index", word_index, *SIDES)
    found = bundle.predict(TEXTS).probabilities
    assert np.abs(found[:, 1:] - answers_of(model, TEXTS)).max() <= 1e-5
    assert bundle.manifest.training["path"] == "states"
    assert bundle.manifest.inputs.layout is Layout.LENGTHS
    assert not bundle.manifest.same_bits
    said = capsys.readouterr().out
    assert "path states: a text costs its own tokens, not 12, since" in said
    assert "in tables of 0.0 MB" in said
    assert "depend on the texts beside it" in said


def test_several_labels_at_once_have_thresholds(tmp_path: Path, word_index: Path) -> None:
    last = layers.Dense(3, activation="sigmoid")
    model = sequential(layers.GlobalAveragePooling1D(), mask=True, last=last)
    flags = ["--word-index", str(word_index), "--truncating", "post", "--task", "multi_label"]
    flags += ["--labels", "a", "b", "c", "--threshold", "b=0.3", "--cleaned-by-caller"]
    bundle = export(saved(model, tmp_path), tmp_path / "out", *flags)
    task = bundle.manifest.task
    assert (task.kind, task.thresholds) == (TaskKind.MULTI_LABEL, (0.5, 0.3, 0.5))
    assert bundle.manifest.cleaned_by_caller
    wanted = answers_of(model, TEXTS, "post")
    empty = [index for index, text in enumerate(TEXTS) if not ids_of(text).any()]
    found = bundle.predict(TEXTS).probabilities
    assert np.abs(np.delete(found - wanted, empty, axis=0)).max() <= 1e-5
    assert np.isfinite(found).all()


def test_several_inputs_get_the_same_ids_where_the_user_says_so(
    tmp_path: Path, word_index: Path
) -> None:
    def middle(one: Any, other: Any) -> Any:
        return layers.Concatenate()([layers.LSTM(3)(one), layers.GlobalMaxPooling1D()(other)])

    model = functional(middle, mask=False, inputs=2)
    path, sides = saved(model, tmp_path), ["--padding", "pre", "--truncating", "pre"]
    with pytest.raises(ExportError, match=r"2 inputs .*--same-ids"):
        export(path, tmp_path / "no", "--word-index", word_index, *sides)
    bundle = export(path, tmp_path / "out", "--word-index", word_index, *sides, "--same-ids")
    found = bundle.predict(TEXTS).probabilities
    assert np.abs(found - answers_of(model, TEXTS)).max() <= 1e-5
    assert bundle.manifest.word_vectors is None  # each input has its own


def test_logits_become_probabilities_by_the_head_that_is_given(
    tmp_path: Path, word_index: Path
) -> None:
    model = sequential(layers.GRU(4), mask=True, last=layers.Dense(3))
    path, answers = saved(model, tmp_path), tmp_path / "answers.jsonl"
    logits = answers_of(model, TEXTS)
    rows = [
        json.dumps({"text": text, "probabilities": row.tolist()})
        for text, row in zip(TEXTS, logits, strict=True)
    ]
    answers.write_text("\n".join(rows))
    flags = ["--word-index", str(word_index), "--head", "softmax", "--check", str(answers)]
    bundle = export(path, tmp_path / "out", *flags)
    found = bundle.predict(TEXTS)
    assert np.abs(found.logits - logits).max() <= 1e-5
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.abs(found.probabilities - shares).max() <= 1e-5


def test_parity_is_measured_on_the_users_own_texts_too(tmp_path: Path, word_index: Path) -> None:
    path, sample = saved(lstm(), tmp_path), tmp_path / "texts.csv"
    sample.write_text('id,review\n1,"a great film, the movie"\n2,good\n3,"not good"\n')
    flags = ["--word-index", str(word_index), "--truncating", "pre"]
    alone = export(path, tmp_path / "alone", *flags).manifest.parity
    flags += ["--sample", str(sample), "--text-column", "review"]
    both = export(path, tmp_path / "both", *flags).manifest.parity
    assert both.texts == alone.texts + 3
    assert both.against is Against.REBUILT
    assert both.largest_difference <= 1e-5


def test_what_the_user_must_know_is_said(
    tmp_path: Path, word_index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = sequential(layers.GlobalAveragePooling1D(), mask=True)
    export(
        saved(model, tmp_path),
        tmp_path / "out",
        *("--word-index", word_index, "--truncating", "pre"),
    )
    said = capsys.readouterr().out
    assert "Keras divides by zero" in said
    assert "nothing here can catch a wrong vocabulary" in said
    assert "they are the numbers 0 to 1" in said
    assert "num_words was not given" in said


# -- what is refused ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return models by a word for what is special about them."""
    models = {
        "unmasked": lstm(mask=False),
        "masked": lstm(),
        "any length": lstm(mask=False, length=None),
        "sigmoids": sequential(
            layers.GlobalMaxPooling1D(), mask=False, last=layers.Dense(3, activation="sigmoid")
        ),
        "blind": sequential(layers.LSTM(3, return_sequences=True), layers.Flatten(), mask=True),
        "logits": sequential(layers.GlobalMaxPooling1D(), mask=False, last=layers.Dense(1)),
        "no dense": sequential(mask=False, last=layers.LSTM(3)),
    }
    return {name: saved(model, tmp_path_factory.mktemp("m")) for name, model in models.items()}


SIDES = ("--padding", "pre", "--truncating", "pre")
REFUSED: dict[str, tuple[str, tuple[str, ...], str]] = {
    "no side": ("unmasked", (), "--padding and --truncating are needed"),
    "no padding": ("unmasked", ("--truncating", "pre"), "--padding is needed"),
    "no truncating": ("masked", (), "--truncating is needed"),
    "a mask that is lost": ("blind", ("--truncating", "pre"), "--padding is needed"),
    "no length": ("any length", SIDES, "--max-tokens"),
    "another length": ("unmasked", (*SIDES, "--max-tokens", "13"), "the model reads 12 ids"),
    "no task": ("sigmoids", SIDES, "--task single.*--task multi_label"),
    "too many labels": ("unmasked", (*SIDES, "--labels", "a", "b", "c"), "3 labels.*has 2"),
    "one label twice": ("unmasked", (*SIDES, "--labels", "a,a"), "labels"),
    "a threshold": ("unmasked", (*SIDES, "--threshold", "a=0.4"), "--task multi_label"),
    "a threshold of no label": (
        "sigmoids",
        (*SIDES, "--task", "multi_label", "--threshold", "x=0.4"),
        "there is no such label",
    ),
    "no head": ("logits", SIDES, "--head sigmoid or --head softmax"),
    "no Dense at the end": ("no dense", SIDES, r"ends in layer lstm.*, an LSTM: only models that"),
    "a head too many": ("unmasked", (*SIDES, "--head", "softmax"), "leave --head out"),
    "no such sample": ("unmasked", (*SIDES, "--sample", "nowhere.txt"), "--sample: .*nowhere.txt"),
    "a tolerance alone": ("unmasked", (*SIDES, "--check-tolerance", "0.1"), "is of --check"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_meant_is_refused_and_nothing_is_written(
    name: str, files: dict[str, Path], tmp_path: Path, word_index: Path
) -> None:
    model, flags, message = REFUSED[name]
    with pytest.raises((ExportError, BundleError), match=message):
        export(files[model], tmp_path / "out", "--word-index", word_index, *flags)
    assert not list(tmp_path.iterdir())


def test_answers_of_another_vocabulary_are_refused_with_what_would_fit(
    tmp_path: Path, word_index: Path
) -> None:
    model, answers = lstm(mask=False), tmp_path / "answers.jsonl"
    path = saved(model, tmp_path)
    rows = answers_of(model, [text.lower() for text in [*TEXTS, "A Great FILM"]])
    given = zip([*TEXTS, "A Great FILM"], rows.tolist(), strict=True)
    lines = [json.dumps({"text": text, "probabilities": row}) for text, row in given]
    answers.write_text("\n".join(lines))
    flags = ["--word-index", str(word_index), "--no-lower", *SIDES, "--check", str(answers)]
    with pytest.raises(ExportError, match="--no-lower"):
        export(path, tmp_path / "out", *flags)
    assert not (tmp_path / "out").exists()
    flags.remove("--no-lower")
    assert export(path, tmp_path / "out", *flags).manifest.parity.against is Against.CHECK


def test_the_first_layer_that_differs_is_named_where_the_program_wrote_its_layers_down(
    tmp_path: Path, word_index: Path
) -> None:
    page = (ROOT / "docs" / "your-own-model.md").read_text(encoding="utf-8")
    (cell,) = re.findall(r"<!-- the cell of details.*?-->\n```python\n(.*?)^```", page, re.M | re.S)
    model = sequential(
        layers.LSTM(4), layers.Dense(3, activation="relu", name="between"), mask=False
    )
    path, answers = saved(model, tmp_path), tmp_path / "answers.jsonl"
    weights = model.get_layer("between").get_weights()
    model.get_layer("between").set_weights([weights[0] * 1.5 + 0.1, weights[1] + 1])

    class Tokens:
        def texts_to_sequences(self, texts: list[str]) -> Any:
            return [
                [WORDS.index(word) + 1 for word in text.split() if word in WORDS] for text in texts
            ]

    program: dict[str, Any] = {
        "keras": keras,
        "model": model,
        "tokenizer": Tokens(),
        "maxlen": LENGTH,
    }
    program["pad_sequences"] = keras.utils.pad_sequences
    exec(cell, program)
    rows = answers_of(model, TEXTS).tolist()
    lines = [
        json.dumps({"text": text, "probabilities": row, **program["details"](text)})
        for text, row in zip(TEXTS, rows, strict=True)
    ]
    answers.write_text("\n".join(lines))
    with pytest.raises(ExportError, match="the first layer that differs is 'between'"):
        export(path, tmp_path / "out", "--word-index", word_index, *SIDES, "--check", answers)


def test_a_vocabulary_of_another_model_is_refused(files: dict[str, Path], tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("\n".join(f"word{number}" for number in range(IDS + 5)))
    with pytest.raises(ExportError, match=f"the model's Embedding has {IDS} rows"):
        export(files["unmasked"], tmp_path / "out", "--vocabulary", words, *SIDES)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--from-keras", "m.h5", "--epochs", "3"], "--epochs is for training"),
        (["--tokenizer", "tokenizer.pickle"], "--tokenizer is for a model that is given by"),
        (["--no-lower"], "--no-lower is for a model that is given by --from-keras"),
        (["--from-keras", "m.h5", "--threshold", "good"], "is not LABEL=X"),
        (["--from-keras", "m.h5", "--threshold", "good=2"], "is not LABEL=X"),
        (["--from-keras", "m.h5", "--threshold", "good=٠.٥"], "is not LABEL=X"),
        (["--from-keras", "m.h5", "--padding", "left"], "'left' is not one of pre, post"),
    ],
)
def test_flags_that_do_not_go_together_are_one_line(
    flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(flags)
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
