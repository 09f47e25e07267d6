"""Work folders: what tells ours from anybody else's, and keeps them out of what is read.

The work folder of an output is `<output>.parts`. It is ours if the record in it, `run.json`, says
so and names that output; its name alone proves nothing.
"""

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from pyarrow import fs

ENDING = ".parts"
RECORD = "run.json"
REPORT = ".report.json"
NEW = "new"  # in a work folder: the folder that replaces the output
OLD = "old"  # in a work folder: the one that it has replaced

_MOST_REPORT = 64 << 20  # bytes; of a folder it lists every file
_IN_A_REPORT = {"rows", "bundle_digest", "run"}
_PROGRAM = "sentido-score"
_OURS = re.compile(
    r"(lock|run\.json|state\.json|report\.json|whole|part-\d{5,}(-[0-9a-f]{8})?\.[a-z.]+)(\.tmp)?"
)


class Record(NamedTuple):
    """What a work folder says of itself."""

    output: str
    facts: dict[str, Any]  # of its run
    run: str = ""  # a name of its own, of one that replaces a folder; else empty
    old: tuple[str, ...] = ()  # the files of that folder, which the run removes in the end
    holder: str = ""  # the process that goes on with it, on object stores, which have no locks

    def encode(self) -> bytes:
        """Return the file's contents."""
        return json.dumps({"program": _PROGRAM, **self._asdict()}).encode()

    @classmethod
    def parse(cls, data: bytes) -> "Record | None":
        """Read a record; None for what is not one."""
        try:
            found = json.loads(data)
            if found["program"] != _PROGRAM or not isinstance(found["facts"], Mapping):
                return None
            old = tuple(map(str, found.get("old", ())))
            run, holder = str(found.get("run", "")), str(found.get("holder", ""))
            return cls(str(found["output"]), dict(found["facts"]), run, old, holder)
        except (ValueError, TypeError, KeyError, RecursionError):
            return None


def is_begun(data: bytes) -> bool:
    """Tell whether these are the first bytes of a record, or all."""
    beginning = Record("", {}).encode().partition(b",")[0]
    return data[: len(beginning)] == beginning[: len(data)]


def is_our_name(name: str) -> bool:
    """Tell whether a run writes files of this name into its work folder."""
    return _OURS.fullmatch(name) is not None


def record_in(system: fs.FileSystem, folder: str) -> Record | None:
    """Read the record of a work folder; None if it has none. Raises OSError."""
    path = f"{folder.rstrip('/')}/{RECORD}"
    if system.get_file_info(path).type != fs.FileType.File:
        return None
    with system.open_input_stream(path, compression=None) as stream:
        return Record.parse(stream.read())


def unfinished_above(system: fs.FileSystem, path: str) -> str | None:
    """Return the unfinished output or work folder that a path lies in or is; None for neither."""
    pure = PurePosixPath(path)
    for folder in (pure, *pure.parents[:-1]):
        if len(folder.parts) < 2:  # a bucket
            continue
        is_work = folder.name.endswith(ENDING) and _is_ours(system, str(folder))
        if is_work or _is_ours(system, f"{folder}{ENDING}"):
            return str(folder)
    return None


def _is_ours(system: fs.FileSystem, folder: str) -> bool:
    with suppress(OSError):  # what cannot be looked at is somebody else's
        return record_in(system, folder) is not None
    return False


def without_unfinished(system: fs.FileSystem, infos: Iterable[fs.FileInfo]) -> list[fs.FileInfo]:
    """Return the files of a listing that are in no work folder and no unfinished output."""
    infos = list(infos)
    folders = [
        info.path.removesuffix(f"/{RECORD}")
        for info in infos
        if info.path.endswith(f"{ENDING}/{RECORD}")
    ]
    ours = [folder for folder in folders if _is_ours(system, folder)]
    outputs = {folder.removesuffix(ENDING) for folder in ours}
    prefixes = tuple(f"{folder}/" for folder in (*ours, *outputs))
    return [
        info for info in infos if info.path not in outputs and not info.path.startswith(prefixes)
    ]


def is_report(system: fs.FileSystem, path: str) -> bool:
    """Tell whether a file is the report of a run. Raises OSError."""
    if not path.endswith(REPORT):
        return False
    with system.open_input_stream(path, compression=None) as stream:
        try:
            return set(json.loads(stream.read(_MOST_REPORT))) >= _IN_A_REPORT
        except (ValueError, TypeError, RecursionError):
            return False
