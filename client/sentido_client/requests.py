"""From arguments to requests, shared by the two clients."""

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, Literal, TypeVar

from sentido.v1 import common_pb2, embedding_pb2
from sentido.v1.common_pb2 import ModelSelector
from sentido.v1.embedding_pb2 import (
    BatchEmbedRequest,
    EmbedRequest,
    EmbedTokensRequest,
    FindNearestWordsRequest,
    LookupWordsRequest,
    StreamEmbedRequest,
)
from sentido.v1.model_pb2 import GetModelRequest, ReloadModelRequest
from sentido.v1.prediction_pb2 import BatchPredictRequest, PredictRequest, StreamPredictRequest
from sentido.v1.tokenizer_pb2 import TokenizeRequest

from sentido_client.chunking import check_text

_T = TypeVar("_T")

TruncationName = Literal["recorded", "keep_last", "keep_first", "forbidden"]
EmbeddingKindName = Literal["hidden", "mean"]
TokenKindName = Literal["word", "hidden"]

_TRUNCATIONS: dict[str, common_pb2.Truncation] = {
    "recorded": common_pb2.TRUNCATION_UNSPECIFIED,
    "keep_last": common_pb2.TRUNCATION_KEEP_LAST,
    "keep_first": common_pb2.TRUNCATION_KEEP_FIRST,
    "forbidden": common_pb2.TRUNCATION_FORBIDDEN,
}
_KINDS: dict[str, embedding_pb2.EmbeddingKind] = {
    "hidden": embedding_pb2.EMBEDDING_KIND_HIDDEN,
    "mean": embedding_pb2.EMBEDDING_KIND_MEAN,
}
_TOKEN_KINDS: dict[str, embedding_pb2.TokenEmbeddingKind] = {
    "word": embedding_pb2.TOKEN_EMBEDDING_KIND_WORD,
    "hidden": embedding_pb2.TOKEN_EMBEDDING_KIND_HIDDEN,
}

_MOST_SECONDS = 1e6  # gRPC takes no more; NaN is not less

Options = dict[str, Any]
"""The fields that several requests have in common."""


def selector(model: str, version: str) -> ModelSelector | None:
    """Return what names a model in a request; None, which takes no bytes, for the default."""
    name, version = check_text(model, "model"), check_text(version, "model_version")
    return ModelSelector(name=name, version=version) if name or version else None


def text_options(model: str, model_version: str, truncation: TruncationName) -> Options:
    """Give the options of every request with texts. Raises ValueError for an unknown one."""
    return {
        "model": selector(model, model_version),
        "truncation": _known("truncation", truncation, _TRUNCATIONS),
    }


def predict_options(
    model: str, model_version: str, truncation: TruncationName, include_logits: bool
) -> Options:
    """Return the options of requests for predictions. Raises ValueError for an unknown one."""
    options = text_options(model, model_version, truncation)
    options["include_logits"] = include_logits
    return options


def embed_options(
    model: str,
    model_version: str,
    truncation: TruncationName,
    kind: EmbeddingKindName,
    normalize: bool,
) -> Options:
    """Give the options of requests for a vector a text. Raises ValueError for an unknown one."""
    return {
        **text_options(model, model_version, truncation),
        "kind": _known("kind", kind, _KINDS),
        "normalize": normalize,
    }


def predict(text: str, options: Options) -> PredictRequest:
    """Ask for one prediction."""
    return PredictRequest(text=check_text(text), **options)


def batch_predict(texts: Sequence[str], options: Options) -> BatchPredictRequest:
    """Ask for a prediction a text."""
    return BatchPredictRequest(texts=texts, **options)


def stream_predict(texts: Sequence[str], options: Options) -> StreamPredictRequest:
    """Ask for a prediction a text, within a stream."""
    return StreamPredictRequest(texts=texts, **options)


def embed(text: str, options: Options) -> EmbedRequest:
    """Ask for one vector."""
    return EmbedRequest(text=check_text(text), **options)


def batch_embed(texts: Sequence[str], options: Options) -> BatchEmbedRequest:
    """Ask for a vector a text."""
    return BatchEmbedRequest(texts=texts, **options)


def stream_embed(texts: Sequence[str], options: Options) -> StreamEmbedRequest:
    """Ask for a vector a text, within a stream."""
    return StreamEmbedRequest(texts=texts, **options)


def embed_tokens(
    text: str, kind: TokenKindName, normalize: bool, options: Options
) -> EmbedTokensRequest:
    """Ask for a vector a token. Raises ValueError for an unknown `kind`."""
    token_kind = _known("kind", kind, _TOKEN_KINDS)
    return EmbedTokensRequest(
        text=check_text(text), kind=token_kind, normalize=normalize, **options
    )


def model_of(options: Options) -> tuple[str, str]:
    """Return the name and the version of the model that options ask for."""
    asked: ModelSelector = options["model"] or ModelSelector()
    return asked.name, asked.version


def kind_of(options: Options) -> str:
    """Return the kind of vectors that `embed_options` ask for."""
    return next(name for name, kind in _KINDS.items() if kind == options["kind"])


def lookup_options(model: str, model_version: str, normalize: bool) -> Options:
    """Return the options of requests for words."""
    return {"model": selector(model, model_version), "normalize": normalize}


def lookup(words: Sequence[str], options: Options) -> LookupWordsRequest:
    """Ask for the ids and vectors of words."""
    return LookupWordsRequest(words=words, **options)


def nearest(word: str, k: int, model: str, model_version: str) -> FindNearestWordsRequest:
    """Ask for a word's neighbours. Raises ValueError for `k` below 1: 0 is the wire's default.

    Raises TypeError for `k` that is not a whole number.
    """
    if isinstance(k, bool) or not isinstance(k, Integral):
        raise TypeError(f"k is of type {type(k).__name__}, int is needed")
    if not 1 <= k < 2**31:
        raise ValueError(f"k is {k}, 1 to 1000 is needed")
    asked = selector(model, model_version)
    return FindNearestWordsRequest(word=check_text(word, "word"), limit=int(k), model=asked)


def tokenize(text: str, options: Options) -> TokenizeRequest:
    """Ask for the tokens of a text."""
    return TokenizeRequest(text=check_text(text), **options)


def model(name: str, version: str) -> GetModelRequest:
    """Ask for the description of a model."""
    return GetModelRequest(name=check_text(name, "name"), version=check_text(version, "version"))


def reload_model(name: str, version: str) -> ReloadModelRequest:
    """Ask for a model's bundle to be loaded again."""
    return ReloadModelRequest(name=check_text(name, "name"), version=check_text(version, "version"))


def check_errors(errors: str) -> None:
    """Raise ValueError unless the argument `errors` is known."""
    if errors not in ("raise", "return"):
        raise ValueError(f"errors is {errors!r}, 'raise' or 'return' is needed")


def _known(argument: str, name: str, values: dict[str, _T]) -> _T:
    if name not in values:
        raise ValueError(f"{argument} is {name!r}, one of {', '.join(values)} is needed")
    return values[name]


def check_timeout(timeout: float | None) -> float | None:
    """Return a client's timeout if it can be one. Raises ValueError or TypeError."""
    if timeout is None:
        return None
    _check_number("timeout", timeout, "a number of seconds or None")
    if not 0 < timeout <= _MOST_SECONDS:
        raise ValueError(
            f"timeout is {timeout}, more than 0 and at most 1e6 seconds, or None, is needed"
        )
    return timeout


def check_renew_seconds(seconds: float) -> float:
    """Return after how long a client renews its channel. Raises ValueError or TypeError."""
    _check_number("renew_seconds", seconds, "a number of seconds")
    if not 0 <= seconds <= _MOST_SECONDS:
        raise ValueError(f"renew_seconds is {seconds}, 0 (never) or at most 1e6 seconds are needed")
    return seconds


def _check_number(argument: str, value: object, wanted: str) -> None:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{argument} is of type {type(value).__name__}, {wanted} is needed")


def seconds(timeout: float | None) -> float:
    """Return a timeout as a number: None, which is none, is infinite."""
    return math.inf if timeout is None else timeout
