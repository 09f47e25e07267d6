"""The client for asyncio: the verbs of `Client`, each to be awaited."""

import asyncio
from collections import deque
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Sequence,
)
from types import TracebackType
from typing import Any, Literal, Self, overload

import grpc
import grpc.aio
import numpy as np
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sentido.v1 import (
    embedding_pb2,
    embedding_pb2_grpc,
    model_pb2,
    model_pb2_grpc,
    prediction_pb2,
    prediction_pb2_grpc,
    tokenizer_pb2,
    tokenizer_pb2_grpc,
)

from sentido_client import requests, results
from sentido_client.channel import OPTIONS, PLAIN_OPTIONS
from sentido_client.errors import (
    DeadlineError,
    InvalidRequestError,
    OverloadedError,
    ServerError,
    UnavailableError,
    from_rpc_error,
)
from sentido_client.requests import (
    Chunk,
    Cutter,
    EmbeddingKindName,
    TokenKindName,
    TruncationName,
)
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
from sentido_client.stream import stream_answers

Texts = Iterable[str] | AsyncIterable[str]


class AsyncClient:
    """Calls a Sentido server from asyncio. Arguments and results are those of `Client`.

    It belongs to the event loop of its first call and lives until `close` or the end of its
    `async with` block.
    """

    def __init__(self, address: str = "localhost:50051", *, timeout: float = 30.0) -> None:
        self.address = address
        self.timeout = timeout
        self._open_channel: grpc.aio.Channel | None = None
        self._limits: Limits | None = None

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
        channel, self._open_channel = self._open_channel, None
        if channel is not None:
            await channel.close()

    async def wait_until_ready(self, timeout: float = 30.0) -> None:
        """Wait until a server is SERVING. Raises UnavailableError after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._channel.channel_ready()
        except TimeoutError as error:
            raise UnavailableError(
                f"no server is ready at {self.address} after {timeout:g} seconds"
            ) from error

    async def health(self, service: str = "") -> str:
        """Ask for a service's health: "SERVING", "NOT_SERVING" or "SERVICE_UNKNOWN"."""
        async with grpc.aio.insecure_channel(self.address, PLAIN_OPTIONS) as channel:
            check: Any = health_pb2_grpc.HealthStub(channel).Check
            try:
                answer = await check(
                    health_pb2.HealthCheckRequest(service=service), timeout=self.timeout
                )
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.NOT_FOUND:
                    return "SERVICE_UNKNOWN"
                raise from_rpc_error(error, self.address) from error
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))

    @overload
    def predict(  # type: ignore[overload-overlap]
        self, texts: str, *, model: str = "", truncation: TruncationName = "recorded"
    ) -> Awaitable[Prediction]: ...
    @overload
    def predict(  # type: ignore[overload-overlap]
        self, texts: Sequence[str], *, model: str = "", truncation: TruncationName = "recorded"
    ) -> Awaitable[list[Prediction]]: ...
    @overload
    def predict(
        self,
        texts: Texts,
        *,
        model: str = "",
        truncation: TruncationName = "recorded",
        errors: Literal["raise"] = "raise",
    ) -> AsyncIterator[Prediction]: ...
    @overload
    def predict(
        self,
        texts: Texts,
        *,
        model: str = "",
        truncation: TruncationName = "recorded",
        errors: Literal["return"],
    ) -> AsyncIterator[Prediction | InvalidRequestError]: ...
    def predict(
        self,
        texts: str | Sequence[str] | Texts,
        *,
        model: str = "",
        truncation: TruncationName = "recorded",
        errors: Literal["raise", "return"] = "raise",
    ) -> (
        Awaitable[Prediction]
        | Awaitable[list[Prediction]]
        | AsyncIterator[Prediction | InvalidRequestError]
    ):
        """Classify one text, a list of texts, or a stream of them; see `Client.predict`.

        A str or a sequence is to be awaited; any other iterable, async or not, gives an async
        iterator.
        """
        options = requests.text_options(model, truncation)
        if isinstance(texts, str):
            return self._predict_one(texts, options)
        if isinstance(texts, Sequence):
            return self._predict_all(texts, options)
        requests.check_errors(errors)
        return self._predict_stream(texts, options, errors)

    async def embed(
        self,
        texts: str | Iterable[str],
        *,
        model: str = "",
        kind: EmbeddingKindName = "hidden",
        normalize: bool = False,
        truncation: TruncationName = "recorded",
    ) -> Vectors:
        """Give one vector a text; see `Client.embed`."""
        options = requests.embed_options(model, truncation, kind, normalize)
        if isinstance(texts, str):
            request = embedding_pb2.EmbedRequest(text=requests.check_text(texts), **options)
            return results.vectors((await self._call(self._embeddings.Embed, request)).embedding)
        parts = [
            results.vectors(answer.embeddings)
            async for answer in self._chunked(
                self._embeddings.BatchEmbed,
                lambda chunk: embedding_pb2.BatchEmbedRequest(texts=chunk, **options),
                texts,
            )
        ]
        return np.concatenate(parts) if parts else await self._no_vectors(model, kind)

    async def embed_tokens(
        self,
        text: str,
        *,
        model: str = "",
        kind: TokenKindName = "word",
        normalize: bool = False,
        truncation: TruncationName = "recorded",
    ) -> TokenEmbeddings:
        """Give the tokens that the model read and a vector for each; see `Client`."""
        request = embedding_pb2.EmbedTokensRequest(
            text=requests.check_text(text),
            kind=requests.token_kind(kind),
            normalize=normalize,
            **requests.text_options(model, truncation),
        )
        return results.token_embeddings(await self._call(self._embeddings.EmbedTokens, request))

    @overload
    async def lookup(  # type: ignore[overload-overlap]
        self, words: str, *, model: str = "", normalize: bool = False
    ) -> Word: ...
    @overload
    async def lookup(
        self, words: Iterable[str], *, model: str = "", normalize: bool = False
    ) -> list[Word]: ...
    async def lookup(
        self, words: str | Iterable[str], *, model: str = "", normalize: bool = False
    ) -> Word | list[Word]:
        """Look up one word or several; see `Client.lookup`."""
        found = [
            word
            async for answer in self._chunked(
                self._embeddings.LookupWords,
                lambda chunk: embedding_pb2.LookupWordsRequest(
                    words=chunk, model=requests.selector(model), normalize=normalize
                ),
                [words] if isinstance(words, str) else words,
            )
            for word in results.words(answer)
        ]
        return found[0] if isinstance(words, str) else found

    async def nearest(self, word: str, k: int = 10, *, model: str = "") -> list[Neighbour]:
        """Give the `k` (1 to 1000) words nearest to a word; see `Client.nearest`."""
        request = embedding_pb2.FindNearestWordsRequest(
            word=requests.check_text(word),
            limit=requests.check_neighbours(k),
            model=requests.selector(model),
        )
        return results.neighbours(await self._call(self._embeddings.FindNearestWords, request))

    async def tokenize(
        self, text: str, *, model: str = "", truncation: TruncationName = "recorded"
    ) -> Tokenization:
        """Show what the model's tokenizer makes of a text."""
        request = tokenizer_pb2.TokenizeRequest(
            text=requests.check_text(text), **requests.text_options(model, truncation)
        )
        stub: Any = tokenizer_pb2_grpc.TokenizerServiceStub(self._channel)
        return results.tokenization(await self._call(stub.Tokenize, request))

    async def model(self, name: str = "") -> Model:
        """Describe a model, "" for the server's default. Raises NotFoundError."""
        answer = await self._call(self._models.GetModel, model_pb2.GetModelRequest(name=name))
        return results.model(answer.model)

    async def models(self) -> list[Model]:
        """Describe every model, the default first."""
        answer = await self._call(self._models.ListModels, model_pb2.ListModelsRequest())
        return [results.model(message) for message in answer.models]

    async def limits(self) -> Limits:
        """Give what a call to the server may hold; asked for once."""
        if self._limits is None:
            request = model_pb2.GetServerInfoRequest()
            self._limits = results.limits(await self._call(self._models.GetServerInfo, request))
        return self._limits

    @property
    def _channel(self) -> grpc.aio.Channel:
        if self._open_channel is None:
            self._open_channel = grpc.aio.insecure_channel(self.address, OPTIONS)
        return self._open_channel

    @property
    def _predictions(self) -> Any:
        return prediction_pb2_grpc.PredictionServiceStub(self._channel)

    @property
    def _embeddings(self) -> Any:
        return embedding_pb2_grpc.EmbeddingServiceStub(self._channel)

    @property
    def _models(self) -> Any:
        return model_pb2_grpc.ModelServiceStub(self._channel)

    async def _predict_one(self, text: str, options: dict[str, Any]) -> Prediction:
        request = prediction_pb2.PredictRequest(text=requests.check_text(text), **options)
        answer = await self._call(self._predictions.Predict, request)
        return results.prediction(answer.prediction, answer.served_by)

    async def _predict_all(self, texts: Sequence[str], options: dict[str, Any]) -> list[Prediction]:
        return [
            results.prediction(prediction, answer.served_by)
            async for answer in self._chunked(
                self._predictions.BatchPredict,
                lambda chunk: prediction_pb2.BatchPredictRequest(texts=chunk, **options),
                texts,
            )
            for prediction in answer.predictions
        ]

    async def _call(self, method: Any, request: Any, offset: int = 0) -> Any:
        """Make a call; send it again as often as a full server asks for it, within the timeout."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self.timeout
        while True:
            try:
                return await method(request, timeout=max(0.0, end - loop.time()))
            except grpc.aio.AioRpcError as error:
                fault = from_rpc_error(error, self.address, offset)
                if not isinstance(fault, OverloadedError) or fault.retry_after >= end - loop.time():
                    raise fault from error
            await asyncio.sleep(fault.retry_after)

    async def _chunked(
        self, method: Any, request: Callable[[Sequence[str]], Any], texts: Iterable[str]
    ) -> AsyncIterator[Any]:
        """Send texts in several calls, a few at a time; give the answers in order."""
        flying: deque[asyncio.Task[Any]] = deque()
        try:
            for chunk in requests.cut(texts, await self.limits()):
                call = self._call(method, request(chunk.texts), chunk.offset)
                flying.append(asyncio.create_task(call))
                if len(flying) == requests.WINDOW:
                    yield await flying.popleft()
            while flying:
                yield await flying.popleft()
        finally:
            for task in flying:
                task.cancel()
            await asyncio.gather(*flying, return_exceptions=True)

    async def _predict_stream(
        self, texts: Texts, options: dict[str, Any], errors: str
    ) -> AsyncIterator[Prediction | InvalidRequestError]:
        cutter = Cutter(requests.STREAM_TEXTS, await self.limits())
        call = self._predictions.StreamPredict()
        flight = _Flight()
        writing = asyncio.create_task(_write(call, texts, options, cutter, flight))
        try:
            while (chunk := await flight.sent.get()) is not None:
                async with asyncio.timeout(self.timeout):
                    response = await call.read()
                if response is grpc.aio.EOF:
                    raise ServerError("the server ended the stream before it answered everything")
                flight.slots.release()
                for answer in stream_answers(chunk, response):
                    if isinstance(answer, InvalidRequestError) and errors == "raise":
                        raise answer
                    yield answer
            await writing  # raises what the iterable raised
            await call.read()  # the end of the stream; raises its status if that is not OK
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, self.address) from error
        except TimeoutError as error:
            raise DeadlineError(f"no answer on the stream for {self.timeout:g} seconds") from error
        finally:
            writing.cancel()
            call.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    async def _no_vectors(self, model: str, kind: EmbeddingKindName) -> Vectors:
        facts = await self.model(model)
        dimension = facts.hidden_units if kind == "hidden" else facts.embedding_dimension
        return np.empty((0, dimension), np.float32)


class _Flight:
    """The messages of a stream that are on their way: what was sent, and room for more."""

    def __init__(self) -> None:
        self.slots = asyncio.Semaphore(requests.WINDOW)
        self.sent: asyncio.Queue[Chunk | None] = asyncio.Queue()  # None: nothing more is sent


async def _write(
    call: Any, texts: Texts, options: dict[str, Any], cutter: Cutter, flight: _Flight
) -> None:
    """Feed a stream: full messages, or at once when none is on its way."""

    async def send(chunks: list[Chunk]) -> None:
        for chunk in chunks:
            await flight.slots.acquire()
            flight.sent.put_nowait(chunk)
            await call.write(prediction_pb2.StreamPredictRequest(texts=chunk.texts, **options))

    try:
        async for text in _each(texts):
            await send(cutter.add(text))
            if flight.sent.empty():
                await send(cutter.rest())
        await send(cutter.rest())
        await call.done_writing()
    except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
        pass  # the call has ended; reading it raises its status
    finally:
        flight.sent.put_nowait(None)


async def _each(texts: Texts) -> AsyncIterator[str]:
    if isinstance(texts, AsyncIterable):
        async for text in texts:
            yield text
    else:
        for text in texts:
            yield text
