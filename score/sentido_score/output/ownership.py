"""What a run may delete or replace: only what a run of the same output wrote.

Looked at before anything is made, deleted or renamed; what is anybody else's is named, and stays.
"""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from pyarrow import fs

from sentido_score.errors import ScoreError
from sentido_score.files.atomic import read_whole, size_of
from sentido_score.files.locations import InputFile, Place, readable
from sentido_score.files.work_folders import RECORD, Record, is_begun, is_our_name, record_in
from sentido_score.output.report import Report
from sentido_score.output.target import Target

_Identity = tuple[int, int]  # device and inode: the same whatever links, `..` and case say


def output_name(target: Target) -> str:
    """Return the one name of an output that its work folder's record holds."""
    whole = target.whole
    return _entry(whole.path.rstrip("/")) if whole.is_local else whole.name.rstrip("/")


def own_record(target: Target) -> Record | None:
    """Return the record of an output's work folder, None if there is no such folder yet.

    Raises ScoreError if the folder is not ours: then nothing in it is touched.
    """
    work = target.work
    with readable(work):
        kind = work.kind()
        record = record_in(work.system, work.path) if kind == fs.FileType.Directory else None
        if record is not None and record.output == output_name(target):
            return record
        if kind == fs.FileType.NotFound or (record is None and _is_unused(work)):
            return None
    whose = f"its record names {record.output!r}" if record else "no record in it says so"
    raise ScoreError(
        f"{work.name}: is not the work folder of this output ({whose}), so nothing in it is"
        " touched: move it away, or choose another output"
    )


def _is_unused(work: Place) -> bool:
    """Tell whether a folder holds only what a run leaves that is killed before it has a record."""
    return all(_is_begun(work, name) for name in work.entries())


def _is_begun(work: Place, name: str) -> bool:
    """Tell whether a file is an empty lock, or the beginning of a record."""
    if name == f"{RECORD}.tmp":
        return is_begun(read_whole(work.within(name)) or b"")
    return name == "lock" and size_of(work.within(name)) == 0


def own_report(target: Target) -> Report | None:
    """Return the report beside an output, None if there is none.

    Raises ScoreError for anything else of that name.
    """
    place = target.report
    kind = place.kind()
    if kind == fs.FileType.NotFound:
        return None
    try:
        data = read_whole(place) if kind == fs.FileType.File else None
        return Report.parse(data or b"")
    except (ValueError, TypeError, KeyError) as error:
        raise ScoreError(
            f"{place.name}: is not a report of sentido-score, which would take its place: move it"
            " away, or choose another output"
        ) from error


def refuse_changed_output(target: Target, report: Report) -> None:
    """Raise ScoreError unless the output has every file of its report, in its size."""
    whole = target.whole
    if not target.is_folder:
        _refuse_changed(whole, size_of(whole), report.output_bytes)
        return
    with readable(whole):
        infos = whole.system.get_file_info(fs.FileSelector(whole.path))
    sizes = {info.base_name: info.size for info in infos if info.is_file}
    for name, size in ((str(part.get("name")), part.get("bytes")) for part in report.parts):
        _refuse_changed(whole.within(name), sizes.get(name), size)


def _refuse_changed(file: Place, size: int | None, listed: object) -> None:
    if size != listed:
        found = "is missing" if size is None else f"has {size} bytes"
        raise ScoreError(
            f"{file.name}: {found}, and the report of the finished output says {listed} bytes: put"
            " it back, or start anew with --overwrite"
        )


def own_work_files(work: Place) -> list[Place]:
    """List the files of our work folder that runs write, its record and its lock last."""
    names = [name for name in work.entries() if is_our_name(name)]
    last = ["run.json", "lock"]
    names.sort(key=lambda name: last.index(name) if name in last else -1)
    return [work.within(name) for name in names]


def refuse_inputs(files: Sequence[InputFile], target: Target) -> None:
    """Raise ScoreError for an input that lies where the run writes, however it is named."""
    written = [target.whole, target.work, target.report]
    places = [file.place for file in files if file.place is not None]
    local = _LocalPlaces(written) if target.whole.is_local else None
    for place in places:
        if place.is_local != target.whole.is_local:
            continue
        found = local.around(place) if local else _around(place, written)
        if found is None:
            continue
        if found == target.work or found == target.report or found.kind() != fs.FileType.File:
            raise ScoreError(
                f"{place.name}: is or lies in {found.name}, where the run writes: choose another"
                " output"
            )
        raise ScoreError(f"{place.name}: is also the input: choose another output")


def _around(place: Place, written: Sequence[Place]) -> Place | None:
    """Return what a key of an object store is or lies in."""
    inner = _tidy(place)
    for outer in written:
        if inner == _tidy(outer) or inner.startswith(_tidy(outer) + "/"):
            return outer
    return None


def _tidy(place: Place) -> str:
    return re.sub(r"(?<!:)//+", "/", place.name).rstrip("/")


class _LocalPlaces:
    """Files and folders that are there already, known by what they are and not by their names."""

    def __init__(self, places: Sequence[Place]) -> None:
        self._places: dict[_Identity, Place] = {}
        self._folders: dict[str, _Identity | None] = {}
        for place in places:
            path = place.path.rstrip("/")
            identity = _identity(path, follow=os.path.isdir(path))
            if identity is not None:
                self._places[identity] = place

    def around(self, place: Place) -> Place | None:
        """Return which of the places a file is or lies in, by its own name and all links'."""
        for identity in self._identities(place.path):
            if identity in self._places:
                return self._places[identity]
        return None

    def _identities(self, path: str) -> Iterator[_Identity | None]:
        yield _identity(path, follow=False)
        yield _identity(path, follow=True)
        for name in (_entry(path), os.path.realpath(path), os.path.abspath(path)):
            for folder in map(str, PurePosixPath(name).parents):
                if folder not in self._folders:
                    self._folders[folder] = _identity(folder, follow=True)
                yield self._folders[folder]


def _identity(path: str, *, follow: bool) -> _Identity | None:
    try:
        found = os.stat(path, follow_symlinks=follow)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _entry(path: str) -> str:
    """Return the one name of what a rename to a path replaces: links of folders are followed."""
    folder, name = os.path.split(path)
    return os.path.join(os.path.realpath(folder), name)
