"""Where rows come from and go to: files of any file system that pyarrow opens."""

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
from pyarrow import fs
from sentido_bundle.errors import reason
from sentido_bundle.fields import is_utf8

from sentido_score.callbacks import Say, quiet
from sentido_score.errors import ScoreError
from sentido_score.files.listing import in_folder, matching, root
from sentido_score.files.names import refused_name, shown
from sentido_score.files.work_folders import unfinished_above
from sentido_score.format_names import ENDINGS, FORMATS
from sentido_score.options import Options

STANDARD = "-"  # standard input or output

_COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
_PACKED = (".bz2", ".zip", ".xz", ".7z", ".rar", ".tar", ".lz4", ".br", ".snappy", ".lzo")


@dataclass(frozen=True)
class Place:
    """A file or folder: a file system and a path in it."""

    system: fs.FileSystem
    path: str

    @property
    def name(self) -> str:
        """What it is called in messages and reports; holds no keys of a URI."""
        return shown(self.path if self.is_local else f"{self.system.type_name}://{self.path}")

    @property
    def is_local(self) -> bool:
        """Whether it can be written to in place and renamed."""
        return isinstance(self.system, fs.LocalFileSystem)

    @property
    def has_folders(self) -> bool:
        """Whether there are folders; object stores have none."""
        return self.system.type_name not in ("s3", "gcs")

    @property
    def parent(self) -> "Place":
        """The folder that it lies in."""
        return Place(self.system, os.path.dirname(self.path.rstrip("/")) or "/")

    def beside(self, ending: str) -> "Place":
        """Give the place of the same name with an ending."""
        return Place(self.system, self.path.rstrip("/") + ending)

    def within(self, name: str) -> "Place":
        """Give a place in this folder."""
        return Place(self.system, f"{self.path.rstrip('/')}/{name}")

    def entries(self) -> list[str]:
        """List the names in this folder, those of folders with a slash; none if it is not there."""
        with readable(self):
            if self.is_local:  # pyarrow knows no names that are not UTF-8
                with suppress(FileNotFoundError), os.scandir(self.path) as found:
                    return sorted(f"{each.name}{'/' if each.is_dir() else ''}" for each in found)
                return []
            infos = self.system.get_file_info(fs.FileSelector(self.path, allow_not_found=True))
            return sorted(f"{info.base_name}{'' if info.is_file else '/'}" for info in infos)

    def kind(self) -> fs.FileType:
        """Look what is there."""
        with readable(self):
            return self.system.get_file_info(self.path).type

    def exists(self) -> bool:
        """Whether there is a file or a folder."""
        return bool(self.kind() != fs.FileType.NotFound)


class StandardInput:
    """Standard input, of which the beginning can be looked at. Lives as long as the run."""

    def __init__(self) -> None:
        self._unread = b""

    def read(self, size: int) -> bytes:
        """Give what has come, at least a byte, or nothing at the end."""
        found, self._unread = self._unread, b""
        try:
            return found or os.read(sys.stdin.fileno(), size)
        except OSError as error:
            raise ScoreError(f"standard input cannot be read: {problem(error)}") from error

    def unread(self, data: bytes) -> None:
        """Put bytes back."""
        self._unread = data + self._unread


@dataclass(frozen=True)
class InputFile:
    """A file of the input as it was found; `place` None: standard input."""

    place: Place | None
    size: int | None  # bytes
    changed: int | None  # nanoseconds since 1970
    standard: StandardInput | None = None
    folders: tuple[str, ...] = ()  # of its path as it was named, and below that

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return "standard input" if self.place is None else self.place.name


@contextmanager
def readable(place: Place) -> Iterator[None]:
    """Turn what a file system raises into a sentence that names the file."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise ScoreError(f"{place.name}: {problem(error)}") from error


def problem(error: BaseException) -> str:
    """Give the first line of what a file system or pyarrow said."""
    if isinstance(error, OSError) and error.strerror:
        return reason(error)
    said = (str(error).splitlines() or [type(error).__name__])[0]
    return f"is encrypted, write it without encryption first: {said}" if "decrypt" in said else said


def locate(source: str | os.PathLike[str]) -> Place:
    """Find the file system of a path or URI. Raises ScoreError for one that is unknown."""
    text = os.fspath(source)
    if not text:
        raise ScoreError("an empty name was given: a file, a glob, a folder, a URI or - is needed")
    if not is_utf8(text):
        raise refused_name(text)
    if "://" not in text:
        return Place(fs.LocalFileSystem(), _absolute(text))
    scheme, _, rest = text.partition("://")
    path, query = _split_query(rest)
    authority, _, path = path.partition("/")
    if not authority and not path.strip("/"):
        raise ScoreError(f"{scheme}://: names no file or folder, and would stand for all there are")
    try:
        system, path = fs.FileSystem.from_uri(
            f"{scheme.lower()}://{authority}/{_escaped(path)}{query}"
        )
    except (OSError, ValueError, pa.ArrowException) as error:
        host = authority.rpartition("@")[2]  # without keys
        raise ScoreError(
            f"{shown(f'{scheme}://{host}')}/...: no such file system or address: {problem(error)}"
        ) from error
    place = Place(system, path)
    if not place.has_folders and {".", ".."} & set(path.split("/")):
        raise ScoreError(
            f"{place.name}: a key with /./ or /../ becomes another one on its way to an object"
            " store: name it without"
        )
    return place


def _absolute(path: str) -> str:
    try:
        return str(Path(path).absolute())
    except FileNotFoundError as error:
        raise ScoreError(
            f"{shown(path)}: the working folder was removed: change to another"
        ) from error


def _split_query(rest: str) -> tuple[str, str]:
    """Part a URI's path from its query; other question marks are those of a glob."""
    found = re.search(r"\?[A-Za-z_]+=[^?*\[&]*(?:&[A-Za-z_]+=[^?*\[&]*)*$", rest)
    return (rest[: found.start()], found[0]) if found else (rest, "")


def _escaped(path: str) -> str:
    """Escape what no path of a URI holds, such as a glob's characters; %20 stays a space."""
    path = re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", path)
    return quote(path, safe="/%:@!$&'()*+,;=~", errors="surrogateescape")


def format_of(name: str) -> tuple[str | None, str | None]:
    """Give the format and the compression that a name tells: "x.csv.gz" gives "csv", "gzip"."""
    stem, ending = os.path.splitext(name.rstrip("/").lower())
    compression = _COMPRESSIONS.get(ending)
    if compression is not None:
        ending = os.path.splitext(stem)[1]
    return ENDINGS.get(ending), compression


def expand(
    sources: Sequence[str | os.PathLike[str]], options: Options | None = None, say: Say = quiet
) -> list[InputFile]:
    """List the files of paths, globs, folders and URIs, each source's by name, each file once.

    Raises ScoreError for a source without a file.
    """
    if [os.fspath(source) for source in sources] == [STANDARD]:
        if sys.stdin is None:
            raise ScoreError("standard input is closed: name files")
        return [InputFile(None, None, None, StandardInput())]
    files: dict[object, InputFile] = {}
    for source in sources:
        if os.fspath(source) == STANDARD:
            raise ScoreError("standard input (-) cannot be read among files")
        place = locate(source)
        above = _above(place, os.fspath(source))
        for info in _files(place, above, options or Options(), say):
            folders = tuple(info.path.removeprefix(above).split("/")[:-1])
            file = InputFile(
                Place(place.system, info.path), info.size, info.mtime_ns, folders=folders
            )
            files.setdefault(_identity(file), file)
    if not files:
        raise ScoreError("no input: a file, a glob, a folder or - is needed")
    return list(files.values())


def _above(place: Place, source: str) -> str:
    """Return what of a path is the working folder's, and was not named."""
    is_relative = place.is_local and "://" not in source and not os.path.isabs(source)
    return f"{Path.cwd()}/" if is_relative else ""


def _identity(file: InputFile) -> object:
    """Tell a file from others, by whichever link, glob or spelling of its name it was found."""
    assert file.place is not None
    if not file.place.is_local:
        return file.name
    with readable(file.place):
        found = os.stat(file.place.path)
    return found.st_dev, found.st_ino


def _files(place: Place, above: str, options: Options, say: Say) -> list[fs.FileInfo]:
    """List the files of one source."""

    def is_known(path: str) -> bool:
        return options.input_format is not None or format_of(path)[0] is not None

    with readable(place):
        info = place.system.get_file_info(place.path)
        _refuse_unfinished(place)
        if info.type == fs.FileType.File:
            return [info]
        if info.type == fs.FileType.Unknown:
            raise ScoreError(
                f"{place.name}: is a pipe, a device or a socket: read it as standard input, with"
                " - for a name"
            )
        if info.type == fs.FileType.Directory:
            base, problem = place.path, f"no file in this folder ends in {', '.join(ENDINGS)}"
            listing = in_folder(place.system, info.path, is_known)
        elif re.search(r"[*?\[]", place.path[len(above) :]):
            base, problem = root(place.path, above), "no file matches"
            listing = matching(place.system, place.path, is_known, above)
        else:
            raise ScoreError(f"{place.name}: no such file or folder")
    sentences = list(listing.sentences(Place(place.system, base).name))
    if not listing.files:
        raise ScoreError("; ".join([f"{place.name}: {problem}", *sentences]))
    for sentence in sentences:
        say(sentence)
    return listing.files


def _refuse_unfinished(place: Place) -> None:
    """Raise ScoreError for what is, or lies in, the work folder or parts of an unfinished run."""
    path = os.path.abspath(place.path) if place.is_local else place.path
    if (found := unfinished_above(place.system, path)) is not None:
        raise ScoreError(
            f"{place.name}: cannot be read: {Place(place.system, found).name} belongs to a run that"
            " has not finished: finish that run first"
        )


def open_bytes(file: InputFile, offset: int = 0) -> Any:
    """Open a file of a text format for reading, decompressed, `offset` bytes of that left out.

    Raises ScoreError if it cannot be opened or ends before the offset.
    """
    if file.place is None:
        return file.standard
    compression = format_of(file.place.path)[1]
    with readable(file.place):
        if compression is None:
            stream = file.place.system.open_input_file(file.place.path)
            stream.seek(offset)
            return stream
        stream = file.place.system.open_input_stream(file.place.path, compression=compression)
        while offset:
            skipped = len(stream.read(min(offset, 1 << 20)))
            if skipped == 0:
                raise ScoreError(f"{file.name}: is shorter than when the run began")
            offset -= skipped
        return stream


def input_format(files: Sequence[InputFile], wanted: str | None) -> str:
    """Say which format the files have. Raises ScoreError for none or several."""
    paths = [file.place.path for file in files if file.place is not None]
    for path in paths:
        if path.lower().endswith(_PACKED):
            raise ScoreError(
                f"{shown(path)}: is compressed in a way that is not read: unpack it, or compress it"
                " as .gz or .zst"
            )
    if wanted is not None:
        return wanted
    if not paths:
        return "text"
    found = {format_of(path)[0]: path for path in paths}
    if None in found:
        raise ScoreError(
            f"{shown(found[None])}: its name tells no format: name one of {', '.join(FORMATS)} with"
            " --input-format"
        )
    if len(found) > 1:
        names = " and ".join(map(shown, sorted(found.values())[:2]))
        raise ScoreError(f"{names} are of different formats: score them apart")
    return str(next(iter(found)))
