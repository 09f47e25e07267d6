"""Says what a model file is by its first bytes, and what to do with one that cannot be read."""

import stat
from pathlib import Path

from sentido_bundle.errors import reason

from sentido_export.errors import ExportError

HDF5, ZIP, JSON = "HDF5", "ZIP", "JSON"
_SAVE_AGAIN = (
    'load it where you trained it and save it as one file: model.save("model.keras"), or'
    ' model.save("model.h5") with Keras 2'
)
_KINDS = {
    b"\x89HDF\r\n\x1a\n": HDF5,
    b"PK\x03\x04": ZIP,
    b"{": JSON,
    b'"{': JSON,  # the text of model.to_json(), written by json.dump
}
_OTHERS = {
    b"version https://git-lfs": "is a Git LFS pointer, not the model: get it by git lfs pull",
    b"\x1f\x8b": "is packed by gzip: unpack it with gunzip, or tar -xzf for a .tar.gz",
    b"BZh": "is packed by bzip2: unpack it with bunzip2",
    b"\xfd7zXZ": "is packed by xz: unpack it with unxz",
    b"Rar!": "is a RAR archive: unpack it and give the model file in it",
    b"\x80": f"is a pickle, which would have to be run to be read: {_SAVE_AGAIN}",
    b"<": "is an HTML or XML page, probably of a failed download: get the model file again",
    b"class_name:": "is the YAML of a model, which Keras no longer reads: use model.to_json()",
    b"backend:": "is the YAML of a model, which Keras no longer reads: use model.to_json()",
}


def kind_of(path: Path) -> str:
    """Return HDF5, ZIP or JSON; raise ExportError for anything else, with what to do."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise ExportError(f"{path} {_folder(path)}")
        if not stat.S_ISREG(mode):
            raise ExportError(f"{path} is not a file: give the file of a Keras model")
        with path.open("rb") as file:
            head = file.read(512)
    except (OSError, ValueError) as error:
        said = reason(error) if isinstance(error, OSError) else error
        raise ExportError(f"{path} cannot be read: {said}") from error
    if not head:
        raise ExportError(f"{path} is empty: save the model again with model.save")
    for start, kind in _KINDS.items():
        if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(start):
            return kind
    raise ExportError(f"{path} {_other(head)}")


def begins_as(path: Path, *kinds: str) -> bool:
    """Return whether a file begins as one of these kinds; not where there is none to read."""
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError:
        return False
    return any(head.startswith(start) for start, kind in _KINDS.items() if kind in kinds)


def _other(head: bytes) -> str:
    if head[4:8] == b"TFL3":
        return f"is a TensorFlow Lite model, made from a Keras model: {_SAVE_AGAIN}"
    for start, meaning in _OTHERS.items():
        if head.startswith(start):
            return meaning
    return f"is not a Keras model (.keras, .h5 or model.json): {_SAVE_AGAIN}"


def _folder(path: Path) -> str:
    if (path / "saved_model.pb").is_file() or (path / "saved_model.pbtxt").is_file():
        return (
            "is a SavedModel, which holds a program instead of layers: save it as one file,"
            " where TensorFlow 2.15 or older is installed, with these two lines:"
            f" model = tf.keras.models.load_model({str(path)!r});"
            ' model.save("model.h5")'
        )
    if (path / "model.weights.h5").is_file() and (path / "config.json").is_file():
        return (
            "is the unpacked folder of a .keras file: pack it again, in this folder, with"
            " zip -0 ../model.keras config.json metadata.json model.weights.h5"
        )
    return "is a folder: give the file of a Keras model (.keras, .h5 or model.json)"
