"""Reads a `.keras` or HDF5 file for its parent process, which does not trust the file.

Run as a script by `arrays.py`. It limits its own memory and time, writes one line of JSON that
describes what the file holds, reads one line with the indices of the arrays that are wanted, and
writes those, float32, one after another. Imports nothing of this package: it must start quickly.
"""

import io
import json
import math
import resource
import sys
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, BinaryIO

MEMORY_BYTES = 8 << 30
CPU_SECONDS = 25
TEXT_BYTES = 64 << 20  # one configuration: an initializer can hold a whole Embedding
MOST_PACKED = 50  # times; Keras does not pack at all, and weights cannot be packed far
FREE_BYTES = 1 << 20  # of an array, however far it is packed: a bias can be all zeros
ASSETS = 20  # vocabularies of layers
H5_BYTES = 4 << 30  # the HDF5 file in a `.keras`: the weights, and twice as much of the optimizer
GROUPS, DEPTH = 20_000, 40
FILTERS = {1, 2, 3}  # gzip, shuffle, checksum: all that HDF5 itself brings without conditions
UNFINISHED = (  # by 3.0.5, 3.1.1 and 3.2.1; 3.3.3 writes them
    "Keras 3.0 to 3.2 fail to save a Bidirectional or a model in a model as .h5: save the model"
    " again as model.keras"
)
NOT_WEIGHTS = {"optimizer", "optimizer_weights", "metrics"}


class RefusedError(Exception):
    """What the file holds is not read. The message follows the file's name."""


def limit() -> None:
    """Limit what this process may take, before the file is looked at."""
    for kind, value in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        with suppress(ValueError, OSError):  # macOS does not limit memory
            resource.setrlimit(kind, (value, value))


def texts_and_h5(path: str) -> tuple[dict[str, str], str | BinaryIO]:
    """Return the texts of a `.keras` file and its HDF5 file; of an HDF5 file only itself."""
    if not zipfile.is_zipfile(path):
        return {}, path
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        sizes = {name: entry.file_size for name, entry in entries.items()}
        for name, most in (("config.json", TEXT_BYTES), ("model.weights.h5", H5_BYTES)):
            if name not in sizes:
                raise RefusedError(
                    f"is a ZIP file without {name}, so not a model that Keras saved: give the file"
                    ' that model.save("model.keras") wrote'
                )
            if sizes[name] > most:
                raise RefusedError(f"holds a {name} of {sizes[name]:,} bytes: at most {most:,}")
            if sizes[name] > max(TEXT_BYTES, MOST_PACKED * entries[name].compress_size):
                raise RefusedError(
                    f"holds a {name} of {sizes[name]:,} bytes, packed to next to none"
                )
        texts = {"model_config": _text(archive, "config.json")}
        if sizes.get("metadata.json", TEXT_BYTES) < TEXT_BYTES:
            texts["metadata"] = _text(archive, "metadata.json")
        return texts | vocabularies(archive), io.BytesIO(archive.read("model.weights.h5"))


def vocabularies(archive: zipfile.ZipFile) -> dict[str, str]:
    """Return the words that layers keep beside the configuration, by the names of their files."""
    found: dict[str, str] = {}
    for entry in archive.infolist():
        name = entry.filename
        if name.startswith("assets/") and name.endswith("/vocabulary.txt") and len(found) < ASSETS:
            if entry.file_size > TEXT_BYTES // 2:
                raise RefusedError(f"holds a vocabulary of {entry.file_size:,} bytes")
            found[name] = _text(archive, name)
    return found


def _text(archive: zipfile.ZipFile, name: str) -> str:
    try:
        return archive.read(name).decode()
    except UnicodeDecodeError as error:
        raise RefusedError(f"holds a {name} that is not UTF-8") from error


def attribute(item: Any, name: str) -> str | None:
    """Return an attribute that is a text, None where there is none."""
    if name not in item.attrs:
        return None
    if item.attrs.get_id(name).shape not in ((), None):
        raise RefusedError(f"has an attribute {name} that is not one text")
    value = item.attrs[name]
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    if len(text) > TEXT_BYTES:
        raise RefusedError(f"has an attribute {name} of {len(text):,} characters")
    return text


def names(group: Any, name: str) -> list[str]:
    """Return an attribute that is a list of names; a long one is saved in numbered pieces."""
    pieces = [name] if name in group.attrs else []
    while not pieces or (pieces[-1] != name and pieces[-1] in group.attrs):
        pieces.append(f"{name}{len(pieces)}")
    values = [value for piece in pieces if piece in group.attrs for value in group.attrs[piece]]
    if len(values) > GROUPS:
        raise RefusedError(f"names {len(values):,} {name}: at most {GROUPS:,}")
    return [v.decode(errors="replace") if isinstance(v, bytes) else str(v) for v in values]


def member(group: Any, path: str) -> Any:
    """Return what is at a path in a group, where only hard links lead to it."""
    import h5py

    for part in path.strip("/").split("/"):
        link = group.get(part, getlink=True) if isinstance(group, h5py.Group) else None
        if link is None:
            raise RefusedError(
                f"is incomplete: it names {path!r}, which it does not hold; {UNFINISHED}"
            )
        if not isinstance(link, h5py.HardLink):
            raise RefusedError(
                f"holds a {type(link).__name__} at {path!r}, which could lead out of the file:"
                " save the model again with model.save"
            )
        group = group[part]
    return group


def checked(dataset: Any, path: str) -> Any:
    """Return a data set whose bytes are all in the file, as plain numbers."""
    import h5py

    if not isinstance(dataset, h5py.Dataset):
        raise RefusedError(f"is damaged: {path!r} is not an array")
    layout = dataset.id.get_create_plist()
    if layout.get_external_count() or dataset.is_virtual:
        raise RefusedError(f"keeps the array {path!r} in other files: save the model again")
    filters = {layout.get_filter(index)[0] for index in range(layout.get_nfilters())}
    if not filters <= FILTERS:
        raise RefusedError(f"has packed the array {path!r} by an unusual filter of HDF5")
    if dataset.shape is None or dataset.dtype.kind not in "fiu":
        raise RefusedError(f"holds the array {path!r} of type {dataset.dtype}, not of numbers")
    size = math.prod(dataset.shape) * dataset.dtype.itemsize
    stored = dataset.id.get_storage_size()
    if filters and size > max(FREE_BYTES, MOST_PACKED * stored):
        raise RefusedError(f"holds the array {path!r} of {size:,} bytes, packed to next to none")
    if stored < (min(size, 1) if filters else size):
        raise RefusedError(f"names an array {path!r} of {size:,} bytes, but does not hold them")
    return dataset


def ordered(weights: Any) -> Iterator[tuple[str, str, Any]]:
    """Return layer, name and data set of an HDF5 model, in the order in which Keras reads them."""
    for layer in names(weights, "layer_names"):
        group = member(weights, layer)
        of_layer = names(group, "weight_names")
        if len(set(of_layer)) < len(of_layer):
            raise RefusedError(f"is incomplete: {layer!r} has two arrays of one name; {UNFINISHED}")
        for name in of_layer:
            yield layer, name, checked(member(group, name), f"{layer}/{name}")


def walked(root: Any) -> Iterator[tuple[str, str, Any]]:
    """Return path, "" and data set of all arrays of a `.keras` that can be weights."""
    import h5py

    rest, seen = [("", root, 0)], set()
    while rest:
        path, item, depth = rest.pop()
        if isinstance(item, h5py.Dataset):
            yield path.removeprefix("/"), "", checked(item, path)
            continue
        seen.add(h5py.h5o.get_info(item.id).addr)
        if depth > DEPTH or len(seen) + len(rest) > GROUPS:
            raise RefusedError("holds more groups in groups than any Keras model")
        for name in item:
            if depth or name not in NOT_WEIGHTS:
                inner = member(item, name)
                if h5py.h5o.get_info(inner.id).addr in seen:
                    raise RefusedError(f"holds a group {name!r} that holds itself")
                rest.append((f"{path}/{name}", inner, depth + 1))


def describe(file: Any, texts: dict[str, str]) -> tuple[dict[str, Any], list[Any]]:
    """Return what the parent needs to know, and the data sets that it can ask for."""
    for name in ("model_config", "training_config", "keras_version", "backend"):
        if name not in texts and (text := attribute(file, name)) is not None:
            texts[name] = text
    weights = member(file, "model_weights") if "model_weights" in file else file
    for name in ("keras_version", "backend"):
        if name not in texts and (text := attribute(weights, name)) is not None:
            texts[name] = text
    by_order = "layer_names" in weights.attrs or "layer_names0" in weights.attrs
    found = list(islice(ordered(weights) if by_order else walked(file), GROUPS + 1))
    if len(found) > GROUPS:
        raise RefusedError(f"names more than {GROUPS:,} arrays: no model has so many")
    arrays = [[layer, name, list(data.shape)] for layer, name, data in found]
    return {"texts": texts, "by_order": by_order, "arrays": arrays}, [data for *_, data in found]


def answer(path: str) -> None:
    """Describe the file, then write the arrays that are asked for."""
    import h5py
    import numpy as np

    texts, h5 = texts_and_h5(path)
    with h5py.File(h5, "r") as opened:
        description, datasets = describe(opened, texts)
        sys.stdout.write(json.dumps(description) + "\n")
        sys.stdout.flush()
        for index in json.loads(sys.stdin.readline() or "[]"):
            values = np.asarray(datasets[index][()], "<f4", order="C")
            sys.stdout.buffer.write(values.tobytes())
        sys.stdout.flush()


def main(path: str) -> None:
    """Read one file; what is wrong with it is the one line of the answer."""
    limit()
    try:
        answer(path)
    except RefusedError as error:
        sys.stdout.write(json.dumps({"error": str(error)}) + "\n")
    except MemoryError:
        sys.stdout.write(json.dumps({"error": "needs more memory than any model: it is damaged"}))
    except Exception as error:  # by whatever HDF5, ZIP or text is broken
        reason = " ".join(str(error).split())[:200]
        sys.stdout.write(json.dumps({"error": f"is damaged ({reason}): get it again"}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
