"""The engine of a cluster: Ray Data reads windows in one task and scores them in actors.

The task reads the input from where the run stands and gives a window a block, pickled, so that
every engine cuts alike; this process reads the bundle, once, and an actor per CPU computes with a
copy of it; this process takes the blocks in order and writes. What waits in between is bounded by
Ray.
"""

import logging
import pickle
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray
import ray.data
from ray.data.block import BlockMetadata
from ray.data.datasource import Datasource, ReadTask
from ray.exceptions import RayError

from sentido_score.engines.cluster import Connection
from sentido_score.engines.engine import Scores
from sentido_score.engines.local import compute, dimension_of, encode, model_of, parse, read
from sentido_score.errors import ScoreError
from sentido_score.formats.reader import Reader
from sentido_score.formats.window import Position, Window
from sentido_score.options import Options

_COLUMN = "pickled"


class RayEngine:
    """Lives until it is closed; then it disconnects, if it was the one to connect."""

    name = "ray"

    def __init__(self, bundle: str | Path, options: Options, address: str | None) -> None:
        """Connect to the cluster, or start one on this machine. Raises ScoreError."""
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        warnings.filterwarnings("ignore", module="ray")
        self._folder = str(bundle)
        self._options = options
        self._files = read(bundle)
        loaded = parse(self._files, bundle, options)
        self.model = model_of(loaded)
        self.dimension = dimension_of(loaded, options.embed)
        self._connection = None if ray.is_initialized() else Connection(address)

    def scored(self, reader: Reader, start: Position) -> Iterator[tuple[Window, Scores]]:
        """Read and score on the cluster; see Engine. Raises ScoreError."""
        if any(file.place is None for file in reader.files):
            raise ScoreError("standard input cannot be read by a cluster: name files")
        actors = max(1, int(ray.cluster_resources().get("CPU", 1)))
        try:
            with _in_order():
                data = ray.data.read_datasource(
                    _Windows(reader, start),
                    override_num_blocks=1,
                    num_cpus=0,  # the actors take them all, and nothing would ever be read
                ).map_batches(
                    _actor(ray.put(self._files), self._folder, self._options),
                    batch_size=1,
                    batch_format="pyarrow",
                    num_cpus=1,
                    compute=ray.data.ActorPoolStrategy(size=actors),
                )
                for batch in data.iter_batches(batch_size=1, batch_format="pyarrow"):
                    yield pickle.loads(batch[_COLUMN][0].as_py())
        except RayError as error:
            raise ScoreError(_reason(error)) from error

    def close(self) -> None:
        """Disconnect."""
        if self._connection is not None:
            self._connection.close()


@contextmanager
def _in_order() -> Iterator[None]:
    """Have Ray Data keep windows apart and in order, and its settings as they were afterwards."""
    context = ray.data.DataContext.get_current()
    before = (
        context.execution_options.preserve_order,
        context.target_max_block_size,
        context.enable_progress_bars,
    )
    context.execution_options.preserve_order = True
    context.target_max_block_size = 1  # byte: a window a block, not all of them in one
    context.enable_progress_bars = False
    try:
        yield
    finally:
        (
            context.execution_options.preserve_order,
            context.target_max_block_size,
            context.enable_progress_bars,
        ) = before


class _Windows(Datasource):  # type: ignore[misc]  # ray has no types here
    """The input's windows from a position on, a block each."""

    def __init__(self, reader: Reader, start: Position) -> None:
        super().__init__()
        self._reader = reader
        self._start = start

    def estimate_inmemory_data_size(self) -> int | None:
        """Give None: nobody knows."""
        return None

    def get_read_tasks(self, *_: Any, **__: Any) -> list[ReadTask]:
        """Give the one task that reads all."""
        reader, start = self._reader, self._start

        def read() -> Iterable[pa.Table]:
            for window in reader.windows(start):
                yield _block(window)

        nothing = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
        return [ReadTask(read, nothing)]


def _actor(files: ray.ObjectRef, folder: str, options: Options) -> type:
    """Make the class of the actors; what it is told is in it, but for the bundle's files."""

    class Actor:
        """A bundle in a worker process; lives as long as the pool."""

        def __init__(self) -> None:
            self._bundle = parse(ray.get(files), folder, options)

        def __call__(self, table: pa.Table) -> pa.Table:
            window: Window = pickle.loads(table[_COLUMN][0].as_py())
            encodings = encode(self._bundle, window.texts.good)
            return _block((window, compute(self._bundle, encodings, options.embed, threads=1)))

    return Actor


def _reason(error: BaseException) -> str:
    """Say what failed on the cluster: our own sentence where it is ours."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ScoreError):
        cause = getattr(cause, "cause", None) or cause.__cause__
    if cause is not None:
        return str(cause)
    lines = str(error).strip().splitlines()
    return f"on the Ray cluster: {lines[-1] if lines else type(error).__name__}"


def _block(value: object) -> pa.Table:
    return pa.table({_COLUMN: pa.array([pickle.dumps(value, protocol=5)], pa.large_binary())})
