"""A loaded bundle: checks every byte, then turns texts into probabilities and vectors.

Knows nothing of servers or of Keras. Used by the server, by the exporter (to verify what it
wrote) and by anyone who wants predictions in their own process.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession, SessionOptions

from sentido_bundle.errors import BundleError
from sentido_bundle.golden import GoldenText, parse_golden
from sentido_bundle.graph import Graph, read_graph
from sentido_bundle.manifest import FILES, FileFacts, Manifest, parse_json
from sentido_bundle.tokenizer import Tokenizer

TABLE = "embedding_matrix"
"""The name of the embedding matrix among the tensors of both graphs."""

_MANIFEST_LIMIT = 1 << 20  # bytes; a manifest has a few thousand
_BATCH_ROWS = 8  # measured best on one thread, see docs/measurements.md
_FLOAT32 = 1  # TensorProto.DataType

_Shapes = dict[str, list[int | None]]
"""Names and shapes of a graph's inputs or outputs; None is a size that differs from run to run."""


@dataclass(frozen=True)
class Outputs:
    """What the model says of some texts, a row a text."""

    probabilities: NDArray[np.float32]  # (texts, labels)
    hidden: NDArray[np.float32]  # (texts, hidden)


@dataclass(frozen=True)
class Neighbour:
    """A word near another one."""

    id: int
    text: str
    similarity: float  # cosine, -1 to 1


class Bundle:
    """A verified bundle in memory. Immutable; every method is safe from any thread.

    It lives as long as it is referenced and holds no open file: all was read by `load`.
    """

    def __init__(
        self,
        manifest: Manifest,
        digest: str,
        tokenizer: Tokenizer,
        embeddings: NDArray[np.float32],
        model: InferenceSession,
        tokens: InferenceSession,
    ) -> None:
        """Use `Bundle.load`."""
        self.manifest = manifest
        self.digest = digest
        self.tokenizer = tokenizer
        self.embeddings = embeddings  # (vocabulary, embedding), read-only
        self._model = model
        self._tokens = tokens

    @classmethod
    def load(cls, directory: str | Path) -> Self:
        """Read, check and verify the bundle in `directory`.

        What is checked: see `parse`. Raises BundleError saying which file is wrong and how.
        """
        directory = Path(directory)
        try:
            data = _read_manifest(directory)
            facts = Manifest.parse(data).files
            files = {name: _read_file(directory, name, facts[name].bytes) for name in FILES}
            return cls.parse({"manifest.json": data, **files})
        except BundleError as error:
            raise BundleError(f"bundle {directory}: {error}") from error

    @classmethod
    def parse(cls, files: Mapping[str, bytes]) -> Self:
        """Check and verify a bundle from the contents of its files, by name.

        Checked: the manifest's fields, every file's size and SHA-256, what the graphs hold, that
        graphs, vocabulary and labels agree in shape, and the golden texts. Raises BundleError.
        """
        manifest = Manifest.parse(files["manifest.json"])
        for name in FILES:
            _check_digest(name, files[name], manifest.files[name])
        sizes, labels = manifest.dimensions, len(manifest.labels)
        classified: _Shapes = {"probabilities": [None, labels], "hidden": [None, sizes.hidden]}
        stepped: _Shapes = {
            "embeddings": [None, None, sizes.embedding],
            "hidden_steps": [None, None, sizes.hidden],
        }
        bundle = cls(
            manifest,
            hashlib.sha256(files["manifest.json"]).hexdigest(),
            Tokenizer(
                _parse_vocabulary(files["vocabulary.json"], manifest), manifest.preprocessing
            ),
            _embedding_table(files, manifest),
            _open_graph("model.onnx", files, classified),
            _open_graph("tokens.onnx", files, stepped),
        )
        bundle.verify(parse_golden(files["golden.json"], sizes.hidden, labels))
        return bundle

    @property
    def name(self) -> str:
        """The model's plain name."""
        return self.manifest.name

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the probabilities."""
        return self.manifest.labels

    def predict(self, texts: Sequence[str]) -> Outputs:
        """Classify texts: tokenize and run. Raises ValueError for no text at all."""
        return self.run([self.tokenizer.encode(text).ids for text in texts])

    def run(self, sequences: Sequence[NDArray[np.int32]]) -> Outputs:
        """Run the model on ids, (tokens,) each, in batches of near length.

        The same ids give the same bits, whatever else is in `sequences`. Raises ValueError for no
        sequence at all: ONNX Runtime ends the process on a batch of no rows.
        """
        if not sequences:
            raise ValueError("a batch of no texts cannot be run")
        probabilities = np.empty((len(sequences), len(self.labels)), np.float32)
        hidden = np.empty((len(sequences), self.manifest.dimensions.hidden), np.float32)
        order = sorted(range(len(sequences)), key=lambda i: len(sequences[i]))
        for start in range(0, len(order), _BATCH_ROWS):
            rows = order[start : start + _BATCH_ROWS]
            inputs = _pad([sequences[i] for i in rows])
            probabilities[rows], hidden[rows] = self._model.run(["probabilities", "hidden"], inputs)
        return Outputs(probabilities, hidden)

    def run_steps(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """Give the LSTM's state after each token: (tokens,) -> (tokens, hidden)."""
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

        Raises BundleError for other ids, for a difference above the recorded tolerance, or if the
        two graphs and the embedding matrix disagree.
        """
        for index, text in enumerate(golden):
            ids = self.tokenizer.encode(text.text).ids
            if not np.array_equal(ids, text.ids):
                raise BundleError(f"golden text {index} does not give the ids in golden.json")
        outputs = self.run([text.ids for text in golden])
        largest = 0.0
        for index, text in enumerate(golden):
            for name, got, want in (
                ("hidden state", outputs.hidden[index], text.hidden),
                ("probabilities", outputs.probabilities[index], text.probabilities),
            ):
                difference = float(np.abs(got - want).max())
                if not difference <= self.manifest.parity.tolerance:  # not: NaN is no match
                    raise BundleError(
                        f"golden text {index}: the {name} of model.onnx differ from golden.json"
                        f" by {difference:.2g}, at most {self.manifest.parity.tolerance:.2g} is"
                        " allowed"
                    )
                largest = max(largest, difference)
            self._verify_tokens(index, text.ids, outputs.hidden[index])
        return largest

    def _verify_tokens(
        self, index: int, ids: NDArray[np.int32], hidden: NDArray[np.float32]
    ) -> None:
        rows, steps = self._run_tokens(ids)
        if not np.array_equal(rows, self.embed_words(ids)):
            raise BundleError(f"golden text {index}: tokens.onnx gives other word vectors")
        if len(ids) and not np.abs(steps[-1] - hidden).max() <= self.manifest.parity.tolerance:
            raise BundleError(f"golden text {index}: tokens.onnx ends in another hidden state")

    def _run_tokens(
        self, ids: NDArray[np.int32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rows, steps = self._tokens.run(["embeddings", "hidden_steps"], _pad([ids]))
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


def _pad(sequences: Sequence[NDArray[np.int32]]) -> dict[str, NDArray[np.int32]]:
    """Put ids into one array, padded with 0 on the right: (batch, time) and (batch,)."""
    lengths = np.array([len(ids) for ids in sequences], dtype=np.int32)
    token_ids = np.zeros((len(sequences), max(1, int(lengths.max()))), dtype=np.int32)
    for row, ids in zip(token_ids, sequences, strict=True):
        row[: len(ids)] = ids
    return {"token_ids": token_ids, "lengths": lengths}


def _read_manifest(directory: Path) -> bytes:
    if not directory.is_dir():
        raise BundleError("no such directory; a bundle is the folder that sentido-export wrote")
    with _open(directory, "manifest.json") as file:
        data: bytes = file.read(_MANIFEST_LIMIT + 1)
    if len(data) > _MANIFEST_LIMIT:
        raise BundleError(f"manifest.json: more than {_MANIFEST_LIMIT} bytes")
    return data


def _read_file(directory: Path, name: str, size: int) -> bytes:
    """Read a file that must have `size` bytes: never more than the manifest allows."""
    with _open(directory, name) as file:
        found = file.seek(0, 2)
        if found != size:
            raise BundleError(f"{name}: {found} bytes, the manifest says {size}")
        file.seek(0)
        data: bytes = file.read(size)
    return data


def _check_digest(name: str, data: bytes, facts: FileFacts) -> None:
    if len(data) != facts.bytes:
        raise BundleError(f"{name}: {len(data)} bytes, the manifest says {facts.bytes}")
    digest = hashlib.sha256(data).hexdigest()
    if digest != facts.sha256:
        raise BundleError(f"{name}: SHA-256 is {digest}, the manifest says {facts.sha256}")


def _open(directory: Path, name: str) -> Any:
    path = directory / name
    if not path.resolve().is_relative_to(directory.resolve()):
        raise BundleError(f"{name}: leads out of the bundle's directory, to {path.resolve()}")
    if not path.exists():
        raise BundleError(f"{name} is missing")
    if not path.is_file():
        raise BundleError(f"{name} is not a file")
    try:
        return path.open("rb")
    except OSError as error:
        raise BundleError(f"{name}: cannot be read: {error.strerror}") from error


def _parse_vocabulary(data: bytes, manifest: Manifest) -> list[str]:
    words = parse_json("vocabulary.json", data)
    if not isinstance(words, list) or not all(type(word) is str for word in words):
        raise BundleError("vocabulary.json: an array of words is needed")
    if len(words) != manifest.dimensions.vocabulary:
        raise BundleError(
            f"vocabulary.json: {len(words)} words, the manifest says"
            f" {manifest.dimensions.vocabulary}"
        )
    if words[0] != "" or "" in words[1:]:
        raise BundleError('vocabulary.json: "" must stand at index 0, for padding, and only there')
    if len(set(words)) != len(words):
        raise BundleError("vocabulary.json: a word stands in it twice")
    oov = manifest.preprocessing.oov_token
    if oov is not None and oov not in words:
        raise BundleError(f"vocabulary.json: the oov_token {oov!r} is not in it")
    return words


def _read_graph(name: str, files: Mapping[str, bytes]) -> Graph:
    graph = read_graph(name, files[name], {"weights.bin": len(files["weights.bin"])})
    if graph.operators.count("LSTM") != 1:
        raise BundleError(f"{name}: {graph.operators.count('LSTM')} LSTM nodes, one is needed")
    return graph


def _embedding_table(files: Mapping[str, bytes], manifest: Manifest) -> NDArray[np.float32]:
    """Give the embedding matrix as a view of `weights.bin`: (vocabulary, embedding)."""
    wanted = (manifest.dimensions.vocabulary, manifest.dimensions.embedding)
    offsets = set()
    for name in ("model.onnx", "tokens.onnx"):
        tensor = _read_graph(name, files).tensors.get(TABLE)
        if tensor is None or tensor.location is None or tensor.data_type != _FLOAT32:
            raise BundleError(f"{name}: no float32 tensor {TABLE!r} in weights.bin")
        if tensor.shape != wanted:
            raise BundleError(f"{name}: tensor {TABLE!r} has shape {tensor.shape}, not {wanted}")
        offsets.add(tensor.offset)
    if len(offsets) != 1:
        raise BundleError(f"tokens.onnx: its tensor {TABLE!r} is another one than in model.onnx")
    size = wanted[0] * wanted[1]
    return np.frombuffer(files["weights.bin"], "<f4", size, offsets.pop()).reshape(wanted)


def _open_graph(name: str, files: Mapping[str, bytes], outputs: _Shapes) -> InferenceSession:
    weights = files["weights.bin"]
    options = SessionOptions()
    options.intra_op_num_threads = 1  # callers run several batches at once, one a thread
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_external_initializers_from_files_in_memory(
        ["weights.bin"], [weights], [len(weights)]
    )
    try:
        session = InferenceSession(files[name], options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has a dozen exception types without a common base
        raise BundleError(f"{name}: ONNX Runtime refuses it: {error}") from error
    inputs: _Shapes = {"token_ids": [None, None], "lengths": [None]}
    _check_signature(f"{name}: inputs", session.get_inputs(), inputs)
    _check_signature(f"{name}: outputs", session.get_outputs(), outputs)
    return session


def _check_signature(where: str, found: Sequence[Any], wanted: _Shapes) -> None:
    shapes = {
        item.name: [size if isinstance(size, int) else None for size in item.shape]
        for item in found
    }
    if shapes != wanted:
        raise BundleError(f"{where} are {shapes}, {wanted} are needed")
