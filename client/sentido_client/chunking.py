"""Texts on their way out: checked before they are sent, and cut into chunks that a server takes."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import isnan

from sentido_client.errors import InvalidRequestError, NotTextError, Violation
from sentido_client.results import Limits

CHUNK_TOKENS = 16_384  # estimated, a call or stream message, unless one text alone has more
WINDOW = 4  # calls or stream messages in flight

_TOKEN_CHARACTERS = 6  # of English, with the space

_OVERHEAD = 6  # bytes of a text's tag and length in a request
_OTHER_FIELDS = 512  # bytes that the model's name and the options take at most


@dataclass(frozen=True)
class Chunk:
    """Some of the caller's texts, and the index of the first of them.

    In a stream, a text that cannot be sent is a chunk of its own without texts, so that its error
    comes back in its place.
    """

    offset: int
    texts: Sequence[str]
    error: InvalidRequestError | None = None

    def __len__(self) -> int:
        """Texts of the caller's that it stands for."""
        return len(self.texts) or 1


def check_text(text: str, field: str = "text") -> str:
    """Give the text back if it can be sent. Raises InvalidRequestError."""
    _bytes_of(text, field, None)
    return text


def cut(texts: Iterable[str], limits: Limits, field: str = "texts") -> Iterator[Chunk]:
    """Cut texts into chunks that the server takes, in order.

    Raises InvalidRequestError, naming its index, for a text that cannot be sent.
    """
    chunker = Chunker(limits, field)
    for text in texts:
        for chunk in chunker.add(text):
            if chunk.error is not None:
                raise chunk.error
            yield chunk
    yield from chunker.rest()


class Chunker:
    """Collects texts into chunks that the server takes. Used for one list or stream.

    A chunk is cut by tokens, which is what it costs to compute, as far as characters tell them.
    """

    def __init__(self, limits: Limits, field: str = "texts") -> None:
        """`field`: what a text is called in an error, with its index."""
        self._limits = limits
        self._field = field
        self._most_bytes = limits.max_message_bytes - _OTHER_FIELDS
        self._offset = 0
        self._texts: list[str] = []
        self._bytes = 0
        self._tokens = 0

    def add(self, text: str) -> list[Chunk]:
        """Take the next text; give the chunks that are ready, among them a text's error."""
        index = self._offset + len(self._texts)
        try:
            size = _text_bytes(text, self._field, index, self._limits)
        except InvalidRequestError as error:
            ready = self.rest()
            self._offset += 1
            return [*ready, Chunk(index, (), error)]
        tokens = len(text) // _TOKEN_CHARACTERS + 1
        fits = self._bytes + size <= self._most_bytes and self._tokens + tokens <= CHUNK_TOKENS
        ready = [] if fits else self.rest()
        self._texts.append(text)
        self._bytes += size
        self._tokens += tokens
        is_full = self._tokens >= CHUNK_TOKENS or len(self._texts) == self._limits.max_texts
        return [*ready, *self.rest()] if is_full else ready

    def __bool__(self) -> bool:
        """Whether something was collected that is not in a chunk yet."""
        return bool(self._texts)

    def rest(self) -> list[Chunk]:
        """Give what was collected and is not full yet."""
        if not self._texts:
            return []
        chunk = Chunk(self._offset, self._texts)
        self._offset += len(self._texts)
        self._texts, self._bytes, self._tokens = [], 0, 0
        return [chunk]


def _text_bytes(text: str, field: str, index: int, limits: Limits) -> int:
    """Give the bytes that a text takes in a request.

    Raises InvalidRequestError, naming it by `field` and `index`, if it cannot be sent.
    """
    if isinstance(text, str) and len(text) > limits.max_text_characters:
        most = limits.max_text_characters
        raise _bad_text(field, index, f"has {len(text)} characters, at most {most} are allowed")
    size = _bytes_of(text, field, index) + _OVERHEAD
    if size + _OTHER_FIELDS > limits.max_message_bytes:
        most = limits.max_message_bytes
        raise _bad_text(field, index, f"takes {size} bytes, a message may have {most}")
    return size


def _bytes_of(text: str, field: str, index: int | None) -> int:
    if not isinstance(text, str):
        kind = "float (nan)" if isinstance(text, float) and isnan(text) else type(text).__name__
        name, description = _name(field, index), f"is of type {kind}, str is needed"
        raise NotTextError(f"{name} {description}", [Violation(name, description, index)])
    try:
        return len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError as error:
        raise _bad_text(
            field, index, f"is not valid Unicode: a lone surrogate at character {error.start}"
        ) from error


def _bad_text(field: str, index: int | None, description: str) -> InvalidRequestError:
    name = _name(field, index)
    return InvalidRequestError(f"{name}: {description}", [Violation(name, description, index)])


def _name(field: str, index: int | None) -> str:
    """Return what a text is called; None: it is the only one."""
    return field if index is None else f"{field}[{index}]"
