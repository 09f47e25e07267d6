"""The vocabulary of Keras' data set `imdb`, as `keras.datasets.imdb.load_data()` numbers words.

Each text begins with id 1; unknown words, and those whose id is `num_words` or more, become 2; the
ids of the word index are 3 more than they stand there (source: `keras.src.datasets.imdb`).
"""

import dataclasses
import hashlib
import os
import urllib.request
from pathlib import Path

from sentido_export.errors import ExportError
from sentido_export.imported.rows import limited
from sentido_export.imported.vocabulary import TextOptions, Vocabulary, vocabulary_of
from sentido_export.imported.word_index import read_words

ORIGIN = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/imdb_word_index.json"
MD5 = "bfafd718b763782e994055a2d397834f"
"""Where Keras downloads the word index, and the digest it checks."""

_START_ID, _OOV_ID, _INDEX_FROM = 1, 2, 3
_MOST_BYTES = 1 << 24
_SECONDS = 30.0


def read_keras_imdb(
    word_index: Path | None,
    options: TextOptions,
    rows: int,
    *,
    origin: str = ORIGIN,
    digest: str = MD5,
) -> Vocabulary:
    """Return the vocabulary of Keras' imdb, its words from a file or found as Keras finds them.

    Raises ExportError if `options` name what this vocabulary decides, or if there are no words.
    """
    if options.oov_token is not None:
        raise ExportError(
            "--vocabulary keras-imdb: unknown words become id 2; leave --oov-token out"
        )
    path = word_index or _cached(origin, digest)
    notes: list[str] = []
    if word_index is None and _md5(path.read_bytes()) != digest:
        notes.append(f"{path}: is not the file that Keras publishes; its words are taken")
    published = read_words(path, notes)
    if min(published.values(), default=1) < 1:
        raise ExportError(
            f"{path}: holds id 0, so that 3 was added to its ids already; give it as --word-index"
            " alone, with the --oov-token that it names, or give the file that Keras publishes"
        )
    words = {word: id + _INDEX_FROM for word, id in published.items()}
    if options.num_words is None:
        options, note = limited(options, words, rows)
        notes.append(f"keras-imdb: {note}")
    found = vocabulary_of(str(path), words, options, notes)
    return dataclasses.replace(found, start_id=_START_ID, oov_id=_OOV_ID)


def _cached(origin: str, digest: str) -> Path:
    """Return where Keras keeps the file, downloaded now if it is not there."""
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras").expanduser()
    path = home / "datasets" / "imdb_word_index.json"
    if path.is_file():
        return path
    try:
        data = _downloaded(origin)
        if _md5(data) == digest:
            _store(path, data)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise ExportError(
            f"{path}: does not exist, and {origin} cannot be downloaded to it ({reason}): put the"
            " file there, set KERAS_HOME to the folder that holds datasets/imdb_word_index.json,"
            " or give it with --word-index FILE"
        ) from error
    if _md5(data) != digest:
        raise ExportError(
            f"{origin}: what was downloaded is not the file that Keras publishes (its MD5 is"
            f" another one): give the file with --word-index FILE, or put it at {path}"
        )
    return path


def _downloaded(origin: str) -> bytes:
    with urllib.request.urlopen(origin, timeout=_SECONDS) as answer:
        data: bytes = answer.read(_MOST_BYTES + 1)
    return data


def _store(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_bytes(data)
    partial.replace(path)


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
