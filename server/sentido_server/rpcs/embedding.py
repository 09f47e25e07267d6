"""The RPCs of EmbeddingService."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
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
from sentido_bundle.vector_kinds import TEXT_KINDS, TOKEN_KINDS, VectorKind

from sentido_server.core.faults import InvalidArgument, NotFound, Violation, shorten
from sentido_server.core.rpc import Lane, Plan, Result, Rpc, Serving, items_of, served_by
from sentido_server.rpcs.checks import SMALL_MANY, Check, bundle_of, good, texts_of, usage
from sentido_server.rpcs.messages import TOKEN_BYTES, token_messages

_METHODS = embedding_pb2.DESCRIPTOR.services_by_name["EmbeddingService"].methods_by_name


def _kinds(enum: EnumTypeWrapper, known: Iterable[str]) -> dict[int, str]:
    """Return the bundle's word for each value of an enum; 0 stands for the usual kind."""
    usual, *_ = known
    names = {name.rpartition("_")[2].lower(): number for name, number in enum.items()}
    return {0: usual} | {names[kind]: kind for kind in known}


_TEXT_KINDS = _kinds(embedding_pb2.EmbeddingKind, TEXT_KINDS)
_TOKEN_KINDS = _kinds(embedding_pb2.TokenEmbeddingKind, TOKEN_KINDS)

_DEFAULT_NEIGHBOURS = 10
_MOST_NEIGHBOURS = 1000


def prepare_embed(serving: Serving, request: EmbedRequest) -> Plan:
    """Check and tokenize the text; the mean of word vectors needs nothing computed."""
    bundle, check = bundle_of(serving, request.model), Check(serving.limits)
    truncation = check.truncation(request.truncation)
    check.enum("kind", request.kind, embedding_pb2.EmbeddingKind)
    encoding = check.text("text", request.text, bundle.tokenizer, truncation)
    return _plan(bundle, [encoding], bundle.text_vectors(_TEXT_KINDS[request.kind]))


def reply_embed(request: EmbedRequest, plan: Plan, results: Sequence[Result]) -> EmbedResponse:
    """Give the one vector."""
    (vector,) = _rows(plan, results)
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
    return _plan(bundle, encodings, bundle.text_vectors(_TEXT_KINDS[request.kind]))


def reply_batch_embed(
    request: BatchEmbedRequest, plan: Plan, results: Sequence[Result]
) -> BatchEmbedResponse:
    """Give a vector a text."""
    return BatchEmbedResponse(
        embeddings=_tensor(_matrix(plan, results), request.normalize),
        usages=[usage(encoding) for encoding in plan.encodings],
        served_by=served_by(plan),
    )


def prepare_stream_embed(serving: Serving, request: StreamEmbedRequest) -> Plan:
    """Check and tokenize one message's texts; the notes hold a text's encoding or what is wrong."""
    bundle, check = bundle_of(serving, request.model), Check(serving.limits)
    truncation = check.truncation(request.truncation)
    check.enum("kind", request.kind, embedding_pb2.EmbeddingKind)
    checked = check.message("texts", request.texts, bundle.tokenizer, truncation)
    vectors = bundle.text_vectors(_TEXT_KINDS[request.kind])
    return _plan(bundle, good(checked), vectors, checked)


def reply_stream_embed(
    request: StreamEmbedRequest, plan: Plan, results: Sequence[Result]
) -> StreamEmbedResponse:
    """Give the vectors of the good texts, and a usage or a status a text."""
    return StreamEmbedResponse(
        embeddings=_tensor(_matrix(plan, results), request.normalize),
        results=[
            StreamEmbedResult(error=InvalidArgument([checked]).status())
            if isinstance(checked, Violation)
            else StreamEmbedResult(usage=usage(checked))
            for checked in plan.notes.other
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
    return _plan(bundle, [encoding], bundle.token_vectors(_TOKEN_KINDS[request.kind]), tokens)


def reply_embed_tokens(
    request: EmbedTokensRequest, plan: Plan, results: Sequence[Result]
) -> EmbedTokensResponse:
    """Give a vector a token."""
    (encoding,) = plan.encodings
    (rows,) = _rows(plan, results)
    return EmbedTokensResponse(
        tokens=token_messages(plan.notes.other),
        embeddings=_tensor(rows, request.normalize),
        usage=usage(encoding),
        served_by=served_by(plan),
    )


def prepare_lookup_words(serving: Serving, request: LookupWordsRequest) -> Plan:
    """Look the words up; the notes hold an id or None a word."""
    bundle, check = bundle_of(serving, request.model), Check(serving.limits)
    check.count("words", len(request.words))
    check.finish()
    bundle.require("word_vectors")
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
    bundle.require("word_vectors")
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


@dataclass(frozen=True)
class _Notes:
    """What a reply needs beside the results: the kind of vectors, and what is the RPC's own."""

    vectors: VectorKind
    other: Any


def _plan(
    bundle: Bundle, encodings: Sequence[Encoding], vectors: VectorKind, other: Any = None
) -> Plan:
    """Plan vectors for each text. Those that are looked up need nothing computed."""
    output = vectors.output
    items = items_of(bundle, encodings, (output,)) if output is not None else []
    return Plan(bundle, encodings, items, _Notes(vectors, other))


def _rows(plan: Plan, results: Sequence[Result]) -> list[NDArray[np.float32]]:
    if plan.items:
        return [row for (row,) in results]
    return [plan.notes.vectors.of(encoding.ids) for encoding in plan.encodings]


def _matrix(plan: Plan, results: Sequence[Result]) -> NDArray[np.float32]:
    """Return the vectors, (texts, size), also of no texts."""
    rows = _rows(plan, results)
    return np.stack(rows) if rows else np.empty((0, plan.notes.vectors.size), np.float32)


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
