"""Proves a bundle that is being loaded: that it repeats what Keras answered, row by row.

Used by `Bundle.parse`, which gives no bundle that does not pass.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sentido_bundle import bounds
from sentido_bundle.errors import BundleError
from sentido_bundle.golden import LAST_STEP, GoldenText
from sentido_bundle.graphs import RunLimits
from sentido_bundle.layouts import Ids
from sentido_bundle.manifest import STEPS_MODEL, Manifest
from sentido_bundle.outputs import Outputs
from sentido_bundle.sections import Precision
from sentido_bundle.tokenizer import Tokenizer

_TRIAL_LENGTHS = ((0, 1, 2, 3, 5, 8, 13, 21), (3, 500))
"""Tokens of the texts that each loaded bundle is tried with, batch by batch."""

_IN_WORDS = {"hidden": "hidden state"}  # of outputs whose name is not a word for people

Row = dict[str, NDArray[np.float32]]


class Runnable(Protocol):
    """A bundle that is not proven yet."""

    manifest: Manifest
    precision: Precision
    tokenizer: Tokenizer

    def run(self, sequences: Sequence[Ids]) -> Outputs:
        """Run the model on ids, in batches."""

    def run_batch(self, sequences: Sequence[Ids]) -> Outputs:
        """Run the model on one batch."""

    def run_steps(self, ids: Ids) -> NDArray[np.float32]:
        """Return the steps of one text, (tokens, size)."""

    def multiplications(self, tokens: int) -> int:
        """Return how many multiplications a text of so many tokens takes."""


def check_work(bundle: Runnable, golden: Sequence[GoldenText], limits: RunLimits) -> None:
    """Raise BundleError if comparing the golden texts would take too long."""
    counts = Counter(len(text.ids) for text in golden)
    found = sum(count * bundle.multiplications(tokens) for tokens, count in counts.items())
    most = bounds.GOLDEN_RUNS * limits.max_run_multiplications
    if found > most:
        raise BundleError(
            f"golden.json: its texts take {found:,} multiplications, at most {most:,} are allowed:"
            " keep fewer or shorter ones, or raise --max-run-multiplications"
        )


def verify(bundle: Runnable, golden: Sequence[GoldenText]) -> float:
    """Compare with what Keras answered; return the largest difference.

    Raises BundleError for other ids, for a difference above the tolerance that is recorded for
    the precision, for probabilities that are none, or if the steps do not end in the hidden state.
    """
    for index, text in enumerate(golden):
        ids = bundle.tokenizer.encode(text.text).ids
        if not np.array_equal(ids, text.ids):
            raise BundleError(f"golden text {index} does not give the ids in golden.json")
    outputs = bundle.run([text.ids for text in golden])
    largest = 0.0
    for index, text in enumerate(golden):
        where, row = f"golden text {index}", {n: a[index] for n, a in outputs.arrays.items()}
        _check_probabilities(bundle, where, row)
        largest = max(largest, _difference(bundle, where, row, text.answers, "golden.json"))
        if bundle.manifest.steps is not None:
            _verify_steps(bundle, where, text)
    return largest


def verify_rows(bundle: Runnable) -> None:
    """Run a few texts of our own, whose lengths differ, alone and together.

    Raises BundleError if a text's answer depends on those beside it: in a bit in fp32 where the
    bundle promises the same bits, else by more than the recorded tolerance. Golden texts cannot
    show that: whoever wrote the bundle chose them, and they may be one text.
    """
    is_exact = bundle.manifest.same_bits and bundle.precision is Precision.FP32
    for lengths in _TRIAL_LENGTHS:
        texts = [_trial_ids(bundle, length) for length in lengths]
        together = bundle.run_batch(texts)
        for index, ids in enumerate(texts):
            where = f"a text of {len(ids)} tokens in a batch"
            row = {name: array[index] for name, array in together.arrays.items()}
            _check_probabilities(bundle, where, row)
            alone = {name: array[0] for name, array in bundle.run_batch([ids]).arrays.items()}
            difference = _difference(bundle, where, row, alone, "what it gives alone")
            if difference > 0 and is_exact:
                raise BundleError(f"{where}: {_graph(bundle)} gives other bits than alone")


def _trial_ids(bundle: Runnable, length: int) -> NDArray[np.int32]:
    """Return ids of many words, as many as the model may read at most."""
    words = bundle.manifest.vocabulary_size - 1  # without padding
    count = min(length, bundle.manifest.inputs.length) if words else 0
    return (np.arange(count) * 7919 % max(1, words) + 1).astype(np.int32)


def _graph(bundle: Runnable) -> str:
    return bundle.manifest.model_file(bundle.precision)


def _check_probabilities(bundle: Runnable, where: str, row: Row) -> None:
    found = row["probabilities"]
    if not (found.min() >= 0 and found.max() <= 1):  # not: NaN is neither
        raise BundleError(
            f"{where}: {_graph(bundle)} gives probabilities of {found.min():g} to"
            f" {found.max():g}, they must be within 0 to 1"
        )


def _difference(
    bundle: Runnable, where: str, got: Row, wanted: Mapping[str, NDArray[np.float32]], source: str
) -> float:
    """Return the largest difference of two answers; raise BundleError above the tolerance."""
    manifest = bundle.manifest
    int8 = manifest.int8 if bundle.precision is Precision.INT8 else None
    tolerance = int8.tolerance if int8 else manifest.parity.tolerance
    largest = 0.0
    for name, vector in got.items():
        difference = largest_difference(vector, wanted[name])
        if not difference <= tolerance:  # not: NaN is no match
            raise BundleError(
                f"{where}: the {_IN_WORDS.get(name, name)} of {_graph(bundle)} differ from"
                f" {source} by {difference:.2g}, at most {tolerance:.2g} is allowed"
            )
        largest = max(largest, difference)
    return largest


def largest_difference(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    """Return the largest difference of vectors, (..., size), relative to their largest numbers.

    Of numbers up to 1 it is the difference itself; larger ones are rounded more coarsely.
    """
    scale = np.maximum(1, np.abs(wanted).max(axis=-1))
    return float((np.abs(found - wanted).max(axis=-1) / scale).max())


def _verify_steps(bundle: Runnable, where: str, text: GoldenText) -> None:
    """Raise BundleError unless the steps of a golden text end where Keras' end."""
    if not len(text.ids):
        return
    last = bundle.run_steps(text.ids)[-1]
    wanted = text.answers.get(LAST_STEP, text.answers.get("hidden"))
    if wanted is None or wanted.shape != last.shape:
        raise BundleError(
            f"{where}: golden.json must say in what the steps end: {LAST_STEP} is needed, unless"
            " they end in hidden"
        )
    if not largest_difference(last, wanted) <= bundle.manifest.parity.tolerance:
        raise BundleError(f"{where}: {STEPS_MODEL} ends in another hidden state")
