"""Where the output goes, in which format, and which files belong to it."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from pyarrow import fs

from sentido_score.errors import ScoreError
from sentido_score.files.locations import STANDARD, Place, format_of, locate
from sentido_score.files.work_folders import ENDING, NEW, OLD, REPORT
from sentido_score.format_names import COMPRESSED_INSIDE, TABLES
from sentido_score.formats.reader import Reader
from sentido_score.options import Options

_PART = re.compile(r"part-\d{5,}(-[0-9a-f]{8})?\.[^/]*")
_ENDINGS = {"gzip": ".gz", "zstd": ".zst", None: ""}


@dataclass(frozen=True)
class Target:
    """A file, a folder of part files, or standard output (`place` None)."""

    place: Place | None
    is_folder: bool
    format: str
    compression: str | None
    run: str = ""  # of a folder: the name of the run that replaces an older one; else empty

    @classmethod
    def open(cls, out: str | os.PathLike[str], reader: Reader, options: Options) -> "Target":
        """Find out from the name. Raises ScoreError for one that tells no format."""
        name = os.fspath(out)
        same = reader.format if reader.format in TABLES else "jsonl"
        if name == STANDARD:
            return cls(None, False, _known(options.format or same, reader), None)
        place = _behind_link(locate(name))
        _refuse_top(place)
        found, compression = format_of(place.path)
        kind = place.kind()
        if kind == fs.FileType.Unknown:  # a file would take its place
            raise ScoreError(
                f"{place.name}: is a device, a pipe or a socket: name a file or a folder, or - for"
                " standard output"
            )
        is_folder = name.endswith("/") or kind == fs.FileType.Directory
        if kind == fs.FileType.NotFound and place.is_local and not is_folder:
            is_folder = place.beside(ENDING).within(OLD).exists()  # killed between two renames
        if is_folder:
            return cls(place, True, _known(options.format or same, reader), None)
        if found not in TABLES:
            found = None
        format = options.format or found
        if found not in (None, format):
            raise ScoreError(
                f"{place.name}: its name tells {found}, and --format says {format}: leave out the"
                " one or change the other"
            )
        if format is None:
            raise ScoreError(
                f"{place.name}: its name tells no format: end it in .parquet, .csv or .jsonl (and"
                " .gz or .zst), in / for a folder, or say --format"
            )
        if compression is not None and format in COMPRESSED_INSIDE:
            raise ScoreError(f"{place.name}: Parquet is compressed inside: end it in .parquet")
        return cls(place, False, _known(format, reader), compression)

    def refuse_missing_folder(self) -> None:
        """Raise ScoreError if the output lies in a folder that does not exist: a slip of a key."""
        if self.place is None or not self.whole.has_folders:
            return
        folder = self.whole.parent
        if folder.kind() == fs.FileType.NotFound:
            raise ScoreError(
                f"{folder.name}: does not exist: choose another --out, or make such folders with"
                " --make-folders"
            )

    def part(self, number: int) -> Place:
        """Give the place of a part file."""
        ending = f"{self.format}{_ENDINGS[self.compression]}"
        if self.run and not self.whole.is_local:  # beside those of the older output
            return self.whole.within(f"part-{number:05}-{self.run}.{ending}")
        return self.parts_folder.within(f"part-{number:05}.{ending}")

    def by(self, number: int) -> Place:
        """Give the place in the work folder by which a part file is uploaded."""
        return self.work.within(PurePosixPath(self.part(number).path).name)

    @property
    def whole(self) -> Place:
        """The place of the output. Not for standard output."""
        assert self.place is not None
        return self.place

    @property
    def parts_folder(self) -> Place:
        """The folder of the part files: until a local folder is replaced, not that one."""
        if not self.is_folder:
            return self.work
        return self.work.within(NEW) if self.run and self.whole.is_local else self.whole

    @property
    def work(self) -> Place:
        """The folder of what is not finished."""
        return self.whole.beside(ENDING)

    @property
    def report(self) -> Place:
        """The report of a finished run."""
        return self.whole.beside(REPORT)

    def leftovers(self) -> Sequence[Place]:
        """List the part files that stand in a folder of output."""
        if not self.is_folder:
            return []
        return [self.whole.within(name) for name in self.whole.entries() if _PART.fullmatch(name)]


def _refuse_top(place: Place) -> None:
    """Raise ScoreError for a bucket or a root: what belongs to it would lie beside it."""
    least = 1 if place.has_folders else 2
    if len(place.path.strip("/").split("/")) < least or not place.path.strip("/"):
        raise ScoreError(f"{place.name}: is no place for an output: name a folder or a file in it")


def _known(format: str, reader: Reader) -> str:
    if format == "tsv" and reader.format != "tsv":
        raise ScoreError("TSV has no quotes, so it cannot hold every text: write .csv")
    return format


def _behind_link(place: Place) -> Place:
    """Return the folder that a link leads to; a link to a file is replaced, not followed."""
    if place.is_local and os.path.islink(place.path) and os.path.isdir(place.path):
        return Place(place.system, os.path.realpath(place.path))
    return place
