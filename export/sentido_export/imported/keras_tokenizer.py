"""Reads Keras' `Tokenizer` as people save it: pickled, by joblib, or as JSON.

The attributes that change ids are checked one by one; what else a Tokenizer counts is passed over.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sentido_bundle import bounds

from sentido_export.errors import ExportError
from sentido_export.imported.contents import read_contents
from sentido_export.imported.pickle_machine import PickledTokenizer
from sentido_export.imported.pickle_reader import contained, read_pickle
from sentido_export.imported.rows import as_many_as_rows
from sentido_export.imported.vocabulary import TextOptions, Vocabulary, vocabulary_of

_NESTED = ("word_counts", "word_docs", "index_docs", "index_word", "word_index")


def read_tokenizer(path: Path, num_words: int | None = None, rows: int | None = None) -> Vocabulary:
    """Read a Tokenizer. `num_words` takes the place of its own. Raises ExportError.

    `rows`: those of the model's Embedding, to which a Tokenizer without num_words is limited.
    """
    data, where = read_contents(path), str(path)
    notes: list[str] = []
    if is_json(data):
        state = _config(where, read_json(where, data))
    else:
        value, rest = read_pickle(data, where)
        state = _state(where, value, notes)
        if rest:
            notes.append(f"{where}: {rest:,} bytes behind the first pickle are not read")
    options = _options(where, state)
    if num_words is not None:
        notes.append(
            f"{where}: --num-words {num_words} takes the place of its num_words,"
            f" {options.num_words}"
        )
        options = dataclasses.replace(options, num_words=num_words)
    word_index = checked_words(where, state.get("word_index", {}), notes)
    if rows is not None:
        options, more = as_many_as_rows(where, options, word_index, rows)
        notes += more
    return vocabulary_of(where, word_index, options, notes)


def is_json(data: bytes) -> bool:
    """Whether a file is JSON rather than a pickle, which cannot begin so."""
    return data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[", b'"')


def read_json(where: str, data: bytes) -> Any:
    """Parse JSON; a string that is JSON itself, from dumping twice, is parsed again."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ExportError(f"{where}: is not UTF-8 at byte {error.start:,}: save it so") from error
    value = _parsed(where, text)
    for _ in range(2):
        if isinstance(value, str):
            value = _parsed(where, value)
    return value


def _parsed(where: str, text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ExportError(f"{where}: is JSON nested too deeply to be what is needed") from error
    except ValueError as error:
        raise ExportError(f"{where}: is not valid JSON: {error}: save it again") from error


def checked_words(where: str, value: Any, notes: list[str]) -> dict[str, int]:
    """Return a word index whose words are text and whose ids are whole numbers.

    Words that no text can hold are left out: byte strings that are not UTF-8, numbers, None.
    """
    if not isinstance(value, Mapping):
        raise ExportError(f"{where}: its word_index is not a dict of words and ids")
    words: dict[str, int] = {}
    for word, id in value.items():
        if type(id) is not int or abs(id) > bounds.NUM_WORDS:
            raise ExportError(
                f"{where}: the word {word!r:.60} has {id!r:.40} for an id, a whole number is needed"
            )
        if isinstance(word, str):
            words[word] = id
    if len(words) < len(value):
        notes.append(
            f"{where}: {len(value) - len(words):,} of its words are not text; no text can hold"
            " them, and they are left out"
        )
    return words


def _config(where: str, value: Any) -> Mapping[str, Any]:
    """Return the attributes that stand in what `Tokenizer.to_json()` or `get_config()` returned."""
    if not isinstance(value, dict):
        raise ExportError(
            f"{where}: holds no Tokenizer: tokenizer.to_json() gives what is needed; a list of"
            " words is given with --vocabulary"
        )
    config = value.get("config", value)
    _refuse_vectorization(where, config)
    if isinstance(value.get("model"), dict):
        raise ExportError(
            f"{where}: is a tokenizer of Hugging Face, not of Keras: its models cannot be exported"
        )
    if not isinstance(config, dict) or "word_index" not in config:
        if value and all(type(id) is int for id in value.values()):
            raise ExportError(
                f"{where}: holds words and ids, no Tokenizer: give it with --word-index"
            )
        named = value.get("class_name", "no Tokenizer")
        raise ExportError(
            f"{where}: holds {named!s:.60}, not what Keras' tokenizer.to_json() returns: save that"
        )
    state = dict(config)
    for name in _NESTED:
        if isinstance(state.get(name), str):
            state[name] = _parsed(f"{where}: its {name}", state[name])
    return state


def _state(where: str, value: Any, notes: list[str]) -> Mapping[str, Any]:
    """Return the attributes of the one Tokenizer that a pickle holds."""
    found = list(_tokenizers(value, set()))
    if len(found) == 1:
        if found[0] is not value:
            kind = type(value).__name__
            notes.append(f"{where}: is a {kind}: the Tokenizer in it is taken, nothing else")
        return found[0].state
    if found:
        raise ExportError(
            f"{where}: holds {len(found)} Tokenizers: save the one of this model alone, with"
            " tokenizer.to_json()"
        )
    if isinstance(value, dict):
        _refuse_vectorization(where, value.get("config", value))
    if isinstance(value, dict) and value and all(type(id) is int for id in value.values()):
        raise ExportError(f"{where}: holds words and ids, no Tokenizer: give it with --word-index")
    if isinstance(value, str) and is_json(value.encode("utf-8", "replace")):
        return _config(where, _parsed(where, value))
    raise ExportError(
        f"{where}: holds a {type(value).__name__}, no Tokenizer: save it with tokenizer.to_json()"
    )


def _refuse_vectorization(where: str, config: Any) -> None:
    """Raise ExportError for the settings of a TextVectorization, as get_config() returns them."""
    if isinstance(config, Mapping) and {"standardize", "output_mode"} <= config.keys():
        raise ExportError(
            f"{where}: holds the settings of a TextVectorization, not the layer: where it was made,"
            ' save it by keras.Sequential([keras.Input((1,), dtype="string"), layer])'
            '.save("layer.keras"), and give that'
        )


def _tokenizers(value: Any, seen: set[int]) -> Iterator[PickledTokenizer]:
    if isinstance(value, PickledTokenizer):
        yield value
    elif id(value) not in seen:
        seen.add(id(value))
        for item in contained(value):
            if isinstance(item, dict | list | tuple | PickledTokenizer):
                yield from _tokenizers(item, seen)


def _options(where: str, state: Mapping[str, Any]) -> TextOptions:
    if (analyzer := state.get("analyzer")) is not None:
        raise ExportError(
            f"{where}: has an analyzer, {analyzer!r:.60}, a function that cannot be exported: apply"
            " it before the texts are sent, and save a Tokenizer without it"
        )
    defaults = TextOptions()
    limit = state.get("num_words", state.get("nb_words"))  # nb_words: Keras 1
    if isinstance(limit, float) and limit.is_integer():
        limit = int(limit)
    filters = state.get("filters", defaults.filters)
    if isinstance(filters, list | tuple) and all(isinstance(c, str) for c in filters):
        filters = "".join(filters)
    char_level, split = state.get("char_level", False), state.get("split", defaults.split)
    if char_level:  # neither is used then, and people leave them empty
        filters, split = filters or "", split or defaults.split
    options = TextOptions(
        num_words=limit,
        filters=filters,
        lower=state.get("lower", defaults.lower),
        split=split,
        char_level=char_level,
        oov_token=state.get("oov_token"),
    )
    return _checked(where, options)


def _checked(where: str, options: TextOptions) -> TextOptions:
    for name, kinds, what in (
        ("num_words", int | None, "a whole number or None"),
        ("filters", str, "a string"),
        ("lower", int | None, "true or false"),
        ("split", str, "a string"),
        ("char_level", int | None, "true or false"),
        ("oov_token", str | None, "a string or None"),
    ):
        value = getattr(options, name)
        if not isinstance(value, kinds):
            raise ExportError(f"{where}: its {name} is {value!r:.60}, {what} is needed")
    if options.split == "":
        raise ExportError(f"{where}: its split is empty, on which no text can be split")
    return dataclasses.replace(
        options, lower=bool(options.lower), char_level=bool(options.char_level)
    )
