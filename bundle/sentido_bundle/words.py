"""The words of many texts to ids at once: NumPy passes over all their bytes, outside Python's lock.

All texts stand in one buffer, with a space before each word. A word's key are its bytes, padded to
16; a hash table of the vocabulary's keys (open addressing, linear probing) gives the id. Keys are
compared in full, so that a word is never taken for another. Words that are longer, or too far from
where their search begins, are looked up one by one.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

_KEY_BYTES = 16
_PIECE_WORDS = 1000  # that are made keys in one step, which other threads have to wait for
_MOST_SLOTS = 32  # that are looked into for a word, before it is looked up in the dict
_SLOTS_A_WORD = 4  # at least: with fewer, more words are looked for more than once
_FACTORS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F], np.uint64)  # odd, and else arbitrary

Keys = NDArray[np.uint64]  # (words, 2)


class WordTable:
    """A vocabulary, to find words in by the thousand. Immutable, safe to use from any thread."""

    def __init__(self, ids: Mapping[bytes, int]) -> None:
        """Take the ids of words in UTF-8, 1 or more each. No word holds NUL."""
        self._ids = ids
        short = {word: id for word, id in ids.items() if len(word) <= _KEY_BYTES}
        keys = np.zeros(max(ids.values(), default=0) + 1, f"S{_KEY_BYTES}")
        words, numbers = list(short), list(short.values())
        for i in range(0, len(words), _PIECE_WORDS):
            keys[numbers[i : i + _PIECE_WORDS]] = words[i : i + _PIECE_WORDS]
        self._keys: Keys = keys.view(np.uint64).reshape(-1, 2)  # by id
        bits = max(1, _SLOTS_A_WORD * len(ids)).bit_length()
        self._shift, self._last_slot = np.uint64(64 - bits), (1 << bits) - 1
        self._slots = np.zeros(1 << bits, np.int32)  # ids; 0: empty
        self._fill(np.array(numbers, np.int32))
        own = np.tri(_KEY_BYTES + 1, _KEY_BYTES, -1, np.uint8) * np.uint8(255)
        self._masks: Keys = own.view(np.uint64)  # by length: what of a key is the word's own

    def _fill(self, ids: NDArray[np.int32]) -> None:
        """Put each word where its search finds it, or leave it out if all is taken there.

        That is so for some only if words were chosen to begin at one slot. In each round the first
        of the words at a free slot gets it, and the others go on to the next.
        """
        slots = self._hashed(self._keys.take(ids, axis=0))
        for _ in range(_MOST_SLOTS):
            is_free = self._slots.take(slots) == 0
            self._slots[slots[is_free][::-1]] = ids[is_free][::-1]  # of equal slots the last stays
            is_left = self._slots.take(slots) != ids
            ids, slots = ids[is_left], (slots[is_left] + 1) & self._last_slot

    def find(self, texts: Sequence[bytes]) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
        """Give the ids of all words, 0 for an unknown one, and where each text's words begin.

        Words stand between spaces; no text holds NUL. The ids are (words,), the beginnings
        (texts + 1,): those of text i are ids[beginnings[i]:beginnings[i + 1]].
        """
        buffer = b" ".join([b"", *texts, b" " * _KEY_BYTES])
        spaces = np.flatnonzero(np.frombuffer(buffer, np.uint8) == ord(" "))
        lengths = np.diff(spaces) - 1
        words = np.flatnonzero(lengths)
        starts, lengths = spaces.take(words) + 1, lengths.take(words)
        ids = self._find_keys(self._cut(buffer, starts, lengths))
        for word in np.flatnonzero(lengths > _KEY_BYTES).tolist():
            start, length = int(starts[word]), int(lengths[word])
            ids[word] = self._ids.get(buffer[start : start + length], 0)
        text_starts = list(accumulate((len(text) + 1 for text in texts), initial=1))
        return ids, np.searchsorted(starts, text_starts)

    def _cut(self, buffer: bytes, starts: NDArray[np.intp], lengths: NDArray[np.intp]) -> Keys:
        """Give the keys of the words that start and end there."""
        count = len(buffer) - _KEY_BYTES + 1
        everywhere = np.ndarray((count,), f"V{_KEY_BYTES}", buffer, strides=(1,))
        keys = everywhere[starts].view(np.uint64).reshape(-1, 2)
        keys &= self._masks.take(np.minimum(lengths, _KEY_BYTES), axis=0)
        return keys

    def _find_keys(self, keys: Keys) -> NDArray[np.int32]:
        """Give the id of each key, 0 for none."""
        slots = self._hashed(keys)
        ids = self._slots.take(slots)
        wanted = np.flatnonzero(self._differ(ids, keys))  # here stands another word, or none
        slots, others = slots.take(wanted), ids.take(wanted)
        for _ in range(_MOST_SLOTS - 1):
            if not len(wanted := wanted[others != 0]):
                return ids
            slots = (slots[others != 0] + 1) & self._last_slot
            others = self._slots.take(slots)
            ids[wanted] = others
            missed = self._differ(others, keys.take(wanted, axis=0))
            wanted, slots, others = wanted[missed], slots[missed], others[missed]
        for word in wanted[others != 0].tolist():
            ids[word] = self._ids.get(keys[word].tobytes().rstrip(b"\0"), 0)
        return ids

    def _differ(self, ids: NDArray[np.int32], keys: Keys) -> NDArray[np.bool_]:
        found = self._keys.take(ids, axis=0)
        differ: NDArray[np.bool_] = (found[:, 0] != keys[:, 0]) | (found[:, 1] != keys[:, 1])
        return differ

    def _hashed(self, keys: Keys) -> NDArray[np.intp]:
        """Give the slot where the search for each key begins."""
        mixed = (keys[:, 0] * _FACTORS[0] ^ keys[:, 1] * _FACTORS[1]) * _FACTORS[0]
        slots: NDArray[np.intp] = (mixed >> self._shift).astype(np.intp)
        return slots
