"""Reads the files of a bundle from disk, never more than the manifest says, and checks them.

Nothing is trusted: not the sizes, not the digests, not where a link leads.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sentido_bundle.errors import BundleError
from sentido_bundle.manifest import Manifest, parse_json

_MANIFEST_LIMIT = 1 << 20  # bytes; a manifest has a few thousand


def read_files(directory: Path) -> dict[str, bytes]:
    """Read the manifest and every file that it must list, by name. Raises BundleError."""
    data = _read_manifest(directory)
    manifest = Manifest.parse(data)
    files = {
        name: _read_file(directory, name, manifest.files[name].bytes)
        for name in manifest.file_names
    }
    return {"manifest.json": data, **files}


def check_digests(manifest: Manifest, files: Mapping[str, bytes]) -> None:
    """Raise BundleError unless every file has the size and the SHA-256 that the manifest says."""
    for name in manifest.file_names:
        if name not in files:
            raise BundleError(f"{name} is missing")
        data, facts = files[name], manifest.files[name]
        if len(data) != facts.bytes:
            raise BundleError(f"{name}: {len(data)} bytes, the manifest says {facts.bytes}")
        digest = hashlib.sha256(data).hexdigest()
        if digest != facts.sha256:
            raise BundleError(f"{name}: SHA-256 is {digest}, the manifest says {facts.sha256}")


def parse_vocabulary(data: bytes, manifest: Manifest) -> list[str]:
    """Read `vocabulary.json`: index = id. Raises BundleError."""
    words = parse_json("vocabulary.json", data)
    if not isinstance(words, list) or not all(type(word) is str for word in words):
        raise BundleError("vocabulary.json: an array of words is needed")
    if len(words) != manifest.dimensions.vocabulary:
        raise BundleError(
            f"vocabulary.json: {len(words)} words, the manifest says"
            f" {manifest.dimensions.vocabulary}"
        )
    if words[0] != "" or "" in words[1:]:
        raise BundleError('vocabulary.json: "" must stand at index 0, for padding, and only there')
    if len(set(words)) != len(words):
        raise BundleError("vocabulary.json: a word stands in it twice")
    oov = manifest.preprocessing.oov_token
    if oov is not None and oov not in words:
        raise BundleError(f"vocabulary.json: the oov_token {oov!r} is not in it")
    return words


def _read_manifest(directory: Path) -> bytes:
    if not directory.is_dir():
        raise BundleError("no such directory; a bundle is the folder that sentido-export wrote")
    with _open(directory, "manifest.json") as file:
        data: bytes = file.read(_MANIFEST_LIMIT + 1)
    if len(data) > _MANIFEST_LIMIT:
        raise BundleError(f"manifest.json: more than {_MANIFEST_LIMIT} bytes")
    return data


def _read_file(directory: Path, name: str, size: int) -> bytes:
    """Read a file that must have `size` bytes: never more than the manifest allows."""
    with _open(directory, name) as file:
        found = file.seek(0, 2)
        if found != size:
            raise BundleError(f"{name}: {found} bytes, the manifest says {size}")
        file.seek(0)
        data: bytes = file.read(size)
    return data


def _open(directory: Path, name: str) -> Any:
    path = directory / name
    led = Path(os.path.realpath(path))  # Path.resolve() raises RuntimeError for links in a circle
    if not led.is_relative_to(os.path.realpath(directory)):
        raise BundleError(f"{name}: leads out of the bundle's directory, to {led}")
    if not path.exists():
        raise BundleError(f"{name} is missing")
    if not path.is_file():
        raise BundleError(f"{name} is not a file")
    try:
        return path.open("rb")
    except OSError as error:
        raise BundleError(f"{name}: cannot be read: {error.strerror}") from error
