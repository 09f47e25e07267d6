"""How Keras' layer `TextVectorization` splits a text into words, which `Tokenizer` does otherwise.

It lower-cases A to Z alone, removes punctuation instead of separating words at it ("isn't" becomes
"isnt"), and separates words at ASCII white space, of any amount (source:
`keras.src.layers.preprocessing.text_vectorization`, whose `tf.strings` read bytes).
"""

import re
import string
from collections.abc import Iterator
from typing import Final

PUNCTUATION: Final = string.punctuation
"""What `strip_punctuation` and `lower_and_strip_punctuation` remove: all of ASCII's."""

WHITE_SPACE: Final = " \t\n\r\f\v"
"""What separates words; bytes.split() splits on the same."""

_RUN = re.compile(f"[^{WHITE_SPACE}]+")
_TO_LOWER = {ord(c): c.lower() for c in string.ascii_uppercase}


def lowered(text: str) -> str:
    """Return a text with A to Z in lower case, and no other letter."""
    return text.lower() if text.isascii() else text.translate(_TO_LOWER)


class WordSplitter:
    """Splits texts into words; `removed` are characters that disappear from within them."""

    def __init__(self, *, lower: bool, removed: str) -> None:
        self._table: dict[int, str | None] = dict.fromkeys(map(ord, removed))
        if lower:
            self._table |= _TO_LOWER

    def words(self, text: str) -> list[str]:
        """Return the words of a text."""
        return _RUN.findall(text.translate(self._table))

    def places(self, text: str) -> Iterator[tuple[str, int, int]]:
        """Return each word with its first character in the text, and the one behind its last."""
        for run in _RUN.finditer(text):
            word = run[0].translate(self._table)
            if word:
                kept = [i for i, c in enumerate(run[0], run.start()) if self._keeps(c)]
                yield word, kept[0], kept[-1] + 1

    def _keeps(self, character: str) -> bool:
        return self._table.get(ord(character), "") is not None
