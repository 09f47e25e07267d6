"""The file of a model is data: its arrays are found in every layout, what is broken is named."""

import gzip
import json
import os
import pickle
import signal
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from model_files import (
    dense,
    embedding,
    functional,
    layer,
    numbers,
    of_tiny,
    recurrent,
    sequential,
    tiny,
    write_h5,
    write_keras,
)
from sentido_export.errors import ExportError
from sentido_export.imported.architecture import Architecture
from sentido_export.imported.model_file.arrays import ArrayFile
from sentido_export.imported.model_file.read import read_model

PATHS = {  # the arrays of `tiny()` as Keras 3 lays them out
    "layers/embedding/vars/0": numbers(20, 4),
    "layers/lstm/cell/vars/0": numbers(4, 12),
    "layers/lstm/cell/vars/1": numbers(3, 12),
    "layers/lstm/cell/vars/2": numbers(12),
    "layers/dense/vars/0": numbers(3, 1),
    "layers/dense/vars/1": numbers(1),
    "optimizer/vars/0": numbers(7),
}


def arrays(model: Architecture) -> dict[str, list[tuple[int, ...]]]:
    return {each.name: [a.shape for a in each.weights] for each in model.layers if each.weights}


TINY = {"embedding": [(20, 4)], "lstm": [(4, 12), (3, 12), (12,)], "dense": [(3, 1), (1,)]}


@pytest.mark.parametrize("group", ["model_weights", ""])
def test_an_h5_file_holds_its_arrays_in_order(tmp_path: Path, group: str) -> None:
    found = read_model(write_h5(tmp_path / "model.h5", tiny(), of_tiny(), group=group))
    assert arrays(found) == TINY
    assert np.array_equal(found.layers[1].weights[0], numbers(4, 12))
    assert found.keras_version == "2.15.0"


@pytest.mark.parametrize("container", ["layers", "_layer_checkpoint_dependencies"])
def test_a_keras_file_holds_its_arrays_by_path(tmp_path: Path, container: str) -> None:
    paths = {place.replace("layers", container): array for place, array in PATHS.items()}
    found = read_model(write_keras(tmp_path / "model.keras", tiny(), paths))
    assert arrays(found) == TINY
    assert found.keras_version == "3.8.0"


def test_a_file_is_known_by_its_content_not_its_name(tmp_path: Path) -> None:
    assert arrays(read_model(write_h5(tmp_path / "a.keras", tiny(), of_tiny()))) == TINY
    assert arrays(read_model(write_keras(tmp_path / "a.h5", tiny(), PATHS))) == TINY


def test_the_weights_of_a_model_json_are_in_a_file_beside_it(tmp_path: Path) -> None:
    config = tmp_path / "model.json"
    config.write_text(json.dumps({**tiny(), "keras_version": "2.2.4", "backend": "tensorflow"}))
    weights = write_h5(tmp_path / "weights.h5", None, of_tiny(), group="", version=None)
    found = read_model(config, weights)
    assert (arrays(found), found.keras_version) == (TINY, "2.2.4")
    config.write_text(json.dumps(config.read_text()))  # json.dump(model.to_json(), file)
    assert arrays(read_model(config, weights)) == TINY
    whole = write_h5(tmp_path / "model.h5", sequential(dense()), of_tiny())
    assert arrays(read_model(config, whole)) == TINY


def test_the_nth_path_of_a_class_is_its_nth_layer(tmp_path: Path) -> None:
    model = sequential(
        embedding(),
        layer("Flatten"),
        dense(5, "first"),
        sequential(dense(6, "inner"), name="head"),
        dense(7, "second"),
        dense(1, "last"),
    )
    shapes = {
        "layers/embedding/vars/0": (20, 4),
        "layers/dense/vars/0": (40, 5),
        "layers/dense/vars/1": (5,),
        "layers/sequential/layers/dense/vars/0": (5, 6),
        "layers/sequential/layers/dense/vars/1": (6,),
        "layers/dense_2/vars/0": (6, 7),  # as Keras 2.12 counted: 0, 2, 4
        "layers/dense_2/vars/1": (7,),
        "layers/dense_10/vars/0": (7, 1),
        "layers/dense_10/vars/1": (1,),
    }
    paths = {place: numbers(*shape) for place, shape in shapes.items()}
    found = read_model(write_keras(tmp_path / "model.keras", model, paths))
    assert arrays(found)["head/inner"] == [(5, 6), (6,)]
    assert arrays(found)["second"] == [(6, 7), (7,)]
    assert arrays(found)["last"] == [(7, 1), (1,)]


@pytest.mark.parametrize("trained_first", [True, False])
def test_the_arrays_of_a_nested_model_come_in_either_order_of_keras_2(
    tmp_path: Path, trained_first: bool
) -> None:
    head = sequential(
        layer("BatchNormalization", "bn", axis=[1]), dense(4, "hidden"), dense(name="out"), name="h"
    )
    model = sequential(embedding(), layer("GlobalMaxPooling1D"), head)
    scales = [("gamma", numbers(4) + 1), ("beta", numbers(4) + 2)]
    moved = [("moving_mean", numbers(4) + 3), ("moving_variance", numbers(4) + 4)]
    kernels = [("kernel", numbers(4, 4)), ("bias", numbers(4)), *of_tiny(states=4)["dense"]]
    together = [*scales, *kernels, *moved] if trained_first else [*scales, *moved, *kernels]
    path = write_h5(
        tmp_path / "model.h5", model, {"embedding": of_tiny()["embedding"], "h": together}
    )
    normalization = read_model(path).layers[2]
    assert normalization.kind == "BatchNormalization"
    assert [float(array[0]) for array in normalization.weights] == [1.25, 2.25, 3.25, 4.25]


def test_a_shared_layer_has_the_same_arrays_both_times(tmp_path: Path) -> None:
    model = functional(
        [
            (embedding(), [["ids"], ["other"]]),
            (layer("Add"), ["embedding", ("embedding", 1, 0)]),
            (layer("GlobalMaxPooling1D", "max"), ["add"]),
            (dense(), ["max"]),
        ],
        "dense",
        inputs=("ids", "other"),
    )
    both = {"embedding": of_tiny()["embedding"], "dense": of_tiny(states=4)["dense"]}
    found = read_model(write_h5(tmp_path / "model.h5", model, both))
    assert arrays(found)["embedding"] == arrays(found)["embedding@2"] == [(20, 4)]


def gates(count: int, rows: int, units: int) -> list[Any]:
    return [numbers(rows, units) + gate for gate in range(count)]


@pytest.mark.parametrize(("kind", "count"), [("LSTM", 4), ("GRU", 3)])
@pytest.mark.parametrize("class_name", ["CuDNN{}", "{}"])
def test_the_arrays_of_cudnn_become_those_of_keras(
    tmp_path: Path, kind: str, count: int, class_name: str
) -> None:
    units, rows = 3, 4
    kernels, recurrents = gates(count, rows, units), gates(count, units, units)
    biases = numbers(2 * count * units)
    cudnn = [  # each gate's matrix transposed, laid out as if it were not
        ("kernel", np.hstack([k.T.reshape(rows, units) for k in kernels])),
        ("recurrent_kernel", np.hstack([k.T for k in recurrents])),
        ("bias", biases),
    ]
    lstm = layer(class_name.format(kind), "lstm", units=units)
    if kind == "GRU":
        lstm["config"]["reset_after"] = True
    path = write_h5(tmp_path / "model.h5", tiny(lstm), {**of_tiny(), "lstm": cudnn}, "2.2.4")
    kernel, recurrent, bias = read_model(path).layers[1].weights
    assert np.array_equal(kernel, np.hstack(kernels))
    assert np.array_equal(recurrent, np.hstack(recurrents))
    halves = biases.reshape(2, -1)
    assert np.array_equal(bias, halves.sum(axis=0) if kind == "LSTM" else halves)


def test_names_that_are_too_long_for_one_attribute_are_in_several(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "model.h5", tiny(), of_tiny())
    with h5py.File(path, "a") as file:
        weights = file["model_weights"]
        for group, name in ((weights, "layer_names"), (weights["lstm"], "weight_names")):
            names = list(group.attrs[name])
            del group.attrs[name]
            group.attrs[f"{name}0"], group.attrs[f"{name}1"] = names[:2], names[2:]
    assert arrays(read_model(path)) == TINY


def test_half_and_double_precision_become_single(tmp_path: Path) -> None:
    both = of_tiny()
    both["embedding"] = [("embeddings", numbers(20, 4).astype(np.float16))]
    both["dense"] = [(name, array.astype(np.float64)) for name, array in both["dense"]]
    found = read_model(write_h5(tmp_path / "model.h5", tiny(), both))
    assert {array.dtype for each in found.layers for array in each.weights} == {np.dtype("f4")}


def test_weights_that_gzip_has_packed_are_read(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "model.h5", tiny(), of_tiny())
    repacked(path, compression="gzip", shuffle=True)
    assert arrays(read_model(path)) == TINY


def repacked(path: Path, **how: Any) -> None:
    """Write the Embedding of a file again in another way."""
    with h5py.File(path, "a") as file:
        place = "model_weights/embedding/embedding/embeddings:0"
        values = file[place][()]
        del file[place]
        file.create_dataset(place, data=values, **how)


def relinked(path: Path, link: Any) -> Path:
    with h5py.File(path, "a") as file:
        place = "model_weights/embedding/embedding/embeddings:0"
        del file[place]
        file[place] = link
    return path


def plain(folder: Path, **config: Any) -> Path:
    return write_h5(folder / "model.h5", tiny(**config), of_tiny())


def bytes_at(folder: Path, data: bytes, name: str = "model.h5") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def sparse(folder: Path) -> Path:
    path = folder / "model.h5"
    with path.open("wb") as file:
        file.truncate(2 << 30)
    return path


def huge(folder: Path) -> Path:
    """Write a file that names an array of 4 TB, of which it holds nothing."""
    path = plain(folder)
    with h5py.File(path, "a") as file:
        place = "model_weights/embedding/embedding/embeddings:0"
        del file[place]
        file.create_dataset(place, shape=(1 << 40,), dtype="f4", chunks=(1 << 16,))
    return path


def packed(folder: Path) -> Path:
    """Write a model whose Embedding of 8 MB is packed to 8 KB."""
    zeros = np.zeros((500_000, 4), "f4")
    model = {**of_tiny(), "embedding": [("embeddings", zeros)]}
    path = write_h5(folder / "model.h5", tiny(ids=500_000), model)
    repacked(path, compression="gzip")
    return path


def external(folder: Path) -> Path:
    path = plain(folder)
    (folder / "secret").write_bytes(bytes(20 * 4 * 4))
    repacked(path, external=[(str(folder / "secret"), 0, 20 * 4 * 4)])
    return path


def virtual(folder: Path) -> Path:
    path = plain(folder)
    with h5py.File(path, "a") as file:
        place = "model_weights/embedding/embedding/embeddings:0"
        del file[place]
        sources = h5py.VirtualLayout((20, 4), "f4")
        sources[:] = h5py.VirtualSource(str(folder / "other.h5"), "x", (20, 4))
        file.create_virtual_dataset(place, sources)
    return path


def unusual_filter(folder: Path) -> Path:
    path = plain(folder)
    repacked(path, compression="lzf")
    return path


def strings(folder: Path) -> Path:
    path = plain(folder)
    with h5py.File(path, "a") as file:
        place = "model_weights/dense/dense/bias:0"
        del file[place]
        file[place] = "text"
    return path


def cyclic(folder: Path) -> Path:
    path = write_keras(folder / "model.keras", tiny(), PATHS)
    with zipfile.ZipFile(path) as archive:
        texts = {name: archive.read(name) for name in archive.namelist()}
    weights = bytes_at(folder, texts.pop("model.weights.h5"), "weights")
    with h5py.File(weights, "a") as file:
        file["layers/again"] = file["layers"]
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in texts.items():
            archive.writestr(name, text)
        archive.write(weights, "model.weights.h5")
    return path


def bomb(folder: Path) -> Path:
    path = folder / "model.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", b"")
        with archive.open("config.json", "w") as entry:
            for _ in range(65):
                entry.write(b"[" * (1 << 20))
    return path


def weights_bomb(folder: Path) -> Path:
    path = folder / "model.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", json.dumps(tiny()))
        archive.writestr("model.weights.h5", bytes(65 << 20))
    return path


def zipped(folder: Path, **texts: str) -> Path:
    path = folder / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in texts.items():
            archive.writestr(name, text)
    return path


def truncated(folder: Path) -> Path:
    path = plain(folder)
    path.write_bytes(path.read_bytes()[:-500])
    return path


def changed(folder: Path, unlike: bool = True, **others: Any) -> Path:
    """Write a file whose arrays of some layers are others than the layers need."""
    everything = {**of_tiny(), **others}
    kept = {name: value for name, value in everything.items() if value is not None}
    return write_h5(folder / "model.h5", tiny(), kept, "3.0.0", unlike=unlike)


def failed_save(folder: Path) -> Path:
    """Write what Keras 3.0 leaves of a Bidirectional: the layers after it are only named."""
    path = changed(folder)
    with h5py.File(path, "a") as file:
        del file["model_weights/embedding"]
    return path


def saved_model(folder: Path) -> Path:
    (folder / "saved_model.pb").write_bytes(b"\n")
    return folder


def unpacked(folder: Path) -> Path:
    for name in ("config.json", "metadata.json", "model.weights.h5"):
        (folder / name).write_text("{}")
    return folder


def fifo(folder: Path) -> Path:
    os.mkfifo(folder / "model.h5")
    return folder / "model.h5"


NOTHING: list[Any] = []
NAN = [("kernel", np.full((3, 1), np.nan, "f4")), ("bias", numbers(1))]
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
BIDIRECTIONAL = [("kernel", numbers(4, 12)), ("recurrent_kernel", numbers(3, 12))]

# How each file is made, and the words that the user is told.
BROKEN: dict[str, tuple[Callable[[Path], Path], str]] = {
    "absent": (lambda folder: folder / "none.h5", "No such file"),
    "empty": (lambda folder: bytes_at(folder, b""), "is empty: save the model again"),
    "lfs pointer": (lambda folder: bytes_at(folder, LFS), "git lfs pull"),
    "pickle": (lambda folder: bytes_at(folder, pickle.dumps([1])), "is a pickle"),
    "gzip": (lambda folder: bytes_at(folder, gzip.compress(b"x")), "unpack it with gunzip"),
    "html": (lambda folder: bytes_at(folder, b"<!DOCTYPE html>"), "failed download"),
    "yaml": (lambda folder: bytes_at(folder, b"backend: tf"), r"use model.to_json\(\)"),
    "tflite": (lambda folder: bytes_at(folder, b"\x1c\0\0\0TFL3"), "TensorFlow Lite"),
    "noise": (lambda folder: bytes_at(folder, bytes(range(256))), "is not a Keras model"),
    "sparse": (sparse, "is not a Keras model"),
    "fifo": (fifo, "is not a file"),
    "saved model": (saved_model, r"load_model\(.*\); model.save\(\"model.h5\"\)"),
    "unpacked": (unpacked, "zip -0 ../model.keras"),
    "folder": (lambda folder: folder, "is a folder"),
    "only layers": (lambda folder: bytes_at(folder, b"{}", "model.json"), "--weights"),
    "only weights": (
        lambda folder: write_h5(folder / "w.h5", None, of_tiny(), group=""),
        "weights without the layers",
    ),
    "another zip": (lambda folder: zipped(folder, data="x"), "ZIP file without config.json"),
    "no weights in zip": (
        lambda folder: zipped(folder, **{"config.json": "{}"}),
        "without model.weights.h5",
    ),
    "zip bomb": (bomb, "config.json of 68,157,440 bytes: at most"),
    "bomb of weights": (weights_bomb, "of 68,157,440 bytes, packed to next to none"),
    "broken zip": (lambda folder: bytes_at(folder, b"PK\x03\x04" + b"x" * 99), "is damaged"),
    "broken h5 in zip": (
        lambda folder: zipped(folder, **{"config.json": "{}", "model.weights.h5": "x"}),
        "is damaged",
    ),
    "truncated": (truncated, "is damaged .*truncated"),
    "deep": (
        lambda folder: write_h5(folder / "m.h5", "[" * 10_000, of_tiny()),
        "more than 200 levels deep",
    ),
    "huge": (huge, "names an array .*4,398,046,511,104 bytes, but does not hold them"),
    "packed": (packed, "of 8,000,000 bytes, packed to next to none"),
    "external": (external, "in other files"),
    "virtual": (virtual, "in other files"),
    "soft link": (
        lambda folder: relinked(plain(folder), h5py.SoftLink("/other")),
        "holds a SoftLink at",
    ),
    "external link": (
        lambda folder: relinked(plain(folder), h5py.ExternalLink("/etc/passwd", "/")),
        "holds a ExternalLink at",
    ),
    "filter": (unusual_filter, "unusual filter"),
    "strings": (strings, "not of numbers"),
    "circle": (cyclic, "that holds itself"),
    "never built": (
        lambda folder: write_h5(folder / "m.h5", tiny(), dict.fromkeys(of_tiny(), NOTHING)),
        "before it was built or trained",
    ),
    "no layers": (
        lambda folder: write_h5(folder / "m.h5", sequential(), {}),
        "has no layers: save it again when it is built",
    ),
    "lost embedding": (
        lambda folder: changed(folder, embedding=None),
        r"2 layers, and the model has 3 .*none for embedding.*Keras 3\.0 to 3\.2",
    ),
    "failed save": (failed_save, "'embedding', which it does not hold; .* as model.keras"),
    "array twice": (
        lambda folder: changed(folder, lstm=2 * of_tiny()["lstm"][:1], unlike=False),
        "'lstm' has two arrays of one name; Keras 3.0 to 3.2",
    ),
    "lost arrays": (
        lambda folder: changed(folder, lstm=BIDIRECTIONAL),
        r"layer 'lstm' needs the arrays kernel \(4, 12\), .* holds \(4, 12\), \(3, 12\);",
    ),
    "another size": (
        lambda folder: changed(folder, embedding=[("embeddings", numbers(30, 4))]),
        r"needs the arrays embeddings \(20, 4\), and the file holds \(30, 4\)",
    ),
    "another name": (
        lambda folder: changed(folder, dense=[("gamma", numbers(3, 1)), ("bias", numbers(1))]),
        "layer 'dense' needs the arrays",
    ),
    "not trained": (lambda folder: changed(folder, dense=NAN), "not all finite numbers"),
    "another layer": (
        lambda folder: changed(folder, other=[("kernel", numbers(2))]),
        "4 layers, and the model has 3 layers with weights .*also other",
    ),
    "missing path": (
        lambda folder: write_keras(
            folder / "m.keras", tiny(), {k: v for k, v in PATHS.items() if "dense" not in k}
        ),
        "weights for 0 layers of the class dense, and the model has 1",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_named_as_what_it_is(name: str, tmp_path: Path) -> None:
    make, words = BROKEN[name]
    path = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ExportError, match=words) as raised:
        read_model(path)
    message = str(raised.value)
    assert message.startswith((str(path), "the ", "layer "))
    assert "\n" not in message
    assert len(message) < 700
    assert sorted(tmp_path.rglob("*")) == before


def test_a_process_that_hdf5_ends_is_one_sentence(tmp_path: Path) -> None:
    path = plain(tmp_path)
    with ArrayFile(path) as file:
        (reader,) = (
            int(process.parent.name)
            for process in Path("/proc").glob("[0-9]*/cmdline")
            if bytes(path) in process.read_bytes()
        )
        os.kill(reader, signal.SIGSEGV)
        with pytest.raises(ExportError, match="cannot be read: HDF5 crashed on it, or needed more"):
            file.read([0])


def test_weights_are_not_given_twice(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"--weights is for model\.json"):
        read_model(plain(tmp_path), tmp_path / "model.h5")


def test_a_gru_without_reset_after_does_not_take_the_arrays_of_cudnn(tmp_path: Path) -> None:
    gru = recurrent("GRU", name="lstm")
    cudnn = [
        ("kernel", numbers(4, 9)),
        ("recurrent_kernel", numbers(3, 9)),
        ("bias", numbers(18)),
    ]
    path = write_h5(tmp_path / "model.h5", tiny(gru), {**of_tiny(), "lstm": cudnn}, "2.2.4")
    with pytest.raises(ExportError, match=r"bias \(9,\), and the file holds .*\(18,\)"):
        read_model(path)
