"""Vocabulary and Embedding: each id that a text can be given must have a row in the model."""

import dataclasses
from collections.abc import Mapping

from sentido_export.errors import ExportError
from sentido_export.imported.vocabulary import TextOptions, Vocabulary


def check_rows(where: str, vocabulary: Vocabulary, rows: int) -> None:
    """Raise ExportError if a text can be given an id that the model's Embedding has no row for."""
    largest, limit = vocabulary.largest_id, vocabulary.options.num_words
    if largest < rows:
        return
    cut = f"num_words={limit}" if limit else "no num_words"
    if largest == rows and not limit:
        why = (
            "one too few: input_dim must be the number of words + 1. Keras fails on texts with this"
            f" word; to leave it out give --num-words {rows}"
        )
    else:
        why = (
            "is it another model's vocabulary? If the program that trained the model left out"
            f" rarer words, give the number it used, such as --num-words {rows}"
        )
    raise ExportError(
        f"{where}: with {cut} its ids go up to {largest:,}, but the model's Embedding has"
        f" {rows:,} rows, ids 0 to {rows - 1:,}: {why}"
    )


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
