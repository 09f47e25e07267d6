"""One run of StreamPredict for the client that blocks: texts in, answers out, in order.

The caller's iterable is read on a thread of its own, a little ahead, so that a slow source does
not hold back answers; gRPC takes the messages on a thread of its own; the caller's thread reads the
answers. What is sent when is the outbox's to say.
"""

import threading
import time
from collections.abc import Generator, Iterable, Iterator
from typing import Any

import grpc
from sentido.v1 import prediction_pb2

from sentido_client import requests, results
from sentido_client.cutting import Chunk
from sentido_client.errors import (
    CallCancelledError,
    DeadlineError,
    InvalidRequestError,
    ServerError,
    from_rpc_error,
    from_status,
)
from sentido_client.outbox import Outbox
from sentido_client.results import Limits, Prediction

Answer = Prediction | InvalidRequestError


class PredictStream:
    """Used once. Lives from the first answer asked for until the last, or until it is closed."""

    def __init__(
        self, address: str, limits: Limits, timeout: float, options: requests.Options
    ) -> None:
        """`timeout`: seconds without an answer to anything sent after which the stream fails."""
        self._address = address
        self._timeout = timeout
        self._options = options
        self._changed = threading.Condition()
        self._outbox = Outbox(limits)
        self._waiting_since: float | None = None  # for an answer
        self._closed = False
        self._stalled = False
        self._failure: BaseException | None = None  # of the caller's iterable

    def run(self, method: Any, texts: Iterable[str]) -> Generator[Answer, None, None]:
        """Give an answer a text. Raises what the iterable raises, or a SentidoError."""
        try:
            call = method(self._messages())
        except ValueError as error:  # grpc's word for a closed channel
            raise CallCancelledError("the client was closed") from error
        threading.Thread(target=self._pull, args=(texts,), daemon=True).start()
        threading.Thread(target=self._watch, args=(call,), daemon=True).start()
        try:
            while (response := self._next_response(call)) is not None:
                with self._changed:
                    chunk = self._outbox.answered()
                    self._changed.notify_all()
                yield from stream_answers(chunk, response)
        except grpc.RpcError as error:
            if self._stalled:
                raise DeadlineError(
                    f"no answer from {self._address} on the stream for {self._timeout:g} seconds"
                ) from error
            raise from_rpc_error(error, self._address, self._outbox.offset) from error
        finally:
            with self._changed:
                self._closed = True
                self._changed.notify_all()
            call.cancel()
        if self._failure is not None:
            raise self._failure
        if self._outbox.is_flying or not self._outbox.exhausted:
            raise ServerError("the server ended the stream before it answered everything")

    def _next_response(self, call: Any) -> Any:
        with self._changed:
            self._waiting_since = time.monotonic()
            self._changed.notify_all()
        try:
            return next(call, None)
        finally:
            with self._changed:
                self._waiting_since = None

    def _pull(self, texts: Iterable[str]) -> None:
        """Read the caller's texts, on a thread of its own, as far ahead as there is room."""
        try:
            for text in texts:
                with self._changed:
                    self._outbox.add(text)
                    self._changed.notify_all()
                    self._changed.wait_for(lambda: self._closed or self._outbox.has_room)
                    if self._closed:
                        return
        except BaseException as error:  # the caller's thread raises it, after the answers
            self._failure = error
        finally:
            with self._changed:
                self._outbox.exhausted = True
                self._changed.notify_all()

    def _messages(self) -> Iterator[prediction_pb2.StreamPredictRequest]:
        """Feed gRPC, on its thread."""
        while (chunk := self._next_chunk()) is not None:
            yield requests.stream_predict(chunk.texts, self._options)

    def _next_chunk(self) -> Chunk | None:
        """Wait for something to send and for room to send it; None at the end."""
        outbox = self._outbox
        with self._changed:
            self._changed.wait_for(lambda: self._closed or outbox.may_send or outbox.is_done)
            if self._closed or not outbox.may_send:
                return None
            if not outbox.is_flying and self._waiting_since is not None:
                self._waiting_since = time.monotonic()
            self._changed.notify_all()
            return outbox.send()

    def _watch(self, call: Any) -> None:
        """Cancel the call when what was sent, or its end, goes without an answer for too long."""
        with self._changed:
            while not self._closed:
                since = self._waiting_since
                if since is None or not (self._outbox.is_flying or self._outbox.is_done):
                    self._changed.wait()
                    continue
                left = since + self._timeout - time.monotonic()
                if left <= 0:
                    self._stalled = True
                    call.cancel()
                    return
                self._changed.wait(left)


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
