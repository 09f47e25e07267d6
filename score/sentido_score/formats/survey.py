"""Looks at the beginnings of files, many at once, before the first row is scored.

So a wrong file among thousands is named at once, and not when the run reaches it.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sentido_bundle.encodings import ENCODING_BYTES

from sentido_score.callbacks import Say
from sentido_score.errors import ScoreError
from sentido_score.files.locations import InputFile, open_bytes, readable
from sentido_score.files.names import quoted
from sentido_score.formats.reader import MOST_RECORD, refuse_binary
from sentido_score.ordered import in_order

MOST_FILES = 4096
"""Files that are looked at; of more, so many are drawn evenly."""

_AT_ONCE = 32  # files, which is mostly waiting for an object store
_PIECE = 64 << 10  # bytes

T = TypeVar("T")


def survey(
    look: Callable[[InputFile], T], files: Sequence[InputFile], say: Say
) -> Iterator[tuple[InputFile, T]]:
    """Look at files, in order and the first one among them; say so if there are too many."""
    count = len(files)
    if count > MOST_FILES:
        say(
            f"the input has {count:,} files: {MOST_FILES:,} of them, drawn evenly, are looked at"
            " before the first row is scored, the others when they are read"
        )
        files = [files[i * (count - 1) // (MOST_FILES - 1)] for i in range(MOST_FILES)]
    with ThreadPoolExecutor(_AT_ONCE, "sentido-look") as pool:
        yield from zip(files, in_order(pool, look, files, 2 * _AT_ONCE), strict=True)


def beginning(file: InputFile, is_enough: Callable[[bytearray], bool]) -> bytes:
    """Return the first bytes of a file, up to enough of them; standard input can be read again.

    Raises ScoreError for what is not UTF-8 text by its first bytes.
    """
    found, stream = bytearray(), open_bytes(file)
    try:
        while not is_enough(found) and len(found) <= MOST_RECORD and (piece := _read(file, stream)):
            found += piece
    finally:
        if file.standard is None:
            stream.close()
        else:
            file.standard.unread(bytes(found))
    refuse_binary(file, bytes(found[:ENCODING_BYTES]))
    return bytes(found)


def refuse_unreadable(files: Sequence[InputFile], say: Say) -> None:
    """Raise ScoreError for a file without a header that cannot be opened, or is not UTF-8."""
    if files[0].place is not None:
        for _ in survey(lambda file: beginning(file, bool), files, say):
            pass


def _read(file: InputFile, stream: Any) -> bytes:
    if file.place is None:
        return bytes(stream.read(_PIECE))
    with readable(file.place):
        return bytes(stream.read(_PIECE))


def difference(names: Sequence[str], wanted: Sequence[str]) -> str:
    """Say in what some columns' names differ from others; "" if in nothing."""
    lacking = [name for name in wanted if name not in names]
    added = [name for name in names if name not in wanted]
    parts = [f"it lacks {quoted(lacking, 3)}"] if lacking else []
    parts += [f"it also has {quoted(added, 3)}"] if added else []
    if not parts and len(names) != len(wanted):
        parts = [f"it has {len(names)} columns and not {len(wanted)}"]
    if not parts:
        parts = [
            f"its column {number} is {name!r} and not {other!r}"
            for number, (name, other) in enumerate(zip(names, wanted, strict=True), start=1)
            if name != other
        ][:1]
    return " and ".join(parts)


def refuse_column(
    file: InputFile, names: Sequence[str], wanted: str, hint: str = "", flag: str = "--text-column"
) -> None:
    """Raise ScoreError unless one column has a name; `flag` says what the column is for."""
    if (count := names.count(wanted)) != 1:
        columns = f"{count} columns" if count else "no column"
        there = quoted(names) or "none"
        raise ScoreError(
            f"{file.name}: {columns} {wanted!r} among {there}: one is needed; name it with"
            f" {flag}{hint}"
        )
