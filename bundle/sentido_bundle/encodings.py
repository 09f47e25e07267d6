"""Recognizes texts that are not in UTF-8; for whoever reads files that people made."""

import codecs

_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_CHARACTERS = {
    b"\1\0\0\0": "UTF-32LE",
    b"\0\0\0\1": "UTF-32BE",
    b"\1\0": "UTF-16LE",
    b"\0\1": "UTF-16BE",
}
"""Where the NULs are in an ASCII character of each encoding."""

ENCODING_BYTES = 8
"""How many bytes `wide_encoding` looks at."""


def wide_encoding(beginning: bytes) -> str | None:
    """Return the name of the encoding of a text that begins as UTF-16 or UTF-32 do, else None."""
    for mark, name in _MARKS.items():
        if beginning.startswith(mark):
            return name
    looked_at = beginning[:ENCODING_BYTES]
    shape = bytes(byte > 0 for byte in looked_at)
    for character, name in _CHARACTERS.items():
        if len(shape) >= 4 and shape == (character * ENCODING_BYTES)[: len(shape)]:
            return name
    return None


def to_utf8(encoding: str) -> str:
    """Describe the encoding of a file, and what to do."""
    return f"is {encoding}, not UTF-8: convert it first, as with iconv -f {encoding} -t UTF-8"
