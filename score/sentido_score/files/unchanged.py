"""Whether a file of the input is still what was listed; used by readers around their reading."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

from sentido_score.errors import ScoreError
from sentido_score.files.locations import InputFile, Place, readable


class _Version(NamedTuple):
    size: int | None  # bytes; None: there is no such file
    changed: int | None  # nanoseconds since 1970
    tag: bytes  # of S3, else empty


@contextmanager
def unchanged(file: InputFile) -> Iterator[None]:
    """Compare a file with its listing before it is read, and again after its last byte.

    Leave it by an exception if not all of the file is read. Raises ScoreError for a change.
    """
    if file.place is None:
        yield
        return
    before = _version(file.place)
    if before[:2] != (file.size, file.changed):
        raise _changed(file)
    yield
    if _version(file.place) != before:
        raise _changed(file)


def _changed(file: InputFile) -> ScoreError:
    return ScoreError(
        f"{file.name}: was changed after the run began: start anew (sentido-score: --overwrite, or"
        " --resume once it is as it was, its time of change too)"
    )


def _version(place: Place) -> _Version:
    with readable(place):
        if place.system.type_name == "s3":
            return _object_version(place)
        info = place.system.get_file_info(place.path)
        return _Version(info.size, info.mtime_ns, b"")


def _object_version(place: Place) -> _Version:
    """Ask S3 once for all three."""
    with place.system.open_input_file(place.path) as stream:
        found = stream.metadata()
        size = stream.size()
    modified = datetime.fromisoformat(found["Last-Modified"].decode())
    return _Version(size, int(modified.timestamp()) * 1_000_000_000, found.get("ETag", b""))
