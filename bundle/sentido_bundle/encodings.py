"""Recognizes files that are not UTF-8 text; for whoever reads files that people made."""

import codecs
import re

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
"""How many bytes `why_not_text` looks at."""

_PACKED = {
    rb"\x1f\x8b\x08": "compressed with gzip, not UTF-8 text: decompress it first (gunzip)",
    rb"\x28\xb5\x2f\xfd": "compressed with zstd, not UTF-8 text: decompress it first (unzstd)",
    rb"BZh[1-9]1AY&": "compressed with bzip2, not UTF-8 text: decompress it first (bunzip2)",
    rb"\xfd7zXZ\x00": "compressed with xz, not UTF-8 text: decompress it first (unxz)",
    rb"PK\x03\x04": "a ZIP archive or a spreadsheet, not UTF-8 text: unpack or export it first",
    rb"PAR1\x15": "Parquet, not UTF-8 text: give it a name that ends in .parquet",
}
"""How files begin that hold texts in another form."""


def why_not_text(beginning: bytes) -> str | None:
    """Describe what a file is that begins so, and what to do; None if it may be UTF-8 text."""
    if (encoding := _wide_encoding(beginning)) is not None:
        return f"is {encoding}, not UTF-8: convert it first, as with iconv -f {encoding} -t UTF-8"
    for magic, packed in _PACKED.items():
        if re.match(magic, beginning):
            return f"is {packed}"
    return None


def _wide_encoding(beginning: bytes) -> str | None:
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
