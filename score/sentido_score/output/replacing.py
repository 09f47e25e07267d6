"""Replaces a folder of output by a new one, and only if all that is in it is on record.

On this machine the new folder is made in the work folder, and two renames swap it for the old one,
which is there until then. An object store has no renames: the report goes first, the new parts
have names of their run, the old ones go after the last new one, and then comes the report.
"""

import os
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from sentido_score.errors import ScoreError
from sentido_score.files.atomic import (
    force,
    keep_mode,
    make_folder,
    remove,
    remove_if_empty,
    writing,
)
from sentido_score.files.locations import Place
from sentido_score.files.work_folders import NEW, OLD, Record
from sentido_score.output.report import Report
from sentido_score.output.target import Target

_PART_RECORD = re.compile(r"part-(\d{5,})\.json")


def replaced_files(target: Target, record: Record | None, report: Report | None) -> tuple[str, ...]:
    """Return the names of a folder's files, which a new output is to replace; none for a file.

    Raises ScoreError for a file that no run of this output is known to have written, and for a
    folder that cannot be renamed.
    """
    if not target.is_folder:
        return ()
    found = target.whole.entries()
    known = {str(part.get("name")) for part in report.parts} if report else set()
    if record is not None:
        known |= {*record.old, *_of_unfinished(target, record)}
    _refuse_strangers(target.whole, found, known)
    path = target.whole.path
    if found and target.whole.is_local and _is_mounted(path):
        raise ScoreError(
            f"{target.whole.name}: a file system is mounted here, so the folder cannot be replaced"
            " by another: choose a folder in it"
        )
    return tuple(found)


def begun(target: Target, old: Iterable[str]) -> Target:
    """Return the target of a run that begins: one that replaces files has a name of its own."""
    return replace(target, run=secrets.token_hex(4)) if tuple(old) else target


def resumed(target: Target, record: Record) -> Target:
    """Return the target of a run that goes on, whose folder may be in its place by now."""
    old, new = target.work.within(OLD), target.work.within(NEW)
    is_swapped = target.whole.is_local and old.exists() and not new.exists()
    return replace(target, run="" if is_swapped else record.run)


def put_back(target: Target) -> None:
    """Mend what a kill between the two renames left: the old folder gets its name again."""
    old = target.work.within(OLD)
    if target.is_folder and target.whole.is_local and not target.whole.exists() and old.exists():
        _rename(old, target.whole)


def put_in_place(target: Target, parts: int, record: Record) -> Target:
    """Make the folder of new parts the output, and remove what it replaces.

    Raises ScoreError for a file of others: then all stays as it is.
    """
    new = {Path(target.part(number).path).name for number in range(parts)}
    if not target.run:
        _refuse_strangers(
            target.whole, (Path(place.path).name for place in target.leftovers()), new
        )
        return target
    _refuse_strangers(target.whole, target.whole.entries(), {*record.old, *new})
    if not target.whole.is_local:
        for name in record.old:
            remove(target.whole.within(name))
        return target
    _refuse_strangers(target.parts_folder, target.parts_folder.entries(), new)
    remove(target.report)
    if target.whole.exists():
        keep_mode(Path(target.parts_folder.path), target.whole)
        _rename(target.whole, target.work.within(OLD))
    _rename(target.parts_folder, target.whole)
    return replace(target, run="")


def clear_folders(work: Place, record: Record | None) -> None:
    """Remove what runs left in the folders of a work folder, and those that are empty then."""
    if not work.is_local:
        return
    old = set(record.old) if record else set[str]()
    for place, is_ours in ((work.within(NEW), _is_part), (work.within(OLD), old.__contains__)):
        for name in filter(is_ours, place.entries()):
            remove(place.within(name))
        remove_if_empty(place)


def refuse_folders(work: Place) -> None:
    """Raise ScoreError if others put something into the folders of a work folder."""
    for place in (work.within(NEW), work.within(OLD)):
        if work.is_local and place.exists():
            raise ScoreError(f"{place.name}: holds files of others: move them away")


def make_parts_folder(target: Target) -> None:
    """Make the folders that part files are written into."""
    if target.is_folder:
        make_folder(target.parts_folder)


def _is_part(name: str) -> bool:
    return re.fullmatch(r"part-\d{5,}\.[a-z]+(\.tmp)?", name) is not None


def _of_unfinished(target: Target, record: Record) -> Iterator[str]:
    """Name the part files that a run which has not finished may have written into the output."""
    before = replace(
        resumed(target, record), format=str(record.facts.get("format")), compression=None
    )
    if before.run and before.whole.is_local:
        return  # they are in the work folder
    matches = (_PART_RECORD.fullmatch(name) for name in target.work.entries())
    count = max((int(match[1]) + 1 for match in matches if match), default=0)
    for number in range(count + 1):  # one more may be there that is not yet on record
        name = Path(before.part(number).path).name
        yield from (name, f"{name}.tmp")


def _refuse_strangers(folder: Place, found: Iterable[str], known: set[str]) -> None:
    """Raise ScoreError for the first file that is not known."""
    for name in found:
        if name not in known:
            raise ScoreError(
                f"{folder.within(name).name}: is not of the output that is to be replaced: move it"
                " away, or choose another output"
            )


def _is_mounted(path: str) -> bool:
    return os.stat(path).st_dev != os.stat(os.path.dirname(path)).st_dev


def _rename(source: Place, target: Place) -> None:
    """Rename a folder, for good."""
    with writing(target):
        os.rename(source.path, target.path)
        for place in (source, target):
            force(Path(place.path).parent)
