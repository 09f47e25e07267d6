"""Where the output goes, in which format, and which files belong to it."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from pyarrow import fs

from sentido_score.errors import ScoreError
from sentido_score.options import Options
from sentido_score.places import STANDARD, Place, format_of, locate
from sentido_score.readers import Reader
from sentido_score.work_folders import ENDING, REPORT

_ENDINGS = {"gzip": ".gz", "zstd": ".zst", None: ""}


@dataclass(frozen=True)
class Target:
    """A file, a folder of part files, or standard output (`place` None)."""

    place: Place | None
    is_folder: bool
    format: str
    compression: str | None

    @classmethod
    def open(cls, out: str | os.PathLike[str], reader: Reader, options: Options) -> "Target":
        """Find out from the name. Raises ScoreError for one that tells no format."""
        name = os.fspath(out)
        same = "jsonl" if reader.format == "text" else reader.format
        if name == STANDARD:
            return cls(None, False, _known(options.format or same, reader), None)
        place = locate(name)
        found, compression = format_of(place.path)
        kind = place.kind()
        if kind == fs.FileType.Unknown:  # a file would take its place
            raise ScoreError(
                f"{place.name}: is a device, a pipe or a socket: name a file or a folder, or - for"
                " standard output"
            )
        is_folder = name.endswith("/") or kind == fs.FileType.Directory
        if is_folder:
            return cls(place, True, _known(options.format or same, reader), None)
        if found == "text":
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
        if compression is not None and format == "parquet":
            raise ScoreError(f"{place.name}: Parquet is compressed inside: end it in .parquet")
        return cls(place, False, _known(format, reader), compression)

    def part(self, number: int) -> Place:
        """Give the place of a part file."""
        folder = self.whole if self.is_folder else self.work
        return folder.within(f"part-{number:05}.{self.format}{_ENDINGS[self.compression]}")

    def by(self, number: int) -> Place:
        """Give the place in the work folder by which a part file is uploaded."""
        return self.work.within(PurePosixPath(self.part(number).path).name)

    @property
    def whole(self) -> Place:
        """The place of the output. Not for standard output."""
        assert self.place is not None
        return self.place

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
        if not self.is_folder or self.whole.kind() != fs.FileType.Directory:
            return []
        infos = self.whole.system.get_file_info(fs.FileSelector(self.whole.path))
        found = [Place(self.whole.system, info.path) for info in infos]
        return [place for place in found if re.search(r"/part-\d{5,}\.[^/]*$", place.path)]


def _known(format: str, reader: Reader) -> str:
    if format == "tsv" and reader.format != "tsv":
        raise ScoreError("TSV has no quotes, so it cannot hold every text: write .csv")
    return format
