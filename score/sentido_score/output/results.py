"""From scores to columns: what they are called, and their values a row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sentido_score.engines.engine import Model, Scores
from sentido_score.errors import ScoreError
from sentido_score.files.names import quoted
from sentido_score.formats.columns import Columns
from sentido_score.formats.partitions import key_of
from sentido_score.formats.texts import Texts
from sentido_score.options import Options


@dataclass(frozen=True)
class RunStats:
    """What a run has met so far."""

    rows: int = 0
    errors: int = 0  # rows that were not scored
    tokens: int = 0  # that the model read
    truncated_texts: int = 0  # that were cut
    truncated_tokens: int = 0  # that were cut off
    unknown_words: int = 0

    def __add__(self, other: "RunStats") -> "RunStats":
        return RunStats(*(a + b for a, b in zip(_values(self), _values(other), strict=True)))


def _values(counts: RunStats) -> Sequence[int]:
    return list(vars(counts).values())


_NONE = pa.schema([])


def plan_columns(
    inputs: Sequence[str],
    model: Model,
    dimension: int | None,
    options: Options,
    partitions: pa.Schema = _NONE,
) -> Columns:
    """Choose and name them. Raises ScoreError for unknown names and for two of one name.

    `partitions`: the columns that the files' folders stand for; they come before the results.
    """
    fields = {key_of(field.name): field for field in partitions}
    renamed: dict[str, str] = {}
    # Spark, Hive and DuckDB are blind to case.
    taken = {name.casefold(): name for name in (*inputs, *partitions.names)}
    for key, kind in _result_types(model, dimension, options).items():
        name = options.prefix + key
        if (other := taken.get(name.casefold())) is not None:
            name = renamed[other] = f"predicted_{name}"
        if (other := taken.get(name.casefold())) is not None:
            raise ScoreError(f"the input has a column {other!r} too: choose a --prefix")
        fields[key] = pa.field(name, kind)
    chosen = list(inputs)
    if options.columns is not None:
        names = {field.name: key for key, field in fields.items()}
        unknown = [name for name in options.columns if name not in {*inputs, *names}]
        if unknown:
            known = quoted([*inputs, *names])
            raise ScoreError(f"no column {unknown[0]!r} to choose, there are {known}")
        chosen = [name for name in options.columns if name in inputs]
        fields = {names[name]: fields[names[name]] for name in options.columns if name in names}
        renamed = {old: new for old, new in renamed.items() if new in options.columns}
    return Columns(
        tuple(chosen),
        chosen == list(inputs),
        pa.schema(list(fields.values())),
        tuple(fields),
        renamed,
    )


def _result_types(model: Model, dimension: int | None, options: Options) -> dict[str, pa.DataType]:
    kinds: dict[str, pa.DataType] = {"label": pa.string()}
    if options.all_probabilities or model.has_many_labels:
        kinds |= {f"probability_{label}": pa.float32() for label in model.labels}
    else:
        kinds["probability"] = pa.float32()
    kinds["chosen"] = pa.list_(pa.string())
    for key in ("token_count", "truncated_token_count", "out_of_vocabulary_count"):
        kinds[key] = pa.int32()
    if dimension is not None:
        kinds["embedding"] = pa.list_(pa.float32(), dimension)
    kinds["error"] = pa.string()
    return kinds


def result_columns(
    texts: Texts, scores: Scores, model: Model, more_errors: dict[int, str]
) -> tuple[dict[str, pa.Array], RunStats]:
    """Give every result as a column, a row a row of the window; null where there is an error.

    `more_errors`: what a writer cannot take, by row.
    """
    rows = np.array(texts.rows, np.int64)
    errors = dict(more_errors) | texts.errors
    errors |= {int(rows[text]): error for text, error in scores.errors.items()}
    missing = np.zeros(texts.size, bool)
    missing[list(errors)] = True
    good = ~missing[rows]  # of the texts that an engine has seen

    def spread(values: NDArray[np.generic]) -> pa.Array:
        whole = np.zeros((texts.size, *values.shape[1:]), values.dtype)
        whole[rows] = values
        if whole.ndim == 1:
            return pa.array(whole, mask=missing)
        flat = pa.array(whole.reshape(-1))
        return pa.FixedSizeListArray.from_arrays(flat, whole.shape[1], mask=pa.array(missing))

    best = scores.probabilities.argmax(axis=1) if len(rows) else np.zeros(0, np.int64)
    labels = np.full(texts.size, None, object)
    labels[rows] = np.array(model.labels, object)[best]
    labels[missing] = None
    columns = {
        "label": pa.array(labels, pa.string()),
        "probability": spread(scores.probabilities[np.arange(len(rows)), best]),
        "chosen": _chosen(scores.chosen, rows, missing, model.labels),
        "token_count": spread(scores.token_counts),
        "truncated_token_count": spread(scores.truncated_token_counts),
        "out_of_vocabulary_count": spread(scores.out_of_vocabulary_counts),
        "error": pa.array([errors.get(row) for row in range(texts.size)], pa.string()),
    }
    for index, label in enumerate(model.labels):
        columns[f"probability_{label}"] = spread(scores.probabilities[:, index])
    if scores.vectors is not None:
        columns["embedding"] = spread(scores.vectors)
    cut = scores.truncated_token_counts[good]
    counts = RunStats(
        texts.size,
        len(errors),
        int(scores.token_counts[good].sum()),
        int((cut > 0).sum()),
        int(cut.sum()),
        int(scores.out_of_vocabulary_counts[good].sum()),
    )
    return columns, counts


def _chosen(
    chosen: NDArray[np.bool_],
    rows: NDArray[np.int64],
    missing: NDArray[np.bool_],
    labels: Sequence[str],
) -> pa.Array:
    """Return the labels that hold in each row; null where there is an error."""
    whole = np.zeros((len(missing), len(labels)), bool)
    whole[rows] = chosen
    whole[missing] = False
    ends = np.concatenate([[0], np.cumsum(whole.sum(axis=1))])
    names = pa.array(labels, pa.string()).take(pa.array(np.nonzero(whole)[1]))
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), names, mask=pa.array(missing))


Watch: TypeAlias = Callable[[RunStats, float | None], None]
"""Is told what was met so far, and the part of the input that this is where that is known."""
