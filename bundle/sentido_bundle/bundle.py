"""A loaded bundle: checks every byte, then turns texts into probabilities and vectors.

Knows nothing of servers or of Keras. Used by the server, by the exporter (to verify what it
wrote) and by anyone who wants predictions in their own process.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession

from sentido_bundle import cpus
from sentido_bundle.errors import BundleError
from sentido_bundle.files import check_digests, parse_vocabulary, read_files
from sentido_bundle.golden import GoldenText, parse_golden
from sentido_bundle.manifest import INT8_MODEL, Manifest, Precision
from sentido_bundle.session import check_graph, embedding_matrix, open_session, outputs_of
from sentido_bundle.shapes import check_shapes
from sentido_bundle.texts import listed
from sentido_bundle.tokenizer import Tokenizer

T = TypeVar("T")
U = TypeVar("U")

LEAST_ROWS, MOST_ROWS = 4, 16
"""Texts that are run at once, of any length; fewer compute slower, more gain nothing."""

BATCH_TOKENS = 1280
"""Tokens with padding that are run at once, so that what the LSTM works on stays in the cache."""

_GROUP = 4  # batches whose inputs are made together: what makes them is in the cache then
_WINDOW = 64  # texts that are tokenized at once

_TRIAL_LENGTHS = ((0, 1, 2, 3, 5, 8, 13, 21), (3, 500))
"""Tokens of the texts that each loaded bundle is tried with, batch by batch."""


@dataclass(frozen=True)
class Outputs:
    """What the model says of some texts, a row a text."""

    probabilities: NDArray[np.float32]  # (texts, labels)
    hidden: NDArray[np.float32]  # (texts, hidden)

    def row(self, index: int) -> "Outputs":
        """Return the vectors of one text: (labels,) and (hidden,)."""
        return Outputs(self.probabilities[index], self.hidden[index])


@dataclass(frozen=True)
class Neighbour:
    """A word near another one."""

    id: int
    text: str
    similarity: float  # cosine, -1 to 1


class Bundle:
    """A verified bundle in memory. Immutable; every method is safe from any thread.

    `precision` says which graph `run` and `predict` use. Steps and word vectors are fp32 always.
    It lives as long as it is referenced and holds no open file: all was read by `load`.
    """

    def __init__(
        self,
        manifest: Manifest,
        digest: str,
        precision: Precision,
        tokenizer: Tokenizer,
        embeddings: NDArray[np.float32],
        model: InferenceSession,
        tokens: InferenceSession,
    ) -> None:
        """Use `Bundle.load`."""
        self.manifest = manifest
        self.digest = digest
        self.precision = precision
        self.tokenizer = tokenizer
        self.embeddings = embeddings  # (vocabulary, embedding), read-only
        self._model = model
        self._tokens = tokens

    def __repr__(self) -> str:
        """Describe it in a line, without what it computes with."""
        manifest = self.manifest
        return (
            f"<Bundle {manifest.name} {manifest.version} in {self.precision},"
            f" labels {', '.join(self.labels)}, digest {self.digest[:12]}>"
        )

    def __del__(self) -> None:
        """Free the large parts one after another, between which other threads have their turn.

        Freeing hundreds of megabytes keeps Python's lock, and a server does so after a reload.
        """
        for name in ("_model", "_tokens", "embeddings"):
            self.__dict__.pop(name, None)

    @classmethod
    def load(cls, directory: str | Path, precision: str = Precision.FP32) -> Self:
        """Read, check and verify the bundle in `directory`, to run in "fp32" or "int8".

        What is checked: see `parse`. Raises BundleError saying which file is wrong and how, also
        if there is no int8 twin, and ValueError for another precision.
        """
        directory = Path(directory)
        try:
            return cls.parse(read_files(directory), precision)
        except BundleError as error:
            raise BundleError(f"bundle {directory}: {error}") from error
        except OSError as error:
            raise BundleError(f"bundle {directory}: cannot be read: {error.strerror}") from error

    @classmethod
    def parse(cls, files: Mapping[str, bytes], precision: str = Precision.FP32) -> Self:
        """Check and verify a bundle from the contents of its files, by name.

        Checked: the manifest's fields, every file's size and SHA-256, what the graphs hold, that
        graphs, vocabulary and labels agree in shape, and the golden texts. Raises BundleError.
        Of `model.onnx` and its int8 twin only the one that is to run is opened and verified.
        """
        precision = Precision(precision)
        manifest = Manifest.parse(files["manifest.json"])
        if precision is Precision.INT8 and manifest.int8 is None:
            raise BundleError(
                f"holds no {INT8_MODEL}: export it again with this release and without --no-int8,"
                " or choose the precision fp32"
            )
        check_digests(manifest, files)
        model = INT8_MODEL if precision is Precision.INT8 else "model.onnx"
        sizes, labels = manifest.dimensions, len(manifest.labels)
        vocabulary = parse_vocabulary(files["vocabulary.json"], manifest)
        graphs = {name: check_graph(name, files, sizes) for name in (model, "tokens.onnx")}
        embeddings = embedding_matrix(graphs, files["weights.bin"], sizes)
        sessions = []
        for name, graph in graphs.items():
            outputs = outputs_of(name, sizes, labels)
            check_shapes(name, graph, files["weights.bin"], sizes, labels, outputs)
            sessions.append(open_session(name, files, outputs))
        bundle = cls(
            manifest,
            hashlib.sha256(files["manifest.json"]).hexdigest(),
            precision,
            Tokenizer(vocabulary, manifest.preprocessing),
            embeddings,
            *sessions,
        )
        golden = parse_golden(files["golden.json"], sizes.hidden, labels)
        try:
            bundle.verify(golden)
            bundle.verify_rows()
        except BundleError:
            raise
        except Exception as error:  # of ONNX Runtime, which has no base class for them
            raise BundleError(f"the graphs cannot be run: {error}") from error
        return bundle

    @property
    def name(self) -> str:
        """The model's plain name."""
        return self.manifest.name

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the probabilities."""
        return self.manifest.labels

    def predict(self, texts: Collection[str], *, threads: int | None = None) -> Outputs:
        """Classify texts: tokenize and run, on `threads` threads (None: one a CPU granted).

        A text's bits do not depend on the number of threads. Raises ValueError for no text at all,
        TypeError for what is not a list, an array or a column of str.
        """
        texts = listed(texts)
        threads = cpus.granted() if threads is None else threads
        windows = [texts[i : i + _WINDOW] for i in range(0, len(texts), _WINDOW)]
        encodings = chain.from_iterable(_on_threads(self.tokenizer.encode_all, windows, threads))
        return self.run([encoding.ids for encoding in encodings], threads=threads)

    def run(self, sequences: Sequence[NDArray[np.int32]], *, threads: int = 1) -> Outputs:
        """Run the model on ids, (tokens,) each, in batches of near length.

        In fp32 the same ids give the same bits, whatever else is in `sequences`; in int8 a batch
        shares one scale, and they give a little else in another one. Raises ValueError for no
        sequence at all: ONNX Runtime ends the process on a batch of no rows.
        """
        if not sequences:
            raise ValueError("a batch of no texts cannot be run")
        batches = _batches([len(ids) for ids in sequences])
        groups = [batches[i : i + _GROUP] for i in range(0, len(batches), _GROUP)]

        def run_group(group: list[list[int]]) -> list[Outputs]:
            inputs = [graph_inputs([sequences[i] for i in rows]) for rows in group]
            return [self._run(each) for each in inputs]

        found = [each for ran in _on_threads(run_group, groups, threads) for each in ran]
        back = np.argsort(np.concatenate(batches))
        return Outputs(
            np.concatenate([each.probabilities for each in found])[back],
            np.concatenate([each.hidden for each in found])[back],
        )

    def run_batch(self, sequences: Sequence[NDArray[np.int32]]) -> Outputs:
        """Run the model once, on ids of near length: the one batch that a caller has made.

        Raises ValueError for no sequence at all, as `run` does.
        """
        if not sequences:
            raise ValueError("a batch of no texts cannot be run")
        return self._run(graph_inputs(sequences))

    def run_steps(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """Give the LSTM's state after each token, in fp32: (tokens,) -> (tokens, hidden)."""
        return self._run_tokens(ids)[1]

    def embed_words(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """Give the tokens' rows of the embedding matrix: (tokens,) -> (tokens, embedding)."""
        return self.embeddings[ids]

    def embed_mean(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """Give the mean of the tokens' rows: (tokens,) -> (embedding,); zeros for no tokens."""
        if len(ids) == 0:
            return np.zeros(self.embeddings.shape[1], np.float32)
        mean: NDArray[np.float32] = self.embeddings[ids].mean(axis=0, dtype=np.float32)
        return mean

    def nearest(self, id: int, limit: int) -> list[Neighbour]:
        """Give the words nearest to a word by cosine similarity, without padding and itself."""
        similarities = self._unit_rows @ self._unit_rows[id]  # (vocabulary,)
        similarities[[0, id]] = -np.inf
        count = max(0, min(limit, len(similarities) - 2))
        best = np.argsort(-similarities, kind="stable")[:count]  # of equals the lower id first
        words = self.tokenizer.vocabulary
        return [Neighbour(int(i), words[i], min(1.0, float(similarities[i]))) for i in best]

    def verify(self, golden: Sequence[GoldenText]) -> float:
        """Compare with what Keras answered; return the largest difference.

        Raises BundleError for other ids, for a difference above the tolerance that is recorded for
        the precision, for probabilities that are none, or if tokens.onnx and the embedding matrix
        disagree with it.
        """
        for index, text in enumerate(golden):
            ids = self.tokenizer.encode(text.text).ids
            if not np.array_equal(ids, text.ids):
                raise BundleError(f"golden text {index} does not give the ids in golden.json")
        outputs = self.run([text.ids for text in golden])
        largest = 0.0
        for index, text in enumerate(golden):
            where, row = f"golden text {index}", outputs.row(index)
            self._check_probabilities(where, row)
            wanted = Outputs(text.probabilities, text.hidden)
            largest = max(largest, self._difference(where, row, wanted, "golden.json"))
            self._verify_tokens(where, text.ids, text.hidden)
        return largest

    def verify_rows(self) -> None:
        """Run a few texts of our own, whose lengths differ, alone and together.

        Raises BundleError if a text's answer depends on those beside it: in a bit in fp32, by more
        than the recorded tolerance in int8. Golden texts cannot show that: whoever wrote the bundle
        chose them, and they may be one text.
        """
        for lengths in _TRIAL_LENGTHS:
            texts = [self._trial_ids(length) for length in lengths]
            together = self.run_batch(texts)
            for index, ids in enumerate(texts):
                where, row = f"a text of {len(ids)} tokens in a batch", together.row(index)
                self._check_probabilities(where, row)
                alone = self.run_batch([ids]).row(0)
                difference = self._difference(where, row, alone, "what it gives alone")
                if difference > 0 and self.precision is Precision.FP32:
                    raise BundleError(f"{where}: {self._graph} gives other bits than alone")

    def _trial_ids(self, length: int) -> NDArray[np.int32]:
        """Return ids of many words, as many as the model may read at most."""
        words = self.manifest.dimensions.vocabulary - 1  # without padding
        count = min(length, self.tokenizer.preprocessing.max_tokens) if words else 0
        return (np.arange(count) * 7919 % max(1, words) + 1).astype(np.int32)

    @property
    def _graph(self) -> str:
        return INT8_MODEL if self.precision is Precision.INT8 else "model.onnx"

    def _check_probabilities(self, where: str, row: Outputs) -> None:
        found = row.probabilities
        if not (found.min() >= 0 and found.max() <= 1):  # not: NaN is neither
            raise BundleError(
                f"{where}: {self._graph} gives probabilities of {found.min():g} to {found.max():g},"
                " they must be within 0 to 1"
            )

    def _difference(self, where: str, got: Outputs, wanted: Outputs, source: str) -> float:
        """Return the largest difference of two answers; raise BundleError above the tolerance."""
        int8 = self.manifest.int8 if self.precision is Precision.INT8 else None
        tolerance = int8.tolerance if int8 else self.manifest.parity.tolerance
        largest = 0.0
        for name, one, other in (
            ("hidden state", got.hidden, wanted.hidden),
            ("probabilities", got.probabilities, wanted.probabilities),
        ):
            difference = float(np.abs(one - other).max())
            if not difference <= tolerance:  # not: NaN is no match
                raise BundleError(
                    f"{where}: the {name} of {self._graph} differ from {source} by"
                    f" {difference:.2g}, at most {tolerance:.2g} is allowed"
                )
            largest = max(largest, difference)
        return largest

    def _verify_tokens(
        self, where: str, ids: NDArray[np.int32], hidden: NDArray[np.float32]
    ) -> None:
        rows, steps = self._run_tokens(ids)
        if not np.array_equal(rows, self.embed_words(ids)):
            raise BundleError(f"{where}: tokens.onnx gives other word vectors")
        tolerance = self.manifest.parity.tolerance
        if len(ids) and not np.abs(steps[-1] - hidden).max() <= tolerance:
            raise BundleError(f"{where}: tokens.onnx ends in another hidden state")

    def _run(self, inputs: dict[str, NDArray[np.int32]]) -> Outputs:
        return Outputs(*self._model.run(["probabilities", "hidden"], inputs))

    def _run_tokens(
        self, ids: NDArray[np.int32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rows, steps = self._tokens.run(["embeddings", "hidden_steps"], graph_inputs([ids]))
        return rows[0, : len(ids)], steps[0, : len(ids)]

    @cached_property
    def _unit_rows(self) -> NDArray[np.float32]:
        return normalize(self.embeddings)


def normalize(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Divide each vector (the last axis) by its Euclidean length; zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: NDArray[np.float32] = np.divide(
        vectors, np.where(lengths == 0, 1, lengths), dtype=np.float32
    )
    return unit


def _on_threads(work: Callable[[T], U], items: Sequence[T], threads: int) -> list[U]:
    """Do the work for each item, in order; on threads only where there is something for several."""
    if threads == 1 or len(items) <= 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, items))


def _batches(lengths: Sequence[int]) -> list[list[int]]:
    """Cut indices into batches of near length, the longest first so that threads end together."""
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    batches = []
    while order:
        count = min(MOST_ROWS, max(LEAST_ROWS, BATCH_TOKENS // max(1, lengths[order[-1]])))
        batches.append(order[-count:])
        del order[-count:]
    return batches


def graph_inputs(sequences: Sequence[NDArray[np.int32]]) -> dict[str, NDArray[np.int32]]:
    """Give the inputs of both graphs: token_ids (batch, time) and lengths (batch,)."""
    lengths = np.array([len(ids) for ids in sequences], dtype=np.int32)
    return {"token_ids": pad(sequences), "lengths": lengths}


def pad(sequences: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    """Put ids into one array, padded with 0 on the right: (batch, time), time at least 1."""
    time = max(1, max(len(ids) for ids in sequences))
    batch = np.zeros((len(sequences), time), dtype=np.int32)
    for row, ids in zip(batch, sequences, strict=True):
        row[: len(ids)] = ids
    return batch
