"""Lines of a file or of standard input as texts, for the command `sentido`."""

import os
import re
import sys
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path

import click

from sentido_client.errors import InvalidRequestError

_NULS = (b"\1\0\1\0", b"\0\1\0\1", b"\1\0\0\0", b"\0\0\0\1")  # 0: a NUL, beside ASCII characters
_PACKED = {  # how compressed files begin, by what unpacks them
    "gzip": rb"\x1f\x8b",
    "bzip2": rb"BZh[1-9]1AY&SY",
    "xz": rb"\xfd7zXZ\0",
    "zstd": rb"\x28\xb5\x2f\xfd",
}


class TextFile:
    """The lines without their ends. Can be read once.

    Bytes that are not UTF-8 become lone surrogates, which the client refuses text by text.
    """

    def __init__(self, file: Path | None) -> None:
        """Open it; None and "-" are standard input.

        Raises SystemExit for UTF-16, UTF-32 and compressed files.
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
        beginning = source.peek(10)[:10]
        for program, mark in _PACKED.items():
            if re.match(mark, beginning):
                source.close()
                raise SystemExit(
                    f"sentido: {self._name}: is compressed: unpack it first, as with"
                    f" {program} -dc FILE | sentido predict --file -"
                )
        if _is_wide(beginning[:4]):
            source.close()
            raise SystemExit(
                f"sentido: {self._name}: is UTF-16 or UTF-32, not UTF-8: convert it first, as with"
                " iconv -f UTF-16 -t UTF-8"
            )
        self._source = TextIOWrapper(
            source, encoding="utf-8-sig", errors="surrogateescape", newline="\n"
        )

    def __iter__(self) -> Iterator[str]:
        with self._source:
            for index, line in enumerate(self._source):
                if not line.isascii() and not _is_unicode(line):
                    self._bad.add(index)
                yield line.removesuffix("\n").removesuffix("\r")

    def problem(self, index: int, error: InvalidRequestError) -> str:
        """Describe what is wrong with a line."""
        if index not in self._bad:
            return str(error)
        self._bad.remove(index)
        return f"line {index + 1} of {self._name}: not UTF-8"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_wide(beginning: bytes) -> bool:
    """Tell whether a text begins as UTF-16 or UTF-32 do: with their mark, or a NUL by a letter."""
    marks = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")
    return beginning.startswith(marks) or bytes(byte > 0 for byte in beginning) in _NULS
