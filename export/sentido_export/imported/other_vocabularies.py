"""The vocabularies that are easily mistaken for the right one, each with what would make it so.

Tried only where a check has failed, so that its message can name the mistake: each setting alone,
then two at once. A single character more or less among the filters is tried alone.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product

from sentido_bundle import Tokenizer, TokenizerKind, TokenizerRules
from sentido_bundle.text_vectorization import PUNCTUATION

from sentido_export.imported.vocabulary import KERAS_FILTERS, Vocabulary

_WHITE_SPACE = "\t\n\r\f\v"
_FILTERS = (
    KERAS_FILTERS.removesuffix("\t\n"),
    PUNCTUATION,
    f"{PUNCTUATION}\t\n",
    *("".join(c for c in KERAS_FILTERS if c not in kept) for kept in ("<>", "@#", ".!?", "-_")),
)
"""What programs give as filters, beside none and those of Keras."""

_SHIFTS = (1, -1, 2, 3, -3)
_IMDB_UNKNOWN = 5  # of programs that add 3 to the id of unknown words, too
_NUM_WORDS = (
    *(1000, 2000, 3000, 5000, 8000, 10_000, 15_000, 20_000, 25_000, 30_000, 40_000, 50_000),
    *(500, 300, 200, 100),
)
"""What programs give as num_words, beside the number of rows; likely ones first."""


@dataclass(frozen=True)
class Change:
    """What another program does: a clause, and the vocabulary that it has then, if there is one."""

    what: str
    of: Callable[[Vocabulary], Vocabulary | None]


def other_ids(
    vocabulary: Vocabulary, rows: int, texts: Sequence[str]
) -> Iterator[tuple[str, list[list[int]]]]:
    """Return the ids of texts by each other vocabulary, which a model of so many rows may have.

    Each comes with a clause that follows "its answers are those of a program that".
    """
    split: dict[TokenizerRules, list[list[str]]] = {}
    for what, other in other_vocabularies(vocabulary, rows):
        rules = other.options.rules()
        if rules not in split:
            tokenizer = Tokenizer([None], rules)
            split[rules] = [tokenizer.words(text) for text in texts]
        ids = [_numbered(other, words) for words in split[rules]]
        if max((id for row in ids for id in row), default=0) < rows:
            yield what, ids


def _numbered(vocabulary: Vocabulary, words: Iterable[str]) -> list[int]:
    """Return the ids of words, as a Tokenizer gives them, without the cost of making one."""
    start = [] if vocabulary.start_id is None else [vocabulary.start_id]
    known = (vocabulary.ids.get(word, vocabulary.oov_id) for word in words)
    return [*start, *(id for id in known if id is not None)]


def other_vocabularies(vocabulary: Vocabulary, rows: int) -> Iterator[tuple[str, Vocabulary]]:
    """Return vocabularies that differ in one setting, then in two; of those for imdb in three."""
    settings = [
        list(_limits(vocabulary, rows)),
        list(_unknown(vocabulary)),
        list(_splits(vocabulary)),
        list(_cases(vocabulary)),
        list(_shifts(rows)),
    ]
    for change in (*(each for setting in settings for each in setting), *_filters(vocabulary)):
        yield from _changed(vocabulary, change)
    if vocabulary.start_id is not None:
        yield from _imdb(vocabulary)
    else:
        yield (
            "numbers words as Keras' imdb does (give --vocabulary keras-imdb)",
            replace(_shifted(vocabulary, 3, rows), start_id=1, oov_id=2),
        )
    for one, other in combinations(settings, 2):
        for pair in product(one, other):
            yield from _changed(vocabulary, *pair)


def _changed(vocabulary: Vocabulary, *changes: Change) -> Iterator[tuple[str, Vocabulary]]:
    found: Vocabulary | None = vocabulary
    for change in changes:
        found = found and change.of(found)
    if found is not None:
        yield " and ".join(change.what for change in changes), found


def _limits(vocabulary: Vocabulary, rows: int) -> Iterator[Change]:
    """Return other num_words, as far as the words that were left out are known."""
    own, most = vocabulary.options.num_words, max(vocabulary.index.values(), default=0)
    near = () if not own else (own + 1, own - 1)
    for limit in dict.fromkeys((rows, *_NUM_WORDS, rows - 1, *near)):
        if limit != own and 1 < limit <= min(rows, most):
            yield Change(f"has num_words={limit} (give --num-words {limit})", _limiting(limit))
    if own and own <= most:
        yield Change("has no num_words", _limiting(None))


def _limiting(limit: int | None) -> Callable[[Vocabulary], Vocabulary]:
    most = sys.maxsize if limit is None else limit

    def of(vocabulary: Vocabulary) -> Vocabulary:
        ids = {word: id for word, id in vocabulary.index.items() if 0 < id < most}
        return replace(vocabulary, ids=ids)

    return of


def _unknown(vocabulary: Vocabulary) -> Iterator[Change]:
    if vocabulary.oov_id is not None:
        yield Change("drops unknown words (leave out --oov-token)", _unknown_is(None))
    for id in (1, 2):
        if id != vocabulary.oov_id:
            what = f"gives unknown words the id {id} (name its word with --oov-token)"
            yield Change(what, _unknown_is(id))


def _unknown_is(id: int | None) -> Callable[[Vocabulary], Vocabulary]:
    return lambda vocabulary: replace(vocabulary, oov_id=id)


def _cases(vocabulary: Vocabulary) -> Iterator[Change]:
    lower = vocabulary.options.lower
    yield Change(
        f"{'keeps' if lower else 'lowers'} upper case"
        f" ({'give' if lower else 'leave out'} --no-lower)",
        lambda v: replace(v, options=replace(v.options, lower=not lower)),
    )


def _splits(vocabulary: Vocabulary) -> Iterator[Change]:
    keras, layer = TokenizerKind.KERAS, TokenizerKind.TEXT_VECTORIZATION
    own = (vocabulary.options.kind, vocabulary.options.filters)
    for what, kind, filters in (
        ("splits at white space only (give --filters $'\\t\\n\\r\\f\\v')", keras, _WHITE_SPACE),
        ("splits at blanks only (give --filters='')", keras, ""),
        (
            "separates words as Keras' Tokenizer does (leave out --filters)",
            keras,
            KERAS_FILTERS,
        ),
        (
            "splits texts as a TextVectorization does (give it: --tokenizer layer.keras)",
            layer,
            PUNCTUATION,
        ),
        ("keeps punctuation in words (standardize='lower')", layer, ""),
    ):
        if (kind, filters) != own and not (filters == "" and own[0] is not kind):
            yield Change(what, _splitting(kind, filters))


def _filters(vocabulary: Vocabulary) -> Iterator[Change]:
    """Return other filters of a Tokenizer: those of some programs, and each character by itself."""
    own = vocabulary.options.filters
    if vocabulary.options.kind is not TokenizerKind.KERAS:
        return
    others: dict[str, str] = {}
    for character in f"{PUNCTUATION}\t\n":
        if character in own:
            others[own.replace(character, "")] = f"does not separate words at {character!r}"
        else:
            others[own + character] = f"separates words at {character!r}, too"
    others |= {each: f"has filters={each!r}" for each in _FILTERS if each not in others}
    for filters, what in others.items():
        if filters != own:
            given = f"{what} (give --filters {_in_shell(filters)})"
            yield Change(given, _splitting(vocabulary.options.kind, filters))


def _in_shell(filters: str) -> str:
    """Return characters as they are written in a shell such as bash, which knows $'...'."""
    escaped = {"\\": "\\\\", "'": "\\'", "\t": "\\t", "\n": "\\n"}
    return f"$'{''.join(escaped.get(character, character) for character in filters)}'"


def _splitting(kind: TokenizerKind, filters: str) -> Callable[[Vocabulary], Vocabulary | None]:
    def of(vocabulary: Vocabulary) -> Vocabulary | None:
        options = vocabulary.options
        if kind is TokenizerKind.TEXT_VECTORIZATION and (
            vocabulary.start_id or options.char_level or options.split != " "
        ):
            return None
        return replace(vocabulary, options=replace(options, kind=kind, filters=filters))

    return of


def _shifts(rows: int) -> Iterator[Change]:
    for shift in _SHIFTS:
        yield Change(
            f"has every id {abs(shift)} {'higher' if shift > 0 else 'lower'} (its words begin at"
            " another id: see --first-id)",
            _shifting(shift, rows),
        )


def _shifting(shift: int, rows: int) -> Callable[[Vocabulary], Vocabulary]:
    return lambda vocabulary: _shifted(vocabulary, shift, rows)


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
