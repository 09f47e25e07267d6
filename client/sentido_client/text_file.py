"""Lines of a file or of standard input as texts, for the command `sentido`."""

import os
import re
import sys
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path

import click

from sentido_client.errors import InvalidRequestError

_MARKS = {
    b"\xff\xfe\0\0": "UTF-32",
    b"\0\0\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
_CHARACTERS = {  # where the NULs are in an ASCII character
    b"\1\0\0\0": "UTF-32LE",
    b"\0\0\0\1": "UTF-32BE",
    b"\1\0": "UTF-16LE",
    b"\0\1": "UTF-16BE",
}
_PACKED = {  # how files begin that hold texts in another form
    rb"\x1f\x8b\x08": "compressed with gzip, not UTF-8 text: decompress it first (gunzip)",
    rb"\x28\xb5\x2f\xfd": "compressed with zstd, not UTF-8 text: decompress it first (unzstd)",
    rb"BZh[1-9]1AY&": "compressed with bzip2, not UTF-8 text: decompress it first (bunzip2)",
    rb"\xfd7zXZ\x00": "compressed with xz, not UTF-8 text: decompress it first (unxz)",
    rb"PK\x03\x04": "a ZIP archive or a spreadsheet, not UTF-8 text: unpack or export it first",
    rb"PAR1\x15": "Parquet, not UTF-8 text: give it a name that ends in .parquet",
}
_LOOKED_AT = 8  # bytes


def why_not_text(beginning: bytes) -> str | None:
    """Describe what a file is that begins so; None if it may be UTF-8 text.

    In the words of `sentido_bundle.encodings`, which the client does not install.
    """
    if (encoding := _wide_encoding(beginning)) is not None:
        return f"is {encoding}, not UTF-8: convert it first, as with iconv -f {encoding} -t UTF-8"
    forms = (form for mark, form in _PACKED.items() if re.match(mark, beginning))
    return next((f"is {form}" for form in forms), None)


def _wide_encoding(beginning: bytes) -> str | None:
    for mark, name in _MARKS.items():
        if beginning.startswith(mark):
            return name
    shape = bytes(byte > 0 for byte in beginning[:_LOOKED_AT])
    for character, name in _CHARACTERS.items():
        if len(shape) >= 4 and shape == (character * _LOOKED_AT)[: len(shape)]:
            return name
    return None


class TextFile:
    """The lines without their ends, which are LF, CRLF or CR. Can be read once.

    Bytes that are not UTF-8 become lone surrogates, which the client refuses text by text.
    """

    def __init__(self, file: Path | None) -> None:
        """Open it; None and "-" are standard input.

        Raises SystemExit for UTF-16, UTF-32, compressed files and Parquet.
        """
        is_standard = file is None or str(file) == "-"
        if sys.stdin is None and is_standard:
            raise SystemExit("sentido: standard input is closed: give texts or --file")
        if file is None and sys.stdin.isatty():
            click.echo("reading texts from the terminal, one per line; end with Ctrl-D", err=True)
        self._name = "standard input" if is_standard else str(file)
        self._bad: set[int] = set()
        descriptor = os.dup(sys.stdin.fileno()) if is_standard else os.open(str(file), os.O_RDONLY)
        source = open(descriptor, "rb")  # noqa: SIM115  # __iter__ closes it
        if (problem := why_not_text(source.peek(_LOOKED_AT))) is not None:
            source.close()
            raise SystemExit(f"sentido: {self._name}: {problem}")
        self._source = TextIOWrapper(
            source, encoding="utf-8-sig", errors="surrogateescape", newline=None
        )

    def __iter__(self) -> Iterator[str]:
        with self._source:
            for index, line in enumerate(self._source):
                if not line.isascii() and not _is_unicode(line):
                    self._bad.add(index)
                yield line.removesuffix("\n")

    def problem(self, index: int, error: InvalidRequestError) -> str:
        """Describe what is wrong with a line."""
        if index not in self._bad:
            return str(error)
        self._bad.remove(index)
        return f"{self._name}: line {index + 1}: not UTF-8"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
