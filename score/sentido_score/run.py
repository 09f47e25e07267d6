"""A run from beginning to end: read, score, write, remember, put together, report.

    reader -> engine -> writer -> part files -> output

The engine reads ahead on its own threads and the writer has one, each a window or two ahead of the
next, so that a slow one holds back the others and memory does not grow.
"""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
from pyarrow.fs import LocalFileSystem

from sentido_score.callbacks import Say, quiet
from sentido_score.engines.engine import Engine, Scores
from sentido_score.errors import ScoreError
from sentido_score.files.atomic import (
    publish,
    remove,
    scratch,
    sha256_of,
    size_of,
    write_whole,
    writing,
)
from sentido_score.files.locations import Place
from sentido_score.files.work_folders import Record
from sentido_score.formats.columns import Columns, blind_to_case, refuse_doubles
from sentido_score.formats.parquet_reader import ParquetReader
from sentido_score.formats.partitions import Partitions
from sentido_score.formats.reader import Reader
from sentido_score.formats.warnings import Warnings
from sentido_score.formats.window import Position, Window
from sentido_score.options import Options
from sentido_score.output.checkpoint import FinishedPart, Journal, State, differences, facts
from sentido_score.output.ownership import (
    own_record,
    own_report,
    refuse_changed_output,
    refuse_inputs,
)
from sentido_score.output.parts import Part, assemble, open_part
from sentido_score.output.replacing import (
    begun,
    make_parts_folder,
    put_in_place,
    replaced_files,
    resumed,
)
from sentido_score.output.report import Report, condensed
from sentido_score.output.results import RunStats, Watch, plan_columns, result_columns
from sentido_score.output.target import Target

_ROUNDS = 5  # of writing parts again that others have changed

_STANDARD_OUTPUT = Place(LocalFileSystem(), "standard output")


def run(
    reader: Reader,
    engine: Engine,
    target: Target,
    options: Options,
    *,
    resume: bool = False,
    overwrite: bool = False,
    max_errors: int | None = None,
    watch: Watch = quiet,
    say: Say = quiet,
) -> Report:
    """Score an input into an output. Raises ScoreError; what is finished by then stays finished."""
    partitions = Partitions.of(reader.files, reader.names, options.partitions)
    columns = plan_columns(reader.names, engine.model, engine.dimension, options, partitions.schema)
    if options.embed is not None and engine.dimension is None:
        say(f"model {engine.model.name!r} has no vectors to embed: no column embedding is written")
    for old, new in columns.renamed.items():
        say(f"the input has a column {old!r}, so the result is called {new!r}")
    refuse_doubles(reader.names, columns.inputs)
    for one, other in blind_to_case(columns.inputs):
        say(f"Spark, Hive and DuckDB take the columns {one!r} and {other!r} for one")
    about = facts(reader, engine.model, target, options)
    if partitions.schema.names:  # by the names as they are given, from whichever folder
        about["partition_columns"] = partitions.schema.names

    def writer(target: Target) -> _Writer:
        return _Writer(reader, engine, columns, partitions, target, options, max_errors, watch, say)

    if target.place is None:
        return writer(target).stream(about)
    _check_input(reader, target, resume)
    record, old_report = own_record(target), own_report(target)
    if record is not None:
        with Journal(target):  # and mend what a kill left of a swap
            pass
    if not resume and not overwrite:
        _refuse_existing(target, record, reader)
    if resume and not record and (report := _finished(target, old_report, about)) is not None:
        if target.work.exists():  # killed between its record and the folder itself
            with Journal(target) as journal:
                journal.clear()
        return report
    if resume and record is not None:
        target = resumed(target, record)
        with Journal(target) as journal:
            state = journal.resume(about)
            if state.is_assembled and old_report and old_report.run == condensed(about):
                journal.clear()  # killed while it did so
                return old_report
            return _finish(writer(target), state, journal, about)
    replaced = replaced_files(target, record, old_report) if overwrite else ()
    target = begun(target, replaced)
    with Journal(target) as journal:
        return _finish(writer(target), journal.begin(about, replaced), journal, about)


def _finish(writer: "_Writer", state: State, journal: Journal, about: dict[str, Any]) -> Report:
    """Take a run to its end: all parts, the output, the report."""
    target, engine = writer.target, writer.engine
    if not state.is_assembled:
        _make_room(target)
        make_parts_folder(target)
        state = _all_parts(writer, state, journal, target)
        _refuse_lost_rows(writer.reader, state, journal)
        journal.check_holder()
        if target.is_folder:
            target = put_in_place(target, state.parts, journal.record)
        else:
            assemble(target, state.parts, writer.options)
        state = replace(state, is_assembled=True)
        journal.commit(state)
    parts = _listed(target, state, journal)
    size = sum(part["bytes"] for part in parts) if target.is_folder else size_of(target.whole) or 0
    report = Report.of(state.counts, state.seconds, engine.name, engine.model, about, parts, size)
    by = target.work.within("report.json")
    like = target.part(0) if target.is_folder else target.whole
    journal.check_holder()
    write_whole(target.report, report.encode(), by=by, like=like)
    journal.clear()
    return report


def _make_room(target: Target) -> None:
    """Remove a report without its output, or whose folder is replaced file by file.

    Comes after the record that says whose they are: a run that is killed here is gone on with.
    """
    is_swapped_later = bool(target.run) and target.whole.is_local
    if not (is_swapped_later if target.is_folder else target.whole.exists()):
        remove(target.report)


def _all_parts(writer: "_Writer", state: State, journal: Journal, target: Target) -> State:
    """Write parts until all are there as they were finished."""
    for _ in range(_ROUNDS):
        state = writer.write_parts(state, journal)
        # A folder's parts are the output: their digests are compared only if a run goes on.
        found = journal.checked(state, sizes_only=target.is_folder)
        if found == state:
            return state
        state = found
    raise ScoreError(
        f"{target.whole.name}: finished parts are changed or taken away while the run goes on: let"
        " nobody else write to them, and go on with --resume"
    )


def _refuse_lost_rows(reader: Reader, state: State, journal: Journal) -> None:
    """Raise ScoreError unless as many rows were written as were read."""
    parts = [journal.part(number) for number in range(state.parts)]
    written, read = sum(part.rows for part in parts if part), state.counts.rows
    if isinstance(reader, ParquetReader) and None not in reader.rows:
        read = sum(rows or 0 for rows in reader.rows)
    if written != read or written != state.counts.rows:
        raise ScoreError(
            f"{read} rows were read, {state.counts.rows} scored and {written} written: there is no"
            " output; this is a fault of sentido-score, please report it"
        )


def _listed(target: Target, state: State, journal: Journal) -> list[dict[str, Any]]:
    """Return what a report says of each file of a folder."""
    if not target.is_folder:
        return []
    parts = [(target.part(number), journal.part(number)) for number in range(state.parts)]
    return [
        {
            "name": PurePosixPath(place.path).name,
            "rows": part.rows,
            "bytes": part.size,
            "sha256": part.sha256,
        }
        for place, part in parts
        if part
    ]


def _check_input(reader: Reader, target: Target, resume: bool) -> None:
    """Raise ScoreError for an input that cannot be resumed, or that the output would replace."""
    if resume and any(file.place is None for file in reader.files):
        raise ScoreError("standard input cannot be read again: --resume needs files")
    refuse_inputs(reader.files, target)


def _refuse_existing(target: Target, record: Record | None, reader: Reader) -> None:
    if record is not None:
        is_readable_again = all(file.place is not None for file in reader.files)
        resume = "go on with --resume, or " if is_readable_again else ""
        raise ScoreError(
            f"{target.whole.name}: a run of it was not finished: {resume}start anew with"
            " --overwrite"
        )
    if target.leftovers() or (not target.is_folder and target.whole.exists()):
        raise ScoreError(
            f"{target.whole.name}: exists: --resume goes on with an unfinished run, --overwrite"
            " replaces it"
        )


def _finished(target: Target, report: Report | None, about: dict[str, Any]) -> Report | None:
    """Give the report of an output that is there. Raises ScoreError for another run's."""
    if not target.leftovers() and (target.is_folder or not target.whole.exists()):
        return None
    if report is None:
        raise ScoreError(
            f"{target.whole.name}: exists, and {target.report.name} does not tell whose it is:"
            " replace it with --overwrite"
        )
    if different := differences(report.run, condensed(about)):
        raise ScoreError(
            f"{target.whole.name}: is finished, but it differs in {different}: replace it with"
            " --overwrite"
        )
    refuse_changed_output(target, report)
    return report


class _Writer:
    """Writes what an engine gives into part files. Used for one run."""

    def __init__(
        self,
        reader: Reader,
        engine: Engine,
        columns: Columns,
        partitions: Partitions,
        target: Target,
        options: Options,
        max_errors: int | None,
        watch: Watch,
        say: Say,
    ) -> None:
        self.reader = self._reader = reader
        self.engine = self._engine = engine
        self._columns = columns
        self._partitions = partitions
        self.target = self._target = target
        self.options = self._options = options
        self._max_errors = max_errors
        self._watch = watch
        self._warnings = Warnings(reader, say)
        self._counts = RunStats()

    def stream(self, about: dict[str, Any]) -> Report:
        """Write all rows to standard output."""
        began = time.monotonic()
        if sys.stdout is None:
            raise ScoreError("standard output is closed: name a file or a folder")
        with writing(_STANDARD_OUTPUT):
            descriptor = os.dup(sys.stdout.fileno())
        with open(descriptor, "wb") as stdout:
            part = self._open(stdout, is_first=True)
            try:
                with writing(_STANDARD_OUTPUT), closing(self._scored(Position())) as scored:
                    for window, scores in scored:
                        self._write(part, window, scores)
                        stdout.flush()
                    part.close()
            except BaseException:
                part.abandon()
                raise
        seconds = time.monotonic() - began
        return Report.of(self._counts, seconds, self._engine.name, self._engine.model, about)

    def write_parts(self, state: State, journal: Journal) -> State:
        """Write part files from where the run stands to the end of the input."""
        self._counts = state.counts
        self._refuse_errors()
        if state.is_complete:
            return state
        self._watch(self._counts, self._reader.share(state.position))
        with ExitStack() as stack:
            scored = stack.enter_context(closing(self._scored(state.position)))
            while not state.is_complete:
                state = self._write_part(state, journal, scored)
        return state

    def _write_part(
        self, state: State, journal: Journal, scored: Iterator[tuple[Window, Scores]]
    ) -> State:
        """Write one part file and remember it."""
        place, began = self._target.part(state.parts), time.monotonic()
        position, rows, is_last, size, digest = state.position, 0, True, None, ""
        old = journal.record.old
        like = self._target.whole.within(old[0]) if old else None
        if not self._target.is_folder:
            like = self._target.whole
        with scratch(place, like) as path:
            with writing(place):
                sink = pa.OSFile(str(path), "wb")
            part = self._open(sink, is_first=state.parts == 0)
            try:
                for window, scores in scored:
                    with writing(place):
                        self._write(part, window, scores)
                    position, rows = window.end, rows + len(window)
                    if rows >= self._options.part_rows:
                        is_last = False
                        break
                with writing(place):
                    part.close()
            except BaseException:
                part.abandon()
                raise
            has_rows = rows > 0 or state.parts == 0
            if has_rows:
                written = Place(LocalFileSystem(), str(path))
                size, digest = size_of(written), sha256_of(written)
                by = self._target.by(state.parts)
                publish(path, place, by=by, like=like, before=journal.check_holder)
        state = State(
            state.parts + has_rows,
            position,
            self._counts,
            state.seconds + time.monotonic() - began,
            is_last,
        )
        journal.commit(state, FinishedPart(rows, size or 0, digest, state) if has_rows else None)
        return state

    def _open(self, sink: Any, *, is_first: bool) -> Part:
        return open_part(sink, self._reader, self._columns, self._target, self._options, is_first)

    def _scored(self, start: Position) -> Any:
        return self._engine.scored(self._reader, start)

    def _write(self, part: Part, window: Window, scores: Scores) -> None:
        given, errors = part.prepare(window.rows)
        if len(scores.token_counts) != len(window.texts.rows):
            raise ScoreError(
                f"{len(window.texts.rows)} texts were scored and {len(scores.token_counts)} answers"
                " came: this is a fault of sentido-score, please report it"
            )
        results, counts = result_columns(window.texts, scores, self._engine.model, errors)
        part.write(given, self._partitions.arrays(window.end.file, len(window)) | results)
        self._warnings.tell(window)
        self._counts += counts
        self._watch(self._counts, self._reader.share(window.end))
        self._refuse_errors(results["error"].drop_null().to_pylist()[-1:])

    def _refuse_errors(self, last: Sequence[str] = ()) -> None:
        """Raise ScoreError if more rows have errors than are allowed; `last`: one of them."""
        most = self._max_errors
        if most is not None and self._counts.errors > most:
            raise ScoreError(
                f"{self._counts.errors} of {self._counts.rows} rows could not be scored, at most"
                f" {most} are allowed (--max-errors)"
                + "".join(f"; the last: {error}" for error in last)
            )
