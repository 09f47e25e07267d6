"""The client that blocks."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self, overload

import grpc
import numpy as np
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sentido.v1 import model_pb2

from sentido_client import answers, requests, results
from sentido_client.address import check_address
from sentido_client.arguments import Arguments
from sentido_client.channel import LOOK_SECONDS, OPTIONS, PLAIN_OPTIONS, Stubs
from sentido_client.cutting import WINDOW, Chunk, check_text, cut
from sentido_client.errors import (
    CallCancelledError,
    InvalidRequestError,
    OverloadedError,
    SentidoError,
    TooLargeError,
    from_rpc_error,
    not_ready,
)
from sentido_client.requests import EmbeddingKindName, TokenKindName, TruncationName
from sentido_client.results import (
    Limits,
    Model,
    Neighbour,
    Prediction,
    TokenEmbeddings,
    Tokenization,
    Vectors,
    Word,
)
from sentido_client.resuming import Patience
from sentido_client.security import File, Security
from sentido_client.stream import Answer, TextStream, leave_behind
from sentido_client.texts import ordered


class Client:
    """Calls a Sentido server and waits for the answer.

    `address`: "host:port", or "dns:///name:port" to spread calls over every address of a name.
    `timeout`: seconds that each RPC may take, a list of texts being several; a stream may take as
    long as it likes but not go without an answer for so long, and while its server is away it waits
    for another. None: no limit, so that a stream waits for ever.

    `tls_ca`: a PEM file of the authorities that may have signed the server's certificate; with it
    the connection is TLS. `tls_cert`, `tls_key`: PEM files of a certificate of the client's own and
    its key, for a server that asks for one. They are read once. `token`, or the one that stands in
    `token_file`: sent with each call, over plain text only within this machine or with
    `insecure_tokens`. Raises ValueError for what cannot be read or used.

    Safe to use from several threads. It connects on the first call and lives until `close` or the
    end of its `with` block. After a fork it connects anew in the child, but if it had a stream open
    then, every call there raises CallCancelledError. It can be pickled, by its arguments and the
    paths of its files, unless it was made with `token`; what is unpickled connects anew.
    """

    def __init__(
        self,
        address: str = "localhost:50051",
        *,
        timeout: float | None = 30.0,
        tls_ca: File | None = None,
        tls_cert: File | None = None,
        tls_key: File | None = None,
        token: str | None = None,
        token_file: File | None = None,
        insecure_tokens: bool = False,
    ) -> None:
        self.address = check_address(address)
        self.timeout = requests.check_timeout(timeout)
        self._security = Security.load(
            self.address, tls_ca, tls_cert, tls_key, token, token_file, insecure_tokens
        )
        self._arguments = Arguments(
            address=address,
            timeout=timeout,
            tls_ca=tls_ca,
            tls_cert=tls_cert,
            tls_key=tls_key,
            token=token,
            token_file=token_file,
            insecure_tokens=insecure_tokens,
        )
        self._lock = threading.Lock()
        self._process = os.getpid()  # whose connections these are
        self._streams: set[object] = set()  # that are open
        self._open_stubs: Stubs | None = None
        self._limits: Limits | None = None

    def __repr__(self) -> str:
        return self._arguments.shown("Client")

    def __reduce__(self) -> tuple[Callable[[], Any], tuple[()]]:
        return self._arguments.made_again(type(self))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. A later call opens them again."""
        if self._process != os.getpid():
            return  # they are of the process that this one was forked from
        with self._lock:
            if self._open_stubs is not None:
                self._open_stubs.channel.close()
            self._open_stubs = None

    def wait_until_ready(self, timeout: float | None = 30.0) -> None:
        """Wait until a server is SERVING; for ever with None.

        Raises UnavailableError after `timeout` seconds.
        """
        ready = grpc.channel_ready_future(self._stubs.channel)
        try:
            ready.result(timeout)
        except grpc.FutureTimeoutError as error:
            raise not_ready(self.address, requests.seconds(timeout), self._look()) from error
        finally:
            ready.cancel()

    def _look(self) -> str | SentidoError:
        """Give the server's health, or the error of asking for it, soon."""
        try:
            return self._health("", min(requests.seconds(self.timeout), LOOK_SECONDS))
        except SentidoError as error:
            return error

    def health(self, service: str = "") -> str:
        """Ask for a service's health: "SERVING", "NOT_SERVING" or "SERVICE_UNKNOWN".

        `service`: "" for the whole server, or a name such as "sentido.v1.PredictionService".
        """
        return self._health(service, self.timeout)

    def _health(self, service: str, timeout: float | None) -> str:
        with self._security.channel(grpc, PLAIN_OPTIONS) as channel:
            check = health_pb2_grpc.HealthStub(channel).Check
            try:
                answer = check(
                    health_pb2.HealthCheckRequest(service=check_text(service, "service")),
                    timeout=timeout,
                )
            except grpc.RpcError as error:
                if error.code() is grpc.StatusCode.NOT_FOUND:
                    return "SERVICE_UNKNOWN"
                raise from_rpc_error(error, self.address) from error
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))

    @overload
    def predict(  # type: ignore[overload-overlap]
        self,
        texts: str,
        *,
        model: str = "",
        truncation: TruncationName = "recorded",
        expect_bundle: answers.Expected = None,
    ) -> Prediction: ...
    @overload
    def predict(  # type: ignore[overload-overlap]
        self,
        texts: Collection[str],
        *,
        model: str = "",
        truncation: TruncationName = "recorded",
        expect_bundle: answers.Expected = None,
        errors: Literal["raise"] = "raise",
    ) -> list[Prediction]: ...
    @overload
    def predict(  # type: ignore[overload-overlap]
        self,
        texts: Collection[str],
        *,
        model: str = "",
        truncation: TruncationName = "recorded",
        expect_bundle: answers.Expected = None,
        errors: Literal["return"],
    ) -> list[Prediction | InvalidRequestError]: ...
    @overload
    def predict(
        self,
        texts: Iterable[str],
        *,
        model: str = "",
        truncation: TruncationName = "recorded",
        expect_bundle: answers.Expected = None,
        errors: Literal["raise"] = "raise",
    ) -> Generator[Prediction, None, None]: ...
    @overload
    def predict(
        self,
        texts: Iterable[str],
        *,
        model: str = "",
        truncation: TruncationName = "recorded",
        expect_bundle: answers.Expected = None,
        errors: Literal["return"],
    ) -> Generator[Prediction | InvalidRequestError, None, None]: ...
    def predict(
        self,
        texts: str | Collection[str] | Iterable[str],
        *,
        model: str = "",
        truncation: TruncationName = "recorded",
        expect_bundle: answers.Expected = None,
        errors: Literal["raise", "return"] = "raise",
    ) -> (
        Prediction
        | list[Prediction]
        | list[Prediction | InvalidRequestError]
        | Generator[Prediction | InvalidRequestError, None, None]
    ):
        """Classify one text, a list of texts, or a stream of them.

        A str gives a Prediction, whatever else has a length (a list, a NumPy array, a pandas
        Series) a list, any other iterable a generator that answers in order. The iterable is read
        on a thread of its own, a little ahead of its answers. Raises TypeError for what is not
        texts in an order, such as a dict, a set or a DataFrame.

        `model`: a name, "" for the server's default. `truncation`: "recorded" with the model,
        "keep_last", "keep_first", or "forbidden", which makes a text of more tokens than the model
        reads an error. `errors`, of several texts: "return" gives an InvalidRequestError in the
        place of a bad text, or of None, NaN or whatever else is not a str, instead of raising it.

        `expect_bundle`: the digest of the bundle that must answer, or a Model, whose precision must
        be the same too. An answer of another one raises BundleChangedError and is not returned; a
        list is returned as a whole or not at all. Every call that answers from a bundle takes it.
        """
        requests.check_errors(errors)
        texts = ordered(texts)
        options = requests.text_options(model, truncation)
        if isinstance(texts, str):
            request = requests.predict(texts, options)
            answer = self._call(self._stubs.predictions.Predict, request, expect_bundle)
            return results.predictions(answer.served_by)(answer.prediction)
        if isinstance(texts, Sequence) and errors == "raise":
            batches = self._chunked(
                self._stubs.predictions.BatchPredict,
                partial(requests.batch_predict, options=options),
                texts,
                expect_bundle,
            )
            return [
                prediction
                for chunk, answer in batches
                for prediction in answers.batch_predictions(chunk, answer)
            ]
        stream = self._stream(
            self._stubs.predictions.StreamPredict,
            partial(requests.stream_predict, options=options),
            answers.stream_predictions,
            iter(texts),
            errors,
            expect_bundle,
        )
        return self._listed(stream) if isinstance(texts, Sequence) else stream

    @overload
    def embed(  # type: ignore[overload-overlap]
        self,
        texts: str | Collection[str],
        *,
        model: str = "",
        kind: EmbeddingKindName = "hidden",
        normalize: bool = False,
        truncation: TruncationName = "recorded",
        expect_bundle: answers.Expected = None,
        errors: Literal["raise"] = "raise",
    ) -> Vectors: ...
    @overload
    def embed(  # type: ignore[overload-overlap]
        self,
        texts: Collection[str],
        *,
        model: str = "",
        kind: EmbeddingKindName = "hidden",
        normalize: bool = False,
        truncation: TruncationName = "recorded",
        expect_bundle: answers.Expected = None,
        errors: Literal["return"],
    ) -> list[Vectors | InvalidRequestError]: ...
    @overload
    def embed(
        self,
        texts: Iterable[str],
        *,
        model: str = "",
        kind: EmbeddingKindName = "hidden",
        normalize: bool = False,
        truncation: TruncationName = "recorded",
        expect_bundle: answers.Expected = None,
        errors: Literal["raise"] = "raise",
    ) -> Generator[Vectors, None, None]: ...
    @overload
    def embed(
        self,
        texts: Iterable[str],
        *,
        model: str = "",
        kind: EmbeddingKindName = "hidden",
        normalize: bool = False,
        truncation: TruncationName = "recorded",
        expect_bundle: answers.Expected = None,
        errors: Literal["return"],
    ) -> Generator[Vectors | InvalidRequestError, None, None]: ...
    def embed(
        self,
        texts: str | Collection[str] | Iterable[str],
        *,
        model: str = "",
        kind: EmbeddingKindName = "hidden",
        normalize: bool = False,
        truncation: TruncationName = "recorded",
        expect_bundle: answers.Expected = None,
        errors: Literal["raise", "return"] = "raise",
    ) -> (
        Vectors
        | list[Vectors | InvalidRequestError]
        | Generator[Vectors | InvalidRequestError, None, None]
    ):
        """Give one vector a text.

        A str gives (dimension,), whatever else has a length (texts, dimension), any other iterable
        a generator of (dimension,), as for `predict`.

        `kind`: "hidden", the LSTM's final state, or "mean", the mean of the word vectors.
        `normalize`: divide each by its Euclidean length. `errors`: "return" makes a sequence a list
        of vectors, with an InvalidRequestError in the place of a bad text. The rest as for
        `predict`.
        """
        requests.check_errors(errors)
        texts = ordered(texts)
        options = requests.embed_options(model, truncation, kind, normalize)
        if isinstance(texts, str):
            request = requests.embed(texts, options)
            answer = self._call(self._stubs.embeddings.Embed, request, expect_bundle)
            return results.vectors(answer.embedding)
        if isinstance(texts, Sequence) and errors == "raise":
            batches = self._chunked(
                self._stubs.embeddings.BatchEmbed,
                partial(requests.batch_embed, options=options),
                texts,
                expect_bundle,
            )
            parts = [answers.batch_vectors(chunk, answer) for chunk, answer in batches]
            return np.concatenate(parts) if parts else self._no_vectors(model, kind, expect_bundle)
        stream = self._stream(
            self._stubs.embeddings.StreamEmbed,
            partial(requests.stream_embed, options=options),
            answers.stream_vectors,
            iter(texts),
            errors,
            expect_bundle,
        )
        return self._listed(stream) if isinstance(texts, Sequence) else stream

    def embed_tokens(
        self,
        text: str,
        *,
        model: str = "",
        kind: TokenKindName = "word",
        normalize: bool = False,
        truncation: TruncationName = "recorded",
        expect_bundle: answers.Expected = None,
    ) -> TokenEmbeddings:
        """Give the tokens that the model read and a vector for each, (tokens, dimension).

        `kind`: "word", the rows of the embedding matrix, or "hidden", the LSTM's state after each
        token. The rest as for `embed`.
        """
        request = requests.embed_tokens(
            text, kind, normalize, requests.text_options(model, truncation)
        )
        answer = self._call(self._stubs.embeddings.EmbedTokens, request, expect_bundle)
        return results.token_embeddings(answer)

    @overload
    def lookup(  # type: ignore[overload-overlap]
        self,
        words: str,
        *,
        model: str = "",
        normalize: bool = False,
        expect_bundle: answers.Expected = None,
    ) -> Word: ...
    @overload
    def lookup(
        self,
        words: Iterable[str],
        *,
        model: str = "",
        normalize: bool = False,
        expect_bundle: answers.Expected = None,
    ) -> list[Word]: ...
    def lookup(
        self,
        words: str | Iterable[str],
        *,
        model: str = "",
        normalize: bool = False,
        expect_bundle: answers.Expected = None,
    ) -> Word | list[Word]:
        """Look up one word or several: id and vector, or that the model does not know it."""
        found = [
            word
            for _, answer in self._chunked(
                self._stubs.embeddings.LookupWords,
                partial(requests.lookup, model=model, normalize=normalize),
                [words] if isinstance(words, str) else ordered(words, "words"),
                expect_bundle,
                field="words",
            )
            for word in results.words(answer)
        ]
        return found[0] if isinstance(words, str) else found

    def nearest(
        self, word: str, k: int = 10, *, model: str = "", expect_bundle: answers.Expected = None
    ) -> list[Neighbour]:
        """Give the `k` (1 to 1000) words nearest to a word, by cosine similarity.

        Raises NotFoundError for a word that is not in the model's vocabulary.
        """
        request = requests.nearest(word, k, model)
        answer = self._call(self._stubs.embeddings.FindNearestWords, request, expect_bundle)
        return results.neighbours(answer)

    def tokenize(
        self,
        text: str,
        *,
        model: str = "",
        truncation: TruncationName = "recorded",
        expect_bundle: answers.Expected = None,
    ) -> Tokenization:
        """Show what the model's tokenizer makes of a text."""
        request = requests.tokenize(text, requests.text_options(model, truncation))
        answer = self._call(self._stubs.tokenizers.Tokenize, request, expect_bundle)
        return results.tokenization(answer)

    def model(self, name: str = "") -> Model:
        """Describe a model, "" for the server's default. Raises NotFoundError."""
        answer = self._call(
            self._stubs.models.GetModel, model_pb2.GetModelRequest(name=check_text(name, "name"))
        )
        return results.model(answer.model)

    def models(self) -> list[Model]:
        """Describe every model, the default first."""
        answer = self._call(self._stubs.models.ListModels, model_pb2.ListModelsRequest())
        return [results.model(message) for message in answer.models]

    def reload_model(self, name: str = "") -> Model:
        """Make the server load a model's bundle again, "" for its default; for administrators.

        Gives the model as it is served from now on. Raises ReloadError if the bundle is bad, and
        the server goes on with the one it had; NotFoundError; AuthenticationError.
        """
        request = model_pb2.ReloadModelRequest(name=check_text(name, "name"))
        return results.model(self._call(self._stubs.models.ReloadModel, request).model)

    def limits(self) -> Limits:
        """Give what a call to the server may hold; asked for again after a bad request."""
        if self._limits is None:
            self._limits = self._ask_limits(self._stubs, self.timeout)
        return self._limits

    def _ask_limits(self, stubs: Stubs, timeout: float | None) -> Limits:
        request = model_pb2.GetServerInfoRequest()
        return results.limits(self._call_for(timeout, stubs.models.GetServerInfo, request))

    @property
    def _stubs(self) -> Stubs:
        if self._process != os.getpid():
            self._begin_anew()
        with self._lock:
            if self._open_stubs is None:
                self._open_stubs = Stubs(self._security.channel(grpc, OPTIONS))
            return self._open_stubs

    def _begin_anew(self) -> None:
        """Leave the connections to the process that this one was forked from."""
        if self._streams:
            raise CallCancelledError(
                "this process was forked while the client had a stream open, which its connections"
                " do not survive: make a new Client in this process"
            )
        leave_behind(self._open_stubs)
        self._lock = threading.Lock()
        self._open_stubs = None
        self._process = os.getpid()

    def _call(self, method: Any, request: Any, expected: answers.Expected = None) -> Any:
        return answers.of_bundle(expected, self._call_for(self.timeout, method, request))

    def _call_for(self, timeout: float | None, method: Any, request: Any) -> Any:
        future = self._send(method, request, timeout)
        return self._finish(method, request, future, 0, timeout)

    def _send(self, method: Any, request: Any, timeout: float | None) -> Any:
        """Begin a call. Raises CallCancelledError if another thread has closed the client."""
        try:
            return method.future(request, timeout=timeout, metadata=self._security.metadata)
        except ValueError as error:  # grpc's word for a closed channel
            raise CallCancelledError("the client was closed") from error

    def _chunked(
        self,
        method: Any,
        request: Callable[[Sequence[str]], Any],
        texts: Iterable[str],
        expected: answers.Expected,
        field: str = "texts",
    ) -> Iterator[tuple[Chunk, Any]]:
        """Send texts in several calls, a few at a time; give them with the answers, in order."""
        flying: deque[tuple[Chunk, Any, Any]] = deque()
        try:
            for chunk in cut(texts, self.limits(), field):
                message = request(chunk.texts)
                flying.append((chunk, message, self._send(method, message, self.timeout)))
                if len(flying) == WINDOW:
                    oldest, message, future = flying.popleft()
                    answer = self._finish(method, message, future, oldest.offset, self.timeout)
                    yield oldest, answers.of_bundle(expected, answer)
            while flying:
                oldest, message, future = flying.popleft()
                answer = self._finish(method, message, future, oldest.offset, self.timeout)
                yield oldest, answers.of_bundle(expected, answer)
        except (InvalidRequestError, TooLargeError):
            self._limits = None  # the server may have been started anew, with others
            raise
        finally:
            for _, _, future in flying:
                future.cancel()

    def _finish(
        self, method: Any, request: Any, future: Any, offset: int, timeout: float | None
    ) -> Any:
        """Wait for an answer; send the request again as often as a full server asks for it."""
        end = time.monotonic() + requests.seconds(timeout)
        while True:
            try:
                return future.result()
            except grpc.FutureCancelledError as error:
                raise CallCancelledError("the client was closed") from error
            except grpc.RpcError as error:
                fault = from_rpc_error(error, self.address, offset)
                left = end - time.monotonic()
                if not isinstance(fault, OverloadedError) or fault.retry_after >= left:
                    raise fault from error
            time.sleep(fault.retry_after)
            left -= fault.retry_after
            future = self._send(method, request, None if timeout is None else left)

    def _stream(
        self,
        method: Any,
        request: Callable[[Sequence[str]], Any],
        read: Callable[[Chunk, Any], Iterable[Answer]],
        texts: Iterable[str],
        errors: str,
        expected: answers.Expected,
    ) -> Generator[Answer, None, None]:
        call = partial(method, metadata=self._security.metadata)
        read = answers.reads_of_bundle(expected, read)
        limits, timeout = self._awaited_limits(), requests.seconds(self.timeout)
        stream = TextStream(self.address, limits, timeout, call, request, read)
        self._streams.add(stream)
        try:
            for answer in stream.run(texts):
                if isinstance(answer, InvalidRequestError) and errors == "raise":
                    raise answer
                yield answer
        except (InvalidRequestError, TooLargeError):
            self._limits = None  # as above
            raise
        finally:
            self._streams.discard(stream)

    def _awaited_limits(self) -> Limits:
        """Return the limits; wait for a server to give them as long as a stream waits for one."""
        patience, stubs = Patience(requests.seconds(self.timeout)), self._stubs
        while (limits := self._limits) is None:
            try:
                left = None if self.timeout is None else patience.left
                self._limits = self._ask_limits(stubs, left)
            except SentidoError as error:
                time.sleep(patience.delay(error))
        return limits

    def _listed(self, stream: Generator[Answer, None, None]) -> list[Answer]:
        self.limits()  # a list fails soon where no server is, also if it is sent as a stream
        return list(stream)

    def _no_vectors(
        self, model: str, kind: EmbeddingKindName, expected: answers.Expected
    ) -> Vectors:
        facts = self.model(model)
        answers.check_bundle(expected, facts.bundle_digest, facts.precision)
        dimension = facts.hidden_units if kind == "hidden" else facts.embedding_dimension
        return np.empty((0, dimension), np.float32)
