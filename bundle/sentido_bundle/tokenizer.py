r"""From text to ids: Keras' `Tokenizer` or `TextVectorization`, exactly, and then truncation.

The one place in Sentido where this happens, in training, serving and scoring alike. A text that has
steps to take (`cleaning`) takes them here, before all else. How
`TextVectorization` splits texts, `text_vectorization.py` says; the rules of `Tokenizer` (source:
`keras.src.legacy.preprocessing.text`, checked against it in the tests): lower-case the whole text,
turn every character of `filters` into `split`, split on `split` alone and drop empty strings (so
no-break spaces, `\r` and ideographic spaces stay inside words). Then, for both: look each word up,
drop unknown words or give them the id of `oov_token`; put `start_id` before them, if there is one;
then keep as many ids as the model reads.
With `char_level` each character of the lower-cased text is a token, and nothing is filtered.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from sentido_bundle.cleaning import Cleaner, CleaningError
from sentido_bundle.sections import Inputs, TokenizerKind, TokenizerRules, Truncation
from sentido_bundle.text_vectorization import WHITE_SPACE, WordSplitter, lowered
from sentido_bundle.texts import listed
from sentido_bundle.words import WordTable

Sliced = TypeVar("Sliced", list[int], list["Token"], NDArray[np.int32])

_BULK_CHARACTERS = 8_000
"""So long texts are worth NumPy's cost a call, together. Measured: shorter ones are not."""

_WINDOW_CHARACTERS = 100_000
"""About so much is tokenized at once, so that what is computed on the way stays in the cache."""


_PIECE_WORDS = 1000
"""Words of a vocabulary that are looked at in one step, which other threads have to wait for."""


@dataclass(frozen=True)
class Encoding:
    """One text as the model reads it."""

    ids: NDArray[np.int32]  # (tokens,), each 1 or more
    character_count: int  # code points of the text
    truncated_token_count: int  # tokens cut off
    out_of_vocabulary_count: int  # words not in the vocabulary, cut off or not

    @property
    def token_count(self) -> int:
        """Tokens that the model reads."""
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Token:
    """One word of a text; `start` and `end` are code points of the text as given."""

    id: int  # 0: unknown, and dropped
    text: str
    start: int
    end: int
    out_of_vocabulary: bool


def fit_vocabulary(
    texts: Iterable[str], rules: TokenizerRules, cleaner: Cleaner | None = None
) -> tuple[list[str | None], int]:
    """Build a vocabulary as Keras' `fit_on_texts` does: the most frequent words first.

    Returns the vocabulary (index = id, None at 0, at most `num_words` entries) and the number of
    different words found. Words of equal count keep the order of their first appearance. Raises
    ValueError if `oov_token` is one of them.
    """
    counts: Counter[str] = Counter()
    splitter = Tokenizer([None], rules, cleaner=cleaner)
    for text in texts:
        counts.update(splitter.words(text))
    words = [word for word, _ in counts.most_common()]
    oov = [] if rules.oov_token is None else [rules.oov_token]
    if counts.keys() & oov:
        raise ValueError(f"oov_token {oov[0]!r} is a word of the texts: choose one that is not")
    most = None if rules.num_words is None else max(rules.num_words, 1 + len(oov))
    return [None, *oov, *words][:most], len(words)


class Tokenizer:
    """Turns texts into ids. Immutable, safe to use from any thread."""

    def __init__(
        self,
        vocabulary: Sequence[str | None],
        rules: TokenizerRules,
        inputs: Inputs | None = None,
        cleaner: Cleaner | None = None,
    ) -> None:
        """Take the word of each id, None for one without. Without `inputs` nothing is truncated.

        `cleaner`: takes the steps that come first; None: there are none. With one, everything that
        is given a text raises CleaningError for one that grows too long.
        """
        self.vocabulary = tuple(vocabulary)
        self.rules = rules
        self.inputs = inputs
        self.cleaner = cleaner
        self._most = inputs.length if inputs else sys.maxsize
        self._truncation = inputs.truncation if inputs else Truncation.POST
        self._ids = {word: id for id, word in enumerate(vocabulary) if id and word is not None}
        oov = rules.oov_token
        self.oov_id = self._ids.get(oov) if oov is not None else None  # None: they are dropped
        self._start = [] if rules.start_id is None else [rules.start_id]
        self._filters = {ord(c): rules.split for c in rules.filters}
        is_keras = rules.kind is TokenizerKind.KERAS
        self._splitter = (
            None if is_keras else WordSplitter(lower=rules.lower, removed=rules.filters)
        )
        self._bytes = _Bytes.made(self._ids, rules)

    def words(self, text: str) -> list[str]:
        """Split a text into words, known or not.

        With Keras' default settings, "Isn't it, GOOD?" gives ["isn't", "it", "good"], and
        ["isnt", "it", "good"] where a TextVectorization is followed.
        """
        return self._words(self.clean(text))

    def clean(self, text: str) -> str:
        """Return a text as it is once it has taken the steps that come first, if there are any."""
        return text if self.cleaner is None else self.cleaner.clean(text)

    def _words(self, text: str) -> list[str]:
        if self._splitter is not None:
            return self._splitter.words(text)
        if self.rules.lower:
            text = text.lower()
        if self.rules.char_level:
            return list(text)
        pieces = text.translate(self._filters).split(self.rules.split)
        return [word for word in pieces if word]

    def encode(self, text: str, truncation: Truncation | None = None) -> Encoding:
        """Give the ids that the model reads. `truncation`: None for the recorded one."""
        if self.cleaner is None:
            return self._encode(text, truncation)
        cleaned = self._encode(self.cleaner.clean(text), truncation)
        return replace(cleaned, character_count=len(text))

    def _encode(self, text: str, truncation: Truncation | None) -> Encoding:
        if self._bytes is not None:
            found, count = self._bytes.found(text)
        else:
            words = self._words(text)
            found, count = list(filter(None, map(self._ids.get, words))), len(words)
        missing = count - len(found)
        if self.oov_id is not None and missing:
            found = [self._ids.get(word, self.oov_id) for word in self._words(text)]
        if self._start:
            found = [*self._start, *found]
        kept = self._truncate(found, truncation)
        return Encoding(
            ids=np.fromiter(kept, np.int32, len(kept)),
            character_count=len(text),
            truncated_token_count=len(found) - len(kept),
            out_of_vocabulary_count=missing,
        )

    def encode_all(
        self, texts: Sequence[str], truncation: Truncation | None = None
    ) -> list[Encoding]:
        """Give what `encode` gives for each text; several times faster for many, on any thread.

        Raises TypeError for what is not a list, an array or a column of str.
        """
        if self.cleaner is None:
            return self._encode_all(listed(texts), truncation)
        encodings: list[Encoding] = []
        for encoding in self.encode_each(texts, truncation):
            if isinstance(encoding, CleaningError):
                raise encoding
            encodings.append(encoding)
        return encodings

    def encode_each(
        self, texts: Sequence[str], truncation: Truncation | None = None
    ) -> Sequence[Encoding | CleaningError]:
        """Give what `encode_all` does, and for each text that it would raise an error for, that."""
        texts = listed(texts)
        if self.cleaner is None:
            return self._encode_all(texts, truncation)
        cleaned = list(map(self.cleaner.tried, texts))
        good = [text for text in cleaned if isinstance(text, str)]
        encodings = iter(self._encode_all(good, truncation))
        return [
            replace(next(encodings), character_count=len(text)) if isinstance(found, str) else found
            for text, found in zip(texts, cleaned, strict=True)
        ]

    def _encode_all(self, texts: Sequence[str], truncation: Truncation | None) -> list[Encoding]:
        encodings: list[Encoding] = []
        for window in _windows(texts):
            encodings += self._encode_window(window, truncation)
        return encodings

    def _encode_window(self, texts: Sequence[str], truncation: Truncation | None) -> list[Encoding]:
        if self._bytes is None or sum(map(len, texts)) < _BULK_CHARACTERS:
            return [self._encode(text, truncation) for text in texts]
        ids, begins = self._bytes.found_all(texts)
        known = np.flatnonzero(ids)
        known_begins = np.searchsorted(known, begins)
        missing = np.diff(begins) - np.diff(known_begins)
        if self.oov_id is not None:
            ids[ids == 0] = self.oov_id
        else:
            ids, begins = ids.take(known), known_begins
        encodings = []
        for text, begin, end, unknown in zip(
            texts, begins.tolist(), begins[1:].tolist(), missing.tolist(), strict=False
        ):
            found = self._started(ids[begin:end])
            kept = self._truncate(found, truncation)
            encodings.append(Encoding(kept, len(text), len(found) - len(kept), unknown))
        return encodings

    def _started(self, ids: NDArray[np.int32]) -> NDArray[np.int32]:
        return np.insert(ids, 0, self._start) if self._start else ids

    def tokens(self, text: str) -> list[Token]:
        """Give every word of the text with its id and where it stands; nothing is truncated.

        The id that stands before all words, if there is one, is a token without characters.
        """
        return list(self._tokens(text))

    def read_tokens(self, text: str, truncation: Truncation | None = None) -> list[Token]:
        """Give the words behind the ids of `encode`, in the same order."""
        return self._truncate([t for t in self._tokens(text) if t.id], truncation)

    def lookup(self, word: str) -> int | None:
        """Give the id of a single word, lower-cased first if texts are; None if there is none."""
        if self.rules.lower:
            word = word.lower() if self._splitter is None else lowered(word)
        return self._ids.get(word)

    def _truncate(self, items: Sliced, truncation: Truncation | None) -> Sliced:
        if (truncation or self._truncation) is Truncation.PRE:
            return items[-self._most :]
        return items[: self._most]

    def _tokens(self, text: str) -> Iterator[Token]:
        """Give the tokens, each with the characters of the text as given that it came from."""
        if self.cleaner is None:
            yield from self._placed_tokens(text)
            return
        aligned = self.cleaner.align(text)
        for token in self._placed_tokens(aligned.text):
            if token.end > token.start:
                start, end = aligned.span(token.start, token.end)
                token = replace(token, start=start, end=end)
            yield token

    def _placed_tokens(self, text: str) -> Iterator[Token]:
        """Walk the words of the text, mapping each back to the characters it came from.

        With Keras' `Tokenizer` two steps change positions: lower-casing (only "İ" becomes two
        characters) and a `split` that is not one character long. Both are undone by a list of
        source positions.
        """
        yield from (Token(id, "", 0, 0, out_of_vocabulary=False) for id in self._start)
        if self._splitter is not None:
            for word, start, end in self._splitter.places(text):
                yield self._token(word, start, end)
            return
        lower_text = text.lower() if self.rules.lower else text
        source: Sequence[int] | NDArray[np.int32] = range(len(text))  # of each lowered character
        if len(lower_text) != len(text):
            source = [i for i, c in enumerate(text) for _ in c.lower()]
        if self.rules.char_level:
            for character, start in zip(lower_text, source, strict=True):
                yield self._token(character, int(start), int(start) + 1)
            return
        split, translated = self.rules.split, lower_text.translate(self._filters)
        if len(split) != 1 and len(translated) != len(lower_text):
            lengths = (len(self._filters.get(ord(c), c)) for c in lower_text)
            counts = np.fromiter(lengths, np.int32, len(lower_text))
            source = np.repeat(np.asarray(source, np.int32), counts)
        pieces = translated.split(split)
        starts = accumulate((len(piece) + len(split) for piece in pieces), initial=0)
        for word, start in zip(pieces, starts, strict=False):
            if word:
                end = int(source[start + len(word) - 1]) + 1
                yield self._token(word, int(source[start]), end)

    def _token(self, word: str, start: int, end: int) -> Token:
        id = self._ids.get(word)
        known = self.oov_id or 0 if id is None else id
        return Token(known, word, start, end, out_of_vocabulary=id is None)


def _windows(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut texts into runs that are just long enough."""
    first = characters = 0
    for index, text in enumerate(texts):
        characters += len(text)
        if characters >= _WINDOW_CHARACTERS:
            yield texts[first : index + 1]
            first, characters = index + 1, 0
    yield texts[first:]


class _Bytes:
    """The same rules on UTF-8, for the usual settings, in half the time: one pass and one split.

    Every byte of a character that is not ASCII is 128 or more, which the table leaves alone. Bytes
    are split on all of ASCII's white space, words on the space alone; so what else is white and not
    filtered becomes a byte that UTF-8 has not, which is right as long as no word of the vocabulary
    holds any of these. So does NUL, which ends the words in a `WordTable`.
    """

    _SPECIAL = "\t\n\r\x0b\x0c\0"
    _SPECIAL_IN = re.compile(f"[{_SPECIAL}]")
    _NO_CHARACTER = "\xff"

    def __init__(self, ids: Mapping[str, int], rules: TokenizerRules) -> None:
        self._ids = {word.encode("utf-8", "surrogatepass"): id for word, id in ids.items()}
        self._words = WordTable(self._ids)
        is_keras = rules.kind is TokenizerKind.KERAS
        self._lower = rules.lower and is_keras  # what is not ASCII, too
        self._removed = b"" if is_keras else rules.filters.encode()
        table = [chr(code) for code in range(256)]
        if rules.lower:
            table[:128] = [c.lower() for c in table[:128]]
        for c in self._SPECIAL:
            table[ord(c)] = self._NO_CHARACTER
        for c in rules.filters if is_keras else WHITE_SPACE:
            # A filtered upper-case letter is lower-cased first, so it is no longer there to filter.
            if not (rules.lower and c.isupper()):
                table[ord(c)] = " "
                if rules.lower:
                    table[ord(c.upper())] = " "
        self._table = "".join(table).encode("latin-1")

    @classmethod
    def made(cls, ids: Mapping[str, int], rules: TokenizerRules) -> Self | None:
        """Give one, or None where the settings or the vocabulary need the general way."""
        if rules.char_level or rules.split != " " or not rules.filters.isascii():
            return None
        words = list(ids)
        pieces = (words[i : i + _PIECE_WORDS] for i in range(0, len(words), _PIECE_WORDS))
        if any(cls._SPECIAL_IN.search("".join(piece)) for piece in pieces):
            return None
        return cls(ids, rules)

    def found(self, text: str) -> tuple[list[int], int]:
        """Give the ids of the known words of a text, and the number of all its words."""
        words = self._cleaned(text).split()
        return list(filter(None, map(self._ids.get, words))), len(words)  # no word has the id 0

    def found_all(self, texts: Iterable[str]) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
        """Give what `WordTable.find` does."""
        return self._words.find([self._cleaned(text) for text in texts])

    def _cleaned(self, text: str) -> bytes:
        """Give a text with only spaces between words, in UTF-8."""
        if self._lower and not text.isascii():
            text = text.lower()
        return _utf8(text).translate(self._table, self._removed)


def _utf8(text: str) -> bytes:
    """Encode a text, which may hold lone surrogates."""
    return text.encode("utf-8", "surrogatepass")
