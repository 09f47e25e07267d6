"""The RPCs of EmbeddingService."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sentido.v1 import embedding_pb2
from sentido.v1.common_pb2 import DATA_TYPE_FLOAT32, Tensor
from sentido.v1.embedding_pb2 import (
    BatchEmbedRequest,
    BatchEmbedResponse,
    EmbedRequest,
    EmbedResponse,
    EmbedTokensRequest,
    EmbedTokensResponse,
    FindNearestWordsRequest,
    FindNearestWordsResponse,
    LookupWordsRequest,
    LookupWordsResponse,
    NearestWord,
    StreamEmbedRequest,
    StreamEmbedResponse,
    StreamEmbedResult,
    Word,
)
from sentido_bundle import Bundle, Encoding, normalize

from sentido_server.core.faults import InvalidArgument, NotFound, Violation, shorten
from sentido_server.core.rpc import Final, Item, Lane, Plan, Result, Rpc, Serving, Steps, served_by
from sentido_server.rpcs.checks import SMALL_MANY, Check, bundle_of, good, texts_of, usage
from sentido_server.rpcs.messages import TOKEN_BYTES, token_messages

_METHODS = embedding_pb2.DESCRIPTOR.services_by_name["EmbeddingService"].methods_by_name

_DEFAULT_NEIGHBOURS = 10
_MOST_NEIGHBOURS = 1000


def prepare_embed(serving: Serving, request: EmbedRequest) -> Plan:
    """Check and tokenize the text; the mean of word vectors needs nothing computed."""
    bundle, check = bundle_of(serving, request.model), Check(serving.limits)
    truncation = check.truncation(request.truncation)
    check.enum("kind", request.kind, embedding_pb2.EmbeddingKind)
    encoding = check.text("text", request.text, bundle.tokenizer, truncation)
    return _plan_embed(request.kind, bundle, [encoding])


def reply_embed(request: EmbedRequest, plan: Plan, results: Sequence[Result]) -> EmbedResponse:
    """Give the one vector."""
    (vector,) = _embeddings(plan, results)
    (encoding,) = plan.encodings
    return EmbedResponse(
        embedding=_tensor(vector, request.normalize),
        usage=usage(encoding),
        served_by=served_by(plan),
    )


def prepare_batch_embed(serving: Serving, request: BatchEmbedRequest) -> Plan:
    """Check and tokenize all texts, or name every bad one."""
    bundle, check = bundle_of(serving, request.model), Check(serving.limits)
    truncation = check.truncation(request.truncation)
    check.enum("kind", request.kind, embedding_pb2.EmbeddingKind)
    encodings = check.texts("texts", request.texts, bundle.tokenizer, truncation)
    return _plan_embed(request.kind, bundle, encodings)


def reply_batch_embed(
    request: BatchEmbedRequest, plan: Plan, results: Sequence[Result]
) -> BatchEmbedResponse:
    """Give a vector a text."""
    return BatchEmbedResponse(
        embeddings=_tensor(_matrix(request.kind, plan, results), request.normalize),
        usages=[usage(encoding) for encoding in plan.encodings],
        served_by=served_by(plan),
    )


def prepare_stream_embed(serving: Serving, request: StreamEmbedRequest) -> Plan:
    """Check and tokenize one message's texts; the notes hold a text's encoding or what is wrong."""
    bundle, check = bundle_of(serving, request.model), Check(serving.limits)
    truncation = check.truncation(request.truncation)
    check.enum("kind", request.kind, embedding_pb2.EmbeddingKind)
    checked = check.message("texts", request.texts, bundle.tokenizer, truncation)
    return replace(_plan_embed(request.kind, bundle, good(checked)), notes=checked)


def reply_stream_embed(
    request: StreamEmbedRequest, plan: Plan, results: Sequence[Result]
) -> StreamEmbedResponse:
    """Give the vectors of the good texts, and a usage or a status a text."""
    return StreamEmbedResponse(
        embeddings=_tensor(_matrix(request.kind, plan, results), request.normalize),
        results=[
            StreamEmbedResult(error=InvalidArgument([checked]).status())
            if isinstance(checked, Violation)
            else StreamEmbedResult(usage=usage(checked))
            for checked in plan.notes
        ],
        served_by=served_by(plan),
    )


def prepare_embed_tokens(serving: Serving, request: EmbedTokensRequest) -> Plan:
    """Check and tokenize the text, with offsets."""
    bundle, check = bundle_of(serving, request.model), Check(serving.limits)
    truncation = check.truncation(request.truncation)
    check.enum("kind", request.kind, embedding_pb2.TokenEmbeddingKind)
    encoding = check.text("text", request.text, bundle.tokenizer, truncation)
    tokens = bundle.tokenizer.read_tokens(request.text, truncation)
    wants_steps = request.kind == embedding_pb2.TOKEN_EMBEDDING_KIND_HIDDEN
    items = [Item(bundle, encoding, every_step=True)] if wants_steps else []
    return Plan(bundle, [encoding], items, notes=tokens)


def reply_embed_tokens(
    request: EmbedTokensRequest, plan: Plan, results: Sequence[Result]
) -> EmbedTokensResponse:
    """Give a vector a token."""
    assert plan.bundle is not None
    (encoding,) = plan.encodings
    if results:
        assert isinstance(results[0], Steps)
        rows = results[0].hidden
    else:
        rows = plan.bundle.word_vectors.rows(encoding.ids)
    return EmbedTokensResponse(
        tokens=token_messages(plan.notes),
        embeddings=_tensor(rows, request.normalize),
        usage=usage(encoding),
        served_by=served_by(plan),
    )


def prepare_lookup_words(serving: Serving, request: LookupWordsRequest) -> Plan:
    """Look the words up; the notes hold an id or None a word."""
    bundle, check = bundle_of(serving, request.model), Check(serving.limits)
    check.count("words", len(request.words))
    check.finish()
    return Plan(bundle, notes=[bundle.tokenizer.lookup(word) for word in request.words])


def reply_lookup_words(
    request: LookupWordsRequest, plan: Plan, _: Sequence[Result]
) -> LookupWordsResponse:
    """Give the ids and rows."""
    assert plan.bundle is not None
    vectors = plan.bundle.word_vectors
    rows = np.zeros((len(plan.notes), vectors.size), np.float32)
    for row, id in zip(rows, plan.notes, strict=True):
        if id is not None:
            row[:] = vectors.matrix[id]
    return LookupWordsResponse(
        words=[
            Word(text=word, id=id or 0, out_of_vocabulary=id is None)
            for word, id in zip(request.words, plan.notes, strict=True)
        ],
        embeddings=_tensor(rows, request.normalize),
        served_by=served_by(plan),
    )


def prepare_find_nearest_words(serving: Serving, request: FindNearestWordsRequest) -> Plan:
    """Find the word's id; the notes hold it and how many neighbours are wanted."""
    bundle, check = bundle_of(serving, request.model), Check(serving.limits)
    limit = request.limit or _DEFAULT_NEIGHBOURS
    in_range = 1 <= limit <= _MOST_NEIGHBOURS
    check.require("limit", in_range, f"is {limit}, 1 to {_MOST_NEIGHBOURS} is needed")
    check.finish()
    id = bundle.tokenizer.lookup(request.word)
    if id is None:
        raise NotFound(
            f"word {shorten(request.word)!r} is not in the vocabulary of model {bundle.name!r}"
        )
    return Plan(bundle, notes=(id, limit))


def reply_find_nearest_words(
    _: FindNearestWordsRequest, plan: Plan, __: Sequence[Result]
) -> FindNearestWordsResponse:
    """Give the neighbours, the nearest first."""
    assert plan.bundle is not None
    return FindNearestWordsResponse(
        words=[
            NearestWord(text=word.text, id=word.id, similarity=word.similarity)
            for word in plan.bundle.word_vectors.nearest(*plan.notes)
        ],
        served_by=served_by(plan),
    )


def _plan_embed(kind: int, bundle: Bundle, encodings: Sequence[Encoding]) -> Plan:
    """Plan a vector a text. Only the hidden state needs the model; means are taken in `reply`."""
    if kind == embedding_pb2.EMBEDDING_KIND_MEAN:
        return Plan(bundle, encodings)
    return Plan(bundle, encodings, [Item(bundle, encoding) for encoding in encodings])


def _embeddings(plan: Plan, results: Sequence[Result]) -> list[NDArray[np.float32]]:
    if not plan.items:
        assert plan.bundle is not None
        return [plan.bundle.word_vectors.mean(encoding.ids) for encoding in plan.encodings]
    return [result.hidden for result in results if isinstance(result, Final)]


def _matrix(kind: int, plan: Plan, results: Sequence[Result]) -> NDArray[np.float32]:
    """Give the vectors, (texts, dimension), also of no texts."""
    rows = _embeddings(plan, results)
    if rows:
        return np.stack(rows)
    assert plan.bundle is not None
    sizes = plan.bundle.manifest.dimensions
    is_mean = kind == embedding_pb2.EMBEDDING_KIND_MEAN
    return np.empty((0, sizes.embedding if is_mean else sizes.hidden), np.float32)


def _tensor(array: NDArray[np.float32], unit_length: bool) -> Tensor:
    if unit_length:
        array = normalize(array)
    data: Any = np.ascontiguousarray(array, "<f4").tobytes()
    return Tensor(data_type=DATA_TYPE_FLOAT32, shape=array.shape, data=data)


RPCS = (
    Rpc(_METHODS["Embed"], prepare_embed, reply_embed, bytes_per_byte=16),
    Rpc(
        _METHODS["BatchEmbed"],
        prepare_batch_embed,
        reply_batch_embed,
        rows=texts_of,
        small=SMALL_MANY,
    ),
    Rpc(
        _METHODS["StreamEmbed"],
        prepare_stream_embed,
        reply_stream_embed,
        rows=texts_of,
        small=SMALL_MANY,
    ),
    Rpc(
        _METHODS["EmbedTokens"],
        prepare_embed_tokens,
        reply_embed_tokens,
        small=SMALL_MANY,
        bytes_per_byte=TOKEN_BYTES,
    ),
    Rpc(
        _METHODS["LookupWords"],
        prepare_lookup_words,
        reply_lookup_words,
        rows=lambda request: len(request.words),
        small=SMALL_MANY,
        lane=Lane.LOOKUP,
    ),
    Rpc(
        _METHODS["FindNearestWords"],
        prepare_find_nearest_words,
        reply_find_nearest_words,
        lane=Lane.SLOW,  # it looks at every word, whatever its size,
    ),
)
