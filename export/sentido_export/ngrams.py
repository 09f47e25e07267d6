"""Texts as counts of their n-grams, in a sparse matrix.

As scikit-learn's CountVectorizer, but n-grams are numbers and are counted by sorting: 25,000
reviews take seconds, not minutes, and no strings of a million n-grams are kept.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Words = Callable[[str], list[str]]
Keys = NDArray[np.int64]  # a number for each n-gram of a text, in which those of its words are

_WORD = re.compile(r"[\w']+|[!?]")
_MARKED = 4  # words behind a negator
_MOST_WORDS = 1 << 20  # so that three of their numbers fit into 63 bits


def words_of(text: str) -> list[str]:
    """Return a text's words in lower case, and its ! and ?."""
    return _WORD.findall(text.lower())


def marked(negators: Collection[str]) -> Words:
    """Return what gives a text's words, those behind a negator as other words."""
    return partial(_marked, frozenset(negators))


def _marked(negators: frozenset[str], text: str) -> list[str]:
    words, left = [], 0
    for word in words_of(text):
        words.append(f"not {word}" if left and word not in negators else word)
        left = _MARKED if word in negators else max(0, left - 1)
    return words


class NGrams:
    """The n-grams of 1 to `longest` words that at least `least` texts have."""

    def __init__(self, texts: Sequence[str], words: Words, longest: int, least: int) -> None:
        self._words, self._longest = words, longest
        self._numbers: dict[str, int] = {}
        for text in texts:
            for word in words(text):
                if len(self._numbers) + 1 < _MOST_WORDS:
                    self._numbers.setdefault(word, len(self._numbers) + 1)
        self._kept = [_frequent(*keys, least) for keys in self._keys(texts)]

    @property
    def count(self) -> int:
        """The number of n-grams."""
        return sum(map(len, self._kept))

    def counts(self, texts: Sequence[str]) -> csr_array:
        """Return how often each text has each n-gram: (texts, count)."""
        rows, columns, before = [], [], 0
        for kept, (keys, owners) in zip(self._kept, self._keys(texts), strict=True):
            places = np.searchsorted(kept, keys)
            is_kept = np.append(kept, -1)[places] == keys
            rows.append(owners[is_kept])
            columns.append(places[is_kept] + before)
            before += len(kept)
        owner, column = np.concatenate(rows), np.concatenate(columns).astype(np.int32)
        ones = np.ones(len(owner), np.float32)
        return csr_array((ones, (owner, column)), shape=(len(texts), before))  # adds up equal ones

    def _keys(self, texts: Sequence[str]) -> Iterator[tuple[Keys, NDArray[np.int32]]]:
        """Yield the keys of all 1-grams, then of 2-grams and so on, each with its text."""
        numbers = [[self._numbers.get(word, 0) for word in self._words(text)] for text in texts]
        lengths = [len(of_text) for of_text in numbers]
        ids = np.fromiter((n for of_text in numbers for n in of_text), np.int64, sum(lengths))
        owners = np.repeat(np.arange(len(texts), dtype=np.int32), lengths)
        keys = ids
        for longest in range(1, self._longest + 1):
            if longest > 1:
                keys = keys[:-1] * _MOST_WORDS + ids[longest - 1 :]
            first, last = owners[: len(keys)], owners[longest - 1 :]
            is_known = (first == last) & (keys % _MOST_WORDS > 0)
            yield keys[is_known], first[is_known]


def _frequent(keys: Keys, owners: NDArray[np.int32], least: int) -> Keys:
    """Return the keys that at least so many texts have, in order."""
    order = np.lexsort((owners, keys))
    keys, owners = keys[order], owners[order]
    is_new = np.r_[True, (keys[1:] != keys[:-1]) | (owners[1:] != owners[:-1])][: len(keys)]
    found, texts = np.unique(keys[is_new], return_counts=True)
    return found[texts >= least]
