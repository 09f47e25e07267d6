"""The engine of one machine: the bundle in this process, on all CPUs."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sentido_bundle import (
    Bundle,
    BundleError,
    CleaningError,
    Encoding,
    MissingCapabilityError,
    RunLimits,
    cpus,
)
from sentido_bundle.errors import naming
from sentido_bundle.files import read_files
from sentido_bundle.settings import made
from sentido_bundle.vector_kinds import VectorKind

from sentido_score.engines.engine import Model, Scores
from sentido_score.errors import ScoreError
from sentido_score.formats.reader import Reader
from sentido_score.formats.window import Position, Window
from sentido_score.options import Options
from sentido_score.ordered import in_order, read_ahead

_TURN = 0.0005  # seconds

Run = Callable[[Sequence[NDArray[np.int32]]], Mapping[str, NDArray[np.float32]]]
"""Answers ids, (tokens,) each: by the name of the output, (texts, size) each."""


def load(bundle: str | Path, options: Options) -> Bundle:
    """Load a bundle. Raises ScoreError if it cannot be used."""
    return parse(read(bundle), bundle, options)


def read(bundle: str | Path) -> dict[str, bytes]:
    """Read the files of a bundle, by name. Raises ScoreError."""
    with _refused(bundle):
        return read_files(Path(bundle))


def parse(files: Mapping[str, bytes], bundle: str | Path, options: Options) -> Bundle:
    """Make a bundle from its files, which were read from `bundle`. Raises ScoreError."""
    limits = made(RunLimits, vars(options))
    with _refused(bundle):
        return Bundle.parse(files, options.precision, limits=limits)


@contextmanager
def _refused(bundle: str | Path) -> Iterator[None]:
    try:
        with naming(bundle):
            yield
    except BundleError as error:
        raise ScoreError(str(error)) from error


def model_of(bundle: Bundle) -> Model:
    """Say which model a bundle holds."""
    return Model(
        bundle.name,
        bundle.version,
        bundle.digest,
        bundle.labels,
        str(bundle.precision),
        str(bundle.manifest.task.kind),
    )


def vectors_of(bundle: Bundle, embed: str | None) -> VectorKind | None:
    """Return the kind of vectors to add; None: none is asked for, or the model has none of it."""
    with suppress(MissingCapabilityError):
        return bundle.text_vectors(embed) if embed is not None else None
    return None


def dimension_of(bundle: Bundle, embed: str | None) -> int | None:
    """Return the elements of a text's vector; None: there is none to add."""
    vectors = vectors_of(bundle, embed)
    return vectors.size if vectors else None


def encode(bundle: Bundle, texts: Sequence[str]) -> Sequence[Encoding | CleaningError]:
    """Tokenize texts; an error stands for one that grows too long as it is cleaned."""
    return bundle.tokenizer.encode_each(texts)


_NOTHING = Encoding(np.empty(0, np.int32), 0, 0, 0)


def compute(
    bundle: Bundle,
    tried: Sequence[Encoding | CleaningError],
    embed: str | None,
    threads: int,
    run: Run | None = None,
) -> Scores:
    """Run the model on what was tokenized; no texts at all are no scores.

    `run`: gives what the bundle answers, in the place of the bundle.
    """
    errors = {i: str(found) for i, found in enumerate(tried) if isinstance(found, CleaningError)}
    encodings = [_NOTHING if isinstance(found, CleaningError) else found for found in tried]
    sequences, kind = [encoding.ids for encoding in encodings], vectors_of(bundle, embed)
    outputs = {
        name: np.empty((0, size), np.float32) for name, size in bundle.manifest.outputs().items()
    }
    if sequences:
        outputs |= run(sequences) if run else bundle.run(sequences, threads=threads).arrays
    vectors = None
    if kind is not None and kind.output is not None:
        vectors = outputs[kind.output]
    elif kind is not None:
        vectors = np.empty((len(sequences), kind.size), np.float32)
        for row, ids in zip(vectors, sequences, strict=True):
            row[:] = kind.of(ids)
    return Scores(
        outputs["probabilities"],
        bundle.chosen(outputs["probabilities"]),
        np.array([len(ids) for ids in sequences], np.int32),
        np.array([each.truncated_token_count for each in encodings], np.int32),
        np.array([each.out_of_vocabulary_count for each in encodings], np.int32),
        vectors,
        errors,
    )


@contextmanager
def _short_turns() -> Iterator[None]:
    """Have a thread that computes wait for Python's lock for half a millisecond at most, not five.

    A batch computes for some two milliseconds; then it needs the lock, which readers hold.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(_TURN)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


class LocalEngine:
    """Tokenizes the next windows on one thread while the CPUs compute. Holds nothing to close."""

    name = "local"

    def __init__(self, bundle: str | Path, options: Options) -> None:
        self._bundle = load(bundle, options)
        self._embed = options.embed
        self.model = model_of(self._bundle)
        self.dimension = dimension_of(self._bundle, options.embed)

    @property
    def bundle(self) -> Bundle:
        """What computes."""
        return self._bundle

    def scored(self, reader: Reader, start: Position) -> Iterator[tuple[Window, Scores]]:
        """Read, tokenize and compute, each a window ahead of the next; see Engine."""
        threads = cpus.granted()

        def tokenize(window: Window) -> tuple[Window, Sequence[Encoding | CleaningError]]:
            return window, encode(self._bundle, window.texts.good)

        def run(item: tuple[Window, Sequence[Encoding | CleaningError]]) -> tuple[Window, Scores]:
            window, encodings = item
            return window, compute(self._bundle, encodings, self._embed, threads)

        with (
            _short_turns(),
            ThreadPoolExecutor(1, "sentido-tokenize") as tokenizing,
            ThreadPoolExecutor(1, "sentido-compute") as computing,
        ):
            windows = read_ahead(reader.windows(start))
            yield from in_order(computing, run, in_order(tokenizing, tokenize, windows, 1), 1)

    def close(self) -> None:
        """Do nothing."""
