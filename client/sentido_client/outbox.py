"""What a stream has to send and waits to have answered, and when what may be sent.

The rules of both clients' streams, without threads or tasks: each guards it by a condition of its
own. A message is sent when it is full, or at once when no other is on its way, so that a slow
source is answered text by text and a fast one in full messages.
"""

from collections import deque

from sentido_client.chunking import WINDOW, Chunk, Chunker
from sentido_client.results import Limits


class Outbox:
    """Takes texts, gives chunks to send. Lives as long as its stream; not safe from two threads."""

    def __init__(self, limits: Limits) -> None:
        self._chunker = Chunker(limits)
        self._ready: deque[Chunk] = deque()  # cut, not sent
        self._in_flight: deque[Chunk] = deque()  # sent, not answered
        self._answered = 0  # texts
        self.exhausted = False  # nothing more comes from the caller

    def add(self, text: str) -> None:
        """Take the caller's next text."""
        self._ready += self._chunker.add(text)

    @property
    def has_room(self) -> bool:
        """Whether more texts should be read ahead."""
        return len(self._ready) < WINDOW

    @property
    def may_send(self) -> bool:
        """Whether `send` has a chunk to give now."""
        if self._ready:
            return len(self._in_flight) < WINDOW
        return (not self._in_flight or self.exhausted) and bool(self._chunker)

    @property
    def is_done(self) -> bool:
        """Whether everything was sent and nothing more comes."""
        return self.exhausted and not self._ready and not self._chunker

    @property
    def is_in_flight(self) -> bool:
        """Whether something that was sent is not answered yet."""
        return bool(self._in_flight)

    @property
    def offset(self) -> int:
        """The index of the first text that is not answered: the number of those that are."""
        return self._answered

    def send(self) -> Chunk:
        """Give the next chunk to send."""
        if not self._ready:
            self._ready += self._chunker.rest()
        self._in_flight.append(self._ready.popleft())
        return self._in_flight[-1]

    def answered(self) -> Chunk:
        """Give the chunk that the next answer is for."""
        chunk = self._in_flight.popleft()
        self._answered = chunk.offset + len(chunk)
        return chunk

    def rewind(self) -> None:
        """Take back what was sent and not answered: it is to be sent again, in a new stream."""
        self._ready.extendleft(reversed(self._in_flight))
        self._in_flight.clear()
