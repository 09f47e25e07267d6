"""Vocabulary and Embedding: each id that a text can be given must have a row in the model."""

import dataclasses
from collections.abc import Mapping

from sentido_export.errors import ExportError
from sentido_export.imported.vocabulary import TextOptions, Vocabulary

_FEW_ROWS, _SHARE = 1000, 2
"""Of so many rows, more than one in so many should be a word's."""


def check_rows(where: str, vocabulary: Vocabulary, rows: int) -> None:
    """Raise ExportError if a text can be given an id that the model's Embedding has no row for."""
    largest, limit = vocabulary.largest_id, vocabulary.options.num_words
    if largest < rows:
        return
    cut = f"num_words={limit}" if limit else "no num_words"
    raise ExportError(
        f"{where}: with {cut} its ids go up to {largest:,}, but the model's Embedding has"
        f" {rows:,} rows, ids 0 to {rows - 1:,}: is it another model's vocabulary? If the program"
        " that trained the model left out rarer words, give the number it used, such as"
        f" --num-words {rows}"
    )


def few_words(where: str, vocabulary: Vocabulary, rows: int) -> list[str]:
    """Return a sentence if most rows of the model's Embedding are those of no word."""
    largest = vocabulary.largest_id
    if rows < _FEW_ROWS or _SHARE * (largest + 1) >= rows:
        return []
    return [
        f"{where}: its ids go up to {largest:,}, but the model's Embedding has {rows:,} rows: is it"
        " another model's vocabulary, or cut by another num_words?"
    ]


def as_many_as_rows(
    where: str, options: TextOptions, word_index: Mapping[str, int], rows: int
) -> tuple[TextOptions, list[str]]:
    """Return the options of a Tokenizer without num_words, limited to the Embedding's rows.

    That gives the ids of the user's program for every text that Keras answers: on others it fails.
    """
    beyond = sum(id >= rows for id in word_index.values())
    if options.num_words or not beyond:
        return options, []
    why = (
        "input_dim must be the number of words + 1, and Keras fails on texts with the last word"
        if beyond == 1
        else "Keras fails on texts with the others. Is it this model's?"
    )
    note = (
        f"{where}: {len(word_index):,} words, but the model's Embedding has {rows:,} rows: it is"
        f" read as num_words={rows}, which makes {beyond:,} of the words out-of-vocabulary; {why}"
    )
    return dataclasses.replace(options, num_words=rows), [note]


def limited(
    options: TextOptions, word_index: Mapping[str, int], rows: int
) -> tuple[TextOptions, str]:
    """Return options whose `num_words` are the Embedding's rows, and the sentence that says so."""
    beyond = sum(id >= rows for id in word_index.values())
    note = (
        f"num_words was not given: it is {rows:,}, the rows of the model's Embedding, which makes"
        f" {beyond:,} of {len(word_index):,} words out-of-vocabulary"
    )
    return dataclasses.replace(options, num_words=rows), note
