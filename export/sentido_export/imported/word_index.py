"""Reads words and ids from a word index or a list of words, for programs without a `Tokenizer`.

A word index is what `json.dump(tokenizer.word_index, file)` wrote, or the same pickled. A list has
one word per line, or is a JSON list as a TextVectorization's `get_vocabulary()` returns it.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sentido_bundle import TokenizerKind
from sentido_bundle.text_vectorization import PUNCTUATION

from sentido_export.errors import ExportError
from sentido_export.imported.architecture import OOV_TOKEN
from sentido_export.imported.contents import read_contents
from sentido_export.imported.keras_tokenizer import checked_words, is_json, read_json
from sentido_export.imported.pickle_reader import read_pickle
from sentido_export.imported.rows import limited
from sentido_export.imported.vocabulary import TextOptions, Vocabulary, vocabulary_of

_SHOWN_SHARE = 0.02
"""From this share on the words that no text can hold are worth a sentence."""


def read_word_index(path: Path, options: TextOptions, rows: int) -> Vocabulary:
    """Read a word index. Without `num_words` the model's rows are taken. Raises ExportError."""
    where, notes = str(path), list[str]()
    words = read_words(path, notes)
    if options.num_words is None:
        options, note = limited(options, words, rows)
        notes.append(f"{where}: {note}")
    return vocabulary_of(where, words, options, [*notes, *_impossible(where, words, options)])


def read_words(path: Path, notes: list[str]) -> dict[str, int]:
    """Read the words and ids of a word index in JSON or pickled. Raises ExportError."""
    data, where = read_contents(path), str(path)
    value = read_json(where, data) if is_json(data) else read_pickle(data, where)[0]
    if not isinstance(value, Mapping):
        raise ExportError(
            f"{where}: holds {_shown(value)}, not words and their ids: a Tokenizer is given with"
            " --tokenizer, a list of words with --vocabulary"
        )
    if isinstance(value.get("config"), dict) or "word_counts" in value:
        raise ExportError(f"{where}: is a Tokenizer: give it with --tokenizer")
    return checked_words(where, _turned(where, _unwrapped(where, value, notes), notes), notes)


def read_list(path: Path, options: TextOptions, first_id: int | None) -> Vocabulary:
    """Read a list of words: lines count from id 1, a JSON list from id 0. Raises ExportError."""
    where, notes = str(path), list[str]()
    items = _items(where, read_contents(path))
    is_lines = isinstance(items, str)
    lines = _lines(items) if isinstance(items, str) else items
    first = first_id if first_id is not None else int(is_lines)
    if is_lines and first_id is None and lines[0] == "":
        raise ExportError(
            f"{where}: its first line is empty: if that is padding give --first-id 0, else"
            " --first-id 1"
        )
    if first == 0 and options.oov_token is None and lines[:2] == ["", OOV_TOKEN]:
        options = dataclasses.replace(options, oov_token=OOV_TOKEN)
        how = "as the other options say"
        if options == TextOptions(oov_token=OOV_TOKEN):
            kind = TokenizerKind.TEXT_VECTORIZATION
            options = dataclasses.replace(options, kind=kind, filters=PUNCTUATION)
            how = "as that layer does by default: A to Z in lower case, punctuation removed"
        notes.append(
            f"{where}: begins with padding and [UNK], as the words of a TextVectorization do: texts"
            f" are split {how} (with --oov-token '[UNK]' as Keras' Tokenizer does)"
        )
    words = _numbered(where, lines, first)
    return vocabulary_of(where, words, options, [*notes, *_impossible(where, words, options)])


def listed_words(path: Path) -> list[Any]:
    """Return the items of a JSON list or the lines of a text. Raises ExportError."""
    items = _items(str(path), read_contents(path))
    return _lines(items) if isinstance(items, str) else items


def _items(where: str, data: bytes) -> str | list[Any]:
    """Return the text of a file of lines, or the items of a list."""
    if data[:1] == b"\x80":  # a pickle of the protocol 2 or later
        value = read_pickle(data, where)[0]
    elif where.endswith(".json") or (is_json(data) and data.rstrip()[-1:] in b"]}"):
        value = read_json(where, data)
    else:
        return _text(where, data)
    if not isinstance(value, list | tuple):
        what = "a Tokenizer is given with --tokenizer, words with ids with --word-index"
        raise ExportError(f"{where}: holds {_shown(value)}, not a list of words: {what}")
    return list(value)


def _text(where: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ExportError(f"{where}: is not UTF-8 at byte {error.start:,}: save it so") from error


def _lines(text: str) -> list[str]:
    lines = text.split("\n")
    return [line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1])]


def _numbered(where: str, items: Sequence[Any], first: int) -> dict[str, int]:
    """Return the words with their ids; an empty item is an id without a word."""
    words: dict[str, int] = {}
    for id, word in enumerate(items, first):
        if not isinstance(word, str):
            raise ExportError(f"{where}: item {id - first} is {word!r:.60}, a word is needed")
        if word in words:
            raise ExportError(
                f"{where}: {word!r:.60} is there twice, for the ids {words[word]} and {id}: which"
                " of them the model learned is not known; give the list that it was trained with"
            )
        if word:
            words[word] = id
    return words


def _unwrapped(where: str, value: Mapping[Any, Any], notes: list[str]) -> Mapping[Any, Any]:
    """Return the one dict of words and ids that stands among other settings."""
    inner = {k: v for k, v in value.items() if isinstance(v, Mapping) and _is_index(v)}
    if len(inner) != 1 or _is_index(value):
        return value
    ((name, words),) = inner.items()
    notes.append(f"{where}: the words and ids of its {name!r:.60} are taken, nothing else")
    return words


def _is_index(value: Mapping[Any, Any]) -> bool:
    return bool(value) and all(type(id) is int for id in value.values())


def _turned(where: str, value: Mapping[Any, Any], notes: list[str]) -> Mapping[Any, Any]:
    """Turn an `index_word`, from ids to words, into the word index it stands for."""
    if not value or not all(
        isinstance(word, str) and (type(id) is int or str(id).isdecimal())
        for id, word in value.items()
    ):
        return value
    notes.append(f"{where}: holds a word for each id (an index_word): it is turned around")
    return {word: int(id) for id, word in value.items()}


def _impossible(where: str, words: Mapping[str, int], options: TextOptions) -> list[str]:
    lost = [word for word in words if not options.may_give(word)]
    if len(lost) <= max(10, _SHOWN_SHARE * len(words)):
        return []
    return [
        f"{where}: {len(lost):,} of {len(words):,} words, such as {lost[0]!r:.40}, are in no text"
        f" with lower={options.lower}, char_level={options.char_level} and these filters: are the"
        " settings those of the program that trained the model? (--no-lower, --filters,"
        " --char-level)"
    ]


def _shown(value: Any) -> str:
    return f"a {type(value).__name__}"
