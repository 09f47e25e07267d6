"""The steps: lower-case, replace what a pattern matches, remove words, replace words.

A step returns a text at once (`apply`), or says what it changes and where (`edits`), which is
slower. Words are what `text.split()` returns, and are joined by one space.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Set
from typing import Protocol

from sentido_bundle.cleaning.alignment import Edit
from sentido_bundle.cleaning.errors import StepError
from sentido_bundle.cleaning.linear import LinearPattern
from sentido_bundle.cleaning.syntax import parse, runs_in_re
from sentido_bundle.errors import quoted
from sentido_bundle.text_vectorization import lowered

_LONG = 100_000  # characters of a text in whose matches other threads must have their turn
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a", "b": "\b", "\\": "\\"}


class GrownError(ValueError):
    """A step would make a text too long; `characters` it would have at least."""

    def __init__(self, characters: int) -> None:
        super().__init__(f"{characters:,} characters")
        self.characters = characters


class Step(Protocol):
    """One change of a text. Immutable."""

    def apply(self, text: str, most: int) -> str:
        """Return the text after the step. Raises GrownError beyond `most` characters."""

    def edits(self, text: str) -> Iterator[Edit]:
        """Return what the step changes, in order."""


class Lower:
    """Makes a text lower-case, as `str.lower` does, or A to Z alone, as `tf.strings.lower` does."""

    def __init__(self, *, ascii_only: bool = False) -> None:
        self._lower: Callable[[str], str] = lowered if ascii_only else str.lower

    def apply(self, text: str, most: int) -> str:
        """See Step."""
        return _within(self._lower(text), most)

    def edits(self, text: str) -> Iterator[Edit]:
        """See Step: a character may become several, a sigma is another at the end of a word."""
        whole, place = self._lower(text), 0
        for index, character in enumerate(text):
            count = len(self._lower(character))
            new = whole[place : place + count]
            if new != character:
                yield index, index + 1, new
            place += count


class Replace:
    """Replaces what a pattern matches, as `re.sub(pattern, with, text)` does."""

    def __init__(self, pattern: str, replacement: str) -> None:
        """Raise StepError for a pattern or a replacement that cannot be taken."""
        parsed = parse(pattern)
        self._re = re.compile(pattern)
        self._linear = None if runs_in_re(parsed) else LinearPattern(parsed)
        self._replacement = replacement
        self._plain = _plain(replacement)
        self._least_width = parsed.least_width
        if self._plain is None:
            self._check_references()

    @property
    def engine(self) -> str:
        """What runs the pattern: "re" or "automaton"."""
        return "re" if self._linear is None else "automaton"

    def apply(self, text: str, most: int) -> str:
        """See Step."""
        is_short = len(text) <= _LONG and self._most_characters(text) <= most
        if self._linear is None and is_short:
            return self._re.sub(self._replacement, text)
        if self._plain is None:
            return self._edited(text, most)
        kept, place = [], 0
        for start, end in self._spans(text):
            kept.append(text[place:start])
            place = end
        kept.append(text[place:])
        length = sum(map(len, kept)) + (len(kept) - 1) * len(self._plain)
        if length > most:
            raise GrownError(length)
        return self._plain.join(kept)

    def edits(self, text: str) -> Iterator[Edit]:
        """See Step."""
        if self._plain is None:
            for match in self._re.finditer(text):
                yield match.start(), match.end(), match.expand(self._replacement)
            return
        for start, end in self._spans(text):
            yield start, end, self._plain

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        if self._linear is not None:
            return self._linear.spans(text)
        return (match.span() for match in self._re.finditer(text))

    def _most_characters(self, text: str) -> int:
        """Return how long the text can become: each reference stands for a whole match at most."""
        matches = len(text) // self._least_width
        if self._plain is not None:
            return len(text) + matches * len(self._plain)
        return len(text) * (1 + self._replacement.count("\\")) + matches * len(self._replacement)

    def _edited(self, text: str, most: int) -> str:
        pieces: list[str] = []
        place = length = 0
        for start, end, new in self.edits(text):
            pieces += text[place:start], new
            length += start - place + len(new)
            if length > most:
                raise GrownError(length)
            place = end
        return _within("".join([*pieces, text[place:]]), most)

    def _check_references(self) -> None:
        try:
            self._re.sub(self._replacement, "")
        except (re.error, IndexError) as error:
            raise StepError(f"with {quoted(self._replacement)}: {error}") from error
        if self._linear is not None:
            raise StepError(
                f"with {quoted(self._replacement)} refers to a group, which is possible only where"
                " Python's re runs the pattern: where no repeat without an end stands before"
                " something else"
            )


class RemoveWords:
    """Takes words out."""

    def __init__(self, words: Set[str]) -> None:
        self._words = words

    def apply(self, text: str, most: int) -> str:  # noqa: ARG002 - it never grows
        """See Step."""
        words = self._words
        return " ".join([word for word in text.split() if word not in words])

    def edits(self, text: str) -> Iterator[Edit]:
        """See Step."""
        return _word_edits(text, dict.fromkeys(self._words))


class ReplaceWords:
    """Puts others in the place of words."""

    def __init__(self, words: Mapping[str, str]) -> None:
        self._words = words
        self._longest = max(map(len, words.values()), default=0)

    def apply(self, text: str, most: int) -> str:
        """See Step."""
        words = text.split()
        replaced = list(map(self._words.get, words, words))
        if len(text) + len(words) * self._longest > most:
            length = sum(map(len, replaced)) + max(0, len(words) - 1)
            if length > most:
                raise GrownError(length)
        return " ".join(replaced)

    def edits(self, text: str) -> Iterator[Edit]:
        """See Step."""
        return _word_edits(text, self._words)


_WORD = re.compile(r"\S+")


def _word_edits(text: str, words: Mapping[str, str | None]) -> Iterator[Edit]:
    """Return the edits that leave words, or what is put in their place, with one space between.

    None takes a word out. What stands between two words that stay becomes the space between them.
    """
    begin, is_first = 0, True
    for match in _WORD.finditer(text):
        word = match.group()
        new = words.get(word, word)
        if new is None:
            continue
        between = "" if is_first else " "
        if text[begin : match.start()] != between:
            yield begin, match.start(), between
        if new != word:
            yield *match.span(), new
        begin, is_first = match.end(), False
    if begin < len(text):
        yield begin, len(text), ""


def _within(text: str, most: int) -> str:
    if len(text) > most:
        raise GrownError(len(text))
    return text


def _plain(replacement: str) -> str | None:
    """Return what a replacement without references to groups stands for, None for others."""
    pieces = re.split(r"\\(.)", replacement, flags=re.DOTALL)
    if any(escaped not in _ESCAPES for escaped in pieces[1::2]) or "\\" in "".join(pieces[::2]):
        return None
    pieces[1::2] = [_ESCAPES[escaped] for escaped in pieces[1::2]]
    return "".join(pieces)
