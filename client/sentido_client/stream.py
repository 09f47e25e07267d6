"""One run of StreamPredict for the client that blocks: texts in, answers out, in order.

gRPC reads the requests on a thread of its own; the caller's thread reads the answers. A message
is sent when it is full, or at once when no other is on its way, so that a slow source is answered
text by text and a fast one in full messages. At most a few messages are on their way.
"""

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import grpc
from sentido.v1 import prediction_pb2

from sentido_client import requests, results
from sentido_client.cutting import MESSAGE_TEXTS, WINDOW, Chunk, Cutter
from sentido_client.errors import (
    DeadlineError,
    InvalidRequestError,
    SentidoError,
    ServerError,
    from_rpc_error,
    from_status,
)
from sentido_client.results import Limits, Prediction

Answer = Prediction | InvalidRequestError


class PredictStream:
    """Used once. Lives from the first answer asked for until the last, or until it is closed."""

    def __init__(
        self, address: str, limits: Limits, timeout: float, options: dict[str, Any]
    ) -> None:
        """`timeout`: seconds without an answer to anything sent after which the stream fails."""
        self._address = address
        self._limits = limits
        self._timeout = timeout
        self._options = options
        self._changed = threading.Condition()
        self._flying: deque[Chunk] = deque()
        self._progress = 0.0  # since when an answer is waited for, if one is
        self._waiting = False
        self._closed = False
        self._stalled = False
        self._failure: Exception | None = None  # of the caller's iterable

    def run(self, method: Any, texts: Iterable[str]) -> Iterator[Answer]:
        """Give an answer a text. Raises what the iterable raises, or a SentidoError."""
        call = method(self._messages(texts))
        watch = threading.Thread(target=self._watch, args=(call,), daemon=True)
        watch.start()
        try:
            while (response := self._next_response(call)) is not None:
                with self._changed:
                    chunk = self._flying.popleft()
                    self._changed.notify_all()
                yield from stream_answers(chunk, response)
        except grpc.RpcError as error:
            raise self._explain(error) from error
        finally:
            with self._changed:
                self._closed = True
                self._changed.notify_all()
            call.cancel()
        if self._failure is not None:
            raise self._failure
        if self._flying:
            raise ServerError("the server ended the stream before it answered everything")

    def _next_response(self, call: Any) -> Any:
        with self._changed:
            self._waiting = True
            self._progress = time.monotonic()
            self._changed.notify_all()
        try:
            return next(call, None)
        finally:
            with self._changed:
                self._waiting = False

    def _messages(self, texts: Iterable[str]) -> Iterator[prediction_pb2.StreamPredictRequest]:
        """Feed gRPC, on its thread."""
        try:
            for chunk in self._chunks(texts):
                with self._changed:
                    self._changed.wait_for(lambda: self._closed or len(self._flying) < WINDOW)
                    if self._closed:
                        return
                    if not self._flying:
                        self._progress = time.monotonic()
                    self._flying.append(chunk)
                    self._changed.notify_all()
                yield requests.stream_predict(chunk.texts, self._options)
        except Exception as error:  # gRPC would swallow it; `run` raises it after the answers
            self._failure = error

    def _chunks(self, texts: Iterable[str]) -> Iterator[Chunk]:
        cutter = Cutter(MESSAGE_TEXTS, self._limits)
        for text in texts:
            yield from cutter.add(text)
            if not self._flying:
                yield from cutter.rest()
        yield from cutter.rest()

    def _watch(self, call: Any) -> None:
        """Cancel the call when something sent goes without an answer for too long."""
        with self._changed:
            while not self._closed:
                if not (self._waiting and self._flying):
                    self._changed.wait()
                    continue
                left = self._progress + self._timeout - time.monotonic()
                if left <= 0:
                    self._stalled = True
                    call.cancel()
                    return
                self._changed.wait(left)

    def _explain(self, error: grpc.RpcError) -> Exception:
        if self._failure is not None:
            return self._failure
        if self._stalled:
            return DeadlineError(f"no answer on the stream for {self._timeout:g} seconds")
        offset = self._flying[0].offset if self._flying else 0
        fault: SentidoError = from_rpc_error(error, self._address, offset)
        return fault


def stream_answers(
    chunk: Chunk, response: prediction_pb2.StreamPredictResponse
) -> Iterator[Answer]:
    """Give an answer a text of a chunk."""
    if chunk.error is not None:
        yield chunk.error
    for result in response.results:
        if result.HasField("error"):
            yield from_status(result.error, chunk.offset)
        else:
            yield results.prediction(result.prediction, response.served_by)
