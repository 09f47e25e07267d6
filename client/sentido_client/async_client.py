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
from weakref import WeakSet

import grpc
import grpc.aio
import numpy as np
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sentido.v1 import model_pb2

from sentido_client import answers, requests, results
from sentido_client.address import check_address
from sentido_client.arguments import Arguments
from sentido_client.async_stream import AsyncTextStream, Texts, explain
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
from sentido_client.stream import Answer, leave_behind
from sentido_client.texts import ordered

_open: "WeakSet[Stubs]" = WeakSet()  # connections that are not closed


class AsyncClient:
    """Calls a Sentido server from asyncio. Arguments and results are those of `Client`.

    It belongs to the event loop of its first call, raises RuntimeError in another one, and lives
    until `close` or the end of its `async with` block. In a process that was forked while any was
    open, all raise RuntimeError.
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
        self._open_stubs: Stubs | None = None
        self._loop: asyncio.AbstractEventLoop | None = None  # of what is open
        self._limits: Limits | None = None

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
        stubs, self._open_stubs = self._open_stubs, None
        if stubs is not None and stubs.process != os.getpid():
            leave_behind(stubs)
        elif stubs is not None and self._loop is asyncio.get_running_loop():  # else it is over
            _open.discard(stubs)
            await stubs.channel.close()

    async def wait_until_ready(self, timeout: float | None = 30.0) -> None:
        """Wait until a server is SERVING; see `Client.wait_until_ready`."""
        try:
            async with asyncio.timeout(timeout):
                await self._stubs.channel.channel_ready()
        except TimeoutError as error:
            seconds = requests.seconds(timeout)
            raise not_ready(self.address, seconds, await self._look()) from error

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
        truncation: TruncationName = "recorded",
        expect_bundle: answers.Expected = None,
    ) -> Coroutine[Any, Any, Prediction]: ...
    @overload
    def predict(  # type: ignore[overload-overlap]
        self,
        texts: Collection[str],
        *,
        model: str = "",
        truncation: TruncationName = "recorded",
        expect_bundle: answers.Expected = None,
        errors: Literal["raise"] = "raise",
    ) -> Coroutine[Any, Any, list[Prediction]]: ...
    @overload
    def predict(  # type: ignore[overload-overlap]
        self,
        texts: Collection[str],
        *,
        model: str = "",
        truncation: TruncationName = "recorded",
        expect_bundle: answers.Expected = None,
        errors: Literal["return"],
    ) -> Coroutine[Any, Any, list[Prediction | InvalidRequestError]]: ...
    @overload
    def predict(
        self,
        texts: Texts,
        *,
        model: str = "",
        truncation: TruncationName = "recorded",
        expect_bundle: answers.Expected = None,
        errors: Literal["raise"] = "raise",
    ) -> AsyncGenerator[Prediction, None]: ...
    @overload
    def predict(
        self,
        texts: Texts,
        *,
        model: str = "",
        truncation: TruncationName = "recorded",
        expect_bundle: answers.Expected = None,
        errors: Literal["return"],
    ) -> AsyncGenerator[Prediction | InvalidRequestError, None]: ...
    def predict(
        self,
        texts: str | Collection[str] | Texts,
        *,
        model: str = "",
        truncation: TruncationName = "recorded",
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
        requests.check_errors(errors)
        texts = ordered(texts)
        options = requests.text_options(model, truncation)
        if isinstance(texts, str):
            return self._predict_one(texts, options, expect_bundle)
        if isinstance(texts, Sequence) and errors == "raise":
            return self._predict_all(texts, options, expect_bundle)
        stream = self._stream(
            lambda stubs: stubs.predictions.StreamPredict,
            partial(requests.stream_predict, options=options),
            answers.stream_predictions,
            texts,
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
    ) -> Coroutine[Any, Any, Vectors]: ...
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
    ) -> Coroutine[Any, Any, list[Vectors | InvalidRequestError]]: ...
    @overload
    def embed(
        self,
        texts: Texts,
        *,
        model: str = "",
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
        requests.check_errors(errors)
        texts = ordered(texts)
        options = requests.embed_options(model, truncation, kind, normalize)
        if isinstance(texts, str):
            return self._embed_one(texts, options, expect_bundle)
        if isinstance(texts, Sequence) and errors == "raise":
            return self._embed_all(texts, options, model, kind, expect_bundle)
        stream = self._stream(
            lambda stubs: stubs.embeddings.StreamEmbed,
            partial(requests.stream_embed, options=options),
            answers.stream_vectors,
            texts,
            errors,
            expect_bundle,
        )
        return self._listed(stream) if isinstance(texts, Sequence) else stream

    async def embed_tokens(
        self,
        text: str,
        *,
        model: str = "",
        kind: TokenKindName = "word",
        normalize: bool = False,
        truncation: TruncationName = "recorded",
        expect_bundle: answers.Expected = None,
    ) -> TokenEmbeddings:
        """Give the tokens that the model read and a vector for each; see `Client`."""
        request = requests.embed_tokens(
            text, kind, normalize, requests.text_options(model, truncation)
        )
        answer = await self._call(self._stubs.embeddings.EmbedTokens, request, expect_bundle)
        return results.token_embeddings(answer)

    @overload
    async def lookup(  # type: ignore[overload-overlap]
        self,
        words: str,
        *,
        model: str = "",
        normalize: bool = False,
        expect_bundle: answers.Expected = None,
    ) -> Word: ...
    @overload
    async def lookup(
        self,
        words: Iterable[str],
        *,
        model: str = "",
        normalize: bool = False,
        expect_bundle: answers.Expected = None,
    ) -> list[Word]: ...
    async def lookup(
        self,
        words: str | Iterable[str],
        *,
        model: str = "",
        normalize: bool = False,
        expect_bundle: answers.Expected = None,
    ) -> Word | list[Word]:
        """Look up one word or several; see `Client.lookup`."""
        found = [
            word
            async for _, answer in self._chunked(
                self._stubs.embeddings.LookupWords,
                partial(requests.lookup, model=model, normalize=normalize),
                [words] if isinstance(words, str) else ordered(words, "words"),
                expect_bundle,
                field="words",
            )
            for word in results.words(answer)
        ]
        return found[0] if isinstance(words, str) else found

    async def nearest(
        self, word: str, k: int = 10, *, model: str = "", expect_bundle: answers.Expected = None
    ) -> list[Neighbour]:
        """Give the `k` (1 to 1000) words nearest to a word; see `Client.nearest`."""
        request = requests.nearest(word, k, model)
        answer = await self._call(self._stubs.embeddings.FindNearestWords, request, expect_bundle)
        return results.neighbours(answer)

    async def tokenize(
        self,
        text: str,
        *,
        model: str = "",
        truncation: TruncationName = "recorded",
        expect_bundle: answers.Expected = None,
    ) -> Tokenization:
        """Show what the model's tokenizer makes of a text."""
        request = requests.tokenize(text, requests.text_options(model, truncation))
        answer = await self._call(self._stubs.tokenizers.Tokenize, request, expect_bundle)
        return results.tokenization(answer)

    async def model(self, name: str = "") -> Model:
        """Describe a model, "" for the server's default. Raises NotFoundError."""
        answer = await self._call(
            self._stubs.models.GetModel, model_pb2.GetModelRequest(name=check_text(name, "name"))
        )
        return results.model(answer.model)

    async def models(self) -> list[Model]:
        """Describe every model, the default first."""
        answer = await self._call(self._stubs.models.ListModels, model_pb2.ListModelsRequest())
        return [results.model(message) for message in answer.models]

    async def reload_model(self, name: str = "") -> Model:
        """Make the server load a model's bundle again, "" for its default; for administrators.

        As `Client.reload_model`.
        """
        request = model_pb2.ReloadModelRequest(name=check_text(name, "name"))
        answer = await self._call(self._stubs.models.ReloadModel, request)
        return results.model(answer.model)

    async def limits(self) -> Limits:
        """Give what a call to the server may hold; asked for again after a bad request."""
        if self._limits is None:
            self._limits = await self._ask_limits(self._stubs, self.timeout)
        return self._limits

    async def _ask_limits(self, stubs: Stubs, timeout: float | None) -> Limits:
        request = model_pb2.GetServerInfoRequest()
        answer = await self._call_for(timeout, stubs.models.GetServerInfo, request)
        return results.limits(answer)

    @property
    def _stubs(self) -> Stubs:
        loop = asyncio.get_running_loop()
        if self._open_stubs is None:
            _check_fork()
            self._open_stubs = Stubs(self._security.channel(grpc.aio, OPTIONS))
            self._loop = loop
            _open.add(self._open_stubs)
        elif self._loop is not loop:
            raise RuntimeError(
                "this AsyncClient belongs to the event loop of its first call: make one in each"
                " event loop, or await close() before it is used in another one"
            )
        return self._open_stubs

    async def _predict_one(
        self, text: str, options: dict[str, Any], expected: answers.Expected
    ) -> Prediction:
        request = requests.predict(text, options)
        answer = await self._call(self._stubs.predictions.Predict, request, expected)
        return results.predictions(answer.served_by)(answer.prediction)

    async def _predict_all(
        self, texts: Sequence[str], options: dict[str, Any], expected: answers.Expected
    ) -> list[Prediction]:
        batches = self._chunked(
            self._stubs.predictions.BatchPredict,
            partial(requests.batch_predict, options=options),
            texts,
            expected,
        )
        return [
            prediction
            async for chunk, answer in batches
            for prediction in answers.batch_predictions(chunk, answer)
        ]

    async def _embed_one(
        self, text: str, options: dict[str, Any], expected: answers.Expected
    ) -> Vectors:
        request = requests.embed(text, options)
        answer = await self._call(self._stubs.embeddings.Embed, request, expected)
        return results.vectors(answer.embedding)

    async def _embed_all(
        self,
        texts: Sequence[str],
        options: dict[str, Any],
        model: str,
        kind: EmbeddingKindName,
        expected: answers.Expected,
    ) -> Vectors:
        batches = self._chunked(
            self._stubs.embeddings.BatchEmbed,
            partial(requests.batch_embed, options=options),
            texts,
            expected,
        )
        parts = [answers.batch_vectors(chunk, answer) async for chunk, answer in batches]
        return np.concatenate(parts) if parts else await self._no_vectors(model, kind, expected)

    async def _call(
        self, method: Any, request: Any, expected: answers.Expected = None, offset: int = 0
    ) -> Any:
        answer = await self._call_for(self.timeout, method, request, offset)
        return answers.of_bundle(expected, answer)

    async def _call_for(
        self, timeout: float | None, method: Any, request: Any, offset: int = 0
    ) -> Any:
        """Make a call; send it again as often as a full server asks for it, within the timeout."""
        loop = asyncio.get_running_loop()
        end = loop.time() + requests.seconds(timeout)
        while True:
            try:
                left = None if timeout is None else max(0.0, end - loop.time())
                return await method(request, timeout=left, metadata=self._security.metadata)
            except grpc.aio.UsageError as error:  # grpc's word for a closed channel
                raise CallCancelledError("the client was closed") from error
            except (grpc.aio.AioRpcError, asyncio.CancelledError) as error:
                fault = explain(error, self.address, offset)
                if not isinstance(fault, OverloadedError) or fault.retry_after >= end - loop.time():
                    raise fault from error
            await asyncio.sleep(fault.retry_after)

    async def _chunked(
        self,
        method: Any,
        request: Callable[[Sequence[str]], Any],
        texts: Iterable[str],
        expected: answers.Expected,
        field: str = "texts",
    ) -> AsyncIterator[tuple[Chunk, Any]]:
        """Send texts in several calls, a few at a time; give them with the answers, in order."""
        flying: deque[tuple[Chunk, asyncio.Task[Any]]] = deque()
        try:
            for chunk in cut(texts, await self.limits(), field):
                call = self._call(method, request(chunk.texts), expected, chunk.offset)
                flying.append((chunk, asyncio.create_task(call)))
                if len(flying) == WINDOW:
                    oldest, task = flying.popleft()
                    yield oldest, await task
            while flying:
                oldest, task = flying.popleft()
                yield oldest, await task
        except (InvalidRequestError, TooLargeError):
            self._limits = None  # the server may have been started anew, with others
            raise
        finally:
            left = [task for _, task in flying]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    def _stream(
        self,
        method: Callable[[Stubs], Any],
        request: Callable[[Sequence[str]], Any],
        read: Callable[[Chunk, Any], Iterable[Answer]],
        texts: Texts,
        errors: str,
        expected: answers.Expected,
    ) -> AsyncGenerator[Answer, None]:
        if not isinstance(texts, AsyncIterable):
            texts = iter(texts)  # raises TypeError now and not at the first answer

        async def run() -> AsyncGenerator[Answer, None]:
            call = partial(method(self._stubs), metadata=self._security.metadata)
            limits, timeout = await self._awaited_limits(), requests.seconds(self.timeout)
            reads = answers.reads_of_bundle(expected, read)
            stream = AsyncTextStream(self.address, limits, timeout, call, request, reads)
            try:
                async with aclosing(stream.run(texts)) as found:
                    async for answer in found:
                        if isinstance(answer, InvalidRequestError) and errors == "raise":
                            raise answer
                        yield answer
            except (InvalidRequestError, TooLargeError):
                self._limits = None  # as above
                raise

        return run()

    async def _awaited_limits(self) -> Limits:
        """Return the limits; wait for a server to give them as long as a stream waits for one."""
        patience, stubs = Patience(requests.seconds(self.timeout)), self._stubs
        while (limits := self._limits) is None:
            try:
                left = None if self.timeout is None else patience.left
                self._limits = await self._ask_limits(stubs, left)
            except SentidoError as error:
                await asyncio.sleep(patience.delay(error))
        return limits

    async def _listed(self, stream: AsyncGenerator[Answer, None]) -> list[Answer]:
        await self.limits()  # a list fails soon where no server is, also if it is sent as a stream
        async with aclosing(stream):
            return [answer async for answer in stream]

    async def _no_vectors(
        self, model: str, kind: EmbeddingKindName, expected: answers.Expected
    ) -> Vectors:
        facts = await self.model(model)
        answers.check_bundle(expected, facts.bundle_digest, facts.precision)
        dimension = facts.hidden_units if kind == "hidden" else facts.embedding_dimension
        return np.empty((0, dimension), np.float32)


def _check_fork() -> None:
    """Raise RuntimeError in a process in which gRPC would crash or hang."""
    if any(stubs.process != os.getpid() for stubs in _open):
        raise RuntimeError(
            "this process was forked while an AsyncClient was open, which gRPC does not survive:"
            " close every AsyncClient before a fork, or start processes by spawn"
        )
