"""What a run remembers on disk: what it is about, and how far it has come.

`run.json` is written once, `state.json` and the part's own record after each finished part; each
all at once. Lives while the run holds the folder; a second run of the same output is refused. On
object stores, which have no locks, the second one takes the folder, and the first ends. What runs
do not write stays.
"""

import dataclasses
import fcntl
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, TypeVar

from sentido_score.engines.engine import Model
from sentido_score.errors import ScoreError
from sentido_score.files.atomic import (
    abort_uploads,
    make_folder,
    read_whole,
    remove,
    remove_if_empty,
    sha256_of,
    size_of,
    write_whole,
    writing,
)
from sentido_score.files.locations import InputFile, Place, readable
from sentido_score.files.records import parse
from sentido_score.files.work_folders import RECORD, Record, record_in
from sentido_score.formats.reader import Reader
from sentido_score.formats.window import Position
from sentido_score.options import Options
from sentido_score.output.ownership import output_name, own_record, own_work_files
from sentido_score.output.replacing import clear_folders, put_back, refuse_folders
from sentido_score.output.results import RunStats
from sentido_score.output.target import Target


@dataclass(frozen=True)
class State:
    """How far a run has come: up to the end of its last finished part."""

    parts: int = 0
    position: Position = field(default_factory=Position)
    counts: RunStats = field(default_factory=RunStats)
    seconds: float = 0.0
    is_complete: bool = False  # all parts are there, the output may not be
    is_assembled: bool = False  # the output is there, its report may not be


@dataclass(frozen=True)
class FinishedPart:
    """A part file as it was when it was finished."""

    rows: int
    size: int  # bytes
    sha256: str
    state: State  # how far the run had come with it


def facts(reader: Reader, model: Model, target: Target, options: Options) -> dict[str, Any]:
    """Say what decides the rows of the output: the same facts, the same rows."""
    files: list[InputFile] = list(reader.files)
    settings = dataclasses.asdict(options) | {"format": target.format}
    del settings["precision"]  # the model's
    for name in ("memory", "max_run_bytes", "max_run_multiplications"):
        del settings[name]  # a run that was killed for its memory goes on with less
    return {
        "bundle": model.digest,
        "precision": model.precision,
        "input": [[_name_of(file), file.size, file.changed] for file in files],
        **json.loads(json.dumps(settings)),
    }


def _name_of(file: InputFile) -> str:
    """Return a file's name without the ways up in it: a run may be resumed from another folder."""
    if file.place is None or not file.place.is_local:
        return file.name
    above, _, below = file.place.path.rpartition("/../")
    return os.path.join(os.path.realpath(f"{above}/.."), below) if above else file.name


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Say which facts differ, "" for none."""
    found = []
    for name in sorted({*old, *new}):
        before, now = old.get(name), new.get(name)
        if before == now:
            continue
        if name == "input":
            found.append(f"the input ({_changed(before, now)})")
        else:
            found.append(f"{name} ({before!r:.80} then, {now!r:.80} now)")
    return ", ".join(found)


def _changed(before: Any, now: Any) -> str:
    if not isinstance(before, list) or not isinstance(now, list):  # a digest of the list
        return "other files, or one of them was written to since"
    if len(before) != len(now):
        return f"{len(before)} files then, {len(now)} now"
    for old, new in zip(before, now, strict=True):
        if old[0] != new[0]:
            return f"{old[0]} then, {new[0]} now"
        if old[1] != new[1]:
            return f"{old[0]} had {old[1]} bytes, it has {new[1]} now"
        if old != new:
            return f"{old[0]} was written to since"
    return "it was described otherwise"


class Journal(AbstractContextManager["Journal"]):
    """The files of one run in its work folder."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._folder = target.work
        self._lock: IO[bytes] | None = None
        self.record = Record(output_name(target), {})

    def __enter__(self) -> Self:
        """Make the folder and hold it, and mend what a kill left of a swap.

        Raises ScoreError if it is not ours, or not free.
        """
        own_record(self._target)
        make_folder(self._folder)
        if not self._folder.is_local:
            abort_uploads(self._folder)
            return self
        with writing(self._folder):
            self._lock = Path(self._folder.path, "lock").open("ab")
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                self._lock.close()
                raise self._other_run() from error
        put_back(self._target)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._lock is not None:
            self._lock.close()

    def begin(self, found: Mapping[str, Any], old: Sequence[str] = ()) -> State:
        """Write down what a new run is about and which files of a folder it replaces.

        What an older run left goes. Raises ScoreError if others put files in between.
        """
        remove(self._folder.within("state.json"))
        clear_folders(self._folder, own_record(self._target))
        refuse_folders(self._folder)
        self.record = Record(
            output_name(self._target),
            dict(found),
            self._target.run,
            tuple(old),
            secrets.token_hex(8),
        )
        write_whole(self._folder.within(RECORD), self.record.encode())
        for place in own_work_files(self._folder):
            if not place.path.endswith((RECORD, "lock")):
                remove(place)
        self.commit(State())
        return State()

    def resume(self, found: Mapping[str, Any]) -> State:
        """Give how far the run has come. Raises ScoreError for another one than `found` tells."""
        self.record = own_record(self._target) or self.record
        if different := differences(self.record.facts, found):
            raise ScoreError(
                f"{self._target.whole.name}: the run to resume differs in {different}: run it as it"
                " began, or start anew with --overwrite"
            )
        if not self._folder.is_local:
            self.record = self.record._replace(holder=secrets.token_hex(8))
            write_whole(self._folder.within(RECORD), self.record.encode())
        state = _read(self._folder.within("state.json"), State) or State()
        if state.is_assembled and self._target.whole.exists():
            return state
        return self.checked(state)

    def check_holder(self) -> None:
        """Raise ScoreError if another run has taken the folder of an object store since."""
        if self._folder.is_local:
            return  # its lock is held
        with readable(self._folder):
            found = record_in(self._folder.system, self._folder.path)
        if found is None or found.holder != self.record.holder:
            raise self._other_run()

    def _other_run(self) -> ScoreError:
        return ScoreError(f"{self._target.whole.name}: another run is writing it")

    def checked(self, state: State, *, sizes_only: bool = False) -> State:
        """Return how far the run has come with the parts that are as they were when finished.

        The first part that is missing or different, and all behind it, have to be scored again.
        """
        good = State()
        for number in range(state.parts):
            part = self.part(number)
            if part is None or not self._is_as_finished(number, part, sizes_only):
                return good
            good = part.state
        return dataclasses.replace(state, is_assembled=False)

    def _is_as_finished(self, number: int, part: FinishedPart, sizes_only: bool) -> bool:
        place = self._target.part(number)
        if part.state.is_complete and number == 0 and not place.exists():
            place = self._target.whole  # an only part is the output, once it is moved
        if size_of(place) != part.size:
            return False
        return sizes_only or sha256_of(place) == part.sha256

    def part(self, number: int) -> FinishedPart | None:
        """Return what is on record of a part; None if nothing is."""
        return _read(self._record_of(number), FinishedPart)

    def commit(self, state: State, part: FinishedPart | None = None) -> None:
        """Write down how far the run has come, and first its last part if that is a new one."""
        self.check_holder()
        if part is not None:
            data = json.dumps(dataclasses.asdict(part)).encode()
            write_whole(self._record_of(state.parts - 1), data)
        data = json.dumps(dataclasses.asdict(state)).encode()
        write_whole(self._folder.within("state.json"), data)

    def _record_of(self, number: int) -> Place:
        return self._folder.within(f"part-{number:05}.json")

    def clear(self) -> None:
        """Remove what the run wrote, its record at last, and the folder if it is empty then."""
        clear_folders(self._folder, self.record)
        for place in own_work_files(self._folder):
            remove(place)
        remove_if_empty(self._folder)


_Read = TypeVar("_Read")


def _read(place: Place, kind: type[_Read]) -> _Read | None:
    """Read a record; None if there is none, or something else."""
    data = read_whole(place)
    try:
        return None if data is None else parse(kind, data)
    except ValueError:
        return None
