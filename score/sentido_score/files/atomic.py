"""Writing so that a crash leaves either the old file or the whole new one, never a half.

Local files are written beside their place, forced to the disk and renamed. Object stores show an
object only when its upload ends, but pyarrow ends an upload that breaks off too. So what is
uploaded stands whole in a local file first, goes under another name in the work folder, and only
then to its own, by a copy in the store, which is all or nothing.
"""

import errno
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa
from pyarrow import fs

from sentido_score.errors import ScoreError
from sentido_score.files.locations import Place, problem, readable
from sentido_score.files.s3 import s3_of
from sentido_score.files.work_folders import is_our_name

_BLOCK = 8 << 20  # bytes
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def writing(place: Place) -> Iterator[None]:
    """Turn what a file system raises into a sentence that says what to do."""
    try:
        yield
    except BrokenPipeError:
        raise
    except (OSError, pa.ArrowException) as error:
        number = getattr(error, "errno", None)
        if not place.is_local and number in _FULL:
            raise ScoreError(
                f"{tempfile.gettempdir()}: {os.strerror(number)}: what is uploaded to {place.name}"
                " stands here first; set TMPDIR to a folder with room for it"
            ) from error
        raise ScoreError(f"{place.name}: cannot be written: {problem(error)}") from error


@contextmanager
def scratch(place: Place, like: Place | None = None) -> Iterator[Path]:
    """Give a local file in which the contents of a place can be made; it is gone afterwards.

    `like`: the file whose mode it has from the beginning, so that nobody reads the new one who
    could not read that; by default what is in the place.
    """
    if not place.is_local:
        with writing(place), _nameless() as path:
            yield path
        return
    path = Path(place.path + ".tmp")
    try:
        with writing(place):
            keep_mode(path, like or place, more=stat.S_IWUSR)
        yield path
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def keep_mode(path: Path, place: Place, more: int = 0) -> None:
    """Give a file or folder the mode and owner of what it is to replace, if there is that.

    `more`: what it may besides. A file is made if need be.
    """
    with suppress(FileNotFoundError):
        like = os.stat(place.path)
        if not path.exists():
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with suppress(PermissionError):  # only root gives files to others
            os.chown(path, like.st_uid, like.st_gid)
        path.chmod(stat.S_IMODE(like.st_mode) | more)


@contextmanager
def _nameless() -> Iterator[Path]:
    """Give a path to a temporary file that no killed process leaves behind, where /proc is."""
    if not Path("/proc/self/fd").exists():
        with tempfile.NamedTemporaryFile(prefix="sentido-score-") as named:
            yield Path(named.name)
        return
    with tempfile.TemporaryFile(prefix="sentido-score-") as file:
        yield Path(f"/proc/self/fd/{file.fileno()}")


def publish(
    path: Path,
    place: Place,
    *,
    by: Place | None = None,
    like: Place | None = None,
    before: Callable[[], object] = lambda: None,
) -> None:
    """Put the contents of a scratch file in their place, all at once.

    `like`: the file whose mode it gets; by default what is in the place. `by`: a place in the work
    folder, by whose name with `.tmp` what is uploaded goes. `before`: called when all is written
    and only the renaming is left; if it raises, nothing is left of it.
    """
    with writing(place):
        if not place.is_local:
            upload = (by or place).beside(".tmp")
            with path.open("rb") as source, upload.system.open_output_stream(upload.path) as sink:
                shutil.copyfileobj(source, sink, _BLOCK)
            try:
                before()
            except BaseException:
                _delete(upload)
                raise
            _rename(upload, place)
            return
        force(path)
        keep_mode(path, like or place)
        before()
        os.replace(path, place.path)
        force(Path(place.path).parent)


def write_whole(
    place: Place, data: bytes, *, by: Place | None = None, like: Place | None = None
) -> None:
    """Write a small file all at once, by way of a file beside another place if one is given.

    `like`: the file whose mode it gets; by default what is in the place.
    """
    like = like or place
    with scratch(by or place, like) as path:
        with writing(place):
            path.write_bytes(data)
        publish(path, place, by=by, like=like)


def read_whole(place: Place) -> bytes | None:
    """Read a small file, None if there is none."""
    with readable(place):
        if not place.exists():
            return None
        with place.system.open_input_stream(place.path, compression=None) as stream:
            return bytes(stream.read())


def size_of(place: Place) -> int | None:
    """Return the bytes of a file, None if there is none."""
    with readable(place):
        info = place.system.get_file_info(place.path)
    return int(info.size) if info.type == fs.FileType.File else None


def sha256_of(place: Place) -> str:
    """Return the digest of a file's bytes."""
    digest = hashlib.sha256()
    with readable(place), place.system.open_input_stream(place.path, compression=None) as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def move(source: Place, target: Place) -> None:
    """Rename a file."""
    with writing(target):
        if target.is_local:
            keep_mode(Path(source.path), target)
        _rename(source, target)
        if target.is_local:
            force(Path(target.path).parent)


def _rename(source: Place, target: Place) -> None:
    if s3_of(target.system) is None:
        target.system.move(source.path, target.path)
        return
    target.system.copy_file(source.path, target.path)
    _delete(source)


def _delete(place: Place) -> None:
    """Delete one file; on S3, with boto3, no object is made of its folder."""
    if (s3 := s3_of(place.system)) is not None:
        with suppress(OSError):  # then pyarrow, which may reach what boto3 does not
            s3.delete(place.path)
            return
    place.system.delete_file(place.path)


def abort_uploads(work: Place) -> None:
    """End uploads to a work folder that a killed run began, where we can and may."""
    with suppress(OSError):  # listing them is a right of its own
        if (s3 := s3_of(work.system)) is not None:
            s3.abort_uploads(work.path, is_our_name)


def make_folder(place: Place) -> None:
    """Make a folder and those above it."""
    with writing(place):
        if place.is_local:
            Path(place.path).mkdir(parents=True, exist_ok=True)
        elif place.has_folders:
            place.system.create_dir(place.path, recursive=True)


def remove(place: Place) -> None:
    """Remove a file, if it is there."""
    with writing(place):
        if place.kind() == fs.FileType.File:
            _delete(place)


def remove_if_empty(place: Place) -> None:
    """Remove a folder that holds nothing; one with anything in it stays."""
    if place.is_local:
        with suppress(OSError):
            Path(place.path).rmdir()
        return
    with writing(place):
        if not place.exists() or place.system.get_file_info(fs.FileSelector(place.path)):
            return
        if (s3 := s3_of(place.system)) is not None:
            s3.delete(f"{place.path}/")  # the object that marks it
        else:
            place.system.delete_dir(place.path)


def force(path: Path) -> None:
    """Wait until what was written is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
