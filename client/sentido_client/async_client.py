"""The client for asyncio: the verbs of `Client`, each to be awaited."""

import asyncio
import os
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Collection,
    Coroutine,
    Iterable,
    Sequence,
)
from contextlib import aclosing
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self, overload

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from sentido_client import answers, requests, results, verbs
from sentido_client.address import check_address
from sentido_client.arguments import Arguments
from sentido_client.async_connection import AsyncConnection
from sentido_client.async_stream import AsyncTextStream, Texts, explain
from sentido_client.channel import LOOK_SECONDS, OPTIONS, PLAIN_OPTIONS, RENEW_SECONDS, Method
from sentido_client.chunking import WINDOW, Chunk, check_text, cut
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
from sentido_client.stream import leave_behind
from sentido_client.texts import ordered
from sentido_client.verbs import Answer, ChunkVerb, Listed, Params, Part, TextVerb, Verb

_processes: set[int] = set()  # the first process that a connection was opened in


class AsyncClient:
    """Calls a Sentido server from asyncio. Arguments and results are those of `Client`.

    It belongs to the event loop of its first call, raises RuntimeError in another one, and lives
    until `close` or the end of its `async with` block. In a process that was forked after any was
    used, all raise RuntimeError.
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
        self._opened: AsyncConnection | None = None
        self._limits: Limits | None = None

    @classmethod
    def from_environment(cls, **arguments: Any) -> Self:
        """Make a client of what SENTIDO_ADDRESS and the SENTIDO_CONNECT_* variables say.

        `arguments`, those of `AsyncClient`, win over variables. Raises ValueError.
        """
        return cls(**with_environment(arguments))

    def __repr__(self) -> str:
        return self._arguments.shown("AsyncClient")

    def __reduce__(self) -> tuple[Callable[[], Any], tuple[()]]:
        return self._arguments.made_again(type(self))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections. A later call opens them again."""
        connection, self._opened = self._opened, None
        if connection is not None and connection.process != os.getpid():
            leave_behind(connection)
        elif connection is not None and connection.loop is asyncio.get_running_loop():
            await connection.close()

    async def wait_until_ready(self, timeout: float | None = 30.0) -> None:
        """Wait until a server is SERVING; see `Client.wait_until_ready`."""
        requests.check_timeout(timeout)
        connection = self._connection
        stubs = connection.take()
        try:
            async with asyncio.timeout(timeout):
                await stubs.channel.channel_ready()
        except TimeoutError as error:
            seconds = requests.seconds(timeout)
            raise not_ready(self.address, seconds, await self._look()) from error
        finally:
            connection.end(stubs)

    async def _look(self) -> str | SentidoError:
        """Give the server's health, or the error of asking for it, soon."""
        try:
            return await self._health("", min(requests.seconds(self.timeout), LOOK_SECONDS))
        except SentidoError as error:
            return error

    async def health(self, service: str = "") -> str:
        """Ask for a service's health: "SERVING", "NOT_SERVING" or "SERVICE_UNKNOWN"."""
        return await self._health(service, self.timeout)

    async def _health(self, service: str, timeout: float | None) -> str:
        _check_fork()
        async with self._security.channel(grpc.aio, PLAIN_OPTIONS) as channel:
            check: Any = health_pb2_grpc.HealthStub(channel).Check
            try:
                answer = await check(
                    health_pb2.HealthCheckRequest(service=check_text(service, "service")),
                    timeout=timeout,
                )
            except grpc.aio.AioRpcError as error:
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
    ) -> Coroutine[Any, Any, Prediction]: ...
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
    ) -> Coroutine[Any, Any, list[Prediction]]: ...
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
    ) -> Coroutine[Any, Any, list[Prediction | InvalidRequestError]]: ...
    @overload
    def predict(
        self,
        texts: Texts,
        *,
        model: str = "",
        model_version: str = "",
        truncation: TruncationName = "recorded",
        include_logits: bool = False,
        expect_bundle: answers.Expected = None,
        errors: Literal["raise"] = "raise",
    ) -> AsyncGenerator[Prediction, None]: ...
    @overload
    def predict(
        self,
        texts: Texts,
        *,
        model: str = "",
        model_version: str = "",
        truncation: TruncationName = "recorded",
        include_logits: bool = False,
        expect_bundle: answers.Expected = None,
        errors: Literal["return"],
    ) -> AsyncGenerator[Prediction | InvalidRequestError, None]: ...
    def predict(
        self,
        texts: str | Collection[str] | Texts,
        *,
        model: str = "",
        model_version: str = "",
        truncation: TruncationName = "recorded",
        include_logits: bool = False,
        expect_bundle: answers.Expected = None,
        errors: Literal["raise", "return"] = "raise",
    ) -> (
        Coroutine[Any, Any, Prediction]
        | Coroutine[Any, Any, list[Prediction]]
        | Coroutine[Any, Any, list[Prediction | InvalidRequestError]]
        | AsyncGenerator[Prediction | InvalidRequestError, None]
    ):
        """Classify one text, a list of texts, or a stream of them; see `Client.predict`.

        A str or a sequence is to be awaited; any other iterable, async or not, gives an async
        generator. A plain iterable is read on the event loop, so it should not block.
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
    ) -> Coroutine[Any, Any, Vectors]: ...
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
    ) -> Coroutine[Any, Any, list[Vectors | InvalidRequestError]]: ...
    @overload
    def embed(
        self,
        texts: Texts,
        *,
        model: str = "",
        model_version: str = "",
        kind: EmbeddingKindName = "hidden",
        normalize: bool = False,
        truncation: TruncationName = "recorded",
        expect_bundle: answers.Expected = None,
        errors: Literal["raise"] = "raise",
    ) -> AsyncGenerator[Vectors, None]: ...
    @overload
    def embed(
        self,
        texts: Texts,
        *,
        model: str = "",
        model_version: str = "",
        kind: EmbeddingKindName = "hidden",
        normalize: bool = False,
        truncation: TruncationName = "recorded",
        expect_bundle: answers.Expected = None,
        errors: Literal["return"],
    ) -> AsyncGenerator[Vectors | InvalidRequestError, None]: ...
    def embed(
        self,
        texts: str | Collection[str] | Texts,
        *,
        model: str = "",
        model_version: str = "",
        kind: EmbeddingKindName = "hidden",
        normalize: bool = False,
        truncation: TruncationName = "recorded",
        expect_bundle: answers.Expected = None,
        errors: Literal["raise", "return"] = "raise",
    ) -> (
        Coroutine[Any, Any, Vectors]
        | Coroutine[Any, Any, list[Vectors | InvalidRequestError]]
        | AsyncGenerator[Vectors | InvalidRequestError, None]
    ):
        """Give one vector a text; see `Client.embed`, and `predict` for what is to be awaited."""
        options = requests.embed_options(model, model_version, truncation, kind, normalize)
        return self._run(verbs.EMBED, texts, options, errors, expect_bundle)

    async def embed_tokens(
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
        """Give the tokens that the model read and a vector for each; see `Client`."""
        options = requests.text_options(model, model_version, truncation)
        return await self._ask(verbs.EMBED_TOKENS, expect_bundle, text, kind, normalize, options)

    @overload
    async def lookup(  # type: ignore[overload-overlap]
        self,
        words: str,
        *,
        model: str = "",
        model_version: str = "",
        normalize: bool = False,
        expect_bundle: answers.Expected = None,
    ) -> Word: ...
    @overload
    async def lookup(
        self,
        words: Iterable[str],
        *,
        model: str = "",
        model_version: str = "",
        normalize: bool = False,
        expect_bundle: answers.Expected = None,
    ) -> list[Word]: ...
    async def lookup(
        self,
        words: str | Iterable[str],
        *,
        model: str = "",
        model_version: str = "",
        normalize: bool = False,
        expect_bundle: answers.Expected = None,
    ) -> Word | list[Word]:
        """Look up one word or several; see `Client.lookup`."""
        several = [words] if isinstance(words, str) else ordered(words, "words")
        options = requests.lookup_options(model, model_version, normalize)
        parts = self._parts(verbs.LOOKUP, several, options, expect_bundle)
        found = [word async for part in parts for word in part]
        return found[0] if isinstance(words, str) else found

    async def nearest(
        self,
        word: str,
        k: int = 10,
        *,
        model: str = "",
        model_version: str = "",
        expect_bundle: answers.Expected = None,
    ) -> list[Neighbour]:
        """Give the `k` (1 to 1000) words nearest to a word; see `Client.nearest`."""
        return await self._ask(verbs.NEAREST, expect_bundle, word, k, model, model_version)

    async def tokenize(
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
        return await self._ask(verbs.TOKENIZE, expect_bundle, text, options)

    async def detokenize(
        self,
        token_ids: Iterable[int],
        *,
        model: str = "",
        model_version: str = "",
        expect_bundle: answers.Expected = None,
    ) -> list[str]:
        """Return the word of each id; see `Client.detokenize`."""
        return await self._ask(verbs.DETOKENIZE, expect_bundle, token_ids, model, model_version)

    async def model(self, name: str = "", version: str = "") -> Model:
        """Describe a model, by default the server's. Raises NotFoundError.

        `version`: "" for the first of that name.
        """
        return await self._ask(verbs.MODEL, None, name, version)

    async def models(self) -> list[Model]:
        """Describe every model, the default first."""
        return await self._ask(verbs.MODELS, None)

    async def reload_model(self, name: str = "", version: str = "") -> Model:
        """Make the server load a model's bundle again, as `model` finds it; for administrators.

        As `Client.reload_model`.
        """
        return await self._ask(verbs.RELOAD_MODEL, None, name, version)

    async def limits(self) -> Limits:
        """Give what a call to the server may hold; asked for again after a bad request."""
        if self._limits is None:
            self._limits = await self._ask_limits(self._connection, self.timeout)
        return self._limits

    async def _ask_limits(self, connection: AsyncConnection, timeout: float | None) -> Limits:
        method, request = verbs.LIMITS.method, verbs.LIMITS.request()
        return await self._call(connection, method, request, timeout, verbs.LIMITS.read)

    @property
    def _connection(self) -> AsyncConnection:
        loop = asyncio.get_running_loop()
        if self._opened is None:
            _check_fork()
            self._opened = AsyncConnection(
                lambda: self._security.channel(grpc.aio, OPTIONS), self._renew_seconds
            )
            _processes.add(os.getpid())
        elif self._opened.loop is not loop:
            raise RuntimeError(
                "this AsyncClient belongs to the event loop of its first call: make one in each"
                " event loop, or await close() before it is used in another one"
            )
        return self._opened

    def _run(
        self,
        verb: TextVerb[Answer, Part, Listed],
        texts: Any,
        options: Options,
        errors: str,
        expected: answers.Expected,
    ) -> (
        Coroutine[Any, Any, Answer]
        | Coroutine[Any, Any, Listed]
        | Coroutine[Any, Any, list[Answer | InvalidRequestError]]
        | AsyncGenerator[Answer | InvalidRequestError, None]
    ):
        """Run a verb in the shape that its texts ask for."""
        requests.check_errors(errors)
        texts = ordered(texts)
        if isinstance(texts, str):
            return self._ask(verb.one, expected, texts, options)
        if isinstance(texts, Sequence) and errors == "raise":
            return self._list(verb, texts, options, expected)
        if not isinstance(texts, AsyncIterable | Sequence):
            texts = iter(texts)  # raises TypeError now and not at the first answer
        stream = self._stream(verb.stream, texts, options, errors, expected)
        return self._listed(stream) if isinstance(texts, Sequence) else stream

    async def _ask(
        self,
        verb: Verb[Params, Answer],
        expected: answers.Expected,
        *arguments: Params.args,
        **options: Params.kwargs,
    ) -> Answer:
        """Run a verb of one request."""
        request = verb.request(*arguments, **options)
        read = answers.reads_one_of_bundle(expected, verb.read)
        return await self._call(self._connection, verb.method, request, self.timeout, read)

    async def _list(
        self,
        verb: TextVerb[Any, Part, Listed],
        texts: Sequence[str],
        options: Options,
        expected: answers.Expected,
    ) -> Listed:
        parts = [part async for part in self._parts(verb.many, texts, options, expected)]
        if parts or verb.empty is None:
            return verb.join(parts)
        model = await self.model(*requests.model_of(options))
        answers.check_bundle(expected, model.bundle_digest, model.precision)
        return verb.empty(model, options)

    async def _parts(
        self,
        verb: ChunkVerb[Part],
        texts: Iterable[str],
        options: Options,
        expected: answers.Expected,
    ) -> AsyncIterator[Part]:
        """Send texts in several requests, a few at a time; yield what is answered, in order."""
        connection = self._connection
        in_flight: deque[asyncio.Task[Part]] = deque()

        async def ask(chunk: Chunk) -> Part:
            request = verb.request(chunk.texts, options)
            read = answers.reads_one_of_bundle(expected, partial(verb.read, chunk))
            return await self._call(
                connection, verb.method, request, self.timeout, read, chunk.offset
            )

        try:
            for chunk in cut(texts, await self.limits(), verb.field):
                in_flight.append(asyncio.create_task(ask(chunk)))
                if len(in_flight) == WINDOW:
                    yield await in_flight.popleft()
            while in_flight:
                yield await in_flight.popleft()
        except (InvalidRequestError, TooLargeError):
            self._limits = None  # the server may have been started anew, with others
            raise
        finally:
            for task in in_flight:
                task.cancel()
            await asyncio.gather(*in_flight, return_exceptions=True)

    async def _call(
        self,
        connection: AsyncConnection,
        method: Method,
        request: Any,
        timeout: float | None,
        read: Callable[[Any], Answer],
        offset: int = 0,
    ) -> Answer:
        """Make a call and read its answer; send it again where that helps, within the timeout."""
        loop, repetition = asyncio.get_running_loop(), Repetition()
        end = loop.time() + requests.seconds(timeout)
        while True:
            left = None if timeout is None else max(0.0, end - loop.time())
            stubs = connection.take()
            try:
                call = method(stubs)(request, timeout=left, metadata=self._metadata)
                answer = await call
                break
            except grpc.aio.UsageError as error:  # grpc's word for a closed channel
                raise CallCancelledError("the client was closed") from error
            except (grpc.aio.AioRpcError, asyncio.CancelledError) as error:
                fault = explain(error, self.address, offset)
                delay = repetition.delay(error, fault, end - loop.time())
            finally:
                connection.end(stubs)
            await asyncio.sleep(delay)
        found = read(answer)
        if not self._timings:
            return found
        timed: Answer = results.timed(found, await call.trailing_metadata())
        return timed

    async def _stream(
        self,
        verb: ChunkVerb[Iterable[Answer]],
        texts: Texts,
        options: Options,
        errors: str,
        expected: answers.Expected,
    ) -> AsyncGenerator[Answer, None]:
        connection, metadata = self._connection, self._security.metadata
        limits = await self._awaited_limits(connection)
        stream = AsyncTextStream(
            self.address,
            limits,
            requests.seconds(self.timeout),
            connection,
            lambda stubs: verb.method(stubs)(metadata=metadata),
            verb.request_of(options),
            answers.reads_of_bundle(expected, verb.read),
        )
        try:
            async with aclosing(stream.run(texts)) as found:
                async for answer in found:
                    if isinstance(answer, InvalidRequestError) and errors == "raise":
                        raise answer
                    yield answer
        except (InvalidRequestError, TooLargeError):
            self._limits = None  # as above
            raise

    async def _awaited_limits(self, connection: AsyncConnection) -> Limits:
        """Return the limits; wait for a server to give them as long as a stream waits for one."""
        patience = Patience(requests.seconds(self.timeout))
        while (limits := self._limits) is None:
            try:
                left = None if self.timeout is None else patience.left
                self._limits = await self._ask_limits(connection, left)
            except SentidoError as error:
                await asyncio.sleep(patience.delay(error))
        return limits

    async def _listed(self, stream: AsyncGenerator[Answer, None]) -> list[Answer]:
        await self.limits()  # a list fails soon where no server is, also if it is sent as a stream
        async with aclosing(stream):
            return [answer async for answer in stream]


def _check_fork() -> None:
    """Raise RuntimeError in a process in which gRPC could crash or hang."""
    if _processes - {os.getpid()}:
        raise RuntimeError(
            "this process was forked after an AsyncClient was used, which gRPC may not survive:"
            " start processes by spawn, or use a Client here"
        )
