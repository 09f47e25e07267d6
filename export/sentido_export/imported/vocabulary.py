"""What words become in the user's program: which ids, by which rules, and what unknown ones become.

Whoever reads a file of words returns a `Vocabulary`. All of them end in `vocabulary_of`, which
follows Keras' `Tokenizer.texts_to_sequences` (source: `keras.src.legacy.preprocessing.text`) to the
letter, also where a word index was changed by hand.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from sentido_bundle import bounds
from sentido_bundle.fields import is_utf8
from sentido_bundle.sections import TokenizerKind, TokenizerRules
from sentido_bundle.text_vectorization import WHITE_SPACE, lowered

from sentido_export.errors import ExportError

KERAS_FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
"""The default of Keras' Tokenizer."""


@dataclass(frozen=True)
class TextOptions:
    """The arguments of Keras' `Tokenizer`, with its defaults; or what `TextVectorization` does."""

    num_words: int | None = None
    filters: str = KERAS_FILTERS
    lower: bool = True
    split: str = " "
    char_level: bool = False
    oov_token: str | None = None
    kind: TokenizerKind = TokenizerKind.KERAS

    def rules(self) -> TokenizerRules:
        """Return how texts are split, with no words."""
        return TokenizerRules(
            kind=self.kind,
            lower=self.lower,
            filters=self.filters,
            split=self.split,
            num_words=None,
            oov_token=None,
            char_level=self.char_level,
        )

    def may_give(self, word: str) -> bool:
        """Whether a text can hold this word after these rules have been applied."""
        if self.kind is TokenizerKind.TEXT_VECTORIZATION:
            is_lower = not self.lower or word == lowered(word)
            return word != "" and is_lower and not {*self.filters, *WHITE_SPACE} & {*word}
        if self.lower and word != word.lower():
            return False
        if self.char_level:
            return len(word) == 1
        apart = {*self.filters} - {*self.split}
        return word != "" and self.split not in word and not apart & {*word}


@dataclass(frozen=True)
class Vocabulary:
    """Words with their ids, each 1 or more and no two the same, and the rules that give words.

    A word that is not among them becomes `oov_id`, or is dropped where that is None. `start_id`
    stands before the first word of each text. `notes` are sentences that the user must read.
    `index` are all words that were given, also those that `num_words` leaves out.
    """

    ids: Mapping[str, int]
    options: TextOptions
    oov_id: int | None
    start_id: int | None = None
    notes: tuple[str, ...] = ()
    index: Mapping[str, int] = field(default_factory=dict, repr=False)

    @property
    def largest_id(self) -> int:
        """The largest id that a text can be given."""
        possible = (id for word, id in self.ids.items() if self.options.may_give(word))
        return max([*possible, self.oov_id or 0, self.start_id or 0])

    def words(self) -> list[str | None]:
        """Return the word of each id, None for an id without one, as `vocabulary.json` holds them.

        The word of `oov_id` is the options' `oov_token`, which is "" where it has no name.
        """
        words: list[str | None] = [None] * (self.largest_id + 1)
        for word, id in self.ids.items():
            if id < len(words):
                words[id] = word
        if self.oov_id is not None:
            words[self.oov_id] = self.options.oov_token or ""
        return words

    def rules(self) -> TokenizerRules:
        """Return what the manifest of a bundle says of this vocabulary."""
        options = self.options
        is_whole = not options.num_words or self.largest_id >= options.num_words
        return replace(
            options.rules(),
            num_words=None if is_whole else options.num_words,
            oov_token=None if self.oov_id is None else options.oov_token or "",
            start_id=self.start_id,
        )


def vocabulary_of(
    where: str, word_index: Mapping[str, int], options: TextOptions, notes: Iterable[str] = ()
) -> Vocabulary:
    """Return what Keras' `Tokenizer` makes of a word index and its options.

    Words whose id is `num_words` or more are left out. Raises ExportError that begins with `where`
    for a word index that cannot be meant: empty, with a word for padding, two words for one id.
    """
    if not word_index:
        raise ExportError(
            f"{where}: holds no words: it was saved before fit_on_texts was called; save it again"
            " from the program that trained the model"
        )
    _check_options(where, options)
    oov_id = _oov_id(where, word_index, options.oov_token)
    ids = {
        word: id
        for word, id in word_index.items()
        if (not options.num_words or id < options.num_words)
        and (id != oov_id or word == options.oov_token)
    }
    kept = _distinct(where, ids, options)
    if not ids:
        raise ExportError(
            f"{where}: no text can have a word of it: all its {len(word_index):,} words have ids of"
            f" num_words ({options.num_words}) or more"
        )
    if not any(options.may_give(word) for word in kept):
        raise ExportError(
            f"{where}: no text can have a word of it, such as {next(iter(ids))!r:.60}, with"
            f" lower={options.lower}, char_level={options.char_level} and these filters: are these"
            " the settings of the program that trained the model, and one word per line?"
        )
    return Vocabulary(kept, options, oov_id, None, tuple(notes), word_index)


def _check_options(where: str, options: TextOptions) -> None:
    for name, value, most in (
        ("split", options.split, bounds.SPLIT_CHARACTERS),
        ("filters", options.filters, bounds.FILTERS_CHARACTERS),
        ("oov_token", options.oov_token or "", bounds.WORD_CHARACTERS),
    ):
        if len(value) > most:
            raise ExportError(f"{where}: {name} has {len(value):,} characters, at most {most:,}")
        if not is_utf8(value):
            raise ExportError(f"{where}: {name} holds half a character (a lone surrogate)")
    if options.num_words is not None and not 0 <= options.num_words <= bounds.NUM_WORDS:
        raise ExportError(
            f"{where}: num_words is {options.num_words}, 0 (all) to {bounds.NUM_WORDS} is possible"
        )


def _oov_id(where: str, word_index: Mapping[str, int], token: str | None) -> int | None:
    if token is None:
        return None
    if (id := word_index.get(token)) is None:
        raise ExportError(
            f"{where}: its oov_token {token!r:.60} has no id among its words, and Keras fails on"
            " the first unknown word: name the one that the model was trained with, or add it to a"
            " list of words at its id, which is 1 in most programs"
        )
    if id < 1:
        raise ExportError(f"{where}: its oov_token {token!r:.60} has the id {id}, that of padding")
    return id


def _distinct(where: str, ids: Mapping[str, int], options: TextOptions) -> dict[str, int]:
    """Return the words that may be kept: what no text can hold gives way where it is in the way."""
    words: dict[int, str] = {}
    for word, id in ids.items():
        is_possible = options.may_give(word)
        if id < 1:
            if is_possible:
                raise ExportError(
                    f"{where}: the word {word!r:.60} has the id {id}, but 0 is padding and words"
                    " begin at 1: if ids are counted from 0 in a list, see --first-id; a model"
                    " that reads 0 as a word cannot be exported"
                )
            continue
        if is_possible and len(word) > bounds.WORD_CHARACTERS:
            raise ExportError(
                f"{where}: the word {word!r:.60}... has {len(word):,} characters, at most"
                f" {bounds.WORD_CHARACTERS:,} are possible: leave it out with --num-words, or"
                " train without it"
            )
        other = words.get(id)
        if other is not None and is_possible and options.may_give(other):
            raise ExportError(
                f"{where}: {other!r:.60} and {word!r:.60} both have the id {id}; two words of one"
                " id are possible only for the id of --oov-token"
            )
        if (other is None or is_possible) and is_utf8(word) and len(word) <= bounds.WORD_CHARACTERS:
            words[id] = word
    return {word: id for id, word in words.items()}
