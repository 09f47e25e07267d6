"""Reads the files of a bundle from disk, never more than the manifest says, and checks them.

Nothing is trusted: not the sizes, not the digests, not where a link leads.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from sentido_bundle import bounds
from sentido_bundle.errors import BundleError, quoted, reason
from sentido_bundle.manifest import Manifest
from sentido_bundle.strict_json import WORD, parse_array

_PIECE_BYTES = 1 << 16  # of the vocabulary that is parsed at once; over those of the longest word


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


def parse_vocabulary(data: bytes, manifest: Manifest) -> list[str | None]:
    """Read `vocabulary.json`: index = id, None for one without a word. Raises BundleError."""
    words: list[str | None] = []
    distinct: set[str] = set()
    wanted, count = manifest.vocabulary_size, 0
    for piece in parse_array("vocabulary.json", data, WORD, "words", _PIECE_BYTES):
        known = [word for word in piece if word is not None]
        check_word_lengths(known)
        words += piece
        distinct.update(known)
        count += len(known)
        if len(words) > bounds.VOCABULARY:
            raise BundleError(f"vocabulary.json: has over {bounds.VOCABULARY:,} words")
    if len(words) != wanted:
        raise BundleError(f"vocabulary.json: {len(words)} words, the manifest says {wanted}")
    if words[0] is not None:
        raise BundleError("vocabulary.json: null must stand at index 0, which is padding")
    if len(distinct) != count:
        raise BundleError("vocabulary.json: a word stands in it twice")
    oov = manifest.tokenizer.oov_token
    if oov is not None and oov not in distinct:
        raise BundleError(f"vocabulary.json: the oov_token {quoted(oov)} is not in it")
    return words


def check_word_lengths(words: Iterable[str]) -> None:
    """Raise BundleError if a word is longer than one of a bundle may be."""
    longest = max(words, key=len, default="")
    if len(longest) > bounds.WORD_CHARACTERS:
        raise BundleError(
            f"vocabulary.json: the word {quoted(longest)} has {len(longest):,} characters, at most"
            f" {bounds.WORD_CHARACTERS:,}"
        )


def _read_manifest(directory: Path) -> bytes:
    if not directory.is_dir():
        raise BundleError("no such directory; a bundle is the folder that sentido-export wrote")
    with _open(directory, "manifest.json") as file:
        return file.read(bounds.MANIFEST_BYTES + 1)  # Manifest.parse refuses one that is longer


def _read_file(directory: Path, name: str, size: int) -> bytes:
    """Read a file that must have `size` bytes: never more than the manifest allows."""
    with _open(directory, name) as file:
        found = os.fstat(file.fileno()).st_size
        if found != size:
            raise BundleError(f"{name}: {found} bytes, the manifest says {size}")
        return file.read(size)


def _open(directory: Path, name: str) -> BinaryIO:
    """Open a regular file of the bundle. Raises BundleError for anything else.

    A link may lead to another file in the directory. The path is resolved once and then opened
    step by step, without following links, so that nothing can be put in its place meanwhile.
    Opening does not wait, as that of a FIFO would for somebody who writes.
    """
    root = os.path.realpath(directory)
    path = os.path.realpath(directory / name)  # Path.resolve() raises RuntimeError for circles
    if os.path.commonpath([root, path]) != root:
        raise BundleError(f"{name}: leads out of the bundle's directory, to {quoted(path)}")
    try:
        descriptor = _descriptor(root, os.path.relpath(path, root).split(os.sep))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BundleError(f"{name} is missing") from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise BundleError(f"{name} is missing") from error
        raise BundleError(f"{name}: cannot be read: {reason(error)}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BundleError(f"{name} is not a regular file")
    return open(descriptor, "rb")


def _descriptor(root: str, steps: Sequence[str]) -> int:
    """Open `steps[-1]`, beneath `root`, in the folders that the steps before it name."""
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    for step in steps:
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW
        try:
            opened = os.open(step, flags, dir_fd=folder)
        finally:
            os.close(folder)
        folder = opened
    return folder
