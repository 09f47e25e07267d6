"""What stands between the opcodes of a pickle: numbers, strings and lines, each of bounded size."""

import codecs
import struct

_MOST_STRING_BYTES = 1 << 24
_MOST_LINE_BYTES = 1 << 16
_MOST_NUMBER_BYTES = 8  # larger ones can be chosen to have one hash
_MOST_DIGITS = 20


class PickleError(Exception):
    """A pickle that is not read. The message follows the name of the file."""


class Cursor:
    """Walks over the bytes of a pickle from the first to the last."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    @property
    def bytes_left(self) -> int:
        """Bytes that nobody has asked for."""
        return len(self._data) - self.position

    def byte(self) -> int:
        """Return the next byte."""
        if self.position >= len(self._data):
            raise PickleError(CUT_OFF)
        self.position += 1
        return self._data[self.position - 1]

    def take(self, count: int) -> bytes:
        """Return the next bytes, as many as these."""
        if count > self.bytes_left:
            raise PickleError(CUT_OFF)
        if count > _MOST_STRING_BYTES:
            raise PickleError(
                f"holds a string of {count:,} bytes, at most {_MOST_STRING_BYTES:,} are read"
            )
        self.position += count
        return self._data[self.position - count : self.position]

    def number(self, count: int) -> int:
        """Return a number without a sign, of so many bytes."""
        return int.from_bytes(self.take(count), "little")

    def signed(self, count: int) -> int:
        """Return a number of so many bytes, which may be below 0."""
        if count > _MOST_NUMBER_BYTES:
            raise PickleError(f"holds a whole number of {count:,} bytes")
        return int.from_bytes(self.take(count), "little", signed=True)

    def real(self) -> float:
        """Return a floating-point number of eight bytes."""
        value: float = struct.unpack(">d", self.take(8))[0]
        return value

    def line(self) -> bytes:
        """Return what stands before the next line feed."""
        end = self._data.find(b"\n", self.position, self.position + _MOST_LINE_BYTES)
        if end < 0:
            raise PickleError(CUT_OFF)
        line = self._data[self.position : end]
        self.position = end + 1
        return line

    def word(self) -> str:
        """Return a line of a name's characters."""
        return self.line().decode("utf-8")

    def short_whole(self) -> int:
        """Return the whole number that stands in a line, as in the protocol 0."""
        line = self.line().rstrip(b"L")
        if len(line) > _MOST_DIGITS:
            raise PickleError(f"holds a whole number of {len(line):,} digits")
        return int(line)

    def whole(self) -> int | bool:
        """Return the whole number or the truth value that stands in a line."""
        start = self._data[self.position : self.position + 3]
        value = self.short_whole()
        return bool(value) if start in (b"00\n", b"01\n") else value

    def quoted(self) -> str | bytes:
        """Return Python 2's string in quotes that stands in a line."""
        line = self.line()
        if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
            raise PickleError("holds a string without quotes")
        return decoded(codecs.escape_decode(line[1:-1])[0])

    def unicode(self, count: int) -> str:
        """Return a string in UTF-8, which may hold lone surrogates, of so many bytes."""
        return self.take(count).decode("utf-8", "surrogatepass")

    def unicode_line(self) -> str:
        """Return the string that stands in a line, as in the protocol 0."""
        return self.line().decode("raw_unicode_escape")


CUT_OFF = "breaks off in the middle: it was not saved or not copied whole; copy or save it again"


def decoded(data: bytes) -> str | bytes:
    """Return a byte string of Python 2 as the text it most likely was, or as it is."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data
