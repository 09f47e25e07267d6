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
from grpc_health.v1 import health_pb2, health_pb2_grpc

from sentido_client import answers, requests, results, verbs
from sentido_client.address import check_address
from sentido_client.arguments import Arguments
from sentido_client.channel import LOOK_SECONDS, OPTIONS, PLAIN_OPTIONS, RENEW_SECONDS, Method
from sentido_client.chunking import WINDOW, Chunk, check_text, cut
from sentido_client.connection import Connection, Sent
from sentido_client.environment import with_environment
from sentido_client.errors import (
    CallCancelledError,
    InvalidRequestError,
    SentidoError,
    TooLargeError,
    from_rpc_error,
    not_ready,
)
from sentido_client.requests import EmbeddingKindName, Options, TokenKindName, TruncationName
from sentido_client.results import (
    TIMINGS,
    Limits,
    Model,
    Neighbour,
    Prediction,
    TokenEmbeddings,
    Tokenization,
    Vectors,
    Word,
)
from sentido_client.resuming import Patience, Repetition
from sentido_client.security import File, Security
from sentido_client.stream import TextStream, leave_behind
from sentido_client.texts import ordered
from sentido_client.verbs import Answer, ChunkVerb, Listed, Params, Part, TextVerb, Verb


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

    `renew_seconds`: after about so long the next call also begins new connections, to every address
    that the name has by then; calls go there once they are ready, and the old ones are closed when
    their last call or stream has ended. 0: never.

    `timings`: ask what the stages of each call took at the server, and put that on the `timings` of
    its Predictions or its Tokenization. Answers of streams, which a list with `errors="return"` is
    too, have none, and neither have arrays.

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
        renew_seconds: float = RENEW_SECONDS,
        timings: bool = False,
    ) -> None:
        self.address = check_address(address)
        self.timeout = requests.check_timeout(timeout)
        self._renew_seconds = requests.check_renew_seconds(renew_seconds)
        self._security = Security.load(
            self.address, tls_ca, tls_cert, tls_key, token, token_file, insecure_tokens
        )
        asked = (TIMINGS,) if timings else ()
        self._metadata = (*(self._security.metadata or ()), *asked)  # of calls, not of streams
        self._timings = timings
        self._arguments = Arguments(
            address=address,
            timeout=timeout,
            tls_ca=tls_ca,
            tls_cert=tls_cert,
            tls_key=tls_key,
            token=token,
            token_file=token_file,
            insecure_tokens=insecure_tokens,
            renew_seconds=renew_seconds,
            timings=timings,
        )
        self._lock = threading.Lock()
        self._process = os.getpid()  # whose connections these are
        self._streams: set[object] = set()  # that are open
        self._opened: Connection | None = None
        self._limits: Limits | None = None

    @classmethod
    def from_environment(cls, **arguments: Any) -> Self:
        """Make a client of what SENTIDO_ADDRESS and the SENTIDO_CONNECT_* variables say.

        `arguments`, those of `Client`, win over variables. Raises ValueError.
        """
        return cls(**with_environment(arguments))

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
            connection, self._opened = self._opened, None
        if connection is not None:
            connection.close()

    def wait_until_ready(self, timeout: float | None = 30.0) -> None:
        """Wait until a server is SERVING; for ever with None.

        Raises UnavailableError after `timeout` seconds.
        """
        requests.check_timeout(timeout)
        connection = self._connection
        stubs, ready = connection.begin(lambda stubs: grpc.channel_ready_future(stubs.channel))
        try:
            ready.result(timeout)
        except grpc.FutureTimeoutError as error:
            raise not_ready(self.address, requests.seconds(timeout), self._look()) from error
        finally:
            ready.cancel()
            connection.end(stubs)

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
        model_version: str = "",
        truncation: TruncationName = "recorded",
        include_logits: bool = False,
        expect_bundle: answers.Expected = None,
    ) -> Prediction: ...
    @overload
    def predict(  # type: ignore[overload-overlap]
        self,
        texts: Collection[str],
        *,
        model: str = "",
        model_version: str = "",
        truncation: TruncationName = "recorded",
        include_logits: bool = False,
        expect_bundle: answers.Expected = None,
        errors: Literal["raise"] = "raise",
    ) -> list[Prediction]: ...
    @overload
    def predict(  # type: ignore[overload-overlap]
        self,
        texts: Collection[str],
        *,
        model: str = "",
        model_version: str = "",
        truncation: TruncationName = "recorded",
        include_logits: bool = False,
        expect_bundle: answers.Expected = None,
        errors: Literal["return"],
    ) -> list[Prediction | InvalidRequestError]: ...
    @overload
    def predict(
        self,
        texts: Iterable[str],
        *,
        model: str = "",
        model_version: str = "",
        truncation: TruncationName = "recorded",
        include_logits: bool = False,
        expect_bundle: answers.Expected = None,
        errors: Literal["raise"] = "raise",
    ) -> Generator[Prediction, None, None]: ...
    @overload
    def predict(
        self,
        texts: Iterable[str],
        *,
        model: str = "",
        model_version: str = "",
        truncation: TruncationName = "recorded",
        include_logits: bool = False,
        expect_bundle: answers.Expected = None,
        errors: Literal["return"],
    ) -> Generator[Prediction | InvalidRequestError, None, None]: ...
    def predict(
        self,
        texts: str | Collection[str] | Iterable[str],
        *,
        model: str = "",
        model_version: str = "",
        truncation: TruncationName = "recorded",
        include_logits: bool = False,
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

        `model`: a name, "" for the server's default. `model_version`: "" for the first of that name
        that the server has. `truncation`: "recorded" with the model, "keep_last", "keep_first", or
        "forbidden", which makes a text of more tokens than the model reads an error.
        `include_logits`: return the predictions' `logits`, too, or raise MissingCapabilityError if
        the model has none. `errors`, of several texts: "return" gives an InvalidRequestError in the
        place of a bad text, or of None, NaN or whatever else is not a str, instead of raising it.

        `expect_bundle`: the digest of the bundle that must answer, or a Model, whose precision must
        be the same too. An answer of another one raises BundleChangedError and is not returned; a
        list is returned as a whole or not at all. Every call that answers from a bundle takes it.
        """
        options = requests.predict_options(model, model_version, truncation, include_logits)
        return self._run(verbs.PREDICT, texts, options, errors, expect_bundle)

    @overload
    def embed(  # type: ignore[overload-overlap]
        self,
        texts: str | Collection[str],
        *,
        model: str = "",
        model_version: str = "",
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
        model_version: str = "",
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
        model_version: str = "",
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
        model_version: str = "",
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
        model_version: str = "",
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

        `kind`: "hidden", what enters the model's last Dense layer, or "mean", the mean of the word
        vectors. Raises MissingCapabilityError if the model has none.
        `normalize`: divide each by its Euclidean length. `errors`: "return" makes a sequence a list
        of vectors, with an InvalidRequestError in the place of a bad text. The rest as for
        `predict`.
        """
        options = requests.embed_options(model, model_version, truncation, kind, normalize)
        return self._run(verbs.EMBED, texts, options, errors, expect_bundle)

    def embed_tokens(
        self,
        text: str,
        *,
        model: str = "",
        model_version: str = "",
        kind: TokenKindName = "word",
        normalize: bool = False,
        truncation: TruncationName = "recorded",
        expect_bundle: answers.Expected = None,
    ) -> TokenEmbeddings:
        """Give the tokens that the model read and a vector for each, (tokens, dimension).

        `kind`: "word", the rows of the embedding matrix, or "hidden", what the last recurrent layer
        gives after each token. The rest as for `embed`.
        """
        options = requests.text_options(model, model_version, truncation)
        return self._ask(verbs.EMBED_TOKENS, expect_bundle, text, kind, normalize, options)

    @overload
    def lookup(  # type: ignore[overload-overlap]
        self,
        words: str,
        *,
        model: str = "",
        model_version: str = "",
        normalize: bool = False,
        expect_bundle: answers.Expected = None,
    ) -> Word: ...
    @overload
    def lookup(
        self,
        words: Iterable[str],
        *,
        model: str = "",
        model_version: str = "",
        normalize: bool = False,
        expect_bundle: answers.Expected = None,
    ) -> list[Word]: ...
    def lookup(
        self,
        words: str | Iterable[str],
        *,
        model: str = "",
        model_version: str = "",
        normalize: bool = False,
        expect_bundle: answers.Expected = None,
    ) -> Word | list[Word]:
        """Look up one word or several: id and vector, or that the model does not know it."""
        several = [words] if isinstance(words, str) else ordered(words, "words")
        options = requests.lookup_options(model, model_version, normalize)
        parts = self._parts(verbs.LOOKUP, several, options, expect_bundle)
        found = [word for part in parts for word in part]
        return found[0] if isinstance(words, str) else found

    def nearest(
        self,
        word: str,
        k: int = 10,
        *,
        model: str = "",
        model_version: str = "",
        expect_bundle: answers.Expected = None,
    ) -> list[Neighbour]:
        """Give the `k` (1 to 1000) words nearest to a word, by cosine similarity.

        Raises NotFoundError for a word that is not in the model's vocabulary.
        """
        return self._ask(verbs.NEAREST, expect_bundle, word, k, model, model_version)

    def tokenize(
        self,
        text: str,
        *,
        model: str = "",
        model_version: str = "",
        truncation: TruncationName = "recorded",
        expect_bundle: answers.Expected = None,
    ) -> Tokenization:
        """Show what the model's tokenizer makes of a text."""
        options = requests.text_options(model, model_version, truncation)
        return self._ask(verbs.TOKENIZE, expect_bundle, text, options)

    def detokenize(
        self,
        token_ids: Iterable[int],
        *,
        model: str = "",
        model_version: str = "",
        expect_bundle: answers.Expected = None,
    ) -> list[str]:
        """Return the word of each id, as `tokenize` gives ids.

        Raises InvalidRequestError, naming `token_ids[17]`, for an id that names no word, such as 0.
        """
        return self._ask(verbs.DETOKENIZE, expect_bundle, token_ids, model, model_version)

    def model(self, name: str = "", version: str = "") -> Model:
        """Describe a model, by default the server's. Raises NotFoundError.

        `version`: "" for the first of that name.
        """
        return self._ask(verbs.MODEL, None, name, version)

    def models(self) -> list[Model]:
        """Describe every model, the default first."""
        return self._ask(verbs.MODELS, None)

    def reload_model(self, name: str = "", version: str = "") -> Model:
        """Make the server load a model's bundle again, as `model` finds it; for administrators.

        Gives the model as it is served from now on. Raises ReloadError if the bundle is bad, and
        the server goes on with the one it had; NotFoundError; AuthenticationError.
        """
        return self._ask(verbs.RELOAD_MODEL, None, name, version)

    def limits(self) -> Limits:
        """Give what a call to the server may hold; asked for again after a bad request."""
        if self._limits is None:
            self._limits = self._ask_limits(self._connection, self.timeout)
        return self._limits

    def _ask_limits(self, connection: Connection, timeout: float | None) -> Limits:
        method, request = verbs.LIMITS.method, verbs.LIMITS.request()
        sent = self._send(connection, method, request, timeout)
        return self._finish(sent, timeout, verbs.LIMITS.read)

    @property
    def _connection(self) -> Connection:
        if self._process != os.getpid():
            self._begin_anew()
        with self._lock:
            if self._opened is None:
                self._opened = Connection(
                    lambda: self._security.channel(grpc, OPTIONS), self._renew_seconds
                )
            return self._opened

    def _begin_anew(self) -> None:
        """Leave the connections to the process that this one was forked from."""
        if self._streams:
            raise CallCancelledError(
                "this process was forked while the client had a stream open, which its connections"
                " do not survive: make a new Client in this process"
            )
        leave_behind(self._opened)
        self._lock = threading.Lock()
        self._opened = None
        self._process = os.getpid()

    def _run(
        self,
        verb: TextVerb[Answer, Part, Listed],
        texts: Any,
        options: Options,
        errors: str,
        expected: answers.Expected,
    ) -> (
        Answer
        | Listed
        | list[Answer | InvalidRequestError]
        | Generator[Answer | InvalidRequestError, None, None]
    ):
        """Run a verb in the shape that its texts ask for."""
        requests.check_errors(errors)
        texts = ordered(texts)
        if isinstance(texts, str):
            return self._ask(verb.one, expected, texts, options)
        if isinstance(texts, Sequence) and errors == "raise":
            return self._list(verb, texts, options, expected)
        stream = self._stream(verb.stream, self._connection, iter(texts), options, errors, expected)
        return self._listed(stream) if isinstance(texts, Sequence) else stream

    def _ask(
        self,
        verb: Verb[Params, Answer],
        expected: answers.Expected,
        *arguments: Params.args,
        **options: Params.kwargs,
    ) -> Answer:
        """Run a verb of one request."""
        request = verb.request(*arguments, **options)
        sent = self._send(self._connection, verb.method, request, self.timeout)
        return self._finish(sent, self.timeout, answers.reads_one_of_bundle(expected, verb.read))

    def _list(
        self,
        verb: TextVerb[Any, Part, Listed],
        texts: Sequence[str],
        options: Options,
        expected: answers.Expected,
    ) -> Listed:
        parts = list(self._parts(verb.many, texts, options, expected))
        if parts or verb.empty is None:
            return verb.join(parts)
        model = self.model(*requests.model_of(options))
        answers.check_bundle(expected, model.bundle_digest, model.precision)
        return verb.empty(model, options)

    def _parts(
        self,
        verb: ChunkVerb[Part],
        texts: Iterable[str],
        options: Options,
        expected: answers.Expected,
    ) -> Iterator[Part]:
        """Send texts in several requests, a few at a time; yield what is answered, in order."""
        connection = self._connection
        in_flight: deque[tuple[Chunk, Sent]] = deque()

        def oldest() -> Part:
            chunk, sent = in_flight.popleft()
            read = answers.reads_one_of_bundle(expected, partial(verb.read, chunk))
            return self._finish(sent, self.timeout, read, chunk.offset)

        try:
            for chunk in cut(texts, self.limits(), verb.field):
                request = verb.request(chunk.texts, options)
                sent = self._send(connection, verb.method, request, self.timeout)
                in_flight.append((chunk, sent))
                if len(in_flight) == WINDOW:
                    yield oldest()
            while in_flight:
                yield oldest()
        except (InvalidRequestError, TooLargeError):
            self._limits = None  # the server may have been started anew, with others
            raise
        finally:
            for _, sent in in_flight:
                sent.cancel()

    def _send(
        self, connection: Connection, method: Method, request: Any, timeout: float | None
    ) -> Sent:
        stubs, future = connection.begin(
            lambda stubs: method(stubs).future(request, timeout=timeout, metadata=self._metadata)
        )
        return Sent(connection, stubs, method, request, future)

    def _finish(
        self, sent: Sent, timeout: float | None, read: Callable[[Any], Answer], offset: int = 0
    ) -> Answer:
        """Wait for an answer and read it; send the request again where that helps, in time."""
        end, repetition = time.monotonic() + requests.seconds(timeout), Repetition()
        while True:
            try:
                answer = sent.result()
                break
            except grpc.FutureCancelledError as error:
                raise CallCancelledError("the client was closed") from error
            except grpc.RpcError as error:
                fault = from_rpc_error(error, self.address, offset)
                delay = repetition.delay(error, fault, end - time.monotonic())
            time.sleep(delay)
            rest = None if timeout is None else end - time.monotonic()
            sent = self._send(sent.connection, sent.method, sent.request, rest)
        found = read(answer)
        if not self._timings:
            return found
        timed: Answer = results.timed(found, sent.future.trailing_metadata())
        return timed

    def _stream(
        self,
        verb: ChunkVerb[Iterable[Answer]],
        connection: Connection,
        texts: Iterable[str],
        options: Options,
        errors: str,
        expected: answers.Expected,
    ) -> Generator[Answer, None, None]:
        metadata = self._security.metadata
        limits = self._awaited_limits(connection)
        stream = TextStream(
            self.address,
            limits,
            requests.seconds(self.timeout),
            connection,
            lambda stubs, messages: verb.method(stubs)(messages, metadata=metadata),
            verb.request_of(options),
            answers.reads_of_bundle(expected, verb.read),
        )
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

    def _awaited_limits(self, connection: Connection) -> Limits:
        """Return the limits; wait for a server to give them as long as a stream waits for one."""
        patience = Patience(requests.seconds(self.timeout))
        while (limits := self._limits) is None:
            try:
                left = None if self.timeout is None else patience.left
                self._limits = self._ask_limits(connection, left)
            except SentidoError as error:
                time.sleep(patience.delay(error))
        return limits

    def _listed(self, stream: Generator[Answer, None, None]) -> list[Answer]:
        self.limits()  # a list fails soon where no server is, also if it is sent as a stream
        return list(stream)
