"""Scores in your own program: record batches of a source, and a function of tables."""

from collections.abc import Iterator
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
from sentido_bundle import Bundle, cpus, default_bundle

from sentido_score.callbacks import Say, quiet
from sentido_score.engines.engine import Engine
from sentido_score.engines.local import compute, dimension_of, encode, load, model_of
from sentido_score.errors import ScoreError
from sentido_score.files.names import quoted
from sentido_score.formats.columns import refuse_doubles
from sentido_score.formats.file_metadata import kept
from sentido_score.formats.opening import Source, open_source
from sentido_score.formats.parquet_reader import text_values
from sentido_score.formats.parquet_writer import TableMaker
from sentido_score.formats.partitions import Partitions
from sentido_score.formats.texts import check
from sentido_score.formats.window import Position
from sentido_score.options import Options
from sentido_score.output.results import plan_columns, result_columns

Table = TypeVar("Table")  # pa.Table or pa.RecordBatch


def batches(
    source: Source, engine: Engine, options: Options, say: Say = quiet
) -> Iterator[pa.RecordBatch]:
    """Score a source as it is read; give its rows with the results, some thousand at a time."""
    reader = open_source(source, options, say)
    partitions = Partitions.of(reader.files, reader.names, options.partitions)
    columns = plan_columns(reader.names, engine.model, engine.dimension, options, partitions.schema)
    refuse_doubles(reader.names, columns.inputs)
    maker = TableMaker(reader, columns)
    with closing(engine.scored(reader, Position())) as scored:  # type: ignore[type-var]
        for window, scores in scored:
            given, errors = maker.prepare(window.rows)
            results, _ = result_columns(window.texts, scores, engine.model, errors)
            results |= partitions.arrays(window.end.file, len(window))
            yield from maker.table(given, results).combine_chunks().to_batches()


class Scorer:
    """Adds the results' columns to tables with a text column. Loads the bundle when first used.

    It can be pickled. As a class it is what Ray Data's `map_batches` takes, with
    `batch_format="pyarrow"`; `map(Scorer(), batches)` is what Spark's `mapInArrow` needs. It lives
    in one process and computes on `threads` threads (None: one a CPU granted).
    """

    def __init__(
        self,
        bundle: str | Path | None = None,
        options: Options | None = None,
        *,
        threads: int | None = 1,
        expect_bundle: str | None = None,
    ) -> None:
        """`expect_bundle`: the digest that the bundle must have wherever it is loaded."""
        self._folder = default_bundle() if bundle is None else bundle
        self._options = options or Options()
        self._threads = threads
        self._expected = expect_bundle

    def __getstate__(self) -> dict[str, Any]:
        """Leave the bundle behind: a copy loads it again, and refuses another one."""
        state = dict(vars(self))
        if (bundle := state.pop("_bundle", None)) is not None:
            state["_expected"] = bundle.digest
        return state

    def __call__(self, table: Table) -> Table:
        """Give the table with its results; a bad row has an `error`. Raises ScoreError."""
        options = self._options
        rows: Any = table
        if (count := rows.schema.names.count(options.text_column)) != 1:
            raise ScoreError(
                f"{count or 'no'} column {options.text_column!r}, there are"
                f" {quoted(rows.schema.names)}: one is needed"
            )
        bundle = self._bundle
        texts = check(text_values(rows[options.text_column]), options.max_text_characters)
        threads = cpus.granted() if self._threads is None else self._threads
        scores = compute(bundle, encode(bundle, texts.good), options.embed, threads)
        model = model_of(bundle)
        columns = plan_columns(
            rows.schema.names, model, dimension_of(bundle, options.embed), options
        )
        refuse_doubles(rows.schema.names, columns.inputs)
        results, _ = result_columns(texts, scores, model, {})
        given = rows.select(list(columns.inputs))
        metadata = kept(rows.schema.metadata, columns.inputs)
        made: Table = type(rows).from_arrays(
            [*given.columns, *(results[key] for key in columns.keys)],
            schema=pa.schema([*given.schema, *columns.results], metadata or None),
        )
        return made

    @cached_property
    def _bundle(self) -> Bundle:
        bundle = load(self._folder, self._options)
        if self._expected not in (None, bundle.digest):
            raise ScoreError(
                f"{str(self._folder)!r} holds the bundle {bundle.digest}, expected is"
                f" {self._expected}"
            )
        return bundle
