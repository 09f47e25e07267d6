"""The verbs of both clients as values: the RPC, what makes its requests, what reads its answers.

A client runs them in three shapes: one request, a list in several requests, and a stream. To add a
verb, add a value here and a short method to each client.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import chain
from numbers import Integral
from typing import Any, Generic, ParamSpec, TypeVar

import numpy as np
from sentido.v1.model_pb2 import GetServerInfoRequest, ListModelsRequest
from sentido.v1.tokenizer_pb2 import DetokenizeRequest

from sentido_client import answers, requests, results
from sentido_client.channel import Method
from sentido_client.chunking import Chunk
from sentido_client.errors import InvalidRequestError, MissingCapabilityError, Violation
from sentido_client.requests import Options
from sentido_client.results import Limits, Model, Neighbour, Prediction, Vectors

Params = ParamSpec("Params")
Answer = TypeVar("Answer")
Part = TypeVar("Part")
Listed = TypeVar("Listed")


@dataclass(frozen=True)
class Verb(Generic[Params, Answer]):
    """One request and its answer."""

    method: Method
    request: Callable[Params, Any]
    read: Callable[[Any], Answer]


@dataclass(frozen=True)
class ChunkVerb(Generic[Part]):
    """Requests for several texts or words each, and the answers to each request."""

    method: Method
    request: Callable[[Sequence[str], Options], Any]
    read: Callable[[Chunk, Any], Part]
    field: str = "texts"  # of the request

    def request_of(self, options: Options) -> Callable[[Sequence[str]], Any]:
        """Return what makes requests with these options."""
        return lambda texts: self.request(texts, options)


@dataclass(frozen=True)
class TextVerb(Generic[Answer, Part, Listed]):
    """What can be asked about one text, a list of texts, or a stream of them."""

    one: Verb[[str, Options], Answer]
    many: ChunkVerb[Part]
    stream: ChunkVerb[Iterable[Answer | InvalidRequestError]]
    join: Callable[[Sequence[Part]], Listed]  # the answers to a list's requests
    empty: Callable[[Model, Options], Listed] | None = None  # where `join` needs a part or more


def _join_lists(parts: Iterable[list[Answer]]) -> list[Answer]:
    return list(chain.from_iterable(parts))


def _no_vectors(model: Model, options: Options) -> Vectors:
    kind = requests.kind_of(options)
    if not (dimension := model.dimension(kind)):
        capability = {"hidden": "hidden", "mean": "word_vectors"}[kind]
        raise MissingCapabilityError(
            f"model {model.name!r} has no vectors of the kind {kind} (capability {capability})",
            model.name,
            capability,
        )
    return np.empty((0, dimension), np.float32)


def _detokenize(token_ids: Iterable[int], model: str, model_version: str) -> DetokenizeRequest:
    kind = type(token_ids).__name__
    if isinstance(token_ids, str | bytes | Mapping | Set) or not isinstance(token_ids, Iterable):
        raise TypeError(f"token_ids is of type {kind}: pass a list of int")
    ids = list(token_ids)
    for index, id in enumerate(ids):
        field = f"token_ids[{index}]"
        if isinstance(id, bool) or not isinstance(id, Integral):
            raise TypeError(f"{field} is of type {type(id).__name__}, int is needed")
        if not -(2**31) <= id < 2**31:  # which a message cannot carry; the rest is the server's
            description = f"is {id}, which is the id of no word"
            raise InvalidRequestError(
                f"{field}: {description}", [Violation(field, description, index)]
            )
    return DetokenizeRequest(token_ids=ids, model=requests.selector(model, model_version))


PREDICT: TextVerb[Prediction, list[Prediction], list[Prediction]] = TextVerb(
    Verb(lambda stubs: stubs.predictions.Predict, requests.predict, answers.prediction),
    ChunkVerb(
        lambda stubs: stubs.predictions.BatchPredict,
        requests.batch_predict,
        answers.batch_predictions,
    ),
    ChunkVerb(
        lambda stubs: stubs.predictions.StreamPredict,
        requests.stream_predict,
        answers.stream_predictions,
    ),
    join=_join_lists,
)
EMBED: TextVerb[Vectors, Vectors, Vectors] = TextVerb(
    Verb(lambda stubs: stubs.embeddings.Embed, requests.embed, answers.vector),
    ChunkVerb(
        lambda stubs: stubs.embeddings.BatchEmbed, requests.batch_embed, answers.batch_vectors
    ),
    ChunkVerb(
        lambda stubs: stubs.embeddings.StreamEmbed, requests.stream_embed, answers.stream_vectors
    ),
    join=np.concatenate,
    empty=_no_vectors,
)
EMBED_TOKENS = Verb(
    lambda stubs: stubs.embeddings.EmbedTokens, requests.embed_tokens, results.token_embeddings
)
LOOKUP = ChunkVerb(
    lambda stubs: stubs.embeddings.LookupWords, requests.lookup, answers.words, field="words"
)
NEAREST: Verb[[str, int, str, str], list[Neighbour]] = Verb(
    lambda stubs: stubs.embeddings.FindNearestWords, requests.nearest, results.neighbours
)
TOKENIZE = Verb(lambda stubs: stubs.tokenizers.Tokenize, requests.tokenize, results.tokenization)
DETOKENIZE = Verb(
    lambda stubs: stubs.tokenizers.Detokenize, _detokenize, lambda answer: list(answer.words)
)
MODEL = Verb(lambda stubs: stubs.models.GetModel, requests.model, answers.model)
MODELS = Verb(lambda stubs: stubs.models.ListModels, ListModelsRequest, answers.models)
RELOAD_MODEL = Verb(lambda stubs: stubs.models.ReloadModel, requests.reload_model, answers.model)
LIMITS: Verb[[], Limits] = Verb(
    lambda stubs: stubs.models.GetServerInfo, lambda: GetServerInfoRequest(), results.limits
)
