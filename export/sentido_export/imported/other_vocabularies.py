"""The vocabularies that are easily mistaken for the right one, each with what would make it so.

Tried only where a check has failed, so that its message can name the mistake.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray
from sentido_bundle import Tokenizer

from sentido_export.imported.vocabulary import KERAS_FILTERS, Vocabulary

_WHITE_SPACE = "\t\n\r\f\v"
_SHIFTS = (1, -1, 2, 3, -3)
_IMDB_UNKNOWN = 5  # of programs that add 3 to the id of unknown words, too


def other_ids(
    vocabulary: Vocabulary, rows: int, texts: Sequence[str]
) -> Iterator[tuple[str, list[NDArray[np.int32]]]]:
    """Return the ids of texts by each other vocabulary, which a model of so many rows may have.

    Each comes with a clause that follows "its answers are those of a program that".
    """
    for what, other in other_vocabularies(vocabulary, rows):
        tokenizer = Tokenizer(other.words(), other.rules())
        yield what, [encoding.ids for encoding in tokenizer.encode_all(texts)]


def other_vocabularies(vocabulary: Vocabulary, rows: int) -> Iterator[tuple[str, Vocabulary]]:
    """Return vocabularies that differ in one setting, of those for imdb in up to three."""
    options = vocabulary.options
    for what, oov_id in _unknown(vocabulary):
        yield what, replace(vocabulary, oov_id=oov_id)
    yield (
        f"{'keeps' if options.lower else 'lowers'} upper case"
        f" ({'give' if options.lower else 'leave out'} --no-lower)",
        replace(vocabulary, options=replace(options, lower=not options.lower)),
    )
    for what, filters in (
        ("splits at white space only (give --filters $'\\t\\n\\r\\f\\v')", _WHITE_SPACE),
        ("separates words as Keras' Tokenizer does (leave out --filters)", KERAS_FILTERS),
    ):
        if filters != options.filters:
            yield what, replace(vocabulary, options=replace(options, filters=filters))
    for shift in _SHIFTS:
        yield (
            f"has every id {abs(shift)} {'higher' if shift > 0 else 'lower'} (its words begin at"
            " another id: see --first-id)",
            _shifted(vocabulary, shift, rows),
        )
    if vocabulary.start_id is not None:
        yield from _imdb(vocabulary)
    else:
        yield (
            "numbers words as Keras' imdb does (give --vocabulary keras-imdb)",
            replace(_shifted(vocabulary, 3, rows), start_id=1, oov_id=2),
        )


def _unknown(vocabulary: Vocabulary) -> Iterator[tuple[str, int | None]]:
    if vocabulary.oov_id is not None:
        yield "drops unknown words (leave out --oov-token)", None
    for id in (1, 2):
        if id != vocabulary.oov_id:
            yield f"gives unknown words the id {id} (name its word with --oov-token)", id


def _shifted(vocabulary: Vocabulary, shift: int, rows: int) -> Vocabulary:
    ids = {word: id + shift for word, id in vocabulary.ids.items() if 0 < id + shift < rows}
    oov_id = vocabulary.oov_id
    if oov_id is not None and vocabulary.options.oov_token in vocabulary.ids:
        oov_id = min(max(1, oov_id + shift), rows - 1)
    return replace(vocabulary, ids=ids, oov_id=oov_id)


def _imdb(vocabulary: Vocabulary) -> Iterator[tuple[str, Vocabulary]]:
    """Return what published programs do with the words of keras-imdb, and combinations of it."""
    starts = {"": vocabulary.start_id, "puts no id before texts": None}
    unknown = {
        "": vocabulary.oov_id,
        "adds 3 to the id of unknown words": _IMDB_UNKNOWN,
        "drops unknown words": None,
    }
    filters = {"": vocabulary.options.filters, "splits at white space only": _WHITE_SPACE}
    for start, oov, split in product(starts, unknown, filters):
        whole = " and ".join(filter(None, (start, oov, split)))
        if whole:
            yield (
                f"{whole} (write its ids to a --word-index: see docs/your-own-model.md)",
                replace(
                    vocabulary,
                    start_id=starts[start],
                    oov_id=unknown[oov],
                    options=replace(vocabulary.options, filters=filters[split]),
                ),
            )
