r"""From text to ids: Keras' `Tokenizer`, exactly, and then truncation.

The one place in Sentido where this happens, in training, serving and scoring alike. The rules
(source: `keras.src.legacy.preprocessing.text`, checked against it in the tests): lower-case the
whole text, turn every character of `filters` into `split`, split on `split` alone and drop empty
strings (so no-break spaces, `\r` and ideographic spaces stay inside words), look each word up,
drop unknown words or give them the id of `oov_token`; then keep the last `max_tokens` ids.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from sentido_bundle.manifest import Preprocessing, Truncation

T = TypeVar("T")


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


@dataclass(frozen=True)
class Token:
    """One word of a text; `start` and `end` are code points of the text as given."""

    id: int  # 0: unknown, and dropped
    text: str
    start: int
    end: int
    out_of_vocabulary: bool


def fit_vocabulary(texts: Iterable[str], preprocessing: Preprocessing) -> tuple[list[str], int]:
    """Build a vocabulary as Keras' `fit_on_texts` does: the most frequent words first.

    Returns the vocabulary (index = id, "" at 0, at most `num_words` entries) and the number of
    different words found. Words of equal count keep the order of their first appearance. Raises
    ValueError if `oov_token` is one of them.
    """
    counts: Counter[str] = Counter()
    splitter = Tokenizer([""], preprocessing)
    for text in texts:
        counts.update(splitter.words(text))
    words = [word for word, _ in counts.most_common()]
    oov = [] if preprocessing.oov_token is None else [preprocessing.oov_token]
    if counts.keys() & oov:
        raise ValueError(f"oov_token {oov[0]!r} is a word of the texts: choose one that is not")
    return ["", *oov, *words][: preprocessing.num_words], len(words)


class Tokenizer:
    """Turns texts into ids. Immutable, safe to use from any thread."""

    def __init__(self, vocabulary: Sequence[str], preprocessing: Preprocessing) -> None:
        self.vocabulary = tuple(vocabulary)
        self.preprocessing = preprocessing
        self._ids = {word: id for id, word in enumerate(vocabulary) if id}
        oov = preprocessing.oov_token
        self._oov_id = self._ids.get(oov) if oov is not None else None
        self._filters = {ord(c): preprocessing.split for c in preprocessing.filters}
        self._bytes = _Bytes.made(self._ids, preprocessing)

    def words(self, text: str) -> list[str]:
        """Split a text into words, known or not.

        With Keras' default settings, "Isn't it, GOOD?" gives ["isn't", "it", "good"].
        """
        if self.preprocessing.lower:
            text = text.lower()
        pieces = text.translate(self._filters).split(self.preprocessing.split)
        return [word for word in pieces if word]

    def encode(self, text: str, truncation: Truncation | None = None) -> Encoding:
        """Give the ids that the model reads. `truncation`: None for the recorded one."""
        if self._bytes is not None:
            found, count = self._bytes.found(text)
        else:
            words = self.words(text)
            found, count = list(filter(None, map(self._ids.get, words))), len(words)
        missing = count - len(found)
        if self._oov_id is not None and missing:
            found = [self._ids.get(word, self._oov_id) for word in self.words(text)]
        kept = self._truncate(found, truncation)
        return Encoding(
            ids=np.fromiter(kept, np.int32, len(kept)),
            character_count=len(text),
            truncated_token_count=len(found) - len(kept),
            out_of_vocabulary_count=missing,
        )

    def tokens(self, text: str) -> list[Token]:
        """Give every word of the text with its id and where it stands; nothing is truncated."""
        return list(self._tokens(text))

    def read_tokens(self, text: str, truncation: Truncation | None = None) -> list[Token]:
        """Give the words behind the ids of `encode`, in the same order."""
        return self._truncate([t for t in self._tokens(text) if t.id], truncation)

    def lookup(self, word: str) -> int | None:
        """Give the id of a single word, lower-cased first if texts are; None if there is none."""
        return self._ids.get(word.lower() if self.preprocessing.lower else word)

    def _truncate(self, items: list[T], truncation: Truncation | None) -> list[T]:
        limit = self.preprocessing.max_tokens
        if (truncation or self.preprocessing.truncation) is Truncation.PRE:
            return items[-limit:]
        return items[:limit]

    def _tokens(self, text: str) -> Iterator[Token]:
        """Walk the words of the text, mapping each back to the characters it came from.

        Two steps change positions: lower-casing (only "İ" becomes two characters) and a `split`
        that is not one character long. Both are undone by a list of source positions.
        """
        lowered = text.lower() if self.preprocessing.lower else text
        split = self.preprocessing.split
        source: Sequence[int] = range(len(text))  # of each lowered character
        if len(lowered) != len(text):
            source = [i for i, c in enumerate(text) for _ in c.lower()]
        translated = lowered.translate(self._filters)
        if len(split) != 1 and len(translated) != len(lowered):
            source = [
                source[i] for i, c in enumerate(lowered) for _ in self._filters.get(ord(c), c)
            ]
        pieces = translated.split(split)
        starts = accumulate((len(piece) + len(split) for piece in pieces), initial=0)
        for word, start in zip(pieces, starts, strict=False):
            if word:
                found = self._ids.get(word)
                yield Token(
                    id=found if found is not None else (self._oov_id or 0),
                    text=word,
                    start=source[start],
                    end=source[start + len(word) - 1] + 1,
                    out_of_vocabulary=found is None,
                )


class _Bytes:
    """The same rules on UTF-8, for the usual settings, in half the time: one pass and one split.

    Every byte of a character that is not ASCII is 128 or more, which the table leaves alone. Bytes
    are split on all of ASCII's white space, words on the space alone; so what else is white and not
    filtered becomes NUL, which is right as long as no word of the vocabulary holds any of these.
    """

    _WHITE = "\t\n\r\x0b\x0c"

    def __init__(self, ids: Mapping[str, int], preprocessing: Preprocessing) -> None:
        self._ids = {_utf8(word): id for word, id in ids.items()}
        self._lower = preprocessing.lower
        table = [chr(code) for code in range(256)]
        if preprocessing.lower:
            table[:128] = [c.lower() for c in table[:128]]
        for c in self._WHITE:
            table[ord(c)] = "\0"
        for c in preprocessing.filters:
            # A filtered upper-case letter is lower-cased first, so it is no longer there to filter.
            if not (preprocessing.lower and c.isupper()):
                table[ord(c)] = " "
                if preprocessing.lower:
                    table[ord(c.upper())] = " "
        self._table = "".join(table).encode("latin-1")

    @classmethod
    def made(cls, ids: Mapping[str, int], preprocessing: Preprocessing) -> Self | None:
        """Give one, or None where the settings or the vocabulary need the general way."""
        if preprocessing.split != " " or not preprocessing.filters.isascii():
            return None
        special = set(cls._WHITE + "\0")
        if any(not special.isdisjoint(word) for word in ids):
            return None
        return cls(ids, preprocessing)

    def found(self, text: str) -> tuple[list[int], int]:
        """Give the ids of the known words of a text, and the number of all its words."""
        if self._lower and not text.isascii():
            text = text.lower()
        words = _utf8(text).translate(self._table).split()
        return list(filter(None, map(self._ids.get, words))), len(words)  # no word has the id 0


def _utf8(text: str) -> bytes:
    """Encode a text, which may hold lone surrogates."""
    return text.encode("utf-8", "surrogatepass")
