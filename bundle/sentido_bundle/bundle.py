"""A loaded bundle: checks every byte, then turns texts into probabilities and vectors.

Knows nothing of servers or of Keras. Used by the server, by the exporter (to verify what it
wrote) and by anyone who wants predictions in their own process.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sentido_bundle import bounds, cpus, proving
from sentido_bundle.batches import batches_of, on_threads
from sentido_bundle.cleaning import Cleaner, parse_cleaning
from sentido_bundle.errors import BundleError, MissingCapabilityError, naming
from sentido_bundle.files import check_digests, parse_vocabulary, read_files
from sentido_bundle.golden import parse_golden
from sentido_bundle.graphs import DEFAULT_LIMITS, RunLimits
from sentido_bundle.layouts import Ids, layout_of
from sentido_bundle.manifest import CLEANING, EVALUATION, STEPS_MODEL, Manifest, check_plain_name
from sentido_bundle.outputs import Outputs
from sentido_bundle.running import Arrays, RunnableGraph, TextGraph, TokenGraph
from sentido_bundle.sections import Precision, Vectors
from sentido_bundle.session import OpenGraph, check_model, embedding_matrix, open_graph
from sentido_bundle.texts import listed
from sentido_bundle.tokenizer import Tokenizer
from sentido_bundle.vector_kinds import TEXT_KINDS, TOKEN_KINDS, VectorKind
from sentido_bundle.word_vectors import WordVectors

Vector = NDArray[np.float32]

_GROUP = 4  # batches whose inputs are made together: what makes them is in the cache then
_WINDOW = 64  # texts that are tokenized at once


class Bundle:
    """A verified bundle in memory. Immutable; every method is safe from any thread.

    `precision` says which graph `run` and `predict` use. Steps and word vectors are fp32 always.
    It lives as long as it is referenced and holds no open file: all was read by `load`. Asking for
    what the model cannot do (`capabilities`) raises MissingCapabilityError.
    """

    def __init__(
        self,
        name: str,
        manifest: Manifest,
        digest: str,
        precision: Precision,
        tokenizer: Tokenizer,
        graphs: Mapping[str, OpenGraph],
        word_vectors: WordVectors | None,
    ) -> None:
        """Use `Bundle.load`."""
        self.name = name
        self.manifest = manifest
        self.digest = digest
        self.precision = precision
        self.tokenizer = tokenizer
        layout, steps = layout_of(manifest.inputs), graphs.get(STEPS_MODEL)
        model = graphs[manifest.model_file(precision)]
        outputs, length = tuple(manifest.outputs()), manifest.inputs.length
        self._texts = TextGraph(model, outputs, layout, length)
        self._tokens = TokenGraph(steps, "steps", layout) if steps is not None else None
        self._word_vectors = word_vectors
        self.evaluation: bytes | None = None
        """What `evaluation.json` holds, not looked into; None: the bundle has none."""
        self.thresholds = tuple(np.array(manifest.task.thresholds, np.float32).tolist())
        """Of the task multi_label: from which probability on each label is chosen, a float32."""

    def __repr__(self) -> str:
        """Describe it in a line, without what it computes with."""
        manifest = self.manifest
        return (
            f"<Bundle {self.name} {manifest.version} in {self.precision},"
            f" labels {', '.join(self.labels)}, digest {self.digest[:12]}>"
        )

    def __del__(self) -> None:
        """Free the large parts one after another, between which other threads have their turn.

        Freeing hundreds of megabytes keeps Python's lock, and a server does so after a reload.
        """
        for name in ("_texts", "_tokens", "_word_vectors"):
            self.__dict__.pop(name, None)

    @classmethod
    def load(
        cls,
        directory: str | Path,
        precision: str = Precision.FP32,
        *,
        name: str = "",
        limits: RunLimits = DEFAULT_LIMITS,
    ) -> Self:
        """Read, check and verify the bundle in `directory`, to run in "fp32" or "int8".

        `name`: what the model is called instead of what the manifest says; the digest stays.
        `limits`: what one run of a graph may take; a batch has as many texts as fit into it.
        What is checked: see `parse`. Raises BundleError saying which file is wrong and how, also
        if there is no int8 twin, and ValueError for another precision or a name that is none.
        """
        with naming(directory):
            return cls.parse(read_files(Path(directory)), precision, name=name, limits=limits)

    @classmethod
    def parse(
        cls,
        files: Mapping[str, bytes],
        precision: str = Precision.FP32,
        *,
        name: str = "",
        limits: RunLimits = DEFAULT_LIMITS,
    ) -> Self:
        """Check and verify a bundle from the contents of its files, by name; see `load`.

        Checked: the manifest's fields, every file's size and SHA-256, what the graphs hold, that
        graphs, vocabulary and labels agree in shape, that one text of the greatest length is
        within the limits of a run, and the golden texts. Raises BundleError.
        Of `model.onnx` and its int8 twin only the one that is to run is opened and verified.
        """
        precision = Precision(precision)
        if name:
            check_plain_name("name", name)
        manifest = Manifest.parse(files["manifest.json"])
        if precision is Precision.INT8 and manifest.int8 is None:
            raise MissingCapabilityError(manifest.name, "int8", _NO_TWIN)
        check_digests(manifest, files)
        vocabulary = parse_vocabulary(files["vocabulary.json"], manifest)
        sessions, matrix = _open_graphs(manifest, files, precision, limits)
        bundle = cls(
            name or manifest.name,
            manifest,
            hashlib.sha256(files["manifest.json"]).hexdigest(),
            precision,
            Tokenizer(
                vocabulary,
                manifest.tokenizer,
                manifest.inputs,
                _cleaner(manifest, files, limits.max_text_characters),
            ),
            sessions,
            WordVectors(matrix, vocabulary) if matrix is not None else None,
        )
        bundle.evaluation = files[EVALUATION] if manifest.evaluation else None
        golden = parse_golden(files["golden.json"], manifest.outputs(), manifest.steps)
        proving.check_work(bundle, golden, limits)
        try:
            proving.verify(bundle, golden)
            proving.verify_rows(bundle)
        except BundleError:
            raise
        except Exception as error:  # of ONNX Runtime, which has no base class for them
            raise BundleError(f"the graphs cannot be run: {error}") from error
        return bundle

    @property
    def version(self) -> str:
        """The model's version."""
        return self.manifest.version

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the probabilities."""
        return self.manifest.labels

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What the model can do beside giving probabilities, as "hidden" or "word_vectors"."""
        return self.manifest.capabilities

    @property
    def word_vectors(self) -> WordVectors:
        """The vectors of words. Raises MissingCapabilityError."""
        if self._word_vectors is None:
            raise MissingCapabilityError(self.name, "word_vectors")
        return self._word_vectors

    def require(self, capability: str) -> None:
        """Raise MissingCapabilityError unless the model can do that."""
        if capability not in self.capabilities:
            raise MissingCapabilityError(self.name, capability)

    def graph_of(self, output: str) -> RunnableGraph:
        """Return the graph that gives an output. Raises MissingCapabilityError."""
        for graph in (self._texts, self._tokens):
            if graph is not None and output in graph.outputs:
                return graph
        raise MissingCapabilityError(self.name, output)

    def text_vectors(self, kind: str) -> VectorKind:
        """Return a kind of vectors for a text, of TEXT_KINDS. Raises MissingCapabilityError."""
        return self._vectors(TEXT_KINDS[kind], lambda: self.word_vectors.mean)

    def token_vectors(self, kind: str) -> VectorKind:
        """Return a kind of vectors for tokens, of TOKEN_KINDS. Raises MissingCapabilityError."""
        return self._vectors(TOKEN_KINDS[kind], lambda: self.word_vectors.rows)

    def _vectors(
        self, capability: str, look_up: Callable[[], Callable[[Ids], Vector]]
    ) -> VectorKind:
        facts: Vectors | None = getattr(self.manifest, capability)
        if facts is None:
            raise MissingCapabilityError(self.name, capability)
        if capability == "word_vectors":
            return VectorKind(facts.size, None, look_up())
        graph = self.graph_of(capability)
        return VectorKind(facts.size, capability, lambda ids: graph.run([ids])[capability][0])

    def chosen(self, probabilities: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return which labels hold: (texts, labels) -> (texts, labels).

        Of the task multi_label those whose probability is at least their threshold, else the
        likeliest alone, of equals the first.
        """
        if self.thresholds:
            found = probabilities >= np.array(self.thresholds, np.float32)
        else:
            best = probabilities.argmax(axis=1, keepdims=True)
            found = np.arange(probabilities.shape[1]) == best
        return np.asarray(found)

    def predict(self, texts: Collection[str], *, threads: int | None = None) -> Outputs:
        """Classify texts: tokenize and run, on `threads` threads (None: one per CPU granted).

        A text's bits do not depend on the number of threads. Raises ValueError for no text at all,
        CleaningError for a text that grows too long as it is cleaned, TypeError for what is not a
        list, an array or a column of str.
        """
        texts = listed(texts)
        threads = cpus.granted() if threads is None else threads
        windows = [texts[i : i + _WINDOW] for i in range(0, len(texts), _WINDOW)]
        encodings = chain.from_iterable(on_threads(self.tokenizer.encode_all, windows, threads))
        return self.run([encoding.ids for encoding in encodings], threads=threads)

    def run(self, sequences: Sequence[Ids], *, threads: int = 1) -> Outputs:
        """Run the model on ids, (tokens,) each, in batches of near cost.

        In fp32 the same ids give the same bits, whatever else is in `sequences`, if the manifest
        says `same_bits`; in int8 a batch shares one scale, and they give a little else in another
        one. Raises ValueError for no sequence at all: ONNX Runtime ends the process on a batch of
        no rows.
        """
        if not sequences:
            raise ValueError("a batch of no texts cannot be run")
        graph = self._texts
        batches = batches_of([graph.cost(ids) for ids in sequences])
        groups = [batches[i : i + _GROUP] for i in range(0, len(batches), _GROUP)]

        def run_group(group: list[list[int]]) -> list[Arrays]:
            inputs = [graph.inputs([sequences[i] for i in batch]) for batch in group]
            return [graph.compute(each) for each in inputs]

        found = [arrays for each in on_threads(run_group, groups, threads) for arrays in each]
        back = np.argsort(np.concatenate(batches))
        whole = {
            name: np.concatenate([arrays[name] for arrays in found])[back] for name in graph.outputs
        }
        return Outputs(whole, self.name)

    def run_batch(self, sequences: Sequence[Ids]) -> Outputs:
        """Run the model on the one batch that a caller has made, of ids of near cost.

        Raises ValueError for no sequence at all, as `run` does.
        """
        if not sequences:
            raise ValueError("a batch of no texts cannot be run")
        return Outputs(self._texts.run(sequences), self.name)

    def run_steps(self, ids: Ids) -> NDArray[np.float32]:
        """Return what the last recurrent layer gives after each token, in fp32: (tokens, size).

        Raises MissingCapabilityError.
        """
        return self.graph_of("steps").run([ids])["steps"][0]

    def multiplications(self, tokens: int) -> int:
        """Return how many multiplications a text of so many tokens takes."""
        return self._texts.multiplications(tokens)


def _cleaner(manifest: Manifest, files: Mapping[str, bytes], characters: int) -> Cleaner | None:
    """Return what takes the steps of `cleaning.json`, in bundles that have it."""
    if manifest.cleaning is None:
        return None
    cleaner = parse_cleaning(CLEANING, files[CLEANING], bounds.CLEANING_GROWTH * characters)
    if len(cleaner) != manifest.cleaning.steps:
        raise BundleError(
            f"{CLEANING}: has {len(cleaner)} steps, the manifest says {manifest.cleaning.steps}"
        )
    return cleaner


_NO_TWIN = ": choose the precision fp32, or train a model with sentido-export and without --no-int8"


def _open_graphs(
    manifest: Manifest, files: Mapping[str, bytes], precision: Precision, limits: RunLimits
) -> tuple[dict[str, OpenGraph], NDArray[np.float32] | None]:
    """Look into the graphs that are to run and open them; return them and the embedding matrix."""
    names = [manifest.model_file(precision), *([STEPS_MODEL] if manifest.steps else [])]
    graphs = {name: check_model(name, files, manifest, limits) for name in names}
    matrix = None
    if manifest.word_vectors:
        shape = manifest.vocabulary_size, manifest.word_vectors.size
        matrix = embedding_matrix(graphs, files["weights.bin"], shape)
    opened = {name: open_graph(name, files, graph, limits) for name, graph in graphs.items()}
    return opened, matrix
