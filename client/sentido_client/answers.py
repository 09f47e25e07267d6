"""From a message to what a verb returns. For requests, lists and streams of both clients."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from sentido.v1 import embedding_pb2, model_pb2, prediction_pb2

from sentido_client import results
from sentido_client.chunking import Chunk
from sentido_client.errors import (
    BundleChangedError,
    InvalidRequestError,
    ServerError,
    from_status,
)
from sentido_client.results import Model, Prediction, Vectors, Word

Expected = str | Model | None
"""A bundle's digest, a Model of which also the precision counts, or None for whichever answers."""

_Message = TypeVar("_Message", bound=Any)
_Answer = TypeVar("_Answer")


def of_bundle(expected: Expected, message: _Message) -> _Message:
    """Return an answer if it is of the bundle expected. Raises BundleChangedError otherwise."""
    check_bundle(expected, message.served_by.bundle_digest, message.served_by.precision)
    return message


def check_bundle(expected: Expected, digest: str, precision: str) -> None:
    """Raise BundleChangedError unless bundle and, for a Model, precision are as expected."""
    if expected is None:
        return
    if not isinstance(expected, str | Model):
        kind = type(expected).__name__
        raise TypeError(f"expect_bundle is of type {kind}: a bundle's digest or a Model is needed")
    wanted, wanted_precision = expected, None
    if isinstance(expected, Model):
        wanted, wanted_precision = expected.bundle_digest, expected.precision
    if digest == wanted and wanted_precision in (None, precision):
        return
    raise BundleChangedError(
        f"the server answers from the bundle {digest} in {precision or 'an unknown precision'},"
        f" expected is {wanted}{'' if wanted_precision is None else f' in {wanted_precision}'}",
        str(wanted),
        digest,
        precision,
    )


def reads_one_of_bundle(
    expected: Expected, read: Callable[[_Message], _Answer]
) -> Callable[[_Message], _Answer]:
    """Return a function that reads a message only if it is of the bundle expected."""
    if expected is None:
        return read
    return lambda message: read(of_bundle(expected, message))


def reads_of_bundle(
    expected: Expected, read: Callable[[Chunk, _Message], Iterable[_Answer]]
) -> Callable[[Chunk, _Message], Iterable[_Answer]]:
    """Return a function that reads only messages of the bundle expected; see `of_bundle`."""
    if expected is None:
        return read
    return lambda chunk, message: read(chunk, of_bundle(expected, message))


def prediction(message: prediction_pb2.PredictResponse) -> Prediction:
    """Return the one prediction."""
    return results.predictions(message.served_by)(message.prediction)


def vector(message: embedding_pb2.EmbedResponse) -> Vectors:
    """Return the one vector, (dimension,)."""
    return results.vectors(message.embedding)


def words(_: Chunk, message: embedding_pb2.LookupWordsResponse) -> list[Word]:
    """Return what is known of each word."""
    return results.words(message)


def model(message: model_pb2.GetModelResponse | model_pb2.ReloadModelResponse) -> Model:
    """Return the one model."""
    return results.model(message.model)


def models(message: model_pb2.ListModelsResponse) -> list[Model]:
    """Return every model."""
    return [results.model(one) for one in message.models]


def batch_predictions(
    chunk: Chunk, message: prediction_pb2.BatchPredictResponse
) -> list[Prediction]:
    """Give a prediction a text. Raises ServerError if there are more or fewer."""
    _check_count(chunk, message.predictions)
    read = results.predictions(message.served_by)
    return [read(prediction) for prediction in message.predictions]


def batch_vectors(chunk: Chunk, message: embedding_pb2.BatchEmbedResponse) -> Vectors:
    """Give the vectors, (texts, dimension). Raises ServerError if there are more or fewer."""
    vectors = results.vectors(message.embeddings)
    _check_count(chunk, vectors)
    return vectors


def stream_predictions(
    chunk: Chunk, message: prediction_pb2.StreamPredictResponse
) -> Iterator[Prediction | InvalidRequestError]:
    """Give a prediction or what is wrong a text. Raises ServerError if there are more or fewer."""
    _check_count(chunk, message.results)
    if chunk.error is not None:
        yield chunk.error
    read = results.predictions(message.served_by)
    for result in message.results:
        if result.HasField("error"):
            yield from_status(result.error, chunk.offset)
        else:
            yield read(result.prediction)


def stream_vectors(
    chunk: Chunk, message: embedding_pb2.StreamEmbedResponse
) -> Iterator[Vectors | InvalidRequestError]:
    """Give a vector, (dimension,), or what is wrong a text. Raises ServerError as above."""
    _check_count(chunk, message.results)
    if chunk.error is not None:
        yield chunk.error
    rows = results.vectors(message.embeddings)
    if len(rows) == len(chunk.texts):
        yield from rows
        return
    good = iter(rows)
    for result in message.results:
        if result.HasField("error"):
            yield from_status(result.error, chunk.offset)
        else:
            row = next(good, None)
            if row is None:
                raise ServerError("the server gave fewer vectors than usages")
            yield row


def _check_count(chunk: Chunk, found: Any) -> None:
    if len(found) != len(chunk.texts):
        raise ServerError(f"the server gave {len(found)} answers to {len(chunk.texts)} texts")
